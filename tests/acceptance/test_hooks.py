"""One session in which every event has its hooks, and each fires where it should (agent specification, 1.11)."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from acceptance import front
from acceptance.house import House, Server, until
from acceptance.sse import Frame
from roost.core.hooks import EVENTS

NEVER_HERE = {"worktree_create"}
"""What agents of a file can't bring about: the last test has it."""

CREW = """\
providers:
  fake: {{base_url: {url}/v1}}
agents:
  root:
    model: fake/fake-model
    instruction: You lead.
    sub_agents: [helper]
    handoffs: [closer]
    toolsets:
      - {{type: shell}}
      - {{type: user_prompt}}
      - {{type: mcp, command: there-is-no-such-program}}
    hooks: {hooks}
  helper:
    model: fake/fake-model
    description: Helps.
    instruction: You help.
    hooks: {hooks}
  closer:
    model: fake/fake-model
    description: Closes.
    instruction: You close.
    max_iterations: 1
    toolsets: [{{type: think}}]
    hooks: {hooks}
"""


class Record:
    """What the hooks were given, in the order in which they ran."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.command = f'printf "%s\\n" "$(cat)" >> {path}'

    def hooks(self, *events: str) -> str:
        """Hooks that write down what they get, as YAML."""
        hook = {"type": "command", "command": self.command}
        entries = {event: [{"hooks": [hook]}] if EVENTS[event].under_tools else [hook] for event in events}
        return json.dumps(entries)

    @property
    def inputs(self) -> list[dict[str, Any]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [json.loads(line) for line in lines]

    def names(self, since: int = 0) -> list[str]:
        return [given["hook_event_name"] for given in self.inputs[since:]]

    def of(self, event: str, since: int = 0) -> list[dict[str, Any]]:
        return [given for given in self.inputs[since:] if given["hook_event_name"] == event]

    def until(self, event: str, times: int) -> None:
        until(lambda: len(self.of(event)) >= times)


class Stage:
    """A session, its server, and the record."""

    def __init__(self, house: House) -> None:
        self.record = Record(house.folder / "hooks.jsonl")
        hooks = self.record.hooks(*EVENTS)
        house.agent(text=CREW.format(url=house.model.url, hooks=hooks))
        self.house = house
        self.server: Server = house.serve()
        self.session = self.server.create(title="t")
        self.ends = 0

    def turn(self, text: str, *answers: Mapping[str, Any], meanwhile: Sequence[tuple[str, str]] = ()) -> list[str]:
        """A turn in which people answer what they are asked; its frames by name, those of hooks with their event."""
        stream, left, said = self.server.start(self.session, text), list(answers), list(meanwhile)
        frames: list[Frame] = []
        for frame in stream:
            frames.append(frame)
            if frame.type in ("tool_call_confirmation", "max_iterations_reached", "elicitation_request"):
                for path, message in said:
                    body = {"messages": [{"role": "user", "content": message}]}
                    assert self.server.post(f"/api/sessions/{self.session}/{path}", body).status in (200, 202)
                said.clear()
                path = "elicitation" if frame.type == "elicitation_request" else "resume"
                reply = self.server.post(f"/api/sessions/{self.session}/{path}", left.pop(0))
                assert reply.status == 200, reply
        assert not left
        self.ends += 1
        self.record.until("session_end", self.ends + len(self.record.of("subagent_stop")))
        return [_named(frame) for frame in frames if frame.type]

    def restart(self) -> None:
        assert self.server.term() == 0
        self.server = self.house.serve()


def _named(frame: Frame) -> str:
    event = frame.event
    return f"{event['type']}:{event['hook_event']}" if event["type"].startswith("hook_") else str(event["type"])


def missing(frames: Sequence[str], *wanted: str) -> str:
    """The first of these that does not stand among the frames in this order, and what follows in its place."""
    left = list(frames)
    for one in wanted:
        if one not in left:
            return f"no {one} among {left}"
        del left[: left.index(one) + 1]
    return ""


@pytest.fixture
def stage(house: House) -> Stage:
    return Stage(house)


def test_one_session_in_which_every_event_fires(stage: Stage) -> None:
    record, sh = stage.record, '[[tool shell {"cmd": "echo ran"}]]'

    # -- a call that a person approves, with steering and a follow-up meanwhile
    frames = stage.turn(
        f"{sh} [[say done]]",
        {"confirmation": "approve"},
        meanwhile=[("steer", "mind the gap"), ("followup", "[[say later]]")],
    )
    assert not missing(
        frames,
        "toolset_info",
        "user_message",
        "stream_started",
        "hook_started:session_start",
        "hook_finished:session_start",
        "hook_started:user_prompt_submit",
        "hook_started:notification",
        "hook_started:turn_start",
        "hook_started:before_llm_call",
        "toolset_info",
        "partial_tool_call",
        "message_added",
        "token_usage",
        "hook_started:after_llm_call",
        "hook_started:tool_input_transform",
        "hook_started:tool_guard",
        "hook_started:pre_tool_use",
        "hook_started:permission_request",
        "hook_finished:permission_request",
        "tool_call_confirmation",
        "hook_started:on_user_input",
        "hook_started:on_tool_approval_decision",
        "hook_finished:on_tool_approval_decision",
        "tool_call",
        "hook_started:tool_response_transform",
        "hook_finished:tool_response_transform",
        "tool_call_response",
        "message_added",
        "hook_started:post_tool_use",
        "hook_started:turn_end",
        "hook_started:user_steering_messages_submit",
        "user_message",
        "hook_started:turn_start",
        "hook_started:after_llm_call",
        "hook_started:turn_end",
        "hook_started:user_followup_submit",
        "user_message",
        "agent_choice",
        "hook_started:turn_end",
        "hook_started:stop",
        "hook_finished:stop",
        "stream_stopped",
    )
    assert frames[-1] == "stream_stopped"
    assert record.names()[-1] == "session_end"
    for given in record.inputs:
        assert (given["session_id"], given["agent_name"]) == (stage.session, "root")
        assert Path(given["cwd"]).is_dir()
    (start,) = record.of("session_start")
    assert start["source"] == "startup"
    assert [given["prompt"] for given in record.of("user_prompt_submit")] == [f"{sh} [[say done]]"]
    assert [given["steering_messages"] for given in record.of("user_steering_messages_submit")] == [["mind the gap"]]
    assert [given["prompt"] for given in record.of("user_followup_submit")] == ["[[say later]]"]
    assert [given["iteration"] for given in record.of("turn_start")] == [1, 2, 3]
    assert [given["iteration"] for given in record.of("turn_end")] == [1, 2, 3]
    asked = record.of("before_llm_call")
    assert [given["iteration"] for given in asked] == [1, 2, 3]
    assert {given["model_id"] for given in asked} == {"fake/fake-model"}
    assert asked[0]["messages"][-1] == {"role": "user", "content": f"{sh} [[say done]]"}
    answered = record.of("after_llm_call")
    assert ["stop_response" in given for given in answered] == [False, True, True]
    assert all(given["usage"] and "cost" in given and given["model_id"] for given in answered)
    tool = {"tool_name": "shell", "tool_input": {"cmd": "echo ran"}, "tool_category": "shell", "tool_read_only": False}
    for event in (name for name, moment in EVENTS.items() if moment.under_tools or "approval" in name):
        (given,) = record.of(event)
        assert given | tool == given, event
        assert given["tool_use_id"]
    assert record.of("permission_request")[0]["safety_label"]
    (decided,) = record.of("on_tool_approval_decision")
    assert (decided["approval_decision"], decided["approval_source"]) == ("allow", "user_approved")
    for event in ("tool_response_transform", "post_tool_use"):
        assert ("ran" in record.of(event)[0]["tool_response"], record.of(event)[0]["tool_error"]) == (True, False)
    assert [given["reason"] for given in record.of("on_user_input")] == ["tool_approval"]
    (stopped,) = record.of("stop")
    assert (stopped["stop_response"], stopped["last_user_message"]) == ("later", "[[say later]]")
    (told,) = record.of("notification")
    assert told["notification_level"] == "warning"
    assert "there-is-no-such-program" in told["notification_message"]
    assert [given["reason"] for given in record.of("session_end")] == ["normal"]

    # -- a task for a sub-agent, a question, and the conversation handed over
    since = len(record.inputs)
    task = '[[tool transfer_task {"agent": "helper", "task": "count", "expected_output": "a number"}]]'
    ask = '[[tool user_prompt {"message": "Which?"}]]'
    frames = stage.turn(
        f'{task} {ask} [[tool handoff {{"agent": "closer"}}]] [[say closed]]', {"action": "accept", "content": {}}
    )
    assert not missing(
        frames,
        "hook_started:on_session_resume",
        "hook_started:session_start",
        "tool_call",
        "hook_started:on_agent_switch",
        "agent_switching",
        "stream_started",
        "hook_started:session_start",
        "hook_started:stop",
        "stream_stopped",
        "hook_started:subagent_stop",
        "hook_started:on_agent_switch",
        "sub_session_completed",
        "agent_switching",
        "tool_call_response",
        "tool_call",
        "elicitation_request",
        "hook_started:on_user_input",
        "tool_call_response",
        "tool_call",
        "hook_started:on_agent_switch",
        "agent_info",
        "stream_stopped",
    )
    subs = {given["session_id"] for given in record.inputs[since:]} - {stage.session}
    (sub,) = subs
    inside = [given for given in record.inputs[since:] if given["session_id"] == sub]
    assert {given["agent_name"] for given in inside} == {"helper"}
    assert [given["hook_event_name"] for given in inside] == [
        "session_start",
        "turn_start",
        "before_llm_call",
        "after_llm_call",
        "turn_end",
        "stop",
        "session_end",
    ]
    (gone,) = record.of("subagent_stop")
    assert (gone["parent_session_id"], gone["subagent_session_id"]) == (stage.session, sub)
    switches = [(s["agent_switch_kind"], s["from_agent"], s["to_agent"]) for s in record.of("on_agent_switch")]
    assert switches == [
        ("transfer_task", "root", "helper"),
        ("transfer_task_return", "helper", "root"),
        ("handoff", "root", "closer"),
    ]
    assert [given["reason"] for given in record.of("on_user_input", since)] == ["elicitation"]
    assert [given["source"] for given in record.of("session_start", since)] == ["resume", "startup"]

    # -- after a restart: an agent at its limit
    stage.restart()
    since = len(record.inputs)
    frames = stage.turn('[[tool think {"thought": "hm"}]] [[say more]]', {"confirmation": "approve"})
    assert not missing(
        frames,
        "stream_started",
        "hook_started:on_session_resume",
        "tool_call_response",
        "max_iterations_reached",
        "hook_started:on_max_iterations",
        "hook_started:on_user_input",
        "agent_choice",
        "stream_stopped",
    )
    assert len(record.of("on_session_resume", since)) == 1
    (limit,) = record.of("on_max_iterations")
    assert (limit["previous_max_iterations"], limit["new_max_iterations"]) == (1, 11)
    assert [given["reason"] for given in record.of("on_user_input", since)] == ["max_iterations"]
    (decided,) = record.of("on_tool_approval_decision", since)
    assert decided["approval_source"] == "readonly_hint"

    # -- a summary that somebody asks for
    since = len(record.inputs)
    assert stage.server.post(f"/api/sessions/{stage.session}/compaction", {}).status < 300
    frames = stage.turn("[[say short]]")
    assert not missing(
        frames,
        "session_compaction",
        "hook_started:pre_compact",
        "hook_started:before_compaction",
        "session_summary",
        "session_compaction",
        "hook_started:after_compaction",
        "agent_choice",
        "stream_stopped",
    )
    for event in ("pre_compact", "before_compaction", "after_compaction"):
        (given,) = record.of(event)
        assert given["compaction_reason"] == "manual"
        assert "context_limit" in given
    assert record.of("after_compaction")[0]["summary"]

    # -- a model that fails
    since = len(record.inputs)
    frames = stage.turn("[[status 400]]")
    assert not missing(frames, "hook_started:on_error", "hook_started:notification", "error", "stream_stopped")
    (failed,) = record.of("on_error")
    assert "fake 400" in failed["error"]
    (told,) = [given for given in record.of("notification", since) if given["notification_level"] == "error"]
    assert told["notification_message"] == failed["error"]
    assert record.of("session_end")[-1]["reason"] == "error"

    assert set(EVENTS) - set(record.names()) == NEVER_HERE
    started = {
        frame.removeprefix("hook_started:")
        for f in stage.server.log(stage.session)
        if (frame := _named(f) if f.type else "")
    }
    assert {event for event in EVENTS if event in started} == set(EVENTS) - NEVER_HERE - {"session_end"}


# -- hooks of the server's user -------------------------------------------------------------------

SETTINGS = """\
[hooks]
session_start = [{type = "command", command = "echo from the settings"}, {type = "command", command = "echo twice"}]
"""
DROPPED = """\
session_start:
  - {type: command, command: echo from a file of its own}
  - {type: command, command: echo twice}
