"""The screen itself: what stands where, in which colours, and how it reaches the terminal."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen

from roost.core.errors import RoostError
from roost.tui import clipboard, outlet, preferences, terminal
from roost.tui.dialogs.dock import Dock
from roost.tui.history import History
from roost.tui.sieve import Sieve
from roost.tui.themes import DEFAULT, THEMES
from roost.tui.widgets.find import Find
from roost.tui.widgets.prompt import Prompt
from roost.tui.widgets.status import Status
from roost.tui.widgets.transcript import Transcript
from roost.tui.widgets.tree import Tree
from roost.tui.widgets.welcome import Welcome

_SIEVE = Sieve()

READ = 15  # characters that are read in a second, with care

Severity = Literal["information", "warning", "error"]


class Surface(App[int]):
    """Has nothing to show yet.  `home` is where what a person chose is kept."""

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False

    welcome: Welcome
    transcript: Transcript
    kin: Tree
    find: Find
    dock: Dock
    prompt: Prompt
    status: Status

    def __init__(self, home: Path | None) -> None:
        super().__init__()
        terminal.teach()
        self.home = home
        self.chosen = preferences.read(home)

    def get_driver_class(self) -> type[Driver]:
        """What carries the screen to the terminal, and keys from it."""
        return outlet.patient(super().get_driver_class())

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every line goes through on its way to the terminal."""
        return [*super().get_line_filters(), _SIEVE]

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        self.welcome, self.transcript, self.kin = Welcome(id="welcome"), Transcript(id="transcript"), Tree(id="tree")
        self.find, self.dock, self.status = Find(id="find"), Dock(id="dock"), Status(id="status")
        self.prompt = Prompt(History(self.home), id="prompt")
        with Horizontal(id="main"):
            with Vertical(id="stage"):
                yield self.welcome
                yield self.transcript
            yield self.kin
        yield self.find
        yield self.dock
        yield self.prompt
        yield self.status

    @property
    def base(self) -> Screen[Any]:
        """The one below all dialogs."""
        return self.screen_stack[0]

    def dress(self, theme: str) -> None:
        """Wear a theme: this one, or the one that was chosen before."""
        for known, _ in THEMES.values():
            self.register_theme(known)
        wanted = theme or self.chosen.theme
        self.theme = wanted if wanted in THEMES else DEFAULT

    def exit(self, result: int | None = None, return_code: int = 0, message: Any = None) -> None:
        """End, with the window's title as it was."""
        self.emit(terminal.POP)
        super().exit(result, return_code, message)

    # -- what is told ---------------------------------------------------------------------------

    def say(self, words: str, *, severity: Severity = "information") -> None:
        """Tell something that needs no answer."""
        self.notify(words, severity=severity, markup=False, timeout=4)

    def complain(self, error: RoostError) -> None:
        """Tell what went wrong."""
        words = str(error) or type(error).__name__
        self.notify(words, severity="error", markup=False, timeout=8 + len(words) / READ)

    def copy(self, text: str) -> None:
        """Put a text on the clipboard: the terminal's, and this machine's."""
        self.copy_to_clipboard(text)
        self.run_worker(asyncio.to_thread(clipboard.write, text))
        self.say("Copied.")

    def emit(self, sequence: str) -> None:
        """Tell the terminal something."""
        driver = self._driver
        if sequence and driver is not None and not self.is_headless:
            driver.write(sequence)
