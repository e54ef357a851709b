"""What an ACP agent asks before it does something: its options, and the one that says what was meant."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from roost.core import events as e
from roost.core.ids import WaitId
from roost.drivers import fields
from roost.drivers.record import Record
from roost.drivers.updates import Updates
from roost.ports import Input, Step
from roost.wire import jsonrpc
from roost.wire.jsonrpc import Reply, Request

METHOD = "session/request_permission"
ALWAYS = frozenset({"approve-tool", "approve-session", "approve-autonomous"})
"""Confirmations that mean more than this one call."""

_ONCE, _EVER = ("allow_once", "allow_always"), ("allow_always", "allow_once")
_NEVER = ("reject_once", "reject_always")


class Question(msgspec.Struct, frozen=True):
    """A question that has no reply yet: the call it is about, and the kind of each option."""

    key: str
    kinds: dict[str, str]


class Questions:
    """The agent's open questions, by the id of their request as JSON."""

    def __init__(self, record: Record, updates: Updates, *, auto: bool, lasting: bool) -> None:
        self._record = record
        self._updates = updates
        self._auto = auto
        self._lasting = lasting
        self._open: dict[str, Question] = {}

    def ask(self, request: Request) -> Step:
        """A question; where nobody is to be asked, also its answer."""
        params = fields.mapping(request.params)
        told = fields.mapping(params.get("toolCall"))
        question, options = fields.encoded(request.id), fields.objects(params.get("options"))
        key = fields.text(told.get("toolCallId")) or f"question {question}"
        facts = self._updates.asked(key, told)
        self._open[question] = Question(key, _by_id(options, "kind"))
        call = self._record.call(key)
        if self._auto or call is None:
            return Step((*facts, *self._record.started(key)), (self._choice(question, _ONCE),))
        metadata = {"title": self._updates.title(key), "options": fields.encoded(_by_id(options, "name"))}
        return Step((*facts, *self._record.ask(question, call.call, _shown(told), metadata)))

    def answer(self, wait: WaitId, answer: e.Answer) -> Step:
        """Pick the option that says so."""
        question = self._record.question(wait)
        if not question:
            return Step()
        if answer.action != "approve":
            return Step(inputs=(self._choice(question, _NEVER),))
        ever = answer.word in ALWAYS and not self._lasting
        call = self._record.call(self._open[question].key)
        facts = () if call is None or call.started else (self._record.starting(call),)
        return Step(facts, (self._choice(question, _EVER if ever else _ONCE),))

    def off(self) -> tuple[Input, ...]:
        """Call all of them off."""
        return tuple(self._choice(question, ()) for question in self._open)

    def answered(self, id: jsonrpc.Id, result: Any) -> None:
        """A reply was written: a call that may run starts, one that may not will end."""
        question = self._open.pop(fields.encoded(id), None)
        if question is None:
            return
        self._record.answered(fields.encoded(id))
        outcome = fields.mapping(fields.mapping(result).get("outcome"))
        if question.kinds.get(fields.text(outcome.get("optionId")), "").startswith("allow"):
            self._record.started(question.key)
        else:
            self._updates.reject(question.key)

    def _choice(self, question: str, wanted: Sequence[str]) -> Input:
        """The reply that picks the first option of these kinds; without one the question is called off."""
        kinds = self._open[question].kinds
        option = next((option for kind in wanted for option, known in kinds.items() if known == kind), None)
        outcome = {"outcome": "cancelled"} if option is None else {"outcome": "selected", "optionId": option}
        reply = Reply(msgspec.json.decode(question), {"outcome": outcome})
        return Input(replying(reply.id), jsonrpc.line(reply))


def replying(id: jsonrpc.Id) -> str:
    """The name of our reply to a request."""
    return f"reply-{fields.encoded(id)}"


def _by_id(options: Iterable[Mapping[str, Any]], name: str) -> dict[str, str]:
    return {fields.text(option.get("optionId")): fields.text(option.get(name)) for option in options}


def _shown(told: Mapping[str, Any]) -> str:
    parts = (fields.mapping(part.get("content")) for part in fields.objects(told.get("content")))
    text = "\n".join(fields.text(part.get("text")) for part in parts)
    return fields.shorter(text.strip(), 4000)
