"""Prompts come one at a time, whoever asks: the next one comes with the answer to the one before."""

import json
import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roost.core import events as e
from roost.core.ids import AnswerId, CallId, LogId, Micros, ServerId, SessionId, TurnId, WaitId
from roost.core.messages import Definition, ToolCall
from roost.core.session import apply
from roost.doors.docker_agent import frames
from roost.doors.docker_agent.memory import Memory
from roost.doors.docker_agent.renderer import Renderer
from roost.service.archive import Archive
from roost.service.desk import Desk
from roost.stores.memory import Memory as Store

pytestmark = pytest.mark.anyio

LOG, TURN = LogId("S"), TurnId("t")
SUBS = (SessionId("s-1"), SessionId("s-2"), SessionId("s-3"))
BEGIN: list[e.Fact] = [
    e.SessionCreated(e.Template(), root=SessionId("top")),
    e.TurnOpened(TURN, "crew", "root", "/"),
    e.ToolsShown("root", 1, definitions={"d1": Definition("cut", description="Cuts")}),
    e.SessionCreated(e.Template(), SessionId(LOG), sub=SUBS[0]),
    e.SessionCreated(e.Template(), SUBS[0], sub=SUBS[1]),
    e.SessionCreated(e.Template(), SessionId(LOG), sub=SUBS[2]),
]


def approval(name: str, sub: str = "") -> e.WaitOpened:
    call = ToolCall(CallId(f"call-{name}"), "cut", "{}")
    return e.WaitOpened(WaitId(name), "approval", "coder", call=call, definition="d1", sub=SessionId(sub))


def other(name: str, kind: e.Kind, sub: str = "") -> e.WaitOpened:
    return e.WaitOpened(WaitId(name), kind, "coder", message="m", max_iterations=3, sub=SessionId(sub))


def answered(name: str, sub: str = "") -> e.WaitAnswered:
    return e.WaitAnswered(WaitId(name), e.Answer("approve", "approve"), sub=SessionId(sub))


def log(facts: list[e.Fact]) -> list[e.Event]:
    return [e.Event(LOG, seq, Micros(10**15 + seq), fact) for seq, fact in enumerate([*BEGIN, *facts], 1)]


def shown(*facts: e.Fact) -> list[dict[str, Any] | None]:
    """What each fact shows."""
    memory = Memory()
    data = [frames.render(event, memory) for event in log(list(facts))]
    return [None if each is None else json.loads(each) for each in data[len(BEGIN) :]]


def asked(*facts: e.Fact) -> list[str]:
    """The prompts that come, by the fact that brings each; "" for a fact that brings none."""
    return [str(frame.get("request_id", "")) if frame else "" for frame in shown(*facts)]


def test_one_at_a_time_the_oldest_first() -> None:
    facts = [approval("a", SUBS[0]), approval("b"), other("c", "limit", SUBS[1]), other("d", "budget")]
    assert asked(*facts, answered("a"), answered("b"), answered("c"), answered("d")) == [
        *("a", "", "", ""),
        *("b", "c", "d", ""),
    ]
    assert asked(*facts, answered("c"), answered("a"), answered("b"), answered("d")) == [
        *("a", "", "", ""),
        *("", "b", "d", ""),
    ]


def test_the_next_one_is_shown_as_if_it_had_just_been_asked() -> None:
    (_, _, frame) = shown(approval("a"), approval("b", SUBS[1]), answered("a"))
    assert frame is not None
    assert frame["type"] == "tool_call_confirmation"
    assert frame["tool_call"]["id"] == "call-b"
    assert frame["tool_definition"]["description"] == "Cuts"
    assert (frame["agent_name"], frame["session_id"]) == ("coder", SUBS[1])
    assert (frame["parent_session_id"], frame["root_session_id"]) == (SUBS[0], "top")
    (_, _, limit) = shown(approval("a"), other("b", "limit"), answered("a"))
    assert limit is not None
    assert (limit["type"], limit["max_iterations"]) == ("max_iterations_reached", 3)


def test_what_is_withdrawn_makes_room_too() -> None:
    void = e.WaitVoided(WaitId("a"), "its tool call is over")
    assert asked(approval("a"), approval("b"), void) == ["a", "", "b"]
    (_, last) = shown(approval("a"), void)
    assert last is not None
    assert last["type"] == "warning"
    (*_, unseen) = shown(approval("x"), approval("a"), void)
    assert unseen is None  # nobody has seen it


def test_questions_come_all_at_once() -> None:
    frames = shown(approval("a"), other("q", "question"), other("r", "question", SUBS[0]), answered("q"))
    assert [frame and frame["type"] for frame in frames] == [
        "tool_call_confirmation",
        "elicitation_request",
        "elicitation_request",
        None,
    ]


