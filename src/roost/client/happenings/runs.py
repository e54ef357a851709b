"""What happens with agent CLIs, and what they report."""

from typing import Any

from roost.client.happenings.base import Base
from roost.client.shapes import Used


class RunStarted(Base, frozen=True, tag="run_started"):
    """An agent CLI has been started."""

    run_id: str = ""
    prompt: str = ""
    resumed: str = ""
    provider: str = ""
    pid: int = 0
    model: str = ""
    command: str = ""
    working_dir: str = ""
    sandbox: str = ""
    version: str = ""


class RunEnded(Base, frozen=True, tag="run_ended"):
    """It is gone."""

    run_id: str = ""
    exit_code: int | None = None
    signal: int = 0
    killed: bool = False


class Introduced(Base, frozen=True, tag="introduced"):
    """It has said who it is."""

    provider_session: str = ""
    model: str = ""
    working_dir: str = ""
    tools: tuple[str, ...] = ()


class StatusShown(Base, frozen=True, tag="status_shown"):
    """Something that it reports about itself."""

    message: str = ""
    data: Any = None


class StderrAdded(Base, frozen=True, tag="stderr_added"):
    """Lines that it wrote to stderr."""

    text: str = ""


class LimitResumed(Base, frozen=True, tag="limit_resumed"):
    """A usage limit has passed, and the work goes on."""

    message: str = ""
    attempt: int = 0


class LineSkipped(Base, frozen=True, tag="line_skipped"):
    """A line of its output that makes no sense."""

    message: str = ""


class Note(Base, frozen=True, tag="note"):
    """A client, or the agent itself, has put a note into the log."""

    level: str = ""
    message: str = ""
    data: Any = None


class RoundEnded(Base, frozen=True, tag="round_ended"):
    """It is through with one message."""

    index: int = 0
    reason: str = ""
    usage: Used | None = None


class RoundResult(Base, frozen=True, tag="round_result"):
    """What it reports of the message that it is through with."""

    success: bool = False
    message: str = ""
    duration_ms: int | None = None
    turns: int | None = None


class WorktreeMade(Base, frozen=True, tag="worktree_made"):
    """The session works in a git worktree of its own."""

    name: str = ""
    path: str = ""
    repository: str = ""


class WorktreeLeft(Base, frozen=True, tag="worktree_left"):
    """The worktree was removed, or kept because there is work in it."""

    path: str = ""
    removed: bool = False


Runs = (
    RunStarted
    | RunEnded
    | Introduced
    | StatusShown
    | StderrAdded
    | LimitResumed
    | LineSkipped
    | Note
    | RoundEnded
    | RoundResult
    | WorktreeMade
    | WorktreeLeft
)
