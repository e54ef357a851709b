"""Start and end of `roost serve api`: the order, what is printed, and whose database it is."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from roost.cli import host, main
from roost.clock import SystemClock
from roost.config.settings import Settings, resolve
from roost.core.errors import StoreRefused
from roost.service.progress import Jobs


class Fake:
    """A server that writes down what is asked of it."""

    notes = ["fsync takes 0.1 ms"]
    service = SimpleNamespace(notices=SimpleNamespace(place=""))

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.fail_resume = False
        self.database = Path()
        self.env: Mapping[str, str] = {}
        self.jobs = Jobs(SystemClock())

    async def settle(self) -> None:
        self.seen.append("settle")

    async def resume(self) -> None:
        self.seen.append("resume")
        if self.fail_resume:
            raise OSError("no")

    def stop(self) -> None:
        self.seen.append("stop")

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    server = Fake()

    @asynccontextmanager
    async def open_server(settings: Settings, env: Mapping[str, str]) -> AsyncIterator[Fake]:
        server.seen.append("open")
        server.env = env
        server.database = settings.session_db
        yield server
        server.seen.append("close")

    monkeypatch.setattr(host, "open_server", open_server)
    monkeypatch.setattr(host.logs, "set_up", lambda **_: None)
    monkeypatch.chdir(tmp_path)
    return server


async def stop_at_once(address: str, stop: asyncio.Event) -> None:
    stop.set()


def settings(tmp_path: Path, **flags: Any) -> Settings:
    defaults = {"agents": "default", "listen": "127.0.0.1:0", "session_db": str(tmp_path / "session.db")}
    return resolve({**defaults, **flags}, {"ROOST_HOME": str(tmp_path / "home")}, None)


def test_it_opens_settles_listens_resumes_and_ends_in_order(
    fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def then(address: str, stop: asyncio.Event) -> None:
        async with httpx2.AsyncClient(base_url=f"http://{address}") as client:
            assert (await client.get("/ping")).status_code == 204
        fake.seen.append(f"printed {address}")
        os.kill(os.getpid(), signal.SIGTERM)

    host.run(settings(tmp_path), then=then)
    out, err = capsys.readouterr()
    address = out.removeprefix("Listening on ").strip()
    assert fake.seen == ["open", "settle", "resume", "/ping", f"printed {address}", "stop", "close"]
    assert "fsync takes 0.1 ms" in err


def test_a_unix_socket_is_printed_as_one(fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def then(address: str, stop: asyncio.Event) -> None:
        stop.set()

    host.run(settings(tmp_path, listen=f"unix://{tmp_path}/s"), then=then)
    assert capsys.readouterr().out == f"Listening on unix://{tmp_path}/s\n"
    assert not (tmp_path / "s").exists()


def test_a_resume_that_fails_leaves_the_server_up(fake: Fake, tmp_path: Path) -> None:
    fake.fail_resume = True

    async def then(address: str, stop: asyncio.Event) -> None:
        async with httpx2.AsyncClient(base_url=f"http://{address}") as client:
            assert (await client.get("/ping")).status_code == 204
        stop.set()

    host.run(settings(tmp_path), then=then)
    assert fake.seen[-3:] == ["/ping", "stop", "close"]


def test_the_profiling_server_listens_beside_it(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    shown = host.shown
    monkeypatch.setattr(host, "shown", lambda sock: found.append(shown(sock)) or found[-1])

    async def then(address: str, stop: asyncio.Event) -> None:
        [profiling] = set(found) - {address}
        async with httpx2.AsyncClient(base_url=f"http://{profiling}") as client:
            assert "/debug/pprof/" in (await client.get("/debug/pprof/")).text
        stop.set()

    host.run(settings(tmp_path, pprof_addr="127.0.0.1:0"), then=then)
    assert len(set(found)) == 2


def test_a_profiling_server_that_others_can_reach_is_warned_of(
    fake: Fake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def then(address: str, stop: asyncio.Event) -> None:
        stop.set()

    host.run(settings(tmp_path, pprof_addr="0.0.0.0:0"), then=then)
    assert any(getattr(record, "action", "") == "pprof_exposed" for record in caplog.records)


def test_a_server_that_does_not_open_gives_its_socket_back(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def refuse(settings: Settings, env: Mapping[str, str]) -> AsyncIterator[Fake]:
        raise StoreRefused("not ours")
        yield fake

    monkeypatch.setattr(host, "open_server", refuse)
    with pytest.raises(StoreRefused):
        host.run(settings(tmp_path, listen=f"unix://{tmp_path}/s"))
    assert not (tmp_path / "s").exists()


def foreign(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE sessions (id TEXT)")
    db.commit()
    db.close()


def test_another_programs_database_is_left_alone(
    fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign(tmp_path / "session.db")
    before = (tmp_path / "session.db").read_bytes()
    host.run(settings(tmp_path, session_db=None), then=stop_at_once)
    assert fake.database == tmp_path / "roost.db"
    assert "belongs to another program" in capsys.readouterr().err
    assert (tmp_path / "session.db").read_bytes() == before


def test_a_database_that_was_given_is_never_exchanged(fake: Fake, tmp_path: Path) -> None:
    foreign(tmp_path / "session.db")
    host.run(settings(tmp_path), then=stop_at_once)
    assert fake.database == tmp_path / "session.db"  # which the store refuses


def test_a_new_database_is_made_where_the_command_was_typed(fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    host.run(settings(tmp_path, session_db=None, working_dir=str(tmp_path / "work")), then=stop_at_once)
    assert fake.database == tmp_path / "session.db"
    assert Path.cwd() == tmp_path / "work"


def test_variables_of_files_go_over_those_of_the_process(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "old")
    monkeypatch.setenv("B_KEY", "kept")
    (tmp_path / "env").write_text("A_KEY=new\n")
    host.run(settings(tmp_path, env_from_file=(str(tmp_path / "env"),)), then=stop_at_once)
    assert (fake.env["A_KEY"], fake.env["B_KEY"]) == ("new", "kept")


def test_a_group_of_errors_shows_the_one_that_is_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ExceptionGroup("g", [ExceptionGroup("h", [StoreRefused("another program's file")])])

    monkeypatch.setattr(main, "roost", fail)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "roost: another program's file\n"
    assert sys.exc_info() == (None, None, None)
