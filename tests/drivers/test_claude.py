"""Claude Code: the captured dialogs by the control protocol, and what its flags and lines come to."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from drivers.playback import Answering, Closing, Interrupting, Playback, Saying, cases, dialog, errand, play, replay
from roost.core import events as e
from roost.core.events import Answer
from roost.drivers.claude import Claude
from roost.ports import Exit, Input

ALLOW, DENY = Answer("approve", "approve-tool"), Answer("reject", reason="host says no")


def lines(*events: dict[str, Any]) -> list[bytes]:
    return [json.dumps(event).encode() for event in events]


def told(inputs: Sequence[Input]) -> list[Any]:
    """What the CLI is told, in short: messages, answers and requests."""
    short: list[Any] = []
    for given in inputs:
        line = json.loads(given.line) if given.line else {"type": "close"}
        match line["type"]:
            case "user":
                short.append(line["message"]["content"])
            case "control_request":
                short.append(line["request"]["subtype"])
            case "control_response":
                response = line["response"]
                short.append((response["request_id"], response["response"]["behavior"]))
            case other:
                short.append(other)
    return short


def captured(name: str) -> tuple[Playback, list[Any]]:
    """A captured dialog played with the host's part taken by the driver; and what the captured host said."""
    said = dialog("claude", name)
    prompt = next(line for mark, line in said if mark == ">" and b'"user"' in line)
    played = Playback(Claude(root=False), errand(prompt=json.loads(prompt)["message"]["content"]))
    host = [Input(str(n), line.decode()) for n, (mark, line) in enumerate(said) if mark == ">"]
    for mark, line in said:
        if mark == "<":
            played.do(line)
        elif b"control_response" in line:
            played.do(Answering(ALLOW if b'"allow"' in line else DENY))
        elif b'"interrupt"' in line:
            played.do(Interrupting())
        elif b'"user"' in line and line != prompt:
            played.do(Saying("2", json.loads(line)["message"]["content"]))
    return played, told(host)


@pytest.mark.parametrize("name", ["control-allow", "control-deny", "control-interrupt"])
def test_the_host_says_what_the_captured_one_said(name: str) -> None:
    played, host = captured(name)
    assert told(played.inputs) == host
    assert played.dialog.ready


@pytest.mark.parametrize("name", ["control-allow", "control-deny", "control-interrupt", "control-mode"])
def test_a_dialog_is_adopted_at_any_act(name: str) -> None:
    played, _ = captured(name)
    played.do(Closing(), Exit(code=0))
    for cut in range(len(played.acts)):
        uncut = [fact for made in played.made[cut:] for fact in made]
        assert replay(played, cut) == uncut


def kinds(facts: Sequence[e.Fact]) -> list[str]:
    deltas = (e.TextAdded, e.ReasoningAdded, e.CallDrafted)
    return [e.kind(fact) for fact in facts if not isinstance(fact, deltas)]


def test_an_allowed_call_runs_once_it_is_answered() -> None:
    played, _ = captured("control-allow")
    assert kinds(played.facts) == [
        "Introduced",
        "ModelAsked",
        "MessageAdded",
        "WaitOpened",
        "ToolCalled",
        "ToolReturned",
        "MessageAdded",
        "ModelAsked",
        "MessageAdded",
        "UsageAdded",
        "RoundEnded",
        "RoundResult",
    ]
    asked = next(fact for fact in played.facts if isinstance(fact, e.WaitOpened))
    assert asked.kind == "approval"
    assert asked.call is not None
    assert (asked.call.name, json.loads(asked.call.arguments)["content"]) == ("Write", "x")


def test_a_denied_call_never_starts() -> None:
    played, _ = captured("control-deny")
    assert "ToolCalled" not in kinds(played.facts)
    (returned,) = [fact for fact in played.facts if isinstance(fact, e.ToolReturned)]
    assert returned.result.is_error
    assert returned.result.output == "host says no"


def test_an_interrupted_round_is_no_error_and_the_next_one_follows() -> None:
    played, _ = captured("control-interrupt")
    rounds = [(fact.index, fact.reason) for fact in played.facts if isinstance(fact, e.RoundEnded)]
    assert rounds == [(0, "interrupted"), (1, "end_turn")]
    played.do(Closing(), Exit(code=0))
    assert not [fact for fact in played.facts if isinstance(fact, e.ErrorMet)]


