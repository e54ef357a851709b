"""Tools, their calls, and the hooks around them."""

from roost.core.events.base import Base
from roost.core.ids import CallId
from roost.core.messages import Definition, Effect, Result, ToolCall


class ToolsShown(Base, frozen=True):
    """How many tools the agent has now.  `definitions` holds those this log has not shown yet."""

    agent: str
    count: int
    loading: bool = False
    definitions: dict[str, Definition] = {}  # by digest


class McpStarting(Base, frozen=True):
    """Tool servers are being started."""

    agent: str


class McpReady(Base, frozen=True):
    """Tool servers have been started, or have failed to."""

    agent: str


class ToolCalled(Base, frozen=True):
    """A tool starts.  Committed before it does."""

    call: ToolCall
    effect: Effect
    agent: str
    attempt: int = 1
    definition: str = ""
    leave: str = ""  # by whose: an approval source, such as `readonly_hint`


class OutputAdded(Base, frozen=True):
    """Output of a tool that is still running."""

    call: CallId
    text: str
    agent: str = ""
    definition: str = ""


class ToolReturned(Base, frozen=True):
    """A tool is done, or never ran (denied, rejected, unknown).  Committed before anyone sees the result."""

    call: ToolCall
    result: Result
    agent: str
    definition: str = ""
    leave: str = ""  # where it never ran: who refused it


class CallChanged(Base, frozen=True):
    """A hook gave a call other arguments than the model's."""

    call: CallId
    arguments: str  # JSON
    agent: str = ""


class CallLost(Base, frozen=True):
    """A tool had started and its end is not known."""

    call: CallId
    attempt: int


class HookStarted(Base, frozen=True):
    """The hooks of an event run."""

    event: str
    agent: str = ""


class HookEnded(Base, frozen=True):
    """They have run."""

    event: str
    duration: float  # seconds
    allowed: bool = True
    error: str = ""
    message: str = ""  # for people
    agent: str = ""


class HookBlocked(Base, frozen=True):
    """A hook refused a call."""

    call: ToolCall
    message: str
    agent: str = ""
    definition: str = ""


class Authorized(Base, frozen=True):
    """A login that a tool server asked for has ended."""

    confirmation: str
    agent: str = ""


Facts = (
    ToolsShown
    | McpStarting
    | McpReady
    | ToolCalled
    | OutputAdded
    | ToolReturned
    | CallChanged
    | CallLost
    | HookStarted
    | HookEnded
    | HookBlocked
    | Authorized
)
