"""Agent files that live elsewhere, at addresses and in registries: fetched, remembered, kept for worse times."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from time import monotonic
from typing import Final

import anyio
from anyio import to_thread
from msgspec import Struct

from roost.config import artifact
from roost.config.artifact import Packed
from roost.config.references import Reference, canonical, is_address, parse
from roost.config.registry import Registry
from roost.config.storeroom import Kept, Storeroom
from roost.config.transfer import open_client
from roost.config.web import Pages
from roost.core.errors import AgentBroken, AgentUnreachable, RoostError
from roost.ports import Effort, Progress, Untold

log = logging.getLogger(__name__)

PATIENCE: Final = 30.0  # seconds for all that one file takes
LASTS: Final = 60.0  # seconds in which nobody is asked again
RETRY: Final = 10.0  # seconds in which a failure is remembered
MOST: Final = 200  # files in memory


class Fetched(Struct, frozen=True):
    """A file, and why an older copy of it had to do."""

    raw: bytes
    stale: str = ""


class _Memory(Struct, frozen=True):
    at: float
    fetched: Fetched | None = None
    error: RoostError | None = None

    def lasts(self, now: float) -> bool:
        """Whether it does without asking again."""
        return now - self.at < (RETRY if self.fetched is None or self.fetched.stale else LASTS)


class Remotes:
    """Files by reference.

    `folder` is where they are kept; `env` has the tokens, and the home of `docker login`; `progress` is told of what
    is fetched.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], progress: Progress | None = None) -> None:
        self._env = env
        self._progress = progress or Untold()
        self._room = Storeroom(folder / "store")
        self._pages = Pages(folder / "url_cache", env)
        self._memory: dict[str, _Memory] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def fetch(self, reference: str, *, anew: bool = False) -> Fetched:
        """The file behind a reference; asked for only once by all who want it at a time.

        What can't be fetched is taken from what is kept.  `anew` asks even where somebody just has.

        Raises:
            AgentUnreachable: it can't be fetched, and nothing is kept of it.
            AgentBroken: the reference leads to something that is no agent.
        """
        key, asked = canonical(reference), monotonic()
        async with self._locks.setdefault(key, anyio.Lock()):
            known = self._memory.get(key)
            if known is None or not (known.at >= asked or (not anew and known.lasts(monotonic()))):
                known = await self._ask(reference, key, known)
        if known.fetched is None:
            assert known.error is not None
            raise type(known.error)(known.error.message)
        return known.fetched

    async def pull(self, reference: Reference) -> Kept:
        """What the registry has now, kept from now on.

        Raises:
            AgentUnreachable: it can't be had, even if something is kept.
            AgentBroken: it is no agent.
        """
        kept = await to_thread.run_sync(self._room.find, reference)
        return await self._pulled(reference, kept)

    async def push(self, reference: Reference, packed: Packed) -> str:
        """Hand an agent to a registry; its digest.

        Raises:
            AgentUnreachable: the registry does not take it.
        """
        try:
            with anyio.fail_after(PATIENCE):
                async with open_client(near=reference.local) as client:
                    return await Registry(client, reference, self._env).push(packed)
        except TimeoutError:
            raise AgentUnreachable(f"{reference} can't be pushed: it took more than {PATIENCE:g} s") from None

    async def kept(self) -> list[Kept]:
        """What is kept from registries."""
        return await to_thread.run_sync(lambda: list(self._room.all()))

    async def _ask(self, reference: str, key: str, known: _Memory | None) -> _Memory:
        if len(self._memory) >= MOST:
            self._memory.clear()
        try:
            fetched = await (self._page(reference) if is_address(reference) else self._artifact(reference))
            memory = _Memory(monotonic(), fetched)
            before = known.fetched.stale if known is not None and known.fetched is not None else ""
            if fetched.stale and fetched.stale != before:
                log.warning("an older copy has to do: %s", fetched.stale, extra={"action": "agent_stale"})
        except (AgentUnreachable, AgentBroken) as error:
            memory = _Memory(monotonic(), error=error)
        self._memory[key] = memory
        return memory

    async def _page(self, address: str) -> Fetched:
        kept = await self._pages.kept(address)
        try:
            with self._job(address) as effort, anyio.fail_after(PATIENCE):
                return Fetched((await self._pages.fetch(address, kept, effort.step)).raw)
        except (AgentUnreachable, TimeoutError) as error:
            why = _why(error, address)
            if kept is None:
                raise AgentUnreachable(why) from None
            return Fetched(kept.raw, why)

    async def _artifact(self, text: str) -> Fetched:
        reference = parse(text)
        if reference is None:
            raise AgentBroken(f"{text[:200]!r} is no address, and no name in a registry")
        kept = await to_thread.run_sync(self._room.find, reference)
        try:
            return Fetched((await self._pulled(reference, kept)).raw)
        except (AgentUnreachable, AgentBroken) as error:
            if kept is None:
                raise
            return Fetched(kept.raw, error.message)

    async def _pulled(self, reference: Reference, kept: Kept | None) -> Kept:
        """What the registry has, with as little traffic as that takes: none for a digest that is here."""
        if kept is not None and reference.digest:
            with suppress(OSError):
                await to_thread.run_sync(self._room.hold, reference)
            return kept
        try:
            with self._job(str(reference)) as effort, anyio.fail_after(PATIENCE):
                async with open_client(near=reference.local) as client:
                    registry = Registry(client, reference, self._env)
                    if kept is not None and await registry.digest() == kept.digest:
                        return kept
                    manifest = await registry.manifest()
                    layer = artifact.layer(manifest, str(reference))
                    effort.expect(max(layer.size, 0))
                    raw = await registry.blob(layer.digest, layer.size, effort.step)
        except TimeoutError as error:
            raise AgentUnreachable(_why(error, str(reference))) from None
        try:
            return await to_thread.run_sync(self._room.put, reference, manifest, raw)
        except OSError as error:
            log.warning("%s can't be kept: %s", reference, error, extra={"action": "store_unwritable"})
            return Kept(str(reference), artifact.digest(manifest), raw)

    def _job(self, reference: str) -> AbstractContextManager[Effort]:
        return self._progress.job("pull", reference, unit="bytes")


def _why(error: Exception, reference: str) -> str:
    if isinstance(error, AgentUnreachable):
        return error.message
    return f"{reference} can't be fetched: it took more than {PATIENCE:g} s"
