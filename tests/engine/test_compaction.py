"""Long conversations: when they are summed up, what stays, and what becomes of all that goes wrong."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.fakes import ME, FakeProvider, FakeTool, Floor, World, kinds, make_team, open_world
from roost.core import compaction as rules
from roost.core import estimates
from roost.core import events as e
from roost.core.agents import Agent, Compaction, Fallback, Hook, Matcher, ModelSpec, Team, ToolsetSpec
from roost.core.errors import BadValue, ModelFailed, NotBuilt
from roost.core.history import History, Item
from roost.core.ids import AnswerId, CallId, LogId, SessionId, TurnId
from roost.core.messages import File, Image, Message, Result, Text, ToolCall
from roost.core.retelling import entries, first, fitted, size
from roost.core.usage import Usage
from roost.engine import summary as summaries
from roost.engine.compaction import estimated, filled
from roost.engine.ear import Park
from roost.engine.prompt import LOST_RESULT, SUMMARY, TRUNCATED, Guidance, request
from roost.engine.warden import Warden
from roost.ports import Finished, ModelRequest, Place, Provider, Ran, Task, Use
from roost.testing.fakes import Script, Step, call

pytestmark = pytest.mark.anyio

TOO_LONG = ModelFailed("prompt is too long", kind="overflow")
WINDOW = 4000
WORDS = "word " * 320  # four hundred tokens


@pytest.fixture(autouse=True)
def a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeProvider, "context_limit", WINDOW)


def sums_up(asked: ModelRequest) -> bool:
    """Whether a request is one for a summary."""
    return asked.messages[0].content == summaries.TASK


def honest(
    answer: Callable[[ModelRequest], Sequence[Step]] = lambda _: ["ok"],
    *,
    window: int = WINDOW,
    summary: Sequence[Step] = ("What was said.",),
) -> Script:
    """A model that counts what it reads, and refuses what is more than its window."""

    def script(asked: ModelRequest) -> Sequence[Step]:
        tokens = estimated(asked)
        if tokens > window:
            return [TOO_LONG]
        said = summary if sums_up(asked) else answer(asked)
        return [*said, Finished("stop", Usage(input=tokens, output=5))]

    return script


def one(**changes: Any) -> Team:
    """A team of one agent."""
    return make_team(Agent("root", model="fake", instruction="Be brief.", toolsets=(ToolsetSpec("fake"),), **changes))


def requests(provider: FakeProvider) -> tuple[list[ModelRequest], list[ModelRequest]]:
    """Those for summaries, and the others."""
    asked = [r for r in provider.requests if sums_up(r)]
    return asked, [r for r in provider.requests if not sums_up(r)]


async def talk_on(world: World, session: str, turns: int, text: str = WORDS) -> list[e.Fact]:
    """So many turns of a hundred tokens each; the facts of the last one."""
    facts: list[e.Fact] = []
    for turn in range(turns):
        facts = await world.play(session, f"<{turn}> {text}")
    return facts


async def until_summed(world: World, session: str, text: str = WORDS) -> tuple[int, list[e.Fact]]:
    """Such turns until the history is summed up, or that is tried: the last one's number, and its facts."""
    for turn in range(30):
        facts = await world.play(session, f"<{turn}> {text}")
        if "CompactionStarted" in kinds(facts):
            return turn, facts
    raise AssertionError("it never was")


# -- by threshold -------------------------------------------------------------------------------


async def test_past_the_threshold_the_older_part_is_summed_up(each_floor: Floor) -> None:
    async with open_world(each_floor, script=honest()) as world:
        session = await world.session()
        turn, facts = await until_summed(world, session)
        at = kinds(facts).index("CompactionStarted")
        assert kinds(facts)[at - 1 : at + 5] == [
            *("ToolsShown", "CompactionStarted", "SummaryAdded", "CompactionEnded", "UsageAdded", "ModelAsked"),
        ]
        _, summary, ended, used = facts[at : at + 4]
        (asked,), answered = requests(world.provider)
        assert (ended.outcome, summary.summary, summary.model) == ("applied", "What was said.", "fake/one")
        assert (asked.tools, asked.thinking, len(asked.messages)) == ((), False, 2)
        assert "<0> word" in asked.messages[1].content
        assert f"<{turn}> word" not in asked.messages[1].content
        assert 3200 - 26 < estimated(answered[-2]) <= 3600
        kept = [m for m in answered[-1].messages if m.role != "system"]
        assert kept[0].content == f"{SUMMARY}What was said."
        assert kept[-1].content.startswith(f"<{turn}> ")
        assert len(kept) > 2
        assert estimates.of_messages(kept) == used.input_tokens
        assert (used.why, used.output_tokens, used.context_limit, used.threshold) == ("compaction", 0, WINDOW, 0.9)
        assert estimates.of_messages(kept) <= WINDOW * (rules.KEPT + rules.UNSEEN)


