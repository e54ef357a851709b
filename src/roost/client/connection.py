"""`connect.json`: the server that commands are sent to, until it is forgotten."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

import msgspec

from roost.client.server import Server
from roost.core.errors import BadValue

FILE = "connect.json"


def read(home: Path) -> Server | None:
    """The server that this home is connected to.

    Raises:
        BadValue: the file can't be read.
    """
    path = home / FILE
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadValue(f"{path}: {error.strerror}") from None
    try:
        return msgspec.json.decode(text, type=Server)
    except msgspec.DecodeError as error:
        raise BadValue(f"{path} can't be read ({error}); `roost disconnect` removes it") from None


def write(home: Path, server: Server) -> Path:
    """Keep it, readable by its owner alone."""
    path = home / FILE
    put(path, msgspec.json.format(msgspec.json.encode(server), indent=2) + b"\n")
    return path


def forget(home: Path) -> bool:
    """Whether there was one; now there is none."""
    try:
        (home / FILE).unlink()
    except FileNotFoundError:
        return False
    return True


def put(path: Path, text: bytes) -> None:
    """Write a file of mode 0600 in one step: whoever reads sees the old one or the new one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(text)
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
