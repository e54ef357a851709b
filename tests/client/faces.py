"""Both faces of the client, asked the same way: the asynchronous one from a loop in a thread of its own."""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from roost import Client
from roost.client import Blocking
from roost.client.server import Server

Face = Any  # `Blocking`, or what is asked like it
Make = Callable[..., Face]

BOTH = ("blocking", "async")


class Held:
    """A `Client` that is asked as `Blocking` is."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self.client = client
        self._portal = portal

    @property
    def server(self) -> Server:
        return self.client.server

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            found = method(*args, **kwargs)
            return self._each(found) if inspect.isasyncgen(found) else self._portal.call(_whole, found)

        return call

    def close(self) -> None:
        self._portal.call(self.client.aclose)

    def _each(self, found: AsyncGenerator[Any, None]) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._portal.call(anext, found)
                except StopAsyncIteration:
                    return
        finally:
            self._portal.call(found.aclose)


async def _whole(found: Awaitable[Any]) -> Any:
    return await found


@contextmanager
def making(face: str) -> Iterator[Make]:
    """Makes clients of one face, and closes them in the end."""
    made: list[Face] = []
    with start_blocking_portal() as portal:

        def make(*args: Any, **kwargs: Any) -> Face:
            made.append(Blocking(*args, **kwargs) if face == "blocking" else Held(portal, Client(*args, **kwargs)))
            return made[-1]

        try:
            yield make
        finally:
            for one in made:
                one.close()
