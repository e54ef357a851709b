"""What stands on the screen, one row for each thing said or done."""

from dataclasses import dataclass, field
from typing import Any, Literal

CallState = Literal["draft", "called", "waiting", "running", "done", "failed", "denied", "canceled", "lost"]
QueueState = Literal["posted", "sent", "queued", "taken", "dropped"]
Level = Literal["debug", "info", "warn", "error"]


@dataclass(slots=True, eq=False)
class Row:
    """One row.  `key` is its own for as long as the view lives; `version` grows whenever what it shows changes.

    `session` is the (sub-)session it belongs to, `depth` how deep that is nested; `seq` is the number of the fact
    that brought it, 0 where none did.  Rows of a sub-session stand right below its `Nest`.
    """

    key: str
    session: str = ""
    depth: int = 0
    agent: str = ""
    seq: int = 0
    at: str = ""
    version: int = 0
    words: str = ""

    @property
    def text(self) -> str:
        """All that it says, as searching and copying want it."""
        return self.words


@dataclass(slots=True)
class Picture:
    """An image or a file of a message."""

    name: str
    mime_type: str = ""
    size: int = 0
    url: str = ""


@dataclass(slots=True, eq=False)
class User(Row):
    """What a person said; `id` is its message's, `ordinal` counts the messages of persons from 0 (what a fork wants).

    A message in the queue has `queue` (`steer` or `followup`) and the state `queued` until it is taken or dropped;
    what was sent from here and is not in the log yet is `sent`.
    """

    pictures: tuple[Picture, ...] = ()
    id: int = 0
    ordinal: int | None = None
    state: QueueState = "posted"
    queue: str = ""
    why: str = ""


@dataclass(slots=True, eq=False)
class Answer(Row):
    """The text of a model's answer; `id` is its message's, 0 while it is `streaming`; `partial`: it was cut off."""

    streaming: bool = False
    partial: bool = False
    model: str = ""
    id: int = 0


@dataclass(slots=True, eq=False)
class Reasoning(Row):
    """What the model thought before it spoke."""

    streaming: bool = False
    id: int = 0


@dataclass(slots=True, eq=False)
class Call(Row):
    """A use of a tool.  `arguments` is JSON text, whole past the state `draft`; `changed`: by a hook.

    `output` is what has been printed so far, `result` what the model reads.
    """

    call: str = ""
    name: str = ""
    title: str = ""
    category: str = ""
    arguments: str = ""
    state: CallState = "draft"
    ended: bool = False
    changed: bool = False
    lost: bool = False  # a crash cut it off, once at least
    output: str = ""
    result: str = ""
    pictures: tuple[Picture, ...] = ()
    structured: Any = None
    meta: dict[str, Any] | None = None
    verdict: str = ""  # what a person, or a hook, had to say to it
    wait: str = ""  # the id of the wait that holds it

    @property
    def text(self) -> str:
        """Its name, arguments and what came of it."""
        return "\n".join(part for part in (self.name, self.arguments, self.result or self.output) if part)


UNTITLED = "Transferred task"  # the title of all sub-sessions that have none of their own


@dataclass(slots=True, eq=False)
class Nest(Row):
    """A sub-session: the head of its rows.  `sub` is its id, `call` the call it is for."""

    sub: str = ""
    call: str = ""
    title: str = ""
    state: str = "running"  # running, waiting, idle, failed, canceled

    @property
    def text(self) -> str:
        """Its title."""
        return self.title


@dataclass(slots=True, eq=False)
class Note(Row):
    """Something to know: a warning, a note, what a CLI reports; `kind` says which."""

    kind: str = "note"  # note, warning, status, stderr, hook, model, agent, compaction, budget, limit, run, turn
    level: Level = "info"


@dataclass(slots=True, eq=False)
class Failure(Row):
    """What ended a turn."""

    code: str = ""


@dataclass(slots=True, eq=False)
class Summary(Row):
    """A summary that stands for what was before it."""

    model: str = ""
    cost: float = 0.0


@dataclass(slots=True)
class Changes:
    """What one or several happenings changed: rows by key, and which other parts of the view (`parts`).

    One that has moved has vanished and appeared.  `parts` are names of View's fields: waits, queue, state, agent,
    model, usage, team, tree, title, safety …
    """

    appeared: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    vanished: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)

    def vanish(self, key: str) -> None:
        """A row is gone; one that has only just appeared never was there."""
        self.changed.discard(key)
        if key in self.appeared:
            self.appeared.discard(key)
        else:
            self.vanished.add(key)

    def add(self, other: "Changes") -> None:
        """Take another's in, which came after."""
        for key in other.vanished:
            self.vanish(key)
        self.changed |= other.changed
        self.appeared |= other.appeared
        self.parts |= other.parts

    def __bool__(self) -> bool:
        return bool(self.appeared or self.changed or self.vanished or self.parts)
