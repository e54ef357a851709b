"""The tool calls of one answer: decide, ask, run, return.

They run at the same time; people are asked one at a time; results enter the history in call order.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

import anyio
from anyio.abc import TaskGroup
from msgspec.structs import replace

from roost.core import events as e
from roost.core.errors import AgentNotFound, NothingWaits
from roost.core.ids import CallId, WaitId
from roost.core.messages import Result, ToolCall
from roost.core.session import OpenCall
from roost.engine.arguments import read
from roost.engine.asked import put
from roost.engine.bulkhead import open_group
from roost.engine.bureau import Bureau
from roost.engine.delegation import delegate
from roost.engine.ear import Park
from roost.engine.firing import STOPPED, add
from roost.engine.leave import LOST, Desk, Granted, Refused
from roost.engine.outcome import attempted, finished
from roost.engine.outlet import Outlet
from roost.engine.spending import spending
from roost.engine.stage import Stage
from roost.ports import Ask, Finished, ModelRequest, Office, Provider, Task, Tool

log = logging.getLogger(__name__)

UNAVAILABLE = "Tool '{}' is not available. You can only use the tools provided to you."


class Calls:
    """Plays the open calls of the newest answer to their end."""

    def __init__(self, stage: Stage, calls: Sequence[ToolCall]) -> None:
        self._stage = stage
        self._open = {call.id: call for call in stage.turn.calls}
        self._calls = [call for call in calls if call.id in self._open]
        self._desk = Desk(stage, self.answer)
        self._returned = {call.id for call in stage.turn.calls if call.state == "returned"}
        self._waiting = [call.id for call in self._calls]  # for their place in the history
        self._tasks: TaskGroup | None = None
        self.stop = ""  # why the run is to end, where a hook says so
        self._parked = False

    async def play(self) -> None:
        """Return when each call has its result in the history.

        Raises:
            Park: all that is left waits for a person whom nobody expects soon.
        """
        if facts := self._entering():
            await self._stage.journal.write(*facts)
        left = [call for call in self._calls if call.id not in self._returned]
        left.sort(key=lambda call: not self._known(call.id, "approval"))  # what waits already has the prompt
        async with open_group() as self._tasks:
            for call in left:
                self._tasks.start_soon(self._one, call, self._open[call.id], name=f"{call.name} {call.id}")
        if self._parked:
            raise Park

    async def answer(self, wait: WaitId) -> e.Answer:
        """What a person says; when that takes too long, all calls go to sleep and nothing returns."""
        try:
            return await self._stage.ear.answer(wait)
        except Park:
            await self._park()
            raise

    async def _park(self) -> None:
        """Put all calls to sleep; does not return."""
        assert self._tasks is not None
        self._parked = True
        self._tasks.cancel_scope.cancel()
        await anyio.sleep_forever()

    async def _one(self, call: ToolCall, opened: OpenCall) -> None:
        tool = self._stage.ready.tools.get(call.name)
        if opened.state == "lost" and opened.effect == "once":
            await self._return(call, Result(LOST, is_error=True))
        elif tool is None:
            text = UNAVAILABLE.format(call.name) if opened.state == "new" else LOST
            await self._return(call, Result(text, is_error=True))
        elif isinstance(arguments := read(call), str):
            await self._return(call, Result(f"Error calling tool: {arguments}", is_error=True))
        elif opened.state == "called":  # it had asked a person, and was parked with its question
            changed = replace(call, arguments=opened.changed) if opened.changed else call
            await self._run(Granted(changed, ""), tool, opened.attempt)
        elif isinstance(leave := await self._desk.decide(call, tool, opened), Refused):
            await self._return(call, leave.result, leave.source)
        else:
            await self._run(leave, tool, opened.attempt + 1)

    def _known(self, call: CallId, kind: e.Kind) -> list[WaitId]:
        """The waits of a call that a person was shown already, the answered ones first."""
        answered = [a.id for a in self._stage.answers if a.call == call and a.kind == kind]
        return answered + [w.id for w in self._stage.waits if w.call == call and w.kind == kind]

    # -- running --------------------------------------------------------------------------------

    async def _run(self, leave: Granted, tool: Tool, attempt: int) -> None:
        """Run it; ToolCalled is committed first, unless this attempt has been."""
        stage, call = self._stage, leave.call
        if stage.stopping:
            await anyio.sleep_forever()  # the server is on its way out; the turn goes on after the restart
        if isinstance(arguments := read(call), str):
            await self._return(call, Result(f"Error calling tool: {arguments}", is_error=True))
            return
        digest = stage.ready.digests.get(call.name, "")
        with stage.ear.at_work():  # until the result is committed
            if attempt != self._open[call.id].attempt:
                effect, agent = tool.definition.effect, stage.turn.agent
                await stage.journal.write(e.ToolCalled(stage.seen(call), effect, agent, attempt, digest, leave.source))
            use = _Use(self, stage, call, attempt, digest)
            try:
                result = await attempted(tool, arguments, use)
            except Park:  # in a sub-session
                await self._park()
                raise
            await use.close()
            result = await finished(stage, call, tool, result)
            await self._return(call, result)
            await self._after(call, tool, result)

    async def _after(self, call: ToolCall, tool: Tool, result: Result) -> None:
        """Hooks that look at what a tool has done, and may add to it or end the run."""
        verdict = await self._stage.fire(
            "post_tool_use",
            call=call,
            definition=tool.definition,
            tool_response=result.output,
            tool_error=result.is_error,
        )
        await add(self._stage, "post_tool_use", verdict)
        if verdict.stop or self._stage.halted:
            self.stop = verdict.stop_reason or self._stage.halted or STOPPED

    async def _return(self, call: ToolCall, result: Result, leave: str = "") -> None:
        """Commit a result, and the messages whose turn has come.  Cancellation waits: it is there."""
        stage = self._stage
        digest = stage.ready.digests.get(call.name, "")
        with anyio.CancelScope(shield=True):
            self._returned.add(call.id)
            left = [w for w in stage.waits if w.call == call.id]
            voided = [e.WaitVoided(wait.id, "its tool call is over", sub=wait.sub) for wait in left]
            returned = e.ToolReturned(stage.seen(call), result, stage.turn.agent, digest, leave)
            await stage.journal.write(*voided, returned, *self._entering())

    def _entering(self) -> list[e.Fact]:
        """The messages whose turn has come: call order, whatever the order of the ends."""
        facts: list[e.Fact] = []
        while self._waiting and self._waiting[0] in self._returned:
            facts.append(e.MessageAdded(call=self._waiting.pop(0), agent=self._stage.turn.agent))
        return facts

    async def ask(self, call: ToolCall, digest: str, asked: int, question: Ask) -> e.Answer:
        """Put a tool's question to a person; `asked` is how many it has asked before.

        The n-th question of a call that runs again has the n-th answer that it was given before.
        """
        known = self._known(call.id, "question")
        if not known[asked:] and self._stage.turn.unattended:
            raise NothingWaits("nobody is there to answer")
        wait = known[asked] if asked < len(known) else await put(self._stage, question, call, digest)
        with self._stage.ear.at_work(-1 if question.durable else 0):
            return await self.answer(wait)


class _Use:
    """What a running call may ask of the engine (`ports.Use`)."""

    def __init__(self, calls: Calls, stage: Stage, call: ToolCall, attempt: int, digest: str) -> None:
        self._calls = calls
        self._stage = stage
        self._call = call
        self._attempt = attempt
        self._digest = digest
        self._questions = 0
        self._outlet = Outlet(stage.makers.redactor if stage.ready.agent.redact_secrets else None)

    @property
    def call(self) -> CallId:
        return self._call.id

    @property
    def attempt(self) -> int:
        return self._attempt

    async def output(self, text: str) -> None:
        await self._show(self._outlet.feed(text))

    async def close(self) -> None:
        """Nothing more is shown: let go of what was held back."""
        await self._show(self._outlet.rest())

    async def _show(self, text: str) -> None:
        if text:
            agent = self._stage.turn.agent
            await self._stage.journal.post(e.OutputAdded(self._call.id, text, agent, self._digest))

    async def ask(self, question: Ask) -> e.Answer:
        self._questions += 1
        return await self._calls.ask(self._call, self._digest, self._questions - 1, question)

    async def delegate(self, task: Task) -> Result:
        return await delegate(self._stage, self._call, task)

    async def hand_over(self, agent: str) -> None:
        team, turn = self._stage.ready.team, self._stage.turn
        if team.agent(agent) is None:
            raise AgentNotFound(agent, tuple(a.name for a in team.agents))
        await self._stage.journal.write(e.HandedOver(agent, turn.agent))

    async def choose_model(self, ref: str) -> None:
        ready = self._stage.ready
        if ref:
            self._stage.makers.models.provider(ready.team, ref)
        await self._stage.journal.write(e.ModelChosen(ready.agent.name, ref))

    def spending(
        self, provider: Provider, request: ModelRequest
    ) -> AbstractAsyncContextManager[Callable[[Finished], None]]:
        return spending(self._stage, provider, request)

    def office(self) -> Office:
        return Bureau(self._stage)
