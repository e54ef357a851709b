"""Which chunks resemble a query, and one list out of several."""

import math
from array import array
from collections.abc import Mapping, Sequence
from operator import mul

from msgspec import Struct
from msgspec.structs import replace

from roost.core.bm25 import Index
from roost.tools.rag.shelf import Chunk


class Hit(Struct, frozen=True):
    """A chunk that resembles the query; a larger score is better."""

    path: str
    number: int
    content: str
    score: float


class Words:
    """Chunks, weighed by their words."""

    def __init__(self, chunks: Sequence[Chunk], k1: float, b: float) -> None:
        self._chunks = chunks
        self._index = Index([chunk.content for chunk in chunks], k1=k1, b=b)

    def best(self, query: str, limit: int, threshold: float) -> list[Hit]:
        """The best of them."""
        scores = self._index.scores(query)
        found = [(score, number) for number, score in enumerate(scores) if score > max(threshold, 0.0)]
        return _hits(self._chunks, found, limit)


class Meanings:
    """Chunks, weighed by their vectors; `metric` is cosine, dot or euclidean."""

    def __init__(self, chunks: Sequence[Chunk], metric: str) -> None:
        self._chunks = chunks
        self._metric = metric
        self._vectors = [_unit(chunk.vector) if metric == "cosine" else chunk.vector for chunk in chunks]

    def best(self, query: "array[float]", limit: int, threshold: float) -> list[Hit]:
        """The best of them; vectors of another length resemble nothing."""
        wanted = _unit(query) if self._metric == "cosine" else query
        scores = (
            (_likeness(vector, wanted, self._metric), number)
            for number, vector in enumerate(self._vectors)
            if len(vector) == len(wanted)
        )
        return _hits(self._chunks, [one for one in scores if one[0] >= threshold], limit)


def _hits(chunks: Sequence[Chunk], found: list[tuple[float, int]], limit: int) -> list[Hit]:
    best = sorted(found, key=lambda one: (-one[0], one[1]))[:limit]
    return [Hit(chunks[n].path, chunks[n].number, chunks[n].content, score) for score, n in best]


def _likeness(one: "array[float]", other: "array[float]", metric: str) -> float:
    if metric == "euclidean":
        return 1 / (1 + math.dist(one, other))
    return float(sum(map(mul, one, other)))


def _unit(vector: "array[float]") -> "array[float]":
    length = math.hypot(*vector)
    return array("f", (number / length for number in vector)) if length else vector


class Ranking(Struct, frozen=True):
    """What one strategy found, best first; `absolute` says that its scores lie between 0 and 1."""

    kind: str
    hits: list[Hit]
    absolute: bool


def fuse(rankings: Sequence[Ranking], fusion: str, k: float, weights: Mapping[str, float]) -> list[Hit]:
    """One list, best first.  That of a single strategy stays as it is."""
    if len(rankings) == 1:
        return rankings[0].hits
    scores: dict[tuple[str, str], float] = {}
    first: dict[tuple[str, str], Hit] = {}
    for ranking in rankings:
        top = 1.0 if ranking.absolute else max((hit.score for hit in ranking.hits), default=1.0) or 1.0
        for rank, hit in enumerate(ranking.hits, 1):
            key = (hit.path, hit.content)
            first.setdefault(key, hit)
            match fusion:
                case "weighted":
                    scores[key] = scores.get(key, 0.0) + weights.get(ranking.kind, 1.0) * hit.score / top
                case "max":
                    scores[key] = max(scores.get(key, -math.inf), hit.score / top)
                case _:
                    scores[key] = scores.get(key, 0.0) + 1 / (k + rank)
    fused = [replace(first[key], score=score) for key, score in scores.items()]
    return sorted(fused, key=lambda hit: (-hit.score, hit.path, hit.number))


def deduplicated(hits: Sequence[Hit]) -> list[Hit]:
    """The best of those that say the same."""
    seen: dict[str, Hit] = {}
    for hit in hits:
        seen.setdefault(hit.content, hit)
    return list(seen.values())
