"""What a turn is played on: its pen, its ear, its agent, and the history so far."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
from msgspec.structs import replace

from roost.core.events import Fact
from roost.core.history import History
from roost.core.hooks import Verdict
from roost.core.ids import CallId, LogId, SessionId
from roost.core.messages import Message, ToolCall
from roost.core.session import Answered, OpenWait, Turn
from roost.engine.answer import Asking, Guard
from roost.engine.chain import Sticky
from roost.engine.ear import Ear
from roost.engine.firing import fire
from roost.engine.hub import Hub
from roost.engine.journal import Inner, Journal
from roost.engine.runtime import Makers, Runtime, Touch, read_history
from roost.ports import Owned


class Sessions(Protocol):
    """What a turn may do with other sessions: the supervisor's part."""

    async def begin(self, log_id: LogId, facts: Sequence[Fact], *, headers: Mapping[str, str]) -> Owned:
        """Open a turn in a session that somebody has just made, where one more may run.

        Raises:
            TooManySessions: as many run as may.
            ShuttingDown: the server is on its way out.
        """
        ...

    async def wake(self, log_id: LogId) -> None:
        """Go on with a turn that sleeps, if no living server has it."""
        ...

    async def finish(self, log_id: LogId) -> None:
        """See a deleted session to its last fact."""
        ...


@dataclass(slots=True)
class Stage:
    """One turn's things; that of a sub-session has an `outer` one.

    `stopping` is set when the server shuts down: nothing new is started.
    """

    makers: Makers
    hub: Hub
    journal: Journal
    ear: Ear
    asking: Asking
    history: History
    prepare: Callable[["Stage"], Awaitable[Runtime]]
    play: Callable[["Stage"], Awaitable[None]]  # plays the turn of a sub-session to its end
    sessions: Sessions
    guarding: Callable[["Stage"], Guard]
    touch: Touch = Touch()
    entitle: Callable[[], None] = lambda: None  # asks for a title, where the session has none
    outer: "Stage | None" = None
    inners: "dict[SessionId, Stage]" = field(default_factory=dict)  # of the sub-sessions that are played, all of them
    sticky: Sticky = field(default_factory=Sticky)
    weary: bool = False  # a summary of the conversation was refused, or did not come, in this turn
    shown: tuple[str, str] = ("", "")  # the agent and the model that clients were told of last
    runtime: Runtime | None = None
    undecided: dict[tuple[str, CallId], Callable[[Any], Awaitable[None]]] = field(default_factory=dict)  # who hears
    halted: str = ""  # why the run is to end after the calls, where a hook has said so inside of a script
    pushes: int = 0  # times that hooks have sent the model on
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)  # of the task that plays it
    built: anyio.Event = field(default_factory=anyio.Event)  # set when the runtime is there, or never will be
    done: anyio.Event = field(default_factory=anyio.Event)  # set when its task is through
    starting: anyio.Lock = field(default_factory=anyio.Lock)  # held while a background agent is started
    guard: Guard = field(init=False)
    _stopping: bool = False

    def __post_init__(self) -> None:
        self.guard = self.guarding(self)
        self.asking.gate = self.guard.gate

    @property
    def log(self) -> LogId:
        """The log that the turn writes."""
        return self.journal.log

    @property
    def sub(self) -> SessionId:
        """The sub-session that is played, or "" for the log's own session."""
        return SessionId("") if self.outer is None else self.journal.head.id

    @property
    def session(self) -> SessionId:
        """The session, or sub-session, that is played."""
        return SessionId(self.journal.head.id)

    @property
    def root(self) -> "Stage":
        """That of the log's own session."""
        return self if self.outer is None else self.outer.root

    @property
    def depth(self) -> int:
        """How many stages there are above this one."""
        return 0 if self.outer is None else self.outer.depth + 1

    @property
    def stopping(self) -> bool:
        """Whether the server is on its way out."""
        return self.root._stopping

    def stop(self) -> None:
        """Start nothing new from now on."""
        self.root._stopping = True

    @property
    def turn(self) -> Turn:
        """The turn, as the newest write has left it."""
        return self.journal.turn

    @property
    def ready(self) -> Runtime:
        """The runtime.

        Raises:
            RuntimeError: it is asked for before it was built, which is a fault of the engine's.
        """
        if self.runtime is None:
            raise RuntimeError("the turn has no runtime yet")
        return self.runtime

    @property
    def waits(self) -> Collection[OpenWait]:
        """What of this session waits for a person."""
        return [wait for wait in self.root.journal.head.waits if wait.sub == self.sub]

    @property
    def answers(self) -> Sequence[Answered]:
        """What people have answered, until the turn has acted on it."""
        return [answer for answer in self.root.turn.answers if answer.sub == self.sub]

    def inner(self, sub: SessionId, turn: Turn, prepare: Callable[["Stage"], Awaitable[Runtime]]) -> "Stage":
        """The stage of a sub-session whose turn is open, and whose first facts this history has."""
        journal = Inner(self.root.journal, sub, turn)
        asking = Asking(journal, self.makers.clock)
        history = self.root.history.sub(sub)
        root = self.root
        stage = Stage(
            self.makers,
            self.hub,
            journal,
            self.ear,
            asking,
            history,
            prepare,
            self.play,
            root.sessions,
            self.guarding,
            root.touch,
            outer=self,
            sticky=root.sticky,
        )
        root.inners[sub] = stage
        return stage

    def at_call(self, call: CallId) -> SessionId | None:
        """The sub-session that a call of this turn has begun."""
        serving = self.journal.head.serving(call)
        return None if serving is None else serving.id

    def seen(self, call: ToolCall) -> ToolCall:
        """A call as people may see it: without secrets, where the agent's file does not say otherwise."""
        if self.runtime is None or not self.runtime.agent.redact_secrets:
            return call
        return replace(call, arguments=self.makers.redactor.arguments(call.arguments))

    async def fire(self, event: str, **special: Any) -> Verdict:
        """Run the hooks of an event (see `firing.fire`)."""
        return await fire(self, event, **special)

    async def catch_up(self) -> None:
        """Take in what the history does not have yet: from memory, where the newest events still are."""
        root = self.root
        tail = root.hub.tail(root.log, root.history.last_seq)
        if tail is None:
            await read_history(root.makers.store, root.log, root.history)
        else:
            root.history.extend(tail)

    def messages(self) -> Sequence[Message]:
        """All that was said, system messages included."""
        return [item.message for item in self.history.items if item.message is not None]

    def newest(self) -> tuple[int, Message] | None:
        """The newest message that this turn has brought about, and its position among the items."""
        items = self.history.items
        for position in range(len(items) - 1, -1, -1):
            item = items[position]
            if item.seq <= self.turn.opened:
                return None
            if item.message is not None:
                return position, item.message
        return None
