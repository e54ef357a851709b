"""What `/api/v1` answers, typed; what a newer server adds is left aside, what an older one lacks is None."""

from typing import Any

from msgspec import Struct


class Shape(Struct, frozen=True, kw_only=True):
    """Part of an answer."""


class Health(Shape, frozen=True):
    """That a server is there."""

    status: str
    version: str = ""


class Login(Shape, frozen=True):
    """A token, and whose it is."""

    token: str
    username: str = ""
    home_dir: str = ""


class Told(Shape, frozen=True):
    """That it was done."""

    message: str = ""
    status: str = ""


class User(Shape, frozen=True):
    """An account."""

    username: str
    home_dir: str = ""
    enabled: bool = True
    created_at: str = ""
    force_sandbox: bool = False


class Tree(Shape, frozen=True):
    """A session and all that it has started, in figures."""

    sessions: int = 0
    running: int = 0
    total_cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0


class Session(Shape, frozen=True):
    """A session as lists show it."""

    session_id: str
    provider: str = ""
    model: str | None = None
    worktree_path: str | None = None
    worktree_name: str | None = None
    created_at: str = ""
    provider_session_id: str | None = None
    sandbox_name: str | None = None
    is_worktree: bool = False
    discovered: bool = False
    log_path: str | None = None
    log_completeness: str | None = None
    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    retried_from: str | None = None
    interactive: bool = False
    owner: str | None = None
    status: str | None = None
    ended_at: str | None = None
    parent_session_id: str | None = None
    waiting_on: tuple[str, ...] = ()
    tree: Tree | None = None


class Spawned(Shape, frozen=True):
    """A session that was started."""

    session_id: str
    pid: int = 0
    log_path: str = ""
    interactive: bool = False


class Status(Shape, frozen=True):
    """How a session is doing."""

    session_id: str
    status: str
    provider: str | None = None
    model: str | None = None
    name: str | None = None
    pid: int | None = None
    error: str | None = None
    last_heartbeat_at: str | None = None
    waiting_on: tuple[str, ...] = ()
    waits: int = 0  # how many things a person is to decide


class Event(Shape, frozen=True):
    """Something that happened in a session; which fields are set depends on `type`."""

    type: str
    seq: int = 0
    ts: str = ""
    provider: str | None = None
    wrapper_session_id: str | None = None
    provider_session_id: str | None = None
    command: str | None = None
    model: str | None = None
    cwd: str | None = None
    resumed: bool = False
    content: Any = None  # text; in unified events a list of blocks
    message: str | None = None
    level: str | None = None
    agent: str | None = None  # who says or does it, where a session has more than the one of its provider
    tool_name: str | None = None
    tool_kind: str | None = None
    tool_id: str | None = None
    description: str | None = None
    granted: bool | None = None
    input: Any = None
    output: Any = None
    success: bool | None = None
    error: Any = None
    result: Any = None
    data: Any = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_cost_usd: float | None = None
    reset_at: str | None = None
    scheduled_resume_at: str | None = None

    @property
    def session(self) -> str:
        """The session it happened in."""
        return self.wrapper_session_id or ""


class Output(Shape, frozen=True):
    """The text that a session ended with."""

    session_id: str
    result: str | None = None


class Collected(Shape, frozen=True):
    """What came of a session so far."""

    session_id: str
    status: str
    name: str | None = None
    provider: str | None = None
    model: str | None = None
    result_text: str | None = None
    error: str | None = None


class WaitResult(Shape, frozen=True):
    """How a session that was waited for ended; `timeout` is the error of one that had not."""

    session_id: str
    success: bool
    error: str | None = None

    @property
    def late(self) -> bool:
        """Whether the time was up first."""
        return not self.success and self.error == "timeout"


class Summary(Shape, frozen=True):
    """A session in figures."""

    session_id: str
    status: str
    name: str | None = None
    provider: str | None = None
    model: str | None = None
    duration_secs: float | None = None
    turns: int = 0
    tool_calls: dict[str, int] = {}
    total_tool_calls: int = 0
    files_modified: tuple[str, ...] = ()
    result: str | None = None
    error: str | None = None
    event_count: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_cost_usd: float | None = None


class Retried(Shape, frozen=True):
    """A session, and the one that tries the same again."""

    original_session_id: str
    new_session_id: str | None = None
    retried: bool = False
    error: str | None = None


class Sent(Shape, frozen=True):
    """A message that one of several sessions was sent."""

    session_id: str
    status: str
    output: Any = None
    error: str | None = None


class AgentOutput(Shape, frozen=True):
    """A run's answer and how it came to it; only `status` where the message was passed on to a live session."""

    status: str | None = None
    agent: str | None = None
    session_id: str | None = None
    result: str | None = None
    is_error: bool = False
    exit_code: int | None = None
    error_message: str | None = None
    queued: bool = False
    interactive: bool | None = None
    output: Any = None


class Process(Shape, frozen=True):
    """A program that ran, or runs, for a session."""

    id: str
    pid: int = 0
    session_id: str | None = None
    provider: str = ""
    model: str | None = None
    command: str = ""
    prompt: str | None = None
    started_at: str = ""
    status: str = ""
    exit_code: int | None = None
    exited_at: str | None = None
    root: str | None = None
    parent_process_id: str | None = None
    parent_session_id: str | None = None
    live_status: str | None = None


class Match(Shape, frozen=True):
    """A place where a text was found."""

    session_id: str
    provider: str | None = None
    started_at: str | None = None
    command: str | None = None
    event: Any = None
    snippet: str = ""


class Found(Shape, frozen=True):
    """What a search came to."""

    status: str = ""
    count: int = 0
    matches: tuple[Match, ...] = ()


class Swept(Shape, frozen=True):
    """What was cleared away, or would be."""

    process_entries_removed: int = 0
    lifecycle_markers_removed: int = 0
    spawn_logs_removed: int = 0
    session_logs_removed: int = 0
    dry_run: bool = True


class Reviewed(Shape, frozen=True):
    """A finished review."""

    status: str = ""
    session_id: str | None = None
    result: str | None = None


class Imported(Shape, frozen=True):
    """How many histories were taken over."""

    imported: int = 0


class Deleted(Shape, frozen=True):
    """A session that is no more."""

    deleted: str


class Feature(Shape, frozen=True):
    """Whether a provider can do something, by itself or by us."""

    supported: bool = False
    native: bool = False


class Capability(Shape, frozen=True):
    """What a provider can do."""

    provider: str
    default_model: str | None = None
    available_models: tuple[str, ...] = ()
    size_mappings: dict[str, str] = {}
    features: dict[str, Feature] = {}
