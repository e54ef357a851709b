"""Rings when a log has grown, and keeps the newest events of the logs that somebody watches."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from roost.core.errors import RoostError
from roost.core.events import Event, all_deltas
from roost.core.ids import LogId

TAIL = 2048  # events kept in memory for a watched log
FEW = 64  # so many are taken one by one: a deque is quick at its ends, and copying all of it is not
CROWD = 40  # from so many followers on, a bell is held back a little, so that they share a wake-up
PATIENCE = 25e-6  # seconds for each of them

Listener = Callable[[Sequence[Event]], None]
Overhearer = Callable[[LogId], None]


@dataclass(slots=True, eq=False)
class Watcher:
    """Somebody who keeps a log in memory.  `client` is empty for the engine itself."""

    client: str = ""
    since: float = 0.0  # by the hub's clock


@dataclass(slots=True)
class _Watched:
    watchers: list[Watcher] = field(default_factory=list)
    tail: deque[Event] = field(default_factory=lambda: deque(maxlen=TAIL))
    listeners: list[Listener] = field(default_factory=list)
    held: bool = False
    broken: RoostError | None = None


class Hub:
    """A subscriber is a cursor; the hub carries nothing to it, it only rings."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.closed = False
        self._monotonic = monotonic
        self._bells: WeakValueDictionary[LogId, asyncio.Event] = WeakValueDictionary()  # gone with those who wait
        self._logs: dict[LogId, _Watched] = {}
        self._overhearers: list[Overhearer] = []

    def bell(self, log: LogId) -> asyncio.Event:
        """The bell that the next growth of `log` will ring."""
        if (bell := self._bells.get(log)) is None:
            bell = self._bells[log] = asyncio.Event()
        return bell

    def grown(self, log: LogId, events: Sequence[Event]) -> None:
        """What the store calls after a commit (`ports.Grown`)."""
        for overhearer in self._overhearers:
            overhearer(log)
        watched = self._logs.get(log)
        if watched is None:
            self._ring(log)
            return
        if watched.broken is not None and not (events and all_deltas([event.fact for event in events])):
            watched.broken = None  # deltas that were on their way already do not say that it goes on
        self._remember(watched.tail, events)
        for listener in tuple(watched.listeners):
            listener(events)
        crowd = len(watched.watchers)
        if crowd < CROWD:
            self._ring(log)
        elif not watched.held:
            watched.held = True
            asyncio.get_running_loop().call_later(crowd * PATIENCE, self._let_go, log)

    @contextmanager
    def watch(self, log: LogId, client: str = "") -> Iterator[Watcher]:
        """While the block lasts, the newest events of `log` stay in memory."""
        watched = self._logs.setdefault(log, _Watched())
        watcher = Watcher(client, self._monotonic())
        watched.watchers.append(watcher)
        try:
            yield watcher
        finally:
            watched.watchers.remove(watcher)
            if not watched.watchers:
                self._logs.pop(log, None)

    @contextmanager
    def listen(self, log: LogId, listener: Listener) -> Iterator[None]:
        """While the block lasts, `listener` is called with each commit of `log`; it must be quick."""
        with self.watch(log):
            listeners = self._logs[log].listeners
            listeners.append(listener)
            try:
                yield
            finally:
                listeners.remove(listener)

    @contextmanager
    def overhear(self, overhearer: Overhearer) -> Iterator[None]:
        """While the block lasts, `overhearer` is told of every log that grows; it must be quick."""
        self._overhearers.append(overhearer)
        try:
            yield
        finally:
            self._overhearers.remove(overhearer)

    def tail(self, log: LogId, after: int) -> Sequence[Event] | None:
        """The events past `after`, as far as memory has them; None where only the store knows."""
        watched = self._logs.get(log)
        if watched is None or not watched.tail:
            return None
        tail = watched.tail
        new = tail[-1].seq - after
        if not 0 <= new <= len(tail):
            return None
        return tuple(tail[n] for n in range(-new, 0)) if new < FEW else tuple(tail)[len(tail) - new :]

    def still(self, log: LogId, seq: int) -> bool:
        """Whether `seq` is the newest event of a log that is kept in memory: then nobody has written since."""
        watched = self._logs.get(log)
        return watched is not None and bool(watched.tail) and watched.tail[-1].seq == seq

    def followers(self, log: LogId) -> Sequence[Watcher]:
        """The clients that follow a log now."""
        watched = self._logs.get(log)
        return [w for w in watched.watchers if w.client] if watched else []

    def break_off(self, log: LogId, error: RoostError) -> None:
        """Let every follower of `log` fail with `error`: what they wait for can't be written."""
        if watched := self._logs.get(log):
            watched.broken = error
            self._ring(log)

    def broken(self, log: LogId) -> RoostError | None:
        """Why the log can't go on, until it grows again."""
        watched = self._logs.get(log)
        return watched.broken if watched else None

    def close(self) -> None:
        """Let every follower go once it has read what is there: the server stops."""
        self.closed = True
        for overhearer in self._overhearers:
            overhearer(LogId(""))  # of no log: it is to look whether the hub is closed
        for log in tuple(self._bells):
            self._ring(log)

    @staticmethod
    def _remember(tail: deque[Event], events: Sequence[Event]) -> None:
        if not events or (tail and events[0].seq != tail[-1].seq + 1):
            tail.clear()  # it grew elsewhere: the store knows better
        tail.extend(events)

    def _let_go(self, log: LogId) -> None:
        if watched := self._logs.get(log):
            watched.held = False
        self._ring(log)

    def _ring(self, log: LogId) -> None:
        if bell := self._bells.pop(log, None):
            bell.set()
