"""Our half of the Agent Client Protocol where the captures do not go: refusals, limits, odd agents."""

import json
from typing import Any

import pytest

from drivers.rehearsal import Rehearsal, check, ended, errand, text
from roost.core import events as e
from roost.core.usage import Usage
from roost.drivers.catalogue import drivers
from roost.ports import Driver

DRIVERS = drivers(mock=False, rows={"custom": {"command": ["custom", "--acp"]}})
CAPABLE: dict[str, Any] = {"loadSession": True, "mcpCapabilities": {"http": True}}
OPTIONS = [
    {"optionId": "y", "kind": "allow_once", "name": "Yes"},
    {"optionId": "a", "kind": "allow_always", "name": "Always"},
    {"optionId": "n", "kind": "reject_once", "name": "No"},
]


class Agent:
    """An agent that says what a test wants."""

    def __init__(
        self, name: str = "custom", *, driver: Driver | None = None, prompt: str = "hello", **more: Any
    ) -> None:
        self.on = Rehearsal(driver or DRIVERS[name], errand(prompt, **more))

    def reply(self, result: Any) -> None:
        """To the newest request of ours."""
        self.on.feed(json.dumps({"jsonrpc": "2.0", "id": self.asked["id"], "result": result}).encode())

    def refuse(self, code: int, message: str, data: Any = None) -> None:
        error = {"code": code, "message": message, "data": data}
        self.on.feed(json.dumps({"jsonrpc": "2.0", "id": self.asked["id"], "error": error}).encode())

    @property
    def asked(self) -> dict[str, Any]:
        found: dict[str, Any] = [sent for sent in self.on.sent if "method" in sent and "id" in sent][-1]
        return found

    @property
    def said(self) -> dict[str, Any]:
        """The newest line of ours."""
        found: dict[str, Any] = self.on.sent[-1]
        return found

    def begin(self, session: dict[str, Any] | None = None, capable: dict[str, Any] | None = None) -> "Agent":
        """Through the setting up."""
        self.reply({"protocolVersion": 1, "agentCapabilities": CAPABLE if capable is None else capable})
        self.reply(session or {"sessionId": "own"})
        return self

    def update(self, kind: str, /, **fields: Any) -> None:
        update = {"sessionUpdate": kind, **fields}
        self.on.feed(
            json.dumps({"method": "session/update", "params": {"sessionId": "own", "update": update}}).encode()
        )

    def chunk(self, words: str) -> None:
        self.update("agent_message_chunk", content={"type": "text", "text": words})

    def ask(self, key: str = "t1", number: int = 0, options: Any = OPTIONS, **call: Any) -> None:
        params = {"sessionId": "own", "toolCall": {"toolCallId": key, **call}, "options": options}
        request = {"id": number, "method": "session/request_permission", "params": params}
        self.on.feed(json.dumps(request).encode())

    def stop(self, reason: str = "end_turn", **more: Any) -> None:
        self.reply({"stopReason": reason, **more})

    def end(self, code: int = 0) -> str:
        """The error that it ended with, or ""; the whole log must be sound."""
        self.on.end(ended(code))
        check(self.on.facts)
        self.on.check_adoption()
        met = self.on.of(e.ErrorMet)
        return met[-1].message if met else ""

    @property
    def closed(self) -> bool:
        return self.on.inputs[-1].close


def test_a_system_prompt_and_a_schema_come_with_the_first_message_alone() -> None:
    agent = Agent(prompt="", system_prompt="Be kind.", json_schema={"type": "object"}, interactive=True).begin()
    assert agent.on.dialog.ready
    assert agent.on.say("1.0", "first")
    first = agent.asked["params"]["prompt"][0]["text"]
    assert first.startswith("Be kind.\n\nfirst\n\n")
    assert first.endswith('{"type":"object"}')
    agent.stop()
    assert agent.on.say("2.0", "second")
    assert agent.asked["params"]["prompt"] == [{"type": "text", "text": "second"}]
    agent.stop()
    agent.on.act(agent.on.dialog.close())
    assert agent.end() == ""


