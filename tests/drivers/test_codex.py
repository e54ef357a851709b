"""Codex: the captured dialog with its app server, exec's counters, and what its flags come to."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from drivers.playback import Answering, Closing, Interrupting, Playback, Saying, cases, dialog, errand, replay
from roost.core import events as e
from roost.core.events import Answer
from roost.core.usage import Usage
from roost.drivers.codex import Codex
from roost.ports import Exit, Input

ALLOW, DENY = Answer("approve"), Answer("reject", reason="no")
THREAD = {"id": "thread", "result": {"thread": {"id": "T"}, "model": "m", "cwd": "/tmp/demo"}}


def lines(*events: dict[str, Any]) -> list[bytes]:
    return [json.dumps(event).encode() for event in events]


def notice(method: str, **params: Any) -> dict[str, Any]:
    return {"method": method, "params": params}


def meaning(given: Input) -> Any:
    """What a line tells the server, whatever its id: ids of the host's choice are its own."""
    if not given.line:
        return "close"
    line = json.loads(given.line)
    if "method" not in line:
        return line
    params = {key: value for key, value in line.get("params", {}).items() if key not in ("clientInfo", "capabilities")}
    return line["method"], params


def captured() -> tuple[Playback, list[Any]]:
    """The captured dialog, with the host's part taken by the driver; and what the captured host said."""
    said = dialog("codex", "appserver")
    host = [json.loads(line) for mark, line in said if mark == ">"]
    turns = [line["params"]["input"][0]["text"] for line in host if line.get("method") == "turn/start"]
    names = {1: "initialize", 2: "thread", 3: "prompt", 4: "say-2", 5: "interrupt-k"}
    played = Playback(Codex(), errand(prompt=turns[0]))
    for mark, raw in said:
        line = json.loads(raw)
        if mark == "<":
            if "result" in line:
                line["id"] = names[line["id"]]
            played.do(json.dumps(line).encode())
        elif "result" in line:
            played.do(Answering(ALLOW))
        elif line["method"] == "turn/interrupt":
            played.do(Interrupting())
        elif line["method"] == "turn/start" and line["id"] == 4:
            played.do(Saying("2", turns[1]))
    return played, [meaning(Input("x", json.dumps(line))) for line in host]


def test_the_host_says_what_the_captured_one_said() -> None:
    played, host = captured()
    assert [meaning(given) for given in played.inputs] == host
    assert played.dialog.ready


def test_the_dialog_is_adopted_at_any_act() -> None:
    played, _ = captured()
    played.do(Closing(), Exit(code=0))
    for cut in range(len(played.acts)):
        uncut = [fact for made in played.made[cut:] for fact in made]
        assert replay(played, cut) == uncut


def test_an_approval_an_answer_and_an_interrupt() -> None:
    played, _ = captured()
    played.do(Closing(), Exit(code=0))
    deltas = (e.TextAdded, e.ReasoningAdded, e.CallDrafted)
    assert [e.kind(fact) for fact in played.facts if not isinstance(fact, deltas)] == [
        "Introduced",
        "Warned",
        "ModelAsked",
        "MessageAdded",
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
        "RoundEnded",
        "RoundResult",
    ]
    used = [fact.usage for fact in played.facts if isinstance(fact, e.UsageAdded)]
    assert used == [Usage(22, 14)]
    assert [fact.reason for fact in played.facts if isinstance(fact, e.RoundEnded)] == ["completed", "interrupted"]


# -- the app server -----------------------------------------------------------------------------

COMMAND = {"type": "commandExecution", "id": "c1", "command": "ls", "cwd": "/w", "status": "inProgress"}
ASK = {"id": 0, **notice("item/commandExecution/requestApproval", itemId="c1", command="ls", reason="why")}
STARTED = notice("turn/started", turn={"id": "U"})


def server(**more: Any) -> Playback:
    """A server with a thread and a turn."""
    played = Playback(Codex(), errand(**more))
    played.do(*lines(THREAD, {"id": "prompt", "result": {"turn": {"id": "U", "status": "inProgress"}}}, STARTED))
    return played


def done(status: str = "completed", **more: Any) -> dict[str, Any]:
    return notice("turn/completed", turn={"id": "U", "status": status, **more})


