"""What hooks are given, which of them run, and what their answers mean."""

import json
from typing import Any

import pytest
from hypothesis import example
from hypothesis import given as any_of
from hypothesis import strategies as st
from msgspec.structs import replace

from roost.core import hooks
from roost.core.agents import Hook, Matcher
from roost.core.hooks import EVENTS, Output, Verdict, chosen, given, merge, read, tool_fields
from roost.core.ids import CallId
from roost.core.messages import Annotations, Definition, ToolCall
from roost.ports import Ran

GUARD = Hook("command", "./guard.py")
CALL = ToolCall(CallId("c1"), "shell", '{"cmd": "ls"}')


def said(event: str, ran: Ran, hook: Hook = GUARD) -> Output:
    return read(event, hook, ran)


def printed(event: str, *, hook: Hook = GUARD, specific: dict[str, Any] | None = None, **answer: Any) -> Output:
    whole = answer | ({"hook_specific_output": specific} if specific is not None else {})
    return read(event, hook, Ran(code=0, stdout=json.dumps(whole)))


# -- input --------------------------------------------------------------------------------------


def test_what_every_hook_is_given() -> None:
    assert given("session_end", session="s1", cwd="/w", agent="root", reason="normal") == {
        "session_id": "s1",
        "cwd": "/w",
        "hook_event_name": "session_end",
        "agent_name": "root",
        "reason": "normal",
    }


def test_what_hooks_of_a_call_are_given() -> None:
    definition = Definition("shell", "shell", annotations=Annotations(read_only=True))
    fields = {"tool_name": "shell", "tool_use_id": "c1", "tool_input": {"cmd": "ls"}}
    assert tool_fields(CALL, definition) == fields | {"tool_category": "shell", "tool_read_only": True}
    assert tool_fields(CALL, None) == fields


@pytest.mark.parametrize("arguments", ["", "[1]", "{", "null", "[" * 100_000])
def test_arguments_that_are_none(arguments: str) -> None:
    assert tool_fields(replace(CALL, arguments=arguments), None)["tool_input"] == {}


# -- which of them run --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matcher", "tool", "expected"),
    [
        ("", "shell", True),
        ("*", "shell", True),
        (" ", "shell", True),
        ("shell", "shell", True),
        ("shell", "shell2", False),
        ("hell", "shell", False),
        ("shell|write_file", "write_file", True),
        ("shell|write", "write_file", False),
        ("mcp__.*", "mcp__github__create", True),
        ("(", "(", False),
        ("[", "[", False),
    ],
)
def test_a_matcher_is_a_whole_name(matcher: str, tool: str, expected: bool) -> None:
    found = chosen({"pre_tool_use": [Matcher((GUARD,), matcher)]}, "pre_tool_use", tool=tool)
    assert found == ((GUARD,) if expected else ())


def test_what_is_wrong_with_a_matcher() -> None:
    assert "not a regular expression" in hooks.complaint("(")
    assert not hooks.complaint("*")
    assert not hooks.complaint("a|b")


def test_the_same_command_runs_once() -> None:
    other, environed = Hook("command", "x"), replace(GUARD, env={"A": "b"})
    matchers = [Matcher((GUARD, other), "shell"), Matcher((replace(GUARD, name="again"), environed))]
    assert chosen({"post_tool_use": matchers}, "post_tool_use", tool="shell") == (GUARD, other, environed)


def test_lanes_are_of_pre_tool_use_alone() -> None:
    early, late = Hook("command", "early"), Hook("command", "late")
    matchers = [Matcher((late,)), Matcher((early,), preempt=True)]
    assert chosen({"pre_tool_use": matchers}, "pre_tool_use", tool="t", preempt=True) == (early,)
    assert chosen({"pre_tool_use": matchers}, "pre_tool_use", tool="t") == (late,)
    assert chosen({"tool_guard": matchers}, "tool_guard", tool="t") == (late, early)


def test_events_without_tools_have_no_matchers() -> None:
    assert chosen({"turn_end": [Matcher((GUARD,), "shell")]}, "turn_end") == (GUARD,)
    assert chosen({}, "turn_end") == ()


def test_sources_follow_each_other() -> None:
    one, two = Matcher((GUARD,)), Matcher((Hook("command", "x"),))
    assert hooks.joined({"stop": (one,)}, {"stop": (two,), "turn_end": (two,)}) == {
        "stop": (one, two),
        "turn_end": (two,),
    }


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        (Hook("command", "./a  b\nc"), "./a b c"),
        (Hook("command", "x" * 100), "x" * 59 + "…"),
        (Hook("command", "./a", name="guard"), "guard"),
        (Hook("model", model="m"), "m"),
    ],
)
def test_what_a_hook_is_called(hook: Hook, expected: str) -> None:
    assert hooks.title(hook) == expected


