"""What the frames of a log need of its earlier facts."""

from collections.abc import Callable
from dataclasses import dataclass, field

from roost.core import events as e
from roost.core.ids import AnswerId, CallId, LogId, Micros, SessionId, WaitId
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
class Prompts:
    """What waits for a yes or no in a log, the oldest first; old clients know one at a time, and are shown one."""

    open: list[e.WaitOpened] = field(default_factory=list)
    shown: WaitId | None = None
    over: bool = False  # the turn is to end: nothing more is asked

    def hides(self, fact: e.Fact) -> bool:
        """Whether a fact is about a prompt that was not shown."""
        if not isinstance(fact, e.WaitAnswered | e.WaitVoided) or fact.wait == self.shown:
            return False
        return any(prompt.wait == fact.wait for prompt in self.open)

    def take(self, fact: e.Fact) -> e.WaitOpened | None:
        """Take in a fact; the prompt that is to be shown now, if there is one."""
        match fact:
            case e.WaitOpened() if fact.kind != "question":
                self._close(lambda prompt: prompt.wait == fact.wait)
                self.open.append(fact)
            case e.WaitAnswered(wait=wait) | e.WaitVoided(wait=wait):
                self._close(lambda prompt: prompt.wait == wait)
            case _:
                self._pass(fact)
                return None
        if self.shown is not None or not self.open or self.over:
            return None
        self.shown = self.open[0].wait
        return self.open[0]

    def _pass(self, fact: e.Fact) -> None:
        """Take in a fact that is about no wait."""
        match fact:
            case e.TurnOpened(sub="") | e.TurnEnded(sub=""):
                self.over = False
                self._close(lambda _: True)
            case e.TurnEnded(sub=sub):
                self._close(lambda prompt: prompt.sub == sub)
            case e.CancelAsked() | e.DeleteAsked():
                self.over = True
            case _:
                pass

    def _close(self, over: Callable[[e.WaitOpened], bool]) -> None:
        self.open = [prompt for prompt in self.open if not over(prompt)]
        if all(prompt.wait != self.shown for prompt in self.open):
            self.shown = None


@dataclass(slots=True)
class Memory:
    """What frames need of earlier facts.  Everything in it can be found again in the log.

    One that is `slim` keeps the definitions of tools without their schemas.
    """

    slim: bool = False
    definitions: dict[str, DefinitionShape | None] = field(default_factory=dict)
    answers: dict[AnswerId, dict[CallId, Draft]] = field(default_factory=dict)
    ended: dict[SessionId, shapes.SessionShape] = field(default_factory=dict)  # sub-sessions
    parents: dict[SessionId, SessionId] = field(default_factory=dict)  # of sub-sessions
    said: dict[str, int] = field(default_factory=dict)  # the newest posted message of a (sub-)session
    root: SessionId = SessionId("")  # of the tree that the log's session belongs to
    prompts: Prompts = field(default_factory=Prompts)

    def definition(self, digest: str, name: str) -> DefinitionShape:
        """A tool's definition; one that says nothing where there is none."""
        return self.definitions.get(digest) or shapes.placeholder(name)

    def born(self, fact: e.SessionCreated, log: LogId) -> None:
        """A session, or a sub-session, begins."""
        if fact.sub:
            self.parents[fact.sub] = fact.parent
        else:
            self.root = fact.root or SessionId(log)

    def learn(self, definitions: dict[str, Definition]) -> None:
        """Definitions that a fact has brought."""
        for digest, known in definitions.items():
            self.know(digest, known)

    def know(self, digest: str, known: Definition | None) -> None:
        """A definition, or that there is none."""
        shape = None if known is None else shapes.definition_shape(known)
        self.definitions[digest] = shapes.slim(shape) if shape is not None and self.slim else shape

    def drafted(self, fact: e.CallDrafted, at: Micros) -> Draft | None:
        """The call that a delta belongs to, if it is time to show it."""
        calls = self.answers.setdefault(fact.answer, {})
        draft = calls.get(fact.call)
        if draft is None:
            draft = calls[fact.call] = Draft(fact.name, fact.definition)
        return draft if draft.grow(fact.text, at) else None