def test_a_message_said_before_there_is_a_thread_survives_a_restart() -> None:
    played = Playback(Codex(), errand())
    played.do(Saying("early", "second"))
    again = Codex().open(errand())
    for given in played.inputs:
        again.sent(given)
    turns = [json.loads(given.line)["params"]["input"][0]["text"] for given in again.feed(lines(THREAD)[0]).inputs]
    assert turns == ["hello", "second"]


def test_it_is_ready_between_turns() -> None:
    played = server()
    assert not played.dialog.ready
    played.do(*lines(done()))
    assert played.dialog.ready
    played.do(Saying("2", "more"))
    assert not played.dialog.ready


def test_a_declined_command_never_starts() -> None:
    played = server()
    played.do(*lines(notice("item/started", item=COMMAND), ASK), Answering(DENY))
    assert json.loads(played.inputs[-1].line) == {"id": 0, "result": {"decision": "decline"}}
    played.do(*lines(notice("item/completed", item={**COMMAND, "status": "declined"}), done()))
    assert not [fact for fact in played.facts if isinstance(fact, e.ToolCalled)]
    (returned,) = [fact for fact in played.facts if isinstance(fact, e.ToolReturned)]
    assert returned.result.is_error


def test_a_file_change_shows_what_it_changes() -> None:
    change = {"path": "/w/a", "kind": {"type": "update", "move_path": "/w/b"}, "diff": "+x"}
    item = {"type": "fileChange", "id": "f1", "changes": [change], "status": "inProgress"}
    asked = {"id": 1, **notice("item/fileChange/requestApproval", itemId="f1")}
    played = server()
    played.do(*lines(notice("item/started", item=item), asked), Answering(ALLOW))
    played.do(*lines(notice("item/completed", item={**item, "status": "completed"}), done()))
    (called,) = [fact.call for fact in played.facts if isinstance(fact, e.ToolCalled)]
    assert called.name == "apply_patch"
    assert json.loads(called.arguments) == {
        "changes": [{"path": "/w/a", "kind": "update", "diff": "+x", "move_path": "/w/b"}]
    }


def test_output_is_shown_while_a_command_runs_and_kept_as_its_result() -> None:
    played = server()
    played.do(*lines(notice("item/started", item=COMMAND), ASK), Answering(ALLOW))
    output = [notice("item/commandExecution/outputDelta", itemId="c1", delta=text) for text in ("a\n", "b\n")]
    ended = {**COMMAND, "status": "failed", "exitCode": 2, "aggregatedOutput": None}
    played.do(*lines(*output, notice("item/completed", item=ended), done()))
    assert [fact.text for fact in played.facts if isinstance(fact, e.OutputAdded)] == ["a\n", "b\n"]
    (result,) = [fact.result for fact in played.facts if isinstance(fact, e.ToolReturned)]
    assert (result.output, result.is_error) == ("a\nb\n", True)


def test_reasoning_goes_with_the_message_that_follows() -> None:
    item = {"type": "reasoning", "id": "r", "summary": ["one", "two"]}
    deltas = [
        notice("item/reasoning/summaryTextDelta", itemId="r", delta=text, summaryIndex=part)
        for part, text in enumerate(("one", "two"))
    ]
    said = notice("item/completed", item={"type": "agentMessage", "id": "m", "text": "hi"})
    played = server()
    played.do(*lines(notice("item/started", item=item), *deltas, notice("item/completed", item=item), said, done()))
    (message,) = [fact.message for fact in played.facts if isinstance(fact, e.MessageAdded)]
    assert message is not None
    assert (message.content, message.reasoning) == ("hi", "one\n\ntwo")


def test_usage_counts_from_where_a_resumed_thread_stood() -> None:
    def told(total: int, last: int) -> dict[str, Any]:
        usage = {"total": {"inputTokens": total, "cachedInputTokens": 1}, "last": {"inputTokens": last}}
        return notice("thread/tokenUsage/updated", tokenUsage={**usage, "modelContextWindow": 1000})

    played = Playback(Codex(), errand(resume="T"))
    played.do(*lines(THREAD, told(100, 100), STARTED, told(110, 10), told(125, 15), done()))
    (used,) = [fact for fact in played.facts if isinstance(fact, e.UsageAdded)]
    assert (used.usage, used.input_tokens, used.context_limit) == (Usage(25), 15, 1000)


