"""What a turn is played on: its pen, its ear, its agent, and the history so far."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from roost.core.history import History
from roost.core.ids import LogId
from roost.core.messages import Message
from roost.core.session import Turn
from roost.engine.answer import Asking
from roost.engine.ear import Ear
from roost.engine.hub import Hub
from roost.engine.journal import Journal
from roost.engine.runtime import Makers, Runtime, read_history


@dataclass(slots=True)
class Stage:
    """One turn's things.  `stopping` is set when the server shuts down: nothing new is started."""

    makers: Makers
    hub: Hub
    journal: Journal
    ear: Ear
    asking: Asking
    history: History
    prepare: Callable[["Stage"], Awaitable[Runtime]]
    runtime: Runtime | None = None
    stopping: bool = False
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)  # of the task that plays it
    built: anyio.Event = field(default_factory=anyio.Event)  # set when the runtime is there, or never will be
    done: anyio.Event = field(default_factory=anyio.Event)  # set when its task is through

    @property
    def log(self) -> LogId:
        """The log that the turn writes."""
        return self.journal.log

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

    async def catch_up(self) -> None:
        """Take in what the history does not have yet: from memory, where the newest events still are."""
        tail = self.hub.tail(self.log, self.history.last_seq)
        if tail is None:
            await read_history(self.makers.store, self.log, self.history)
        else:
            self.history.extend(tail)

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
