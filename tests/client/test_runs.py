"""Records of runs at terminals: what they say, who is meant, and which of them are swept away."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from roost.client import local, runs
from roost.client.runs import Run
from roost.core.errors import BadValue

ADDR = "http://127.0.0.1:8080"


def run(session: str = "5f1c6c0e-1", *, pid: int | None = None, addr: str = ADDR, at: int = 7) -> Run:
    return Run(pid or os.getpid(), addr, session, "ops", f"2026-06-02T09:14:0{at}.4+02:00")


def test_a_record_is_for_its_owner_alone_and_has_the_fields_that_others_know(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "runs"
    made = runs.new(ADDR, "5f1c6c0e-1", "ops")
    before = os.umask(0)
    try:
        runs.write(folder, made)
    finally:
        os.umask(before)
    path = folder / f"{os.getpid()}.json"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    raw = json.loads(path.read_text())
    assert list(raw)[:5] == ["pid", "addr", "session_id", "agent", "started_at"]
    assert (raw["pid"], raw["addr"], raw["session_id"], raw["agent"]) == (os.getpid(), ADDR, "5f1c6c0e-1", "ops")
    assert "token" not in raw
    assert runs.living(folder) == [made]
    runs.write(folder, replace(made, session_id="5f1c6c0e-2"))  # another session is shown
    assert [found.session_id for found in runs.living(folder)] == ["5f1c6c0e-2"]
    runs.remove(folder, made)
    assert not path.exists()


def test_a_record_that_another_has_taken_the_place_of_stays(tmp_path: Path) -> None:
    runs.write(tmp_path, run(at=8))
    runs.remove(tmp_path, run(at=7))
    assert runs.living(tmp_path) == [run(at=8)]


def test_dead_ones_are_swept_away(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    runs.write(tmp_path, run(pid=gone.pid))
    other = replace(run(), start_time=(local.started(os.getpid()) or 0) + 1)  # our number, at another time
    (tmp_path / "1.json").write_bytes(b'{"pid": "one"}')
    (tmp_path / "2.json").write_bytes(b"\xff")
    runs.write(tmp_path, other)
    assert runs.living(tmp_path) == []
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["1.json", "2.json"]


def test_what_somebody_else_may_have_put_there_is_no_record(tmp_path: Path) -> None:
    """Whoever is believed gets prompts, answers and the token."""
    folder, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    runs.write(folder, run())
    runs.write(elsewhere, run("stranger"))
    (folder / "2.json").symlink_to(elsewhere / f"{os.getpid()}.json")
    os.mkfifo(folder / "3.json")
    (folder / "4.json").mkdir()
    shared = folder / "5.json"
    shared.write_bytes((elsewhere / f"{os.getpid()}.json").read_bytes())
    shared.chmod(0o606)
    assert runs.living(folder) == [run()]
    shared.chmod(0o644)
    assert {found.session_id for found in runs.living(folder)} == {run().session_id, "stranger"}
    if os.geteuid() == 0:
        os.chown(shared, 12345, -1)
        assert runs.living(folder) == [run()]
    assert len(list(folder.iterdir())) == 5  # none of them is ours to remove


@pytest.mark.parametrize("pid", [0, -1, -os.getpid()], ids=["ours", "all", "another"])
def test_a_group_of_processes_is_no_run(tmp_path: Path, pid: int) -> None:
    runs.write(tmp_path, replace(run(), pid=pid))
    assert runs.living(tmp_path) == []


def test_no_folder_is_no_runs(tmp_path: Path) -> None:
    assert runs.living(tmp_path / "runs") == []


@pytest.mark.parametrize(
    "spelled",
    [
        {"pid": 0, "addr": ADDR, "sessionID": "s", "agent": "ops", "startedAt": "2026-06-02T09:14:07Z"},
        {"PID": 0, "Addr": ADDR, "SessionId": "s", "Agent": "ops", "started_at": "2026-06-02T09:14:07Z", "more": [1]},
    ],
)
def test_keys_are_known_however_they_are_spelled(tmp_path: Path, spelled: dict[str, Any]) -> None:
    written = {key: os.getpid() if key.lower() == "pid" else value for key, value in spelled.items()}
    (tmp_path / "9.json").write_text(json.dumps(written))
    [found] = runs.living(tmp_path)
    assert (found.addr, found.session_id, found.agent) == (ADDR, "s", "ops")


OLD = run("5f1c6c0e-aaaa", pid=41230, addr="unix:///tmp/x.sock", at=1)
NEW = run("5f1c6c0e-bbbb", pid=41231, at=2)
EXACT = run("5f1c6c0e", pid=41232, addr="http://127.0.0.1:9", at=0)


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("", NEW),
        ("41230", OLD),
        ("unix:///tmp/x.sock", OLD),
        (f"{ADDR}/", NEW),
        ("5f1c6c0e", EXACT),
        ("bbb", NEW),
        (" aaaa ", OLD),
    ],
)
def test_who_is_meant(target: str, meant: Run) -> None:
    assert runs.select([NEW, OLD, EXACT], target) == meant


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("7", "no live run with pid 7"),
        ("http://other:1", "no live run at http://other:1"),
        ("zzz", "no live run matches 'zzz'"),
        ("5f1c", "ambiguous"),
    ],
)
def test_who_is_not(target: str, words: str) -> None:
    with pytest.raises(BadValue, match=words):
        runs.select([NEW, OLD, EXACT], target)


def test_nobody_is() -> None:
    with pytest.raises(BadValue, match="no live run"):
        runs.select([], "")


def test_the_newest_is_first_whatever_the_time_zone(tmp_path: Path) -> None:
    early, late = "2026-06-02T11:00:00+02:00", "2026-06-02T10:00:00Z"
    me, parent = replace(run("a"), started_at=early), replace(run("b", pid=os.getppid()), started_at=late)
    for one in (me, parent):
        runs.write(tmp_path, one)
    assert [found.session_id for found in runs.living(tmp_path)] == ["b", "a"]


def test_where_records_are(tmp_path: Path) -> None:
    assert runs.folder({}, tmp_path) == tmp_path / "runs"
    (tmp_path / "serve.toml").write_text('data-dir = "/srv/data"\n')
    assert runs.folder({}, tmp_path) == Path("/srv/data/runs")
    assert runs.folder({"ROOST_DATA_DIR": "/var/d"}, tmp_path) == Path("/var/d/runs")
    assert runs.folder({"ROOST_DATA_DIR": "/var/d"}, tmp_path, Path("/mine")) == Path("/mine/runs")
