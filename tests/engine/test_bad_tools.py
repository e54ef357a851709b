"""Tools that misbehave: each has a bound, a result that says so, and a turn that goes on."""

import asyncio
import json
import logging
from itertools import pairwise
from typing import Any

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, answers, make_team, open_world
from engine.hooked import Hooks
from roost.core import events as e
from roost.core.agents import Agent, Compaction, ToolsetSpec
from roost.core.messages import Media, Result
from roost.core.redaction import REPLACEMENT, Redactor
from roost.engine import outcome, outlet
from roost.engine.outlet import Outlet
from roost.ports import Use
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio

SECRET = "hush-hush-1234-very-secret"


async def played(floor: Floor, work: Any, **how: Any) -> tuple[list[e.Fact], Result]:
    """A turn in which such a tool is called, and what came of the call."""
    script, team = answers([call("t")], ["done"]), make_team(Hooks().agent(compaction=Compaction(automatic=False)))
    async with open_world(floor, script=script, tools=[FakeTool("t", work)], team=team, **how) as world:
        facts = await world.play(await world.session(), "go")
        (returned,) = [fact for fact in facts if isinstance(fact, e.ToolReturned)]
        assert facts[-1].outcome == "normal"
        return facts, returned.result


def shown(facts: list[e.Fact]) -> str:
    return "".join(fact.text for fact in facts if isinstance(fact, e.OutputAdded))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError("no such file"), "no such file"),
        (KeyError(), "KeyError"),
        (ExceptionGroup("both", [ValueError("first"), KeyError("second")]), "first"),
        (BaseExceptionGroup("nested", [ExceptionGroup("inner", [ValueError("deep")])]), "deep"),
        (SystemExit(3), "SystemExit: 3"),
        (RecursionError("too deep"), "too deep"),
        (MemoryError(), "MemoryError"),
        (asyncio.CancelledError(), "it was cancelled by itself"),
        (OSError("bad \ud800 name"), "bad \ufffd name"),
    ],
)
async def test_a_tool_that_dies_is_a_result(
    each_floor: Floor, error: BaseException, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "roost.engine")  # not all that is logged there can be shown

    async def work(arguments: dict[str, Any], use: Use) -> str:
        raise error

    _, result = await played(each_floor, work)
    assert (result.output, result.is_error) == (f"Error calling tool: {says}", True)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Result("a\ud800b"), Result("a\ufffdb")),
        (Result("\ud83d\ude00"), Result("\U0001f600")),
        (Result("a", structured={"k\udfff": ["x\ud800"]}), Result("a", structured={"k\ufffd": ["x\ufffd"]})),
        (Result("a", meta={"k": "x\ud800"}), Result("a", meta={"k": "x\ufffd"})),
    ],
)
async def test_half_characters_are_mended(each_floor: Floor, result: Result, expected: Result) -> None:
    async def work(arguments: dict[str, Any], use: Use) -> Result:
        await use.output("so \ud800 far")
        return result

    facts, found = await played(each_floor, work)
    assert found == expected
    assert shown(facts) == "so \ufffd far"


@pytest.mark.parametrize(
    "result",
    [Result("a", structured={"x": object()}), Result("a", images=(Media("\ud800", "image/png"),)), Result(object())],  # type: ignore[arg-type]
)
async def test_what_is_no_data_is_a_failure(each_floor: Floor, result: Result) -> None:
    async def work(arguments: dict[str, Any], use: Use) -> Result:
        return result

    _, found = await played(each_floor, work)
    assert found.is_error
    assert found.output.startswith("Error calling tool: ")


BIG = 100_000_000


async def test_a_hundred_megabytes_are_shortened(floor: Floor) -> None:
    async def work(arguments: dict[str, Any], use: Use) -> str:
        return "x" * BIG

    _, result = await played(floor, work)
    assert len(result.output) <= outcome.LARGEST
    assert f"{BIG - outcome.LARGEST}"[:3] in result.output  # it says how much is left out
    assert "characters left out" in result.output


@pytest.mark.parametrize("field", ["structured", "meta"])
async def test_a_hundred_megabytes_of_data_are_left_out(floor: Floor, field: str) -> None:
    async def work(arguments: dict[str, Any], use: Use) -> Result:
        return Result("fine", **{field: {"a": "x" * BIG}})

    _, result = await played(floor, work)
    assert getattr(result, field) is None
    assert result.output.startswith("fine\n[")
    assert "it is too large" in result.output


async def test_pictures_that_are_too_large_are_left_out(floor: Floor) -> None:
    async def work(arguments: dict[str, Any], use: Use) -> Result:
        return Result("look", images=(Media("x" * (outcome.LARGEST_MEDIA + 1), "image/png"),))

    _, result = await played(floor, work)
    assert result.images == ()
    assert result.output == "look\n[pictures and sounds left out: they are too large]"


async def test_a_flood_of_output_is_cut_off(floor: Floor) -> None:
    async def work(arguments: dict[str, Any], use: Use) -> str:
        for _ in range(100):
            await use.output("x" * 999_999 + "\n")
        return "done"

    facts, result = await played(floor, work)
    assert result == Result("done")
    assert len(shown(facts)) == outlet.MOST + len(outlet.MORE)
    assert shown(facts).endswith(outlet.MORE)


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_tool_that_never_returns_ends_with_its_turn(floor: Floor, stubborn: bool) -> None:
    """Nobody waits for it longer than somebody wants to: it has no limit but its own, and the person's patience."""

    async def work(arguments: dict[str, Any], use: Use) -> str:
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            if stubborn:
                raise OSError("even then") from None
            raise
        return "never"

    tool = FakeTool("t", work)
    async with open_world(floor, script=answers([call("t")], ["done"]), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, e.ToolCalled)
        await world.service.turns.cancel(ME, session)
        head = await world.ended(session)
        assert (head.outcome, tool.ended) == ("canceled", ["call_t"])


