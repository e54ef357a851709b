"""What `/api/v1` shows of a fact is a function of it and of earlier facts, wherever a reader begins."""

import random
import re
from pathlib import Path

import anyio
import msgspec
import pytest

from acceptance import front, purity
from acceptance.havoc import Havoc
from engine import story
from engine.fakes import FakeProvider, Floor
from fakes.logs import handed_over, summed_up
from roost.core import events as e
from roost.core.ids import AnswerId, CallId, LogId, Micros, RunId, SessionId, TurnId, WaitId
from roost.core.messages import Message, Result, ToolCall
from roost.core.orders import Order
from roost.core.usage import Usage

FACTS = Path(__file__).parents[1] / "fixtures" / "facts-0.1.jsonl"


def log(facts: list[e.Fact]) -> list[e.Event]:
    return [e.Event(LogId("s-1"), seq, Micros(10**15 + seq), fact) for seq, fact in enumerate(facts, 1)]


def every(facts: list[e.Fact]) -> None:
    events = log(facts)
    purity.from_cursors(events, range(1, len(events)))


def anew(facts: list[e.Fact]) -> list[e.Fact]:
    """The same with other answers, whose ids no two have in common."""
    return [e.decode(re.sub(rb'"answer":"', b'"answer":"other-', msgspec.json.encode(fact))) for fact in facts]


@pytest.mark.parametrize("order", [None, Order("claude", model="opus")])
def test_turns_of_several_agents_with_sub_sessions_in_them(order: Order | None) -> None:
    facts = [e.SessionCreated(e.Template(), order=order), e.TitleSet("x"), *handed_over("s-1"), *summed_up()]
    every([*facts, *anew(handed_over("s-1", "another-agent")), *anew(summed_up())])


def test_one_fact_of_each_kind() -> None:
    every([e.decode(line) for line in FACTS.read_bytes().splitlines()])


def test_a_cli_that_names_itself_twice_and_once_not_at_all() -> None:
    said = [e.RoundEnded(0, "stop", Usage(1, 2)), e.RoundResult(True), e.StatusShown("here")]
    facts: list[e.Fact] = [e.SessionCreated(e.Template(), order=Order("codex"))]
    for number, known in enumerate(("thread-1", "", "thread-2")):
        turn = TurnId(f"t{number}")
        facts += [e.TurnOpened(turn, "codex", "codex", "/", driver="codex"), e.Introduced(known, "m"), *said]
        facts += [e.Introduced("inner", "m", sub=SessionId("sub")), *said, e.TurnEnded(turn, "normal")]
    every(facts)


def test_a_team_with_prompts_hooks_a_summary_and_handovers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeProvider, "context_limit", story.WINDOW)
    whole = anyio.run(story.play, Floor("memory", tmp_path))
    purity.from_cursors(whole.events, range(1, len(whole.events)))


@pytest.mark.parametrize("seed", range(6))
def test_answers_that_are_thought_up_at_the_same_time(seed: int) -> None:
    """Two sub-sessions and the session itself think, speak, ask and are answered, in any order."""
    dice = random.Random(seed)
    facts: list[e.Fact] = [e.SessionCreated(e.Template()), e.TitleSet("x")]
    for turn in ("one", "two"):
        driver = dice.choice(("", "claude"))
        facts += [e.TurnOpened(TurnId(turn), driver or "agent.yaml", "root", "/", driver=driver)]
        facts += [e.SessionCreated(e.Template(), SessionId("s-1"), sub=SessionId(sub + turn)) for sub in ("a", "b")]
        facts += [e.TurnOpened(TurnId(turn), "agent.yaml", "coder", "/", sub=SessionId("a" + turn))]
        lanes = [lane(turn, SessionId(sub and sub + turn), dice) for sub in ("", "a", "b")]
        while any(lanes):
            facts.append(dice.choice([lane for lane in lanes if lane]).pop(0))
        facts += [e.TurnEnded(TurnId(turn), "normal", sub=SessionId("a" + turn)), e.TurnEnded(TurnId(turn), "normal")]
    every(facts)


def lane(turn: str, sub: SessionId, dice: random.Random) -> list[e.Fact]:
    facts: list[e.Fact] = []
    for number in range(3):
        answer, name = AnswerId(f"{turn}{sub}{number}"), f"{turn}{sub}{number}"
        call = ToolCall(CallId(name), "Bash", '{"command":"ls"}')
        facts += [e.ModelAsked(answer, "root", "m", sub=sub)]
        facts += [e.ReasoningAdded(answer, f"hm {n} ", sub=sub) for n in range(dice.randrange(4))]
        if dice.random() < 0.2:
            facts += [e.AnswerDropped(answer, 0, "cut", sub=sub), e.ModelAsked(answer, "root", "m", sub=sub)]
        facts += [e.TextAdded(answer, f"so {n} ", sub=sub) for n in range(dice.randrange(3))]
        content = dice.choice(("", "so 0 so 1 "))
        facts += [e.MessageAdded(Message("assistant", content, calls=(call,)), answer=answer, sub=sub)]
        wait = WaitId(name)
        facts += [e.WaitOpened(wait, "approval", "root", call=call, sub=sub)]
        facts += [dice.choice([e.WaitAnswered(wait, e.Answer("approve", "approve"), sub=sub), e.WaitVoided(wait, "x")])]
        facts += [e.ToolCalled(call, "once", "root", sub=sub), e.ToolReturned(call, Result("did"), "root", sub=sub)]
        facts += [e.MessageAdded(call=call.id, sub=sub), e.RunEnded(RunId(name), 0)]
    return facts


def test_any_server_shows_the_same_bytes_of_any_session_of_a_cli(tmp_path: Path) -> None:
    with front.opened(tmp_path) as yard:
        havoc = Havoc(yard, seed=3)
        havoc.play(0)
        havoc.check_purity()
