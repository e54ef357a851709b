"""What changes on a whole server: its sessions' lines of the list, and what waits for a person; apart from the line."""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from roost.client.errors import Garbled
from roost.client.shapes import Row, Waiting


class Changed(Struct, frozen=True):
    """A session is there, or is not as it was."""

    row: Row


class Gone(Struct, frozen=True):
    """A session is no more."""

    session: str


class Asked(Struct, frozen=True):
    """All that waits for a person, the oldest first; it is told anew whenever it changes."""

    waits: tuple[Waiting, ...]


News = Changed | Gone | Asked


class _Item(Struct, frozen=True):
    row: Row | None = None
    gone: str | None = None
    waits: tuple[Waiting, ...] | None = None


_items = msgspec.json.Decoder(list[_Item])


class Board:
    """Tells what is new, of whatever comes over however many lines."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._waits: tuple[Waiting, ...] | None = None

    def listed(self, rows: Iterable[Row]) -> Iterator[News]:
        """What the list says that was not known: it is asked for on each new line."""
        there = {row.id: row for row in rows}
        yield from [self._gone(session) for session in self._rows.keys() - there.keys()]
        for row in there.values():
            yield from self._changed(row)

    def read(self, text: str | bytes) -> Iterator[News]:
        """What a message of the server says that was not known.

        Raises:
            Garbled: it is none.
        """
        try:
            items = _items.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Garbled(f"what the server shows is not understood: {error}") from None
        for item in items:
            if item.row is not None:
                yield from self._changed(item.row)
            if item.gone is not None and item.gone in self._rows:
                yield self._gone(item.gone)
            if item.waits is not None and item.waits != self._waits:
                self._waits = item.waits
                yield Asked(item.waits)

    def _changed(self, row: Row) -> Iterator[News]:
        if self._rows.get(row.id) != row:
            self._rows[row.id] = row
            yield Changed(row)

    def _gone(self, session: str) -> News:
        del self._rows[session]
        return Gone(session)


class Asking:
    """What waits for a person, each once."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()

    def new(self, news: News) -> tuple[Waiting, ...]:
        """What has come to wait."""
        if not isinstance(news, Asked):
            return ()
        before, self._known = self._known, frozenset(one.id for one in news.waits)
        return tuple(one for one in news.waits if one.id not in before)
