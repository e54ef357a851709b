"""All sessions of the server: open, rename, mark or delete one."""

from collections.abc import Sequence
from functools import partial

from textual import events, work
from textual.content import Content

from roost.client.client import Client
from roost.client.shapes import Row
from roost.core.errors import RoostError
from roost.tui import columns
from roost.tui.ages import ago
from roost.tui.columns import Column
from roost.tui.dialogs.line import Line, Sure
from roost.tui.dialogs.picker import Item, Picker
from roost.tui.widgets.status import money

_MARKS = {
    "running": ("●", "$success"),
    "waiting": ("◆", "$warning"),
    "queued": ("◌", "$secondary"),
    "failed": ("✗", "$error"),
}


class Sessions(Picker[str]):
    """Picks the id of one."""

    def __init__(self, client: Client, rows: Sequence[Row], current: str) -> None:
        self._client = client
        self._rows = list(rows)
        self._current = current
        super().__init__(
            "Sessions",
            self._lines(),
            keys="Ctrl+R rename · Ctrl+S star · Ctrl+D delete",
            empty="No session is like that.",
        )

    def initial(self, value: str) -> bool:
        """The bar begins at the one that is open."""
        return value == self._current

    def on_key(self, event: events.Key) -> None:
        """What can be done to one."""
        deeds = {"ctrl+r": self.rename, "ctrl+s": self.star, "ctrl+d": self.remove_one, "delete": self.remove_one}
        if event.key in deeds and (row := self._row()) is not None:
            event.stop()
            event.prevent_default()
            deeds[event.key](row)

    def _row(self) -> Row | None:
        return next((row for row in self._rows if row.id == self.current), None)

    @work(exclusive=True)
    async def rename(self, row: Row) -> None:
        """Give it another title."""
        title = await self.app.push_screen_wait(Line("Another title", row.title or row.name))
        if title:
            await self._did(self._client.title(row.id, title))

    @work(exclusive=True)
    async def star(self, row: Row) -> None:
        """Mark it, or take the mark away."""
        await self._did(self._client.star(row.id, not row.starred))

    @work(exclusive=True)
    async def remove_one(self, row: Row) -> None:
        """Delete it, if that is meant."""
        if row.id == self._current:
            self.notify("This one is open. Open another one first.", severity="warning")
            return
        words = f"“{named(row)}” and all that was said in it go for good."
        if await self.app.push_screen_wait(Sure("Delete the session?", words, "yes, delete it")):
            await self._did(self._client.delete(row.id))

    async def _did(self, deed: object) -> None:
        """Wait for it, and show the list as it is then."""
        try:
            await deed  # type: ignore[misc]
            self._rows = list(await self._client.list_sessions())
        except RoostError as error:
            self.notify(str(error), severity="error", markup=False)
        else:
            self.put(self._lines())

    def _lines(self) -> list[Item[str]]:
        newest = sorted((row for row in self._rows if self._told(row)), key=_touched, reverse=True)
        rows = sorted(newest, key=lambda row: (not row.starred, not row.waits))
        return [Item(row.id, partial(self._line, row), _words(row), _heading(row)) for row in rows]

    def _told(self, row: Row) -> bool:
        """Whether there is anything in it, or to it."""
        return row.state != "new" or bool(row.title or row.name) or row.id == self._current

    def _line(self, row: Row, room: int) -> Content:
        mark, style = ("◆", "$warning") if row.waits else _MARKS.get(row.state, ("○", "$text-muted"))
        here = row.id == self._current
        who = row.agent or row.provider
        told = [money(row.cost) if row.cost else "", f"{row.waits} waiting" if row.waits else ""]
        age = f"{ago(_touched(row)):>4}  "
        return columns.line(
            [
                Column(named(row), "bold" if here else "$text", width=38, least=16, grows=True),
                Column(who, "$accent", width=12, least=6, rank=1),
                Column("  ".join(part for part in told if part), "$text-muted", width=8, rank=2),
            ],
            room,
            lead=Content.assemble((f"{mark} ", style), (age, "$text-muted")),
        )


def named(row: Row) -> str:
    """What a session is called."""
    return row.title or row.name or row.id[:8]


def _touched(row: Row) -> str:
    return row.updated_at or row.created_at


def _words(row: Row) -> str:
    return " ".join((row.title, row.name, row.agent, row.provider, row.model, row.state, row.id, *row.tags))


def _heading(row: Row) -> str:
    return "Starred" if row.starred else "Waiting for you" if row.waits else "All"