def test_a_message_waits_while_a_prompt_is_under_way() -> None:
    agent = Agent().begin()
    assert not agent.on.dialog.ready
    assert agent.on.dialog.say("1.0", "more") is None
    agent.stop()
    assert agent.on.say("1.0", "more")


def test_each_answer_picks_its_option() -> None:
    agent = Agent().begin()
    picked = []
    for number, (action, word) in enumerate(
        [("approve", "approve"), ("approve", "approve-tool"), ("approve", "approve-session"), ("reject", "reject")]
    ):
        agent.ask(f"t{number}", number, title="ls", kind="execute", rawInput={"command": "ls"})
        agent.on.answer(agent.on.dialog.pending[0], e.Answer(action, word))
        picked.append(agent.said["result"]["outcome"]["optionId"])
    assert picked == ["y", "a", "a", "n"]
    agent.stop()
    assert agent.end(-9).startswith("custom was killed") is True
    assert [result.result.is_error for result in agent.on.of(e.ToolReturned)] == [True] * 4


def test_a_question_without_a_fitting_option_is_called_off() -> None:
    agent = Agent().begin()
    agent.ask(options=[{"optionId": "n", "kind": "reject_always", "name": "No"}], kind="edit")
    agent.on.answer(agent.on.dialog.pending[0], e.Answer("approve", "approve"))
    assert agent.said["result"] == {"outcome": {"outcome": "cancelled"}}
    agent.stop()
    (returned,) = agent.on.of(e.ToolReturned)
    assert returned.result.is_error


def test_where_nobody_is_asked_the_dialog_answers_by_itself() -> None:
    agent = Agent(auto_approve=True).begin()
    agent.ask(title="ls", kind="execute")
    assert agent.said["result"]["outcome"]["optionId"] == "y"
    assert agent.on.dialog.pending == ()
    assert [fact.call.name for fact in agent.on.of(e.ToolCalled)] == ["shell"]
    agent.update("tool_call_update", toolCallId="t1", status="completed", rawOutput="fine")
    agent.stop()
    agent.on.act(agent.on.dialog.close())
    assert agent.end() == ""
    assert [fact.result.output for fact in agent.on.of(e.ToolReturned)] == ["fine"]


def test_an_interrupt_calls_off_what_is_asked() -> None:
    agent = Agent().begin()
    agent.ask(title="ls", kind="execute")
    assert agent.on.act(agent.on.dialog.interrupt("i"))
    cancel, called_off = agent.on.sent[-2:]
    assert cancel["method"] == "session/cancel"
    assert called_off["result"] == {"outcome": {"outcome": "cancelled"}}
    assert agent.on.dialog.pending == ()
    agent.stop("cancelled")
    agent.on.act(agent.on.dialog.close())
    assert agent.end() == ""
    assert [result.message for result in agent.on.of(e.RoundResult)] == ["interrupted"]


def test_an_interrupt_before_the_session_is_left_to_a_signal_and_one_without_work_is_nothing() -> None:
    agent = Agent(prompt="")
    assert agent.on.dialog.interrupt("a") is None
    agent.begin()
    step = agent.on.dialog.interrupt("b")
    assert step is not None
    assert not step.inputs


def test_files_and_terminals_are_refused() -> None:
    agent = Agent().begin()
    for number, method in enumerate(("fs/read_text_file", "fs/write_text_file", "terminal/create", "odd/thing")):
        agent.on.feed(json.dumps({"id": f"q{number}", "method": method, "params": {}}).encode())
        assert agent.said["id"] == f"q{number}"
        assert agent.said["error"]["code"] == -32601


