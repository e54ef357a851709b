"""Other sessions, as a call deals with them: tasks handed on, and work in the background."""

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from roost.core.ids import Micros, SessionId
from roost.core.messages import Message
from roost.ports.stores import Listing


class Task(Struct, frozen=True, omit_defaults=True):
    """Work for an agent of the team in a conversation of its own."""

    agent: str  # "" is the one that calls
    brief: str  # the conversation's first, a system message
    say: str = "Please proceed."  # an implicit message of the user
    title: str = "Transferred task"
    model: str = ""  # in place of the agent's
    tools: tuple[str, ...] = ()  # only these, when not empty
    toolsets: tuple[str, ...] = ()  # of the team's groups, besides the agent's own


class Errant(Struct, frozen=True, omit_defaults=True):
    """A session that works in the background, as it stands."""

    session: SessionId
    agent: str
    status: str  # running, completed, failed or stopped
    started_at: Micros
    ended_at: Micros | None = None
    output: str = ""  # the last that it has said, or what went wrong


class Office(Protocol):
    """Other sessions, as far as the one that calls may deal with them."""

    async def start(self, task: Task) -> SessionId:
        """Have an agent do a task in the background: in a session of its own, with nobody to ask.

        Raises:
            AgentNotFound: there is no such agent.
            TooManySessions: 20 of this session's are under way.
        """
        ...

    async def errants(self) -> Sequence[Errant]:
        """Those that this session has started, the oldest first; of those that have ended, the newest 100."""
        ...

    async def wait(self, sessions: Collection[SessionId], timeout: float) -> Sequence[Errant]:
        """The same, of these, once all have ended or so many seconds have gone."""
        ...

    async def stop(self, session: SessionId) -> None:
        """Cancel one of them.

        Raises:
            SessionNotFound: this session has started none of this id.
        """
        ...

    async def listing(self) -> Sequence[Listing]:
        """The root sessions of the same account, newest first."""
        ...

    async def messages(self, session: SessionId) -> Sequence[Message]:
        """What was said in one of them.

        Raises:
            SessionNotFound: there is none that this account may see.
        """
        ...
