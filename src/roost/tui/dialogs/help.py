"""The keys, and the commands."""

import textwrap

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from roost.tui.slash import OWN

SHARE, WIDEST, AROUND = 0.92, 110, 5  # the box's part of the screen, its most columns, and those that are no text
KEY, LEAST = 32, 34  # cells of the keys, and what their meaning needs beside them

KEYS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Writing",
        (
            ("Enter", "send; while it works: say it next"),
            ("Alt+Enter, Ctrl+S", "steer: say it into what runs"),
            ("Shift+Enter, Ctrl+J, \\ Enter", "a new line"),
            ("Up, Down", "what was typed before; first what still waits"),
            ("Ctrl+R", "find what was typed before"),
            ("/   @   !", "commands, files, a shell command"),
            ("Ctrl+V", "paste, pictures too"),
            ("Ctrl+_", "undo"),
        ),
    ),
    (
        "While it works",
        (
            ("Esc Esc", "stop it"),
            ("Ctrl+C", "clear what is typed; twice: leave"),
            ("Ctrl+Z", "back to the shell, `fg` returns"),
        ),
    ),
    (
        "What waits for you",
        (
            ("Tab, Shift+Tab", "to it, and to the next one"),
            ("y", "yes, this once"),
            ("s", "yes to all tools in this session"),
            ("t", "always: calls like this one (the pattern is shown)"),
            ("n, r", "no; no, and why"),
            ("Ctrl+S", "send a form"),
            ("Esc", "back to the prompt; it goes on waiting"),
        ),
    ),
    (
        "The conversation",
        (
            ("PgUp, PgDn", "scroll"),
            ("Ctrl+Home, Ctrl+End", "to its beginning, to its end"),
            ("Ctrl+F", "find in it"),
            ("Ctrl+G", "go through it: arrows, Enter opens, y copies; Esc comes back"),
            ("Ctrl+G r", "show or hide what tools return"),
            ("Ctrl+G Backspace", "take back a message that waits"),
        ),
    ),
    (
        "Everywhere",
        (
            ("Ctrl+P", "everything that can be asked for"),
            ("Ctrl+O", "sessions"),
            ("Ctrl+L", "models"),
            ("Ctrl+T", "sub-agents"),
            ("F1", "this page"),
        ),
    ),
)


class Help(ModalScreen[None]):
    """One page."""

    def compose(self) -> ComposeResult:
        """Keys above, commands below."""
        with Vertical(id="help") as box:
            box.border_title = "Help"
            with VerticalScroll(id="page"):
                yield Static(id="words")
            yield Static("Esc close", id="keys")

    def on_mount(self) -> None:
        """Arrows scroll."""
        self.query_one("#page").focus()

    def on_resize(self, event: events.Resize) -> None:
        """In as many columns as there is room for."""
        self.query_one("#words", Static).update(page(min(WIDEST, int(event.size.width * SHARE)) - AROUND))

    def on_key(self, event: events.Key) -> None:
        """Any of these closes it."""
        if event.key in ("escape", "f1", "q", "enter"):
            event.stop()
            self.dismiss(None)


def page(room: int) -> Content:
    """All of it, in lines of so many cells."""
    lines: list[Content] = []
    for heading, keys in KEYS:
        lines.append(Content.styled(heading, "bold $primary"))
        for key, words in keys:
            lines += _entry(key, words, room)
        lines.append(Content(""))
    lines.append(Content.styled("Commands", "bold $primary"))
    for own in OWN:
        lines += _entry(f"/{own.name} {own.argument}".rstrip(), own.description, room)
    lines += _entry("/…", "the agent's own commands are offered beside these when you type /", room)
    return Content("\n").join(lines)


def _entry(key: str, words: str, room: int) -> list[Content]:
    """A key and what it does: beside each other, or below where there is no room."""
    beside = room >= KEY + LEAST
    indent = KEY if beside else 4
    said = textwrap.wrap(words, max(LEAST // 2, room - indent)) or [""]
    first = Content.assemble((f"  {key}".ljust(KEY), "$accent"), (said.pop(0) if beside else "", "$text"))
    return [first, *(Content.assemble(" " * indent, (line, "$text")) for line in said)]