async def test_its_cost_is_counted_once(floor: Floor) -> None:
    async with open_world(floor, script=honest()) as world:
        session = await world.session()
        await until_summed(world, session)
        used = await world.facts(session, e.UsageAdded)
        (summary,) = await world.facts(session, e.SummaryAdded)
        head = await world.store.head(LogId(session))
        assert summary.cost > 0
        assert head.cost == pytest.approx(sum(fact.cost for fact in used)) == pytest.approx(used[-1].total_cost)
        assert head.used.output == 5 * len(used)


async def test_messages_of_a_tool_batch_are_looked_at_before_the_next_request(floor: Floor) -> None:
    def answer(asked: ModelRequest) -> Sequence[Step]:
        results = sum(m.role == "tool" for m in asked.messages)
        return ["done"] if results >= 2 or SUMMARY in asked.messages[1].content else [call("look", id=f"c{results}")]

    async def look(arguments: dict[str, Any], use: Use) -> str:
        await anyio.lowlevel.checkpoint()
        return "x" * 6400  # 1600 tokens

    async with open_world(floor, script=honest(answer), tools=[FakeTool("look", look)]) as world:
        session = await world.session()
        facts = await world.play(session, "look at it " + WORDS)
        assert facts[-1].outcome == "normal"
        (started,) = await world.facts(session, e.CompactionStarted)
        assert started.reason == "threshold"
        last = [m for m in world.provider.requests[-1].messages if m.role != "system"]
        assert [m.role for m in last] == ["user", "user", "assistant", "tool"]  # the newest results were not seen yet
        assert last[1].content.startswith("look at it")


@pytest.mark.parametrize(
    ("agent", "spec", "limit"),
    [
        ({"compaction": Compaction(automatic=False)}, {}, WINDOW),
        ({}, {}, 0),
        ({"compaction": Compaction(threshold=0.99)}, {}, WINDOW),
        ({}, {"compaction_threshold": 0.99}, WINDOW),
    ],
)
async def test_a_file_can_say_when_or_never(floor: Floor, agent: Any, spec: Any, limit: int) -> None:
    def script(asked: ModelRequest) -> Sequence[Step]:
        return ["ok", Finished("stop", Usage(input=3800, output=5))]

    async with open_world(floor, script=script, team=one(**agent)) as world:
        world.provider.spec = ModelSpec("fake", "fake", "one", "scripted", **spec)
        world.provider.context_limit = limit
        session = await world.session()
        await talk_on(world, session, 3, "hi")
        assert not await world.facts(session, e.CompactionStarted)


async def test_the_agents_threshold_outweighs_the_models(floor: Floor) -> None:
    async with open_world(floor, script=honest(), team=one(compaction=Compaction(threshold=0.5))) as world:
        world.provider.spec = ModelSpec("fake", "fake", "one", "scripted", compaction_threshold=0.99)
        session = await world.session()
        await talk_on(world, session, 6)
        assert await world.facts(session, e.SummaryAdded)
        assert {fact.threshold for fact in await world.facts(session, e.UsageAdded)} == {0.5}


async def test_the_next_summary_has_the_one_before(floor: Floor) -> None:
    async with open_world(floor, script=honest()) as world:
        session = await world.session()
        await until_summed(world, session)
        await until_summed(world, session)
        asked, _ = requests(world.provider)
        assert len(asked) == 2
        assert "What was noted before:\nWhat was said." in asked[1].messages[1].content
        assert asked[1].messages[1].content.count("<0> word") == 1


async def test_what_fills_the_window_may_not_be_the_conversation(floor: Floor) -> None:
    team = make_team(Agent("root", model="fake", instruction="rule " * 2920, toolsets=(ToolsetSpec("fake"),)))
    async with open_world(floor, script=honest(), team=team) as world:
        session = await world.session()
        await talk_on(world, session, 3, "hi")  # past the threshold from the start, and nothing would be gained
        assert not await world.facts(session, e.CompactionStarted)


async def test_a_fork_is_measured_by_its_messages(floor: Floor) -> None:
    async with open_world(floor, script=honest()) as world:
        session = await world.session()
        await talk_on(world, session, 6)
        fork = (await world.service.sessions.fork(ME, session, 5)).head.id
        assert (await world.store.head(LogId(fork))).input_tokens > WINDOW  # a sum over its messages
        await world.play(fork, "hi")
        assert not await world.facts(fork, e.CompactionStarted)


# -- on overflow --------------------------------------------------------------------------------


