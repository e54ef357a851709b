"""`mcp.toml` of the server's home: what `docker:` references stand for, and whether hints of servers are believed."""

import tomllib
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from roost.core.errors import ToolsetFailed

FILE = "mcp.toml"


class Stand(Struct, frozen=True, forbid_unknown_fields=True):
    """What a `docker:` reference stands for: a program, an address, or the gateway with secrets."""

    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    url: str = ""
    transport: Literal["", "streamable", "streamable-http", "sse"] = ""
    headers: dict[str, str] = {}
    secrets: dict[str, str] = {}  # the gateway's name of a secret -> the environment variable that holds it


class Mapped(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    read_only_hints: Literal["trust", "ignore"] = "trust"
    docker: dict[str, Stand] = {}


def load(home: Path) -> Mapped:
    """What the file says; a file that is not there says nothing.

    Raises:
        ToolsetFailed: it can't be read; the message says where.
    """
    path = home / FILE
    try:
        mapped = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Mapped)
    except FileNotFoundError:
        return Mapped()
    except (OSError, UnicodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ToolsetFailed(f"{path}: {error}") from None
    for name, stand in mapped.docker.items():
        if stand.command and stand.url:
            raise ToolsetFailed(f"{path}: [docker.{name}] has both a command and a url; it needs one of them")
    return mapped
