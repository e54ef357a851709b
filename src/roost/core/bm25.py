"""Which of some texts resemble a query: BM25 over their words, in memory."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

LONGEST = 100_000  # characters of a query that are looked at

_WORD = re.compile(r"[^\W_]+")
_LITTLE = """
    a about above after again against all am an and any are as at be because been before being below between both
    but by can could did do does doing don down during each few for from further had has have having he her here hers
    him his how i if in into is it its just me more most my no nor not now of off on once only or other our out over
    own s same she should so some such t than that the their them then there these they this those through to too
    under until up very was we were what when where which while who whom why will with would you your
"""
_STOP = frozenset(_LITTLE.split())
_DOUBLED = re.compile(r"([^aeioulsz])\1$")
_VOWEL = re.compile(r"[aeiouy]")


class Index:
    """Texts, weighed once.  `k1` is how soon a repeated word stops counting, `b` how much length matters."""

    def __init__(self, documents: Sequence[str], k1: float = 1.5, b: float = 0.75) -> None:
        self._size = len(documents)
        counts = [Counter(terms(document)) for document in documents]
        lengths = [count.total() for count in counts]
        mean = sum(lengths) / len(lengths) if sum(lengths) else 1.0
        places: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            room = k1 * (1 - b + b * length / mean)
            for term, times in count.items():
                places[term].append((number, times * (k1 + 1) / (times + room)))
        self._places = dict(places)

    def __len__(self) -> int:
        return self._size

    def scores(self, query: str) -> list[float]:
        """How well each text fits, in their order; 0.0 where no word is in common."""
        out = [0.0] * self._size
        for term in set(terms(query[:LONGEST])):
            found = self._places.get(term, ())
            rarity = math.log(1 + (self._size - len(found) + 0.5) / (len(found) + 0.5))
            for number, weight in found:
                out[number] += rarity * weight
        return out

    def best(self, query: str, limit: int = 1, *, threshold: float = 0.0) -> list[tuple[int, float]]:
        """The places and scores of the texts above the threshold, best first; of equals, the earlier first."""
        ranked = sorted(enumerate(self.scores(query)), key=lambda found: -found[1])
        return [(number, score) for number, score in ranked if score > threshold][:limit]


def terms(text: str) -> Iterator[str]:
    """The words that say something, in any language, each by its stem: `Deploying` and `deployed` are one."""
    for word in _WORD.findall(text.casefold()):
        if word not in _STOP:
            yield stem(word)


def stem(word: str) -> str:
    """An English word without its endings, roughly; what has none stays as it is."""
    word = _singular(word)
    for ending in ("ing", "ed"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) > 2 and _VOWEL.search(rest):
            return _DOUBLED.sub(r"\1", rest).removesuffix("e")
    if word.endswith("ly") and len(word) > 5:
        word = word[:-2]
    if word.endswith("y") and len(word) > 3 and word[-2] not in "aeiou":
        return word[:-1] + "i"
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes", "zes")) else word[:-1]
