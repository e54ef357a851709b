"""The agents that are served: files, folders, addresses, names in registries, and those that are built in."""

import logging
import os
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread
from msgspec import Struct

from roost.config.bundle import Bundle, complete
from roost.config.pins import Pins
from roost.config.places import Entry, File, Place, place, shown, spellings
from roost.config.references import canonical, is_address, is_external, lasting
from roost.config.remotes import Remotes
from roost.config.yaml import LARGEST
from roost.core.agents import Source, Team
from roost.core.errors import AgentBroken, AgentNotFound, AgentUnreachable, BadValue, RoostError

log = logging.getLogger(__name__)

SETTLED: Final = 100_000_000  # nanoseconds after which a second change shows in a file's time
LISTING: Final = 5.0  # seconds that a list waits for what comes over the network
AT_ONCE: Final = 4  # sources that are fetched anew at a time
SHORTEST: Final = 0.1  # seconds between two looks

Mark = tuple[int, int, int]
"""What tells that a file has changed: time of writing, size, inode."""


class _Loaded(Struct, frozen=True):
    """What became of reading a source: a team with its bytes, or an error.

    `mark` is that of a local file, None where it must be read again in any case; `once` says that it can't be.
    `lasts` is for what is not asked for again until it is refreshed.
    """

    mark: Mark | None = None
    team: Team | None = None
    bundle: Bundle | None = None
    error: RoostError | None = None
    once: bool = False
    lasts: bool = False

    @property
    def outcome(self) -> tuple[str, str]:
        """What a person has to be told of only once."""
        return (self.team.hash if self.team is not None else "", str(self.error or ""))


