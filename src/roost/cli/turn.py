"""One turn as a client of `/api` sees it, shown on a terminal."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, TextIO
from urllib.parse import quote

import httpx2
from msgspec import Struct

from roost.cli.telling import Telling, call_line
from roost.core.errors import BadValue

CODES = {"normal": 0, "error": 1, "canceled": 130}
CUT_OFF = 1

_NOBODY = "Nobody was there to approve it."


class Person(Protocol):
    """Whoever sits at the terminal, if anybody does."""

    @property
    def there(self) -> bool:
        """Whether questions can be put at all."""
        ...

    async def ask(self, question: str) -> str:
        """What was typed; "" at the end of input."""
        ...


class Refused(BadValue):
    """The server said no."""


class Request(Struct, frozen=True):
    """What to ask of whom."""

    agent: str  # the id of a source
    prompt: str
    model: str = ""
    working_dir: str = ""
    approved: bool = False  # run every tool unasked
    session: str = ""  # that it is to go on with; "" is a new one
    agent_name: str = ""  # of the source's team; "" is the one that it names
    hide_results: bool = False  # of tools


class Turn:
    """Asks, prints the answer to `out` and all else to `err`, and puts what comes up to `person`.

    With `raw` every event goes to `out` instead, a line of JSON each.  `elsewhere` is how others are told to answer
    what comes up, where they can: then nothing is asked here, and nothing refused.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        person: Person,
        *,
        out: TextIO,
        err: TextIO,
        raw: bool = False,
        elsewhere: str = "",
    ) -> None:
        self.session = ""
        self.telling = Telling(out, err, raw=raw)
        self._elsewhere = elsewhere
        self._client = client
        self._person = person
        self._err = err

    async def run(self, request: Request) -> int:
        """Run one turn in a new session, or the one that is named; the exit code says how it ended.

        Raises:
            Refused: the server did not take it.
        """
        self.telling.quiet = request.hide_results
        self.session = request.session or (await self._call("POST", "/api/sessions", _template(request)))["id"]
        if request.session and (now := await self._call("GET", f"/api/sessions/{self.session}/snapshot"))["streaming"]:
            said = {"messages": [{"role": "user", "content": request.prompt}]}
            await self._call("POST", f"/api/sessions/{self.session}/followup", said)
            return await self.follow(self.session, since=now["last_event_seq"], once=True)
        body: dict[str, Any] = {"messages": [{"role": "user", "content": request.prompt}]}
        if request.model:
            body["model"] = request.model
        path = f"/api/sessions/{self.session}/agent/{quote(request.agent, safe='')}"
        if request.agent_name:
            path += f"/{quote(request.agent_name, safe='')}"
        async with self._client.stream("POST", path, json=body) as response:
            return await self._play(response, once=False)

    async def follow(self, session: str, *, since: int = 0, once: bool = False) -> int:
        """Show what happens in a session; `once`: to the end of its turn, else to the end of the stream."""
        self.session = session
        self.telling.heard = not once
        path = f"/api/sessions/{session}/events"
        async with self._client.stream("GET", path, params={"since": since}) as response:
            return await self._play(response, once=once)

    async def _play(self, response: httpx2.Response, *, once: bool) -> int:
        """Show a stream; how the last turn of it has ended."""
        if response.is_error:
            raise Refused(_message(response, await response.aread()))
        code = CUT_OFF
        async for event in events(response):
            self.telling.show(event)
            await self._answer(event)
            if event.get("type") == "stream_stopped" and event.get("session_id") == self.session:
                code = CODES.get(event.get("reason") or "normal", 1)
                if once and not (await self._call("GET", f"/api/sessions/{self.session}/status"))["streaming"]:
                    break
        self.telling.end_line()
        return code

    async def cancel(self) -> None:
        """Ask for the end of the turn; one that has ended is no error."""
        if self.session:
            await self._client.post(f"/api/sessions/{self.session}/cancel")

    async def ended(self) -> None:
        """Wait until the session's turn has written its end."""
        if not self.session:
            return
        now = await self._call("GET", f"/api/sessions/{self.session}/snapshot")
        if not now["streaming"]:
            return
        since = {"since": now["last_event_seq"]}
        async with self._client.stream("GET", f"/api/sessions/{self.session}/events", params=since) as response:
            if response.is_error:
                return
            async for event in events(response):
                if event.get("type") == "stream_stopped" and event.get("session_id") == self.session:
                    return

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        response = await self._client.request(method, path, json=body)
        if response.is_error:
            raise Refused(_message(response, response.content))
        return response.json()

    # -- what is asked --------------------------------------------------------------------------

    async def _answer(self, event: Mapping[str, Any]) -> None:
        if self._elsewhere:
            self.telling.point(event, self._elsewhere)
            return
        match event.get("type"):
            case "tool_call_confirmation":
                await self._approve(event["tool_call"], _why(event.get("metadata") or {}))
            case "max_iterations_reached":
                await self._go_on(event["max_iterations"])
            case "budget_exceeded":
                await self._spend(event["message"], event["request_id"])
            case "elicitation_request":
                await self._elicit(event)
            case _:
                pass

    async def _approve(self, call: Mapping[str, Any], reason: str) -> None:
        answer: dict[str, str] = {"confirmation": "reject", "reason": _NOBODY}
        self.telling.called(call)
        if reason and not self.telling.raw:
            self.telling.say(reason)
        if self._person.there:
            whole = call_line(call, None)  # nobody should approve what they do not see
            answer = _APPROVALS.get(await self._ask(f"Run {whole}?  [y]es, [a]lways, [n]o: "), _NO)
        else:
            self.telling.say(
                f"refused: {call_line(call)} needs an approval, and nobody is here; --yolo allows every tool"
            )
        await self._call("POST", f"/api/sessions/{self.session}/resume", answer)

    async def _go_on(self, limit: int) -> None:
        go_on = self._person.there and await self._ask(f"{limit} iterations are done.  Go on?  [y]es, [n]o: ") == "y"
        if not go_on:
            self.telling.say(f"stopped after {limit} iterations")
        confirmation = "approve" if go_on else "reject"
        await self._call("POST", f"/api/sessions/{self.session}/resume", {"confirmation": confirmation})

    async def _spend(self, message: str, wait: str) -> None:
        spend = self._person.there and await self._ask(f"{message}  [y]es, [n]o: ") == "y"
        if not spend:
            self.telling.say(f"stopped: {message.partition('. ')[0]}")
        confirmation = "approve" if spend else "reject"
        await self._call("POST", f"/api/waits/{wait}", {"confirmation": confirmation})

    async def _elicit(self, event: Mapping[str, Any]) -> None:
        answer: dict[str, Any] = {"action": "decline"}
        if self._person.there:
            self.telling.say(f"? {event['message']}")
            answer = await self._fill(event)
        else:
            self.telling.say(f"declined: {event['message']} (nobody is here to answer)")
        if event.get("elicitation_id"):
            answer["elicitation_id"] = event["elicitation_id"]
        await self._call("POST", f"/api/sessions/{self.session}/elicitation", answer)

    async def _fill(self, event: Mapping[str, Any]) -> dict[str, Any]:
        if event.get("url"):
            self.telling.say(f"  {event['url']}")
            done = await self._ask("Open it, then press Enter; [n]o declines: ") != "n"
            return {"action": "accept" if done else "decline"}
        schema = event.get("schema") or {}
        required = schema.get("required", [])
        content: dict[str, Any] = {}
        for name, field in schema.get("properties", {}).items():
            typed = (await self._person.ask(f"  {_field_line(name, field)}: ")).strip()
            if typed:
                content[name] = _typed(typed, field)
            elif name in required and "default" not in field:
                return {"action": "decline"}
            elif "default" in field:
                content[name] = field["default"]
        return {"action": "accept", "content": content}

    async def _ask(self, question: str) -> str:
        self.telling.end_line()
        typed = await self._person.ask(question)
        if not typed.endswith("\n"):
            self._err.write("\n")  # the end of input leaves the question's line open
        return typed.strip().lower()[:1]


