"""Tools that run beside the model's calls: for a slash command, in somebody's message."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from roost.core import events as e
from roost.core.commands import Request
from roost.core.errors import NothingWaits
from roost.core.ids import CallId
from roost.core.messages import Result, ToolCall
from roost.core.session import OpenCall
from roost.engine.arguments import read
from roost.engine.leave import Desk, Refused
from roost.engine.outcome import attempted, finished
from roost.engine.spending import spending
from roost.engine.stage import Stage
from roost.ports import Ask, Finished, ModelRequest, Office, Provider, Task


async def run_aside(stage: Stage, request: Request) -> str:
    """What a tool says to a command; a refusal and a failure are texts, too.

    The call's name is the same after a restart, so that a person is asked once.
    """
    tool = stage.ready.tools.get(request.tool)
    name = hashlib.sha256("\0".join((stage.turn.id, request.tool, request.arguments)).encode()).hexdigest()[:16]
    call = ToolCall(CallId(f"aside_{name}"), request.tool, request.arguments)
    if tool is None:
        return f"(there is no tool {request.tool})"
    leave = await Desk(stage, stage.ear.answer).decide(call, tool, OpenCall(call.id, call.name))
    if isinstance(leave, Refused):
        return leave.result.output
    if isinstance(arguments := read(leave.call), str):
        return f"({arguments})"
    with stage.ear.at_work():
        result = await attempted(tool, arguments, _Aside(stage, leave.call.id))
        return (await finished(stage, leave.call, tool, result)).output


class _Aside:
    """What such a tool may ask of the engine: nothing that changes the conversation."""

    def __init__(self, stage: Stage, call: CallId) -> None:
        self._stage = stage
        self.call = call
        self.attempt = 1

    async def output(self, text: str) -> None:
        """It is not shown."""

    async def ask(self, question: Ask) -> e.Answer:
        raise NothingWaits("a slash command's tool can't ask")

    async def delegate(self, task: Task) -> Result:
        return Result("A slash command's tool can't give tasks away.", is_error=True)

    async def hand_over(self, agent: str) -> None:
        raise NothingWaits("a slash command's tool can't hand over")

    async def choose_model(self, ref: str) -> None:
        raise NothingWaits("a slash command's tool can't choose a model")

    def spending(
        self, provider: Provider, request: ModelRequest
    ) -> AbstractAsyncContextManager[Callable[[Finished], None]]:
        return spending(self._stage, provider, request)

    def office(self) -> Office:
        raise NothingWaits("a slash command's tool has no other sessions")
