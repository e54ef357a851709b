"""One answer of a model: what is kept of it, and when it is asked for again."""

import anyio
import pytest

from engine.fakes import ME, Floor, answers, cut, kinds, open_world, said
from roost.core import events as e
from roost.core.errors import ModelFailed
from roost.ports import Finished
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio


def limited(after: float | None) -> ModelFailed:
    return ModelFailed("slow down", kind="rate_limit", status=429, retry_after=after)


async def test_a_cut_stream_is_taken_back_and_asked_for_anew(each_floor: Floor) -> None:
    async with open_world(each_floor, script=answers(["Hel", cut()], ["Hello"])) as world:
        session = await world.session()
        await world.ask(session, "hi")
        await world.clock.until_asleep(0.1, 1)
        world.clock.wind(1)
        await world.ended(session)
        events = await world.events(session)
        asked = [event for event in events if isinstance(event.fact, e.ModelAsked)]
        (dropped,) = await world.facts(session, e.AnswerDropped)
        assert [event.fact.attempt for event in asked] == [1, 2]
        assert (dropped.answer, dropped.first_seq) == (asked[0].fact.answer, asked[0].seq)
        added = await world.facts(session, e.MessageAdded)
        assert [fact.answer for fact in added] == [asked[1].fact.answer]
        assert await world.talk(session) == [("user", "hi"), ("assistant", "Hello")]


async def test_a_stream_without_its_end_counts_as_cut(floor: Floor) -> None:
    async with open_world(floor, script=answers(["Hello"])) as world:

        async def stream(request):
            world.provider.requests.append(request)
            yield call("look") if len(world.provider.requests) > 1 else Finished("stop")

        session = await world.session()
        world.provider.stream = stream
        facts = await world.play(session, "hi")
        assert facts[-1].outcome == "normal"
        await world.ask(session, "again")
        for _ in range(2):
            await world.clock.until_asleep(0.1, 1)
            world.clock.wind(1)
        await world.ended(session)
        assert [f.code for f in await world.facts(session, e.ErrorMet)] == ["model_error"]


async def test_before_the_first_word_nothing_has_to_be_taken_back(floor: Floor) -> None:
    async with open_world(floor, script=answers([limited(7)], ["Hello"])) as world:
        session = await world.session()
        await world.ask(session, "hi")
        await world.clock.until_asleep(7, 7)  # what the provider asked for
        world.clock.wind(7)
        await world.ended(session)
        assert not await world.facts(session, e.AnswerDropped)
        assert len(await world.facts(session, e.ModelAsked)) == 2


async def test_a_wait_of_minutes_is_not_granted(floor: Floor) -> None:
    async with open_world(floor, script=answers([limited(3600)], ["Hello"])) as world:
        session = await world.session()
        await world.ask(session, "hi")
        await world.clock.until_asleep(60, 60)
        world.clock.wind(60)
        assert (await world.ended(session)).messages == 2


async def test_when_nothing_helps_the_turn_ends_with_the_last_error(each_floor: Floor) -> None:
    script = answers(["a", cut("one")], ["b", cut("two")], ["c", cut("three")])
    async with open_world(each_floor, script=script) as world:
        session = await world.session()
        await world.ask(session, "hi")
        for _ in range(2):
            await world.clock.until_asleep(0.1, 1)
            world.clock.wind(1)
        await world.ended(session)
        facts = await world.facts(session)
        assert kinds(facts[-3:]) == ["AnswerDropped", "ErrorMet", "TurnEnded"]
        assert len([fact for fact in facts if isinstance(fact, e.AnswerDropped)]) == 3
        assert (facts[-2].message, facts[-1].outcome) == ("three", "error")
        assert await world.talk(session) == [("user", "hi")]


@pytest.mark.parametrize(
    ("kind", "code"), [("auth", "model_error"), ("client", "model_error"), ("overflow", "context_exceeded")]
)
async def test_what_no_other_try_can_help_is_not_tried_again(floor: Floor, kind: str, code: str) -> None:
    async with open_world(floor, script=answers([ModelFailed("no", kind=kind)])) as world:
        session = await world.session()
        facts = await world.play(session, "hi")
        assert [f.code for f in facts if isinstance(f, e.ErrorMet)] == [code]
        assert kinds(facts).count("ModelAsked") == 1


async def test_the_next_request_has_the_whole_conversation(floor: Floor) -> None:
    async with open_world(floor, script=answers(["Hello"], ["Fine"])) as world:
        session = await world.session()
        await world.play(session, "hi")
        await world.play(session, "how are you?")
        assert said(world.provider.requests[1]) == [("user", "hi"), ("assistant", "Hello"), ("user", "how are you?")]


async def test_a_dropped_request_is_closed(floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(floor, script=answers(["Hel", never])) as world:
        session = await world.session()
        await world.ask(session, "hi")
        await world.until_fact(session, e.TextAdded)
        await world.service.turns.cancel(ME, session)
        await world.ended(session)
        assert world.provider.dropped == 1
