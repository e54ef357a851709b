"""What is said to the terminal itself: its title, and that somebody is wanted."""

from collections.abc import Mapping
from typing import Any

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.keys import Keys

from roost.tui.preferences import Notify

PUSH = "\x1b[22;2t"  # keep the title that is there
POP = "\x1b[23;2t"
_LONGEST = 200


def title(words: str) -> str:
    """The order to show a title."""
    return f"\x1b]2;{_plain(words)}\x07"


def alert(words: str, how: Notify, env: Mapping[str, str]) -> str:
    """The order to call somebody; what a multiplexer would swallow is handed through it."""
    bell = "\x07" if how in ("bell", "both") else ""
    if how not in ("message", "both"):
        return bell
    message = f"\x1b]9;{_plain(words)}\x07"
    if env.get("TMUX"):
        inner = message.replace("\x1b", "\x1b\x1b")
        message = f"\x1bPtmux;{inner}\x1b\\"
    return message + bell


def _plain(words: str) -> str:
    """Without anything that a terminal would take for an order."""
    return "".join(char if char.isprintable() else " " for char in words)[:_LONGEST].strip()


STEER = Keys.F24.value
"""The key that Alt+Enter is where a terminal sends it as an escape before a return, which the library takes apart."""


def teach() -> None:
    """Have the library know Alt+Enter by what most terminals, and multiplexers, send for it."""
    known: Any = ANSI_SEQUENCES_KEYS
    known["\x1b\r"] = (Keys.F24,)
