"""Variables that are not in the environment: Docker's secret files, and the password store."""

import logging
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

FOLDER: Final = Path("/run/secrets")
LARGEST: Final = 64 * 1024  # bytes of a secret
PATIENCE: Final = 5.0  # seconds that the password store has
KEPT: Final = 300.0  # seconds for which an answer counts

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Secrets(Mapping[str, str]):
    """The environment, and behind it `/run/secrets/NAME` and `pass show NAME`.

    What is behind it is found by name alone, and only when it is asked for: a program that gets a copy of the
    environment does not get it.  Names that begin with one of `hidden` are never looked for there.
    """

    def __init__(self, env: Mapping[str, str], *, folder: Path = FOLDER, hidden: tuple[str, ...] = ()) -> None:
        self._env = dict(env)
        self._folder = folder
        self._hidden = hidden
        self._store = Path(env.get("PASSWORD_STORE_DIR") or Path(env.get("HOME") or Path.home(), ".password-store"))
        self._found: dict[str, tuple[float, str | None]] = {}

    def outward(self, hidden: tuple[str, ...]) -> "Secrets":
        """The same without the variables whose names begin so."""
        kept = {name: value for name, value in self._env.items() if not name.startswith(hidden)}
        return Secrets(kept, folder=self._folder, hidden=(*self._hidden, *hidden))

    def also(self, **more: str) -> "Secrets":
        """The same with other variables before all."""
        return Secrets({**self._env, **more}, folder=self._folder, hidden=self._hidden)

    def __getitem__(self, name: str) -> str:
        if name in self._env:
            return self._env[name]
        found = self._behind(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def __len__(self) -> int:
        return len(self._env)

    def _behind(self, name: str) -> str | None:
        if not _NAME.fullmatch(name) or name.startswith(self._hidden):
            return None
        known = self._found.get(name)
        if known is None or known[0] < time.monotonic():
            value = self._file(name)
            value = self._passed(name) if value is None else value
            known = self._found[name] = (time.monotonic() + KEPT, value)
        return known[1]

    def _file(self, name: str) -> str | None:
        try:
            with (self._folder / name).open("rb") as file:
                raw = file.read(LARGEST)
        except OSError:
            return None
        return raw.decode("utf-8", "replace").rstrip("\r\n")

    def _passed(self, name: str) -> str | None:
        """What the password store says.  It is asked only for what it has, so that it is seldom started."""
        if not (self._store / f"{name}.gpg").is_file():
            return None
        program = shutil.which("pass", path=self._env.get("PATH", os.defpath))
        return _ask([program, "show", name], self._env) if program else None


def _ask(command: list[str], env: Mapping[str, str]) -> str | None:
    """The first line that a program prints; it can't ask for a passphrase, and is ended when its time is over."""
    quiet = {**env, "PASSWORD_STORE_GPG_OPTS": "--batch --pinentry-mode=cancel", "GPG_TTY": ""}
    null = subprocess.DEVNULL
    try:
        running = subprocess.Popen(
            command, env=quiet, start_new_session=True, stdin=null, stdout=subprocess.PIPE, stderr=null
        )
    except OSError:
        return None
    with running:
        try:
            out, _ = running.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            out = b""
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    if running.returncode != 0:
        log.warning("pass does not give %s", command[-1], extra={"action": "secret_unread"})
        return None
    lines = out[:LARGEST].decode("utf-8", "replace").splitlines()
    return lines[0] if lines else None
