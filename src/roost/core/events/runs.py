"""Runs of agent CLIs."""

from typing import Any, Literal

from roost.core.events.base import Base
from roost.core.ids import Micros, RunId
from roost.core.usage import Usage


class RunStarted(Base, frozen=True):
    """A process of an agent CLI has been started.  It outlives the server.

    `pid` is its keeper's; with `started` (clock ticks since boot) and `boot_id` it is known from any
    other process.  `resumed` is the CLI's own session that it goes on with.
    """

    run: RunId
    pid: int
    started: int
    boot_id: str
    provider: str
    model: str = ""
    command: str = ""
    prompt: str = ""  # its first 100 characters
    working_dir: str = ""
    resumed: str = ""
    sandbox: str = ""  # kind and name, `docker:roost-...`
    version: str = ""


class RunRead(Base, frozen=True):
    """The facts before this one, in the same append, are all that the output up to here has to say."""

    run: RunId
    out: int  # bytes of stdout
    err: int  # bytes of stderr


class RunEnded(Base, frozen=True):
    """The process is gone and all of its output is read.  `code` is None where nobody knows it."""

    run: RunId
    code: int | None = None
    signal: int = 0
    killed: bool = False  # by us


class Introduced(Base, frozen=True):
    """A CLI has said who it is: its own session id, with which it can be resumed, its model and its tools."""

    provider_session: str = ""
    model: str = ""
    tools: tuple[str, ...] = ()
    working_dir: str = ""
    data: dict[str, Any] = {}


class StatusShown(Base, frozen=True):
    """Something that a CLI reports about itself."""

    message: str
    data: Any = None


class StderrAdded(Base, frozen=True):
    """Lines that a CLI wrote to stderr."""

    text: str


class LineSkipped(Base, frozen=True):
    """A line of a CLI's output that could not be understood."""

    message: str
    raw: str = ""


class RoundEnded(Base, frozen=True):
    """A CLI is through with one message; `index` counts from 0 within the run."""

    index: int
    reason: str = ""
    usage: Usage | None = None


class RoundResult(Base, frozen=True):
    """What a CLI reports of the round that has just ended."""

    success: bool
    message: str = ""
    duration_ms: int | None = None
    turns: int | None = None


class LimitHit(Base, frozen=True):
    """The provider refuses more work for now.  With `resume_at`, the turn sleeps until then and goes on."""

    incident: str
    provider: str
    scope: Literal["session", "daily", "weekly", "global"] = "session"
    reset_at: Micros | None = None
    resume_at: Micros | None = None
    fallback_used: bool = False
    raw: str = ""


class LimitResumed(Base, frozen=True):
    """The time has come, and the turn goes on with `message`."""

    incident: str
    message: str
    attempt: int


class LimitResumeFailed(Base, frozen=True):
    """The turn could not go on after a limit."""

    incident: str
    error: str
    attempt: int


Facts = (
    RunStarted
    | RunRead
    | RunEnded
    | Introduced
    | StatusShown
    | StderrAdded
    | LineSkipped
    | RoundEnded
    | RoundResult
    | LimitHit
    | LimitResumed
    | LimitResumeFailed
)