# -- what one of them says ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("session_start", "some words"),
        ("turn_start", "some words"),
        ("on_session_resume", "some words"),
        ("user_prompt_submit", "some words"),
        ("pre_tool_use", ""),
        ("stop", ""),
        ("session_end", ""),
    ],
)
def test_text_is_context_where_there_is_room_for_it(event: str, expected: str) -> None:
    assert said(event, Ran(code=0, stdout=" some words\n")) == Output("./guard.py", context=expected)


@pytest.mark.parametrize("event", EVENTS)
def test_silence_means_nothing(event: str) -> None:
    assert said(event, Ran(code=0)) == Output("./guard.py")
    assert merge(event, [said(event, Ran(code=0))]) == Verdict()


@pytest.mark.parametrize("event", [e for e, moment in EVENTS.items() if moment.blocks])
def test_exit_2_blocks(event: str) -> None:
    verdict = merge(event, [said(event, Ran(code=2, stdout="x", stderr=" not here\n"))])
    assert (verdict.blocked, verdict.decision, verdict.reason) == ("not here", "deny", "not here")
    assert merge(event, [said(event, Ran(code=2))]).blocked == "no reason was given"


@pytest.mark.parametrize("event", [e for e, moment in EVENTS.items() if not moment.blocks])
def test_what_has_happened_is_not_blocked(event: str) -> None:
    assert merge(event, [said(event, Ran(code=2, stderr="no"))]).blocked is None


def test_all_that_an_answer_can_hold() -> None:
    output = printed(
        "pre_tool_use",
        suppress_output=True,
        system_message=" look ",
        reason="general",
        unknown=1,
        specific={
            "hook_event_name": "pre_tool_use",
            "permission_decision": "ask",
            "permission_decision_reason": "special",
            "updated_input": {"cmd": "ls"},
            "additional_context": "ignored here",
            "metadata": {"a": 1},
            "unknown": {},
        },
    )
    assert output == Output(
        "./guard.py",
        decision="ask",
        reason="special",
        updated_input={"cmd": "ls"},
        message="look",
        metadata={"a": 1},
    )


@pytest.mark.parametrize(
    ("event", "specific", "expected"),
    [
        ("stop", {"additional_context": "go on"}, {"context": "go on"}),
        ("post_tool_use", {"additional_context": "note"}, {"context": "note"}),
        ("tool_response_transform", {"updated_tool_response": ""}, {"updated_response": ""}),
        ("before_llm_call", {"updated_messages": [{"role": "user"}]}, {"updated_messages": ({"role": "user"},)}),
        ("before_compaction", {"summary": "short"}, {"summary": "short"}),
        ("tool_input_transform", {"updated_input": {}}, {"updated_input": {}}),
        ("tool_guard", {"updated_input": {}, "permission_decision": "ask"}, {"decision": "ask"}),
        ("session_end", {"additional_context": "x", "permission_decision": "deny"}, {}),
        ("user_prompt_submit", {"permission_decision": "ask"}, {}),
        ("user_prompt_submit", {"permission_decision": "deny"}, {"decision": "deny"}),
    ],
)
def test_an_event_heeds_what_it_has_a_use_for(event: str, specific: dict[str, Any], expected: dict[str, Any]) -> None:
    assert printed(event, specific=specific) == Output("./guard.py", **expected)


def test_the_stricter_of_two_decisions_counts() -> None:
    output = printed("pre_tool_use", decision="block", reason="no", specific={"permission_decision": "allow"})
    assert (output.decision, output.reason) == ("deny", "no")
    assert printed("pre_tool_use", decision="approve").decision == "allow"


def test_nulls_are_left_out() -> None:
    nothing = {"continue": None, "decision": None, "reason": None, "system_message": None, "hook_specific_output": None}
    assert printed("pre_tool_use", **nothing) == Output("./guard.py")


FAILURES = [
    (Ran(code=1, stderr="oh\n"), "exit status 1: oh"),
    (Ran(code=127), "exit status 127"),
    (Ran(error="it did not end within 60s"), "it did not end within 60s"),
    (Ran(), "it did not end"),
    (Ran(code=0, stdout="{broken"), "its output can't be used"),
    (Ran(code=0, stdout='{"continue": "no"}'), "`$.continue`"),
    (Ran(code=0, stdout='{"decision": "blok"}'), "blok"),
    (Ran(code=0, stdout='{"hook_specific_output": {"updated_input": []}}'), "updated_input"),
    (Ran(code=0, stdout='{"a":' + "[" * 50_000), "its output can't be used"),
    (Ran(code=0, stdout='{"reason": "\\ud800"}'), "its output can't be used"),
]


