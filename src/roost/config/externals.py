"""References to agents of other files: from a registry, an address, or a file nearby."""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from msgspec import Struct

_ADDRESS = re.compile(r"https?://\S+")
_IMAGE = re.compile(
    r"(oci://)?[a-z0-9][\w.-]*(:\d+)?(/[\w.-]+)+(:\w[\w.-]{0,127})?(@[a-z0-9]+:[0-9a-fA-F]{32,})?", re.IGNORECASE
)
_FILE = re.compile(r"(/|\.{1,2}/|~/)\S*\.ya?ml", re.IGNORECASE)
_NAMED = re.compile(r"([\w-]+):(?!\d+/|//)(\S+)")
_TAG = re.compile(r"(:[\w.-]+)?(@\S+)?$")


class External(Struct, frozen=True):
    """The agent of another file, and the name that it has in this one."""

    name: str
    target: str


def external(text: str) -> External | None:
    """What an entry of `sub_agents` or `handoffs` refers to, if that is no agent of the file."""
    named = _NAMED.fullmatch(text)
    if named and not _ADDRESS.fullmatch(text) and _outside(named[2]):
        return External(named[1], named[2])
    return External(_name(text), text) if _outside(text) else None


def is_file(target: str) -> bool:
    """Whether a target is a file of this machine."""
    return _FILE.fullmatch(target) is not None


def placed(target: str, folder: Path | None) -> str:
    """A target as it can be read from anywhere: files are relative to the folder of the file that names them."""
    if not is_file(target) or folder is None:
        return target
    return str((folder / Path(target).expanduser()).absolute())


def _outside(text: str) -> bool:
    return any(form.fullmatch(text) for form in (_ADDRESS, _IMAGE, _FILE))


def _name(target: str) -> str:
    """The last part of a target, without tag, digest or ending."""
    if _ADDRESS.fullmatch(target):
        target = unquote(urlsplit(target).path).rstrip("/") or urlsplit(target).netloc
    last = target.rpartition("/")[2]
    stem = PurePosixPath(last).stem if last.lower().endswith((".yaml", ".yml")) else _TAG.sub("", last)
    return stem or last
