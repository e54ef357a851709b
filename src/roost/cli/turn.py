"""One turn in a session of its own, shown on a terminal; what comes up in it is put to whoever sits there."""

import json
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import Any, Protocol, TextIO

from msgspec import Struct

from roost.cli.telling import Telling, call_line
from roost.client import happenings as h
from roost.client.answers import Turn as Course
from roost.client.client import Client
from roost.client.errors import Refused
from roost.client.following import Frame
from roost.client.happenings import Happening
from roost.core.errors import ServerFailed

CODES = {"normal": 0, "error": 1, "canceled": 130}

_NOBODY = "Nobody was there to approve it."
_LATE = (404, 409)  # what waited waits no more


class Person(Protocol):
    """Whoever sits at the terminal, if anybody does."""

    @property
    def there(self) -> bool:
        """Whether questions can be put at all."""
        ...

    async def ask(self, question: str) -> str:
        """What was typed; "" at the end of input."""
        ...


class Request(Struct, frozen=True):
    """What to ask of whom."""

    agent: str  # the id of a source
    prompt: str
    model: str = ""
    working_dir: str = ""
    approved: bool = False  # run every tool unasked
    session: str = ""  # that it is to go on with; "" is a new one
    agent_name: str = ""  # of the source's team; "" is the one that it names


class Turn:
    """Asks, prints the answer to `out` and all else to `err`, and puts what comes up to `person`.

    With `raw` every event goes to `out` instead, a line of JSON each.  `elsewhere` is how others are told to answer
    what comes up, where they can: then nothing is asked here, and nothing refused.
    """

    def __init__(
        self,
        client: Client,
        person: Person,
        *,
        out: TextIO,
        err: TextIO,
        raw: bool = False,
        quiet: bool = False,
        elsewhere: str = "",
    ) -> None:
        self.session = ""
        self._since = 0  # what happens in the turn is behind it
        self._elsewhere = elsewhere
        self._client = client
        self._person = person
        self._telling = Telling(out, err, quiet=quiet)
        self._out = out
        self._err = err
        self._raw = raw

    async def run(self, request: Request) -> int:
        """Run one turn in a new session, or the one that is named; the exit code says how it ended.

        Raises:
            Refused: the server did not take it.
            Unreachable: it is gone.
        """
        since = self._since = await self._started(request)
        course = Course(self.session)
        async with aclosing(self._client.frames(self.session, since)) as frames:
            async for frame in frames:
                await self._take(frame)
                course.take(frame.happening)
                if course.over and not (request.session and await self._goes_on()):
                    break
        self._telling.end_line()
        return CODES.get(course.answer().reason, 1)

    async def follow(self, session: str, since: int) -> None:
        """Tell what happens in a session, and who says what, until it is no more."""
        self.session, self._telling.heard = session, True
        async with aclosing(self._client.frames(session, since)) as frames:
            async for frame in frames:
                await self._take(frame)
        self._telling.end_line()

    async def _started(self, request: Request) -> int:
        """Have a turn; what happens in it is behind the number that this returns."""
        if not request.session:
            made = await self._client.create(tools_approved=request.approved, working_dir=request.working_dir or None)
            self.session = made.id
            try:
                return await self._client.start(made.id, request.agent, request.prompt, model=request.model, since=0)
            except Refused:
                self.session = ""
                with suppress(ServerFailed):  # nothing has begun: no empty session stays in the list
                    await self._client.delete(made.id)
                raise
        self.session = request.session
        if (now := await self._client.snapshot(self.session, last=1)).streaming:  # it goes on by itself: after that
            await self._client.followup(self.session, request.prompt)
            return now.last_event_seq
        return await self._client.start(
            self.session, request.agent, request.prompt, agent_name=request.agent_name, model=request.model
        )

    async def _goes_on(self) -> bool:
        return (await self._client.state(self.session)).streaming

    async def _take(self, frame: Frame) -> None:
        self._show(frame.data, frame.happening)
        await self._answer(frame.happening)

    async def cancel(self) -> None:
        """End the turn, and wait until its end is written."""
        if not self.session:
            return
        with suppress(Refused):  # it has ended, or never began
            await self._client.cancel(self.session)
            course = Course(self.session)
            async with aclosing(self._client.follow(self.session, self._since)) as happenings:
                async for happening in happenings:
                    course.take(happening)
                    if course.over:
                        return

    def say(self, line: str) -> None:
        """A line on `err`."""
        self._telling.say(line)

    def _show(self, data: bytes, happening: Happening) -> None:
        if not self._raw:
            self._telling.show(happening)
            return
        self._out.write(json.dumps(json.loads(data), ensure_ascii=self._out.isatty()) + "\n")
        self._out.flush()

    # -- what is asked --------------------------------------------------------------------------

    async def _answer(self, happening: Happening) -> None:
        if self._elsewhere:
            self._telling.point(happening, self._elsewhere)
            return
        answer: Mapping[str, Any]
        match happening:
            case h.ToolCallConfirmation():
                answer = await self._approve(happening)
            case h.MaxIterationsReached(max_iterations=limit):
                answer = await self._go_on(f"{limit} iterations are done.  Go on?", f"stopped after {limit} iterations")
            case h.BudgetExceeded(message=message):
                answer = await self._go_on(message, f"stopped: {message.partition('. ')[0]}")
            case h.ElicitationRequest():
                answer = await self._elicit(happening)
            case _:
                return
        try:
            await self._client.answer(happening.request_id, **answer)
        except Refused as error:
            if error.status not in _LATE:
                raise

    async def _approve(self, asked: h.ToolCallConfirmation) -> Mapping[str, str]:
        call = asked.tool_call
        self._telling.called(call)
        if (reason := _why(asked.metadata)) and not self._raw:
            self.say(reason)
        if self._person.there:
            whole = call_line(call, None)  # nobody should approve what they do not see
            return _APPROVALS.get(await self._ask(f"Run {whole}?  [y]es, [a]lways, [n]o: "), _NO)
        self.say(f"refused: {call_line(call)} needs an approval, and nobody is here; --yolo allows every tool")
        return {"confirmation": "reject", "reason": _NOBODY}

    async def _go_on(self, question: str, stopped: str) -> Mapping[str, str]:
        if self._person.there and await self._ask(f"{question}  [y]es, [n]o: ") == "y":
            return {"confirmation": "approve"}
        self.say(stopped)
        return {"confirmation": "reject"}

    async def _elicit(self, asked: h.ElicitationRequest) -> Mapping[str, Any]:
        if not self._person.there:
            self.say(f"declined: {asked.message} (nobody is here to answer)")
            return {"action": "decline"}
        self.say(f"? {asked.message}")
        if asked.url:
            self.say(f"  {asked.url}")
            done = await self._ask("Open it, then press Enter; [n]o declines: ") != "n"
            return {"action": "accept" if done else "decline"}
        return await self._fill(asked.schema or {})

    async def _fill(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
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
        self._telling.end_line()
        typed = await self._person.ask(question)
        if not typed.endswith("\n"):
            self._err.write("\n")  # the end of input leaves the question's line open
        return typed.strip().lower()[:1]


_NO = {"confirmation": "reject"}
_APPROVALS = {"y": {"confirmation": "approve"}, "a": {"confirmation": "approve-session"}, "n": _NO}


def _why(metadata: Mapping[str, str]) -> str:
    """What the server says about a call that needs an approval."""
    reason, label = metadata.get("reason", ""), metadata.get("safety_label", "")
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
