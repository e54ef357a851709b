"""What is on screen, as a fold of events."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from roost.tui.rows import Changes, Row


@dataclass(slots=True)
class Usage:
    """Tokens and money; `context` is what the window holds now, of `limit` (0: not known)."""

    input: int = 0
    output: int = 0
    context: int = 0
    limit: int = 0
    cost: float = 0.0
    tree_cost: float = 0.0
    threshold: float = 0.0
    unpriced: bool = False

    @property
    def share(self) -> float:
        """How full the window is: 0 to 1."""
        return self.context / self.limit if self.limit else 0.0


@dataclass(slots=True)
class Wait:
    """Something that waits for a person; `call` where it is about one.  `kind`: approval, question, limit, budget."""

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
    """What became of a wait: `action` is "" where it was voided, and `why` says why."""

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
    """A sub-session, and those below it."""

    id: str
    parent: str
    agent: str = ""
    title: str = ""
    call: str = ""
    state: str = "running"
    below: list["Branch"] = field(default_factory=list)


class View:
    """A session as it stands on screen.  `open` begins it, `take` carries it on; no clock, no I/O."""

    def __init__(self, session: str = "") -> None:
        self.session = session
        self.rows: list[Row] = []
        self.waits: list[Wait] = []  # open, the oldest first
        self.answered: list[Answered] = []  # the newest last; only of late
        self.queue: list[Queued] = []
        self.state = "new"
        self.agent = ""
        self.source = ""
        self.model = ""
        self.provider = ""
        self.title = ""
        self.safety = ""
        self.working_dir = ""
        self.welcome = ""
        self.usage = Usage()
        self.team: tuple[Teammate, ...] = ()
        self.commands: tuple[Command, ...] = ()
        self.tools = 0
        self.plan = ""
        self.models: dict[str, str] = {}  # agent name -> model that was chosen for it
        self.tree: list[Branch] = []
        self.more = False  # whether there are older messages than those in `rows`
        self.seq = 0  # the number of the newest happening that was taken in
        self.tail_from = 0  # from where events are to be read after `open`
        self.exited = False

    @classmethod
    def open(cls, snapshot: Any) -> Self:
        """A view of a session as a (full) snapshot has it; go on with the events from `tail_from`."""
        return cls(snapshot.id)

    def take(self, happening: Any) -> Changes:
        """Take in one more event of the stream; one that was here before changes nothing."""
        return Changes()

    def take_all(self, happenings: Iterable[Any]) -> Changes:
        """Take in several, as one change."""
        changes = Changes()
        for happening in happenings:
            changes.add(self.take(happening))
        return changes

    def prepend(self, older: Any) -> Changes:
        """Put the messages of an older page (a snapshot with `before`) above all others."""
        return Changes()

    def row(self, key: str) -> Row | None:
        """The row of a key."""
        return None

    @property
    def oldest(self) -> int:
        """The id of the first message that is there: what the next older page comes before."""
        return 0

    def said(self, text: str) -> str:
        """Show at once what the person here has just sent, until the log has it; the row's key."""
        return ""
