"""Keeps the index of one strategy true to its files, in the background, for all sessions that share it."""

import asyncio
import logging
import math
import threading
import time
from array import array
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

import anyio
import apsw
from anyio import to_thread

from roost.core.errors import ModelFailed, RoostError
from roost.ports import Embedder
from roost.tools.paths import Paths
from roost.tools.rag import documents
from roost.tools.rag.chunks import chunks
from roost.tools.rag.ranking import Meanings, Ranking, Words
from roost.tools.rag.shelf import Known, Shelf
from roost.tools.rag.source import BM25, Strategy
from roost.tools.tool import Refused, in_thread

MOST_CHUNKS = 10_000  # of one file
PAUSE = 0.5  # seconds between two looks at the files, at least
BLIND = 30.0  # seconds between two looks where nothing tells of changes
TROUBLED = 60.0  # seconds until what failed is tried again
LOOK = 600.0  # seconds between two looks though nothing was told
TELLING = 0.3  # seconds between two tellings of progress, at least

Stage = Literal["started", "progress", "completed"]
Tell = Callable[[Stage, int, int], Awaitable[None]]

log = logging.getLogger(__name__)


class Indexer:
    """The index of one strategy.  `first` is set once all files were looked at."""

    def __init__(
        self,
        strategy: Strategy,
        paths: Paths,
        database: Path,
        key: str,
        *,
        respect_vcs: bool,
        embedder: Embedder | None,
    ) -> None:
        self.strategy = strategy
        self.first = anyio.Event()
        self.trouble = ""  # why it is not complete
        self.missing: list[str] = []
        self.done, self.total = 0, 0  # files of the pass under way, or of the last one
        self.listeners: set[Tell] = set()
        self._paths = paths
        self._database = database
        self._key = key
        self._respect_vcs = respect_vcs
        self._embedder = embedder
        self._shelf: Shelf | None = None
        self._changed = anyio.Event()
        self._stop = anyio.Event()  # cancelling a watch alone takes seconds: it waits in a thread
        self._task: asyncio.Task[None] | None = None
        self._passing = False
        self._version, self._ranked = 0, -1
        self._ranker: Words | Meanings | None = None
        self._ranking = anyio.Lock()
        self._told = 0.0
        self._watching = True

    @property
    def busy(self) -> bool:
        """Whether it is at work."""
        return self._passing

    def start(self) -> None:
        """Begin, if that has not happened yet."""
        if self._task is None:
            self._passing = True
            self._task = asyncio.create_task(self._run(), name=f"index {self._database.name}")

    async def close(self) -> None:
        """Stop; what is done so far stays on the disk."""
        self._stop.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._shelf is not None:
            await to_thread.run_sync(self._shelf.close)

    # -- searching ------------------------------------------------------------------------------

    async def search(self, query: str) -> Ranking:
        """What is found in what there is.

        Raises:
            Refused: the index can't be read, or the query not be embedded.
        """
        strategy = self.strategy
        if self._shelf is None:
            raise Refused(self.trouble or "the index is not open yet")
        async with self._ranking:
            if self._ranked != self._version or self._ranker is None:
                version = self._version
                self._ranker = await in_thread(lambda _: self._weighed(self._open()))
                self._ranked = version
            ranker = self._ranker
        if isinstance(ranker, Words):
            words = ranker
            hits = await in_thread(lambda _: words.best(query, strategy.limit, strategy.threshold))
            return Ranking(strategy.kind, hits, absolute=False)
        try:
            vector = (await self._embedded([query]))[0]
        except RoostError as error:
            raise Refused(f"the query can't be embedded: {error}") from None
        hits = await in_thread(lambda _: ranker.best(vector, strategy.limit, strategy.threshold))
        return Ranking(strategy.kind, hits, absolute=strategy.metric != "dot")

    def _weighed(self, shelf: Shelf) -> Words | Meanings:
        strategy = self.strategy
        found = shelf.chunks()
        return Words(found, strategy.k1, strategy.b) if strategy.kind == BM25 else Meanings(found, strategy.metric)

    # -- indexing -------------------------------------------------------------------------------

    async def _run(self) -> None:
        async with anyio.create_task_group() as tasks:
            places = await in_thread(lambda _: documents.watched(self.strategy.docs, self._paths))
            for folders, deep in ((places.deep, True), (places.flat - places.deep, False)):
                if folders:
                    tasks.start_soon(self._watch, sorted(folders), deep, name="watching documents")
            while True:
                self._changed = anyio.Event()
                await self._attempt()
                self.first.set()
                await anyio.sleep(PAUSE)
                blind = self.missing or not self._watching
                with anyio.move_on_after(TROUBLED if self.trouble else BLIND if blind else LOOK):
                    await self._changed.wait()

    async def _attempt(self) -> None:
        """One pass; what goes wrong in it is kept as `trouble`."""
        self._passing = True
        try:
            await self._pass()
            self.trouble = ""
        except Exception as error:  # the edge of a task that nobody waits for
            self.trouble = "; ".join(sorted(_reasons(error)))
            known = not _reasons(error) - _reasons(error, RoostError, Refused, OSError, apsw.Error)
            log.warning(
                "indexing failed: %s",
                self.trouble,
                extra={"action": "rag_index_failed"},
                exc_info=None if known else error,
            )
        finally:
            self._passing = False

    async def _pass(self) -> None:
        """Make the index say what the files say."""
        if self._shelf is None:
            self._shelf = await to_thread.run_sync(self._open)
        shelf = self._shelf
        found = await in_thread(self._find)
        self.missing = found.missing
        known = await to_thread.run_sync(shelf.files)
        gone = known.keys() - found.files.keys()
        if gone:
            await to_thread.run_sync(shelf.drop, gone)
            self._version += 1
        stale = [path for path, stamp in found.files.items() if path not in known or known[path].stamp != stamp]
        if not stale and self.first.is_set():
            return
        self.done, self.total = 0, len(stale)
        await self._tell("started")
        try:
            await self._take(stale, found.files, known, shelf)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                await self._tell("completed")

    def _find(self, stop: threading.Event) -> documents.Found:
        found = documents.find(self.strategy.docs, self._paths, respect_vcs=self._respect_vcs, stop=stop)
        for path in self._own():
            found.files.pop(path, None)
        if found.cut:
            log.warning("only %d files are indexed", documents.MOST, extra={"action": "rag_too_many_files"})
        return found

    async def _take(self, stale: Sequence[str], stamps: dict[str, str], known: dict[str, Known], shelf: Shelf) -> None:
        """Bring these files in, several at a time."""
        paths = iter(stale)
        requests = anyio.CapacityLimiter(self.strategy.requests)

        async def work() -> None:
            for path in paths:
                await self._file(path, stamps[path], known.get(path), shelf, requests)
                self.done += 1
                await self._progress()

        async with anyio.create_task_group() as tasks:
            for _ in range(min(self.strategy.files, len(stale))):
                tasks.start_soon(work, name="indexing a file")

    async def _file(
        self, path: str, stamp: str, known: Known | None, shelf: Shelf, requests: anyio.CapacityLimiter
    ) -> None:
        try:
            digest, text = await in_thread(lambda _: documents.read(self._paths, path))
        except (Refused, OSError):
            return  # gone since, or not ours to read: the next look sees it
        if known is not None and known.digest == digest:
            await to_thread.run_sync(shelf.touch, {path: stamp})
            return
        strategy = self.strategy
        pieces = await in_thread(
            lambda _: list(islice(chunks(text, strategy.size, strategy.overlap, words=strategy.words), MOST_CHUNKS))
        )
        vectors = await self._vectors(pieces, requests) if strategy.model else None
        await to_thread.run_sync(shelf.put, path, Known(stamp, digest), pieces, vectors)
        self._version += 1

    async def _vectors(self, pieces: Sequence[str], requests: anyio.CapacityLimiter) -> "list[array[float]]":
        size = self.strategy.batch
        found: dict[int, list[array[float]]] = {}

        async def embed(start: int) -> None:
            async with requests:
                found[start] = await self._embedded(pieces[start : start + size])

        async with anyio.create_task_group() as tasks:
            for start in range(0, len(pieces), size):
                tasks.start_soon(embed, start, name="embedding")
        return [vector for start in sorted(found) for vector in found[start]]

    async def _embedded(self, texts: Sequence[str]) -> "list[array[float]]":
        """Vectors, checked.

        Raises:
            RoostError: there are none.
        """
        if self._embedder is None:
            raise ModelFailed("there is no embedding model here", kind="client")
        vectors = [array("f", vector) for vector in await self._embedder.embed(texts)]
        wanted = self.strategy.dimensions or (len(vectors[0]) if vectors else 0)
        if len(vectors) != len(texts) or any(len(vector) != wanted or not wanted for vector in vectors):
            sizes = sorted({len(vector) for vector in vectors})
            raise ModelFailed(
                f"{self.strategy.model} gave {len(vectors)} vectors of {sizes} numbers for {len(texts)} texts"
                + (f", not of {wanted}, as vector_dimensions has it" if self.strategy.dimensions else ""),
                kind="client",
            )
        if not all(math.isfinite(sum(vector)) for vector in vectors):
            raise ModelFailed(f"{self.strategy.model} gave a vector that is not finite", kind="client")
        return vectors

    def _open(self) -> Shelf:
        if self._shelf is None:
            return Shelf(self._database, self._key, now=int(time.time()))
        return self._shelf

    # -- watching -------------------------------------------------------------------------------

    async def _watch(self, folders: Sequence[str], deep: bool) -> None:
        # A library in Rust: loaded when there is something to watch.
        import watchfiles

        own = set(self._own())
        files = None if deep else set(await in_thread(self._find_names))
        try:
            async for changes in watchfiles.awatch(
                *folders,
                watch_filter=lambda _, path: path not in own and "/.git/" not in path and (not files or path in files),
                debounce=400,
                step=100,
                recursive=deep,
                yield_on_timeout=True,
                stop_event=self._stop,
                ignore_permission_denied=True,
            ):
                if changes:
                    self._changed.set()
        except (OSError, RuntimeError) as error:  # too many folders for the kernel, or gone since
            self._watching = False
            log.warning("documents can't be watched: %s", error, extra={"action": "rag_watch_failed"})

    def _find_names(self, stop: threading.Event) -> Iterable[str]:
        return documents.find(self.strategy.docs, self._paths, respect_vcs=False, stop=stop).files

    def _own(self) -> list[str]:
        """The files of the index itself, which may lie among the documents."""
        real = str(self._database.resolve())
        return [real + suffix for suffix in ("", "-wal", "-shm", "-journal")]

    # -- telling --------------------------------------------------------------------------------

    async def _progress(self) -> None:
        if time.monotonic() - self._told > TELLING and self.done < self.total:
            await self._tell("progress")

    async def _tell(self, stage: Stage) -> None:
        self._told = time.monotonic()
        for tell in tuple(self.listeners):
            try:
                await tell(stage, self.done, self.total)
            except Exception as error:  # its session has ended, or is another server's: the index is for others, too
                self.listeners.discard(tell)
                log.info("a session hears no more of the index: %s", error, extra={"action": "rag_untold"})


def _reasons(error: Exception, *kinds: type[Exception]) -> set[str]:
    """What went wrong, in one or in several tasks; only errors of these kinds, where there are any."""
    if isinstance(error, ExceptionGroup):
        return {reason for inner in error.exceptions for reason in _reasons(inner, *kinds)}
    return {str(error) or type(error).__name__} if not kinds or isinstance(error, kinds) else set()