REFUSALS = [
    (0, -32000, "Authentication required", None, "custom is not logged in: run it once"),
    (1, -32000, "Authentication required", None, "custom is not logged in: run it once"),
    (1, -32603, "Internal error", {"details": "no disk"}, "custom can't begin a session: no disk"),
    (1, -32603, "broken", None, "custom can't begin a session: broken"),
    (2, 429, '{"error":{"message":"slow","status":"EXHAUSTED"}}', None, "custom: slow (EXHAUSTED) (HTTP 429)"),
]


@pytest.mark.parametrize(("step", "code", "message", "data", "words"), REFUSALS)
def test_a_refusal_at_any_step_is_said_in_words(step: int, code: int, message: str, data: Any, words: str) -> None:
    agent = Agent()
    ways = [{"id": "x", "name": "Log in", "description": "run it once"}]
    if step > 0:
        agent.reply({"protocolVersion": 1, "agentCapabilities": CAPABLE, "authMethods": ways})
    if step > 1:
        agent.reply({"sessionId": "own"})
    agent.refuse(code, message, data)
    assert agent.closed
    assert not agent.on.dialog.ready
    said = agent.end()
    assert said == (words if step else f"custom is not logged in: {message}")
    assert bool(agent.on.of(e.LimitHit)) is (code == 429)


def test_an_agent_that_ends_by_itself_is_an_error_unless_it_was_told_to() -> None:
    assert Agent().end() == "custom ended without a result, before it was ready"
    agent = Agent().begin()
    agent.chunk("hal")
    assert agent.end() == "custom ended without a result, in the middle of a message"
    assert [fact.partial for fact in agent.on.of(e.MessageAdded)] == [True]
    agent = Agent().begin()
    agent.on.complain([b"\x1b[31mout of memory\x1b[0m"])
    assert agent.end(3) == "custom exited with code 3: out of memory"


def test_an_older_protocol_is_refused() -> None:
    agent = Agent()
    agent.reply({"protocolVersion": 0})
    assert agent.closed
    assert "version 0" in agent.end()


@pytest.mark.parametrize(
    ("capable", "method"),
    [
        ({"loadSession": True, "sessionCapabilities": {"resume": {}}}, "session/resume"),
        ({"loadSession": True}, "session/load"),
    ],
)
def test_it_resumes_in_the_way_that_the_agent_knows(capable: dict[str, Any], method: str) -> None:
    agent = Agent(resume="old")
    agent.reply({"protocolVersion": 1, "agentCapabilities": capable})
    assert agent.asked["method"] == method
    assert agent.asked["params"]["sessionId"] == "old"
    agent.chunk("of the past")
    agent.reply({})
    assert agent.asked["method"] == "session/prompt"
    agent.chunk("new")
    agent.stop()
    assert text(agent.on.facts) == ["new"]


def test_an_agent_that_can_not_resume_says_so() -> None:
    agent = Agent(resume="old")
    agent.reply({"protocolVersion": 1, "agentCapabilities": {}})
    assert agent.closed
    assert agent.end() == "custom can't go on with an earlier conversation"


SERVERS = {
    "one": {"command": "serve", "args": ["-x"], "env": {"A": "1"}},
    "two": {"type": "http", "url": "http://127.0.0.1:1/mcp", "headers": {"Authorization": "Bearer t"}},
}


def test_tool_servers_are_given_in_the_protocols_shape() -> None:
    agent = Agent(mcp=SERVERS)
    agent.reply({"protocolVersion": 1, "agentCapabilities": CAPABLE})
    one, two = agent.asked["params"]["mcpServers"]
    assert one == {"name": "one", "command": "serve", "args": ["-x"], "env": [{"name": "A", "value": "1"}]}
    assert two["type"] == "http"
    assert two["headers"] == [{"name": "Authorization", "value": "Bearer t"}]


def test_a_tool_server_that_the_agent_can_not_take_is_refused() -> None:
    agent = Agent(mcp=SERVERS)
    agent.reply({"protocolVersion": 1, "agentCapabilities": {}})
    assert agent.closed
    assert (
        agent.end()
        == "custom can't be given its tools: the tool server 'two' needs http, which this agent does not speak"
    )


