"""The tool calls of one answer: decide, ask, run, return.

They run at the same time; people are asked one at a time; results enter the history in call order.
"""

import logging
from collections.abc import Sequence
from typing import Any

import anyio
import msgspec

from roost.core import approvals
from roost.core import events as e
from roost.core.ids import CallId, WaitId, fresh
from roost.core.messages import Definition, Result, ToolCall
from roost.core.session import OpenCall
from roost.engine.stage import Stage
from roost.engine.waiting import Park
from roost.ports import Ask, Tool

log = logging.getLogger(__name__)

UNAVAILABLE = "Tool '{}' is not available. You can only use the tools provided to you."
REJECTED = "The user rejected the tool call."
LOST = (
    "The server stopped while this tool was running. It was not run again, and whether it did its work is not known: "
    "look before you try once more."
)


class Calls:
    """Plays the open calls of the newest answer to their end."""

    def __init__(self, stage: Stage, calls: Sequence[ToolCall]) -> None:
        self._stage = stage
        self._calls = calls
        self._open = {call.id: call for call in stage.turn.calls}
        self._prompt = anyio.Lock()
        self._order = anyio.Lock()
        self._returned = {call.id for call in stage.turn.calls if call.state == "returned"}
        self._waiting = [call.id for call in calls if call.id in self._open]  # for their place in the history

    async def play(self) -> None:
        """Return when each call has its result in the history.

        Raises:
            Park: all that is left waits for a person whom nobody expects soon.
        """
        if self._returned:
            await self._enter()
        try:
            async with anyio.create_task_group() as tasks:
                for call in self._calls:
                    if call.id in self._open and call.id not in self._returned:
                        tasks.start_soon(self._one, call, self._open[call.id], name=f"{call.name} {call.id}")
        except BaseExceptionGroup as group:
            parked, rest = group.split(Park)
            if rest is None and parked is not None:
                raise Park from None
            raise

    async def _one(self, call: ToolCall, opened: OpenCall) -> None:
        tool = self._stage.ready.tools.get(call.name)
        if tool is None:
            await self._return(call, Result(UNAVAILABLE.format(call.name), is_error=True))
            return
        match opened.state:
            case "called":  # it had asked a person, and was parked with its question
                await self._run(call, tool, opened.attempt, again=True)
            case "lost" if opened.effect == "safe":
                await self._run(call, tool, opened.attempt + 1)
            case "lost" if opened.effect == "once":
                await self._return(call, Result(LOST, is_error=True))
            case "lost":
                refusal = await self._asked(call, approvals.Ask("lost", {"lost": "true", "reason": LOST}))
                await self._run_unless(refusal, call, tool, opened.attempt + 1)
            case _:
                await self._run_unless(await self._refusal(call, tool.definition), call, tool, 1)

    async def _run_unless(self, refusal: Result | None, call: ToolCall, tool: Tool, attempt: int) -> None:
        if refusal is not None:
            await self._return(call, refusal)
        else:
            await self._run(call, tool, attempt)

    async def _refusal(self, call: ToolCall, definition: Definition) -> Result | None:
        """Why the call may not run; None when it may."""
        verdict = self._verdict(call, definition)
        if isinstance(verdict, approvals.Ask):
            async with self._prompt:
                verdict = self._verdict(call, definition)  # a grant may have come meanwhile
                if isinstance(verdict, approvals.Ask):
                    return await self._asked(call, verdict)
        return Result(verdict.message, is_error=True) if isinstance(verdict, approvals.Deny) else None

    def _verdict(self, call: ToolCall, definition: Definition) -> approvals.Verdict:
        if any(wait.call == call.id for wait in self._stage.journal.head.waits) or self._answered(call.id):
            return approvals.Ask("asked before the restart", {})
        head = self._stage.journal.head
        return approvals.decide(
            call, definition, session=head.permissions, team=self._stage.ready.team.permissions, safety=head.safety
        )

    def _answered(self, call: CallId) -> bool:
        return any(a.call == call and a.kind == "approval" for a in self._stage.turn.answers)

    async def _asked(self, call: ToolCall, ask: approvals.Ask) -> Result | None:
        """What a person says to it: None lets it run."""
        head = self._stage.journal.head
        known = [w.id for w in head.waits if w.call == call.id and w.kind == "approval"]
        known += [a.id for a in self._stage.turn.answers if a.call == call.id and a.kind == "approval"]
        wait = known[0] if known else WaitId(fresh())
        if not known:
            digest = self._stage.ready.digests.get(call.name, "")
            agent = self._stage.turn.agent
            await self._stage.journal.write(
                e.WaitOpened(wait, "approval", agent, call=call, definition=digest, metadata=ask.metadata)
            )
        answer = await self._stage.ear.answer(wait)
        if answer.action == "approve":
            return None
        reason = f" Reason: {answer.reason.strip()}" if answer.reason.strip() else ""
        return Result(REJECTED + reason, is_error=True)

    async def _run(self, call: ToolCall, tool: Tool, attempt: int, *, again: bool = False) -> None:
        stage = self._stage
        try:
            arguments = _arguments(call)
        except ValueError as error:
            await self._return(call, Result(f"Error calling tool: {error}", is_error=True))
            return
        if stage.stopping:
            await anyio.sleep_forever()  # the server is on its way out; the turn goes on after the restart
        digest = stage.ready.digests.get(call.name, "")
        if not again:
            effect = tool.definition.effect
            await stage.journal.write(e.ToolCalled(call, effect, stage.turn.agent, attempt, digest))
        with stage.ear.at_work():  # until the result is committed
            await self._return(call, await _result(tool, arguments, _Use(stage, call, attempt, digest)))

    async def _return(self, call: ToolCall, result: Result) -> None:
        digest = self._stage.ready.digests.get(call.name, "")
        async with self._order:
            self._returned.add(call.id)
            await self._stage.journal.write(
                e.ToolReturned(call, result, self._stage.turn.agent, digest), *self._entering()
            )

    async def _enter(self) -> None:
        if facts := self._entering():
            await self._stage.journal.write(*facts)

    def _entering(self) -> list[e.Fact]:
        """The messages whose turn has come: call order, whatever the order of the ends."""
        facts: list[e.Fact] = []
        while self._waiting and self._waiting[0] in self._returned:
            facts.append(e.MessageAdded(call=self._waiting.pop(0), agent=self._stage.turn.agent))
        return facts