class Files:
    """Agents from local files, each read anew when it has changed, and from elsewhere, fetched anew when it is time."""

    def __init__(
        self,
        places: Sequence[Place],
        env: Mapping[str, str],
        *,
        folder: Path | None = None,
        aliases: Mapping[str, str] | None = None,
        interval: float = 0.0,
    ) -> None:
        self._places = places
        self._env = env
        self._aliases = aliases or {}
        self._interval = interval  # seconds; 0 is never
        self._remotes = Remotes(folder, env) if folder is not None else None
        self._pins = Pins(folder / "store" / "pins" if folder is not None else None)
        self._loaded: dict[str, _Loaded] = {}

    async def sources(self) -> Sequence[Source]:
        """All of them, sorted by id; those that do not load carry their error.  It does not wait long for any."""
        found: dict[str, Source] = {}

        async def look(source: str, entry: Entry) -> None:
            loaded = None
            with anyio.move_on_after(LISTING):
                loaded = await self._read(source, entry)
            loaded = loaded or self._loaded.get(source) or _Loaded(error=AgentUnreachable("it is still being fetched"))
            found[source] = Source(source, loaded.team, str(loaded.error or ""))

        async with anyio.create_task_group() as tasks:
            for source, entry in self._entries().items():
                tasks.start_soon(look, source, entry)
        return [found[source] for source in sorted(found)]

    async def team(self, source: str, hash: str = "") -> Team:
        """The team behind an id, as it is now; with a `hash`, as it was then, where that is still known."""
        entries = self._entries()
        name = self._named(source, entries)
        if name and hash and (then := await self._pinned(name, hash)) is not None:
            return then
        loaded = await self._read(name, entries[name]) if name else await self._only(source, entries)
        if loaded is None:
            raise AgentNotFound(source, tuple(sorted(entries)))
        if loaded.team is None or loaded.bundle is None:
            error = loaded.error or AgentUnreachable("nothing is known of it")
            raise type(error)(error.message)
        if hash and loaded.team.hash != hash:
            log.warning("%s goes on as it is now: what it was is no longer known", source, extra={"action": "pin_lost"})
        if self._pins.remember(loaded.team):
            await to_thread.run_sync(self._pins.put, loaded.team.source, loaded.team.hash, loaded.bundle)
        return loaded.team

    async def keep(self) -> None:
        """Fetch what comes from elsewhere, and then again each interval, until cancelled."""
        remote = {source: entry for source, entry in self._entries().items() if isinstance(entry, str)}
        async with anyio.create_task_group() as tasks:
            for source, entry in remote.items():
                tasks.start_soon(self._read, source, entry, name=f"first look at {source}")
        while self._interval:
            await anyio.sleep(max(self._interval, SHORTEST))
            try:
                await self.refresh()
            except Exception:  # the next look may do better
                log.exception("agents can't be fetched anew", extra={"action": "refresh_failed"})

    async def refresh(self) -> None:
        """Fetch anew whatever comes from elsewhere; what can't be fetched, or does not load, stays as it was."""
        limit = anyio.CapacityLimiter(AT_ONCE)

        async def renew(source: str, entry: Entry) -> None:
            async with limit:
                known, loaded = self._loaded.get(source), await self._load(source, entry, anew=True)
                if loaded.error is None or known is None or known.team is None:
                    self._settle(source, loaded)
                elif known.outcome != loaded.outcome:
                    log.warning("%s stays as it was: %s", source, loaded.error, extra={"action": "agent_kept"})

        async with anyio.create_task_group() as tasks:
            for source, entry in self._entries().items():
                if isinstance(entry, str) or self._joined(source):
                    tasks.start_soon(renew, source, entry, name=f"refresh of {source}")

    def _joined(self, source: str) -> bool:
        """Whether agents from elsewhere are, or would be, in the team of a local file."""
        known = self._loaded.get(source)
        if known is None or known.once:
            return known is None
        return isinstance(known.error, AgentUnreachable) or bool(known.bundle and known.bundle.others)

    # -- which ----------------------------------------------------------------------------------

    def _entries(self) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for one in self._places:
            for source, entry in one.entries().items():
                found.setdefault(source, entry)
        return found

    def _named(self, source: str, entries: Mapping[str, Entry]) -> str:
        """The id that is meant: as it reads, with or without an ending, else another way to name the same; or ""."""
        for name in spellings(source):
            if name in entries:
                return name
        meant = self._aliases.get(source, source)
        same = [name for name, entry in entries.items() if _same(meant, entry)]
        if is_address(meant) and not same:
            same = [name for name in entries if is_address(name) and lasting(name) == lasting(meant)]
        return same[0] if len(same) == 1 else ""

    async def _only(self, agent: str, entries: Mapping[str, Entry]) -> _Loaded | None:
        """The only source there is, if it has an agent of this name."""
        if len(entries) == 1:
            [(only, entry)] = entries.items()
            loaded = await self._read(only, entry)
            if loaded.team is not None and loaded.team.agent(agent) is not None:
                return loaded
        return None

    async def _pinned(self, source: str, hash: str) -> Team | None:
        if (team := self._pins.team(source, hash)) is not None:
            return team
        bundle = await to_thread.run_sync(self._pins.get, source, hash)
        if bundle is None:
            return None

        async def kept(target: str) -> bytes:
            if target not in bundle.others:
                raise AgentUnreachable(f"{target} was not kept")
            return bundle.others[target]

        try:
            first = await to_thread.run_sync(bundle.first, source, self._env)
            _, team = await complete(bundle, first, kept, self._env)
        except (AgentBroken, AgentUnreachable) as error:
            log.warning("%s can't be as it was: %s", source, error, extra={"action": "pin_broken"})
            return None
        if team.hash != hash:
            return None
        self._pins.remember(team)
        return team

    # -- reading --------------------------------------------------------------------------------

    async def _read(self, source: str, entry: Entry) -> _Loaded:
        known = self._loaded.get(source)
        if known is not None:
            changed = isinstance(entry, Path) and (known.mark is None or known.mark != _mark(entry))
            if known.once or known.lasts or (isinstance(entry, Path) and not changed):
                return known
        loaded = await self._load(source, entry)
        self._settle(source, loaded)
        return loaded

    def _settle(self, source: str, loaded: _Loaded) -> None:
        known = self._loaded.get(source)
        self._loaded[source] = loaded
        if known is None or known.outcome != loaded.outcome:
            _tell(source, loaded)

    async def _load(self, source: str, entry: Entry, *, anew: bool = False) -> _Loaded:
        async def fetch(target: str) -> bytes:
            if self._remotes is None:
                raise AgentUnreachable(f"{target} can't be fetched: there is no folder to keep it in")
            return (await self._remotes.fetch(target, anew=anew)).raw

        first = _Loaded()
        try:
            if isinstance(entry, Path):
                first = await to_thread.run_sync(_file, source, entry, self._env)
            else:
                bundle = Bundle(entry, await fetch(entry), origin=entry)
                team = await to_thread.run_sync(bundle.first, source, self._env)
                first = _Loaded(team=team, bundle=bundle, lasts=True)
            if first.team is None or first.bundle is None:
                return first
            bundle, team = await complete(first.bundle, first.team, fetch, self._env)
        except (AgentBroken, AgentUnreachable) as error:
            return _Loaded(error=error, once=first.once)
        return _Loaded(first.mark, team, bundle, once=first.once, lasts=first.lasts)


def open_agents(
    arguments: Sequence[str],
    *,
    data_dir: str = "",
    env: Mapping[str, str] | None = None,
    pull_interval: float = 0,
    aliases: Mapping[str, str] | None = None,
) -> Files:
    """The agents that a command line names: files, folders, addresses, names in registries, built-in ones, aliases.

    `data_dir` is where copies of remote ones are kept; `env` has their tokens; `pull_interval` is in minutes.

    Raises:
        BadValue: a path does not exist, or the pull interval makes no sense for it.
        NotBuilt: a kind of source that this version does not have.
    """
    places = [place(argument, env or {}, aliases or {}) for argument in arguments]
    if pull_interval and places and all(isinstance(one, File) for one in places):
        raise BadValue("--pull-interval flag can only be used with OCI references, not local files")
    folder = Path(data_dir) if data_dir else None
    return Files(places, env or {}, folder=folder, aliases=aliases, interval=pull_interval * 60)


def _same(reference: str, entry: Entry) -> bool:
    """Whether a reference leads to what an entry leads to."""
    if isinstance(entry, str):
        return canonical(reference) == canonical(entry) if is_external(reference) else False
    return os.sep in reference and "\0" not in reference and Path(reference).expanduser().absolute() == entry


def _mark(path: Path) -> Mark | None:
    """The mark of a file as it is now; None where there is none."""
    try:
        return _mark_of(path.stat())
    except (OSError, ValueError):
        return None


def _mark_of(status: os.stat_result) -> Mark:
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _file(source: str, path: Path, env: Mapping[str, str]) -> _Loaded:
    """Read a file, without the agents of others.

    The mark is taken before, so that a change while reading is seen the next time; a file written a
    moment ago gets none, since a second change may not show in its time, nor does one that names others.
    """
    name = shown(path.name)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return _Loaded(error=AgentBroken(f"{name}: can't be read: {reason}"))
    settled = abs(time.time_ns() - status.st_mtime_ns) > SETTLED
    mark = _mark_of(status) if settled else None
    once = not stat.S_ISREG(status.st_mode)  # a pipe gives what it holds only once
    bundle = Bundle(name, raw, folder=str(path.parent))
    try:
        team = bundle.first(source, env)
    except AgentBroken as error:
        return _Loaded(mark, error=error, once=once)
    return _Loaded(None if team.files else mark, team, bundle, once=once)


def _tell(source: str, loaded: _Loaded) -> None:
    if loaded.error is not None:
        log.warning("agent %s does not load:\n%s", source, loaded.error, extra={"action": "agent_broken"})
    for warning in loaded.team.warnings if loaded.team is not None else ():
        log.warning("%s", warning, extra={"action": "agent_warning", "agent": source})
