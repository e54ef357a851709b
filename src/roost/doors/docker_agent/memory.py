"""What the frames of a log need of its earlier facts."""

from dataclasses import dataclass, field

from roost.core import events as e
from roost.core.ids import AnswerId, CallId, Micros, SessionId
from roost.core.messages import Definition
from roost.doors.docker_agent import shapes
from roost.doors.docker_agent.shapes import DefinitionShape

GROWTH = 2048  # characters of arguments after which a partial call is shown again
PAUSE = 250_000  # microseconds after which it is, too
PREVIEW = 40_000  # characters of arguments past which it is not: old clients read lines of 64 KiB


@dataclass(slots=True)
class Draft:
    """A call whose arguments are still coming, and how much of them was shown last."""

    name: str
    definition: str
    text: str = ""
    shown: int = -1
    shown_at: Micros = Micros(0)

    def grow(self, text: str, at: Micros) -> bool:
        """Take in more; whether it is time to show it."""
        if len(self.text) > PREVIEW:
            return False
        self.text += text
        size = len(self.text)
        due = self.shown < 0 or size - self.shown >= GROWTH or at - self.shown_at >= PAUSE
        if not due or size > PREVIEW:
            return False
        self.shown, self.shown_at = size, at
        return True


@dataclass(slots=True)
class Memory:
    """What frames need of earlier facts.  Everything in it can be found again in the log."""

    definitions: dict[str, DefinitionShape | None] = field(default_factory=dict)
    answers: dict[AnswerId, dict[CallId, Draft]] = field(default_factory=dict)
    ended: dict[SessionId, shapes.SessionShape] = field(default_factory=dict)  # sub-sessions
    parents: dict[SessionId, SessionId] = field(default_factory=dict)  # of sub-sessions

    def definition(self, digest: str, name: str) -> DefinitionShape:
        """A tool's definition; one that says nothing where there is none."""
        return self.definitions.get(digest) or shapes.placeholder(name)

    def learn(self, definitions: dict[str, Definition]) -> None:
        """Definitions that a fact has brought."""
        for digest, known in definitions.items():
            self.definitions[digest] = shapes.definition_shape(known)

    def drafted(self, fact: e.CallDrafted, at: Micros) -> Draft | None:
        """The call that a delta belongs to, if it is time to show it."""
        calls = self.answers.setdefault(fact.answer, {})
        draft = calls.get(fact.call)
        if draft is None:
            draft = calls[fact.call] = Draft(fact.name, fact.definition)
        return draft if draft.grow(fact.text, at) else None
