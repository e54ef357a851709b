"""A card: one thing that waits for a person, docked above the prompt until it is answered."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from roost.tui.choices import Choice
from roost.tui.parts import Wait

SHARE = 0.65  # of the screen's height that a card may take
FRAME = 7  # lines of a card around what it shows
GUARD = 0.4  # seconds in which a card that came by itself takes no answer: what is typed then was meant for the prompt


class Card(Vertical):
    """What all of them share: a title, a line that says what is wrong, and the answer on its way."""

    class Answered(Message):
        """The person has answered; `fields` are as the server takes them."""

        def __init__(self, card: "Card", **fields: Any) -> None:
            super().__init__()
            self.card = card
            self.fields = fields

    class Left(Message):
        """The person goes elsewhere: 1 to the next card, -1 to the one before, 0 back to the prompt."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self, wait: Wait) -> None:
        super().__init__(id=f"wait-{wait.id}")
        self.wait = wait
        self._guarded = 0.0

    def title(self) -> str:
        """What it is about."""
        return ""

    def on_mount(self) -> None:
        """Say whose it is."""
        who = f" · {self.wait.agent}" if self.wait.agent else ""
        self.border_title = Content(f"{self.title()}{who}")
        self.fit(self.app.size.height)

    def fit(self, height: int) -> None:
        """Leave the conversation its part of a screen of this height."""
        for shown in self.query(".exhibit"):
            shown.styles.max_height = max(3, int(height * SHARE) - FRAME)

    def guard(self) -> None:
        """It came by itself: take no answer for a moment."""
        self._guarded = time.monotonic() + GUARD

    @property
    def guarded(self) -> bool:
        """Whether that moment lasts."""
        return time.monotonic() < self._guarded

    def begin(self) -> None:
        """Take the focus."""
        self.focus()

    def answer(self, **fields: Any) -> None:
        """Send it off, once."""
        if not self.guarded:
            self.disabled = True
            self.post_message(self.Answered(self, **fields))

    def refuse(self, why: str) -> None:
        """The server did not take it: say why, and let it be answered again."""
        self.disabled = False
        self.complain(why)
        self.begin()

    def complain(self, why: str) -> None:
        """Say what is wrong."""
        for line in self.query(".wrong").results(Static):
            line.update(Content(why))
            line.display = bool(why)

    def key_escape(self, event: events.Key) -> None:
        """Back to the prompt; it stays open."""
        event.stop()
        self.post_message(self.Left(0))


class Choices(Widget, can_focus=True):
    """A row of choices, each with its key; arrows and Enter do as well.

    `chosen` is told of one before the next key is looked at, and that key is for whatever has the focus then.
    """

    def __init__(self, choices: Sequence[Choice], chosen: Callable[[Choice], None]) -> None:
        super().__init__()
        self.choices = tuple(choices)
        self._chosen = chosen
        self._at = 0

    def render(self) -> Content:
        """All of them, as many in a line as fit."""
        lines = [Content(" ").join(self._one(at, text) for at, text in line) for line in self._lines(self.size.width)]
        return Content("\n").join(lines)

    def get_content_height(self, container: Any, viewport: Any, width: int) -> int:
        """As many lines as that takes."""
        return len(self._lines(width))

    def _lines(self, width: int) -> list[list[tuple[int, str]]]:
        """Which stand in each line, and with what words."""
        width = max(width, 20)
        lines: list[list[tuple[int, str]]] = [[]]
        used = 0
        for at, choice in enumerate(self.choices):
            text = f"{choice.label} {choice.detail}".rstrip()
            text = text if len(text) <= width - 8 else f"{text[: width - 9]}…"
            size = self._cells(at, text)
            if used and used + size > width:
                lines.append([])
                used = 0
            lines[-1].append((at, text))
            used += size + 1
        return lines

    def _cells(self, at: int, text: str) -> int:
        return cell_len(self.choices[at].key) + cell_len(text) + 4

    def _one(self, at: int, text: str) -> Content:
        here = at == self._at and self.has_focus
        style = "bold $text on $primary 45%" if here else "$text"
        return Content.assemble((f" {self.choices[at].key} ", "bold $warning on $panel"), (f" {text} ", style))

    def on_click(self, event: events.Click) -> None:
        """The one under the mouse."""
        lines, x = self._lines(self.size.width), event.x
        for at, text in lines[event.y] if 0 <= event.y < len(lines) else []:
            size = self._cells(at, text)
            if 0 <= x < size:
                event.stop()
                self.action_choose(at)
                return
            x -= size + 1

    def action_choose(self, at: int) -> None:
        """Take one."""
        self._at = at
        self.refresh()
        self._chosen(self.choices[at])

    def on_focus(self) -> None:
        """Show where one is."""
        self.refresh()

    def on_blur(self) -> None:
        """And no longer."""
        self.refresh()

    def on_key(self, event: events.Key) -> None:
        """A choice's key, or the way to it."""
        elsewhere = self.screen.focused
        if elsewhere is not None and elsewhere is not self:  # it came right behind the key that led there
            event.stop()
            event.prevent_default()
            elsewhere.post_message(events.Key(event.key, event.character))
            return
        keys: Mapping[str, int] = {"left": -1, "up": -1, "right": 1, "down": 1}
        if event.key in keys:
            self._at = (self._at + keys[event.key]) % len(self.choices)
            self.refresh()
        elif event.key == "enter":
            self.action_choose(self._at)
        else:
            found = next((at for at, one in enumerate(self.choices) if one.key == event.character), None)
            if found is None:
                return
            self.action_choose(found)
        event.stop()
        event.prevent_default()


