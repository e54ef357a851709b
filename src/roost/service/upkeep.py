"""Clearing away what nobody needs any more."""

from collections.abc import Sequence
from pathlib import Path

import anyio
from msgspec import Struct

from roost.core.durations import age
from roost.core.errors import RoostError, SessionBusy
from roost.core.ids import RunId
from roost.core.principals import Principal
from roost.core.session import Head
from roost.ports import RunRecord
from roost.service.desk import Desk
from roost.service.fleet import Fleet

WEEK = "7d"


class Swept(Struct, frozen=True):
    """What was removed, or would be."""

    processes: int
    spawn_logs: int
    sessions: int
    dry_run: bool


class Upkeep:
    """Looks for what is old and over."""

    def __init__(self, desk: Desk, fleet: Fleet) -> None:
        self._desk = desk
        self._store = desk.store
        self._fleet = fleet

    async def collect(
        self, principal: Principal, *, force: bool = False, older_than: str = WEEK, keep_logs: bool = False
    ) -> Swept:
        """Remove processes, spawn logs and (unless `keep_logs`) spawned sessions that ended so long ago.

        Without `force` they are only counted.  Nothing of a session that runs is touched.

        Raises:
            BadValue: an age that can't be.
            Denied: the caller is an account.
        """
        self._desk.policy.admin(principal)
        cutoff = self._desk.makers.clock.now() - age(older_than) * 1e6
        heads = await self._store.heads()
        living = {str(head.id) for head in heads if head.turn is not None}
        runs = [run for run in await self._store.runs() if _over(run, cutoff) and run.log not in living]
        spawned = [head for head in heads if head.provider and _ended(head, cutoff)]
        logs = await anyio.to_thread.run_sync(_old, self._folder(), cutoff / 1e6, living)
        old = [] if keep_logs else spawned
        if force:
            await self._store.forget_runs([RunId(run.id) for run in runs])
            await anyio.to_thread.run_sync(_remove, logs)
            old = await self._all_deleted(principal, old)
        return Swept(len(runs), len(logs), len(old), not force)

    def _folder(self) -> Path:
        makers = self._desk.makers
        return makers.home / "logs" / "spawn"

    async def _all_deleted(self, principal: Principal, heads: Sequence[Head]) -> list[Head]:
        """Those that are gone now."""
        gone = []
        with self._desk.makers.progress.job(
            "gc", "old sessions are removed", total=len(heads), unit="sessions"
        ) as effort:
            for head in heads:
                if await self._deleted(principal, head):
                    gone.append(head)
                effort.step()
        return gone

    async def _deleted(self, principal: Principal, head: Head) -> bool:
        try:
            await self._fleet.delete(principal, head.id)
        except SessionBusy:  # somebody has resumed it
            return False
        except RoostError:
            return False
        return True


def _over(run: RunRecord, cutoff: float) -> bool:
    return run.ended is not None and run.started_at < cutoff


def _ended(head: Head, cutoff: float) -> bool:
    return head.turn is None and bool(head.outcome) and head.active_at < cutoff


def _old(folder: Path, cutoff: float, living: set[str]) -> list[Path]:
    """The spawn logs that nobody has written to since, of sessions that do not run."""
    found = []
    for path in folder.glob("*.log") if folder.is_dir() else ():
        try:
            if path.stem not in living and path.lstat().st_mtime < cutoff:
                found.append(path)
        except OSError:
            continue
    return found


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