def test_it_costs_what_the_session_has_cost_more() -> None:
    (resumed,) = [case for case in cases("claude") if case.name == "resume"]
    again = Playback(Claude(), errand(resume="1", spent=0.000184))
    again.do(*resumed.lines)
    costs = [fact.cost for fact in again.facts if isinstance(fact, e.UsageAdded)]
    assert costs == [pytest.approx(0.000184)]
    (twice,) = [case for case in cases("claude") if case.name == "stdin"]
    costs = [fact.cost for fact in play(twice).facts if isinstance(fact, e.UsageAdded)]
    assert costs == [pytest.approx(0.000184), pytest.approx(0.000184)]


# -- streamed messages --------------------------------------------------------------------------

ID = "msg_1"


def streamed(*blocks: dict[str, Any], stop: bool = True) -> list[bytes]:
    """A message with partial messages switched on; each block whole and by one delta."""
    events: list[dict[str, Any]] = [piece({"type": "message_start", "message": {"id": ID, "model": "m"}})]
    for index, block in enumerate(blocks):
        start = {**block, "text": ""} if block["type"] == "text" else {**block, "input": {}}
        events.append(piece({"type": "content_block_start", "index": index, "content_block": start}))
        delta = (
            {"type": "text_delta", "text": block["text"]}
            if block["type"] == "text"
            else {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        )
        events.append(piece({"type": "content_block_delta", "index": index, "delta": delta}))
        events.append({"type": "assistant", "message": {"id": ID, "model": "m", "content": [block]}})
        events.append(piece({"type": "content_block_stop", "index": index}))
    if stop:
        events.append(piece({"type": "message_stop"}))
    return lines(*events)


def piece(event: dict[str, Any]) -> dict[str, Any]:
    return {"type": "stream_event", "event": event, "parent_tool_use_id": None}


TEXT = {"type": "text", "text": "look"}
ONE = {"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "a"}}
TWO = {"type": "tool_use", "id": "t2", "name": "Bash", "input": {"command": "ls"}}


def question(key: str = "t1", name: str = "Read", **more: Any) -> dict[str, Any]:
    request = {"subtype": "can_use_tool", "tool_name": name, "input": {"path": "a"}, "tool_use_id": key, **more}
    return {"type": "control_request", "request_id": f"q-{key}", "request": request}


def returned(key: str, output: str = "ok", **more: Any) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": key, "content": output}
    return {"type": "user", "message": {"role": "user", "content": [block]}, **more}


RESULT = {"type": "result", "subtype": "success", "is_error": False, "result": "look", "usage": {"input_tokens": 1}}


def test_a_question_that_comes_before_the_messages_end_waits_for_it() -> None:
    """Calls start while the model still writes the next one."""
    whole = streamed(TEXT, ONE, TWO)
    early = [*whole[:7], *lines(question()), *whole[7:]]
    played = Playback(Claude(), errand())
    played.do(*early)
    assert kinds(played.facts) == ["ModelAsked", "MessageAdded", "WaitOpened"]
    (message,) = [fact.message for fact in played.facts if isinstance(fact, e.MessageAdded)]
    assert message is not None
    assert [call.name for call in message.calls] == ["Read", "Bash"]
    drafted = [fact.call for fact in played.facts if isinstance(fact, e.CallDrafted)]
    assert set(drafted) == {call.id for call in message.calls}


def test_a_question_that_is_taken_back_is_void() -> None:
    played = Playback(Claude(), errand())
    played.do(*streamed(ONE), *lines(question(), {"type": "control_cancel_request", "request_id": "q-t1"}))
    assert kinds(played.facts)[-1] == "WaitVoided"
    assert not played.dialog.pending


def test_a_request_that_is_tried_again_takes_back_what_was_shown() -> None:
    retry = {
        "type": "system",
        "subtype": "api_retry",
        "attempt": 1,
        "max_retries": 3,
        "error_status": 529,
        "error": "o",
    }
    played = Playback(Claude(), errand())
    played.do(*streamed(TEXT, stop=False)[:3], *lines(retry), *streamed(TEXT), *lines(RESULT))
    assert kinds(played.facts)[:5] == ["ModelAsked", "AnswerDropped", "StatusShown", "ModelAsked", "MessageAdded"]


def test_an_approved_run_says_yes_by_itself_but_answers_no_questions() -> None:
    played = Playback(Claude(root=True), errand(auto_approve=True))
    played.do(*streamed(ONE, TWO), *lines(question(), question("t2", "AskUserQuestion")))
    assert told(played.inputs)[2:] == [("q-t1", "allow"), ("q-t2", "deny")]
    assert not [fact for fact in played.facts if isinstance(fact, e.WaitOpened)]


def test_questions_for_a_person_are_answered_with_content() -> None:
    played = Playback(Claude(), errand())
    played.do(*streamed(TWO), *lines(question("t2", "AskUserQuestion")))
    played.do(Answering(Answer("approve", content={"answers": {"Which?": "a"}})))
    response = json.loads(played.inputs[-1].line)["response"]["response"]
    assert response["updatedInput"] == {"path": "a", "answers": {"Which?": "a"}}


def test_what_the_host_does_not_know_is_refused_at_once() -> None:
    played = Playback(Claude(), errand())
    played.do(*lines({"type": "control_request", "request_id": "h", "request": {"subtype": "hook_callback"}}))
    assert json.loads(played.inputs[-1].line)["response"]["subtype"] == "error"


def test_a_sub_agent_speaks_as_output_of_its_call() -> None:
    task = {"type": "tool_use", "id": "t1", "name": "Task", "input": {}}
    sub = {"type": "assistant", "parent_tool_use_id": "t1", "message": {"id": "s", "content": [TEXT, TWO]}}
    played = Playback(Claude(), errand())
    played.do(*streamed(task), *lines(sub, question("t2", "Bash")), Answering(ALLOW))
    played.do(*lines(returned("t2", parent_tool_use_id="t1"), returned("t1", "report"), {**RESULT, "result": ""}))
    output = [fact.text for fact in played.facts if isinstance(fact, e.OutputAdded)]
    assert output == ["look\n", 'Bash {"command":"ls"}\n']
    messages = [fact for fact in played.facts if isinstance(fact, e.MessageAdded)]
    assert len(messages) == 2  # the answer, and the Task's result
    assert [fact.call.name for fact in played.facts if isinstance(fact, e.ToolReturned)] == ["Bash", "Task"]


# -- being ready --------------------------------------------------------------------------------


def taken(played: Playback, key: str) -> bytes:
    """The line by which it says that it has taken a message."""
    given = next(given for given in played.inputs if given.id == key)
    return json.dumps({"type": "user", "isReplay": True, "uuid": json.loads(given.line)["uuid"]}).encode()


def test_it_is_ready_when_it_has_taken_and_answered_all() -> None:
    played = Playback(Claude(), errand())
    assert not played.dialog.ready
    played.do(taken(played, "prompt"), *streamed(TEXT))
    played.do(Saying("2", "more"), *lines(RESULT))
    assert not played.dialog.ready  # the second is still in its queue
    played.do(taken(played, "say-2"), *streamed(TEXT), *lines(RESULT))
    assert played.dialog.ready


def test_a_message_that_it_took_into_its_round_needs_no_other() -> None:
    played = Playback(Claude(), errand())
    played.do(taken(played, "prompt"), Saying("2", "more"))
    played.do(taken(played, "say-2"), *streamed(TEXT), *lines(RESULT))
    assert played.dialog.ready


def test_it_is_not_ready_while_something_runs_in_the_background() -> None:
    tasks = {"type": "system", "subtype": "background_tasks_changed", "tasks": [{"task_id": "x"}]}
    played = Playback(Claude(), errand())
    played.do(taken(played, "prompt"), *lines(tasks, RESULT))
    assert not played.dialog.ready
    played.do(*lines({**tasks, "tasks": []}))
    assert played.dialog.ready


def test_nothing_is_said_after_the_end_of_input() -> None:
    played = Playback(Claude(), errand())
    played.do(Closing())
    assert played.dialog.say("late", "hello") is None


# -- limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "scope", "reset"),
    [
        ("Claude AI usage limit reached|1799999999", "session", 1_799_999_999_000_000),
        ("Claude AI weekly usage limit reached|1799999999", "weekly", 1_799_999_999_000_000),
        ("Claude AI global usage limit reached|1799999999", "global", 1_799_999_999_000_000),
    ],
)
def test_a_usage_limit_is_no_error(said: str, scope: str, reset: int) -> None:
    message = {"id": "x", "model": "<synthetic>", "content": [{"type": "text", "text": said}]}
    played = Playback(Claude(), errand())
    played.do(*lines({"type": "assistant", "message": message, "error": "rate_limit"}))
    played.do(*lines({**RESULT, "is_error": True, "result": said}), Exit(code=1))
    (hit,) = [fact for fact in played.facts if isinstance(fact, e.LimitHit)]
    assert (hit.scope, hit.reset_at, hit.raw, hit.provider) == (scope, reset, said, "claude")
    assert not [fact for fact in played.facts if isinstance(fact, e.ErrorMet | e.MessageAdded)]


def test_a_rate_limit_without_a_time_takes_the_one_that_was_told() -> None:
    info = {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1_799_999_999}}
    message = {"id": "x", "model": "<synthetic>", "content": [{"type": "text", "text": "API Error: 429"}]}
    played = Playback(Claude(), errand())
    played.do(*lines(info, {"type": "assistant", "message": message, "error": "rate_limit"}))
    (hit,) = [fact for fact in played.facts if isinstance(fact, e.LimitHit)]
    assert hit.reset_at == 1_799_999_999_000_000


