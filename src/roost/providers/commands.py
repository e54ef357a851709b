"""What a program prints, within bounds of time and length; nothing of it stays behind."""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from subprocess import DEVNULL

import anyio
from anyio.abc import Process


async def output(
    argv: Sequence[str], *, seconds: float, most: int, env: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """The exit code and what it wrote to stdout.  One that writes more than `most` bytes is ended there.

    Raises:
        OSError: it can't be started.
        TimeoutError: it did not end in time.
    """
    with anyio.fail_after(seconds):
        process = await anyio.open_process(
            list(argv),
            stdin=DEVNULL,
            stderr=DEVNULL,
            env=dict(env) if env is not None else None,
            start_new_session=True,
        )
        try:
            return await _read(process, most)
        finally:
            with anyio.CancelScope(shield=True):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.aclose()


async def _read(process: Process, most: int) -> tuple[int, bytes]:
    assert process.stdout is not None
    said = b""
    async for chunk in process.stdout:
        said += chunk
        if len(said) > most:
            return 0, said
    return await process.wait(), said
