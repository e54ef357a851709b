"""Whether a server was well a moment ago, so that not every command has to ask."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from roost import private
from roost.client import requests
from roost.client.blocking import Blocking
from roost.client.errors import Unreachable

FILE = "health.json"
FRESH = 30.0
LIMIT = 2.0  # seconds for an answer


def check(client: Blocking, home: Path, *, clock: Callable[[], float] = time.time) -> None:
    """Ask, unless this very server was well within the last half minute.

    Raises:
        ServerFailed: it is not well.  It is not forgotten for that.
    """
    path, url = home / FILE, client.server.url
    known = _read(path)
    if 0 <= clock() - known.get(url, 0.0) < FRESH:
        return
    try:
        client.ask(requests.health(), timeout=LIMIT)
    except Unreachable:
        if known.pop(url, None) is not None:
            _write(path, known)
        raise
    _write(path, {**{url: at for url, at in known.items() if clock() - at < FRESH}, url: clock()})


def forget(home: Path) -> None:
    """Forget what is known."""
    (home / FILE).unlink(missing_ok=True)


def _read(path: Path) -> dict[str, float]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    except (OSError, msgspec.DecodeError):
        return {}


def _write(path: Path, known: dict[str, float]) -> None:
    with suppress(OSError):  # a home that can't be written costs a question each time, no more
        private.write(path, msgspec.json.encode(known))