def test_a_retry_is_no_failure_and_a_failure_is_told_once() -> None:
    def error(message: str, again: bool) -> dict[str, Any]:
        return notice("error", error={"message": message}, willRetry=again)

    played = server()
    played.do(
        *lines(error("Reconnecting... 1/5", True), error("gone", False), done("failed", error={"message": "gone"}))
    )
    played.do(Closing(), Exit(code=0))
    assert [fact.message for fact in played.facts if isinstance(fact, e.ErrorMet)] == ["gone"]
    assert [fact.message for fact in played.facts if isinstance(fact, e.StatusShown)] == ["Reconnecting... 1/5"]


@pytest.mark.parametrize("method", ["thread/start", "thread/resume"])
def test_a_thread_that_can_not_be_had_ends_the_run(method: str) -> None:
    played = Playback(Codex(), errand(resume="gone" if method == "thread/resume" else ""))
    played.do(*lines({"id": "thread", "error": {"code": -32600, "message": "no rollout found"}}))
    assert played.inputs[-1].close
    assert played.dialog.say("k", "more") is None
    played.do(Exit(code=0))
    (error,) = [fact.message for fact in played.facts if isinstance(fact, e.ErrorMet)]
    assert "no rollout found" in error


def test_a_usage_limit_is_no_error() -> None:
    said = "You've hit your usage limit. Try again at Mar 20th, 2027 3:36 PM."
    failed = done("failed", error={"message": said, "codexErrorInfo": "usageLimitExceeded"})
    played = server()
    played.do(*lines(failed), Closing(), Exit(code=0))
    (hit,) = [fact for fact in played.facts if isinstance(fact, e.LimitHit)]
    assert hit.reset_at is not None
    assert not [fact for fact in played.facts if isinstance(fact, e.ErrorMet)]


def test_permissions_and_forms_are_asked_for_too() -> None:
    wanted = {"network": {"enabled": True}}
    permission = {"id": 3, **notice("item/permissions/requestApproval", itemId="p", permissions=wanted)}
    form = {"id": 4, **notice("mcpServer/elicitation/request", serverName="s", message="name?", mode="form")}
    played = server()
    played.do(*lines(permission), Answering(ALLOW))
    assert json.loads(played.inputs[-1].line)["result"] == {"permissions": wanted, "scope": "turn"}
    played.do(*lines(notice("serverRequest/resolved", requestId=3), form))
    played.do(Answering(Answer("approve", content={"name": "x"})))
    assert json.loads(played.inputs[-1].line)["result"] == {"action": "accept", "content": {"name": "x"}}


def test_an_approved_thread_asks_nobody() -> None:
    played = server(auto_approve=True, interactive=True)
    begun = json.loads(played.inputs[2].line)["params"]
    assert begun["approvalPolicy"] == "never"
    played.do(*lines(notice("item/started", item=COMMAND), ASK))
    assert json.loads(played.inputs[-1].line)["result"] == {"decision": "accept"}
    assert not [fact for fact in played.facts if isinstance(fact, e.WaitOpened)]
    assert [fact for fact in played.facts if isinstance(fact, e.ToolCalled)]


# -- exec ---------------------------------------------------------------------------------------


def test_exec_counts_what_the_thread_has_used_more() -> None:
    (resumed,) = [case for case in cases("codex") if case.name == "resume"]
    played = Playback(Codex(), errand(auto_approve=True, resume="T", used=Usage(22, 14)))
    played.do(*resumed.lines)
    assert [fact.usage for fact in played.facts if isinstance(fact, e.UsageAdded)] == [Usage(11, 7)]


def test_exec_is_for_what_is_neither_asked_said_nor_secret() -> None:
    def program(**more: Any) -> Sequence[str]:
        return Codex().launch(errand(**more)).argv[1:2]

    assert program(auto_approve=True) == ("exec",)
    assert program() == program(auto_approve=True, interactive=True) == ("app-server",)
    assert program(auto_approve=True, system_prompt="x") == ("app-server",)


def test_flags_of_exec() -> None:
    launch = Codex().launch(
        errand(auto_approve=True, model="gpt-5.4", add_dirs=("/a",), json_schema={"type": "object"}, prompt="a\nb")
    )
    assert " ".join(launch.argv[1:]) == (
        "exec --json --skip-git-repo-check --cd /tmp/demo --sandbox workspace-write --model gpt-5.4 --add-dir /a "
        "--output-schema /run/folder/schema.json -"
    )
    assert [(given.line, given.close) for given in launch.inputs] == [("a\nb", True)]
    assert launch.files == {"schema.json": '{"type":"object"}'}


