"""`serve.json`: where commands on this machine find the server that runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from roost import private
from roost.client import local

FILE = "serve.json"


class Beacon(Struct, frozen=True, omit_defaults=True):
    """A server that listens.  A process of the same number that started at another time is none."""

    pid: int
    address: str  # with its scheme
    scheme: str  # https, http or unix
    start_time: int | None = None  # in ticks since the machine started, where the system tells
    fingerprint: str = ""  # the SHA-256 of its certificate
    token: str = ""  # where it is not the one in `serve.toml`; whoever may read one file may read the other

    def __repr__(self) -> str:
        return f"Beacon({self.pid}, {self.address!r})"


@contextmanager
def lit(home: Path, address: str, fingerprint: str, token: str = "") -> Iterator[None]:
    """Keep the file while the block lasts; one that another server has written since is left alone.

    A server that a command has started for want of another leaves that of a server that runs alone, too.
    """
    scheme = address.partition("://")[0]
    pid = os.getpid()
    beacon = Beacon(pid, address, scheme, local.started(pid), fingerprint, "" if token == local.token(home) else token)
    path = home / FILE
    if address != local.stopgap(home) or read(path) is None:
        private.write(path, msgspec.json.format(msgspec.json.encode(beacon), indent=2) + b"\n")
    try:
        yield
    finally:
        with suppress(OSError):
            if read(path) == beacon:
                path.unlink()


def read(path: Path) -> Beacon | None:
    """What the file says, if a server that runs wrote it."""
    try:
        beacon = msgspec.json.decode(path.read_bytes(), type=Beacon)
    except (OSError, msgspec.DecodeError):
        return None
    return beacon if local.alive(beacon.pid, beacon.start_time) else None
