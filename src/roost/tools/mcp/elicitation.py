"""What a server asks a person: a form, or an address to open.  One question at a time in a session."""

import logging
from typing import TYPE_CHECKING, Any

import anyio
from msgspec.structs import replace

from roost.core.errors import RoostError
from roost.core.events import Answer
from roost.ports import Ask, Use
from roost.tools.mcp.results import clipped
from roost.tools.mcp.talk import Over, Talks

if TYPE_CHECKING:
    from mcp import types
    from mcp.client.session import ClientRequestContext

TRIES = 3  # answers that do not fit their form
MESSAGE = 16 * 1024  # bytes

log = logging.getLogger(__name__)


class Elicitation:
    """Puts the questions of one server."""

    def __init__(self, talks: Talks, lock: anyio.Lock, label: str) -> None:
        self._talks = talks
        self._lock = lock
        self._label = label

    async def ask(self, context: "ClientRequestContext", params: "types.ElicitRequestParams") -> "types.ElicitResult":
        """Ask, and come back with an answer that fits the form; a no at once where nobody can answer."""
        from mcp import types

        question = _question(params, context.meta)
        try:
            answer = await self._asked(question)
        except Over:
            return types.ElicitResult(action="cancel")
        except RoostError as error:
            log.info("%s: nobody can be asked: %s", self._label, error, extra={"action": "mcp_declined"})
            return types.ElicitResult(action="decline")
        if answer.action == "accept":
            content = answer.content if question.mode == "form" else None
            return types.ElicitResult(action="accept", content=content)
        return types.ElicitResult(action="decline" if answer.action == "decline" else "cancel")

    async def _asked(self, question: Ask) -> Answer:
        talk = self._talks.now()
        if talk is None:
            if self._talks.ask is None:
                return Answer("decline")
            return await self._fitting(question, self._talks.ask)
        if question.mode == "url":
            talk.urls.add(question.server_id)

        async def work(use: Use) -> Answer:
            return await self._fitting(question, use.ask)

        return await talk.run(work)

    async def _fitting(self, question: Ask, ask: Any) -> Answer:
        """An answer; one that does not fit its form is asked for again, with what is wrong with it."""
        message = question.message
        async with self._lock:
            for _ in range(TRIES):
                answer: Answer = await ask(replace(question, message=message))
                wrong = _complaint(question, answer)
                if not wrong:
                    return answer
                message = f"{question.message}\n\nThe last answer can't be used: {wrong}"
        return Answer("cancel")

    async def opened(self, elicitation_id: str) -> None:
        """The server says that what a person was to do at an address is done."""
        if talk := self._talks.about(elicitation_id):
            await talk.note(f"{self._label}: what was to be done in the browser is done\n")


def _question(params: "types.ElicitRequestParams", meta: Any) -> Ask:
    told = {name: value for name, value in dict(meta or {}).items() if name != "progressToken"}
    message = clipped(params.message, MESSAGE)
    if params.mode == "url":
        identity = params.elicitation_id or ""
        return Ask(message, mode="url", url=params.url, server_id=identity, meta=told, durable=False)
    return Ask(message, schema=params.requested_schema, meta=told, durable=False)


def _complaint(question: Ask, answer: Answer) -> str:
    """What of an answer does not fit its form; a form that is none takes everything that can be sent."""
    # Heavy, and seldom wanted: not loaded at start.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from mcp import types

    if answer.action != "accept" or question.mode == "url":
        return ""
    content = answer.content or {}
    try:
        Draft202012Validator.check_schema(question.schema or {})
        error = best_match(Draft202012Validator(question.schema or {}).iter_errors(content))
        if error is not None:
            place = ".".join(str(step) for step in error.absolute_path)
            return f"{place}: {error.message[:300]}" if place else error.message[:300]
    except Exception as wrong:
        log.debug("a form can't be used: %s", wrong)
    try:
        types.ElicitResult(action="accept", content=content)
    except ValueError:
        return "its values may be texts, numbers, yes and no, and lists of texts"
    return ""
