"""Disks that are full, read-only or gone, and files that somebody else holds."""

import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance import stored
from acceptance.house import Died, House, Server, until
from roost.core import events as e


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of sixteen megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip(f"mounting needs root: {done.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """Leave no room at all."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
    return filler


LONG = "[[drip 0.02]] [[say " + "many words " * 200 + "]]"


def test_a_full_disk_fails_the_turn_and_not_the_server(house: House, small: Path) -> None:
    house.agent()
    db = small / "session.db"
    server = house.serve(db=db)
    session, other = server.create(title="t"), server.create(title="t")
    server.run(other, "hi")
    stream = server.start(session, LONG)
    stream.until("agent_choice")
    filler = fill(small)
    frames = [f for f in stream if not f.ping]
    assert [(f.type, f.id) for f in frames[-2:]] == [("error", None), ("stream_stopped", None)], frames[-3:]
    assert frames[-1].event["reason"] == "error" and frames[-1].event["session_id"] == session
    refused = server.post(f"/api/sessions/{other}/agent/my-agent", {"messages": [{"content": "x" * 100_000}]})
    assert refused.status == 507, refused
    assert server.get("/health").status == 200
    assert server.get(f"/api/sessions/{other}").status == 200  # reading goes on

    filler.unlink()

    def runs() -> bool:
        stream = server.open("POST", f"/api/sessions/{other}/agent/my-agent", {"messages": [{"content": "again"}]})
        return stream.status == 200 and [*stream][-1].type == "stream_stopped"

    until(runs)
    snapshot = server.until_idle(session)
    last = server.log(session)[-1]
    assert (last.type, last.event["reason"]) == ("stream_stopped", "error")
    facts = [event.fact for event in stored.facts(db, session)]
    assert sum(isinstance(fact, e.TurnEnded) for fact in facts) == 1
    assert [event.seq for event in stored.facts(db, session)] == list(range(1, snapshot["last_event_seq"] + 1))
    assert server.run(session, "[[say well]]")[-1].event["reason"] == "normal"
    assert server.alive


def test_a_database_that_cannot_be_written(house: House, tmp_path: Path) -> None:
    house.agent()
    house.serve().term()
    place = tmp_path / "fixed"
    place.mkdir()
    shutil.copy(house.db, place / "session.db")
    done = subprocess.run(["mount", "--bind", str(place), str(place)], capture_output=True)
    if done.returncode:
        pytest.skip(f"mounting needs root: {done.stderr.decode().strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        with pytest.raises(Died, match=r"(?s)exit 1.*session\.db") as died:
            house.serve(db=place / "session.db")
        assert "Traceback" not in str(died.value)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_file_of_another_program_is_left_alone(house: House, tmp_path: Path) -> None:
    house.agent()
    other = tmp_path / "theirs.db"
    with sqlite3.connect(other) as base:
        base.execute("CREATE TABLE sessions (id TEXT, messages TEXT)")
    base.close()
    before = other.read_bytes()
    with pytest.raises(Died, match=r"(?s)exit 1.*theirs\.db"):
        house.serve(db=other)
    assert other.read_bytes() == before
    no_database = tmp_path / "notes.txt"
    no_database.write_text("not a database at all, but long enough to look at" * 10)
    with pytest.raises(Died, match=r"(?s)exit 1.*notes\.txt"):
        house.serve(db=no_database)


def test_a_database_where_none_can_be(house: House, tmp_path: Path) -> None:
    house.agent()
    made = house.serve(db=tmp_path / "new" / "folder" / "x.db")
    assert made.create()
    with pytest.raises(Died, match=r"(?s)exit [12].*stderr-0\.txt") as died:
        house.serve(db=tmp_path / "stderr-0.txt" / "x.db")  # a file is no folder
    assert "Traceback" not in str(died.value)


def test_a_locked_database_is_waited_for(house: House) -> None:
    """A backup tool, say, holds the file for a second."""
    house.agent()
    server = house.serve()
    session = server.create(title="t")
    stream = server.start(session, "[[drip 0.05]] [[say slowly, word by word, until all of it is said]]")
    stream.until("agent_choice")
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        base = sqlite3.connect(house.db, timeout=10, isolation_level=None)
        base.execute("BEGIN IMMEDIATE")
        held.set()
        let_go.wait(10)
        base.execute("ROLLBACK")
        base.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    timer = threading.Timer(1.0, let_go.set)
    timer.start()
    assert server.get(f"/api/sessions/{session}").status == 200  # readers do not wait
    assert list(stream)[-1].event["reason"] == "normal"
    holder.join()
    assert server.run(session, "and on")[-1].event["reason"] == "normal"


def test_a_start_waits_for_a_locked_database(house: House) -> None:
    house.agent()
    house.serve().term()
    base = sqlite3.connect(house.db, timeout=10, isolation_level=None, check_same_thread=False)
    base.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(1.0, base.execute, ["ROLLBACK"])
    timer.start()
    assert house.serve().create()
    timer.join()
    base.close()


def test_a_working_directory_that_is_gone(house: House, tmp_path: Path) -> None:
    house.agent(extra="    toolsets: [{type: shell}]\n")
    server = house.serve()
    place = tmp_path / "work"
    place.mkdir()
    session = server.create(title="t", working_dir=str(place), tools_approved=True)
    frames = server.run(session, '[[tool shell {"cmd": "pwd"}]]')
    assert any(str(place) in f.event["response"] for f in frames if f.type == "tool_call_response")
    place.rmdir()
    frames = server.run(session, "and now?")
    types = [f.type for f in frames]
    assert types[-2:] == ["error", "stream_stopped"]
    assert str(place) in frames[-2].event["error"]
    assert frames[-1].event["reason"] == "error"
    place.mkdir()
    assert server.run(session, "back again")[-1].event["reason"] == "normal"


def test_the_folder_of_the_agents_is_gone(server: Server, house: House) -> None:
    session = server.create(title="t")
    house.agents.rename(house.folder / "elsewhere")
    reply = server.post(f"/api/sessions/{session}/agent/my-agent", {"messages": [{"content": "x"}]})
    assert reply.status in (200, 404, 500, 502)
    assert server.get("/api/agents").status == 200
    (house.folder / "elsewhere").rename(house.agents)
    assert server.run(session, "hi")[-1].event["reason"] == "normal"
