"""A tool server that is a program: it is talked with through its stdin and stdout, and ends with its whole tree."""

import logging
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from roost import process
from roost.tools.mcp.frames import Frames, Torn, decoded, encoded, refusal

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

PARTING = 1.0  # seconds that a server has to end by itself once its input is closed
LOGGED = 200  # lines of stderr that come to stand in the log
LINE = 500  # characters of each

log = logging.getLogger(__name__)


class Complaints(process.Output):
    """What a server writes to stderr: a bounded part goes to the log, the end of it into error messages."""

    def __init__(self, label: str) -> None:
        super().__init__(16 * 1024)
        self._label = label
        self._left = LOGGED
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        """Take more of it."""
        super().add(chunk)
        if self._left <= 0:
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self._rest = self._rest[:LINE]
        for line in lines[: self._left]:
            self._say(line[: 4 * LINE].decode(errors="replace")[:LINE])
        self._left -= len(lines)
        if self._left <= 0:
            self._say("[it writes more than is logged]")

    def _say(self, line: str) -> None:
        if line.strip():
            log.info("%s: %s", self._label, line, extra={"action": "mcp_stderr"})

    @property
    def last(self) -> str:
        """The last thing that it said, for an error message."""
        lines = [line.strip() for line in self.text().splitlines() if line.strip()]
        return lines[-1][:300] if lines else ""


@asynccontextmanager
async def talking(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    mark: str,
    label: str,
    ended: Callable[[str, bool], None],
) -> AsyncGenerator["TransportStreams", None]:
    """A running server's messages, both ways; `ended` is told why there will be no more, and whether that was clean.

    Raises:
        OSError: it can't be started.
    """
    complaints = Complaints(label)
    async with process.attached(argv, cwd=cwd, env=env, mark=mark, complaints=complaints) as program:
        into, coming = anyio.create_memory_object_stream[Any](0)
        going, outof = anyio.create_memory_object_stream[Any](0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, program, into, complaints, ended, name=f"output of {label}")
            tasks.start_soon(_write, program, outof, name=f"input of {label}")
            try:
                yield coming, going
            finally:
                with anyio.CancelScope(shield=True):
                    await _part(program)
                tasks.cancel_scope.cancel()
        for end in (into, coming, going, outof):
            end.close()


async def _read(
    program: Process,
    into: MemoryObjectSendStream[Any],
    complaints: Complaints,
    ended: Callable[[str, bool], None],
) -> None:
    assert program.stdout is not None
    frames = Frames()
    async with into:
        while chunk := await program.stdout.read(process.CHUNK):
            for line in frames.feed(chunk):
                message = line if isinstance(line, Torn) else decoded(line)
                if isinstance(message, Torn):
                    log.warning("a message of a tool server can't be used: %s", message.why)
                    if message.fatal:
                        ended(f"it sent a message of which no use can be made: {message.why}", False)
                        return
                    message = refusal(message) if message.id is not None else None
                if message is not None:
                    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                        await into.send(message)
        ended(*await _ending(program, complaints))


async def _ending(program: Process, complaints: Complaints) -> tuple[str, bool]:
    """How it ended, in words, and whether that was clean."""
    with anyio.move_on_after(process.LINGER):
        await program.wait()
    match program.returncode:
        case None:
            said = "it has closed its output"
        case code if code < 0:
            said = f"it was ended by signal {-code}"
        case code:
            said = f"it has ended with exit status {code}"
    return (f"{said}; it said: {complaints.last}" if complaints.last else said), program.returncode == 0


async def _write(program: Process, outof: MemoryObjectReceiveStream[Any]) -> None:
    assert program.stdin is not None
    async with outof:
        async for message in outof:
            with suppress(OSError):  # it has ended: whoever reads its output learns that
                program.stdin.write(encoded(message.message))
                await program.stdin.drain()


async def _part(program: Process) -> None:
    """Close its input, which tells it to end, and give it a moment."""
    assert program.stdin is not None
    program.stdin.close()
    with anyio.move_on_after(PARTING):
        await program.wait()
