"""The lines that are being typed: Enter sends them."""

from collections.abc import Callable, Mapping
from typing import Protocol

from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widgets import TextArea

from roost.tui import attachments, terminal


class Desk(Protocol):
    """Where the lines are written.  It hears of a key before the next one is looked at: no letter falls in between."""

    def grab(self, key: str) -> bool:
        """Whether the key was for something else that is open."""
        ...

    def enter(self, *, steer: bool) -> None:
        """Send what stands there; `steer` into the middle of what runs."""
        ...

    def recall(self, *, back: bool) -> None:
        """Show something older, or something newer."""
        ...

    def take_back(self) -> None:
        """Backspace, where there is nothing left to take away."""
        ...


class Editor(TextArea):
    """Several lines, with the keys of a shell's prompt."""

    BINDINGS = [
        Binding("ctrl+underscore,ctrl+slash", "undo", "undo", show=False),
        Binding("ctrl+v", "paste_clipboard", "paste", show=False),
        Binding("alt+left", "cursor_word_left", show=False),
        Binding("alt+right", "cursor_word_right", show=False),
    ]

    class ClipboardWanted(Message):
        """What is on this machine's clipboard is wanted."""

    class Dropped(Message):
        """Files were dropped: the pasted text is nothing but their paths."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Pasted(Message):
        """So much text was pasted that it would be in the way here."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, desk: Desk, placeholder: str = "") -> None:
        super().__init__(
            soft_wrap=True, compact=True, highlight_cursor_line=False, placeholder=placeholder, tab_behavior="focus"
        )
        self._desk = desk
        self._own: Mapping[str, Callable[[], bool]] = {
            "enter": self._enter,
            "alt+enter": lambda: self._entered(steer=True),
            terminal.STEER: lambda: self._entered(steer=True),
            "ctrl+s": lambda: self._entered(steer=True),
            "shift+enter": self._newline,
            "ctrl+j": self._newline,
            "up": lambda: self._recall(back=True),
            "down": lambda: self._recall(back=False),
            "backspace": self._backspace,
        }

    async def _on_key(self, event: events.Key) -> None:
        own = self._own.get(event.key)
        if self._desk.grab(event.key) or (own is not None and own()):
            event.stop()
            event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        if attachments.dropped(event.text):
            event.stop()
            event.prevent_default()
            self.post_message(self.Dropped(event.text))
        elif not event.text:  # what a terminal pastes where the clipboard holds a picture
            event.stop()
            event.prevent_default()
            self.post_message(self.ClipboardWanted())
        elif attachments.bulky(event.text) and not self.text.startswith(("!", "/")):
            event.stop()
            event.prevent_default()
            self.post_message(self.Pasted(event.text))

    def action_paste_clipboard(self) -> None:
        """Ask for what is on the clipboard."""
        self.post_message(self.ClipboardWanted())

    def show(self, text: str) -> None:
        """Hold this text, with the cursor at its end."""
        self.load_text(text)
        self.move_cursor(self.document.end)

    @property
    def before(self) -> str:
        """The cursor's row up to the cursor."""
        row, column = self.cursor_location
        return str(self.document.get_line(row))[:column]

    # -- keys -----------------------------------------------------------------------------------

    def _enter(self) -> bool:
        row, column = self.cursor_location
        line = str(self.document.get_line(row))
        if column == len(line) and line.endswith("\\"):  # a line that goes on
            self.replace("\n", (row, column - 1), (row, column))
            return True
        return self._entered(steer=False)

    def _entered(self, *, steer: bool) -> bool:
        self._desk.enter(steer=steer)
        return True

    def _newline(self) -> bool:
        self.replace("\n", *self.selection, maintain_selection_offset=False)
        return True

    def _recall(self, *, back: bool) -> bool:
        """At the first and at the last row the keys lead on, into what was typed before."""
        at = self.wrapped_document.location_to_offset(self.cursor_location).y
        if at != (0 if back else self.wrapped_document.height - 1) or not self.selection.is_empty:
            return False
        self._desk.recall(back=back)
        return True

    def _backspace(self) -> bool:
        if self.text:
            return False
        self._desk.take_back()
        return True
