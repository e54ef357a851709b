"""A command of the person's own, run on this machine in the session's folder."""

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from roost import process
from roost.core.errors import BadValue
from roost.tui.attachments import RAN

LONGEST = 100_000  # characters of its output that are kept
SECONDS = 600.0
QUOTED = 20_000  # characters that go along with a message


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of it."""

    command: str
    output: str
    code: int | None
    late: bool = False

    @property
    def text(self) -> str:
        """As it is shown."""
        out = self.output.rstrip("\n")
        ending = (
            f"[it did not end within {SECONDS:g} s]" if self.late else f"[exit code {self.code}]" if self.code else ""
        )
        return "\n".join(part for part in (f"$ {self.command}", out, ending) if part)

    def quoted(self) -> str:
        """As a message has it."""
        text = self.text
        half = QUOTED // 2
        if len(text) > QUOTED:
            text = f"{text[:half]}\n[…]\n{text[-half:]}"
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        return f"{RAN}\n\n{fence}\n{text}\n{fence}"


async def run(command: str, folder: Path, *, show: Callable[[str], None] = lambda text: None) -> Ran:
    """Run it with the person's own shell; `show` is given what it has printed so far, now and then.

    Raises:
        BadValue: it can't be started.
    """
    output = process.Output(LONGEST * 2)

    async def watch() -> None:
        seen = 0
        while True:
            await asyncio.sleep(0.2)
            if output.total != seen:
                seen = output.total
                show(output.text(LONGEST))

    watching = asyncio.create_task(watch())
    try:
        argv = [os.environ.get("SHELL") or "/bin/sh", "-c", command]
        ended = await process.run(
            argv,
            cwd=str(folder),
            env=_environment(),
            mark=process.mark("tui", str(os.getpid())),
            output=output,
            timeout=SECONDS,
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadValue(f"{error.filename or folder} is not on this machine") from None
    except OSError as error:
        raise BadValue(f"the shell can't be started: {error.strerror or error}") from None
    finally:
        watching.cancel()
    return Ran(command, output.text(LONGEST), ended.code, ended.timed_out)


def _environment() -> dict[str, str]:
    """Ours, for a program that is not at a terminal."""
    return {**os.environ, "TERM": "dumb", "PAGER": "cat", "GIT_PAGER": "cat", "NO_COLOR": "1"}
