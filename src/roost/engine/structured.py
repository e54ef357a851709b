"""Answers of a given form: by the provider, or by a tool through which the model hands its answer in."""

import json
from collections.abc import Sequence
from typing import Any, Final

from roost.core.agents import Agent, Schema
from roost.core.errors import NotInForm
from roost.core.ids import Micros
from roost.core.messages import Annotations, Definition, Message, Result
from roost.ports import Use

NAME: Final = "__structured_output__"
CATEGORY: Final = "structured_output"
REMINDERS: Final = 2  # to a model that stops without an answer of the form
REMINDER: Final = f"Your answer is still missing. Give it by calling the tool {NAME}; a text is not read."
_VALUE = "value"  # the one argument, where the form is no object
_DEFINITIONS = ("$defs", "definitions", "$schema")


def native(agent: Agent) -> Schema | None:
    """The form that the provider is to see to: `ModelRequest.schema`."""
    form = agent.structured_output
    return form if form is not None and form.mode != "tool" else None


def handed_in(agent: Agent) -> Schema | None:
    """The form for which the agent has a tool."""
    form = agent.structured_output
    return form if form is not None and form.mode == "tool" else None


class Form:
    """The tool through which an answer is handed in (`ports.Tool`)."""

    def __init__(self, form: Schema) -> None:
        self._form = form
        self._wraps = form.schema.get("type", "object") != "object"
        about = f" The answer: {form.description}" if form.description else ""
        self.definition = Definition(
            NAME,
            CATEGORY,
            f"Hand in your final answer ({form.name}). Call it once, when you are done: it ends your work.{about}",
            self._parameters(),
            Annotations(title="Structured output", read_only=True),
            effect="safe",
        )

    def _parameters(self) -> dict[str, Any]:
        """Providers take objects alone."""
        schema = self._form.schema
        if not self._wraps:
            return {"type": "object", **schema}
        shared = {key: schema[key] for key in _DEFINITIONS if key in schema}
        inner = {key: value for key, value in schema.items() if key not in _DEFINITIONS}
        return {"type": "object", "properties": {_VALUE: inner}, "required": [_VALUE], **shared}

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        """The answer as compact JSON, or what is wrong with it."""
        if complaint := self._complaint(arguments):
            return Result(f"The answer does not have its form: {complaint}. Correct it and call again.", is_error=True)
        answer = arguments[_VALUE] if self._wraps else arguments
        return Result(compact(answer), structured=answer)

    def _complaint(self, arguments: dict[str, Any]) -> str:
        # A quarter of the time that a server takes to start: loaded when the first answer is checked.
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import best_match

        try:
            error = best_match(Draft202012Validator(self._parameters()).iter_errors(arguments))
        except Exception as unusable:  # whatever a schema can be made of
            return f"the schema itself can't be used ({unusable})"
        if error is None:
            return ""
        place = ".".join(str(step) for step in error.absolute_path)
        message = error.message if len(error.message) <= 300 else f"{error.message[:300]} ..."
        return f"{place}: {message}" if place else message


def compact(answer: object) -> str:
    """An answer as JSON without a blank."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def given(messages: Sequence[Message]) -> str | None:
    """The answer that the newest calls have handed in, as the text of the final message.

    None while it is missing or was refused.
    """
    results: dict[str, Message] = {}
    for message in reversed(messages):
        if message.role != "tool":
            called = [call.id for call in message.calls if call.name == NAME]
            good = [results[call].content for call in called if call in results and not results[call].is_error]
            return good[-1] if good else None
        results[message.call_id] = message
    return None


def reminder(messages: Sequence[Message], *, at: Micros) -> Message:
    """What to say to a model that stopped without an answer.

    Raises:
        NotInForm: it was told often enough.
    """
    told = 0
    for message in reversed(messages):
        if message.role == "user" and not message.implicit:
            break
        told += message.role == "user" and message.content == REMINDER
    if told >= REMINDERS:
        raise NotInForm(told)
    return Message("user", REMINDER, at=at, implicit=True)
