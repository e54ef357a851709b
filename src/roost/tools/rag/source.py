"""A knowledge base as an agent file describes it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from roost.core.errors import ToolsetFailed

BM25 = "bm25"
EMBEDDINGS = "chunked-embeddings"
METRICS: Mapping[str, str] = {
    "cosine": "cosine",
    "cosine_similarity": "cosine",
    "euclidean": "euclidean",
    "euclidean_distance": "euclidean",
    "dot": "dot",
    "dot_product": "dot",
}
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]")

T = TypeVar("T", int, float)


class Strategy(Struct, frozen=True):
    """One way to find what resembles a query."""

    kind: str  # BM25 or EMBEDDINGS
    docs: tuple[str, ...]
    database: str = ""  # "" is one of ours
    size: int = 1500  # characters of a chunk
    overlap: int = 75
    words: bool = True  # whether chunks end between words
    limit: int = 5
    threshold: float = 0.0
    k1: float = 1.5
    b: float = 0.75
    model: str = ""
    dimensions: int = 0  # of a vector; 0 is as many as come
    metric: str = "cosine"
    batch: int = 50  # texts of one request
    requests: int = 3  # at once
    files: int = 3  # at once


class Source(Struct, frozen=True):
    """A knowledge base: what its tool is called, where it looks and what it makes of what it finds."""

    name: str
    tool: str
    description: str
    instruction: str
    strategies: tuple[Strategy, ...]
    respect_vcs: bool = True
    limit: int = 15
    fusion: str = "rrf"  # rrf, weighted or max
    k: float = 60.0
    weights: dict[str, float] = {}  # by kind of strategy
    deduplicate: bool = True
    include_score: bool = False
    whole: bool = False  # the whole file in place of the chunk


def source(options: Mapping[str, Any]) -> Source:
    """The definition, checked.

    Raises:
        ToolsetFailed: it can't be used.
    """
    name = str(options.get("name") or "knowledge")
    tool, results = _table(options, "tool"), _table(options, "results")
    fusion = _table(results, "fusion")
    given = options.get("strategies") or ({"type": BM25},)
    kind = str(fusion.get("strategy") or "rrf").replace("reciprocal_rank_fusion", "rrf")
    if kind not in ("rrf", "weighted", "max"):
        raise ToolsetFailed(f"rag {name}: unknown fusion strategy {kind!r} (there are: rrf, weighted, max)")
    title = str(tool.get("name") or name)
    return Source(
        name=name,
        tool=_NO_NAME.sub("_", title)[:64],
        description=str(tool.get("description") or f"Search in the documents of {title}."),
        instruction=str(tool.get("instruction") or ""),
        strategies=tuple(_strategy(one, options.get("docs") or (), name) for one in given),
        respect_vcs=options.get("respect_vcs") is not False,
        limit=_number(results, "limit", 15, 1, 100, name),
        fusion=kind,
        k=_number(fusion, "k", 60.0, 0.0, 1e6, name),
        weights={str(key): float(value) for key, value in _table(fusion, "weights").items()},
        deduplicate=results.get("deduplicate") is not False,
        include_score=bool(results.get("include_score")),
        whole=bool(results.get("return_full_content")),
    )


def _strategy(given: Mapping[str, Any], docs: Sequence[str], name: str) -> Strategy:
    kind = str(given.get("type") or "")
    what = f"rag {name}: strategy {kind or '(without a type)'}"
    if kind not in (BM25, EMBEDDINGS):
        raise ToolsetFailed(f"{what} is not built (there are: {BM25}, {EMBEDDINGS})")
    chunking = _table(given, "chunking")
    size = _number(chunking, "size", 1500, 1, 100_000, what)
    metric = str(given.get("similarity_metric") or "cosine")
    if metric not in METRICS:
        raise ToolsetFailed(f"{what}: unknown similarity_metric {metric!r} (there are: {', '.join(METRICS)})")
    model = str(given.get("embedding_model") or "")
    if kind == EMBEDDINGS and not model:
        raise ToolsetFailed(f"{what} needs embedding_model")
    return Strategy(
        kind=kind,
        docs=tuple(dict.fromkeys(str(path) for path in (*docs, *(given.get("docs") or ())))),
        database=str(given.get("database") or ""),
        size=size,
        overlap=_number(chunking, "overlap", min(75, size // 2), 0, size - 1, what),
        words=chunking.get("respect_word_boundaries") is not False,
        limit=_number(given, "limit", 5, 1, 1000, what),
        threshold=_number(given, "threshold", 0.5 if kind == EMBEDDINGS else 0.0, -1e9, 1e9, what),
        k1=_number(given, "k1", 1.5, 0.0, 100.0, what),
        b=_number(given, "b", 0.75, 0.0, 1.0, what),
        model=model if kind == EMBEDDINGS else "",
        dimensions=_number(given, "vector_dimensions", 0, 0, 65_536, what),
        metric=METRICS[metric],
        batch=_number(given, "embedding_batch_size", 50, 1, 2048, what),
        requests=_number(given, "max_embedding_concurrency", 3, 1, 64, what),
        files=_number(given, "max_indexing_concurrency", 3, 1, 64, what),
    )


def _table(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = given.get(name)
    return found if isinstance(found, Mapping) else {}


def _number(given: Mapping[str, Any], name: str, usual: T, least: T, most: T, what: str) -> T:
    value = given.get(name)
    if value is None:
        return usual
    try:
        number = type(usual)(value)
    except (TypeError, ValueError):
        raise ToolsetFailed(f"{what}: {name} is no number: {value!r}") from None
    if not least <= number <= most:
        raise ToolsetFailed(f"{what}: {name} must be between {least} and {most}, not {value!r}")
    return number