async def test_a_request_that_is_too_long_is_made_again_after_a_summary(each_floor: Floor) -> None:
    async with open_world(each_floor, script=honest(window=2400)) as world:
        world.provider.context_limit = 0  # nobody knows
        session = await world.session()
        turn, facts = await until_summed(world, session)
        assert facts[-1].outcome == "normal"
        at = kinds(facts).index("CompactionStarted")
        assert kinds(facts)[at - 2 : at + 5] == [
            *("ModelAsked", "Warned", "CompactionStarted", "SummaryAdded", "CompactionEnded", "UsageAdded"),
            "ModelAsked",
        ]
        assert facts[at].reason == "overflow"
        assert world.provider.requests[-1].messages[-1].content.startswith(f"<{turn}> ")


async def test_one_overflow_compaction_for_a_successful_request(floor: Floor) -> None:
    def script(asked: ModelRequest) -> Sequence[Step]:
        return ["So far."] if sums_up(asked) else ([TOO_LONG] if len(asked.messages) > 2 else ["ok"])

    async with open_world(floor, script=script) as world:
        session = await world.session()
        await world.play(session, "one")
        facts = await world.play(session, "two")
        assert kinds(facts).count("CompactionStarted") == 1
        assert kinds(facts).count("ModelAsked") == 2
        met = next(fact for fact in facts if isinstance(fact, e.ErrorMet))
        assert met.code == "context_exceeded"
        assert facts[-1].outcome == "error"


async def test_where_nothing_can_be_left_out_the_error_stands(floor: Floor) -> None:
    async with open_world(floor, script=honest(window=200)) as world:
        session = await world.session()
        facts = await world.play(session, WORDS)
        assert not [fact for fact in facts if isinstance(fact, e.CompactionStarted | e.Warned)]
        assert [fact.code for fact in facts if isinstance(fact, e.ErrorMet)] == ["context_exceeded"]
        assert len(world.provider.requests) == 1


async def test_results_that_nobody_has_seen_give_way_where_nothing_else_helps(floor: Floor) -> None:
    def answer(asked: ModelRequest) -> Sequence[Step]:
        return ["done"] if asked.messages[1].content.startswith(SUMMARY) else [call("look")]

    async def look(arguments: dict[str, Any], use: Use) -> str:
        await anyio.lowlevel.checkpoint()
        return "x" * 32000

    async with open_world(floor, script=honest(answer), tools=[FakeTool("look", look)]) as world:
        session = await world.session()
        facts = await world.play(session, "look at it")
        assert facts[-1].outcome == "normal"
        assert [m.content for m in world.provider.requests[-1].messages[1:]] == [
            f"{SUMMARY}What was said.",
            "look at it",
        ]


# -- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize("summary", [[ModelFailed("no", kind="auth")], ["  \n"], [TOO_LONG]])
async def test_without_a_summary_the_turn_goes_on(floor: Floor, summary: Sequence[Step]) -> None:
    def answer(asked: ModelRequest) -> Sequence[Step]:
        return ["done"] if asked.messages[-1].role == "tool" else [call("look")]

    async with open_world(floor, script=honest(answer, summary=summary), tools=[FakeTool("look")]) as world:
        session = await world.session()
        _, facts = await until_summed(world, session)
        at = kinds(facts).index("CompactionStarted")
        assert "Warned" in kinds(facts[at:])
        assert [fact.outcome for fact in facts if isinstance(fact, e.CompactionEnded)] == ["failed"]  # and once a turn
        assert facts[-1].outcome == "normal"
        assert not await world.facts(session, e.SummaryAdded)
        used = await world.facts(session, e.UsageAdded)
        head = await world.store.head(LogId(session))
        assert head.cost == pytest.approx(sum(fact.cost for fact in used))
        assert ("vain" in {fact.why for fact in used}) is (summary == ["  \n"])
        assert head.turn is None


async def test_a_summary_that_takes_too_long_is_given_up(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "PATIENCE", 0.01)
    async with open_world(floor, script=honest(summary=[anyio.Event()])) as world:
        session = await world.session()
        _, facts = await until_summed(world, session)
        assert [fact.outcome for fact in facts if isinstance(fact, e.CompactionEnded)] == ["failed"]
        assert any("longer than" in fact.message for fact in facts if isinstance(fact, e.Warned))
        assert facts[-1].outcome == "normal"
        assert world.provider.dropped == 1


async def test_a_cancel_ends_it_too(each_floor: Floor) -> None:
    async with open_world(each_floor, script=honest(summary=[anyio.Event()])) as world:
        session = await world.session()
        await talk_on(world, session, 8)
        await world.ask(session, WORDS)
        await world.until(session, lambda head: head.turn and head.turn.compacting)
        await world.service.turns.cancel(ME, session)
        await world.ended(session)
        facts = await world.facts(session)
        assert kinds(facts)[-3:] == ["CancelAsked", "CompactionEnded", "TurnEnded"]
        assert (facts[-2].outcome, facts[-1].outcome) == ("failed", "canceled")


