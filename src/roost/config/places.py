"""Where agent files are: one file, a folder of them, or somewhere else."""

import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from roost.config.references import is_address, is_external, parse, source_id
from roost.config.web import reject_login
from roost.core.errors import BadValue, NotBuilt

log = logging.getLogger(__name__)

BUILT_IN: Final[Mapping[str, Path]] = {name: Path(__file__).with_name(f"{name}.yaml") for name in ("default", "coder")}
ENDINGS: Final = (".yaml", ".yml")

Entry = Path | str
"""A file of this machine, or a reference to one that is elsewhere."""


class File:
    """One file, under an id of its own, whether it is there or not."""

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.source = source

    def entries(self) -> Mapping[str, Entry]:
        """The file by its id."""
        return {self.source: self.path}


class Elsewhere:
    """One file at an address, or in a registry."""

    def __init__(self, reference: str, source: str) -> None:
        self.reference = reference
        self.source = source

    def entries(self) -> Mapping[str, Entry]:
        """The reference by its id."""
        return {self.source: self.reference}


class Folder:
    """The agent files directly inside a folder, as they are now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shadowed: set[str] = set()

    def entries(self) -> Mapping[str, Entry]:
        """The files by id; of two with one id, the one with `.yaml` is taken."""
        found: dict[str, Path] = {}
        for path in sorted(self._files(), key=lambda path: (path.suffix.lower() != ".yaml", path.name)):
            if found.setdefault(shown(path.stem), path) != path and path.name not in self._shadowed:
                self._shadowed.add(path.name)
                log.warning(
                    "%s is not served: %s has the same id",
                    path,
                    found[shown(path.stem)].name,
                    extra={"action": "agent_shadowed"},
                )
        return found

    def _files(self) -> list[Path]:
        try:
            with os.scandir(self.path) as entries:
                names = [
                    entry.name
                    for entry in entries
                    if entry.name.lower().endswith(ENDINGS) and entry.name[0] != "." and _is_file(entry)
                ]
        except OSError as error:
            log.warning("%s can't be read: %s", self.path, error.strerror, extra={"action": "agents_unreadable"})
            return []
        return [self.path / name for name in names]


Place = File | Folder | Elsewhere


def place(argument: str, env: Mapping[str, str], aliases: Mapping[str, str]) -> Place:
    """What an argument of a command line names: an alias first, then a built-in agent, then what is there.

    Raises:
        BadValue: it leads nowhere.
        NotBuilt: it is a kind of file that this version does not read.
    """
    argument = aliases.get(argument or "default", argument)
    if not argument:
        raise BadValue("no agent file or folder is named")
    if argument in BUILT_IN:
        return File(BUILT_IN[argument], argument)
    if is_address(argument):
        if trouble := reject_login(argument):
            raise BadValue(f"{argument.rpartition('@')[2]} is not served: {trouble}")
        return Elsewhere(argument, argument)
    path = _path(argument, env)
    if path.is_dir():
        return Folder(path.absolute())
    if path.suffix.lower() == ".hcl":
        raise NotBuilt(f"agent files in HCL are not built yet: {argument}")
    if os.path.lexists(path):
        return File(path.absolute(), shown(path.stem))
    if is_external(argument) and parse(argument) is not None and not argument.lower().endswith(ENDINGS):
        return Elsewhere(argument, source_id(argument))
    raise BadValue(f"no such agent file or folder: {argument}")


def _path(argument: str, env: Mapping[str, str]) -> Path:
    home = env.get("HOME")
    if home and argument.startswith("~/"):
        return Path(home + argument[1:])
    try:
        return Path(argument).expanduser()
    except RuntimeError:  # the home of somebody who is not there
        return Path(argument)


def spellings(source: str) -> list[str]:
    """An id as it was asked for, then without its ending, then with one."""
    stem = next((source[: -len(ending)] for ending in ENDINGS if source.lower().endswith(ending)), "")
    return [source, *([stem] if stem else []), *(source + ending for ending in ENDINGS)]


def shown(name: str) -> str:
    """A file's name as it can be sent: bytes in it that are no UTF-8 become U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")


def _is_file(entry: "os.DirEntry[str]") -> bool:
    """Whether it may hold an agent: a pipe that nobody writes into would be read for ever."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:  # a link that leads to itself or to nothing: an agent that does not load
        return True
