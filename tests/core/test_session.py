"""A head is what its log makes of it: each fact's effect, and the properties that hold for any log."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from roost.core import events as e
from roost.core.history import History
from roost.core.ids import AnswerId, CallId, LogId, Micros, RunId, SessionId, TurnId, WaitId
from roost.core.messages import Message, Result, ToolCall
from roost.core.orders import Order
from roost.core.session import Answered, Head, Limit, OpenCall, Queued, Run, Turn, apply, fold
from roost.core.session.changes import Changes
from roost.core.usage import Usage

LOG = LogId("log")
SUB = SessionId("sub")
ANSWER = AnswerId("a1")
CALL = ToolCall(CallId("c1"), "shell", "{}")
OTHER = ToolCall(CallId("c2"), "read", "{}")
BORN = e.SessionCreated(e.Template())
OPENED = e.TurnOpened(TurnId("t1"), source="team.yaml", agent="root", working_dir="/srv", max_iterations=5)
USER = Message("user", "hi")


def events(*facts: e.Fact) -> list[e.Event]:
    return [e.Event(LOG, seq, Micros(seq * 10), fact) for seq, fact in enumerate(facts, 1)]


def head_of(*facts: e.Fact) -> Head:
    return fold(events(BORN, *facts))


def turn_of(*facts: e.Fact) -> Turn:
    turn = head_of(OPENED, *facts).turn
    assert turn is not None
    return turn


def asks(*calls: ToolCall, answer: AnswerId = ANSWER, **more: Any) -> e.MessageAdded:
    return e.MessageAdded(Message("assistant", "let me", calls=calls), answer=answer, **more)


def wait(name: str, kind: e.Kind = "approval", **more: Any) -> e.WaitOpened:
    return e.WaitOpened(WaitId(name), kind, "root", **more)


def answered(name: str, action: str = "approve") -> e.WaitAnswered:
    return e.WaitAnswered(WaitId(name), e.Answer(action))


# -- birth --------------------------------------------------------------------------------------


def test_a_session_is_born_with_its_template() -> None:
    template = e.Template(
        title="Deploy",
        working_dir="/srv",
        safety="strict",
        prior_safety="balanced",
        permissions=e.Permissions(("read",)),
        hide_tool_results=True,
        starred=True,
        thinking=True,
        send_user_message=False,
        max_iterations=1,
        max_consecutive_tool_calls=2,
        max_old_tool_call_tokens=3,
        max_tool_result_tokens=4,
        attributes={"k": "v"},
        model_overrides={"root": "openai/gpt"},
        custom_models=("openai/gpt",),
        attached_files=("a.txt",),
        owner="ann",
    )
    head = fold(events(e.SessionCreated(template, parent=SessionId("p"), forked_from=SessionId("f"))))
    for name in template.__struct_fields__:
        assert getattr(head, name) == getattr(template, name), name
    assert (head.id, head.root, head.parent, head.forked_from) == (LOG, LOG, "p", "f")
    assert (head.created_at, head.first_seq, head.last_seq, head.titled_by) == (10, 1, 1, "user")
    assert head_of().titled_by == ""


@pytest.mark.parametrize("first", [e.TitleSet("t"), e.SessionCreated(e.Template(), sub=SUB), OPENED])
def test_a_log_begins_with_the_birth_of_its_session(first: e.Fact) -> None:
    with pytest.raises(ValueError, match="begins"):
        fold(events(first))


def test_a_log_of_nothing_has_no_head() -> None:
    with pytest.raises(ValueError, match="no events"):
        fold([])


# -- plain settings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fact", "changes"),
    [
        (e.TitleSet("New", "model"), {"title": "New", "titled_by": "model"}),
        (e.TitleSet(""), {"title": "", "titled_by": ""}),
        (e.PolicySet("autonomous", "strict"), {"safety": "autonomous", "prior_safety": "strict"}),
        (e.PermissionsSet(e.Permissions(("a",))), {"permissions": e.Permissions(("a",))}),
        (e.ThinkingSet(True), {"thinking": True}),
        (e.StarredSet(True), {"starred": True}),
        (e.TokensSet(3, 4, 0.5), {"input_tokens": 3, "output_tokens": 4, "cost": 0.5}),
        (e.ModelChosen("root", "m"), {"model_overrides": {"root": "m"}}),
        (e.ModelChosen("root", "o/m"), {"model_overrides": {"root": "o/m"}, "custom_models": ("o/m",)}),
        (e.ModelChosen("root", ""), {}),
        (e.MessageWritten(USER), {"messages": 1, "items": 1}),
        (e.MessageWritten(Message("system", "be kind")), {"items": 1}),
        (e.MessageEdited(2, USER), {}),
        (e.SummaryAdded("s", cost=0.25), {"items": 1, "summary": 2, "cost": 0.25}),
        (e.ErrorMet("oh"), {"items": 1}),
        (e.CompactionAsked("Keep it."), {"compaction": 2}),
        (e.DeleteAsked(), {"deleted": True}),
        (e.SessionExited(), {"deleted": True, "exited": True}),
        (e.TitleShown("t"), {}),
        (e.TextAdded(ANSWER, "x"), {}),
        (e.MessageAdded(), {}),
        (e.LabelSet("n", "d", ("t",)), {"name": "n", "description": "d", "tags": ("t",)}),
        (e.ResultSet("42"), {"result": 2}),
        (e.UserNoted("info", "x"), {}),
        (e.WorktreeMade("tree", "/tree", "/srv"), {"worktree": "tree", "worktree_path": "/tree"}),
        (e.WorktreeLeft("/tree", removed=True), {}),
        (e.Introduced("own-id"), {"provider_session": "own-id"}),
        (e.StatusShown("x"), {}),
        (e.StderrAdded("x"), {}),
        (e.LineSkipped("x"), {}),
        (e.RoundResult(True), {}),
        (e.LimitResumeFailed("i", "x", 1), {}),
        (e.Unknown("Tomorrow", msgspec.Raw(b"{}")), {}),
    ],
    ids=lambda value: e.kind(value) if not isinstance(value, dict) else "",
)
def test_what_a_fact_changes_and_nothing_else(fact: e.Fact, changes: dict[str, Any]) -> None:
    active = {} if e.is_delta(fact) else {"active_at": 20}
    assert head_of(fact) == replace(head_of(), last_seq=2, **active, **changes)


def test_a_session_is_born_with_its_order() -> None:
    order = Order(
        "claude", model="opus", name="n", description="d", tags=("t",), depends_on=("s",), retried_from="r", sandbox=""
    )
    head = fold(events(e.SessionCreated(e.Template(), parent=SessionId("p"), root=SessionId("top"), order=order)))
    for name in ("provider", "model", "name", "description", "tags", "depends_on", "retried_from", "interactive"):
        assert getattr(head, name) == getattr(order, name), name
    assert (head.confined, head.parent, head.root, head_of().confined) == (True, "p", "top", False)


def test_a_worktree_is_forgotten_with_its_folder() -> None:
    made = e.WorktreeMade("tree", "/tree", "/srv")
    assert head_of(made, e.WorktreeLeft("/tree", removed=False)).worktree_path == "/tree"
    left = head_of(made, e.WorktreeLeft("/tree", removed=True))
    assert (left.worktree, left.worktree_path) == ("tree", "")


def test_the_newest_words_of_the_agent_are_known_by_their_place() -> None:
    said, silent = asks(), e.MessageAdded(Message("assistant", " ", calls=(CALL,)), answer=ANSWER)
    assert (head_of(OPENED, said).spoke, head_of(OPENED, said, silent).spoke) == (3, 3)
    assert head_of(OPENED, silent).spoke == 0


def test_an_end_leaves_its_outcome() -> None:
    head = head_of(OPENED, e.TurnEnded(TurnId("t1"), "error", error="e" * 3000))
    assert (head.outcome, head.error, head.ended_at) == ("error", "e" * 2000, 30)


def test_a_turn_knows_its_run_and_how_far_it_is_read() -> None:
    run = RunId("r1")
    started = e.RunStarted(run, 7, 8, "boot", "claude", resumed="own-id", sandbox="docker:x")
    read = turn_of(started, e.RunRead(run, 10, 2), e.RunRead(RunId("r0"), 99, 99), e.RoundEnded(0))
    assert read.run == Run(run, 7, 8, "boot", Micros(30), 10, 2, "docker:x", "own-id")
    assert (read.runs, read.rounds) == (1, 1)
    ended = turn_of(started, e.RunEnded(RunId("r0")), e.RunEnded(run, 0))
    assert (ended.run, ended.runs) == (None, 1)


def test_a_limit_lasts_until_the_turn_goes_on() -> None:
    hit = e.LimitHit("i1", "claude", resume_at=Micros(99))
    assert turn_of(hit).limit == Limit("i1", Micros(99))
    assert turn_of(hit, e.LimitResumed("i1", "go on", 1)).limit is None
    assert (turn_of(e.LimitHit("i1", "claude")).limit, turn_of(hit, hit).limits) == (None, 2)


def test_why_a_turn_is_cancelled_is_what_was_said_first() -> None:
    turn = turn_of(e.CancelAsked(TurnId("t1"), "timeout"), e.CancelAsked(TurnId("t1"), "asked for"))
    assert (turn.canceled, turn.cancel_why) == (True, "timeout")


def test_a_model_that_was_chosen_can_be_given_up() -> None:
    head = head_of(e.ModelChosen("root", "o/m"), e.ModelChosen("coder", "o/m"), e.ModelChosen("root", ""))
    assert head.model_overrides == {"coder": "o/m"}
    assert head.custom_models == ("o/m",)


def test_usage_measures_the_context_and_adds_up_money() -> None:
    def usage(tokens: int, cost: float, why: Any = "answer", **more: Any) -> e.UsageAdded:
        return e.UsageAdded(Usage(1, 1), "m", "root", cost, 0, tokens, tokens + 1, why=why, **more)

    head = head_of(usage(10, 0.5), usage(20, 0.25))
    assert (head.input_tokens, head.output_tokens, head.cost) == (20, 21, 0.75)
    assert head.used == Usage(2, 2)  # all that was ever used
    titled = head_of(usage(10, 0.5), usage(3, 0.25, "title"))
    assert (titled.input_tokens, titled.output_tokens, titled.cost) == (10, 11, 0.75)
    compacted = head_of(usage(10, 0.5), e.SummaryAdded("s", cost=0.25), usage(4, 0.25, "compaction"))
    assert (compacted.input_tokens, compacted.output_tokens, compacted.cost) == (4, 5, 0.75)  # counted once
    wasted = head_of(usage(10, 0.5), usage(4, 0.25, "vain"))
    assert (wasted.input_tokens, wasted.output_tokens, wasted.cost) == (10, 11, 0.75)
    assert head_of(usage(10, 0.5, sub=SUB)).cost == 0  # a sub-session has its own


def test_a_compaction_is_open_until_it_has_ended() -> None:
    assert turn_of(e.CompactionStarted("root", "overflow")).compacting == "overflow"
    assert turn_of(e.CompactionStarted("root"), e.CompactionEnded("failed")).compacting == ""


@pytest.mark.parametrize(
    ("reason", "outcome", "again", "waits"),
    [
        ("manual", "applied", False, False),
        ("manual", "skipped", False, False),
        ("manual", "failed", False, False),
        ("manual", "failed", True, True),
        ("threshold", "applied", False, False),
        ("threshold", "failed", False, True),
    ],
)
def test_a_wish_for_a_summary_waits_until_it_was_heard(reason: Any, outcome: Any, again: bool, waits: bool) -> None:
    asked = (e.CompactionAsked(), OPENED, e.CompactionStarted("root", reason))
    assert bool(head_of(*asked).compaction)
    assert bool(head_of(*asked, e.CompactionEnded(outcome, again=again)).compaction) is waits


# -- messages that wait -------------------------------------------------------------------------


def test_queued_messages_wait_until_each_is_taken() -> None:
    two = e.MessageQueued("steer", (USER, USER))
    head = head_of(two, e.MessageQueued("followup", (USER,)))
    assert head.queue == (Queued("steer", 2, 0), Queued("steer", 2, 1), Queued("followup", 3, 0))
    assert (head.depth("steer"), head.depth("followup"), head.messages) == (2, 1, 0)
    head = head_of(two, e.MessageQueued("followup", (USER,)), e.MessageTaken(2, 0, USER, 0))
    assert head.queue == (Queued("steer", 2, 1), Queued("followup", 3, 0))
    assert (head.messages, head.items) == (1, 1)


def test_a_sub_session_can_take_what_waits() -> None:
    head = head_of(e.MessageQueued("steer", (USER,)), e.MessageTaken(2, 0, USER, 0, sub=SUB))
    assert (head.queue, head.messages, head.items) == ((), 1, 0)


# -- a turn -------------------------------------------------------------------------------------


def test_a_turn_opens_and_ends() -> None:
    head = head_of(OPENED)
    assert head.turn == Turn(TurnId("t1"), 2, "team.yaml", "root", "/srv", max_iterations=5, at=20)
    assert (head.turns, head.source, head.agent) == (1, "team.yaml", "root")
    head = head_of(OPENED, wait("w"), e.TurnEnded(TurnId("t1"), "normal"))
    assert (head.turn, head.waits, head.turns) == (None, (), 1)


def test_what_names_another_turn_is_passed_over() -> None:
    other = TurnId("t0")
    stale = [e.TurnDetached(other), e.TurnResumed(other, 2), e.CancelAsked(other), e.TurnEnded(other, "normal")]
    assert turn_of(*stale) == turn_of()
    assert head_of(*stale).turn is None


def test_marks_of_a_turn() -> None:
    turn = turn_of(e.TurnStarted("root"), e.TurnResumed(TurnId("t1"), 2), e.CancelAsked(TurnId("t1")))
    assert (turn.started, turn.resumes, turn.detached, turn.canceled) == (True, 2, True, True)
    assert turn_of(e.TurnDetached(TurnId("t1"))).detached
    assert turn_of(e.LimitRaised(15)).max_iterations == 15
    assert turn_of(e.HandedOver("coder", "root")).agent == "coder"
    assert turn_of(e.AgentSwitched("coder", True, "root", "coder")).agent == "root"


def test_calls_that_are_open_are_played_by_whoever_made_them() -> None:
    handed = (asks(CALL, OTHER), e.HandedOver("coder", "root"), e.MessageAdded(call=OTHER.id))
    assert (turn_of(*handed).agent, turn_of(*handed).heir) == ("root", "coder")
    through = turn_of(*handed, e.MessageAdded(call=CALL.id))
    assert (through.agent, through.heir, through.calls) == ("coder", "", ())
    assert head_of(OPENED, *handed, e.TurnEnded(TurnId("t1"), "canceled")).handed == "coder"


def test_progress_forgives_crashes() -> None:
    crashed = (asks(CALL), e.TurnResumed(TurnId("t1"), 2))
    assert turn_of(*crashed).resumes == 2
    assert turn_of(*crashed, e.ToolReturned(CALL, Result("out"), "root")).resumes == 0
    assert turn_of(*crashed, asks()).resumes == 0
    assert turn_of(*crashed, e.ToolCalled(CALL, "safe", "root"), e.ModelAsked(ANSWER, "root", "m")).resumes == 2


def test_a_request_is_under_way_until_its_answer_comes_or_is_dropped() -> None:
    asked = e.ModelAsked(ANSWER, "root", "m")
    assert (turn_of(asked).answer, turn_of(asked).asked) == (ANSWER, 3)
    done = turn_of(asked, asks(CALL))
    assert (done.answer, done.asked, done.iterations) == ("", 0, 1)
    dropped = turn_of(asked, e.AnswerDropped(ANSWER, 4, "crash"))
    assert (dropped.answer, dropped.asked, dropped.iterations) == ("", 0, 0)
    stale = turn_of(asked, e.AnswerDropped(AnswerId("a0"), 4, "retry"), asks(answer=AnswerId("a0")))
    assert (stale.answer, stale.asked, stale.iterations) == (ANSWER, 3, 0)


def test_calls_go_their_way() -> None:
    def calls(*facts: e.Fact) -> list[tuple[str, str]]:
        return [(call.id, call.state) for call in turn_of(asks(CALL, OTHER), *facts).calls]

    called = e.ToolCalled(CALL, "once", "root", attempt=1)
    returned = e.ToolReturned(CALL, Result("out"), "root")
    assert calls() == [("c1", "new"), ("c2", "new")]
    assert calls(called) == [("c1", "called"), ("c2", "new")]
    assert calls(called, e.CallLost(CALL.id, 1)) == [("c1", "lost"), ("c2", "new")]
    assert calls(called, returned) == [("c1", "returned"), ("c2", "new")]
    assert calls(called, returned, e.MessageAdded(call=CALL.id)) == [("c2", "new")]
    again = turn_of(asks(CALL), called, e.CallLost(CALL.id, 1), e.ToolCalled(CALL, "once", "root", attempt=2))
    assert again.calls == (OpenCall(CALL.id, "shell", "called", "once", 2),)


def test_only_an_answer_of_the_model_changes_which_calls_are_open() -> None:
    assert turn_of(asks(CALL), e.MessageAdded(Message("user", "reminder"))).calls == (OpenCall(CALL.id, "shell"),)
    assert turn_of(asks(CALL), asks()).calls == ()
    assert turn_of(asks(CALL, partial=True)).calls == ()  # cut off: its calls are never run


# -- waits --------------------------------------------------------------------------------------


def test_a_wait_is_open_until_it_is_answered_or_voided() -> None:
    head = head_of(OPENED, wait("w", call=CALL, durable=False), wait("v"))
    first = head.waits[0]
    assert (first.id, first.kind, first.seq, first.at) == ("w", "approval", 3, 30)
    assert (first.call, first.tool, first.durable, first.sub) == ("c1", "shell", False, "")
    assert head.waiting
    head = head_of(OPENED, wait("w"), wait("v"), answered("w"), e.WaitVoided(WaitId("v"), "gone"))
    assert not head.waiting


def test_the_first_answer_wins() -> None:
    turn = turn_of(wait("w", call=CALL), answered("w"), answered("w", "reject"))
    assert turn.answers == (Answered(WaitId("w"), "approval", e.Answer("approve"), CALL.id),)
    assert turn_of(answered("w")).answers == ()


def test_a_wait_that_is_opened_again_is_there_once() -> None:
    assert [(w.id, w.seq) for w in head_of(wait("w"), wait("v"), wait("w")).waits] == [("v", 3), ("w", 4)]


def test_an_answer_is_kept_until_the_turn_has_acted_on_it() -> None:
    approved = (wait("w", call=CALL), answered("w"))
    assert turn_of(*approved, e.ToolCalled(CALL, "ask", "root")).answers == ()
    assert turn_of(*approved, e.ToolReturned(CALL, Result("rejected", is_error=True), "root")).answers == ()
    assert len(turn_of(*approved, e.ToolCalled(OTHER, "ask", "root")).answers) == 1
    question = (wait("w", "question", call=CALL), answered("w", "accept"))
    assert len(turn_of(*question, e.ToolCalled(CALL, "ask", "root", attempt=2)).answers) == 1
    assert turn_of(*question, e.ToolReturned(CALL, Result("out"), "root")).answers == ()
    limit = (wait("w", "limit"), answered("w"))
    assert turn_of(*limit, e.LimitRaised(15)).answers == ()


def test_sub_sessions_act_on_their_own_answers() -> None:
    limits = (wait("w", "limit"), wait("v", "limit", sub=SUB), answered("w"), answered("v"))
    assert [a.id for a in turn_of(*limits, e.LimitRaised(15)).answers] == ["v"]
    assert [a.id for a in turn_of(*limits, e.LimitRaised(15, sub=SUB)).answers] == ["w"]
    assert turn_of(*limits, e.LimitRaised(15, sub=SUB)).max_iterations == 5
    approved = (wait("w", call=CALL, sub=SUB), answered("w"))
    assert len(turn_of(*approved).answers) == 1
    assert turn_of(*approved, e.ToolCalled(CALL, "ask", "coder", sub=SUB)).answers == ()


# -- sub-sessions -------------------------------------------------------------------------------


def test_a_sub_session_counts_as_one_item_and_its_messages_as_messages() -> None:
    birth = e.SessionCreated(e.Template(), parent=SessionId(LOG), sub=SUB)
    inner = e.SessionCreated(e.Template(), parent=SUB, sub=SessionId("inner"))
    head = head_of(
        birth,
        e.MessageWritten(Message("system", "s"), sub=SUB),
        e.MessageWritten(USER, sub=SUB),
        inner,
        e.MessageWritten(USER, sub=SessionId("inner")),
        e.ToolReturned(CALL, Result("out"), "coder", sub=SUB),
        e.MessageAdded(call=CALL.id, sub=SUB),
        e.ErrorMet("oh", sub=SUB),
        e.SummaryAdded("s", cost=1, sub=SUB),
    )
    assert (head.items, head.messages, head.cost, head.summary) == (1, 3, 0, 0)


def test_a_sub_session_does_not_touch_the_turn_or_the_settings() -> None:
    facts: tuple[e.Fact, ...] = (
        e.TitleSet("t", sub=SUB),
        e.ModelAsked(ANSWER, "coder", "m", sub=SUB),
        asks(OTHER, sub=SUB),
        e.AgentSwitched("x", True, to_agent="x", sub=SUB),
        e.CancelAsked(TurnId("t1"), sub=SUB),
        e.SessionExited(sub=SUB),
        e.DeleteAsked(sub=SUB),
    )
    assert turn_of(asks(CALL), *facts) == turn_of(asks(CALL))
    assert not head_of(*facts).deleted and head_of(*facts).title == ""


def test_the_end_of_a_sub_session_closes_its_waits_alone() -> None:
    head = head_of(OPENED, wait("w"), wait("v", sub=SUB), e.TurnEnded(TurnId("t2"), "error", sub=SUB))
    assert [w.id for w in head.waits] == ["w"]
    assert head.turn is not None


# -- for any log --------------------------------------------------------------------------------

_call = st.sampled_from([CALL, OTHER])
_message = st.sampled_from(["system", "user", "assistant"]).map(lambda role: Message(role, "words"))
_sub = st.sampled_from(["", SUB]).map(SessionId)
_facts = st.one_of(
    st.builds(e.MessageWritten, _message, sub=_sub),
    st.builds(e.MessageTaken, st.just(2), st.integers(0, 2), _message, st.just(0), sub=_sub),
    st.builds(asks, _call),
    st.builds(e.ErrorMet, st.just("oh"), sub=_sub),
    st.builds(e.SummaryAdded, st.just("s"), sub=_sub),
    st.builds(e.ToolCalled, _call, st.just("ask"), st.just("root"), sub=_sub),
    st.builds(e.WaitOpened, st.sampled_from(["w", "v"]), st.just("approval"), st.just("root"), _call, sub=_sub),
    st.builds(answered, st.sampled_from(["w", "v"])),
    st.builds(e.TextAdded, st.just(ANSWER), st.just("x"), sub=_sub),
    st.just(OPENED),
    st.builds(e.TurnEnded, st.just(TurnId("t1")), st.just("normal"), sub=_sub),
)
_START = (BORN, e.MessageQueued("steer", (USER, USER)), e.SessionCreated(e.Template(), parent=SessionId(LOG), sub=SUB))


@settings(deadline=None)
@given(st.lists(_facts, max_size=30), st.integers(0, 30))
def test_a_head_can_be_stored_at_any_point_and_folded_on(facts: list[e.Fact], cut: int) -> None:
    log = events(*_START, *facts)
    cut = min(cut + 1, len(log))
    stored = msgspec.json.decode(msgspec.json.encode(fold(log[:cut])), type=Head)
    assert fold(log[cut:], stored) == fold(log)


@settings(deadline=None)
@given(st.lists(_facts, max_size=30))
def test_deltas_leave_the_head_alone(facts: list[e.Fact]) -> None:
    log = events(*_START, *facts)
    kept = [event for event in log if not e.is_delta(event.fact)]
    assert replace(fold(kept), last_seq=len(log)) == fold(log)


@settings(deadline=None)
@given(st.lists(_facts, max_size=30))
def test_the_counts_are_those_of_the_history(facts: list[e.Fact]) -> None:
    log = events(*_START, *facts)
    head, history = fold(log), History(SessionId(LOG)).extend(log)
    assert (head.items, head.messages) == (len(history.items), len(history.messages()))


_DEEP = SessionId("deep")
_anyone = st.sampled_from(["", SUB, _DEEP, SessionId("stranger")]).map(SessionId)
_nested = st.one_of(
    _facts,
    st.builds(e.SessionCreated, st.just(e.Template()), st.sampled_from([LOG, SUB]), call=_call.map(lambda c: c.id),
              sub=st.sampled_from([SUB, _DEEP])),
    st.builds(replace, st.just(OPENED), sub=_anyone),
    st.builds(asks, _call, sub=_anyone),
    st.builds(e.HandedOver, st.sampled_from(["coder", "root"]), sub=_anyone),
    st.builds(e.CallChanged, _call.map(lambda c: c.id), st.just("{}"), sub=_anyone),
    st.builds(e.CallLost, _call.map(lambda c: c.id), sub=_anyone),
    st.builds(e.ToolReturned, _call, st.just(Result("out")), sub=_anyone),
    st.builds(e.MessageAdded, call=_call.map(lambda c: c.id), sub=_anyone),
    st.builds(e.CompactionStarted, st.just("root"), sub=_anyone),
    st.builds(e.CompactionEnded, st.sampled_from(["applied", "failed"]), sub=_anyone),
    st.builds(e.SummaryAdded, st.just("s"), cost=st.just(1.0), sub=_anyone),
    st.builds(e.UsageAdded, st.just(Usage(1, 2)), cost=st.just(0.5), sub=_anyone),
    st.builds(e.ModelAsked, st.just(ANSWER), st.just("root"), sub=_anyone),
    st.builds(e.AnswerDropped, st.just(ANSWER), st.just(1), sub=_anyone),
    st.builds(e.CancelAsked, st.just(TurnId("t1"))),
    st.builds(e.SubSessionEnded, st.sampled_from([SUB, _DEEP]), sub=_anyone),
    st.builds(e.TurnEnded, st.just(TurnId("t1")), st.just("normal"), sub=_anyone),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(_nested, max_size=60), st.lists(st.integers(1, 60), max_size=6))
def test_a_fold_is_the_same_whatever_its_pages(facts: list[e.Fact], ends: list[int]) -> None:
    log = events(*_START, *facts)
    head, begin = None, 0
    for end in sorted({min(end, len(log)) for end in ends} | {len(log)}):
        head = msgspec.json.decode(msgspec.json.encode(fold(log[begin:end], head)), type=Head)
        begin = end
    assert head == fold(log)
    assert head is not None
    assert len(list(head.below_all())) <= sum(isinstance(fact, e.SessionCreated) for fact in facts) + 1


def test_nobody_is_born_twice_or_of_himself() -> None:
    again = e.SessionCreated(e.Template(), SUB, sub=SUB)
    twice = e.SessionCreated(e.Template(), SessionId(LOG), sub=SUB)
    head = fold(events(*_START, twice, again, twice))
    assert [found.id for found in head.below_all()] == [SUB]


def test_no_fact_is_forgotten() -> None:
    """Every member of the union can be applied, in a turn and out of one, for the session and for a part of it."""
    for member in e.Known.__args__:
        for sub in ("", "sub"):
            fact = _example(member, sub)
            for head in (head_of(), head_of(OPENED)):
                assert apply(head, e.Event(LOG, head.last_seq + 1, Micros(99), fact)).last_seq == head.last_seq + 1


def test_what_a_fact_changes_is_said_once() -> None:
    changes = Changes[Head]()
    changes.by(e.StarredSet)(lambda head, event, fact: replace(head, starred=fact.starred))
    with pytest.raises(ValueError, match="StarredSet"):
        changes.by(e.StarredSet)(lambda head, event, fact: head)


def _example(member: type[e.Base], sub: str) -> e.Fact:
    """A fact with the plainest values its fields allow."""
    plain: dict[str, Any] = {"call": CALL, "result": Result("out"), "message": USER, "messages": (USER,)}
    plain |= {"template": e.Template(), "usage": Usage(), "permissions": None, "answer": "a1", "agents": ()}
    plain |= {"queue": "steer", "kind": "approval", "effect": "safe", "outcome": "normal", "thinking": True}
    plain |= {"switching": True, "starred": True, "cost": 0.0, "total_cost": 0.0}
    numbers = {"input", "output", "queued", "index", "position", "n", "count", "first_seq", "message_id", "attempt"}
    numbers |= {"max_attempts", "input_tokens", "output_tokens", "max_iterations"}
    plain |= dict.fromkeys(numbers, 1)
    if member is e.SessionCreated and not sub:
        return BORN
    if member is e.WaitAnswered:
        plain["answer"] = e.Answer("approve")
    if member in (e.OutputAdded, e.CallLost, e.CallDrafted, e.MessageAdded):
        plain["call"] = CALL.id
    if member is e.CompactionEnded:
        plain["outcome"] = "applied"
    if member is e.Warned or member is e.ErrorMet:
        plain["message"] = "words"
    required = member.__struct_fields__[: len(member.__struct_fields__)]
    fields = msgspec.structs.fields(member)
    values = {f.name: plain.get(f.name, "t1") for f in fields if f.required}
    assert required
    return member(**values, sub=SessionId(sub))