class Runner:
    """Hooks whose output is what a test says, by event."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said
        self.given: list[dict[str, Any]] = []

    async def run(self, hook: Hook, given: dict[str, Any], place: Place) -> Ran:
        self.given.append(given)
        await anyio.lowlevel.checkpoint()
        return Ran(0, json.dumps(self.said.get(given["hook_event_name"], {})))


HOOKED = {
    event: (Matcher((Hook("command", "look"),)),) for event in ("pre_compact", "before_compaction", "after_compaction")
}


async def test_a_hook_can_refuse(floor: Floor) -> None:
    runner = Runner({"before_compaction": {"decision": "block", "reason": "not now"}})
    async with open_world(floor, script=honest(), team=one(hooks=HOOKED), hooks=runner) as world:
        session = await world.session()
        _, facts = await until_summed(world, session)
        assert [fact.outcome for fact in facts if isinstance(fact, e.CompactionEnded)] == ["skipped"]
        assert any("not now" in fact.message for fact in facts if isinstance(fact, e.Warned))
        assert requests(world.provider)[0] == []
        assert facts[-1].outcome == "normal"
        assert [given["hook_event_name"] for given in runner.given] == ["pre_compact", "before_compaction"]
        assert runner.given[0]["compaction_reason"] == "threshold"
        assert runner.given[0]["context_limit"] == WINDOW


async def test_a_hook_can_bring_a_summary(floor: Floor) -> None:
    runner = Runner({"pre_compact": {"hook_specific_output": {"summary": "All of it."}}})
    async with open_world(floor, script=honest(), team=one(hooks=HOOKED), hooks=runner) as world:
        session = await world.session()
        _, facts = await until_summed(world, session)
        (summary,) = [fact for fact in facts if isinstance(fact, e.SummaryAdded)]
        assert (summary.summary, summary.model, summary.cost, summary.usage) == ("All of it.", "", 0, None)
        assert requests(world.provider)[0] == []
        assert runner.given[-1]["hook_event_name"] == "after_compaction"
        assert runner.given[-1]["summary"] == "All of it."


async def test_a_hook_can_end_the_run(floor: Floor) -> None:
    runner = Runner({"pre_compact": {"continue": False, "stop_reason": "enough"}})
    async with open_world(floor, script=honest(), team=one(hooks=HOOKED), hooks=runner) as world:
        session = await world.session()
        _, facts = await until_summed(world, session)
        assert [fact.outcome for fact in facts if isinstance(fact, e.CompactionEnded)] == ["failed"]
        assert facts[-1].outcome == "error"
        assert "enough" in facts[-1].error


# -- who writes it ------------------------------------------------------------------------------


async def test_the_file_names_a_model_for_summaries(floor: Floor) -> None:
    async with open_world(floor, script=honest(), team=one(compaction=Compaction(model="small"))) as world:
        small = world.models.add("small", honest(summary=["By the small one."]))
        session = await world.session()
        await until_summed(world, session)
        (summary,) = await world.facts(session, e.SummaryAdded)
        assert (summary.summary, summary.model) == ("By the small one.", "fake/small")
        assert (len(small.requests), len(requests(world.provider)[0])) == (1, 0)


async def test_a_models_own_model_for_summaries_and_one_that_can_not_be_used(floor: Floor) -> None:
    async with open_world(floor, script=honest()) as world:
        world.provider.spec = ModelSpec("fake", "fake", "one", "scripted", compaction_model="bad-one")
        session = await world.session()
        _, facts = await until_summed(world, session)
        assert any("bad-one" in fact.message for fact in facts if isinstance(fact, e.Warned))
        assert (await world.facts(session, e.SummaryAdded))[0].model == "fake/one"


async def test_where_one_fails_the_next_one_writes_it(floor: Floor) -> None:
    team = one(compaction=Compaction(model="small"), fallback=Fallback(models=("spare",), retries=0))
    async with open_world(floor, script=honest(summary=[ModelFailed("down", kind="retryable")]), team=team) as world:
        world.models.add("small", lambda _: [ModelFailed("down", kind="client")])
        world.models.add("spare", honest(summary=["By the spare one."]))
        session = await world.session()
        await until_summed(world, session)
        (summary,) = await world.facts(session, e.SummaryAdded)
        assert (summary.summary, summary.model) == ("By the spare one.", "fake/spare")


@pytest.mark.parametrize("known", [True, False])
async def test_a_small_model_reads_it_in_several_pieces(floor: Floor, known: bool) -> None:
    async with open_world(floor, script=honest(), team=one(compaction=Compaction(model="small"))) as world:
        limit = 1600 if known else 0
        small = world.models.add("small", honest(window=1600, summary=["Noted."]), context_limit=limit)
        session = await world.session()
        await until_summed(world, session)
        (summary,) = await world.facts(session, e.SummaryAdded)
        assert summary.summary == "Noted."
        read = [r.messages[1].content for r in small.requests if estimated(r) <= 1600]
        assert len(read) >= 3
        assert len(small.requests) == len(read) if known else len(small.requests) > len(read)
        assert all("Noted." in text for text in read[1:])
        for turn in range(6):
            assert sum(f"<{turn}> word" in text for text in read) == 1
        assert summary.usage is not None
        assert summary.usage.output == 5 * len(read)


async def test_secrets_are_not_told_to_it(floor: Floor) -> None:
    secret = "sk-ant-api03-" + "abcdefghij" * 9
    async with open_world(floor, script=honest()) as world:
        session = await world.session()
        await until_summed(world, session, f"my key is {secret}. {WORDS}")
        asked, _ = requests(world.provider)
        assert "my key is" in asked[0].messages[1].content
        assert not any(secret in message.content for r in asked for message in r.messages)


# -- by request ---------------------------------------------------------------------------------


async def test_somebody_may_ask_for_it(each_floor: Floor) -> None:
    async with open_world(each_floor, script=honest()) as world:
        session = await world.session()
        await talk_on(world, session, 3)
        head = await world.service.sessions.compact(ME, session, " Keep the names. ")
        assert head.compaction == head.last_seq
        facts = await world.play(session, "and now?")
        assert [fact.reason for fact in facts if isinstance(fact, e.CompactionStarted)] == ["manual"]
        (asked,), answered = requests(world.provider)
        assert "Keep the names." in asked.messages[1].content
        assert [m.content for m in answered[-1].messages if m.role == "user"] == [
            f"{SUMMARY}What was said.",
            "and now?",
        ]
        head = await world.store.head(LogId(session))
        assert (head.compaction, head.turn) == (0, None)
        await world.play(session, "again")
        assert len(await world.facts(session, e.CompactionStarted)) == 1


async def test_a_turn_that_runs_hears_of_it_before_its_next_request(floor: Floor) -> None:
    def answer(asked: ModelRequest) -> Sequence[Step]:
        return ["done"] if asked.messages[-1].role == "tool" else [call("look")]

    async def look(arguments: dict[str, Any], use: Use) -> str:
        await world.service.sessions.compact(ME, session)
        return "seen"

    async with open_world(floor, script=honest(answer), tools=[FakeTool("look", look)]) as world:
        session = await world.session()
        await world.play(session, WORDS)
        facts = await world.facts(session)
        started = next(fact for fact in facts if isinstance(fact, e.CompactionStarted))
        assert started.reason == "manual"
        assert facts[-1].outcome == "normal"


async def test_where_there_is_nothing_to_sum_up_it_says_so(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        await world.service.sessions.compact(ME, session)
        facts = await world.play(session, "hi")
        assert [fact.outcome for fact in facts if isinstance(fact, e.CompactionEnded)] == ["skipped"]
        assert any("nothing to sum up" in fact.message for fact in facts if isinstance(fact, e.Warned))
        assert facts[-1].outcome == "normal"
        assert (await world.store.head(LogId(session))).compaction == 0


async def test_a_wish_that_can_not_be(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        with pytest.raises(BadValue):
            await world.service.sessions.compact(ME, session, "x" * 2001)
        opened = e.TurnOpened(TurnId("t"), "claude", "claude", "/work", driver="claude")
        log = await floor.lay([e.SessionCreated(e.Template()), opened])
        with pytest.raises(NotBuilt):
            await world.service.sessions.compact(ME, log)


# -- crashes ------------------------------------------------------------------------------------

TURN, ONE = TurnId("turn"), AnswerId("one")


def cut_off(reason: Any = "threshold") -> list[e.Fact]:
    """A session that has talked, and whose server died while its history was summed up."""
    told = [Message("user", f"{n}: {WORDS}") for n in range(4)]
    said = [Message("assistant", "ok", usage=Usage(input=3800, output=5)) for _ in told]
    past = [e.MessageWritten(m) for pair in zip(told, said, strict=True) for m in pair]
    asked = [e.CompactionAsked("Keep it.")] if reason == "manual" else []
    return [
        *(e.SessionCreated(e.Template()), *past, *asked, e.TurnOpened(TURN, "crew", "root", "/work")),
        *(e.MessageWritten(Message("user", "go")), e.AgentShown("root", "fake/one"), e.TurnStarted("root")),
        e.CompactionStarted("root", reason),
    ]


@pytest.mark.parametrize("reason", ["threshold", "manual"])
async def test_after_a_crash_in_the_middle_it_is_done_again(each_floor: Floor, reason: str) -> None:
    before = cut_off(reason)
    log = await each_floor.lay(before)
    async with open_world(each_floor, script=honest()) as world:
        await world.recovery.settle()
        await world.recovery.resume()
        await world.ended(log)
        facts = (await world.facts(log))[len(before) :]
        assert facts[0] == e.CompactionEnded("failed", "root", again=True)
        at = kinds(facts).index("CompactionStarted")
        assert facts[at].reason == reason
        assert kinds(facts)[at:][1:4] == ["SummaryAdded", "CompactionEnded", "UsageAdded"]
        assert facts[-1].outcome == "normal"
        asked = world.provider.requests[0].messages[1].content
        assert ("Keep it." in asked) is (reason == "manual")


async def test_a_summary_and_its_counters_are_one_append(each_floor: Floor) -> None:
    """A kill between any two appends leaves either none of them or all."""
    async with open_world(each_floor, script=honest()) as world:
        session = await world.session()
        await until_summed(world, session)
        events = await world.events(session)
    at = next(n for n, event in enumerate(events) if isinstance(event.fact, e.SummaryAdded))
    assert len({event.at for event in events[at : at + 3]}) == 1
    assert [event.seq for event in events[at : at + 3]] == [at + 1, at + 2, at + 3]
    assert kinds([event.fact for event in events[at : at + 3]]) == ["SummaryAdded", "CompactionEnded", "UsageAdded"]


@pytest.mark.parametrize("policy", ["fail", "ask"])
async def test_after_a_crash_every_policy_closes_it(floor: Floor, policy: Any) -> None:
    log = await floor.lay(cut_off())
    async with open_world(floor, script=honest(), policy=policy) as world:
        await world.recovery.settle()
        facts = await world.facts(log)
        assert [fact.outcome for fact in facts if isinstance(fact, e.CompactionEnded)] == ["failed"]
        head = await world.store.head(LogId(log))
        assert (head.turn is None) is (policy == "fail")
        assert head.turn is None or not head.turn.compacting


async def test_a_turn_that_goes_to_sleep_over_it_begins_anew(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    sleepy = [True]

    @asynccontextmanager
    async def gate(warden: Warden, provider: Provider, asked: ModelRequest) -> AsyncIterator[None]:
        if sums_up(asked) and sleepy.pop():
            raise Park
        yield None

    monkeypatch.setattr(Warden, "gate", gate)
    async with open_world(floor, script=honest()) as world:
        session = await world.session()
        await talk_on(world, session, 3)
        await world.service.sessions.compact(ME, session, "Keep it.")
        await world.ask(session, "go on")
        await world.until_fact(session, e.CompactionEnded)
        await world.still(session)
        (ended,) = await world.facts(session, e.CompactionEnded)
        assert (ended.outcome, ended.again) == ("failed", True)
        sleepy.append(False)
        await world.supervisor.wake(LogId(session))
        await world.ended(session)
        outcomes = [fact.outcome for fact in await world.facts(session, e.CompactionEnded)]
        assert outcomes == ["failed", "applied"]
        assert "Keep it." in requests(world.provider)[0][0].messages[1].content


async def test_a_summary_counts_against_a_budget(floor: Floor) -> None:
    async with open_world(floor, script=honest()) as world:
        session = await world.session(budget=e.Budget(max_cost=5.0))
        await talk_on(world, session, 3)
        await world.service.sessions.compact(ME, session, "Keep it.")
        await world.play(session, "go on")
        paid = await world.facts(session, e.UsageAdded)
        assert "compaction" in {fact.why for fact in paid}
        (shown,) = (await world.facts(session, e.BudgetShown))[-1].budgets
        assert shown.cost == pytest.approx(sum(fact.cost for fact in paid))


async def test_without_money_for_a_summary_a_person_is_asked(floor: Floor) -> None:
    async with open_world(floor, script=honest()) as world:
        session = await world.session()
        await talk_on(world, session, 3)
        await world.service.sessions.set_budget(ME, session, {"budget": e.Budget(max_tokens=1)})
        await world.service.sessions.compact(ME, session, "Keep it.")
        await world.ask(session, "go on")
        await world.waiting(session)
        assert len(await world.facts(session, e.CompactionStarted)) == 1
        await world.service.waits.resume(ME, session, confirmation="reject")
        head = await world.ended(session)
        assert "is used up" in head.error
        (ended,) = await world.facts(session, e.CompactionEnded)
        assert ended.outcome == "failed"


# -- sub-sessions -------------------------------------------------------------------------------


async def test_a_sub_session_sums_up_its_own_history(each_floor: Floor) -> None:
    agents = tuple(Agent(n, model="fake", instruction=f"I am {n}.", toolsets=(ToolsetSpec("fake"),)) for n in "ab")

    async def hand(arguments: dict[str, Any], use: Use) -> Result:
        return await use.delegate(Task("b", "<task>dig</task>"))

    async def dig(arguments: dict[str, Any], use: Use) -> str:
        await anyio.lowlevel.checkpoint()
        return f"{use.call} found " + "y" * 3200

    def answer(asked: ModelRequest) -> Sequence[Step]:
        if asked.messages[0].content == "I am a.":
            return ["all done"] if asked.messages[-1].role == "tool" else [call("hand")]
        dug = sum(f"dig{n} found" in m.content for n in range(9) for m in asked.messages)
        newest = asked.messages[-1].content
        number = int(newest[3]) + 1 if newest.startswith("dig") else dug
        return ["dug"] if number >= 6 else [call("dig", f'{{"n": {number}}}', id=f"dig{number}")]

    tools = [FakeTool("hand", hand, effect="safe"), FakeTool("dig", dig, effect="safe")]
    async with open_world(each_floor, script=honest(answer), team=Team("crew", "h", agents), tools=tools) as world:
        session = await world.session()
        facts = await world.play(session, "go", agent="a")
        assert facts[-1].outcome == "normal"
        started = [fact for fact in facts if isinstance(fact, e.CompactionStarted)]
        (sub,) = {fact.sub for fact in facts if isinstance(fact, e.Base) and fact.sub}
        assert [fact.sub for fact in started] == [sub] * len(started)
        assert started
        after = next(r for r in world.provider.requests if any(SUMMARY in m.content for m in r.messages))
        assert [m.content for m in after.messages[:2]] == ["I am b.", "<task>dig</task>"]  # its task stays
        head = await world.store.head(LogId(session))
        used = await world.facts(session, e.UsageAdded)
        assert head.cost + head.below == pytest.approx(sum(fact.cost for fact in used))
        outer = [r for r in world.provider.requests if r.messages[0].content == "I am a."]
        assert len(outer) == 2  # what the sub-session said is nothing to its parent
        assert not any("found" in m.content for r in outer for m in r.messages)


# -- shorter without a summary -----------------------------------------------------------------


async def test_results_are_shortened_as_they_come_and_old_ones_give_way(floor: Floor) -> None:
    async def look(arguments: dict[str, Any], use: Use) -> str:
        await anyio.lowlevel.checkpoint()
        return "x" * 4000

    def answer(asked: ModelRequest) -> Sequence[Step]:
        return ["seen"] if asked.messages[-1].role == "tool" else [call("look")]

    team = one(max_tool_result_tokens=100, max_old_tool_call_tokens=150)
    async with open_world(floor, script=honest(answer), tools=[FakeTool("look", look)], team=team) as world:
        session = await world.session()
        await talk_on(world, session, 3, "look")
        results = [fact.result.output for fact in await world.facts(session, e.ToolReturned)]
        assert [estimates.of_text(text) for text in results] == [100] * 3
        sent = [m.content for m in world.provider.requests[-1].messages if m.role == "tool"]
        assert sent == [TRUNCATED, results[1], results[2]]  # the newest was not seen yet, and one old one has room


# -- the rules ----------------------------------------------------------------------------------

texts = st.text("abc ", min_size=1, max_size=400)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Anything that can be in a history, in an order that a log can have."""
    items: list[Item] = []
    open_calls: list[str] = []
    answers = 0

    def add(**what: Any) -> None:
        items.append(Item(len(items) + 1, **what))

    for kind in draw(st.lists(st.sampled_from(["user", "say", "call", "error", "sub", "system", "sum"]), max_size=25)):
        match kind:
            case "user":
                add(message=Message("user", draw(texts)))
            case "say":
                add(message=Message("assistant", draw(texts)))
            case "system":
                add(message=Message("system", "task"))
            case "error":
                add(error=e.ErrorMet("oh"))
            case "sub":
                add(session=History(SessionId("sub")))
            case "sum":
                add(summary=e.SummaryAdded(draw(texts), draw(st.integers(0, len(items)))))
            case "call":
                answers += 1
                names = [f"c{answers}.{n}" if draw(st.booleans()) else f"c{n}" for n in range(draw(st.integers(1, 3)))]
                add(message=Message("assistant", "", calls=tuple(ToolCall(CallId(n), "look") for n in names)))
                open_calls = list(names)
                if draw(st.booleans()):
                    add(message=Message("user", draw(texts)))
                for name in open_calls if draw(st.booleans()) else open_calls[:-1]:
                    add(message=Message("tool", draw(texts), call_id=CallId(name)))
    add(message=Message("user", draw(texts)))
    if draw(st.booleans()):
        add(message=Message("assistant", "", calls=(ToolCall(CallId("last"), "look"),)))
        add(message=Message("tool", draw(texts), call_id=CallId("last")))
    return History(SessionId("s"), items=items)


