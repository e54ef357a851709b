"""Who tells whom that something waits: in a dict, and in a SQLite file."""

from typing import Any

import anyio.lowlevel
from apsw import Connection
from msgspec.structs import replace

from roost.core.ids import Micros, WaitId
from roost.ports import Telling
from roost.stores import accounts, queries
from roost.stores.accounts import Access, Book

Q = queries.load("tellings")
KEPT = 24 * 3600 * 1_000_000  # microseconds after which one is forgotten: nobody tells of what has waited so long


class MemoryTellings:
    """`ports.Tellings` over a dict."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def claim(self, wait: WaitId, way: str, *, server: str, at: Micros, until: Micros) -> Telling:
        """See `Tellings.claim`."""
        await anyio.lowlevel.checkpoint()
        known = self._book.tellings
        for key in [key for key, one in known.items() if one.until <= at - KEPT]:
            del known[key]
        found = known.get((wait, way))
        if found is None or (not found.told and (found.server == server or found.until <= at)):
            found = known[wait, way] = Telling(server, until)
        return found

    async def told(self, wait: WaitId, way: str) -> None:
        """See `Tellings.told`."""
        await anyio.lowlevel.checkpoint()
        if found := self._book.tellings.get((wait, way)):
            self._book.tellings[wait, way] = replace(found, told=True)


class SqliteTellings:
    """`ports.Tellings` over a SQLite file."""

    def __init__(self, write: Access) -> None:
        self._write = write

    async def claim(self, wait: WaitId, way: str, *, server: str, at: Micros, until: Micros) -> Telling:
        """See `Tellings.claim`."""

        def claim(db: Connection) -> Telling:
            db.execute(Q["purge"], (at - KEPT,))
            db.execute(Q["claim"], (wait, way, server, at, until))
            ((who, end, told),) = queries.rows(db, Q["find"], (wait, way))
            return Telling(who, Micros(end), bool(told))

        return await accounts.within(self._write, claim)

    async def told(self, wait: WaitId, way: str) -> None:
        """See `Tellings.told`."""
        key: tuple[Any, ...] = (wait, way)

        def told(db: Connection) -> None:
            db.execute(Q["told"], key)

        await accounts.within(self._write, told)
