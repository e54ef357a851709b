"""What happens as a turn goes on: who answers, what was said, what is still to be said."""

from roost.client.happenings.base import Base
from roost.client.shapes import Chat, Content, Posted, Teammate


class AgentInfo(Base, frozen=True, tag="agent_info"):
    """Who answers."""

    model: str = ""
    description: str = ""
    welcome_message: str = ""
    context_limit: int = 0


class TeamInfo(Base, frozen=True, tag="team_info"):
    """The agents of the file."""

    available_agents: tuple[Teammate, ...] = ()
    current_agent: str = ""


class ToolsetInfo(Base, frozen=True, tag="toolset_info"):
    """How many tools the agent has."""

    available_tools: int = 0
    loading: bool = False


class McpInitStarted(Base, frozen=True, tag="mcp_init_started"):
    """Tool servers are being started."""


class McpInitFinished(Base, frozen=True, tag="mcp_init_finished"):
    """They are there, or have failed."""


class TurnOpened(Base, frozen=True, tag="turn_opened"):
    """A turn has the session."""

    turn_id: str = ""
    agent: str = ""
    source: str = ""
    model: str = ""
    provider: str = ""  # the agent CLI that plays it
    detached: bool = False
    command: str = ""
    working_dir: str = ""


class TurnResumed(Base, frozen=True, tag="turn_resumed"):
    """A turn that lost its server goes on."""

    turn_id: str = ""
    n: int = 0


class TurnDetached(Base, frozen=True, tag="turn_detached"):
    """No client's leaving ends the turn any more."""

    turn_id: str = ""


class CancelAsked(Base, frozen=True, tag="cancel_asked"):
    """Somebody wants the turn to end."""

    turn_id: str = ""
    why: str = ""
    by: str = ""


class UserMessage(Base, frozen=True, tag="user_message"):
    """What the user said.  One that had waited names the `message_queued` that brought it, and its place in it."""

    message: str = ""
    multi_content: tuple[Content, ...] = ()
    session_position: int = 0
    id: int = 0  # the message's
    queued: int | None = None
    index: int | None = None
    queue: str = ""


class MessageWritten(Base, frozen=True, tag="message_written"):
    """A message is put into the history as it is: posted for a turn, added, or copied."""

    id: int = 0
    message: Chat = Chat()
    implicit: bool = False


class MessageEdited(Base, frozen=True, tag="message_edited"):
    """A message is replaced."""

    id: int = 0
    message: Chat = Chat()


class StreamStarted(Base, frozen=True, tag="stream_started"):
    """The turn begins; with a `parent_session_id`, that of a sub-session."""


class SessionTitle(Base, frozen=True, tag="session_title"):
    """The session's title, new or as it was."""

    title: str = ""


class AgentSwitching(Base, frozen=True, tag="agent_switching"):
    """Another agent goes on, or what it was given is done."""

    switching: bool = False
    from_agent: str = ""
    to_agent: str = ""


class HandedOver(Base, frozen=True, tag="handed_over"):
    """Another agent has the conversation from now on."""

    from_agent: str = ""
    to_agent: str = ""
    why: str = ""


class StreamStopped(Base, frozen=True, tag="stream_stopped"):
    """The turn is over: `normal`, `error` or `canceled`; with a `parent_session_id`, that of a sub-session."""

    reason: str = ""
    turn_id: str = ""


class MessageQueued(Base, frozen=True, tag="message_queued"):
    """Messages wait for the middle of the turn (`steer`), or for after it (`followup`)."""

    id: int = 0
    queue: str = ""
    messages: tuple[Posted, ...] = ()


class MessageDropped(Base, frozen=True, tag="message_dropped"):
    """One of them is not taken."""

    queued: int = 0
    index: int = 0
    why: str = ""


Turns = (
    AgentInfo
    | TeamInfo
    | ToolsetInfo
    | McpInitStarted
    | McpInitFinished
    | TurnOpened
    | TurnResumed
    | TurnDetached
    | CancelAsked
    | UserMessage
    | MessageWritten
    | MessageEdited
    | StreamStarted
    | SessionTitle
    | AgentSwitching
    | HandedOver
    | StreamStopped
    | MessageQueued
    | MessageDropped
)
