"""Where logs are kept, and what the lists of sessions, waits and runs show."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from roost.core.events import Answer, Event, Fact, RunEnded, RunStarted, WaitOpened
from roost.core.ids import Epoch, LogId, Micros, RunId, ServerId, SessionId, WaitId
from roost.core.messages import Definition
from roost.core.session import Head

Condition = Callable[[Head], None]
"""What must hold for an append, looked at inside its transaction: it raises, and nothing is written, or not."""

Grown = Callable[[LogId, Sequence[Event]], None]
"""Called in the event loop after each commit, once a log, with what was committed: in order, none
twice.  An empty sequence says that the log grew elsewhere and is to be read."""


class Committed(Struct, frozen=True):
    """What a write has put into the log, and the head after it."""

    events: tuple[Event, ...]
    head: Head


class Owned(Struct, frozen=True):
    """A log that is this server's now."""

    epoch: Epoch
    events: tuple[Event, ...]
    head: Head


class Listing(Struct, frozen=True, omit_defaults=True):
    """A root session in a list."""

    id: SessionId
    created_at: Micros
    title: str
    messages: int
    input_tokens: int
    output_tokens: int
    cost: float
    working_dir: str
    starred: bool
    attributes: dict[str, str]
    owner: str = ""  # the account whose it is


class WaitRecord(Struct, frozen=True):
    """A wait, open or not.  `answer` is None while it is open and when it was voided."""

    id: WaitId
    log: LogId
    session: SessionId  # the (sub-)session that waits
    opened_at: Micros
    fact: WaitOpened
    open: bool
    answer: Answer | None = None
    owner: str = ""  # the account whose session it is


class RunRecord(Struct, frozen=True):
    """A process of an agent CLI, under way or not: what `/api/v1/processes` shows."""

    id: RunId
    log: LogId
    session: SessionId
    owner: str  # the account
    parent: SessionId  # the session that spawned this one, or ""
    started_at: Micros
    fact: RunStarted
    ended_at: Micros | None = None
    ended: RunEnded | None = None


class EventStore(Protocol):
    """Where events live.  The log is the truth; all else is derived from it.

    A write ends in exactly one way, committed or refused: neither cancellation nor a timeout leaves
    the caller guessing.  Writes to one log are numbered in the order in which they were handed over.
    Any of them may raise `StoreFull` (nothing was written) and `SessionNotFound`.
    """

    @property
    def server(self) -> ServerId:
        """Who this server is to the others on the same store."""
        ...

    async def take(
        self, log: LogId, facts: Sequence[Fact] = (), *, only_if: Condition | None = None, force: bool = False
    ) -> Owned:
        """Make the log this server's, with a higher epoch, and append `facts` in the same step.

        Raises:
            SessionBusy: it is in a turn, and its owner is another server that lives (`force` takes
                it all the same).
            Exception: what `only_if` raised.
        """
        ...

    async def release(self, log: LogId, *, epoch: Epoch) -> None:
        """Let go of the log, so that any server may take it.  A stale epoch is no error."""
        ...

    async def post(self, log: LogId, facts: Sequence[Fact], *, epoch: Epoch) -> None:
        """Hand over deltas and go on.  Waits only while too much of this log is uncommitted.

        Neighbouring deltas of one answer may be joined.  What became of them is told by the next
        `append` of this log: it fails with `NotOwner` where the post did.
        """
        ...

    async def append(
        self, log: LogId, facts: Sequence[Fact], *, epoch: Epoch, only_if: Condition | None = None
    ) -> Committed:
        """Add `facts` to the log in one step, after all that was posted before, and return them numbered.

        Once this returns, they survive a crash.

        Raises:
            NotOwner: somebody else owns the log by now.  Nothing was written.
            Exception: what `only_if` raised.  Nothing was written.
        """
        ...

    async def put(self, log: LogId, facts: Sequence[Fact], *, only_if: Condition | None = None) -> Committed:
        """Add outside facts, whoever owns the log.  A first fact SessionCreated makes the log.

        Raises:
            Duplicate: a MessageQueued with a key that is among the newest 256 of this log.  This is
                looked at before `only_if`.
            Exception: what `only_if` raised.
        """
        ...

    async def page(self, log: LogId, *, after: int, limit: int) -> Sequence[Event]:
        """The events past `after`, in order, at most `limit`; empty at the end of the log as it is now.

        A deleted log can be read until it is swept away.
        """
        ...

    async def head(self, log: LogId) -> Head:
        """The session's head; `last_seq` counts every committed event.

        Raises:
            SessionNotFound: there is none.  A deleted one is still returned (`Head.deleted`) until it is swept.
        """
        ...

    async def listing(self) -> Sequence[Listing]:
        """All root sessions that are not deleted, newest first (ties: the later made first)."""
        ...

    async def heads(self) -> Sequence[Head]:
        """The heads of all sessions that are not deleted, newest first (ties: the later made first)."""
        ...

    async def runs(self, *, log: LogId | None = None) -> Sequence[RunRecord]:
        """The runs of one log, or of all that are not deleted, newest first."""
        ...

    async def run(self, run: RunId) -> RunRecord | None:
        """One run."""
        ...

    async def forget_runs(self, runs: Sequence[RunId]) -> None:
        """Drop runs that have ended from the list; their facts stay in the log."""
        ...

    async def messages(self, log: LogId, *, since: int = 0) -> Sequence[Event]:
        """The events past `since` that bear messages (`history.BEARS_MESSAGES`), in order."""
        ...

    async def latest(self, log: LogId, *, before: int, limit: int) -> Sequence[Event]:
        """The newest of the events before `before` that bear messages, at most `limit`, in order."""
        ...

    async def remarks(self, log: LogId, *, after: int, before: int, limit: int) -> Sequence[Event]:
        """The newest of the events between two seqs that are remarks (`remarks.REMARKS`), at most `limit`, in order."""
        ...

    async def said(self, log: LogId, *, before: int) -> int:
        """How many messages with the role `user` were written or taken before a seq, sub-sessions' included."""
        ...

    async def newest(self, log: LogId, kind: type[Fact], *, before: int) -> Event | None:
        """The newest event of a kind that stands before a seq."""
        ...

    async def definition(self, log: LogId, digest: str) -> Definition | None:
        """The tool definition that a ToolsShown of this log (or its SessionCreated) brought under `digest`."""
        ...

    async def waits(self) -> Sequence[WaitRecord]:
        """All open waits of sessions that are not deleted, oldest first."""
        ...

    async def wait(self, wait: WaitId) -> WaitRecord | None:
        """One wait, open or not."""
        ...

    async def adrift(self) -> Sequence[Head]:
        """The heads in a turn that no living server owns, and those deleted whose end is not written."""
        ...

    async def running(self) -> int:
        """How many sessions are in a turn."""
        ...

    async def sweep(self, *, slice: int = 1000, age: int = 0) -> bool:
        """Remove rows of logs that exited at least `age` µs ago, at most `slice`; whether there are more.

        Ids stay as tombstones.
        """
        ...

    async def probe(self) -> None:
        """Write and read a little.

        Raises:
            StoreFull: the store can't be written.
        """
        ...