def lost(messages: Sequence[Message]) -> int:
    return sum(message.content == LOST_RESULT for message in messages)


@given(history=histories(), keep=st.integers(0, 400), unseen=st.integers(0, 400))
@settings(max_examples=300, deadline=None)
def test_whatever_is_left_out_what_is_sent_is_whole(history: History, keep: int, unseen: int) -> None:
    before = request(Agent("root"), Guidance(), history, ()).messages
    newest = history.said()
    plan = rules.plan(history, keep, unseen)
    if plan is None:
        return
    assert plan.first_kept < len(history.items)
    history.items.append(Item(99, summary=e.SummaryAdded("sum", plan.first_kept)))
    sent = [m for m in request(Agent("root"), Guidance(), history, ()).messages if m.role != "system"]
    assert sent[0].content == f"{SUMMARY}sum"
    assert newest is not None
    assert sum(message is newest[1] for message in sent) == 1
    asked: list[str] = []
    for message in sent:
        if message.role == "tool":
            assert message.call_id == asked.pop(0)
            continue
        assert not asked
        asked = [c.id for c in message.calls]
    assert not asked
    assert lost(sent) <= lost(before)  # no call is parted from a result that was there
    kept = [message for message in sent[1:] if message.content != LOST_RESULT]
    gone = [m for m in plan.messages if m is not newest[1]]
    assert gone
    assert all(a is not b for a in gone for b in kept)
    assert estimates.of_messages(kept) == plan.kept