MODELS = {"availableModels": [{"modelId": "p/big", "name": "Big"}], "currentModelId": "p/small"}
OPTION = [{"id": "m", "category": "model", "options": [{"value": "p/big", "name": "Big"}]}]


@pytest.mark.parametrize(
    ("session", "method", "chosen"),
    [
        ({"models": MODELS}, "session/set_model", {"modelId": "p/big"}),
        ({"configOptions": OPTION}, "session/set_config_option", {"configId": "m", "value": "p/big"}),
    ],
)
def test_a_model_is_chosen_in_the_way_that_the_agent_offers(
    session: dict[str, Any], method: str, chosen: dict[str, str]
) -> None:
    agent = Agent(model="big").begin({"sessionId": "own", **session})
    assert agent.asked["method"] == method
    assert agent.asked["params"] == {"sessionId": "own", **chosen}
    agent.reply({})
    assert agent.asked["method"] == "session/prompt"
    agent = Agent(model="huge").begin({"sessionId": "own", **session})
    agent.refuse(-32602, "model not found: huge")
    assert agent.closed
    assert agent.end() == "custom can't use the model 'huge': model not found: huge"


def test_a_model_that_nobody_can_choose_is_refused() -> None:
    agent = Agent(model="big").begin()
    assert agent.closed
    assert "'big'" in agent.end()


def test_a_round_that_takes_too_many_turns_is_stopped() -> None:
    agent = Agent(max_turns=2).begin()
    for number in range(3):
        agent.chunk(f"step {number}")
        agent.update("tool_call", toolCallId=f"t{number}", status="in_progress", kind="read", title="x")
        agent.update("tool_call_update", toolCallId=f"t{number}", status="completed")
    assert [sent["method"] for sent in agent.on.sent if "method" in sent].count("session/cancel") == 1
    agent.stop("cancelled")
    agent.on.act(agent.on.dialog.close())
    assert agent.end() == "stopped after 2 turns"


@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "max_turn_requests"])
def test_a_round_that_was_cut_short_is_no_success(reason: str) -> None:
    agent = Agent().begin()
    agent.chunk("so far")
    agent.stop(reason)
    agent.on.act(agent.on.dialog.close())
    assert agent.end()
    assert [fact.partial for fact in agent.on.of(e.MessageAdded)] == [False]


def test_calls_side_by_side_stand_in_one_message() -> None:
    agent = Agent().begin()
    agent.chunk("both")
    for key in ("t1", "t2"):
        agent.update("tool_call", toolCallId=key, status="pending", kind="search", title="x", rawInput={"q": key})
    for key in ("t1", "t2"):
        agent.update("tool_call_update", toolCallId=key, status="in_progress")
    agent.update(
        "tool_call_update",
        toolCallId="t2",
        status="in_progress",
        content=[{"type": "content", "content": {"type": "text", "text": "fo"}}],
    )
    agent.update(
        "tool_call_update",
        toolCallId="t2",
        status="completed",
        content=[{"type": "content", "content": {"type": "text", "text": "found"}}],
    )
    agent.update("tool_call_update", toolCallId="t1", status="failed", rawOutput={"error": "no"})
    agent.update("tool_call_update", toolCallId="t1", status="completed", rawOutput="late")
    agent.stop()
    (message,) = [fact.message for fact in agent.on.of(e.MessageAdded) if fact.message]
    assert [call.arguments for call in message.calls] == ['{"q":"t1"}', '{"q":"t2"}']
    assert [fact.text for fact in agent.on.of(e.OutputAdded)] == ["fo"]
    assert [(r.result.output, r.result.is_error) for r in agent.on.of(e.ToolReturned)] == [
        ("found", False),
        ("no", True),
    ]


def test_plans_and_modes_are_shown_once() -> None:
    agent = Agent().begin()
    for _ in range(2):
        agent.update("plan", entries=[{"content": "look", "status": "pending"}])
    agent.update("current_mode_update", currentModeId="plan")
    assert [fact.message for fact in agent.on.of(e.StatusShown)] == ["Plan", "Mode: plan"]


