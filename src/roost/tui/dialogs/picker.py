"""A list to pick from: filtered while one types."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from roost.tui import matching

T = TypeVar("T")

SHOWN = 500  # that are listed at once
AROUND = 6  # lines of the box around the list
SHARE, WIDEST, BESIDE = 0.92, 110, 7  # the box's part of the screen, its most columns, and those beside a line of it


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """One line, or what makes it for so many cells; `words` are what it is found by; where `heading` changes, it
    stands above.
    """

    value: T
    label: Content | Callable[[int], Content]
    words: str
    heading: str = ""


class Picker(ModalScreen["T | None"], Generic[T]):
    """Picks one, or nothing."""

    def __init__(
        self, title: str, items: Sequence[Item[T]], *, keys: str = "", empty: str = "Nothing is here."
    ) -> None:
        super().__init__()
        self.picker_title = title
        self._keys = keys
        self._empty = empty
        self._room = 0  # cells of a line
        self._items = list(items)
        self._found: list[Item[T]] = []
        self._places: list[int] = []  # of each option: its item, -1 for headings

    def compose(self) -> ComposeResult:
        """A line to type into, the list, the keys."""
        with Vertical(id="picker") as box:
            box.border_title = Content(self.picker_title)
            yield Input(placeholder="Type to filter", compact=True, id="filter")
            options = OptionList(id="found", compact=True)
            options.can_focus = False
            yield options
            yield Static(self._empty, id="empty")
            yield Static(Content(f"Enter choose · {self._keys or 'Esc close'}"), id="keys")

    def on_mount(self) -> None:
        """Everything is there at first."""
        self._fit(self.app.size)
        self.list()

    def on_resize(self, event: events.Resize) -> None:
        """Keep inside the screen."""
        room = self._room
        self._fit(event.size)
        if self._room != room:
            self.list(keep=True)

    def _fit(self, size: Size) -> None:
        self._room = min(WIDEST, int(size.width * SHARE)) - BESIDE
        keys = len(self._keys) > self._room
        self.query_one("#found").styles.max_height = max(3, min(24, int(size.height * 0.9) - AROUND - keys))

    def put(self, items: Sequence[Item[T]]) -> None:
        """Other items; what is typed and chosen stays as far as it can."""
        self._items = list(items)
        if self.is_mounted:
            self.list(keep=True)

    @property
    def current(self) -> T | None:
        """What is under the bar."""
        at = self.query_one("#found", OptionList).highlighted
        place = self._places[at] if at is not None and at < len(self._places) else -1
        return self._found[place].value if place >= 0 else None

    def initial(self, value: T) -> bool:
        """Whether the bar begins here."""
        return False

    def find(self, query: str) -> Iterable[Item[T]]:
        """What fits."""
        return matching.rank(query, self._items, lambda item: item.words)

    def list(self, *, keep: bool = False) -> None:
        """Show what fits."""
        box = self.query_one("#found", OptionList)
        before = box.highlighted if keep else None
        query = self.query_one("#filter", Input).value
        self._found = list(self.find(query))[:SHOWN]
        box.clear_options()
        self._places = []
        heading, options, start = "", [], None
        for at, item in enumerate(self._found):
            if not query.strip() and item.heading != heading:
                heading = item.heading
                options.append(Option(Content.styled(heading, "bold $text-muted"), disabled=True))
                self._places.append(-1)
            if start is None or (not query.strip() and self.initial(item.value)):
                start = len(options)
            options.append(Option(item.label(self._room) if callable(item.label) else item.label))
            self._places.append(at)
        box.add_options(options)
        box.highlighted = min(before, len(options) - 1) if before is not None and options else start
        box.display = bool(options)
        self.query_one("#empty").display = not options

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.list()

    @on(Input.Submitted, "#filter")
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if self.current is not None:
            self.pick(self.current)

    @on(OptionList.OptionSelected, "#found")
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        place = self._places[event.option_index]
        if place >= 0:
            self.pick(self._found[place].value)

    def pick(self, value: T) -> None:
        """It was chosen."""
        self.dismiss(value)

    def on_key(self, event: events.Key) -> None:
        """Up and down go through the list while one types."""
        box = self.query_one("#found", OptionList)
        moves: dict[str, Callable[[], None]] = {
            "up": box.action_cursor_up,
            "down": box.action_cursor_down,
            "ctrl+p": box.action_cursor_up,
            "ctrl+n": box.action_cursor_down,
            "pageup": box.action_page_up,
            "pagedown": box.action_page_down,
        }
        if event.key == "escape":
            event.stop()
            self.dismiss(None)
        elif event.key in moves:
            event.stop()
            event.prevent_default()
            moves[event.key]()
