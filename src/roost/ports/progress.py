"""What takes long, and how far it is."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Effort(Protocol):
    """Work under way, as whoever does it tells of it.  For the event loop's own thread."""

    def step(self, done: int = 1) -> None:
        """So much more is done."""
        ...

    def expect(self, more: int) -> None:
        """So much more is there to do than was known."""
        ...


class Progress(Protocol):
    """Where work that may take long is told of, so that people see how far it is.  Nothing waits for it."""

    def job(
        self, what: str, title: str, *, total: int = 0, unit: str = "", owner: str = ""
    ) -> AbstractContextManager[Effort]:
        """Work of a kind (pull, tools, recover, import, gc …), under way while the block lasts.

        How it ends, the block tells: an error that leaves it is the job's, too.  `total` is 0 where nobody knows;
        `owner` the account that it is for, "" for the server itself.
        """
        ...


class Untold:
    """Progress that nobody looks at."""

    @contextmanager
    def job(self, what: str, title: str, *, total: int = 0, unit: str = "", owner: str = "") -> Iterator[Effort]:
        """See `Progress`."""
        yield self

    def step(self, done: int = 1) -> None:
        """See `Effort`."""

    def expect(self, more: int) -> None:
        """See `Effort`."""
