"""`connect.json`: the server that commands are sent to, until it is forgotten."""

from pathlib import Path

import msgspec

from roost import private
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
    private.write(path, msgspec.json.format(msgspec.json.encode(server), indent=2) + b"\n")
    return path


def forget(home: Path) -> bool:
    """Whether there was one; now there is none."""
    try:
        (home / FILE).unlink()
    except FileNotFoundError:
        return False
    return True
