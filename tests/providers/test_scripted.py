"""A scenario plays the same for the same conversation."""

import textwrap
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest
import yaml

from roost.core.agents import Agent, ModelSpec, Team
from roost.core.errors import BadModel, ModelFailed
from roost.core.ids import CallId
from roost.core.messages import Definition, Message, ToolCall
from roost.core.usage import Usage
from roost.ports import CallPiece, Finished, ModelRequest, Piece, ReasoningPiece, TextPiece
from roost.providers.references import open_models
from roost.providers.scripted import Scripted

pytestmark = pytest.mark.anyio

SCENARIO = """
title: A title
turns:
- when: (?i)weather
  answers:
  - - reasoning: Let me look.
    - calls:
      - {name: weather, arguments: {city: "{{user}}"}, chunk: 4}
      - {name: clock, arguments: "{\\"a\\": 1}", id: mine}
  - - text: "It says {{tool}}."
    - usage: {input: 5, output: 6, cached_input: 7}
    - finish: length
- say: first
- when: fail
  answers: [[{fail: {status: 429, retry_after: 3, times: 2}}, {text: recovered}]]
- when: cut
  answers: [[{text: half}, {cut: true}]]
- when: hang
  answers: [[{text: half}, {hang: true}]]
- when: slow
  answers: [[{hang: 0.01}]]
- answers: [second, {text: second again}]
- say: last
  repeat: true
"""


def scripted(text: str = SCENARIO, **fields) -> Scripted:
    options = {"scenario": yaml.safe_load(textwrap.dedent(text))}
    return Scripted(ModelSpec("s", "scripted", "", "scripted", options=options, **fields), folder=Path())


async def pieces(provider: Scripted, *messages: Message, **more) -> list[Piece]:
    async with aclosing(provider.stream(ModelRequest(messages, **more))) as stream:
        return [piece async for piece in stream]


async def said(provider: Scripted, *messages: Message, **more) -> str:
    return "".join(piece.text for piece in await pieces(provider, *messages, **more) if isinstance(piece, TextPiece))


def user(text: str) -> Message:
    return Message("user", text)


def answer(text: str = "ok") -> Message:
    return Message("assistant", text)


async def test_answers_come_in_turn_and_follow_from_the_conversation_alone() -> None:
    talk = [Message("system", "x"), user("a")]
    for expected in ("first", "second", "last", "last"):
        assert await said(scripted(), *talk) == expected  # a fresh one each time, as after a restart
        talk += [answer(expected), user("b")]
    assert await said(scripted(), user("a"), answer(), user("b"), answer()) == "second again"


async def test_what_matches_takes_no_answer_from_the_others() -> None:
    assert await said(scripted(), user("The weather?"), answer(), answer(), user("a")) == "first"
    assert await said(scripted(), user("a"), answer(), user("The WEATHER"), answer()) == "It says ."


async def test_parallel_calls_come_in_mixed_fragments() -> None:
    got = await pieces(scripted(), user("weather"))
    assert "".join(p.text for p in got if isinstance(p, ReasoningPiece)) == "Let me look."
    calls = [p for p in got if isinstance(p, CallPiece)]
    assert [(p.index, p.name) for p in calls[:2]] == [(0, "weather"), (1, "clock")]
    assert [p.index for p in calls[2:5]] == [0, 1, 0]
    assert "".join(p.arguments for p in calls if p.index == 0) == '{"city":"weather"}'
    assert "".join(p.arguments for p in calls if p.index == 1) == '{"a": 1}'
    assert calls[0].id.startswith("call_")
    assert calls[1].id == "mine"
    assert got == await pieces(scripted(), user("weather"))
    assert isinstance(got[-1], Finished)
    assert got[-1].reason == "tool_calls"
    other = await pieces(scripted(), user("hi"), answer(), user("weather"))
    assert next(p.id for p in other if isinstance(p, CallPiece)) != calls[0].id


async def test_the_turn_goes_on_after_the_tools() -> None:
    call = ToolCall(CallId("c"), "weather")
    talk = (user("weather"), Message("assistant", calls=(call,)), Message("tool", "rain", call_id=call.id))
    got = await pieces(scripted(), *talk)
    assert "".join(p.text for p in got if isinstance(p, TextPiece)) == "It says rain."
    assert got[-1] == Finished("length", Usage(5, 6, 7))
    with pytest.raises(ModelFailed, match=r"no answer no\. 3 to 'weather'") as failed:
        await pieces(scripted(), *talk, answer())
    assert failed.value.kind == "client"


async def test_failures_come_as_often_as_they_should() -> None:
    provider = scripted()
    for _ in range(2):
        with pytest.raises(ModelFailed, match="scripted failure 429") as failed:
            await pieces(provider, user("fail"))
        assert (failed.value.kind, failed.value.status, failed.value.retry_after) == ("rate_limit", 429, 3.0)
    assert await said(provider, user("fail")) == "recovered"


@pytest.mark.parametrize("word", ["cut", "slow"])
async def test_lines_may_be_cut_or_silent(word: str) -> None:
    with pytest.raises(ModelFailed) as failed:
        await pieces(scripted(), user(word))
    assert (failed.value.kind, failed.value.status) == ("retryable", 0)


async def test_a_hang_can_be_cancelled() -> None:
    with anyio.move_on_after(0.05) as scope:
        await pieces(scripted(), user("hang"))
    assert scope.cancelled_caught


async def test_titles_take_no_answer() -> None:
    assert await said(scripted(), user("a"), max_tokens=20) == "A title"
    assert await said(scripted(), user("a"), max_tokens=20, tools=(Definition("t"),)) == "first"
    assert scripted().titles
    assert not scripted("turns: []").titles


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("turns: [{anwers: []}]", r"unknown field `anwers` - at `\$\.turns\[0\]`"),
        ("turns: [{when: '('}]", "no regular expression"),
        ("turns: 3", r"Expected `array`, got `int` - at `\$\.turns`"),
    ],
)
def test_a_wrong_scenario_says_where(text: str, words: str) -> None:
    with pytest.raises(BadModel, match=words):
        scripted(text)


async def test_files_are_found_and_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "s.yaml"
    file.parent.mkdir()
    file.write_text("turns: [{say: one}]")
    team = Team("a", "h", (Agent("root"),))
    async with open_models({}, folder=tmp_path) as models:
        provider = models.provider(team, "scripted/sub/s.yaml")
        assert isinstance(provider, Scripted)
        assert provider.spec.ref == "scripted/sub/s.yaml"
        assert await said(provider, user("x")) == "one"
        file.write_text("turns: [{say: two, repeat: true}]")
        assert await said(provider, user("x")) == "two"
        with pytest.raises(BadModel, match=r"gone\.yaml can't be read: No such file"):
            models.provider(team, "scripted/gone.yaml")
        shipped = models.provider(team, "scripted/demo")
        assert isinstance(shipped, Scripted)
        assert "You said: hello" in await said(shipped, user("hello"))


def test_the_example_plays() -> None:
    example = yaml.safe_load((Path(__file__).parents[2] / "examples" / "scripted.yaml").read_text())
    options = example["models"]["weatherman"]["provider_opts"]
    provider = Scripted(ModelSpec("w", "scripted", "weatherman", "scripted", options=options), folder=Path())
    talk = (user("The weather?"), Message("assistant", calls=(ToolCall(CallId("c"), "think"),)), Message("tool", "ok"))
    assert "19 °C" in anyio.run(lambda: said(provider, *talk))