def test_an_answer_that_speaks_of_limits_is_an_answer() -> None:
    said = {"type": "text", "text": "The log says: Claude AI usage limit reached|1799999999, at noon."}
    played = Playback(Claude(), errand())
    played.do(*streamed(said), *lines(RESULT))
    assert not [fact for fact in played.facts if isinstance(fact, e.LimitHit)]


# -- starting -----------------------------------------------------------------------------------


def flags(**more: Any) -> tuple[str, ...]:
    return Claude(root=more.pop("root", False)).launch(errand(**more)).argv


def test_a_new_session_gets_its_id_and_a_resumed_one_keeps_it() -> None:
    assert "--session-id" in flags()
    resumed = flags(resume="abc")
    assert "--resume=abc" in resumed
    assert "--session-id" not in resumed


def test_permissions_are_skipped_where_that_is_allowed() -> None:
    """As root it refuses outside of a sandbox: there the dialog says yes."""
    skip = "--dangerously-skip-permissions"
    assert skip not in flags()
    assert skip in flags(auto_approve=True)
    assert skip not in flags(auto_approve=True, root=True)
    assert skip in flags(auto_approve=True, root=True, confined=True)
    env = Claude(root=True).launch(errand(confined=True)).env
    assert env["IS_SANDBOX"] == "1"
    assert "IS_SANDBOX" not in Claude(root=True).launch(errand()).env