def test_a_turn_that_is_cancelled_asks_nothing_more() -> None:
    facts = [approval("a"), approval("b"), e.CancelAsked(TURN)]
    ends = [e.WaitVoided(WaitId(name), e.TURN_ENDED) for name in ("a", "b")]
    assert asked(*facts, *ends, e.TurnEnded(TURN, "canceled")) == [*("a", "", ""), *("", "", "")]
    again = [e.TurnOpened(TurnId("u"), "crew", "root", "/"), approval("c")]
    assert asked(*facts, *ends, e.TurnEnded(TURN, "canceled"), *again)[-1] == "c"


def test_a_sub_session_that_ends_takes_its_prompts_along() -> None:
    end = e.TurnEnded(TurnId("i"), "error", sub=SUBS[0])
    assert asked(approval("a", SUBS[0]), approval("b"), end, approval("c")) == ["a", "", "", "b"]


def test_frames_of_sub_sessions_say_where_they_hang() -> None:
    call = ToolCall(CallId("1"), "cut", "{}")
    facts: list[e.Fact] = [
        e.AgentShown("coder", "m/m", sub=SUBS[1]),
        e.TextAdded(AnswerId("x"), "hi", "coder", sub=SUBS[1]),
        e.ToolCalled(call, "once", "coder", definition="d1", sub=SUBS[1]),
        e.SubSessionEnded(SUBS[1], "lead", sub=SUBS[0]),
        e.TextAdded(AnswerId("y"), "hi", "root"),
    ]
    found = [frame or {} for frame in shown(*facts)]
    places = [tuple(frame.get(f"{name}session_id") for name in ("", "parent_", "root_")) for frame in found]
    below = (SUBS[1], SUBS[0], "top")
    assert places == [below, below, below, (None, SUBS[0], "top"), (LOG, None, None)]


def tumult(dice: random.Random) -> list[e.Fact]:
    """Turns in which several sessions ask, are answered, give up and end, in any order."""
    facts: list[e.Fact] = []
    number = 0
    for turn in ("t", "u"):
        waiting: list[e.WaitOpened] = []
        facts += [e.TurnOpened(TurnId(turn), "crew", "root", "/")] if turn != "t" else []
        for _ in range(30):
            number += 1
            what = dice.random()
            if what < 0.5 or not waiting:
                sub = dice.choice(("", *SUBS))
                kind = dice.choice(("approval", "approval", "limit", "budget", "question"))
                waiting.append(approval(f"w{number}", sub) if kind == "approval" else other(f"w{number}", kind, sub))
                facts.append(waiting[-1])
            elif what < 0.95:
                over = waiting.pop(dice.randrange(len(waiting)))
                why = dice.choice(("its call is over", e.TURN_ENDED))
                void = e.WaitVoided(over.wait, why, sub=over.sub)
                facts.append(dice.choice((answered(over.wait, over.sub), void)))
            else:
                facts.append(e.TextAdded(AnswerId("a"), "x", sub=dice.choice(SUBS)))
        facts += [e.CancelAsked(TurnId(turn))] if dice.random() < 0.5 else []
        facts += [e.WaitVoided(wait.wait, e.TURN_ENDED, sub=wait.sub) for wait in waiting]
        facts.append(e.TurnEnded(TurnId(turn), "canceled"))
    return facts


@pytest.mark.parametrize("seed", range(8))
def test_what_is_shown_is_what_an_answer_without_a_name_answers(seed: int) -> None:
    """The oldest of the fold, which `resume` answers, and the one that the frames have shown last."""
    memory, head, seen, over = Memory(), None, "", False
    for event in log(tumult(random.Random(seed))):
        head = apply(head, event)
        data = frames.render(event, memory)
        frame = json.loads(data) if data else {}
        seen = frame.get("request_id", "") or seen
        over = isinstance(event.fact, e.CancelAsked) or (over and not isinstance(event.fact, e.TurnOpened))
        waiting = [wait.id for wait in head.waits if wait.kind != "question"]
        assert over or not waiting or waiting[0] == seen
        assert not frame.get("request_id") or waiting[0] == frame["request_id"]


@pytest.mark.parametrize("seed", range(4))
async def test_the_same_from_every_cursor(seed: int) -> None:
    ticks = iter(range(10**15, 10**16))
    store = Store(lambda: Micros(next(ticks)), ServerId("one"), lambda *_: None)
    await store.put(LOG, [*BEGIN, *tumult(random.Random(seed))])
    whole = await store.page(LOG, after=0, limit=9999)
    archive = Archive(cast(Desk, SimpleNamespace(store=store)))

    async def rendered(after: int) -> dict[int, bytes | None]:
        renderer = Renderer(archive, LOG)
        return {event.seq: await renderer.render(event) for event in whole if event.seq > after}

    all_of_it = await rendered(0)
    for cursor in range(1, len(whole)):
        assert await rendered(cursor) == {seq: data for seq, data in all_of_it.items() if seq > cursor}
