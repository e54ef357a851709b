"""Several models in place of one: by chance, or by what a person has said."""

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from roost.core.agents import ModelSpec
from roost.core.bm25 import Index
from roost.core.usage import Price
from roost.ports import ModelRequest, Piece, Provider


class Alloy:
    """Several models in turn: each request goes to one of them, by chance.

    Without `dice` the words of the request decide, so that what was recorded can be replayed.  `spec` and
    `price` are those of the newest request's model once it is asked, so that its cost is its own.
    """

    def __init__(self, ref: str, members: Sequence[Provider], dice: random.Random | None) -> None:
        self._members = members
        self._dice = dice
        self._spec = ModelSpec(ref, ref, "", "alloy")
        self._now: Provider | None = None

    @property
    def spec(self) -> ModelSpec:
        """That of the member that was asked last; before, the whole list as a name."""
        return self._now.spec if self._now is not None else self._spec

    @property
    def takes_tools(self) -> bool:
        """Whether all do."""
        return all(member.takes_tools for member in self._members)

    @property
    def titles(self) -> bool:
        """Whether all are."""
        return all(member.titles for member in self._members)

    @property
    def context_limit(self) -> int:
        """The smallest window that is known."""
        return _least(self._members)

    @property
    def output_limit(self) -> int:
        """The largest that is known, unless one of them is not."""
        return _most(self._members)

    @property
    def price(self) -> Price | None:
        """What the member costs that was asked last."""
        return (self._now or self._members[0]).price

    def route(self, text: str) -> Provider:
        """One of them, by chance."""
        return self._one(text).route(text)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        """Ask one of them."""
        self._now = self._one(next((m.content for m in reversed(request.messages) if m.role == "user"), ""))
        async with aclosing(self._now.stream(request)) as pieces:
            async for piece in pieces:
                yield piece

    def _one(self, words: str) -> Provider:
        return (self._dice or random.Random(words)).choice(self._members)  # noqa: S311  nothing is guarded by it


class Routed:
    """A model, and others for what resembles their examples.  Whoever does not ask for a route gets the first."""

    def __init__(self, own: Provider, routes: Sequence[tuple[Provider, Sequence[str]]]) -> None:
        self._own = own
        self._all = [own, *(provider for provider, _ in routes)]
        self._whose = [provider for provider, examples in routes for _ in examples]
        self._index = Index([example for _, examples in routes for example in examples])

    @property
    def spec(self) -> ModelSpec:
        """That of the first."""
        return self._own.spec

    @property
    def takes_tools(self) -> bool:
        """Whether all do."""
        return all(provider.takes_tools for provider in self._all)

    @property
    def titles(self) -> bool:
        """Whether the first is."""
        return self._own.titles

    @property
    def context_limit(self) -> int:
        """The smallest window that is known."""
        return _least(self._all)

    @property
    def output_limit(self) -> int:
        """The largest that is known, unless one of them is not."""
        return _most(self._all)

    @property
    def price(self) -> Price | None:
        """What the first costs."""
        return self._own.price

    def route(self, text: str) -> Provider:
        """The one whose example is most like the text; the first where none is."""
        found = self._index.best(text)
        return self._whose[found[0][0]].route(text) if found else self._own.route(text)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        """Ask the first."""
        async with aclosing(self._own.stream(request)) as pieces:
            async for piece in pieces:
                yield piece


def _least(providers: Sequence[Provider]) -> int:
    return min((provider.context_limit for provider in providers if provider.context_limit), default=0)


def _most(providers: Sequence[Provider]) -> int:
    limits = [provider.output_limit for provider in providers]
    return max(limits) if all(limits) else 0