"""


def home(house: House) -> Path:
    found = house.folder / "home" / ".roost"
    (found / "hooks.d").mkdir(parents=True, exist_ok=True)
    return found


def test_hooks_of_the_file_come_first_then_those_of_the_settings_then_the_files_of_hooks_d(house: House) -> None:
    (home(house) / "serve.toml").write_text(SETTINGS)
    (home(house) / "hooks.d" / "b.yaml").write_text(DROPPED)
    (home(house) / "hooks.d" / "a.yaml").write_text("session_start: {type: command, command: echo from the first}")
    house.agent(extra="    hooks: {session_start: {type: command, command: echo from the agent}}\n")
    server = house.serve()
    server.run(server.create(title="t"), "hi")
    system = house.model.requests[-1]["body"]["messages"][0]["content"]
    told = ["from the agent", "from the settings", "twice", "from the first", "from a file of its own"]
    assert "\n".join(told) in system
    assert system.count("twice") == 1  # the same command runs once


def test_a_hook_of_the_end_that_hangs_keeps_nobody_waiting(house: House) -> None:
    started = house.folder / "started"
    hang = f"echo x >> {started}; exec sleep 300"
    house.agent(extra=f"    hooks: {{session_end: {{type: command, command: '{hang}'}}}}\n")
    server = house.serve()
    session = server.create(title="t")
    for _ in range(2):
        assert server.run(session, "hi")[-1].type == "stream_stopped"
    assert server.delete(f"/api/sessions/{session}?wait=true&timeout=5s").status == 200
    until(lambda: started.exists() and len(started.read_text().split()) == 2)
    assert server.term(15) == 0  # it had its five seconds


def test_a_worktree_is_told_of_before_its_session_works_in_it(tmp_path: Path) -> None:
    with front.opened(tmp_path) as yard:
        record, repository = Record(tmp_path / "hooks.jsonl"), tmp_path / "repository"
        for words in (
            ("init", "-q", "-b", "main", str(repository)),
            (
                "-C",
                str(repository),
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b.c",
                "commit",
                "-q",
                "--allow-empty",
                "-m",
                "x",
            ),
        ):
            subprocess.run(["git", *words], check=True)
        hook = record.command.replace("\\", "\\\\").replace('"', '\\"')
        yard.toml(f'[hooks]\nworktree_create = {{type = "command", command = "{hook}"}}\n')
        server = yard.serve("--host", "127.0.0.1", "--insecure-http", "--enable-mock")
        asked = {"provider": "mock", "prompt": "hi", "root": str(repository), "worktree": "side"}
        reply = yard.ask(server, "/api/v1/sessions/spawn", token=server.token, method="POST", body=asked)
        assert reply.status in (200, 201), reply
        record.until("worktree_create", 1)
        (given,) = record.inputs
        session = reply.json["session_id"]
        assert (given["session_id"], given["worktree_name"]) == (session, "side")
        assert given["cwd"] == given["worktree_path"] != str(repository)
        assert given["worktree_repository"] == str(repository)
        assert server.term() == 0
