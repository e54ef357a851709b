"""What a view holds besides its rows: usage, waits, the queue, the team, the tree."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Usage:
    """Tokens and money; `context` is what the window holds now, of `limit` (0: not known)."""

    input: int = 0
    output: int = 0
    context: int = 0
    limit: int = 0
    cost: float = 0.0
    tree_cost: float = 0.0  # with all sub-sessions
    threshold: float = 0.0  # the share past which the history is summed up; 0 is never
    unpriced: bool = False

    @property
    def share(self) -> float:
        """How full the window is: 0 to 1."""
        return min(1.0, self.context / self.limit) if self.limit else 0.0


@dataclass(slots=True)
class Wait:
    """Something that waits for a person; `call_id` where it is about a call.

    `kind` is approval, question, limit or budget; `metadata` is what the event has besides.
    """

    id: str
    kind: str
    session: str = ""
    agent: str = ""
    opened_at: str = ""
    call_id: str = ""
    tool: str = ""
    arguments: str = ""
    definition: Any = None
    message: str = ""
    mode: str = ""
    schema: dict[str, Any] | None = None
    url: str = ""
    max_iterations: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Answered:
    """What became of a wait: `action` is "" where it was withdrawn, and `why` says why."""

    wait: Wait
    action: str = ""
    by: str = ""
    reason: str = ""
    why: str = ""


@dataclass(slots=True)
class Queued:
    """A message that waits: `index` is its place among those that came with it under `id`."""

    id: int
    index: int
    queue: str
    words: str


@dataclass(slots=True)
class Command:
    """A slash command of an agent."""

    name: str
    description: str = ""
    instruction: str = ""
    agent: str = ""
    url: str = ""


@dataclass(slots=True)
class Teammate:
    """An agent of the team."""

    name: str
    description: str = ""
    provider: str = ""
    model: str = ""
    commands: tuple[Command, ...] = ()


@dataclass(slots=True)
class Branch:
    """A sub-session, and those below it; `state` is running, waiting, idle, failed or canceled."""

    id: str
    parent: str
    agent: str = ""
    title: str = ""
    call: str = ""
    state: str = "running"
    below: list["Branch"] = field(default_factory=list)
