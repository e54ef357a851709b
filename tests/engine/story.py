"""A team that does a little of everything in one turn: what its model says, its tools, its hook."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import anyio

from engine import sound
from engine.fakes import ME, FakeTool, Floor, World, open_world
from roost.core import events as e
from roost.core.agents import Agent, Hook, Matcher, Team, ToolsetSpec
from roost.core.ids import LogId
from roost.core.messages import Message, Result
from roost.core.session import Head
from roost.engine import summary as summaries
from roost.engine.prompt import SUMMARY
from roost.engine.recovery import Policy
from roost.ports import Ask, ModelRequest, Place, Ran, Task, Use
from roost.testing import fakes
from roost.testing.fakes import Step

WINDOW = 4000  # tokens of its model
ONCE = ("pay", "cut", "hidden")
"""The tools that may run once."""

LONG = "word " * 2960  # more than nine tenths of the window
REWRITTEN = {"by": "the hook"}


def call(tool: str, index: int = 0, id: str = "", **arguments: str) -> Any:
    """A tool call with these arguments."""
    return fakes.call(tool, json.dumps(arguments), index=index, id=id)


def crew() -> Team:
    """Root gives a task to lead, who gives one to coder; then it hands over to mate, whom closer has to follow."""
    tools, hidden = ToolsetSpec("fake"), ToolsetSpec("fake", defer=("hidden",))
    hooks = {"pre_tool_use": (Matcher((Hook("command", "rewrite"),), "edit"),)}
    names = ("lead", "coder")
    agents = {n: Agent(n, model="fake", instruction=f"I am {n}.", toolsets=(tools,)) for n in names}
    agents["mate"] = Agent("mate", model="fake", instruction="I am mate.", force_handoff="closer")
    agents["closer"] = Agent("closer", model="fake", instruction="I am closer.")
    root = Agent("root", model="fake", instruction="I am root.", toolsets=(hidden,), hooks=hooks)
    return Team("crew", "hash-1", (root, *agents.values()))


def script(request: ModelRequest) -> Sequence[Step]:
    """What each of them says: it depends on the request alone, as a model's answer does."""
    if request.messages[0].content == summaries.TASK:
        return ["What ", "was said."]
    who = request.messages[0].content.removeprefix("I am ").removesuffix(".")
    return _SCRIPTS[who](request, sum(m.role == "tool" for m in request.messages))


def _root(request: ModelRequest, results: int) -> Sequence[Step]:
    if any(m.content.startswith(SUMMARY) for m in request.messages) or results >= 6:
        return [call("over"), call("look", 1), call("pay", 2, "pay_late")]
    match results:
        case 0:
            task = call("hand", 3, agent="lead")
            return ["I'll ", "look.", call("look"), call("pay", 1, "pay_root"), call("edit", 2, "call_1"), task]
        case 4:
            return [call("add_tool", name="hidden")]
        case _:
            return [call("hidden")]


def _lead(request: ModelRequest, results: int) -> Sequence[Step]:
    return ["lead is done"] if results else [call("pay", 0, "pay_lead"), call("hand", 1, agent="coder")]


def _coder(request: ModelRequest, results: int) -> Sequence[Step]:
    return ["coder ", "is done"] if results else [call("look"), call("cut", 1, "call_1"), call("who", 2)]


_SCRIPTS: dict[str, Callable[[ModelRequest, int], Sequence[Step]]] = {
    "root": _root,
    "lead": _lead,
    "coder": _coder,
    "mate": lambda *_: ["mate was here"],
    "closer": lambda *_: ["closer ", "was here"],
}


class Rewriting:
    """A hook that gives a call other arguments."""

    async def run(self, hook: Hook, given: dict[str, Any], place: Place) -> Ran:
        await anyio.lowlevel.checkpoint()
        return Ran(0, json.dumps({"hook_specific_output": {"updated_input": REWRITTEN}}))


def hands() -> dict[str, FakeTool]:
    """The tools of all of them."""

    async def give(arguments: dict[str, Any], use: Use) -> Result:
        return await use.delegate(Task(arguments["agent"], "the task"))

    async def ask(_: dict[str, Any], use: Use) -> str:
        return f"it was {(await use.ask(Ask('Who?'))).action}"

    async def over(_: dict[str, Any], use: Use) -> str:
        await use.hand_over("mate")
        return "it is yours"

    async def edit(arguments: dict[str, Any], use: Use) -> str:
        return f"edited by {arguments.get('by')}"

    async def read(_: dict[str, Any], use: Use) -> str:
        return LONG

    tools = [
        FakeTool("look", effect="safe"),
        FakeTool("pay"),
        FakeTool("edit", edit, effect="ask", read_only=False),
        FakeTool("cut", read_only=False),
        FakeTool("who", ask, effect="safe"),
        FakeTool("hand", give, effect="safe"),
        FakeTool("hidden", read),
        FakeTool("over", over, effect="safe"),
    ]
    return {tool.name: tool for tool in tools}


class Run:
    """What has come of a session."""

    def __init__(self, events: list[e.Event], said: Sequence[Message], ran: Sequence[tuple[str, str]]) -> None:
        self.events = events
        self.facts = [event.fact for event in events if isinstance(event.fact, e.Base)]
        self.said = [(message.call_id or message.role, message.content) for message in said]  # in the session itself
        self.ran = ran  # the calls of tools that may run once, as often as they ran
        ends = [fact for fact in self.facts if isinstance(fact, e.TurnEnded) and not fact.sub]
        self.outcome = ends[-1].outcome if ends else ""


async def see_through(world: World, log: LogId, until: int) -> None:
    """Answer all that waits, until the turn has ended or so many facts are there."""

    def stop(head: Head) -> bool:
        return head.turn is None or head.last_seq >= until

    with anyio.fail_after(20):
        while not stop(await world.until(log, lambda head: stop(head) or head.waits)):
            for record in await world.service.waits.open(ME):
                how = {"action": "accept"} if record.fact.kind == "question" else {"confirmation": "approve"}
                await world.service.waits.answer(ME, record.id, **how)


async def play(
    floor: Floor,
    left: Sequence[e.Event] = (),
    *,
    log: str = "",
    policy: Policy = "resume",
    cancel: bool = False,
    dies_after: int = 1_000_000,
    note: str = "",
) -> Run:
    """A turn to its end, or until the server dies; with `left` or a log it is one that a dead server has left."""
    name = LogId(log)
    if left:
        name = await floor.lay([event.fact for event in left], left[0].log)
    tools = hands()
    made = {"script": script, "tools": tuple(tools.values()), "team": crew(), "hooks": Rewriting(), "policy": policy}
    async with open_world(floor, **made) as world:
        if name:
            await world.recovery.settle()
            await world.recovery.resume()
        else:
            name = LogId(await world.session())
            await world.ask(name, "go")
        if cancel:
            await world.service.turns.cancel(ME, name)
            await world.ended(name)
        await see_through(world, name, dies_after)
        head, events = await world.store.head(name), await world.events(name)
        if head.turn is None:
            await world.still(name)
            sound.check(events, head, note)
        items = (await world.history(name)).items
    said = [item.message for item in items if item.message is not None]
    return Run(events, said, [(name, call) for name in ONCE for call, _ in tools[name].runs])
