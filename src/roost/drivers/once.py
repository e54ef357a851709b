"""A run of a CLI that reads one prompt, prints, and ends: nobody to ask, nothing more to say."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from roost.core import events as e
from roost.core.errors import BadValue
from roost.core.ids import WaitId
from roost.drivers import fields
from roost.drivers.moments import moment
from roost.drivers.opening import opening
from roost.drivers.record import Record
from roost.ports import Errand, Exit, Input, Step

PRINTED = 8 * 1024 * 1024  # bytes of a prompt by stdin that such CLIs read


_INTERRUPTED = "{} ended without a result: it was interrupted"


def needs_talk(errand: Errand) -> bool:
    """Whether a run needs more than a prompt: somebody may be asked, or there is more to it than can be printed."""
    return not errand.auto_approve or errand.interactive or bool(errand.mcp or errand.max_turns or not errand.prompt)


def prompt(errand: Errand, longest: int = PRINTED) -> Input:
    """The prompt by stdin, so that neither its length nor other users' eyes are a trouble.

    Raises:
        BadValue: it is longer than the CLI reads.
    """
    text = opening(errand, errand.prompt)
    if len(text.encode("utf-8", "replace")) >= longest:
        raise BadValue(f"the prompt is longer than the {longest} bytes that this agent reads")
    return Input("prompt", text, close=True)


class Once(ABC):
    """What all such dialogs share; `_facts` reads an event."""

    ready = False
    pending: Sequence[WaitId] = ()

    def __init__(self, errand: Errand, agent: str, patterns: Sequence[str] = ()) -> None:
        self._errand = errand
        self._record = Record(errand, agent, patterns=patterns)
        self._result = False
        self._failure = ""  # in words
        self._raw = ""  # as it came

    def feed(self, line: bytes) -> Step:
        """An event; what is none is skipped."""
        event = fields.parse(line)
        if event is None:
            return Step(tuple(self._record.skipped(line, "not an event")))
        self._record.now = moment(event.get("timestamp")) or self._record.now
        return Step(tuple(self._facts(event)))

    @abstractmethod
    def _facts(self, event: Mapping[str, Any]) -> list[e.Fact]:
        """What an event means."""

    def complain(self, line: bytes) -> Step:
        """A line of stderr."""
        return Step(tuple(self._record.complained(line)))

    def sent(self, given: Input) -> None:  # noqa: B027 - nothing to heed, for all of them
        """It is told its prompt, and nothing else."""

    def say(self, key: str, text: str) -> Step | None:
        """It has read all that it will."""
        return None

    def answer(self, wait: WaitId, answer: e.Answer) -> Step:
        """It asks nothing."""
        return Step()

    def interrupt(self, key: str) -> Step | None:
        """Only a signal does that."""
        return None

    def close(self) -> Step:
        """Its input is at its end."""
        return Step()

    def end(self, exit: Exit) -> Step:
        """Close what is open, and say what went wrong.  Only a result is a good end, whatever the code says."""
        facts = self._record.close()
        trouble = self._failure
        if not trouble and not self._result and not exit.killed:
            trouble = self._died(exit) or (_INTERRUPTED.format(self._record.agent) if self._errand.prompt else "")
        if trouble:
            facts += [*self._record.limit(self._raw or trouble), self._record.failed(trouble)]
        return Step(tuple(facts))

    def _died(self, exit: Exit) -> str:
        return self._record.trouble(exit)
