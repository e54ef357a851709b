"""An agent elsewhere: a message to it, and what becomes of that."""

import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import anyio
import httpx2

from roost.ports import Use
from roost.tools.a2a.answer import Answer
from roost.tools.a2a.card import Card
from roost.tools.tool import Refused
from roost.tools.web import Request, Web
from roost.wire import jsonrpc, sse
from roost.wire.lines import TooLong

PATIENCE = 900.0  # seconds for a whole task
IDLE = 120.0  # seconds of silence in a stream, after which the task is asked for
REPLY = 120.0  # seconds for one answer
LARGEST = 16 * 1024 * 1024  # bytes of a reply or of a stream
FIRST, LONGEST = 0.25, 5.0  # seconds between two looks at a task
_GOODBYE = 5.0  # seconds for a cancellation
_SHOWN = 64 * 1024  # characters that are shown while it works

_TYPES = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


class Peer:
    """The agent behind a card."""

    def __init__(self, card: Card, web: Web) -> None:
        self._card = card
        self._web = web

    async def say(self, text: str, use: Use, *, skill: str, context: str, task: str) -> Answer:
        """Send a message, and wait until the task that comes of it waits for us or has ended.

        When this is cancelled, or takes too long, the task is.

        Raises:
            Refused: it went wrong.
        """
        answer = Answer()
        params = _message(text, use, skill=skill, context=context, task=task)
        try:
            with anyio.fail_after(PATIENCE):
                if self._card.streams:
                    await self._stream(params, answer, use)
                else:
                    answer.feed(await self._ask("message/send", params))
                await self._finish(answer)
        except TimeoutError:
            await self._cancel(answer)
            raise Refused(f"{self._card.name} has not finished within {PATIENCE:g} s; the task was cancelled") from None
        except anyio.get_cancelled_exc_class():
            await self._cancel(answer)
            raise
        return answer

    async def _stream(self, params: Any, answer: Answer, use: Use) -> None:
        """Take what comes until the task rests, the stream ends or is silent for too long."""
        with anyio.move_on_after(IDLE) as patience:
            try:
                async with aclosing(self._events("message/stream", params)) as results:
                    await self._follow(results, answer, use, patience)
            except Refused:
                if not answer.task:  # else the task goes on, and can be asked for
                    raise

    async def _follow(self, results: AsyncIterator[Any], answer: Answer, use: Use, patience: anyio.CancelScope) -> None:
        room = _SHOWN
        async for result in results:
            new = answer.feed(result)
            if new and room > 0:
                await use.output(new[:room])
                room -= len(new)
            if answer.over:
                return
            patience.deadline = anyio.current_time() + IDLE

    async def _finish(self, answer: Answer) -> None:
        """Ask for a task that is still under way, less and less often."""
        if not answer.begun:
            raise Refused(f"{self._card.name} has ended the stream without an answer")
        wait = FIRST
        while not answer.over:
            await anyio.sleep(wait)
            wait = min(wait * 1.5, LONGEST)
            answer.feed(await self._ask("tasks/get", {"id": answer.task}))

    async def _cancel(self, answer: Answer) -> None:
        if not answer.task or answer.over:
            return
        # It is told, and that is all that we can do.
        with anyio.CancelScope(shield=True), anyio.move_on_after(_GOODBYE), suppress(Refused):
            await self._ask("tasks/cancel", {"id": answer.task})

    # -- requests -------------------------------------------------------------------------------

    async def _ask(self, method: str, params: Any) -> Any:
        reply = await self._web.ask(self._request(method, params), timeout=REPLY, most=LARGEST)
        if reply.cut:
            raise Refused(f"{self._card.name} answered with more than {LARGEST} bytes")
        if not reply.good:
            raise Refused(f"{self._card.name} answered HTTP {reply.words}: {_error(reply.body)}")
        return self._result(reply.body)

    async def _events(self, method: str, params: Any) -> AsyncGenerator[Any, None]:
        """The results in a stream; an answer that is none is the only one."""
        async with self._web.opened(self._request(method, params)) as response:
            if not response.is_success:
                start = await _start(response)
                raise Refused(f"{self._card.name} answered HTTP {response.status_code}: {_error(start)}")
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                yield self._result(await _start(response, LARGEST))
                return
            parser, size = sse.Parser(LARGEST), 0
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > LARGEST:
                    raise Refused(f"{self._card.name} answered with more than {LARGEST} bytes")
                try:
                    events = parser.feed(chunk)
                except TooLong as error:
                    raise Refused(f"{self._card.name} sent an event that can't be read: {error}") from None
                for event in events:
                    yield self._result(event.data)

    def _request(self, method: str, params: Any) -> Request:
        body = jsonrpc.line(jsonrpc.Request(uuid.uuid4().hex, method, params)).encode()
        return Request(self._card.url, "POST", _TYPES, body)

    def _result(self, body: bytes) -> Any:
        try:
            message = jsonrpc.parse(body)
        except jsonrpc.Malformed as error:
            raise Refused(f"{self._card.name} answered with what is no JSON-RPC: {error}") from None
        match message:
            case jsonrpc.Reply(result=result):
                return result
            case jsonrpc.Failure(message=text, code=code):
                raise Refused(f"{self._card.name}: {text[:1000] or 'error'} ({code})")
        raise Refused(f"{self._card.name} asked in place of answering")


def _message(text: str, use: Use, *, skill: str, context: str, task: str) -> dict[str, Any]:
    """The parameters of a message; a call that runs again sends the same one."""
    message: dict[str, Any] = {
        "kind": "message",
        "role": "user",
        "messageId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"roost {use.call}")),
        "parts": [{"kind": "text", "text": text}],
    }
    more = {"contextId": context, "taskId": task}
    message |= {name: value for name, value in more.items() if value}
    # Not blocking: so the task has a name from the beginning, and can be cancelled.
    wishes = {"acceptedOutputModes": ["text/plain", "application/json"], "blocking": False}
    given = {"message": message, "configuration": wishes}
    return {**given, "metadata": {"skillId": skill}} if skill else given


async def _start(response: httpx2.Response, most: int = 64 * 1024) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > most:
            if most == LARGEST:
                raise Refused(f"the answer is longer than {LARGEST} bytes")
            break
    return bytes(body[:most])


def _error(body: bytes) -> str:
    """What an error's body says."""
    try:
        found = json.loads(body)
        return str(found["error"]["message"])[:500]
    except (ValueError, KeyError, TypeError, RecursionError):
        return body[:500].decode(errors="replace").strip()
