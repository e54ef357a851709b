"""Tokens and money, added up."""

from msgspec import Struct
from msgspec.structs import astuple


class Usage(Struct, frozen=True, omit_defaults=True):
    """Tokens of one request.  `input` leaves out what came from, or went to, the provider's cache."""

    input: int = 0
    output: int = 0
    cached_input: int = 0
    cached_write: int = 0
    reasoning: int = 0

    @property
    def context(self) -> int:
        """How many tokens the model read: what the next request starts from."""
        return self.input + self.cached_input + self.cached_write


def plus(one: Usage, other: Usage) -> Usage:
    """Both together."""
    return Usage(*(a + b for a, b in zip(astuple(one), astuple(other), strict=True)))


def minus(total: Usage, before: Usage) -> Usage:
    """What a counter that had stood at `before` has grown by; all of `total` where it was set back meanwhile."""
    grown = Usage(*(a - b for a, b in zip(astuple(total), astuple(before), strict=True)))
    return total if min(astuple(grown)) < 0 else grown


class Price(Struct, frozen=True):
    """US dollars per million tokens."""

    input: float
    output: float
    cache_read: float
    cache_write: float


def cost(usage: Usage, price: Price | None) -> float:
    """What a request cost in US dollars; 0 where the price is not known."""
    if price is None:
        return 0.0
    return (
        usage.input * price.input
        + usage.output * price.output
        + usage.cached_input * price.cache_read
        + usage.cached_write * price.cache_write
    ) / 1_000_000