def test_messages_are_told_as_text() -> None:
    told = entries(
        [
            Message("user", "", parts=(Text("see"), Image("data:image/png;base64,AA=="), File("/a/b.pdf"), File())),
            Message(
                "assistant", "I look", calls=(ToolCall(CallId("1"), "look", '{"at": 1}'), ToolCall(CallId("2"), "x"))
            ),
            Message("tool", "a tree", call_id=CallId("1")),
            Message("tool", "no", call_id=CallId("2"), is_error=True),
            Message("tool", "who?", call_id=CallId("9")),
        ]
    )
    assert [entry.text for entry in told] == [
        "[user]\nsee\n(an image)\n(the file /a/b.pdf)\n(a file)",
        '[assistant]\nI look\n[calls look with {"at": 1}]\n[calls x with {}]',
        "[look returned]\na tree",
        "[x failed]\nno",
        "[a tool returned]\nwho?",
    ]
    assert [entry.result for entry in told] == [False, False, True, True, True]


def test_old_results_give_way_first() -> None:
    big = "r" * 4000
    messages = [Message("user", "u" * 400)]
    for n in range(4):
        messages += [
            Message("assistant", "", calls=(ToolCall(CallId(str(n)), "look"),)),
            Message("tool", big, call_id=CallId(str(n))),
        ]
    told = entries(messages)
    assert fitted(told, size(told)) == told
    less = fitted(told, size(told) - 100)
    assert size(less) <= size(told) - 100
    assert [len(entry.text) > 4000 for entry in less if entry.result] == [False, True, True, True]
    least = fitted(told, 200)
    assert len(least) == 1
    assert size(least) <= 201


