"""Facts to log events of `/api/v1`: one table, to be read beside section 10 of the specification.

A log event is its envelope and, beside it, the fields of its type.  It is made from its fact, and
from what `Memory` has of earlier facts of the same log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from roost.core import events as e
from roost.core import toolkinds
from roost.core.ids import AnswerId, CallId, Micros, SessionId, WaitId
from roost.core.messages import ToolCall
from roost.doors.sockets import Frame
from roost.doors.zag.times import moment

LARGEST = 1_000_000  # bytes of an event: some libraries of clients take no more than 1 MiB
LONGEST = (524_288, 131_072, 32_768, 8_192, 1_024)  # characters of a text in an event, until it is small enough
CUT = "\n[... {} characters left out ...]\n"
BEAT = 10  # seconds between two heartbeats

WRAPPER, STDOUT, STDERR = "wrapper", "stdout", "stderr"

Body = dict[str, Any]


@dataclass(slots=True)
class Memory:
    """What events need of earlier facts.  Everything in it can be found again in the log."""

    provider: str = ""
    provider_session: str | None = None
    turns: int = 0
    model: str = ""
    reasoning: dict[AnswerId, str] = field(default_factory=dict)  # what has not been shown yet
    asked: dict[WaitId, e.WaitOpened] = field(default_factory=dict)

    def learn(self, fact: e.Fact) -> None:
        """Take in a fact, before it is shown."""
        match fact:
            case e.SessionCreated(order=order, sub="") if order is not None:
                self.provider, self.model = order.provider, order.model
            case e.TurnOpened(sub="", source=source, driver=driver):
                self.turns += 1
                self.provider = self.provider or driver or source
            case e.Introduced(sub="", provider_session=known) if known:
                self.provider_session = known
            case e.ReasoningAdded(answer=answer, text=text):
                self.reasoning[answer] = self.reasoning.get(answer, "") + text
            case e.AnswerDropped(answer=answer):
                self.reasoning.pop(answer, None)
            case e.WaitOpened(wait=wait):
                self.asked[wait] = fact
            case e.WaitVoided(wait=wait):
                self.asked.pop(wait, None)
            case _:
                pass

    def thought(self, answer: AnswerId) -> str:
        """The reasoning of an answer that has not been shown, once."""
        return self.reasoning.pop(answer, "")


def cut(text: str, longest: int) -> str:
    """A text that is no longer; its middle gives way."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return text[:half] + CUT.format(len(text) - 2 * half) + text[-half:]


def short(value: Any, longest: int) -> Any:
    """Free data with all of its texts cut."""
    match value:
        case str():
            return cut(value, longest)
        case dict():
            return {key: short(item, longest) for key, item in value.items()}
        case list() | tuple():
            return [short(item, longest) for item in value]
        case _:
            return value


