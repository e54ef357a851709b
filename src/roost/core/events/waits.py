"""What waits: messages for their moment, and questions for a person."""

from typing import Any

from roost.core.events.base import Base
from roost.core.events.values import Answer, Kind, Queue
from roost.core.ids import WaitId
from roost.core.messages import Message, ToolCall


class MessageQueued(Base, frozen=True):
    """Messages for the middle of the turn (steer) or for after it (followup).

    `key` is the client's idempotency key; the store refuses a second fact with a key it remembers.
    """

    queue: Queue
    messages: tuple[Message, ...]
    key: str = ""
    framing: str = ""


class MessageTaken(Base, frozen=True):
    """A queued message enters the history: `queued` is the seq of its MessageQueued, `index` its place there."""

    queued: int
    index: int
    message: Message
    position: int
    queue: Queue = "steer"


class MessageDropped(Base, frozen=True):
    """A queued message is not taken: a hook has refused it, or whoever sent it has withdrawn it."""

    queued: int
    index: int
    why: str


class WaitOpened(Base, frozen=True):
    """Something waits for a person.

    `durable` says whether an answer can still be used after a restart.
    """

    wait: WaitId
    kind: Kind
    agent: str
    call: ToolCall | None = None
    definition: str = ""
    metadata: dict[str, str] = {}
    message: str = ""
    mode: str = ""  # form or url
    schema: dict[str, Any] | None = None
    url: str = ""
    server_id: str = ""  # the id that an MCP server gave its question
    meta: dict[str, Any] = {}
    max_iterations: int = 0
    durable: bool = True


class WaitAnswered(Base, frozen=True):
    """Somebody answered.  The first answer wins."""

    wait: WaitId
    answer: Answer
    by: str = ""


class WaitVoided(Base, frozen=True):
    """Nobody can use an answer any more."""

    wait: WaitId
    why: str


Facts = MessageQueued | MessageTaken | MessageDropped | WaitOpened | WaitAnswered | WaitVoided
