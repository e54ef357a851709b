"""Tasks for other agents: nested in one log, at any depth, over crashes and cancels."""

import json
from collections.abc import Iterable
from typing import Any

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, kinds, open_world
from roost.core import events as e
from roost.core.agents import Agent, Team, ToolsetSpec
from roost.core.ids import LogId, SessionId
from roost.core.messages import Result
from roost.ports import ModelRequest, Task, Use
from roost.testing import fakes

pytestmark = pytest.mark.anyio

TOOLS = (ToolsetSpec("fake"),)


def team(*names: str, **changes: Any) -> Team:
    """A team whose agents all have the same tools."""
    agents = tuple(Agent(name, model="fake", instruction=f"I am {name}.", toolsets=TOOLS) for name in names)
    return Team("crew", "hash-1", agents, **changes)


async def _give(arguments: dict[str, Any], use: Use) -> Result:
    return await use.delegate(Task(arguments["agent"], f"<task>{arguments['task']}</task>"))


def hand() -> FakeTool:
    """Gives its task to the agent that it names."""
    return FakeTool("hand", _give, effect="safe")


def call(name: str, *, index: int = 0, **arguments: str) -> Any:
    """A tool call with these arguments."""
    return fakes.call(name, json.dumps(arguments), index=index)


def cutter() -> FakeTool:
    """Asks a person before it runs."""
    return FakeTool("cut", read_only=False)


def speaker(request: ModelRequest) -> str:
    """Whose instruction a request begins with."""
    return request.messages[0].content.removeprefix("I am ").removesuffix(".")


def chain(*names: str, last: Iterable[Any] = ("done",)) -> Any:
    """A script in which each agent hands the task to the next one, and then says what it got."""

    def script(request: ModelRequest) -> Iterable[Any]:
        who = speaker(request)
        if request.messages[-1].role == "tool":
            return [f"{who} got: {request.messages[-1].content}"]
        place = names.index(who)
        if place + 1 == len(names):
            return list(last)
        return [call("hand", agent=names[place + 1], task=f"for {names[place + 1]}")]

    return script


async def test_a_task_is_a_session_inside_the_session(floor: Floor) -> None:
    async with open_world(floor, team=team("root", "coder"), tools=[hand()], script=chain("root", "coder")) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        subs = {fact.sub for fact in facts if isinstance(fact, e.Base) and fact.sub}
        (sub,) = subs
        outer = kinds([fact for fact in facts if isinstance(fact, e.Base) and not fact.sub])
        inner = kinds([fact for fact in facts if isinstance(fact, e.Base) and fact.sub])
        assert inner == [
            "SessionCreated", "TurnOpened", "MessageWritten", "MessageWritten", "AgentShown", "TeamShown", "ToolsShown",
            "TurnStarted", "ToolsShown", "ModelAsked", "TextAdded", "MessageAdded", "UsageAdded", "TurnEnded",
        ]  # fmt: skip
        middle = outer[outer.index("ToolCalled") : outer.index("ToolReturned") + 1]
        assert middle == [
            "ToolCalled", "AgentSwitched", "SubSessionEnded", "AgentSwitched", "AgentShown", "ToolReturned"
        ]  # fmt: skip
        history = await world.history(session)
        assert history.sub(SessionId(sub)).last_words() == "done"
        assert (await world.talk(session))[-1] == ("assistant", "root got: done")
        asked = world.provider.requests[1]
        assert [(m.role, m.content) for m in asked.messages] == [
            ("system", "I am coder."),
            ("system", "<task>for coder</task>"),
            ("user", "Please proceed."),
        ]
        head = await world.store.head(LogId(session))
        assert (head.subs, head.turn, head.agent) == ((), None, "root")
        assert head.below > 0
        assert head.used_below.output > 0


async def test_three_levels_ask_in_one_list_and_add_up(floor: Floor) -> None:
    asks = cutter()

    def script(request: ModelRequest) -> Iterable[Any]:
        who = speaker(request)
        if request.messages[-1].role == "tool":
            return [f"{who} is done"]
        below = {"root": "lead", "lead": "coder"}.get(who)
        mine = call("cut", deep=who)
        return [mine] if below is None else [mine, call("hand", index=1, agent=below, task="go")]

    async with open_world(floor, team=team("root", "lead", "coder"), tools=[hand(), asks], script=script) as world:
        session = await world.session()
        await world.ask(session, "go")
        head = await world.waiting(session, 3)
        listed = await world.service.waits.open(ME)
        assert len(listed) == 3
        assert {record.log for record in listed} == {head.id}
        assert len({record.session for record in listed}) == 3
        assert [sub.agent for sub in head.below_all()] == ["lead", "coder"]
        for record in listed:
            await world.service.waits.answer(ME, record.id, confirmation="approve")
        head = await world.ended(session)
        spent = [fact.cost for fact in await world.facts(session, e.UsageAdded)]
        assert head.cost + head.below == pytest.approx(sum(spent))
        assert [fact.outcome for fact in await world.facts(session, e.TurnEnded)] == ["normal"] * 3
        assert len(asks.runs) == 3  # though all three calls have the same name
        assert head.outcome == "normal"


async def test_a_cancel_at_the_root_ends_all(floor: Floor) -> None:
    asks = cutter()
    last = [call("cut")]
    script = chain("root", "lead", "coder", last=last)
    async with open_world(floor, team=team("root", "lead", "coder"), tools=[hand(), asks], script=script) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await world.service.turns.cancel(ME, session)
        head = await world.ended(session)
        assert (head.waits, head.subs, head.outcome) == ((), (), "canceled")
        facts = await world.facts(session)
        ends = [fact.sub for fact in facts if isinstance(fact, e.TurnEnded)]
        assert len(ends) == 3
        assert ends[-1] == ""
        assert sum(isinstance(fact, e.SubSessionEnded) for fact in facts) == 2