def test_all_that_can_be_asked_for_is_in_the_launch() -> None:
    launch = Claude().launch(
        errand(
            model="opus",
            system_prompt="be brief",
            mcp={"t": {"command": "x"}},
            add_dirs=("/a", "/b"),
            json_schema={"type": "object"},
            max_turns=3,
            effort="high",
            agent="reviewer",
        )
    )
    line = " ".join(launch.argv)
    assert "--model opus" in line
    assert "--append-system-prompt-file /run/folder/system.txt" in line
    assert "--mcp-config /run/folder/mcp.json" in line
    assert "--add-dir /a --add-dir /b" in line
    assert '--json-schema {"type":"object"}' in line
    assert "--max-turns 3" in line
    assert "--effort=high --agent=reviewer" in line
    assert launch.files == {"system.txt": "be brief", "mcp.json": '{"mcpServers":{"t":{"command":"x"}}}'}
    assert launch.env["DISABLE_AUTOUPDATER"] == "1"


def test_it_reaches_what_its_environment_says() -> None:
    claude = Claude()
    assert claude.endpoints({})[0] == "api.anthropic.com:443"
    assert claude.endpoints({"ANTHROPIC_BASE_URL": "http://127.0.0.1:8901"}) == ("127.0.0.1:8901",)
    bedrock = claude.endpoints({"CLAUDE_CODE_USE_BEDROCK": "1", "AWS_REGION": "eu-west-1"})
    assert bedrock == ("bedrock-runtime.eu-west-1.amazonaws.com:443",)
    assert "us-east5-aiplatform.googleapis.com:443" in claude.endpoints({"CLAUDE_CODE_USE_VERTEX": "1"})
