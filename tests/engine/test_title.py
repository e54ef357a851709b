"""Titles: asked for beside the first turn, and never in anybody's way."""

import anyio
import pytest

from engine.fakes import ME, Floor, make_team, open_world
from roost.core import events as e
from roost.core.agents import Agent, Fallback, ModelSpec
from roost.core.errors import ModelFailed
from roost.core.ids import LogId
from roost.engine.title import first_line
from roost.ports import ModelRequest
from roost.testing.fakes import Script

pytestmark = pytest.mark.anyio


def titling(*steps: object) -> Script:
    """A model that says `ok`, and these steps when it is asked for a title."""

    def script(request: ModelRequest) -> list:
        return list(steps) if request.max_tokens == 20 else ["ok"]

    return script


async def test_a_session_without_a_title_gets_one(each_floor: Floor) -> None:
    async with open_world(each_floor, script=titling('\r\n "Tidy ', 'up"\nmore'), titles=True) as world:
        session = await world.session()
        await world.play(session, "clean", "my desk", "please")
        await world.until_fact(session, e.TitleSet)
        head = await world.store.head(LogId(session))
        assert (head.title, head.titled_by) == ("Tidy up", "model")
        (asked,) = [r for r in world.provider.requests if r.max_tokens == 20]
        assert asked.messages[-1].content.endswith("1. my desk\n2. please")
        assert (asked.tools, asked.thinking) == ((), False)
        used = await world.facts(session, e.UsageAdded)
        assert {fact.why for fact in used} == {"answer", "title"}
        assert head.cost == pytest.approx(sum(fact.cost for fact in used)) == pytest.approx(used[-1].total_cost)
        assert (head.input_tokens, head.output_tokens) == (15, 2)  # the title's are no context of the session's
        await world.play(session, "again")
        assert len([r for r in world.provider.requests if r.max_tokens == 20]) == 1
        assert [fact.title for fact in await world.facts(session, e.TitleShown)] == ["Tidy up"]


async def test_a_title_that_a_person_gave_meanwhile_wins(each_floor: Floor) -> None:
    gate = anyio.Event()
    async with open_world(each_floor, script=titling(gate, "Model's"), titles=True) as world:
        session = await world.session()
        await world.play(session, "hi")
        await world.service.sessions.set_title(ME, session, "Mine")
        gate.set()
        await world.service.sessions.delete(ME, session, wait=10)  # (nothing else says that the title was refused)
        assert [fact.title for fact in await world.facts(session, e.TitleSet)] == ["Mine"]


async def test_a_title_given_at_birth_is_said_first(floor: Floor) -> None:
    async with open_world(floor, script=titling("never"), titles=True) as world:
        session = await world.session(title=" Mine ")
        facts = await world.play(session, "hi")
        assert facts[2] == e.TitleShown("Mine")
        assert all(request.max_tokens is None for request in world.provider.requests)


async def test_the_model_that_the_file_names_for_titles_comes_first_then_the_agents_and_its_fallbacks(
    floor: Floor,
) -> None:
    team = make_team(Agent("root", model="fake", fallback=Fallback(models=("bad", "spare"))))
    async with open_world(floor, script=titling(ModelFailed("no", kind="auth")), titles=True, team=team) as world:
        world.provider.spec = ModelSpec("fake", "fake", "one", "scripted", title_model="small")
        small = world.models.add("small", lambda _: [" "], titles=True)
        world.models.add("spare", lambda _: ["A spare title"], titles=True)
        session = await world.session()
        await world.play(session, "hi")
        await world.until_fact(session, e.TitleSet)
        head = await world.store.head(LogId(session))
        assert head.title == "A spare title"
        assert [request.max_tokens for request in small.requests] == [20]
        used = [fact for fact in await world.facts(session, e.UsageAdded) if fact.why == "title"]
        assert [fact.model for fact in used] == ["fake/small", "fake/spare"]  # an empty one costs, too
        assert head.cost == pytest.approx(sum(fact.cost for fact in await world.facts(session, e.UsageAdded)))


async def test_a_title_that_came_too_late_is_paid_for_all_the_same(floor: Floor) -> None:
    gate = anyio.Event()
    async with open_world(floor, script=titling(gate, "Model's"), titles=True) as world:
        session = await world.session()
        await world.play(session, "hi")
        await world.service.sessions.set_title(ME, session, "Mine")
        gate.set()
        await world.until_fact(session, lambda fact: isinstance(fact, e.UsageAdded) and fact.why == "title")
        assert (await world.store.head(LogId(session))).title == "Mine"


@pytest.mark.parametrize("steps", [[ModelFailed("no", kind="auth")], ["\n \n"]])
async def test_a_failure_harms_nothing_and_the_next_turn_tries_again(floor: Floor, steps: list[object]) -> None:
    async with open_world(floor, script=titling(*steps), titles=True) as world:
        session = await world.session()
        for n in (1, 2):
            assert (await world.play(session, "hi"))[-1].outcome == "normal"
            while len([r for r in world.provider.requests if r.max_tokens == 20]) < n:
                await anyio.sleep(0)
        assert not await world.facts(session, e.TitleSet)


async def test_the_turn_does_not_wait_for_its_title(floor: Floor) -> None:
    async with open_world(floor, script=titling(anyio.Event()), titles=True) as world:
        session = await world.session()
        assert (await world.play(session, "hi"))[-1].outcome == "normal"


@pytest.mark.parametrize(
    ("said", "title"), [("A\nB", "A"), ("\r\n\n  'A b' \n", "A b"), ('"', ""), ("", ""), ("  \n ", "")]
)
def test_the_first_line_counts(said: str, title: str) -> None:
    assert first_line(said) == title