_NO = {"confirmation": "reject"}
_APPROVALS = {"y": {"confirmation": "approve"}, "a": {"confirmation": "approve-session"}, "n": _NO}


async def events(response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    """The events of a stream.  Lines end at LF alone: JSON may hold what else counts as a line's end."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


def _template(request: Request) -> dict[str, Any]:
    template: dict[str, Any] = {"tools_approved": request.approved}
    if request.working_dir:
        template["working_dir"] = request.working_dir
    return template


def _message(response: httpx2.Response, body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {response.status_code}"


def _why(metadata: Mapping[str, Any]) -> str:
    """What the server says about a call that needs an approval."""
    reason, label = str(metadata.get("reason", "")), str(metadata.get("safety_label", ""))
    return f"looks {label}: {reason}" if reason and label else reason


def _field_line(name: str, field: Mapping[str, Any]) -> str:
    title = field.get("title") or field.get("description") or name
    choices = field.get("enum")
    return f"{title} ({', '.join(map(str, choices))})" if choices else str(title)


def _typed(text: str, field: Mapping[str, Any]) -> Any:
    match field.get("type"):
        case "boolean":
            return text.lower() in ("y", "yes", "true", "1")
        case "integer" | "number" | "array" | "object":
            try:
                return json.loads(text)
            except ValueError:
                return text
    return text