def test_usage_and_cost_are_of_the_round() -> None:
    agent = Agent(resume="old", spent=1.5)
    agent.reply({"protocolVersion": 1, "agentCapabilities": {"loadSession": True}})
    agent.reply({})
    for total in (100, 250):
        agent.update("usage_update", used=9, size=1000, cost={"amount": 1.5 + total / 100, "currency": "USD"})
        agent.chunk("x")
        agent.stop(usage={"inputTokens": total, "outputTokens": 10, "totalTokens": total + 10, "cachedReadTokens": 40})
        agent.on.say(str(total), "more")
    used = agent.on.of(e.UsageAdded)
    assert [round(fact.cost, 6) for fact in used] == [1.0, 1.5]
    assert [(fact.usage.input, fact.usage.cached_input, fact.context_limit) for fact in used] == [
        (60, 40, 1000),
        (150, 0, 1000),
    ]


@pytest.mark.parametrize(("name", "expected"), [("custom", [60, 50]), ("copilot", [100, 50]), ("opencode", [100, 150])])
def test_usage_is_counted_from_where_the_agent_counts_it(name: str, expected: list[int]) -> None:
    agent = Agent(name, resume="old", used=Usage(40))
    agent.reply({"protocolVersion": 1, "agentCapabilities": {"loadSession": True}})
    agent.reply({})
    for total in (100, 150):
        agent.chunk("x")
        agent.stop(usage={"inputTokens": total, "outputTokens": 0, "totalTokens": total})
        agent.on.say(str(total), "more")
    assert [fact.usage.input for fact in agent.on.of(e.UsageAdded)] == expected


@pytest.mark.parametrize("name", ["custom", "opencode", "qwen", "gemini", "copilot"])
def test_garbage_at_any_step_raises_nothing(name: str) -> None:
    for steps in range(4):
        agent = Agent(name)
        if steps > 0:
            agent.reply({"protocolVersion": 1, "agentCapabilities": {"mcpCapabilities": []}, "agentInfo": 3})
        if steps > 1:
            agent.reply({"sessionId": "own", "models": {"availableModels": 7}, "configOptions": [1, {}]})
        if steps > 2:
            agent.chunk("x")
        for line in GARBAGE:
            agent.on.feed(line)
        agent.on.end(ended(0))
        check(agent.on.facts)


def _update(update: Any) -> bytes:
    return json.dumps({"method": "session/update", "params": {"update": update}}).encode()


GARBAGE = [
    b"",
    b"Warning: something",
    b"[]",
    b"{}",
    b'{"id":99,"result":{}}',
    b'{"id":null,"error":{"code":-32700,"message":"parse error"}}',
    b'{"id":[],"result":1}',
    b'{"method":"session/update"}',
    b'{"method":"session/update","params":[]}',
    b'{"id":5,"method":"session/request_permission"}',
    b'{"id":"x","method":"session/request_permission","params":{"toolCall":3,"options":{}}}',
    b"\xff\xfe{",
    b"[" * 50_000,
    _update(None),
    _update({"sessionUpdate": 4}),
    _update({"sessionUpdate": "agent_message_chunk", "content": [1]}),
    _update({"sessionUpdate": "agent_message_chunk", "content": {"type": "image", "data": "AAAA"}}),
    _update({"sessionUpdate": "tool_call"}),
    _update({"sessionUpdate": "tool_call", "toolCallId": "q", "rawInput": "text", "content": "no", "locations": 1}),
    _update({"sessionUpdate": "tool_call_update", "toolCallId": "never", "status": "completed", "rawOutput": [1]}),
    _update({"sessionUpdate": "usage_update", "used": "x", "cost": {"amount": "y"}}),
    _update({"sessionUpdate": "plan", "entries": {"a": 1}}),
]
