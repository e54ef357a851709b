"""The shapes that only events have."""

from typing import Any

from roost.doors.docker_agent import shapes
from roost.doors.docker_agent.shapes import DefinitionShape, Wire
from roost.wire.json import Number


class Partial(Wire, frozen=True, kw_only=True):
    """`partial_tool_call`, `tool_call`."""

    tool_call: shapes.CallShape
    tool_definition: DefinitionShape


class Confirmation(Wire, frozen=True, kw_only=True):
    """`tool_call_confirmation`; `request_id` answers it by id."""

    tool_call: shapes.CallShape
    tool_definition: DefinitionShape
    metadata: dict[str, str] = {}
    session_id: str = ""
    request_id: str = ""


class Response(Wire, frozen=True, kw_only=True):
    """`tool_call_response`."""

    tool_call_id: str
    tool_call: shapes.CallShape
    tool_definition: DefinitionShape
    response: str
    result: shapes.ResultShape | None = None


class Output(Wire, frozen=True, kw_only=True):
    """`tool_call_output`."""

    tool_call_id: str
    tool_definition: DefinitionShape
    output: str


class Elicited(Wire, frozen=True, kw_only=True):
    """`elicitation_request`."""

    message: str
    mode: str = ""
    schema: dict[str, Any] | None = None
    url: str = ""
    elicitation_id: str
    server_elicitation_id: str = ""
    session_id: str = ""
    meta: dict[str, Any] | None = None


class Said(Wire, frozen=True, kw_only=True):
    """`user_message`."""

    message: str
    multi_content: tuple[shapes.PartShape, ...] = ()
    session_id: str
    session_position: int


class LastMessage(Wire, frozen=True, kw_only=True):
    """What the newest request used."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cached_write_tokens: int
    reasoning_tokens: int = 0
    Cost: Number | None
    Model: str
    finish_reason: str = ""


class Usage(Wire, frozen=True, kw_only=True):
    """Where a session stands."""

    input_tokens: int
    output_tokens: int
    context_length: int
    context_limit: int
    cost: Number
    last_message: LastMessage | None = None
    compaction_threshold: Number = 0


class Info(Wire, frozen=True, kw_only=True):
    """`agent_info`."""

    model: str
    description: str
    welcome_message: str = ""
    context_limit: int = 0


class Teammate(Wire, frozen=True, kw_only=True):
    """An agent of the team."""

    name: str
    description: str
    provider: str
    model: str
    commands: dict[str, shapes.CommandShape] = {}


class Summarized(Wire, frozen=True, kw_only=True):
    """`session_summary`."""

    session_id: str
    summary: str
    first_kept_entry: int = 0
    cost: Number | None = None
    model: str = ""
    usage: shapes.UsageShape | None = None
