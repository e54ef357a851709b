"""Two servers, each a process, on one SQLite file."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from roost.core import events as e
from roost.core.ids import Epoch, LogId, Micros, ServerId, TurnId
from roost.stores.sqlite import Sqlite, open_sqlite

pytestmark = pytest.mark.anyio

CHILD = Path(__file__).with_name("child.py")
LOG = LogId("log")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Server:
    """A child process, spoken to by lines."""

    def __init__(self, path: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.rung: list[dict[str, Any]] = []

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline() or '{"ended": true}')

    def hear_of(self, what: str) -> dict[str, Any]:
        while what not in (said := self.hear()):
            assert "ended" not in said, f"waited for {what!r}"
            if "rung" in said:
                self.rung.append(said)
            else:
                raise AssertionError(f"waited for {what!r}, heard {said}")
        return said

    def order(self, **order: Any) -> None:
        assert self.process.stdin is not None
        print(json.dumps(order), file=self.process.stdin, flush=True)

    def ask(self, answer: str, **order: Any) -> Any:
        self.order(**order)
        return self.hear_of(answer)[answer]

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "roost.db"


@pytest.fixture
def servers(path: Path) -> Iterator[list[Server]]:
    pair: list[Server] = []
    try:
        for name in ("a", "b"):
            pair.append(Server(path, name))
        for server in pair:
            server.hear_of("ready")
        yield pair
    finally:
        for server in pair:
            server.end()


def store(path: Path, name: str = "observer") -> Any:
    def grown(log: LogId, events: Any) -> None:
        pass

    return open_sqlite(path, server=ServerId(name), now=lambda: Micros(0), grown=grown)


async def check_dense(store: Sqlite, log: LogId, at_least: int) -> None:
    events = await store.page(log, after=0, limit=1_000_000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert len(events) >= at_least
    assert (await store.head(log)).last_seq == len(events)


def test_epochs_hold_between_processes(servers: list[Server]) -> None:
    a, b = servers
    assert a.ask("done", do="create")
    first = a.ask("epoch", do="take")
    assert b.ask("refused", do="take") == "session_busy"
    second = b.ask("epoch", do="take", force=True)
    assert second == first + 1
    assert b.ask("last_seq", do="append", epoch=second) == 4
    assert a.ask("refused", do="append", epoch=first) == "not_owner"
    assert a.ask("last_seq", do="put") == 5


def test_the_turn_of_a_server_that_was_killed_can_be_taken_at_once(servers: list[Server]) -> None:
    a, b = servers
    a.ask("done", do="create")
    a.ask("epoch", do="take")
    a.process.kill()
    a.process.wait()
    assert b.ask("epoch", do="take") == 2


def test_growth_elsewhere_is_seen_within_a_quarter_of_a_second(servers: list[Server]) -> None:
    a, b = servers
    a.ask("done", do="create")
    b.hear_of("rung")
    delays = []
    for _ in range(7):
        a.order(do="put")
        said = a.hear_of("at")
        rung = b.hear_of("rung")
        assert rung["rung"] == LOG
        delays.append(rung["at"] - said["at"])
    assert median(delays) < 0.25


def test_a_busy_writer_starves_nobody(servers: list[Server]) -> None:
    a, b = servers
    a.ask("done", do="create", log="mine")
    epoch = a.ask("epoch", do="take", log="mine")
    b.ask("done", do="create", log="theirs")
    a.ask("done", do="hammer", log="mine", epoch=epoch)
    a.hear_of("last_seq")
    waits = []
    for _ in range(30):
        started = time.monotonic()
        b.ask("last_seq", do="put", log="theirs")
        waits.append(time.monotonic() - started)
    assert a.process.poll() is None
    assert max(waits) < 2
    assert median(waits) < 0.2


async def test_what_was_acknowledged_survives_a_kill(servers: list[Server], path: Path) -> None:
    a, b = servers
    a.ask("done", do="create")
    epoch = a.ask("epoch", do="take")
    a.ask("done", do="hammer", epoch=epoch)
    known = 0
    while known < 300:
        known = a.hear().get("last_seq", known)
    os.kill(a.process.pid, signal.SIGKILL)
    while "ended" not in (said := a.hear()):
        known = said.get("last_seq", known)
    b.end()
    async with store(path) as found:
        await check_dense(found, LOG, known)
        assert [head.id for head in await found.adrift()] == [LOG]
        assert await found.rebuild() == []
        owned = await found.take(LOG, [e.TurnResumed(TurnId("turn"), 1)])
        assert owned.epoch == Epoch(2)
        locks = sorted(lock.name for lock in path.with_name(path.name + ".servers").iterdir())
        assert locks == ["observer.lock"]


async def test_two_who_write_one_log_leave_no_hole(servers: list[Server], path: Path) -> None:
    a, b = servers
    a.ask("done", do="create")
    seqs = []
    for _ in range(40):
        a.order(do="put")
        b.order(do="put")
        seqs += [a.hear_of("last_seq")["last_seq"], b.hear_of("last_seq")["last_seq"]]
    assert sorted(seqs) == list(range(2, 82))
    async with store(path) as found:
        await check_dense(found, LOG, 81)