async def _result(tool: Tool, arguments: dict[str, Any], use: "_Use") -> Result:
    """What the tool returns; a failure is a result that the model can read."""
    try:
        return await tool.run(arguments, use)
    except Park:
        raise
    except Exception as error:
        if isinstance(error, ExceptionGroup) and error.subgroup(Park):
            raise Park from None
        log.exception("tool %s failed", tool.definition.name, extra={"action": "tool_failed"})
        return Result(f"Error calling tool: {error}", is_error=True)


class _Use:
    """What a running call may ask of the engine (`ports.Use`)."""

    def __init__(self, stage: Stage, call: ToolCall, attempt: int, digest: str) -> None:
        self._stage = stage
        self._call = call
        self._attempt = attempt
        self._digest = digest
        self._questions = 0

    @property
    def call(self) -> CallId:
        return self._call.id

    @property
    def attempt(self) -> int:
        return self._attempt

    async def output(self, text: str) -> None:
        agent = self._stage.turn.agent
        await self._stage.journal.post(e.OutputAdded(self._call.id, text, agent, self._digest))

    async def ask(self, question: Ask) -> e.Answer:
        """The n-th question of a call that runs again has the n-th answer that it was given before."""
        stage, ear = self._stage, self._stage.ear
        known = [a.id for a in stage.turn.answers if a.call == self._call.id and a.kind == "question"]
        known += [w.id for w in stage.journal.head.waits if w.call == self._call.id and w.kind == "question"]
        wait = known[self._questions] if self._questions < len(known) else await self._open(question)
        self._questions += 1
        ear.working -= 1
        try:
            return await ear.answer(wait)
        finally:
            ear.working += 1

    async def _open(self, question: Ask) -> WaitId:
        wait = WaitId(fresh())
        await self._stage.journal.write(
            e.WaitOpened(
                wait,
                "question",
                self._stage.turn.agent,
                call=self._call,
                definition=self._digest,
                message=question.message,
                mode=question.mode,
                schema=question.schema,
                url=question.url,
                server_id=question.server_id,
                meta=question.meta,
                durable=question.durable,
            )
        )
        return wait


def _arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments as data.

    Raises:
        ValueError: the text is no JSON object.
    """
    if not call.arguments.strip():
        return {}
    try:
        arguments = msgspec.json.decode(call.arguments)
    except msgspec.DecodeError as error:
        raise ValueError(f"the arguments are not valid JSON ({error}): {call.arguments[:200]}") from None
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments must be a JSON object, not: {call.arguments[:200]}")
    return arguments
