"""Programs for keepers to keep, and ways to look at what becomes of them."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from roost.keepers import keeper
from roost.ports import Exit, Launch, Process

ENV = {"PATH": os.environ["PATH"]}


class Said(NamedTuple):
    """All that a program wrote, and how it ended."""

    out: list[bytes]
    err: list[bytes]
    exit: Exit
    cut: bool


def sh(script: str, **more: Any) -> Launch:
    return Launch(argv=("/bin/sh", "-c", script), **{"cwd": "/", "env": ENV, **more})


def python(code: str, **more: Any) -> Launch:
    return Launch(argv=(sys.executable, "-I", "-S", "-c", code), **{"cwd": "/", "env": ENV, **more})


def flood(spool: int) -> Launch:
    """A program that writes without an end, in few lines: reading them takes longer than writing."""
    return python("while True: print('y' * 65535, flush=True)", spool=spool)


async def said(process: Process, out: int = 0, err: int = 0) -> Said:
    """Everything behind these offsets, to the end."""
    lines: list[bytes] = []
    errors: list[bytes] = []
    cut = False
    with anyio.fail_after(60):
        while True:
            output = await process.read(out, err)
            lines += output.lines
            errors += output.errors
            out, err, cut = output.out, output.err, cut or output.cut
            if output.exit is not None:
                return Said(lines, errors, output.exit, cut)


async def line(process: Process, wanted: bytes) -> int:
    """The offset after a line, once it is there."""
    out = 0
    with anyio.fail_after(20):
        while True:
            output = await process.read(out, 0)
            out = output.out
            if wanted in output.lines:
                return out
            assert output.exit is None, output


async def until(true: Callable[[], object]) -> None:
    with anyio.fail_after(20):
        while not true():
            await anyio.sleep(0.005)


def lives(pid: int) -> bool:
    stat = keeper.stat_of(pid)
    return stat is not None and not stat.gone


def marked(home: Path) -> list[int]:
    """Who lives and belongs to a run of this home."""
    own = f"{home.resolve()}/"
    return [pid for pid, stat in keeper.processes().items() if keeper.mark_of(pid).startswith(own) and not stat.gone]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
