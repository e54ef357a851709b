"""Which of many lines are meant by a few letters: those that have them in this order, the closest first."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def rank(query: str, items: Iterable[T], key: Callable[[T], str]) -> list[T]:
    """What fits, the best first; among equals, and where nothing is asked, in the order that they came in."""
    words = query.lower().split()
    if not words:
        return list(items)
    found = [
        (score, at, item) for at, item in enumerate(items) if (score := _score(words, key(item).lower())) is not None
    ]
    return [item for _, _, item in sorted(found, key=lambda one: one[:2])]


def _score(words: list[str], text: str) -> int | None:
    """How far off, 0 for the best; None where a word is not in it at all."""
    total = 0
    for word in words:
        cost = _cost(word, text)
        if cost is None:
            return None
        total += cost
    return total


def _cost(word: str, text: str) -> int | None:
    at = text.find(word)
    if at == 0:
        return 0
    if at > 0:
        return 1 if not text[at - 1].isalnum() else 3 + min(at, 50) // 10
    place, gaps = -1, 0
    for letter in word:
        found = text.find(letter, place + 1)
        if found < 0:
            return None
        gaps += found - place - 1
        place = found
    return 20 + gaps
