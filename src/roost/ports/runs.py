"""Programs that outlive the server, under keepers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from roost.core.ids import RunId, SessionId


class Input(Struct, frozen=True, omit_defaults=True):
    """A line for the stdin of a program.  One with an id that was written before is not written again."""

    id: str
    line: str = ""  # without its newline; "" writes nothing
    close: bool = False  # the end of the input comes after it
    at: int = 0  # bytes of stdout that had been dealt with when it was written


class Launch(Struct, frozen=True, kw_only=True):
    """A program to start: everything about it, and nothing inherited.

    `env` is the whole environment.  `files` are written into the run's private folder (0600) before
    the start.  `beside` are programs that run along with it, outside of its sandbox (a proxy), are
    started first, and end with it; `after` are run once it has ended (the removal of a container).
    """

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    inputs: tuple[Input, ...] = ()
    files: dict[str, str] = {}
    beside: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()
    sandbox: str = ""  # kind and name, where it is in one
    note: str = ""  # kept with the run, and given back by `Process.note`
    spool: int = 1 << 30  # bytes of output that are kept; a program that writes more is ended


class Exit(Struct, frozen=True, omit_defaults=True):
    """How a program ended.

    `code` is None where its keeper went without a word, and after a signal 128 and its number, as
    shells have it.
    """

    code: int | None = None
    signal: int = 0
    killed: bool = False  # by us
    flooded: bool = False  # it wrote more than the spool takes


class Output(Struct, frozen=True):
    """What a program has written since the last look: whole lines, without their newlines.

    A last line without a newline comes once the program has ended.  `out` and `err` are the offsets
    after these lines.  `cut` is whether a line was longer than 16 MiB and lost its rest.  `exit` is
    there once it has ended and all of its output is in this or an earlier `Output`.
    """

    lines: tuple[bytes, ...]
    errors: tuple[bytes, ...]
    out: int
    err: int
    exit: Exit | None = None
    cut: bool = False


class Process(Protocol):
    """A program that runs under a keeper: it outlives this server, and no line of it is lost."""

    @property
    def pid(self) -> int:
        """The keeper's."""
        ...

    @property
    def started(self) -> int:
        """When the keeper was started, in clock ticks since boot."""
        ...

    @property
    def boot_id(self) -> str:
        """The boot that `started` counts from."""
        ...

    @property
    def note(self) -> str:
        """What its launch noted."""
        ...

    async def read(self, out: int, err: int) -> Output:
        """What stands behind these offsets, at most about a MiB; waits until there is something or it has ended."""
        ...

    def sent(self) -> Sequence[Input]:
        """All that was ever given to its stdin, the launch's own inputs included, in order."""
        ...

    async def send(self, *inputs: Input) -> None:
        """Append to its stdin; those whose id was written before are left out."""
        ...

    async def signal(self, number: int) -> None:
        """Signal the program, its process group and all of its descendants."""
        ...

    async def stop(self, *, grace: float = 5.0) -> None:
        """SIGINT, after `grace` SIGTERM, after that again SIGKILL, to the whole tree; returns when it is gone."""
        ...

    async def clear(self) -> None:
        """Remove its folder, private files included; the output stays as the session's spawn log."""
        ...


class Runs(Protocol):
    """Starts programs under keepers, and finds them again."""

    def folder(self, run: RunId) -> Path:
        """The run's private folder, mode 0700; it need not exist yet."""
        ...

    def spawn_log(self, session: SessionId) -> Path:
        """Where the output of a session's runs can be read as it came."""
        ...

    async def start(self, run: RunId, session: SessionId, launch: Launch) -> Process:
        """Start a program.

        Raises:
            LaunchFailed: it can't be started; the message says why, and nothing is left behind.
        """
        ...

    async def adopt(self, run: RunId, *, pid: int, started: int, boot_id: str) -> Process:
        """A program that an earlier server started, whether it still runs or not: its output is there either way.

        Raises:
            LaunchFailed: nothing is left of it.
        """
        ...

    async def sweep(self, living: Sequence[RunId]) -> int:
        """End and remove what is left of runs that no session knows any more; how many there were."""
        ...