def arguments(call: ToolCall) -> Any:
    """The arguments of a call as data; as text where they are no JSON."""
    try:
        return msgspec.json.decode(call.arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        return call.arguments


# -- rows ---------------------------------------------------------------------------------------


def _started(fact: e.TurnOpened, memory: Memory) -> Body:
    command = fact.command or ("interactive" if fact.interactive else "exec")
    model = fact.model or memory.model or None
    known = {"command": command, "model": model, "cwd": fact.working_dir}
    return {**known, "resumed": memory.turns > 1, "backfilled": False}


def _user(text: str) -> Body:
    return {"role": "user", "content": text, "message_id": None}


def _written(fact: e.MessageWritten, memory: Memory) -> Body | None:
    match fact.message.role:
        case "user" if not fact.sub and not fact.message.implicit and fact.message.content.strip():
            return _user(fact.message.content)
        case "assistant" if fact.message.content:
            return _assistant(fact.message.content, None)
        case _:
            return None


def _taken(fact: e.MessageTaken, memory: Memory) -> Body | None:
    return None if fact.message.implicit or fact.sub else _user(fact.message.content)


def _assistant(text: str, message_id: str | None) -> Body:
    return {"type": "assistant_message", "content": text, "message_id": message_id}


def _thinking(fact: e.TextAdded | e.CallDrafted, memory: Memory) -> Body | None:
    """Reasoning is shown whole, by the first delta of what comes after it."""
    text = memory.thought(fact.answer)
    return {"content": text, "message_id": fact.answer or None} if text.strip() else None


def _added(fact: e.MessageAdded, memory: Memory) -> Body | None:
    message = fact.message
    if message is None or message.role != "assistant":
        return None
    if message.content.strip():
        return _assistant(message.content, fact.answer or None)
    text = memory.thought(fact.answer)
    return {"type": "reasoning", "content": text, "message_id": fact.answer or None} if text.strip() else None


def _called(fact: e.ToolCalled, memory: Memory) -> Body:
    kind = toolkinds.kind(fact.call.name)
    known = {"tool_name": fact.call.name, "tool_kind": kind, "tool_id": fact.call.id}
    return {**known, "input": arguments(fact.call)}


def _returned(fact: e.ToolReturned, memory: Memory) -> Body:
    call, result = fact.call, fact.result
    return {
        "tool_name": call.name or None,
        "tool_kind": toolkinds.kind(call.name),
        "tool_id": call.id,
        "success": not result.is_error,
        "output": None if result.is_error else result.output,
        "error": result.output if result.is_error else None,
        "data": result.structured if result.structured is not None else result.meta,
    }


def _asked(fact: e.WaitOpened, memory: Memory) -> Body:
    call = fact.call or ToolCall(CallId(""), "")
    words = {
        "approval": f"Waiting for approval of {call.name}",
        "question": f"Waiting for an answer: {fact.message}",
        "limit": f"Waiting for a decision: the limit of {fact.max_iterations} iterations is reached",
        "budget": f"Waiting for a decision: {fact.message}",
    }
    data: Body = {"wait_id": fact.wait, "kind": fact.kind}
    if fact.call is not None:
        data |= {"tool_name": call.name, "tool_id": call.id, "input": arguments(call)}
    return {"message": words[fact.kind], "data": data}


def _answered(fact: e.WaitAnswered, memory: Memory) -> Body | None:
    asked = memory.asked.pop(fact.wait, None)
    granted = fact.answer.action in ("approve", "accept")
    if asked is None or asked.call is None or asked.kind != "approval":
        message = "The question was answered" if granted else "The question was declined"
        return {"type": "provider_status", "message": message, "data": {"wait_id": fact.wait}}
    said = f"{'Granted' if granted else 'Denied'} by {fact.by or 'a person'}"
    return {"tool_name": asked.call.name, "description": fact.answer.reason or said, "granted": granted}


def _usage(fact: e.UsageAdded, memory: Memory) -> Body:
    usage = fact.usage
    body: Body = {"input_tokens": usage.input, "output_tokens": usage.output}
    extra = {
        "cache_read_tokens": usage.cached_input,
        "cache_creation_tokens": usage.cached_write,
        "total_cost_usd": fact.cost,
    }
    return body | {key: value for key, value in extra.items() if value}


def _introduced(fact: e.Introduced, memory: Memory) -> Body:
    data = {"working_directory": fact.working_dir or None, "tools": fact.tools, "metadata": fact.data}
    return {"message": f"Initialized {fact.model or memory.provider}", "data": data}


def _round(fact: e.RoundEnded, memory: Memory) -> Body:
    usage = None if fact.usage is None else usage_shape(fact)
    data = {"stop_reason": fact.reason or None, "turn_index": fact.index, "usage": usage}
    return {"message": f"Turn {fact.index + 1} complete", "data": data}


def usage_shape(fact: e.RoundEnded) -> Body:
    """The tokens of a round, under the names of section 11."""
    used = fact.usage
    assert used is not None
    return {
        "input_tokens": used.input,
        "output_tokens": used.output,
        "cache_read_tokens": used.cached_input,
        "cache_creation_tokens": used.cached_write,
    }


def _result(fact: e.RoundResult, memory: Memory) -> Body:
    data = {"success": fact.success, "duration_ms": fact.duration_ms, "num_turns": fact.turns}
    return {"message": fact.message or "Result emitted", "data": data}


def _hit(fact: e.LimitHit, memory: Memory) -> Body:
    body: Body = {"scope": fact.scope}
    if fact.reset_at is not None:
        body["reset_at"] = moment(fact.reset_at)
    if fact.resume_at is not None:
        body["scheduled_resume_at"] = moment(fact.resume_at)
    body |= {"fallback_used": fact.fallback_used, "incident_id": fact.incident}
    return body | ({"raw": fact.raw} if fact.raw else {})


def _noted(fact: e.UserNoted, memory: Memory) -> Body:
    body: Body = {"level": fact.level, "message": fact.message}
    return body if fact.data is None else {**body, "data": fact.data}


def _ended(fact: e.TurnEnded, memory: Memory) -> Body:
    success = fact.outcome == "normal"
    return {"success": success, "error": None if success else fact.error or "the turn did not end well"}


def _resumed(fact: e.TurnResumed, memory: Memory) -> Body:
    return {"message": "The server was restarted, and the turn goes on", "data": {"attempt": fact.n}}


# -- the table ----------------------------------------------------------------------------------

Row = tuple[str, str, Callable[[Any, Memory], Body | None]]

TABLE: Mapping[type, Row] = {
    e.TurnOpened: ("session_started", WRAPPER, _started),
    e.MessageWritten: ("user_message", WRAPPER, _written),
    e.MessageTaken: ("user_message", WRAPPER, _taken),
    e.TextAdded: ("reasoning", STDOUT, _thinking),
    e.CallDrafted: ("reasoning", STDOUT, _thinking),
    e.MessageAdded: ("assistant_message", STDOUT, _added),
    e.ToolCalled: ("tool_call", STDOUT, _called),
    e.ToolReturned: ("tool_result", STDOUT, _returned),
    e.WaitOpened: ("provider_status", WRAPPER, _asked),
    e.WaitAnswered: ("permission", WRAPPER, _answered),
    e.UsageAdded: ("usage", STDOUT, _usage),
    e.Introduced: ("provider_status", STDOUT, _introduced),
    e.StatusShown: ("provider_status", STDOUT, lambda fact, _: {"message": fact.message, "data": fact.data}),
    e.Warned: ("provider_status", WRAPPER, lambda fact, _: {"message": fact.message, "data": None}),
    e.ErrorMet: ("provider_status", WRAPPER, lambda fact, _: {"message": fact.message, "data": {"code": fact.code}}),
    e.RoundEnded: ("provider_status", STDOUT, _round),
    e.RoundResult: ("provider_status", STDOUT, _result),
    e.TurnResumed: ("provider_status", WRAPPER, _resumed),
    e.StderrAdded: ("stderr", STDERR, lambda fact, _: {"message": fact.text}),
    e.LineSkipped: ("parse_warning", STDOUT, lambda fact, _: {"message": fact.message, "raw": fact.raw or None}),
    e.ResultSet: ("session_result", WRAPPER, lambda fact, _: {"result": fact.result}),
    e.UserNoted: ("user_event", WRAPPER, _noted),
    e.LimitHit: ("usage_limit_hit", WRAPPER, _hit),
    e.LimitResumed: (
        "usage_limit_resumed",
        WRAPPER,
        lambda f, _: {"incident_id": f.incident, "resume_message": f.message, "attempt": f.attempt},
    ),
    e.LimitResumeFailed: (
        "usage_limit_resume_failed",
        WRAPPER,
        lambda f, _: {"incident_id": f.incident, "error": f.error, "attempt": f.attempt},
    ),
    e.TurnEnded: ("session_ended", WRAPPER, _ended),
}

SPOKEN = frozenset({"assistant_message", "reasoning", "tool_call", "tool_result"})
"""What an agent says and does; those of an agent file are named there, since a session may have several."""

TYPES = frozenset({kind for kind, _, _ in TABLE.values()}) | {"heartbeat", "session_cleared"}
"""The names by which clients choose."""


def render(event: e.Event, memory: Memory) -> Frame | None:
    """The log event of a fact; None for one that clients are shown nothing of, or of a sub-session."""
    fact = event.fact
    memory.learn(fact)
    row = TABLE.get(type(fact))
    if row is None or (isinstance(fact, e.Base) and fact.sub and isinstance(fact, e.TurnOpened | e.TurnEnded)):
        return None
    kind, source, make = row
    body = make(fact, memory)
    if body is None:
        return None
    kind = body.pop("type", kind)
    if kind in SPOKEN and (agent := getattr(fact, "agent", "")) not in ("", memory.provider):
        body["agent"] = agent
    return Frame(
        kind, fitted({**envelope(event.seq, event.at, SessionId(event.log), memory, source), "type": kind}, body)
    )


def heartbeat(seq: int, at: Micros, session: SessionId, provider: str, provider_session: str | None) -> Frame:
    """A sign of life between facts; its `seq` is that of the newest one."""
    memory = Memory(provider, provider_session)
    whole = {**envelope(seq, at, session, memory, WRAPPER), "type": "heartbeat", "interval_secs": BEAT}
    return Frame("heartbeat", text(whole))


def envelope(seq: int, at: Micros, session: SessionId, memory: Memory, source: str) -> Body:
    """What all log events share."""
    return {
        "seq": seq,
        "ts": moment(at),
        "provider": memory.provider,
        "wrapper_session_id": session,
        "provider_session_id": memory.provider_session,
        "source_kind": source,
        "completeness": "full",
    }


def fitted(head: Body, body: Body) -> str:
    """An event with its texts as long as clients can take them."""
    for longest in LONGEST:
        encoded = msgspec.json.encode({**head, **short(body, longest)})
        if len(encoded) <= LARGEST:
            break
    return encoded.decode()


def text(value: Any) -> str:
    """Compact JSON."""
    return msgspec.json.encode(value).decode()
