"""The agent files that are served: a file, a folder of files, or the built-in agent."""

import logging
import os
import re
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from anyio import to_thread
from msgspec import Struct

from roost.config.agentfile import load
from roost.config.yaml import LARGEST
from roost.core.agents import Source, Team
from roost.core.errors import AgentBroken, AgentNotFound, BadValue, NotBuilt
from roost.ports import Agents

log = logging.getLogger(__name__)

BUILT_IN: Final[Mapping[str, Path]] = {"default": Path(__file__).with_name("default.yaml")}
ENDINGS: Final = (".yaml", ".yml")
SETTLED: Final = 100_000_000  # nanoseconds after which a second change shows in a file's time

_REGISTRY = re.compile(r"[a-z0-9][\w.-]*(:\d+)?(/[\w.-]+)*(:[\w.-]+)?(@sha256:[0-9a-f]{64})?")

Mark = tuple[int, int, int]
"""What tells that a file has changed: time of writing, size, inode."""


class _Loaded(Struct, frozen=True):
    """What became of reading a file: a team or an error, and the file's mark then.

    `mark` is None where the file must be read again in any case; `once` says that it can't be.
    """

    mark: Mark | None
    team: Team | None = None
    error: str = ""
    once: bool = False

    @property
    def outcome(self) -> tuple[str, str]:
        """What a person has to be told of only once."""
        return (self.team.hash if self.team is not None else "", self.error)


class Files:
    """Agents from local files, each read anew when it has changed."""

    def __init__(self, places: Sequence["_File | _Folder"], env: Mapping[str, str]) -> None:
        self._places = places
        self._env = env
        self._loaded: dict[str, _Loaded] = {}

    async def sources(self) -> Sequence[Source]:
        """All of them, sorted by id; those that do not load carry their error."""
        found = []
        for source, path in sorted(self._paths().items()):
            loaded = await self._read(source, path)
            found.append(Source(source, loaded.team, loaded.error))
        return found

    async def team(self, source: str) -> Team:
        """The team behind an id, as its file is now."""
        paths = self._paths()
        for name in _spellings(source):
            if name in paths:
                return _whole(await self._read(name, paths[name]))
        if len(paths) == 1:
            [(only, path)] = paths.items()
            loaded = await self._read(only, path)
            if loaded.team is not None and loaded.team.agent(source) is not None:
                return loaded.team
        raise AgentNotFound(source, tuple(sorted(paths)))

    def _paths(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for place in self._places:
            for source, path in place.paths().items():
                found.setdefault(source, path)
        return found

    async def _read(self, source: str, path: Path) -> _Loaded:
        known = self._loaded.get(source)
        if known is not None and (known.once or (known.mark is not None and known.mark == _mark(path))):
            return known
        loaded = await to_thread.run_sync(_load, source, path, self._env)
        self._loaded[source] = loaded
        if known is None or known.outcome != loaded.outcome:
            _tell(source, path, loaded)
        return loaded


class _File:
    """One file, under an id of its own."""

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.source = source

    def paths(self) -> dict[str, Path]:
        """The file, whether it is there or not."""
        return {self.source: self.path}


class _Folder:
    """The agent files directly inside a folder, as they are now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shadowed: set[str] = set()

    def paths(self) -> dict[str, Path]:
        """The files by id; of two with one id, the one with `.yaml` is taken."""
        found: dict[str, Path] = {}
        for path in sorted(self._files(), key=lambda path: (path.suffix.lower() != ".yaml", path.name)):
            if found.setdefault(_text(path.stem), path) != path and path.name not in self._shadowed:
                self._shadowed.add(path.name)
                log.warning(
                    "%s is not served: %s has the same id",
                    path,
                    found[_text(path.stem)].name,
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


def _is_file(entry: "os.DirEntry[str]") -> bool:
    """Whether it may hold an agent: a pipe that nobody writes into would be read for ever."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:  # a link that leads to itself or to nothing: an agent that does not load
        return True


def open_agents(
    arguments: Sequence[str], *, data_dir: str = "", env: Mapping[str, str] | None = None, pull_interval: float = 0
) -> Agents:
    """The agents that a command line names: files, folders, `default`.

    `data_dir` and `env` are for remote sources (their cache and their tokens).

    Raises:
        BadValue: a path does not exist, or the pull interval makes no sense for it.
        NotBuilt: a kind of source that this version does not have.
    """
    places = [_place(argument, env or {}) for argument in arguments]
    if pull_interval and any(isinstance(place, _File) for place in places):
        raise BadValue("--pull-interval flag can only be used with OCI references, not local files")
    return Files(places, env or {})


def _place(argument: str, env: Mapping[str, str]) -> _File | _Folder:
    if not argument:
        raise BadValue("no agent file or folder is named")
    if argument in BUILT_IN:
        return _File(BUILT_IN[argument], argument)
    if re.match(r"https?://", argument):
        raise NotBuilt(f"agents from an address are not built yet: {argument}")
    home = env.get("HOME")
    path = Path(home + argument[1:]) if home and argument.startswith("~/") else Path(argument).expanduser()
    if path.is_dir():
        return _Folder(path.absolute())
    if path.suffix.lower() == ".hcl":
        raise NotBuilt(f"agent files in HCL are not built yet: {argument}")
    if os.path.lexists(path):
        return _File(path.absolute(), _text(path.stem))
    if argument.startswith((".", "/", "~")) or argument.lower().endswith(ENDINGS) or not _REGISTRY.fullmatch(argument):
        raise BadValue(f"no such agent file or folder: {argument}")
    raise NotBuilt(f"no such agent file or folder, and agents from a registry are not built yet: {argument}")


def _spellings(source: str) -> list[str]:
    """An id as it was asked for, then without its ending, then with one."""
    stem = next((source[: -len(ending)] for ending in ENDINGS if source.lower().endswith(ending)), "")
    return [source, *([stem] if stem else []), *(source + ending for ending in ENDINGS)]


def _whole(loaded: _Loaded) -> Team:
    if loaded.team is None:
        raise AgentBroken(loaded.error)
    return loaded.team


def _mark(path: Path) -> Mark | None:
    """The mark of a file as it is now; None where there is none."""
    try:
        return _mark_of(path.stat())
    except (OSError, ValueError):
        return None


def _mark_of(status: os.stat_result) -> Mark:
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _load(source: str, path: Path, env: Mapping[str, str]) -> _Loaded:
    """Read a file.

    The mark is taken before, so that a change while reading is seen the next time; a file written a
    moment ago gets none, since a second change may not show in its time, nor does one that names others.
    """
    name = _text(path.name)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return _Loaded(None, error=f"{name}: can't be read: {reason}")
    settled = abs(time.time_ns() - status.st_mtime_ns) > SETTLED
    mark = _mark_of(status) if settled else None
    once = not stat.S_ISREG(status.st_mode)  # a pipe gives what it holds only once
    try:
        team = load(source, raw, name=name, env=env, folder=path.parent)
        return _Loaded(None if team.files else mark, team, once=once)
    except AgentBroken as error:
        return _Loaded(mark, error=error.message, once=once)


def _text(name: str) -> str:
    """A file's name as it can be sent: bytes in it that are no UTF-8 become U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")


def _tell(source: str, path: Path, loaded: _Loaded) -> None:
    if loaded.error:
        log.warning("agent %s does not load:\n%s", source, loaded.error, extra={"action": "agent_broken"})
    for warning in loaded.team.warnings if loaded.team is not None else ():
        log.warning("%s", warning, extra={"action": "agent_warning", "agent": source, "path": str(path)})