async def test_after_a_crash_it_goes_on_inside(floor: Floor) -> None:
    asks = cutter()
    crew = team("root", "lead", "coder")

    def script(request: ModelRequest) -> Iterable[Any]:
        if speaker(request) == "coder" and request.messages[-1].role == "tool":
            return ["deep"]
        return chain("root", "lead", "coder", last=[call("cut")])(request)

    async with open_world(floor, team=crew, tools=[hand(), asks], script=script) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await world.crash()
    async with open_world(floor, team=crew, tools=[hand(), asks], script=script) as world:
        await world.recovery.settle()
        await world.recovery.resume()
        (record,) = await world.service.waits.open(ME)
        assert record.session != session
        await world.service.waits.answer(ME, record.id, confirmation="approve")
        head = await world.ended(session)
        assert head.outcome == "normal"
        assert (await world.talk(session))[-1] == ("assistant", "root got: lead got: deep")
        facts = await world.facts(session)
        assert sum(isinstance(fact, e.SessionCreated) for fact in facts) == 3
        assert sum(isinstance(fact, e.CallLost) for fact in facts) == 0
        assert len(asks.runs) == 1


async def test_a_crash_in_an_inner_answer_takes_back_that_answer_alone(floor: Floor) -> None:
    crew = team("root", "coder")
    stuck = anyio.Event()
    async with open_world(
        floor, team=crew, tools=[hand()], script=chain("root", "coder", last=["half", stuck])
    ) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, e.TextAdded)
        await world.crash()
    async with open_world(floor, team=crew, tools=[hand()], script=chain("root", "coder", last=["whole"])) as world:
        await world.recovery.settle()
        await world.recovery.resume()
        await world.ended(session)
        (dropped,) = await world.facts(session, e.AnswerDropped)
        assert dropped.sub
        assert (await world.talk(session))[-1] == ("assistant", "root got: whole")


async def test_a_handover_changes_who_speaks(floor: Floor) -> None:
    async def give(arguments: dict[str, Any], use: Use) -> Result:
        await use.hand_over("coder")
        return Result("it is yours")

    def script(request: ModelRequest) -> Iterable[Any]:
        return [call("over")] if speaker(request) == "root" else ["mine now"]

    over = FakeTool("over", give)
    async with open_world(floor, team=team("root", "coder"), tools=[over], script=script) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        assert [fact.agent for fact in facts if isinstance(fact, e.AgentShown)] == ["root", "coder"]
        assert (await world.talk(session))[-1] == ("assistant", "mine now")
        facts = await world.play(session, "and now?")
        assert [fact.agent for fact in facts if isinstance(fact, e.TurnOpened)] == ["coder"]


async def test_a_forced_handover_goes_on_with_the_next_agent(floor: Floor) -> None:
    agents = (
        Agent("root", model="fake", instruction="I am root.", force_handoff="coder"),
        Agent("coder", model="fake", instruction="I am coder."),
    )
    async with open_world(
        floor, team=Team("crew", "hash-1", agents), script=lambda request: [f"{speaker(request)} was here"]
    ) as world:
        session = await world.session()
        await world.play(session, "go")
        assert [text for role, text in await world.talk(session) if role == "assistant"] == [
            "root was here",
            "coder was here",
        ]


async def test_a_ring_of_tasks_is_refused(floor: Floor) -> None:
    script = chain("root", "coder", "root")
    async with open_world(floor, team=team("root", "coder"), tools=[hand()], script=script) as world:
        session = await world.session()

        def ring(request: ModelRequest) -> Iterable[Any]:
            if request.messages[-1].role == "tool":
                return [f"refused: {'waiting for this very work' in request.messages[-1].content}"]
            return [call("hand", agent={"root": "coder", "coder": "root"}[speaker(request)], task="x")]

        world.provider._script = ring
        await world.play(session, "go")
        assert (await world.talk(session))[-1] == ("assistant", "refused: False")
        subs = {fact.sub for fact in await world.facts(session) if isinstance(fact, e.Base) and fact.sub}
        assert len(subs) == 1


async def test_a_task_may_have_toolsets_of_its_own(floor: Floor) -> None:
    async def give(arguments: dict[str, Any], use: Use) -> Result:
        return await use.delegate(Task("", "by the book", tools=("look",), toolsets=("book",)))

    def script(request: ModelRequest) -> Iterable[Any]:
        if request.messages[-1].role == "tool":
            return ["root is done"]
        return ["done"] if "by the book" in request.messages[1].content else [call("hand")]

    tools = [FakeTool("hand", give, effect="safe"), FakeTool("look")]
    agent = Agent("root", model="fake", instruction="I am root.", toolsets=TOOLS)
    crew = Team("crew", "hash-1", (agent,), groups={"book": (ToolsetSpec("fake", name="book"),)})
    async with open_world(floor, team=crew, tools=tools, script=script) as world:
        session = await world.session()
        await world.play(session, "go")
        (opened,) = [fact for fact in await world.facts(session, e.TurnOpened) if fact.sub]
        assert (opened.tools, opened.toolsets) == (("look",), ("book",))
        assert [[tool.name for tool in request.tools] for request in world.provider.requests] == [
            ["hand", "look"],
            ["look"],
            ["hand", "look"],
        ]
        assert world.toolset.opened == 3  # the agent's for the session, and both for the task
