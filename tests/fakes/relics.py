"""What tests have left running: processes that bear the name of a place, and their end."""

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

from roost.keepers.keeper import Stat, processes, send

MARK = "TEST_RUN"
"""The environment variable by which the descendants of a run of the tests are known."""


def found(*names: str) -> dict[int, str]:
    """Processes younger than this one whose arguments or environment hold one of these names."""
    return {stat.pid: line for stat, line in _found(names)}


def end(*names: str, patience: float = 20.0) -> None:
    """Kill them, and wait until they are gone: what goes on without its server by design, too."""
    deadline = time.monotonic() + patience
    while left := _found(names):
        assert time.monotonic() < deadline, f"still there: {left}"
        send([stat for stat, _ in left], signal.SIGKILL)
        time.sleep(0.01)


def _found(names: tuple[str, ...]) -> list[tuple[Stat, str]]:
    stats = processes()
    own = stats.pop(os.getpid())
    whole = re.compile("|".join(re.escape(name) + r"(?![\w.-])" for name in names).encode())
    bearers = []
    for stat in stats.values():
        if stat.started < own.started or stat.gone:
            continue
        with suppress(OSError):
            place = Path(f"/proc/{stat.pid}")
            line = (place / "cmdline").read_bytes()
            if whole.search(line) or whole.search((place / "environ").read_bytes()):
                bearers.append((stat, line.replace(b"\0", b" ").decode(errors="replace").strip()))
    return bearers
