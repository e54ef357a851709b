"""Logs of what the engine does not do by itself yet: tasks handed over, histories summed up, logins."""

from collections.abc import Sequence

from roost.core import events as e
from roost.core.ids import AnswerId, CallId, SessionId, TurnId
from roost.core.messages import Definition, Message, Result, ToolCall
from roost.core.usage import Usage

TURN, HERE, SUB, DEEP = TurnId("turn-1"), SessionId(""), SessionId("sub-1"), SessionId("sub-2")
HANDING = Definition("transfer_task", "transfer", "Hand a task over", {"type": "object"})
READING = Definition("read_file", "filesystem", "Read", {"type": "object"})
TASK = ToolCall(CallId("call_1"), "transfer_task", '{"agent":"coder","task":"fix"}')
READ = ToolCall(CallId("call_2"), "read_file", '{"path":"a"}')
PROCEED = Message("user", "Please proceed.", implicit=True)


def asked(agent: str, answer: str, call: ToolCall, digest: str, sub: SessionId = HERE) -> list[e.Fact]:
    """An answer that is one call."""
    named, usage = AnswerId(answer), Usage(100, 10)
    message = Message(
        "assistant", agent=agent, calls=(call,), definitions=(digest,), usage=usage, model="fake/m", cost=0.25
    )
    return [
        e.ModelAsked(named, agent, "fake/m", sub=sub),
        e.CallDrafted(named, call.id, call.name, call.arguments, agent, digest, sub=sub),
        e.MessageAdded(message, answer=named, agent=agent, sub=sub),
        e.UsageAdded(usage, "fake/m", agent, 0.25, 0.25, 100, 10, sub=sub),
        e.ToolCalled(call, "safe", agent, definition=digest, sub=sub),
    ]


def said(agent: str, answer: str, text: str, sub: SessionId = HERE) -> list[e.Fact]:
    """An answer that is text."""
    named, usage = AnswerId(answer), Usage(120, 5)
    message = Message("assistant", text, agent=agent, usage=usage, model="fake/m", cost=0.5)
    return [
        e.ModelAsked(named, agent, "fake/m", sub=sub),
        e.TextAdded(named, text, agent, sub=sub),
        e.MessageAdded(message, answer=named, agent=agent, sub=sub),
        e.UsageAdded(usage, "fake/m", agent, 0.5, 0.75, 120, 5, sub=sub),
    ]


def returned(agent: str, call: ToolCall, output: str, digest: str, sub: SessionId = HERE) -> list[e.Fact]:
    """What a call came to."""
    return [
        e.ToolReturned(call, Result(output), agent, digest, sub=sub),
        e.MessageAdded(call=call.id, agent=agent, sub=sub),
    ]


def deeper() -> list[e.Fact]:
    """A task that the sub-agent hands on."""
    return [
        e.SessionCreated(e.Template(title="Transferred task"), SUB, sub=DEEP),
        e.MessageWritten(PROCEED, sub=DEEP),
        e.TurnStarted("helper", sub=DEEP),
        *said("helper", "c1", "helped", DEEP),
        e.TurnEnded(TURN, "normal", "helper", sub=DEEP),
        e.SubSessionEnded(DEEP, "coder", sub=SUB),
    ]


def handed_over(session: str, source: str = "my-agent") -> Sequence[e.Fact]:
    """A turn whose agent hands a task to another, who hands a part of it on."""
    template = e.Template(
        title="Transferred task", working_dir="/", safety="balanced", prior_safety="strict", max_tool_result_tokens=9
    )
    return [
        e.TurnOpened(TURN, source, "root", "/"),
        e.MessageWritten(Message("user", "Find the bug")),
        e.AgentShown("root", "fake/m"),
        e.ToolsShown("root", 1, definitions={"d1": HANDING}),
        e.UserSaid("Find the bug", 0),
        e.TurnStarted("root"),
        *asked("root", "a1", TASK, "d1"),
        e.AgentSwitched("root", True, "root", "coder"),
        e.SessionCreated(template, SessionId(session), sub=SUB),
        e.MessageWritten(Message("system", "Your task: fix"), sub=SUB),
        e.MessageWritten(PROCEED, sub=SUB),
        e.AgentShown("coder", "fake/m", sub=SUB),
        e.ToolsShown("coder", 1, definitions={"d2": READING}, sub=SUB),
        e.TurnStarted("coder", sub=SUB),
        *asked("coder", "b1", READ, "d2", SUB),
        *returned("coder", READ, "text of a", "d2", SUB),
        *deeper(),
        *said("coder", "b2", "Fixed it", SUB),
        e.TurnEnded(TURN, "normal", "coder", sub=SUB),
        e.SubSessionEnded(SUB, "root"),
        e.AgentSwitched("root", False, "coder", "root"),
        e.AgentShown("root", "fake/m"),
        *returned("root", TASK, "Fixed it", "d1"),
        *said("root", "a2", "It is fixed."),
        e.TurnEnded(TURN, "normal", "root"),
    ]


def summed_up() -> Sequence[e.Fact]:
    """A turn with a login, another model and a shorter history."""
    return [
        e.TurnOpened(TURN, "my-agent", "root", "/"),
        e.MessageWritten(Message("user", "Go on")),
        e.TurnStarted("root"),
        e.Authorized("accept", "root"),
        e.CompactionStarted("root"),
        e.SummaryAdded("What was said.", 1, 0.125, "fake/m", Usage(900, 40)),
        e.CompactionEnded("applied", "root"),
        e.UsageAdded(Usage(900, 40), "fake/m", "root", 0.125, 0.125, 40, 0, why="compaction"),
        e.FellBack("fake/m", "fake/n", "rate limited", 1, 2, "root"),
        *said("root", "a1", "Gone on."),
        e.ErrorMet("it broke", "model_error", "root"),
        e.TurnEnded(TURN, "error", "root"),
    ]
