"""Which sessions have changed, and what waits in them: told to screens that show all sessions, a few times a second."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import anyio

from roost.core.errors import RoostError, SessionNotFound
from roost.core.ids import LogId, SessionId, WaitId
from roost.core.principals import Principal
from roost.core.session import Head
from roost.ports import WaitRecord
from roost.service.desk import Desk
from roost.service.policy import Policy

log = logging.getLogger(__name__)

PAUSE = 0.25  # seconds in which what changes is told together
AGAIN = 1.0  # seconds before another look, where one has failed
FEW = 16  # sessions that are read one by one; where more have changed, the store knows which

Changes = Mapping[SessionId, Head]


class Ear:
    """What one listener has not heard of yet: the newest head of each session that has changed, and open waits."""

    def __init__(self, principal: Principal, policy: Policy) -> None:
        self._principal = principal
        self._policy = policy
        self._bell = anyio.Event()
        self._heads: dict[SessionId, Head] = {}
        self._waits: Sequence[WaitRecord] | None = None

    async def hear(self) -> tuple[Changes, Sequence[WaitRecord] | None]:
        """What has changed, as soon as something has, and all that waits where that has; a head may be `deleted`."""
        await self._bell.wait()
        self._bell = anyio.Event()
        heads, waits = self._heads, self._waits
        self._heads, self._waits = {}, None
        return heads, waits

    def tell(self, heads: Sequence[Head], waits: Sequence[WaitRecord] | None) -> None:
        """Something has changed; only what the listener may see is kept."""
        seen = self._policy.seen(self._principal, heads)
        self._heads |= {head.id: head for head in seen}
        if waits is not None:
            self._waits = self._policy.seen(self._principal, waits)
        if seen or waits is not None:
            self._bell.set()


class Pulse:
    """Looks at what has grown while somebody listens, once for all of them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._ears: list[Ear] = []
        self._overhearing = ExitStack()
        self._beats = 0  # how often it has begun to beat
        self._grown: dict[LogId, None] = {}
        self._bell = anyio.Event()
        self._waiting: dict[SessionId, set[WaitId]] | None = None  # None where nobody knows

    @contextmanager
    def listen(self, principal: Principal) -> Iterator[Ear]:
        """An ear, while the block lasts.  What is read from now on can be older than what it hears, never newer."""
        ear = Ear(principal, self._desk.policy)
        if not self._ears:
            self._begin()
        self._ears.append(ear)
        try:
            yield ear
        finally:
            self._ears.remove(ear)
            if not self._ears:
                self._overhearing.close()
                self._bell.set()

    def _begin(self) -> None:
        self._beats += 1
        self._waiting = None
        self._overhearing.enter_context(self._desk.hub.overhear(self._overhear))
        self._desk.bulkhead.start(self._beat, self._beats, name="pulse")

    def _overhear(self, log_id: LogId) -> None:
        self._grown[log_id] = None
        self._bell.set()

    async def _beat(self, beat: int) -> None:
        """Look, pause, and look again, until nobody listens any more."""
        while beat == self._beats and self._ears and not self._desk.hub.closed:
            await self._bell.wait()
            self._bell = anyio.Event()
            if logs := [log_id for log_id in self._grown if log_id]:
                self._grown.clear()
                await self._look(logs)
                await anyio.sleep(PAUSE)

    async def _look(self, logs: Sequence[LogId]) -> None:
        """Tell what has become of the sessions that have grown."""
        try:
            heads = await self._heads(logs)
            waits = await self._desk.store.waits() if self._waits_changed(heads) else None
        except RoostError as error:
            log.warning("what has changed can't be read: %s", error, extra={"action": "pulse_failed"})
            self._waiting = None
            self._grown = dict.fromkeys(logs) | self._grown  # the next look finds it, though nothing more may grow
            self._bell.set()
            await anyio.sleep(AGAIN)
            return
        if waits is not None:
            self._waiting = _by_session(waits)
        for ear in tuple(self._ears):
            ear.tell(heads, waits)

    async def _heads(self, logs: Sequence[LogId]) -> list[Head]:
        store, heads = self._desk.store, list[Head]()
        wanted = set(logs)
        if len(wanted) > FEW:
            heads = [head for head in await store.heads() if LogId(head.id) in wanted]
            wanted -= {LogId(head.id) for head in heads}  # those that are left were deleted
        for log_id in wanted:
            try:
                heads.append(await store.head(log_id))
            except SessionNotFound:
                continue  # swept away, long after it was deleted, and that was told
        return heads

    def _waits_changed(self, heads: Sequence[Head]) -> bool:
        if (known := self._waiting) is None:
            return True
        return any({wait.id for wait in head.waits if not head.deleted} != known.get(head.id, set()) for head in heads)


def _by_session(waits: Sequence[WaitRecord]) -> dict[SessionId, set[WaitId]]:
    """The ids of what waits in each log."""
    found: dict[SessionId, set[WaitId]] = {}
    for record in waits:
        found.setdefault(SessionId(record.log), set()).add(record.id)
    return found