@given(told=st.lists(texts, min_size=1, max_size=20), room=st.integers(64, 500))
@settings(deadline=None)
def test_pieces_hold_everything_once(told: list[str], room: int) -> None:
    left, whole = entries([Message("user", text) for text in told]), ""
    all_of_it = "".join(entry.text for entry in left)
    passes = 0
    while left:
        piece, left = first(left, room)
        assert 0 < estimates.of_text(piece) <= room
        whole += piece
        passes += 1
    assert whole.replace("\n", "") == all_of_it.replace("\n", "")
    assert passes <= 2 + 2 * len(all_of_it) // (room * 2)


def test_how_full_it_is_is_what_the_provider_counted_and_what_came_since() -> None:
    def measured(*items: Message | e.SummaryAdded) -> int:
        listed = [
            Item(n, message=i if isinstance(i, Message) else None, summary=None if isinstance(i, Message) else i)
            for n, i in enumerate(items)
        ]
        return filled(History(SessionId("s"), items=listed), lambda: ModelRequest((Message("user", "r" * 400),)))

    counted = Message("assistant", "a", usage=Usage(input=100, output=20, cached_input=300, cached_write=50))
    assert measured(Message("user", "hi"), counted) == 470
    assert measured(counted, Message("tool", "t" * 40), Message("user", "hi")) == 470 + 15 + 6
    assert measured(counted, Message("assistant", "b" * 8)) == 470 + 7  # nobody has counted that one
    assert measured(Message("assistant", "a", usage=Usage())) == 105
    assert measured(counted, e.SummaryAdded("sum"), Message("user", "hi")) == 105  # nobody has counted since
