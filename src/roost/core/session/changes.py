"""A table of what facts change: the kind of a fact, and a small function for each."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct

from roost.core import events as e

S = TypeVar("S")
F = TypeVar("F", bound=e.Fact)

Change = Callable[[S, e.Event, F], S]
"""What was, the event, and its fact: what is now."""


class Changes(dict[type[Struct], Change[S, Any]], Generic[S]):
    """What each kind of fact changes in an `S`; a kind stands in it once."""

    def by(self, kind: type[F]) -> Callable[[Change[S, F]], Change[S, F]]:
        """Enter the function that follows, for facts of this kind."""

        def enter(change: Change[S, F]) -> Change[S, F]:
            if kind in self:
                raise ValueError(f"what {kind.__name__} changes has been said already")
            self[kind] = change
            return change

        return enter
