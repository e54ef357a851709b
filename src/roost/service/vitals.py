"""Vitals: how the server is, for whoever looks after it."""

import os
import shutil
import socket
from pathlib import Path

import anyio
from msgspec import Struct

from roost.core.errors import RoostError
from roost.core.ids import Micros
from roost.core.principals import Principal
from roost.service.desk import Desk

STALE = 60.0  # seconds that a look at the sandbox is good for


class Ground(Struct, frozen=True):
    """What a server stands on, as it was found when it started."""

    database: Path | None = None  # None: it is kept in memory
    fsync: float = 0.0  # seconds that one takes there


class Cli(Struct, frozen=True):
    """An agent CLI that sessions could run."""

    provider: str
    program: str
    found: bool
    path: str = ""


class Walls(Struct, frozen=True):
    """The sandbox: which one works, or why none does."""

    kind: str
    trouble: str = ""


class Disk(Struct, frozen=True):
    """Room where something is kept; in bytes."""

    path: str
    free: int
    total: int


class Condition(Struct, frozen=True):
    """All of it.  What concerns the machine itself is empty for those who do not look after it."""

    started_at: Micros
    uptime: float
    host: str
    ready: bool
    error: str
    sessions: int
    running: int
    waiting: int
    clis: tuple[Cli, ...]
    agents: int
    broken: tuple[str, ...]
    sandbox: Walls | None = None
    disks: tuple[Disk, ...] = ()
    database: str = ""
    database_bytes: int = 0
    fsync: float = 0.0


class Vitals:
    """Takes them."""

    def __init__(self, desk: Desk, ground: Ground) -> None:
        self._desk = desk
        self._ground = ground
        self._clock = desk.makers.clock
        self._started = (self._clock.now(), self._clock.monotonic())
        self._walls: tuple[Walls, float] | None = None

    async def take(self, principal: Principal) -> Condition:
        """As a caller may see them."""
        desk, mine = self._desk, not principal.confined
        error = ""
        try:
            await desk.store.probe()
        except RoostError as failed:
            error = str(failed)
        heads = desk.policy.seen(principal, await desk.store.heads())
        sources = await desk.makers.agents.sources()
        ground = self._ground if mine else Ground()
        return Condition(
            started_at=self._started[0],
            uptime=self._clock.monotonic() - self._started[1],
            host=socket.gethostname(),
            ready=not error,
            error=error if mine else "",
            sessions=len(heads),
            running=sum(head.turn is not None for head in heads),
            waiting=len(desk.policy.seen(principal, await desk.store.waits())),
            clis=await anyio.to_thread.run_sync(self._clis, mine),
            agents=sum(source.team is not None for source in sources),
            broken=tuple(source.id for source in sources if source.team is None),
            sandbox=await self._sandbox() if mine else None,
            disks=await anyio.to_thread.run_sync(self._disks) if mine else (),
            database=str(ground.database or ""),
            database_bytes=_size(ground.database),
            fsync=ground.fsync,
        )

    def _clis(self, shown: bool) -> tuple[Cli, ...]:
        path = self._desk.makers.env.get("PATH") or os.environ.get("PATH")
        found = []
        for name, driver in self._desk.makers.drivers.items():
            where = shutil.which(driver.program, path=path) if driver.program else ""
            found.append(Cli(name, driver.program, where is not None, (where or "") if shown else ""))
        return tuple(found)

    async def _sandbox(self) -> Walls:
        if self._walls is not None and self._clock.monotonic() < self._walls[1]:
            return self._walls[0]
        sandbox = self._desk.makers.sandbox
        trouble = "there is none" if sandbox is None else await sandbox.trouble()
        walls = Walls("" if sandbox is None or trouble else sandbox.kind, trouble)
        self._walls = (walls, self._clock.monotonic() + STALE)
        return walls

    def _disks(self) -> tuple[Disk, ...]:
        places = [self._desk.makers.home, *([self._ground.database.parent] if self._ground.database else [])]
        found: dict[int, Disk] = {}
        for place in places:
            try:
                usage, device = shutil.disk_usage(place), place.stat().st_dev
            except OSError:
                continue
            found.setdefault(device, Disk(str(place.absolute()), usage.free, usage.total))
        return tuple(found.values())


def _size(database: Path | None) -> int:
    """Bytes of a database, with what is not yet moved into it."""
    total = 0
    for path in () if database is None else (database, database.with_name(database.name + "-wal")):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total
