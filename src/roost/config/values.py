"""Values of settings: each is read from a flag, a variable or a line of TOML, or refused with a reason."""

import json
import math
import re
from pathlib import Path
from typing import Any, Final

from roost.core import modes


class Secret:
    """A text that prints as stars."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "***" if self._text else ""

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not written down")


class Wrong(Exception):
    """A value that can't be used; the text says what would do."""


def as_text(value: Any) -> str:
    """A text, without blanks around it."""
    if not isinstance(value, str):
        raise Wrong("must be text")
    return value.strip()


def as_secret(value: Any) -> Secret:
    """A text that is never shown."""
    return Secret(as_text(value))


def as_flag(value: Any) -> bool:
    """Yes or no."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off", ""):
        return False
    raise Wrong("must be true or false")


def as_size(value: Any) -> int:
    """A number of bytes."""
    number = as_number(value)
    if number < 1 or not number.is_integer():
        raise Wrong("must be a whole number of bytes, at least 1")
    return int(number)


def as_minutes(value: Any) -> float:
    """A number of minutes."""
    number = as_number(value)
    if number < 0:
        raise Wrong("must not be negative")
    return number


def as_number(value: Any) -> float:
    """A number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Wrong("must be a number")
    try:
        number = float(value)
    except ValueError:
        raise Wrong("must be a number") from None
    if not math.isfinite(number):
        raise Wrong("must be a number")
    return number


_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def as_seconds(value: Any) -> float:
    """Seconds, as a number or as `1m30s`."""
    if isinstance(value, str) and re.fullmatch(rf"({_PIECE.pattern})+", value.strip()):
        return sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(value))
    try:
        return as_minutes(value)
    except Wrong:
        raise Wrong("must be seconds, or a duration such as '1m30s'") from None


def as_path(value: Any) -> Path:
    """A path."""
    text = as_text(value)
    if not text or "\0" in text:
        raise Wrong("must be a path")
    return Path(text).expanduser()


def as_folder(value: Any) -> Path:
    """A folder that is there."""
    path = as_path(value)
    if not path.is_dir():
        raise Wrong("is no folder")
    return path


def as_file(value: Any) -> Path:
    """A file that is there."""
    path = as_path(value)
    if not path.is_file():
        raise Wrong("is no file")
    return path


def as_files(value: Any) -> tuple[Path, ...]:
    """Several files that are there."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise Wrong("must be a list of paths")
    return tuple(as_file(item) for item in items if item != "")


def as_cassette(value: Any) -> Path:
    """A cassette, whose name may lack its ending."""
    path = as_path(value)
    return path if path.suffix == ".yaml" else path.with_name(path.name + ".yaml")


def as_agents(value: Any) -> tuple[str, ...]:
    """Agent files, folders or names."""
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise Wrong("must be an agent file, a folder or a name")
    return tuple(as_text(item) for item in items)


def as_address(value: Any) -> str:
    """`host:port`, `[v6]:port`, `unix://PATH` or `fd://N`."""
    text = as_text(value)
    if (text.startswith("unix://") and len(text) > len("unix://")) or re.fullmatch(r"fd://\d+", text):
        return text
    if text.startswith("npipe://"):
        raise Wrong("named pipes exist on Windows alone")
    host, colon, port = text.rpartition(":")
    plain = re.fullmatch(r"\[[0-9A-Fa-f:.%\w]+\]|[^:\s/]*", host)
    if not colon or plain is None or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise Wrong("must be host:port, unix://PATH or fd://N")
    return text


def as_url(value: Any) -> str:
    """An http(s) address, or none."""
    text = as_text(value)
    if text and not re.fullmatch(r"https?://[^\s/]+\S*", text):
        raise Wrong("must be an http(s) address")
    return text


def as_model(value: Any) -> str:
    """A model, or none."""
    text = as_text(value)
    if text and not re.fullmatch(r"[^\s/]+(/\S+)?", text):
        raise Wrong("must be provider/model")
    return text


def as_sandbox(value: Any) -> str:
    """What sandboxes are made with."""
    word = as_text(value).lower()
    if word not in ("auto", "docker", "bubblewrap", "none"):
        raise Wrong("must be auto, docker, bubblewrap or none")
    return word


def as_table(value: Any) -> dict[str, Any]:
    """A table; outside of the file as JSON."""
    try:
        table = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise Wrong("must be a table; outside of the file a JSON object")
    return table


def as_tables(value: Any) -> dict[str, Any]:
    """Tables by name; outside of the file as JSON."""
    what = "must be a table of tables, as [drivers.NAME]; outside of the file a JSON object of objects"
    try:
        tables = as_table(value)
    except Wrong:
        raise Wrong(what) from None
    if not all(isinstance(table, dict) for table in tables.values()):
        raise Wrong(what)
    return tables


def as_aliases(value: Any) -> dict[str, str]:
    """Agents by short name; outside of the file as JSON."""
    try:
        table = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        table = None
    if not isinstance(table, dict) or not all(isinstance(one, str) and one and name for name, one in table.items()):
        raise Wrong("must be a table of names and agents, as in [aliases]; outside of the file a JSON object of texts")
    return {name: one.strip() for name, one in table.items()}


def as_safety(value: Any) -> str:
    """A safety mode."""
    word = as_text(value).lower()
    if not modes.SAFETY.get(word):
        raise Wrong("must be strict, balanced, restricted or autonomous")
    return modes.SAFETY[word]


def as_resume(value: Any) -> str:
    """What becomes of turns that a crash cut off."""
    word = as_text(value).lower()
    if word not in ("resume", "ask", "fail"):
        raise Wrong("must be resume, ask or fail")
    return word
