"""What `/api/v1` answers with: sessions, processes, and the rest, field for field."""

from pathlib import Path
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from roost.core.ids import SessionId
from roost.core.session import Head
from roost.doors.zag.times import moment
from roost.ports import RunRecord

Maybe = str | UnsetType


class TreeEntry(Struct):
    """A session and all that it has started, in numbers."""

    sessions: int
    running: int
    total_cost_usd: float
    input_tokens: int
    output_tokens: int


class SessionEntry(Struct):
    """A session in a list."""

    session_id: SessionId
    provider: str
    model: str
    worktree_path: str
    worktree_name: str
    created_at: str
    provider_session_id: str | None
    sandbox_name: str | None
    is_worktree: bool
    discovered: bool
    discovery_source: str | None
    log_path: str | None
    log_completeness: str
    name: str | None
    description: str | None
    tags: tuple[str, ...]
    status: str
    dependencies: tuple[str, ...] | UnsetType = UNSET
    retried_from: Maybe = UNSET
    interactive: bool | UnsetType = UNSET
    owner: Maybe = UNSET
    ended_at: Maybe = UNSET
    parent_session_id: Maybe = UNSET
    waiting_on: tuple[str, ...] | UnsetType = UNSET
    tree: TreeEntry | UnsetType = UNSET


def session_entry(head: Head, *, status: str, log: Path, waiting_on: tuple[str, ...] = ()) -> SessionEntry:
    """A session as list, show and update give it."""
    sandbox = head.sandbox.partition(":")[2]
    return SessionEntry(
        session_id=head.id,
        provider=head.provider or head.source,
        model=head.model,
        worktree_path=head.worktree_path or head.working_dir,
        worktree_name=head.worktree or sandbox,
        created_at=moment(head.created_at),
        provider_session_id=head.provider_session or None,
        sandbox_name=sandbox or None,
        is_worktree=bool(head.worktree),
        discovered=False,
        discovery_source=None,
        log_path=str(log),
        log_completeness="full",
        name=head.name or None,
        description=head.description or None,
        tags=head.tags,
        status=status,
        dependencies=head.depends_on or UNSET,
        retried_from=head.retried_from or UNSET,
        interactive=head.interactive or UNSET,
        owner=head.owner or UNSET,
        ended_at=_ended(head),
        parent_session_id=head.parent or UNSET,
        waiting_on=waiting_on or UNSET,
    )


def _ended(head: Head) -> Maybe:
    return moment(head.ended_at) if head.ended_at and head.turn is None else UNSET


class ProcessEntry(Struct):
    """A run of an agent CLI."""

    id: str
    pid: int
    session_id: str
    provider: str
    model: str
    command: str
    prompt: str | None
    started_at: str
    status: str
    exit_code: int | None
    exited_at: str | None
    root: str | None
    parent_process_id: str | None
    parent_session_id: str | None
    live_status: str


def process_entry(record: RunRecord, *, status: str, live: str) -> ProcessEntry:
    """A run as `processes` gives it."""
    started, ended = record.fact, record.ended
    return ProcessEntry(
        id=record.id,
        pid=started.pid,
        session_id=record.session,
        provider=started.provider,
        model=started.model,
        command=started.command,
        prompt=started.prompt or None,
        started_at=moment(record.started_at),
        status=status,
        exit_code=ended.code if ended else None,
        exited_at=moment(record.ended_at) if record.ended_at is not None else None,
        root=started.working_dir or None,
        parent_process_id=None,
        parent_session_id=record.parent or None,
        live_status=live,
    )


class Spawned(Struct):
    """The answer to a spawn."""

    session_id: str
    pid: int
    log_path: str
    interactive: bool


class Status(Struct):
    """How a session is."""

    session_id: str
    status: str
    provider: str
    model: str
    name: Maybe = UNSET
    pid: int | UnsetType = UNSET
    error: Maybe = UNSET
    last_heartbeat_at: Maybe = UNSET
    waiting_on: tuple[str, ...] | UnsetType = UNSET
    waits: int | UnsetType = UNSET


class Done(Struct):
    """What was done, in a word."""

    status: str


class Message(Struct):
    """What was done, in a sentence."""

    message: str


class Output(Struct):
    """A session's result."""

    session_id: str
    result: str


class Waited(Struct):
    """How a session that was waited for has ended."""

    session_id: str
    success: bool
    error: str | None


class Collected(Struct):
    """A session with what it has come to."""

    session_id: str
    provider: str
    model: str
    status: str
    name: Maybe = UNSET
    result_text: Maybe = UNSET
    result: Maybe = UNSET  # the same, under the name that one SDK looks for
    error: Maybe = UNSET


class User(Struct):
    """An account, as whoever runs the server sees it."""

    username: str
    home_dir: str
    enabled: bool
    created_at: str
    force_sandbox: bool


class LoggedIn(Struct):
    """The answer to a login."""

    token: str
    username: str
    home_dir: str


def features(known: Any) -> dict[str, Any]:
    """The features of a CLI, those fields left out that say nothing."""
    shown: dict[str, Any] = {}
    for name, feature in known.items():
        extra = {"completeness": feature.completeness, "semantics": feature.semantics}
        extra = {key: value for key, value in extra.items() if value is not None}
        shown[name] = {"supported": feature.supported, "native": feature.native, **extra}
    return shown
