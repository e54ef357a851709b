"""What `/api` answers, typed: sessions, what was said in them, and what waits; what a server leaves out is empty."""

from typing import TYPE_CHECKING, Any

from msgspec import Raw, Struct, field, structs

Table = dict[str, Any]


class Part(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Part of what is sent and answered."""


# -- tools --------------------------------------------------------------------------------------


class Function(Part, frozen=True):
    """Which tool is called, and with what: `arguments` is JSON, of a call under way the beginning of it."""

    name: str = ""
    arguments: str = ""


class Call(Part, frozen=True):
    """A tool call."""

    id: str = ""
    type: str = ""
    function: Function = Function()

    @property
    def name(self) -> str:
        """Which tool it calls."""
        return self.function.name

    @property
    def arguments(self) -> str:
        """With what, as JSON."""
        return self.function.arguments


class Annotations(Part, frozen=True, rename="camel"):
    """What a tool says of itself."""

    title: str = ""
    read_only_hint: bool = False
    destructive_hint: bool | None = None
    idempotent_hint: bool | None = None
    open_world_hint: bool | None = None


class Definition(Part, frozen=True):
    """A tool, as models see it."""

    name: str = ""
    category: str = ""
    description: str = ""
    parameters: Table | None = None
    annotations: Annotations = Annotations()
    output_schema: Table | None = field(default=None, name="outputSchema")


class Media(Part, frozen=True):
    """A picture or a sound, base64."""

    data: str = ""
    mime_type: str = field(default="", name="mimeType")


class Result(Part, frozen=True):
    """What a tool returned."""

    output: str = ""
    is_error: bool = field(default=False, name="isError")
    meta: Table | None = None
    images: tuple[Media, ...] = ()
    audios: tuple[Media, ...] = ()
    structured: Any = field(default=None, name="structuredContent")


# -- what is said -------------------------------------------------------------------------------


class Image(Part, frozen=True):
    """A picture: an address, or `data:` with what is in it."""

    url: str
    detail: str = ""


class File(Part, frozen=True):
    """A file that goes with a message."""

    path: str = ""
    file_id: str = ""
    mime_type: str = ""


class Content(Part, frozen=True):
    """One part of a message: text, a picture or a file."""

    type: str = ""  # text, image_url or file
    text: str = ""
    image_url: Image | None = None
    file: File | None = None


class Posted(Part, frozen=True):
    """A message for an agent."""

    content: str = ""
    role: str = "user"
    multi_content: tuple[Content, ...] = ()


class Used(Part, frozen=True):
    """Tokens of one request."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cached_write_tokens: int = 0
    reasoning_tokens: int = 0


class Chat(Part, frozen=True):
    """A message, as models see it."""

    role: str = ""
    content: str = ""
    multi_content: tuple[Content, ...] = ()
    reasoning_content: str = ""
    thinking_signature: str = ""
    thought_signature: str = ""
    tool_calls: tuple[Call, ...] = ()
    tool_definitions: tuple[Definition, ...] = ()
    tool_call_id: str = ""
    is_error: bool = False
    created_at: str = ""
    usage: Used | None = None
    model: str = ""
    cost: float | None = None


class Message(Part, frozen=True):
    """A message of a session; `id` is its number in the log, and `ordinal` its place among those of the user."""

    agent_name: str = ""
    message: Chat = Chat()
    implicit: bool = False
    id: int = 0
    ordinal: int | None = None
    session_id: str = ""  # of a sub-session's

    @property
    def role(self) -> str:
        """Who said it."""
        return self.message.role

    @property
    def content(self) -> str:
        """What was said."""
        return self.message.content


if TYPE_CHECKING:
    Messages = tuple[Message, ...]
else:
    Messages = tuple[Message, ...] | None  # on the wire; whoever reads it finds an empty one


class Talk(Part, frozen=True):
    """What has messages, or an empty list of them where the server says null."""

    def __post_init__(self) -> None:
        if getattr(self, "messages", ()) is None:
            structs.force_setattr(self, "messages", ())


# -- sessions -----------------------------------------------------------------------------------


class Permissions(Part, frozen=True):
    """Patterns of tools that run unasked, that ask, and that are refused."""

    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class Budget(Part, frozen=True):
    """What may be spent; nothing is no limit.  `max_time` is in seconds."""

    name: str = ""
    max_cost: float | None = None
    max_tokens: int = 0
    max_time: float | None = None


class Row(Part, frozen=True):
    """A session, as the list of all of them shows it."""

    id: str
    title: str = ""
    created_at: str = ""
    num_messages: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    working_dir: str = ""
    starred: bool = False
    cost: float | None = None
    attributes: dict[str, str] = {}
    state: str = ""  # new, queued, running, waiting, idle, failed, canceled, completed
    agent: str = ""
    source: str = ""  # the id of the agent file
    provider: str = ""
    model: str = ""
    waits: int = 0  # how many things a person is to decide
    parent_id: str = ""
    root_id: str = ""
    host: str = ""
    updated_at: str = ""
    turns: int = 0
    name: str = ""
    tags: tuple[str, ...] = ()
    error: str = ""
    interactive: bool = False
    worktree: str = ""
    total_cost: float | None = None  # with that of its sub-sessions


class Made(Talk, frozen=True):
    """A session with its messages: one that was just made, or is looked at."""

    id: str
    title: str = ""
    messages: Messages = ()
    created_at: str = ""
    tools_approved: bool = False
    safety_policy: str = ""
    working_dir: str = ""
    permissions: Permissions | None = None
    attributes: dict[str, str] = {}
    agent_model_overrides: dict[str, str] = {}
    budget: Budget | None = None
    tree_budget: Budget | None = None


class Shown(Talk, frozen=True):
    """A session with its messages."""

    id: str
    title: str = ""
    messages: Messages = ()
    created_at: str = ""
    tools_approved: bool = False
    thinking: bool = False
    safety_policy: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    working_dir: str = ""
    permissions: Permissions | None = None
    budget: Budget | None = None
    tree_budget: Budget | None = None
    tree_cost: float | None = None


class Waiting(Part, frozen=True):
    """Something that waits for a person."""

    id: str
    kind: str = ""  # approval, question, limit or budget
    session_id: str = ""
    agent_name: str = ""
    opened_at: str = ""
    tool_call: Call | None = None
    tool_definition: Definition | None = None
    message: str = ""
    schema: Table | None = None
    max_iterations: int = 0
    metadata: dict[str, str] = {}
    log_id: str = ""  # the session whose events it is among
    title: str = ""  # of that session
    working_dir: str = ""
    mode: str = ""  # of a question: form or url
    url: str = ""
    meta: Table | None = None


class Queued(Part, frozen=True):
    """Messages that wait for their moment; `id` is their number in the log.

    `indexes` are their places among those that came with them.
    """

    id: int = 0
    queue: str = ""  # steer or followup
    messages: tuple[Posted, ...] = ()
    indexes: tuple[int, ...] = ()


class SubSession(Part, frozen=True):
    """A task that another agent is at."""

    id: str
    parent_session_id: str = ""
    tool_call_id: str = ""
    agent: str = ""
    title: str = ""
    state: str = ""


class Mark(Part, frozen=True):
    """What stands between messages, and is none: a summary, or the error that ended a turn; `id` says where."""

    id: int = 0
    type: str = ""  # summary or error
    created_at: str = ""
    session_id: str = ""
    summary: str = ""
    message: str = ""
    code: str = ""
    agent_name: str = ""


class Remark(Part, frozen=True):
    """What happened between messages: the event of that number, still as text (`happenings.decode`)."""

    id: int
    event: Raw


class Command(Part, frozen=True):
    """A slash command of an agent."""

    description: str = ""
    instruction: str = ""
    agent: str = ""
    url: str = ""


class Teammate(Part, frozen=True):
    """An agent of the team."""

    name: str
    description: str = ""
    provider: str = ""
    model: str = ""
    commands: dict[str, Command] = {}


class Snapshot(Talk, frozen=True):
    """A session whole, and the place in its log that this is.

    Whoever follows on from here reads from `tail_from`: what is unfinished comes whole then.  Of that, whatever is
    numbered up to `last_event_seq` and is here already (a message by its id, a tool's result by its call) is old.
    """

    id: str
    title: str = ""
    messages: Messages = ()
    created_at: str = ""
    working_dir: str = ""
    tools_approved: bool = False
    safety_policy: str = ""
    permissions: Permissions | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    streaming: bool = False
    agent: str = ""
    last_event_seq: int = 0
    cost: float = 0.0
    unpriced: bool = False  # whether something of it has no price that anybody knows
    budget: Budget | None = None
    tree_budget: Budget | None = None
    tree_cost: float | None = None
    model: str = ""
    provider: str = ""
    source: str = ""  # the agent file
    state: str = ""
    waits: tuple[Waiting, ...] = ()
    queue: tuple[Queued, ...] = ()
    sub_sessions: tuple[SubSession, ...] = ()
    nested: tuple[SubSession, ...] = ()  # those that messages belong to, also what is over; without their state
    more: bool = False  # whether there are messages before the first of these
    tail_from: int = 0
    starred: bool = False
    marks: tuple[Mark, ...] = ()
    notes: tuple[Remark, ...] = ()  # the newest of what happened between the messages
    team: tuple[Teammate, ...] = ()
    context_limit: int = 0
    model_overrides: dict[str, str] = {}
    turns: int = 0
    error: str = ""  # what ended the last turn
    parent_id: str = ""
    root_id: str = ""
    total_cost: float = 0.0  # with that of its sub-sessions


class State(Part, frozen=True):
    """What a session that has run in this server is doing."""

    id: str
    title: str = ""
    streaming: bool = False
    agent: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    num_messages: int = 0
    budget: Budget | None = None
    tree_budget: Budget | None = None
    tree_cost: float | None = None


# -- the server ---------------------------------------------------------------------------------


class Ready(Part, frozen=True):
    """Whether the server can do its work."""

    ready: bool = False
    active_sessions: int = 0
    store_connected: bool = False
    toolset_health: str = ""
    latest_error: str = ""
    broken_agents: tuple[str, ...] = ()


class AgentRow(Part, frozen=True):
    """An agent file that is served."""

    name: str
    description: str = ""
    multi: bool = False
    commands: tuple[str, ...] = ()


class Count(Part, frozen=True):
    """How many tools an agent has."""

    available_tools: int = 0


class Model(Part, frozen=True):
    """A model that a session can use."""

    name: str = ""
    ref: str = ""
    provider: str = ""
    model: str = ""
    is_default: bool = False
    is_current: bool = False
    is_custom: bool = False
    is_catalog: bool = False
    family: str = ""
    input_cost: float | None = None
    output_cost: float | None = None
    cache_read_cost: float | None = None
    cache_write_cost: float | None = None
    context_limit: int = 0
    output_limit: int = 0
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()


class Models(Part, frozen=True):
    """The models of a session's agent."""

    agent: str = ""
    current_model_ref: str = ""
    models: tuple[Model, ...] = ()


class Depth(Part, frozen=True):
    """How full a queue is."""

    depth: int = 0
    capacity: int = 0


class Queues(Part, frozen=True):
    """How many messages wait in a session."""

    steer: Depth = Depth()
    followup: Depth = Depth()


class Followed(Part, frozen=True):
    """What became of a follow-up; a `duplicate` was there already."""

    status: str = ""
    duplicate: bool = False


class Titled(Part, frozen=True):
    """A session's title."""

    id: str
    title: str = ""


class Problem(Part, frozen=True):
    """An error that ended a turn."""

    message: str = ""
    code: str = ""
    agent_name: str = ""
    created_at: str = ""


class Recovery(Talk, frozen=True):
    """A session, for whoever wants to keep it elsewhere."""

    id: str
    title: str = ""
    messages: Messages = ()
    created_at: str = ""
    errors: tuple[Problem, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    permissions: Permissions | None = None
    tools_approved: bool = False
    working_dir: str = ""


class Exported(Part, frozen=True):
    """Several sessions at once."""

    export_format: str = ""
    session_count: int = 0
    sessions: tuple[Recovery, ...] = ()
    timestamp: str = ""


class Removed(Part, frozen=True):
    """How many sessions are gone, and which are not."""

    deleted_count: int = 0
    failed_count: int = 0
    failed_ids: tuple[str, ...] = ()


class Job(Part, frozen=True):
    """Something that takes long, and how far it is; `total` is 0 where nobody knows."""

    id: str
    what: str = ""  # pull, tools, recover, import, gc …
    title: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    started_at: str = ""
    ended_at: str | None = None
    error: str | None = None