# -- secrets --------------------------------------------------------------------------------------


def team_of(redact: bool) -> Any:
    return make_team(Agent("root", model="fake", toolsets=(ToolsetSpec("fake"),), redact_secrets=redact))


@pytest.mark.parametrize("redact", [True, False])
async def test_a_secret_in_a_result_reaches_nobody(each_floor: Floor, redact: bool) -> None:
    async def work(arguments: dict[str, Any], use: Use) -> Result:
        for piece in (SECRET[:9], SECRET[9:], "\nand more"):
            await use.output(piece)
        return Result(f"it is {SECRET}", structured={"is": SECRET}, meta={"was": [SECRET]})

    hooks = Hooks()
    team = make_team(hooks.agent("tool_response_transform", "post_tool_use", "before_llm_call", redact_secrets=redact))
    script = answers([call("t", json.dumps({"with": SECRET}))], ["done"])
    open_ = open_world(
        each_floor,
        script=script,
        tools=[FakeTool("t", work, read_only=False)],
        team=team,
        hooks=hooks,
        more={"redactor": Redactor([SECRET])},
    )
    async with open_ as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await world.service.waits.resume(ME, session, confirmation="approve")
        await world.ended(session)
        facts = await world.facts(session)
        made = [f for f in facts if not isinstance(f, e.CallDrafted | e.MessageAdded)]  # the model's own words
        asked = world.provider.requests[1].messages[-1].content
        for text in (*[str(fact) for fact in made], asked, *[str(h) for h in hooks.of("post_tool_use")]):
            if redact:
                assert SECRET not in text.replace(f"'with': '{SECRET}'", "")
        assert (REPLACEMENT in asked, SECRET in asked) == (redact, not redact)
        said = shown(facts)
        assert said == ((REPLACEMENT if redact else SECRET) + "\nand more")


async def test_what_a_person_says_stays_in_the_history_and_is_not_sent(floor: Floor) -> None:
    more = {"redactor": Redactor([SECRET])}
    async with open_world(floor, titles=True, more=more) as world:
        session = await world.session()
        await world.play(session, f"use {SECRET}")
        await world.until(session, lambda head: head.title)
        assert (await world.talk(session))[0] == ("user", f"use {SECRET}")
        assert len(world.provider.requests) == 2  # the title is asked for, too
        for request in world.provider.requests:
            assert SECRET not in str(request.messages)
            assert REPLACEMENT in str(request.messages)


async def test_what_a_person_says_is_sent_where_the_file_says_so(floor: Floor) -> None:
    async with open_world(floor, team=team_of(False), titles=True, more={"redactor": Redactor([SECRET])}) as world:
        session = await world.session()
        await world.play(session, f"use {SECRET}")
        await world.until(session, lambda head: head.title)
        for request in world.provider.requests:
            assert SECRET in str(request.messages)


# -- what tools show while they run ---------------------------------------------------------------


def through(text: str, cuts: list[int]) -> list[str]:
    out = Outlet(Redactor([SECRET]))
    bounds = [0, *cuts, len(text)]
    return [*(out.feed(text[a:b]) for a, b in pairwise(bounds)), out.rest()]


@pytest.mark.parametrize(
    "text",
    [
        f"before {SECRET} after",
        f"{SECRET}",
        f"a\n{SECRET}\nb",
        "Authorization: Bearer abcdefgh12345678ijkl\nnext",
        "password=correcthorsebattery end",
        "AKIAIOSFODNN7EXAMPLE and so on",
    ],
)
def test_a_secret_is_covered_wherever_it_is_cut(text: str) -> None:
    whole = Redactor([SECRET]).text(text)
    assert REPLACEMENT in whole
    secret = max(text.replace("=", " ").split(), key=len)
    for cut in range(1, len(text)):
        assert secret not in "".join(through(text, [cut]))
    assert secret not in "".join(through(text, list(range(1, len(text)))))


def test_a_private_key_is_covered_line_by_line() -> None:
    lines = [f"{n:064d}" for n in range(20)]
    key = "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *lines, "-----END RSA PRIVATE KEY-----", "after"])
    cuts = [n for n, char in enumerate(key) if char == "\n"]
    said = "".join(through(key, cuts))
    assert lines[3] not in said
    assert said.endswith("after")


def test_all_but_the_last_word_is_shown_at_once() -> None:
    out = Outlet(Redactor())
    assert out.feed("one two") == "one "
    assert out.feed(" three\n") == "two three\n"
    assert out.feed("four") == ""
    assert out.rest() == "four"
    assert out.rest() == ""


def test_what_is_no_word_does_not_wait_for_ever() -> None:
    out = Outlet(Redactor())
    assert out.feed("x" * (outlet.WORD - 1)) == ""
    assert len(out.feed("xx")) == outlet.WORD + 1


def test_without_a_redactor_nothing_waits() -> None:
    out = Outlet(None)
    assert out.feed("one") == "one"
    assert out.rest() == ""
