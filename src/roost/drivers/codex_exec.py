"""What `codex exec --json` prints: one process a prompt, which asks nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from roost.core import events as e
from roost.core.ids import WaitId
from roost.core.usage import Usage, minus
from roost.drivers import codex_items as items
from roost.drivers import fields, limits
from roost.drivers.fields import mapping, objects, text
from roost.drivers.record import Record
from roost.ports import Errand, Exit, Input, Step

_RETRY = "Reconnecting..."
_NOISE = (b"Reading additional input from stdin", b"Reading prompt from stdin")


def unheeded(errand: Errand) -> list[str]:
    """What an errand asks for in vain."""
    asked = {
        "codex knows no limit of turns; max_turns does nothing": errand.max_turns,
        "codex has no agents of its own; agent does nothing": errand.agent,
    }
    return [warning for warning, given in asked.items() if given]


class ExecDialog:
    """One run: its only input is the prompt."""

    pending: Sequence[WaitId] = ()

    def __init__(self, errand: Errand, patterns: Sequence[str] = ()) -> None:
        self._errand = errand
        self._record = Record(errand, "codex", patterns=patterns)
        self._used = errand.used if errand.resume else Usage()
        self._thoughts: list[str] = []
        self._warned: set[str] = set()
        self._failed = ""
        self._done = False

    @property
    def ready(self) -> bool:
        """Whether it is through; it takes no further message, but ends by itself."""
        return self._done

    def feed(self, line: bytes) -> Step:
        """An event."""
        event = fields.parse(line)
        if event is None:
            return Step(tuple(self._record.skipped(line, "not an event")))
        return Step(tuple(self._facts(event)))

    def _facts(self, event: dict[str, Any]) -> list[e.Fact]:
        match event.get("type"):
            case "thread.started":
                return self._introduced(event)
            case "item.started" | "item.updated":
                return self._begun(mapping(event.get("item")))
            case "item.completed":
                return self._item(mapping(event.get("item")))
            case "turn.completed":
                return self._completed(event)
            case "turn.failed":
                return self._fell(event.get("error"))
            case "error":
                return self._complained(items.complaint(event.get("message")))
            case _:
                return []

    def _introduced(self, event: Mapping[str, Any]) -> list[e.Fact]:
        facts = self._record.introduced(text(event.get("thread_id")), working_dir=self._errand.working_dir)
        return facts + [fact for warning in unheeded(self._errand) for fact in self._warn(warning)]

    # -- items ------------------------------------------------------------------------------

    def _begun(self, item: Mapping[str, Any]) -> list[e.Fact]:
        """A tool starts; exec asks nobody, so it runs at once."""
        key, asked = text(item.get("id")), items.call(item)
        if items.kind(item) == "todo_list":
            return self._plan(item)
        if asked is None or self._record.call(key) is not None:
            return []
        return [*self._record.message("", self._thought(), [(key, *asked)]), *self._record.started(key)]

    def _item(self, item: Mapping[str, Any]) -> list[e.Fact]:
        match items.kind(item):
            case "agent_message":
                return self._record.message(text(item.get("text")), self._thought())
            case "reasoning":
                self._thoughts.append(items.reasoning(item))
                return []
            case "error":
                return self._warn(items.complaint(item.get("message")))
            case "todo_list":
                return self._plan(item)
        if items.call(item) is None:
            return []
        facts = self._begun(item)
        result, ran = items.result(item)
        return facts + self._record.returned(text(item.get("id")), result, ran=ran)

    def _thought(self) -> str:
        """The reasoning that goes with the next message."""
        thoughts, self._thoughts = self._thoughts, []
        return "\n\n".join(thoughts)

    def _plan(self, item: Mapping[str, Any]) -> list[e.Fact]:
        steps = [
            f"[{'x' if step.get('completed') is True else ' '}] {text(step.get('text'))}"
            for step in objects(item.get("items"))
        ]
        return [e.StatusShown("plan:\n" + "\n".join(steps), fields.data(dict(item)))]

    def _warn(self, message: str) -> list[e.Fact]:
        """A warning, once."""
        if not message or message in self._warned:
            return []
        self._warned.add(message)
        return [e.Warned(message, "codex")]

    # -- the end ----------------------------------------------------------------------------

    def _complained(self, message: str) -> list[e.Fact]:
        """A retry, or the reason of a failure that is about to be told."""
        if message.startswith(_RETRY):
            return [*self._record.drop("the request is tried again"), e.StatusShown(message)]
        self._failed = message
        return []

    def _completed(self, event: Mapping[str, Any]) -> list[e.Fact]:
        total = items.usage(event.get("usage"))
        used = None if total is None else minus(total, self._used)
        self._used = total or self._used
        self._done, self._failed = True, ""
        return [*self._dangling(), *self._record.round(success=True, reason="completed", usage=used)]

    def _fell(self, error: Any) -> list[e.Fact]:
        said = items.complaint(error) or self._failed or "the turn failed"
        self._failed, self._done = said, True
        facts = self._dangling()
        facts += self._record.limit(said)
        if items.info(error) == "usageLimitExceeded":
            facts += self._record.hit(said, limits.Limit())
        return facts + self._record.round(success=False, reason="failed", message=said)

    def _dangling(self) -> list[e.Fact]:
        """Reasoning that no message has followed."""
        thought = self._thought()
        return self._record.message("", thought) if thought else []

    # -- the host's side --------------------------------------------------------------------

    def complain(self, line: bytes) -> Step:
        """A line of stderr."""
        if line.startswith(_NOISE):
            return Step()
        return Step(tuple(self._record.complained(line)))

    def sent(self, given: Input) -> None:
        """There is but the prompt."""

    def say(self, key: str, text: str) -> Step | None:
        """A new run resumes it."""
        return None

    def answer(self, wait: WaitId, answer: e.Answer) -> Step:
        """It asks nothing."""
        return Step()

    def interrupt(self, key: str) -> Step | None:
        """Only a signal does."""
        return None

    def close(self) -> Step:
        """Its input ended with the prompt."""
        return Step()

    def end(self, exit: Exit) -> Step:
        """Judged by the turn's last event, and by whether there is one."""
        facts = [*self._dangling(), *self._record.close()]
        trouble = self._failed or self._record.trouble(exit)
        if not trouble and not self._done:
            trouble = "codex ended without a result"
        if trouble and not exit.killed and not self._record.limited:
            facts.append(self._record.failed(trouble))
        return Step(tuple(facts))