@pytest.mark.parametrize(("ran", "why"), FAILURES)
def test_a_failure_closes_the_gate_of_a_tool(ran: Ran, why: str) -> None:
    for on_error in ("warn", "ignore", "block"):
        verdict = merge("pre_tool_use", [said("pre_tool_use", ran, replace(GUARD, on_error=on_error))])
        assert verdict.blocked is not None
        assert why in verdict.blocked
        assert verdict.errors == (verdict.blocked,)


@pytest.mark.parametrize(("ran", "why"), FAILURES)
def test_a_failure_elsewhere_is_met_as_the_hook_says(ran: Ran, why: str) -> None:
    def verdict(on_error: str, event: str = "tool_guard") -> Verdict:
        return merge(event, [said(event, ran, replace(GUARD, on_error=on_error))])

    assert why in verdict("warn").errors[0]
    assert verdict("warn").blocked is None
    assert verdict("ignore") == Verdict()
    assert why in (verdict("block").blocked or "")
    assert verdict("block", "session_end").blocked is None
    assert why in verdict("block", "session_end").errors[0]


def test_text_that_begins_like_json_is_text_where_text_counts() -> None:
    assert said("turn_start", Ran(code=0, stdout="{{name}}")).context == "{{name}}"
    assert said("turn_start", Ran(code=0, stdout='["a"]')).context == '["a"]'
    assert said("turn_start", Ran(code=0, stdout='{"continue": 1}')).error


def test_a_reason_has_a_bound() -> None:
    assert len(said("pre_tool_use", Ran(code=2, stderr="x" * 1_000_000)).reason) == hooks.HEARD
    assert len(said("turn_end", Ran(code=1, stderr="x" * 1_000_000)).error) < hooks.SHOWN + 100


# -- what they say together ---------------------------------------------------------------------


def test_no_outweighs_a_question_and_that_a_yes() -> None:
    yes, ask = Output("a", decision="allow", reason="fine"), Output("b", decision="ask", reason="sure?")
    no, also = Output("c", decision="deny", reason="never"), Output("d", decision="deny", reason="nor now")
    assert merge("pre_tool_use", [yes, Output("x")]).decision == "allow"
    asked = merge("pre_tool_use", [yes, ask])
    assert (asked.decision, asked.reason, asked.blocked) == ("ask", "sure?", None)
    verdict = merge("pre_tool_use", [no, yes, ask, also, no])
    assert (verdict.decision, verdict.blocked) == ("deny", "never\nnor now")


def test_contexts_follow_each_other_and_the_last_rewriting_wins() -> None:
    first = Output("a", context="one", updated_input={"a": 1}, updated_response="x", summary="s", message="m")
    second = Output("b", context="two", updated_input={}, updated_response="", metadata={"k": 1}, message="n")
    verdict = merge("pre_tool_use", [first, second, Output("c")])
    assert verdict.contexts == ("one", "two")
    assert verdict.context == "one\ntwo"
    assert (verdict.updated_input, verdict.updated_response, verdict.summary) == ({}, "", "s")
    assert (verdict.messages, verdict.metadata) == (("m", "n"), {"k": 1})


def test_a_run_is_stopped() -> None:
    verdict = merge("turn_start", [printed("turn_start", **{"continue": False, "stop_reason": "enough"})])
    assert (verdict.stop, verdict.stop_reason, verdict.blocked) == (True, "enough", None)
    assert not merge("turn_end", [printed("turn_end", **{"continue": False})]).stop


@pytest.mark.parametrize("event", ["before_llm_call", "post_tool_use"])
def test_where_nothing_else_can_be_blocked_the_run_is(event: str) -> None:
    verdict = merge(event, [said(event, Ran(code=2, stderr="too dear"))])
    assert (verdict.stop, verdict.stop_reason) == (True, "too dear")


def test_an_agent_that_may_not_stop_reads_why() -> None:
    verdict = merge("stop", [said("stop", Ran(code=2, stderr="tests fail")), Output("b", context="look again")])
    assert (verdict.blocked, verdict.contexts, verdict.stop) == ("tests fail", ("tests fail", "look again"), False)


answers = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["deny", "ask", "block"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["continue", "decision", "hook_specific_output", "permission_decision", "updated_input", "x"]
            ),
            inner,
        )
    ),
    max_leaves=8,
).map(json.dumps)


@any_of(st.sampled_from(sorted(EVENTS)), st.sampled_from([0, 1, 2, None]), answers | st.text(max_size=40))
@example("pre_tool_use", 0, '{"hook_specific_output": {"permission_decision": "deny"}}')
def test_whatever_a_hook_prints_is_an_answer(event: str, code: int | None, stdout: str) -> None:
    verdict = merge(event, [said(event, Ran(code=code, stdout=stdout))])
    moment = EVENTS[event]
    assert verdict.blocked is None or moment.blocks
    assert verdict.decision in ("", "deny") or moment.decides
    if moment.fails_closed and code != 0:
        assert verdict.blocked is not None