def test_the_whole_machine_is_open_to_it_only_where_it_is_confined() -> None:
    bypass = "--dangerously-bypass-approvals-and-sandbox"
    assert bypass in Codex().launch(errand(auto_approve=True, confined=True)).argv
    assert bypass not in Codex().launch(errand(auto_approve=True)).argv
    begun = json.loads(Codex().launch(errand(confined=True)).inputs[2].line)["params"]
    assert begun["sandbox"] == "danger-full-access"


@pytest.mark.parametrize(
    ("review", "flags"),
    [
        ({"uncommitted": "true"}, ["--uncommitted"]),
        ({"base": "main"}, ["--base=main"]),
        ({"commit": "abc", "title": "a title"}, ["--commit=abc", "--title=a title"]),
    ],
)
def test_a_review_is_its_own_command(review: dict[str, str], flags: list[str]) -> None:
    argv = list(Codex().launch(errand(review=review)).argv)
    assert argv[argv.index("review") :] == ["review", *flags]
    assert "workspace-write" not in argv


def test_the_app_server_is_told_everything_on_stdin() -> None:
    tools = {"a": {"command": "x", "args": ["y"]}, "b": {"url": "https://t", "headers": {"K": "v"}}}
    launch = Codex().launch(errand(model="m", system_prompt="be brief", mcp=tools, add_dirs=("/a",)))
    assert launch.argv == ("cli", "app-server")
    begun = json.loads(launch.inputs[2].line)
    assert begun["params"] == {
        "cwd": "/tmp/demo",
        "approvalPolicy": "untrusted",
        "sandbox": "workspace-write",
        "model": "m",
        "developerInstructions": "be brief",
        "config": {
            "sandbox_workspace_write.writable_roots": ["/a"],
            "mcp_servers": {
                "a": {"command": "x", "args": ["y"]},
                "b": {"url": "https://t", "http_headers": {"K": "v"}},
            },
        },
    }


def test_effort_is_passed_on_and_what_it_does_not_know_is_warned_of() -> None:
    asked = errand(auto_approve=True, effort="high", max_turns=3, agent="x")
    assert 'model_reasoning_effort="high"' in Codex().launch(asked).argv
    by_exec = Playback(Codex(), asked)
    by_exec.do(*lines({"type": "thread.started", "thread_id": "T"}))
    by_server = Playback(Codex(), errand(effort="high", max_turns=3, agent="x"))
    by_server.do(*lines(THREAD))
    assert json.loads(by_server.inputs[-1].line)["params"]["effort"] == "high"
    for played in (by_exec, by_server):
        warnings = [fact.message for fact in played.facts if isinstance(fact, e.Warned)]
        assert ["max_turns" in warnings[0], "agent" in warnings[1]] == [True, True]


def test_it_reaches_the_provider_of_its_settings(tmp_path: Path) -> None:
    assert Codex().endpoints({"HOME": str(tmp_path)})[0] == "api.openai.com:443"
    (tmp_path / ".codex").mkdir()
    settings = 'model_provider = "own"\n[model_providers.own]\nbase_url = "http://127.0.0.1:8901/v1"\n'
    (tmp_path / ".codex/config.toml").write_text(settings)
    assert Codex().endpoints({"HOME": str(tmp_path)}) == ("127.0.0.1:8901",)
    (tmp_path / ".codex/config.toml").write_text("= broken")
    assert Codex().endpoints({"HOME": str(tmp_path), "OPENAI_BASE_URL": "http://h:1/v1"}) == ("h:1",)


def test_the_provider_of_its_settings_gets_its_key_and_none_of_ours(tmp_path: Path) -> None:
    env = {"CODEX_HOME": str(tmp_path)}
    known = Codex(env=env).needs
    (tmp_path / "config.toml").write_text(
        'model_provider = "own"\n[model_providers.own]\nbase_url = "http://127.0.0.1:9/v1"\nenv_key = "OWN_KEY"\n'
        'env_http_headers = { X-A = "OWN_HEADER", X-B = "ROOST_SERVE_TOKEN" }\n'
        '[model_providers.other]\nenv_key = "OTHER_KEY"\n'
    )
    assert set(Codex(env=env).needs) - set(known) == {"OWN_KEY", "OWN_HEADER"}
