"""Runs at terminals, as processes: started, found by their record, stopped and killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acceptance.house import Client, House, until

START = 30.0


class Listening(Client):
    """`roost run … --exec --listen` in a process of its own, and a client of it."""

    def __init__(self, house: House, process: subprocess.Popen[bytes], out: Path, errors: Path) -> None:
        super().__init__("")
        self.process = process
        self._house = house
        self._out = out
        self._errors = errors

    @property
    def record(self) -> Path:
        """Where others find it."""
        return self._house.folder / "home" / ".roost" / "runs" / f"{self.process.pid}.json"

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def errors(self) -> str:
        return self._errors.read_text(errors="replace")

    @property
    def session(self) -> str:
        """The session that it shows."""
        return str(self.told()["session_id"])

    def told(self) -> Any:
        """Its record."""
        return json.loads(self.record.read_text())

    def until_listening(self) -> "Listening":
        """Wait for its record."""
        until(lambda: self.record.exists() or self.process.poll() is not None, timeout=START)
        assert self.process.poll() is None, self.errors
        self.address = self.told()["addr"].removeprefix("http://")
        return self

    def signal(self, number: signal.Signals) -> int:
        """Send it a signal, and wait for its end: the exit code."""
        os.kill(self.process.pid, number)
        return self.process.wait(20)


def run(house: House, *words: str, fds: Sequence[int] = ()) -> Listening:
    """Type `roost run WORDS`."""
    number = len(list(house.folder.glob("run-*.out")))
    out, errors = house.folder / f"run-{number}.out", house.folder / f"run-{number}.err"
    with out.open("wb") as first, errors.open("wb") as second:
        process = subprocess.Popen(
            [sys.executable, "-m", "roost", "run", *words],
            cwd=house.folder,
            env=house.env(),
            stdin=subprocess.DEVNULL,
            stdout=first,
            stderr=second,
            pass_fds=fds,
            start_new_session=True,
        )
    return Listening(house, process, out, errors)


def roost(house: House, *words: str, code: int = 0, input: str | None = None) -> str:
    """Type another command: what it prints, and says."""
    done = subprocess.run(
        [sys.executable, "-m", "roost", *words],
        cwd=house.folder,
        env=house.env(),
        input=input or "",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr
