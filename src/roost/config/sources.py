"""The agents that are served: files, folders, addresses, names in registries, and those that are built in."""

import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from roost.config.bundle import Bundle, complete
from roost.config.pins import Pins
from roost.config.places import Entry, File, Place, place, spellings
from roost.config.powers import powers
from roost.config.reading import Reading, mark, of_file
from roost.config.references import canonical, is_address, is_external, lasting
from roost.config.remotes import Remotes
from roost.core.agents import Source, Team
from roost.core.errors import AgentBroken, AgentNotFound, AgentUnreachable, BadValue
from roost.ports import Progress

log = logging.getLogger(__name__)

LISTING: Final = 5.0  # seconds that a list waits for what comes over the network
MENDING: Final = 30.0  # seconds between two tries at what could not be fetched
AT_ONCE: Final = 4  # sources that are fetched anew at a time
SHORTEST: Final = 0.1  # seconds between two looks


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
        progress: Progress | None = None,
    ) -> None:
        self._places = places
        self._env = env
        self._aliases = aliases or {}
        self._interval = interval  # seconds; 0 is never
        self._remotes = Remotes(folder, env, progress) if folder is not None else None
        self._pins = Pins(folder / "store" / "pins" if folder is not None else None)
        self._loaded: dict[str, Reading] = {}
        self._troubles: dict[str, str] = {}  # why a source could not be refreshed

    async def sources(self) -> Sequence[Source]:
        """All of them, sorted by id; those that do not load carry their error.  It does not wait long for any."""
        found: dict[str, Source] = {}

        async def look(source: str, entry: Entry) -> None:
            loaded = self._loaded.get(source)
            if loaded is None or not loaded.away or (isinstance(entry, Path) and loaded.mark != mark(entry)):
                with anyio.move_on_after(LISTING):
                    loaded = await self._read(source, entry)
            loaded = loaded or Reading(error=AgentUnreachable("it is still being fetched"))
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
        """Fetch what comes from elsewhere, again each interval, and what could not be had every now and then."""
        await self._mend()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_repeat, self._mend, MENDING, name="agents that could not be fetched")
            if self._interval:
                tasks.start_soon(_repeat, self.refresh, max(self._interval, SHORTEST), name="refresh of agents")

    async def _mend(self) -> None:
        """Look at what comes from elsewhere and is not here yet."""
        async with anyio.create_task_group() as tasks:
            for source, entry in self._entries().items():
                known = self._loaded.get(source)
                if (isinstance(entry, str) and known is None) or (known is not None and known.away):
                    tasks.start_soon(self._read, source, entry, name=f"look at {source}")

    async def refresh(self) -> None:
        """Fetch anew whatever comes from elsewhere; what can't be fetched, or does not load, stays as it was."""
        limit = anyio.CapacityLimiter(AT_ONCE)

        async def renew(source: str, entry: Entry) -> None:
            async with limit:
                known, loaded = self._loaded.get(source), await self._load(source, entry, anew=True)
                if loaded.error is None or known is None or known.team is None:
                    self._troubles.pop(source, None)
                    self._settle(source, loaded)
                elif self._troubles.get(source) != str(loaded.error):
                    self._troubles[source] = str(loaded.error)
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
        return known.team is None or bool(known.bundle and known.bundle.others)

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

    async def _only(self, agent: str, entries: Mapping[str, Entry]) -> Reading | None:
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

    async def _read(self, source: str, entry: Entry) -> Reading:
        known = self._loaded.get(source)
        if known is not None:
            same = isinstance(entry, Path) and known.mark is not None and known.mark == mark(entry)
            if known.once or known.lasts or (same and not known.away):
                return known
        loaded = await self._load(source, entry)
        self._settle(source, loaded)
        return loaded

    def _settle(self, source: str, loaded: Reading) -> None:
        known = self._loaded.get(source)
        self._loaded[source] = loaded
        if known is None or known.outcome != loaded.outcome:
            loaded.tell(source)

    async def _load(self, source: str, entry: Entry, *, anew: bool = False) -> Reading:
        async def fetch(target: str) -> bytes:
            if self._remotes is None:
                raise AgentUnreachable(f"{target} can't be fetched: there is no folder to keep it in")
            return (await self._remotes.fetch(target, anew=anew)).raw

        first = Reading()
        try:
            if isinstance(entry, Path):
                first = await to_thread.run_sync(of_file, source, entry, self._env)
            else:
                bundle = Bundle(entry, await fetch(entry), origin=entry)
                team = await to_thread.run_sync(bundle.first, source, self._env)
                first = Reading(team=team, bundle=bundle, lasts=True)
            if first.team is None or first.bundle is None:
                return first
            bundle, team = await complete(first.bundle, first.team, fetch, self._env)
            told = await to_thread.run_sync(_powers, source, bundle, first.team, team)
        except (AgentBroken, AgentUnreachable) as error:
            seen = first.mark if isinstance(error, AgentUnreachable) else None
            return Reading(seen, error=error, once=first.once)
        return Reading(first.mark, team, bundle, once=first.once, lasts=first.lasts, powers=told)


def open_agents(
    arguments: Sequence[str],
    *,
    data_dir: str = "",
    env: Mapping[str, str] | None = None,
    pull_interval: float = 0,
    aliases: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Files:
    """The agents that a command line names: files, folders, addresses, names in registries, built-in ones, aliases.

    `data_dir` is where copies of remote ones are kept; `env` has their tokens; `pull_interval` is in minutes.
    `progress` is told of what is fetched.

    Raises:
        BadValue: a path does not exist, or the pull interval makes no sense for it.
        NotBuilt: a kind of source that this version does not have.
    """
    places = [place(argument, env or {}, aliases or {}) for argument in arguments]
    if pull_interval and places and all(isinstance(one, File) for one in places):
        raise BadValue("--pull-interval flag can only be used with OCI references, not local files")
    folder = Path(data_dir) if data_dir else None
    return Files(places, env or {}, folder=folder, aliases=aliases, interval=pull_interval * 60, progress=progress)


def _powers(source: str, bundle: Bundle, own: Team, team: Team) -> str:
    """What of a team comes from elsewhere, and may do unasked."""
    known = () if bundle.origin else {agent.name for agent in own.agents}
    foreign = [agent for agent in team.agents if agent.name not in known]
    raw = [*([bundle.raw] if bundle.origin else []), *bundle.others.values()]
    return powers(source, team, foreign, raw, whole=bool(bundle.origin)) if raw else ""


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await anyio.sleep(seconds)
        try:
            await work()
        except Exception:  # the next time may do better
            log.exception("agents can't be fetched anew", extra={"action": "refresh_failed"})


def _same(reference: str, entry: Entry) -> bool:
    """Whether a reference leads to what an entry leads to."""
    if isinstance(entry, str):
        return canonical(reference) == canonical(entry) if is_external(reference) else False
    return os.sep in reference and Path(reference).absolute() == entry
