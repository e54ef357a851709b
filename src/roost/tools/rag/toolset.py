"""The tool of a knowledge base: a query in, the pieces of documents that resemble it out."""

import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import apsw
import msgspec
from msgspec.structs import replace

from roost.core.agents import ToolsetSpec
from roost.core.errors import BadModel, ToolsetFailed
from roost.core.events import IndexingShown
from roost.core.messages import Result
from roost.ports import Embedder, Place, Use
from roost.tools.house import House
from roost.tools.paths import Paths
from roost.tools.rag import documents, shelf
from roost.tools.rag.indexer import Indexer, Stage
from roost.tools.rag.ranking import Hit, Ranking, deduplicated, fuse
from roost.tools.rag.source import Source, Strategy, source
from roost.tools.tool import Kit, Native, Refused, in_thread, reads, schema

CATEGORY = "rag"
PATIENCE = 60.0  # seconds that a query waits for the first look at all files
LONGEST = 4000  # characters of a query
MOST = 100_000  # characters of an answer
_LEAST = 200  # characters of a piece that is cut


@asynccontextmanager
async def open_rag(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """One tool, and the indexes behind it, which sessions share."""
    base = source({**spec.options, **({"name": spec.name} if spec.name and "name" not in spec.options else {})})
    base = replace(base, strategies=tuple(_filled(strategy, house) for strategy in base.strategies))
    paths = _paths(place, house)
    async with AsyncExitStack() as stack:
        indexers = [
            await stack.enter_async_context(_lease(base, strategy, place, house, paths)) for strategy in base.strategies
        ]
        for indexer in indexers:
            stack.callback(_hear(indexer, base, place))
            if place.tell is not None:  # else nobody is going to ask: the tools are counted
                indexer.start()
        knowledge = _Knowledge(base, indexers, paths)
        yield Kit((_tool(base, knowledge),), base.instruction, lambda: any(indexer.busy for indexer in indexers))


def _filled(strategy: Strategy, house: House) -> Strategy:
    """With its placeholders replaced."""
    docs = tuple(house.expand(doc, "docs") for doc in strategy.docs)
    return replace(strategy, docs=docs, database=house.expand(strategy.database, "database"))


def _paths(place: Place, house: House) -> Paths:
    return Paths(os.path.realpath(place.working_dir), house.env, confined=place.confined)


def _tool(base: Source, knowledge: "_Knowledge") -> Native:
    query = {"type": "string", "minLength": 1, "maxLength": LONGEST, "description": "What to look for"}
    return Native(
        base.tool,
        CATEGORY,
        base.description,
        schema(("query",), query=query),
        knowledge.query,
        annotations=reads(base.tool),
    )


@asynccontextmanager
async def _lease(base: Source, strategy: Strategy, place: Place, house: House, paths: Paths) -> AsyncIterator[Indexer]:
    embedder = _embedder(strategy, place, house)
    key = _key(base, strategy, place, paths)
    database = await in_thread(lambda _: _database(strategy, key, house, paths))

    def make() -> Indexer:
        return Indexer(strategy, paths, database, key, respect_vcs=base.respect_vcs, embedder=embedder)

    ranked = msgspec.json.encode(strategy).decode()
    kind = (place.confined, place.team is not None)
    async with house.shared.lease(("rag", str(database), key, ranked, *kind), make) as indexer:
        yield indexer


def _embedder(strategy: Strategy, place: Place, house: House) -> Embedder | None:
    if not strategy.model or place.team is None:
        return None
    if house.models is None:
        raise ToolsetFailed(f"there is no embedding model here for {strategy.model}")
    try:
        return house.models.embedder(place.team, strategy.model)
    except BadModel as error:
        raise ToolsetFailed(f"embedding_model {strategy.model}: {error}") from None


def _key(base: Source, strategy: Strategy, place: Place, paths: Paths) -> str:
    """All on which the chunks depend, as a digest."""
    model = place.team.models.get(strategy.model) if place.team is not None else None
    parts = [
        strategy.kind,
        paths.base if place.confined else "",  # what may be read depends on it
        *(os.path.join(paths.base, doc) for doc in strategy.docs),  # noqa: PTH118  globs are no paths
        base.respect_vcs,
        (strategy.size, strategy.overlap, strategy.words),
        model.ref if model is not None else strategy.model,
        strategy.dimensions,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _database(strategy: Strategy, key: str, house: House, paths: Paths) -> Path:
    """Where the index lies: where the file wants it, else in our own folder.

    There too if it may not lie there, as in a confined session, or if another program's lies there.
    """
    ours = house.home / "rag" / f"{key}.db"
    if not strategy.database:
        return ours
    try:
        wanted = Path(paths.find(strategy.database).real)
    except Refused:
        return ours
    try:
        if wanted.exists():
            shelf.Shelf(wanted, key, now=int(time.time())).close()
    except shelf.NotOurs:
        return ours
    except (OSError, apsw.Error) as error:
        raise ToolsetFailed(f"the database {strategy.database} can't be used: {error}") from None
    return wanted


def _hear(indexer: Indexer, base: Source, place: Place) -> Any:
    """Tell the session of the indexing; what is returned ends that."""
    if place.tell is None:
        return lambda: None
    tell = place.tell

    async def told(stage: Stage, current: int, total: int) -> None:
        await tell(IndexingShown(stage, base.name, indexer.strategy.kind, current, total, place.agent))

    indexer.listeners.add(told)
    return lambda: indexer.listeners.discard(told)


class _Knowledge:
    """The work of the tool."""

    def __init__(self, base: Source, indexers: Sequence[Indexer], paths: Paths) -> None:
        self._base = base
        self._indexers = indexers
        self._paths = paths

    async def query(self, arguments: dict[str, Any], use: Use) -> Result:
        with anyio.move_on_after(PATIENCE):
            for indexer in self._indexers:
                indexer.start()
            for indexer in self._indexers:
                await indexer.first.wait()
        rankings, troubles = await self._ranked(arguments["query"])
        if not rankings:
            raise Refused("; ".join(troubles))
        hits = fuse(rankings, self._base.fusion, self._base.k, self._base.weights)
        if self._base.deduplicate:
            hits = deduplicated(hits)
        shown = await in_thread(lambda _: self._shown(hits))
        notes = [*self._notes(), *troubles]
        return Result(json.dumps(shown, ensure_ascii=False) + "".join(f"\n{note}" for note in dict.fromkeys(notes)))

    async def _ranked(self, query: str) -> tuple[list[Ranking], list[str]]:
        rankings, troubles = [], []
        for indexer in self._indexers:
            try:
                rankings.append(await indexer.search(query))
            except (Refused, apsw.Error) as error:
                troubles.append(f"{indexer.strategy.kind} did not work: {error}")
        return rankings, troubles

    def _notes(self) -> list[str]:
        """What the reader has to know of an index that is not complete."""
        notes = []
        for indexer in self._indexers:
            if not indexer.first.is_set() or indexer.trouble:
                done = f"{indexer.done} of {indexer.total} files are in it"
                why = f"; {indexer.trouble}" if indexer.trouble else ""
                notes.append(f"(the index of {indexer.strategy.kind} is not complete: {done}{why})")
            if indexer.missing:
                notes.append(f"(not found: {', '.join(indexer.missing)})")
        return notes

    def _shown(self, hits: Sequence[Hit]) -> list[dict[str, Any]]:
        if self._base.whole:
            hits = list({hit.path: hit for hit in reversed(hits)}.values())[::-1]
        shown: list[dict[str, Any]] = []
        room = MOST
        for hit in hits[: self._base.limit]:
            content = self._whole(hit) if self._base.whole else hit.content
            if len(content) > max(room, _LEAST):
                content = content[: max(room, _LEAST)] + " [...]"
            room -= len(content)
            entry: dict[str, Any] = {"source_path": self._paths.brief(hit.path), "content": content}
            if self._base.include_score:
                entry["similarity"] = round(hit.score, 6)
            shown.append({**entry, "chunk_index": hit.number})
        return shown

    def _whole(self, hit: Hit) -> str:
        with suppress(Refused, OSError):
            return documents.read(self._paths, hit.path)[1] or hit.content
        return hit.content
