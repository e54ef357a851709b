"""The toolsets of an agent over its turns: tried again, heard anew, and asked by people."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from engine.fakes import PHONE, FakeAgents, FakeTool, Floor, World, answers, kinds, make_team, open_world, said
from roost.core import events as e
from roost.core.agents import Agent, ToolsetSpec
from roost.core.errors import NothingWaits, ToolsetFailed
from roost.core.ids import LogId
from roost.engine.toolbox import defers
from roost.ports import Ask, CallPiece, Place, Toolset

pytestmark = pytest.mark.anyio

AGENT = Agent(
    "root", model="fake", instruction="Be brief.", toolsets=(ToolsetSpec("broken"), ToolsetSpec("mcp", name="crm"))
)
CALL = [CallPiece(0, "call-1", "look", "{}")]


@dataclass
class Server:
    """A toolset that has something to say once it was asked for its tools."""

    made: list[FakeTool] = field(default_factory=lambda: [FakeTool("look")])
    failure: str = ""
    instructions: str = ""
    busy: bool = False
    commands: tuple[e.Command, ...] = ()
    asking: Callable[[], Awaitable[object]] | None = None

    async def tools(self) -> Sequence[FakeTool]:
        if self.asking is not None:
            await self.asking()
        if self.failure:
            raise ToolsetFailed(self.failure)
        self.instructions, self.commands = "Mind the step.", (e.Command("crm:greet", "Greets"),)
        return list(self.made)

    async def say(self, name: str, rest: str) -> str:
        return f"Greet {rest}"


@dataclass
class Shop:
    """Opens one server for each entry of type `mcp`; entries of type `broken` as often as a test says."""

    server: Server = field(default_factory=Server)
    works: bool = False
    tried: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    closed: int = 0

    @asynccontextmanager
    async def open(self, spec: ToolsetSpec, place: Place) -> AsyncIterator[Toolset]:
        self.tried.append(spec.type)
        self.places.append(place)
        if spec.type == "broken" and not self.works:
            raise ToolsetFailed("not yet")
        async with anyio.create_task_group() as tasks:  # which has to end in the task that began it
            yield self.server if spec.type == "mcp" else Server([FakeTool("late")])
            tasks.cancel_scope.cancel()
        self.closed += 1


@asynccontextmanager
async def opened(tmp_path: Path, *script: object, shop: Shop) -> AsyncIterator[World]:
    team = make_team(AGENT)
    steps = answers(*script) if script else lambda _: ["hello"]  # type: ignore[arg-type]
    async with open_world(Floor("memory", tmp_path), script=steps, team=team) as world:
        world.makers.toolsets.open = shop.open  # type: ignore[method-assign]
        yield world


def warned(facts: Sequence[e.Fact]) -> list[str]:
    return [fact.message for fact in facts if isinstance(fact, e.Warned)]


async def test_what_could_not_be_opened_is_tried_again_at_each_turn(tmp_path: Path) -> None:
    shop = Shop()
    async with opened(tmp_path, shop=shop) as world:
        session = await world.session()
        why = "toolset 'broken' is not available: not yet"
        for _ in range(2):
            assert warned(await world.play(session, "hi")) == [why]
        assert shop.tried == ["broken", "mcp", "broken"]
        shop.works = True
        facts = await world.play(session, "hi")
        assert warned(facts) == []
        assert [fact.count for fact in facts if isinstance(fact, e.ToolsShown)] == [2, 2]
        assert [tool.name for tool in world.provider.requests[-1].tools] == ["late", "look"]  # in the file's order
        assert warned(await world.play(session, "hi")) == []
        assert shop.tried == ["broken", "mcp", "broken", "broken"]
        (live,) = world.supervisor.lives()
        await world.supervisor.drop(live)
        assert shop.closed == 2


async def test_a_server_that_is_not_there_is_told_once_in_a_turn(tmp_path: Path) -> None:
    shop = Shop(Server(failure="no crm"), works=True)
    call = [CallPiece(0, "call-1", "late", "{}")]
    async with opened(tmp_path, call, ["one"], call, ["two"], ["three"], shop=shop) as world:
        session = await world.session()
        for _ in range(2):
            facts = await world.play(session, "hi")
            assert kinds(facts).count("ModelAsked") == 2
            assert warned(facts) == ["tools are missing: no crm"]
        shop.server.failure = ""
        assert warned(await world.play(session, "hi")) == []


async def test_what_servers_say_of_their_use_is_in_the_first_request(tmp_path: Path) -> None:
    async with opened(tmp_path, shop=Shop()) as world:
        await world.play(await world.session(), "hi")
    system = [message.content for message in world.provider.requests[0].messages if message.role == "system"]
    assert system == ["Be brief.", "Mind the step."]


async def test_what_an_agent_is_told_is_that_of_the_turn(tmp_path: Path) -> None:
    shop = Shop(works=True)
    async with opened(tmp_path, shop=shop) as world:
        agents = world.makers.agents
        assert isinstance(agents, FakeAgents)
        agents.one = make_team(replace(AGENT, add_date=True))
        session = await world.session()
        for _ in range(2):
            await world.play(session, "hi")
            world.clock.wind(86_400)
    told = [[m.content for m in request.messages if m.role == "system"] for request in world.provider.requests]
    assert told[0] != told[1] and len(told[0]) == len(told[1]) == 4
    assert shop.tried == ["broken", "mcp"]


async def test_prompts_of_servers_are_commands(tmp_path: Path) -> None:
    async with opened(tmp_path, shop=Shop()) as world:
        session = await world.session()
        facts = await world.play(session, "/crm:greet Ada")
        assert said(world.provider.requests[0]) == [("user", "Greet Ada")]
        teams = [fact for fact in facts if isinstance(fact, e.TeamShown)]
        assert [[c.name for c in team.agents[0].commands] for team in teams] == [[], ["crm:greet"]]
        again = await world.play(session, "/crm:greet Eve")
        assert [fact for fact in again if isinstance(fact, e.TeamShown)] == teams[1:]
        assert (await world.talk(session))[2] == ("user", "Greet Eve")


async def test_a_toolset_asks_a_person_outside_of_any_call(tmp_path: Path) -> None:
    shop, heard = Shop(works=True), list[object]()
    async with opened(tmp_path, shop=shop) as world:

        async def ask() -> None:
            place = shop.places[-1]
            assert place.ask is not None
            heard.append(await place.ask(Ask("Log in?")))

        shop.server.asking = ask
        session = await world.session()
        await world.ask(session, "hi")
        (wait,) = (await world.waiting(session)).waits
        assert (wait.kind, wait.call) == ("question", "")
        await world.service.waits.answer(PHONE, wait.id, action="accept", content={"n": 1})
        shop.server.asking = None
        await world.ended(session)
        (answer,) = heard
        assert isinstance(answer, e.Answer) and answer.content == {"n": 1}


async def test_a_question_whose_asker_is_gone_is_void(tmp_path: Path) -> None:
    shop = Shop(works=True)
    async with opened(tmp_path, shop=shop) as world:

        async def ask() -> None:
            place = shop.places[-1]
            assert place.ask is not None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(functools.partial(place.ask, Ask("Log in?")))
                await world.waiting(session)
                tasks.cancel_scope.cancel()

        shop.server.asking = ask
        session = await world.session()
        await world.ask(session, "hi")
        await world.until_fact(session, e.WaitVoided)
        shop.server.asking = None
        assert (await world.ended(session)).outcome == "normal"
        assert await world.facts(session, e.WaitVoided) == [
            e.WaitVoided((await world.facts(session, e.WaitOpened))[0].wait, "nobody waits for the answer any more")
        ]


async def test_nobody_is_asked_once_the_turn_is_over(tmp_path: Path) -> None:
    shop = Shop(works=True)
    async with opened(tmp_path, shop=shop) as world:
        session = await world.session()
        await world.play(session, "hi")
        place = shop.places[-1]
        assert place.ask is not None and place.tell is not None
        with pytest.raises(NothingWaits):
            await place.ask(Ask("Is anybody there?"))
        await place.tell(e.Warned("lost", "root"))
        assert "lost" not in warned(await world.facts(session))
        assert (await world.store.head(LogId(session))).turn is None


@pytest.mark.parametrize(
    ("defer", "hidden"),
    [(True, {"crm_a", "crm_b"}), (("a",), {"crm_a"}), (("crm_b",), {"crm_b"}), (("crm",), set()), (False, set())],
)
def test_deferred_tools_are_named_with_or_without_their_prefix(defer: bool | tuple[str, ...], hidden: set[str]) -> None:
    spec = ToolsetSpec("mcp", name="crm", defer=defer)
    assert {name for name in ("crm_a", "crm_b") if defers(spec, name)} == hidden
