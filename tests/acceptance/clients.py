"""The calls that three generations of the Go client make, in their order, read with their eyes.

G0 posts bare lists and decodes strictly; G1 posts objects; G2 follows the event stream as well.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from acceptance.house import Client, Reply
from acceptance.sse import Follower, Stream, follow_plainly

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
LINE = 64 * 1024  # what the line buffer of old clients holds


class NotDecoded(AssertionError):
    """A client would have dropped this."""


# -- types as Go decodes them: an absent or null field keeps its zero value, a wrong type is an error

Check = Callable[[Any], bool]


def text(value: Any) -> bool:
    return isinstance(value, str)


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def number(value: Any) -> bool:
    return whole(value) or isinstance(value, float)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def when(value: Any) -> bool:
    return isinstance(value, str) and TIME.fullmatch(value) is not None


def anything(value: Any) -> bool:
    return True


def items(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(check(item) for item in value)


def table(check: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(check(item) for item in value.values())


def struct(**fields: Check) -> Check:
    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        low = {name.lower(): known for name, known in fields.items()}
        return all(v is None or low.get(k.lower(), anything)(v) for k, v in value.items())

    return check


CALL = struct(id=text, type=text, function=struct(name=text, arguments=text))
DEFINITION = struct(
    name=text,
    category=text,
    description=text,
    parameters=anything,
    annotations=struct(title=text, readOnlyHint=flag, destructiveHint=flag, idempotentHint=flag, openWorldHint=flag),
    outputSchema=anything,
)
MEDIA = items(struct(data=text, mimeType=text))
RESULT = struct(output=text, isError=flag, meta=anything, images=MEDIA, audios=MEDIA, structuredContent=anything)
TOKENS = {"input_tokens": whole, "output_tokens": whole, "cached_input_tokens": whole, "cached_write_tokens": whole}
LAST = struct(**TOKENS, reasoning_tokens=whole, Cost=number, Model=text, finish_reason=text)
USAGE = struct(
    input_tokens=whole, output_tokens=whole, context_length=whole, context_limit=whole, cost=number, last_message=LAST
)
COMMANDS = table(struct(description=text, instruction=text))
TEAMMATE = struct(name=text, description=text, provider=text, model=text, commands=COMMANDS)
MESSAGE = struct(
    role=text,
    content=text,
    multi_content=items(anything),
    reasoning_content=text,
    tool_calls=items(CALL),
    tool_definitions=items(DEFINITION),
    tool_call_id=text,
    is_error=flag,
    created_at=text,
    usage=struct(**TOKENS, reasoning_tokens=whole),
    model=text,
    cost=number,
)
SESSION = struct(
    id=text,
    title=text,
    messages=items(struct(message=struct(agentName=text, agent_name=text, message=MESSAGE, implicit=flag))),
    created_at=when,
    tools_approved=flag,
    thinking=flag,
    hide_tool_results=flag,
    working_dir=text,
    SendUserMessage=flag,
    max_iterations=whole,
    starred=flag,
    input_tokens=whole,
    output_tokens=whole,
    cost=number,
    permissions=struct(allow=items(text), ask=items(text), deny=items(text)),
    agent_model_overrides=table(text),
    custom_models_used=items(text),
)
SNAPSHOT = struct(
    id=text,
    title=text,
    created_at=when,
    messages=items(struct(agent_name=text, message=MESSAGE, implicit=flag)),
    tools_approved=flag,
    input_tokens=whole,
    output_tokens=whole,
    streaming=flag,
    agent=text,
    last_event_seq=whole,
    cost=number,
)
AGENT = struct(
    Name=text, model=text, description=text, welcome_message=text, toolsets=items(anything), commands=COMMANDS
)

EVENTS: dict[str, dict[str, Check]] = {
    "user_message": {"message": text, "session_id": text, "session_position": whole},
    "tool_call": {"tool_call": CALL, "tool_definition": DEFINITION},
    "tool_call_response": {
        "tool_call": CALL,
        "tool_call_id": text,
        "tool_definition": DEFINITION,
        "response": text,
        "result": RESULT,
    },
    "tool_call_confirmation": {"tool_call": CALL, "tool_definition": DEFINITION, "metadata": table(text)},
    "partial_tool_call": {"tool_call": CALL, "tool_definition": DEFINITION},
    "token_usage": {"session_id": text, "usage": USAGE},
    "stream_started": {"session_id": text},
    "stream_stopped": {"session_id": text, "reason": text},
    "shell": {"output": text},
    "session_title": {"session_id": text, "title": text},
    "session_summary": {"session_id": text, "summary": text},
    "session_compaction": {"session_id": text, "status": text},
    "max_iterations_reached": {"max_iterations": whole},
    "error": {"error": text, "session_id": text, "code": text},
    "warning": {"message": text},
    "elicitation_request": {
        "message": text,
        "mode": text,
        "schema": anything,
        "url": text,
        "elicitation_id": text,
        "meta": anything,
    },
    "authorization_event": {"confirmation": text},
    "agent_choice": {"content": text, "session_id": text},
    "agent_choice_reasoning": {"content": text, "session_id": text},
    "mcp_init_started": {},
    "mcp_init_finished": {},
    "agent_info": {"model": text, "description": text, "welcome_message": text},
    "team_info": {"available_agents": items(TEAMMATE), "current_agent": text},
    "toolset_info": {"available_tools": whole, "loading": flag},
    "agent_switching": {"switching": flag, "from_agent": text, "to_agent": text},
    "hook_blocked": {"tool_call": CALL, "tool_definition": DEFINITION, "message": text},
}
COMMON: dict[str, Check] = {"type": text, "agent_name": text, "timestamp": when}


def decode(event: dict[str, Any]) -> dict[str, Any] | None:
    """The event as the client has it; None for a type that it skips.

    Raises:
        NotDecoded: a field has another type than the client's.
    """
    fields = EVENTS.get(event["type"])
    if fields is None:
        return None
    if not struct(**COMMON, **fields)(event):
        raise NotDecoded(event)
    return event


def result(reply: Reply, check: Check) -> Any:
    """The answer of a call that is expected to bring one."""
    assert reply.status < 400, reply
    if not check(reply.json):
        raise NotDecoded(reply.json)
    return reply.json


@dataclass
class GoClient:
    """`docker agent run FILE --remote URL`, one session of it."""

    client: Client
    file: str
    generation: int
    yolo: bool = False
    id: str = ""
    texts: list[str] = field(default_factory=list)  # of the person, as the local copy has them
    title: str = ""
    log: Follower | None = None

    def begin(self) -> None:
        """Calls 1 to 4."""
        template = {"id": "11d0", "title": "", "messages": [], "created_at": "2026-03-14T10:00:00.5+01:00"}
        template |= {"tools_approved": self.yolo, "thinking": False, "hide_tool_results": False}
        template |= {"SendUserMessage": True, "max_iterations": 0, "starred": False, "input_tokens": 0}
        template |= {"output_tokens": 0, "cost": 0}
        self.id = result(self.client.post("/api/sessions", template), SESSION)["id"]
        assert self.id and self.id != "11d0"
        for _ in range(2):
            agents = result(self.client.get(f"/api/agents/{self.file}"), struct(agents=items(AGENT)))["agents"]
            assert "root" in [agent["Name"] for agent in agents]
        counted = self.client.get(f"/api/agents/{self.file}/root/tools/count")
        assert result(counted, struct(available_tools=whole))["available_tools"] > 0
        if self.generation >= 2:
            snapshot = result(self.client.get(f"/api/sessions/{self.id}/snapshot"), SNAPSHOT)
            self.log = follow_plainly(self.client, self.id, snapshot["last_event_seq"])

    def run(self, said: str) -> Iterator[dict[str, Any]]:
        """Call 5: the events of one turn, as the client decodes them."""
        self.texts.append(said)
        if self.generation == 0:
            body: Any = [{"role": "user", "content": t} for t in self.texts]
        else:
            body = {"messages": [{"role": "user", "content": said}]}
        named = "" if self.generation == 0 else "/root"
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        stream = self.client.open("POST", f"/api/sessions/{self.id}/agent/{self.file}{named}", body, headers=headers)
        assert stream.status < 400, stream.read()
        yield from self._events(stream)

    def _events(self, stream: Stream) -> Iterator[dict[str, Any]]:
        stopped = False
        for frame in stream:
            for line in frame.raw.split(b"\n"):
                if not line.startswith(b"data: "):
                    continue
                assert self.generation > 0 or len(line) < LINE
                event = decode(json.loads(line[6:]))
                if event is None:
                    continue
                stopped |= event["type"] == "stream_stopped" and event["session_id"] == self.id
                if event["type"] == "session_title":
                    self.title = event["title"]
                yield event
        assert stopped, "the stream ended without the session's own stop"

    def approve(self) -> None:
        """Call 6; only failures count."""
        reply = self.client.post(f"/api/sessions/{self.id}/resume", {"confirmation": "approve"})
        assert reply.status < 400, reply

    def rename(self, title: str) -> None:
        """Call 7."""
        reply = self.client.patch(f"/api/sessions/{self.id}/title", {"title": title})
        assert reply.status < 400, reply

    def afterwards(self) -> None:
        """Calls 8 and 9, as far as the generation makes them."""
        if self.generation < 1:
            return
        path = f"/api/sessions/{self.id}"
        followup = self.client.post(f"{path}/followup", {"messages": [{"role": "user", "content": "later"}]})
        assert result(followup, struct(status=text, duplicate=flag))["status"] == "queued_idle"
        models = result(
            self.client.get(f"{path}/models"), struct(agent=text, models=items(struct(name=text, ref=text)))
        )
        assert models["agent"] == "root"
        result(self.client.post(f"{path}/fork", {"user_message_index": 1}), struct(id=text, title=text))
        assert self.client.post(f"{path}/tools/toggle").status < 400
        assert self.client.patch(f"{path}/permissions", {"permissions": {"allow": ["shell"]}}).status < 400
        if self.generation >= 2:
            assert self.client.patch(f"{path}/safety-policy", {"safety_policy": "balanced"}).status < 400
        assert self.client.delete(path).status < 400
