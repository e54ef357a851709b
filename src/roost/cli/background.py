"""Starts the server of this machine, where none runs: it goes on by itself, and this command goes on with it."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from roost.cli import show
from roost.client import local
from roost.client.blocking import Blocking
from roost.client.errors import Unreachable
from roost.client.server import Server
from roost.core.errors import ServerFailed

IDLE = "10m"  # after which it ends by itself
START_SECONDS = 30.0
_LOOK = 0.02
_LAST_LINES = 5
_SECRETS = ("ROOST_SESSION_ID", "ROOST_CONNECT_TOKEN", "ZAG_CONNECT_TOKEN", "ZAG_SESSION_ID")


class NotStarted(ServerFailed):
    """It ended at once, or never listened; its last words are in the message."""


def start(home: Path, command: Sequence[str] | None = None) -> Server:
    """A server for this home, listening; the one that somebody else has started meanwhile, if that was first.

    Raises:
        NotStarted: it did not come up; the message says why.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(home):
        for found in (local.find(home), Server(local.stopgap(home))):
            # The second is one that another server had taken the place of, and which goes on after that one's end.
            if found and _answers(found):
                return found
        log = home / "logs" / "serve.log"
        log.parent.mkdir(mode=0o700, exist_ok=True)
        show.note(f"starting a server for this machine (its log: {log})")
        before = log.stat().st_size if log.exists() else 0
        return _ready(home, _launch(command or _command(home), log), log, before)


def _command(home: Path) -> list[str]:
    return [sys.executable, "-P", "-m", "roost", "serve", "--listen", local.stopgap(home), "--idle-exit", IDLE]


def _launch(command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    env = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    number = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=number,
            stderr=number,
            start_new_session=True,
            cwd=Path(env.get("HOME") or "/"),
            env=env,
        )
    finally:
        os.close(number)


def _ready(home: Path, child: "subprocess.Popen[bytes]", log: Path, before: int) -> Server:
    """Wait until it says where it listens, and answers there."""
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if (found := local.find(home)) and _answers(found):
            if found.url != local.stopgap(home):
                child.terminate()  # somebody has started one meanwhile: two are one too many
            return found
        if child.poll() is not None:
            raise NotStarted(f"the server for this machine ended at once:\n{_last(log, before)}")
        time.sleep(_LOOK)
    child.terminate()
    raise NotStarted(f"the server for this machine did not listen within {START_SECONDS:g} s; its log is {log}")


def _answers(found: Server) -> bool:
    client = Blocking(found)
    try:
        client.open()
    except Unreachable:
        return False
    finally:
        client.close()
    return True


def _last(log: Path, before: int) -> str:
    said = log.read_bytes()[before:].decode("utf-8", "replace")
    return "\n".join(f"    {line}" for line in said.splitlines()[-_LAST_LINES:])


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two commands at once start one server: the second finds the first one's."""
    (home / "run").mkdir(mode=0o700, exist_ok=True)
    number = os.open(home / "run" / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)