class Asked(Card):
    """A card with choices, of which some want a line to be typed first."""

    def __init__(self, wait: Wait, choices: Sequence[Choice]) -> None:
        super().__init__(wait)
        self._choices = tuple(choices)
        self._typing: Choice | None = None

    def body(self) -> ComposeResult:
        """What is to be seen above the choices."""
        yield from ()

    def compose(self) -> ComposeResult:
        """What it is about, then what can be said."""
        yield from self.body()
        yield Static(classes="asked")
        yield Input(compact=True, classes="typed")
        yield Static(classes="wrong")
        yield Choices(self._choices, self._chosen)

    def on_mount(self) -> None:
        """Nothing is typed yet."""
        self._type(None)
        self.query_one(".wrong").display = False

    def begin(self) -> None:
        """Take the focus, where it was."""
        self.screen.set_focus(self.query_one(Input) if self._typing else self.query_one(Choices))

    def proposed(self, choice: Choice) -> tuple[str, str]:
        """What stands in the line before anything is typed, and what is asked."""
        return "", "Why not?   Enter sends it, Esc goes back"

    def said(self, choice: Choice, text: str) -> None:
        """A choice was made, and the line that it wanted was typed."""

    def _chosen(self, choice: Choice) -> None:
        """Ask on, or send."""
        if self.guarded:
            return
        if not choice.asks:
            self.said(choice, "")
            return
        value, asked = self.proposed(choice)
        self.query_one(Input).value = value
        self.query_one(".asked", Static).update(Content(asked))
        self._type(choice)
        self.begin()

    def _type(self, choice: Choice | None) -> None:
        """Show the line in the place of the choices, or them again."""
        self._typing = choice
        for part in (".typed", ".asked"):
            self.query_one(part).display = choice is not None
        self.query_one(Choices).display = choice is None

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """It is typed."""
        event.stop()
        if self._typing is not None:
            self.said(self._typing, event.value.strip())

    def key_escape(self, event: events.Key) -> None:
        """Back to the choices, or to the prompt."""
        event.stop()
        if self._typing is None:
            self.post_message(self.Left(0))
            return
        self._type(None)
        self.complain("")
        self.begin()

    def key_tab(self, event: events.Key) -> None:
        """To the next card."""
        event.stop()
        event.prevent_default()
        self.post_message(self.Left(1))

    def key_shift_tab(self, event: events.Key) -> None:
        """To the one before."""
        event.stop()
        event.prevent_default()
        self.post_message(self.Left(-1))

    def key_pagedown(self, event: events.Key) -> None:
        """Further down in what is asked about."""
        event.stop()
        for found in self.query(".exhibit"):
            found.scroll_page_down(animate=False)

    def key_pageup(self, event: events.Key) -> None:
        """Further up in it."""
        event.stop()
        for found in self.query(".exhibit"):
            found.scroll_page_up(animate=False)
