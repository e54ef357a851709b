"""What a person has chosen for the screen, kept from one start to the next."""

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from roost import private

FILE = "screen.json"

Notify = Literal["off", "bell", "message", "both"]
NOTIFY: tuple[Notify, ...] = ("off", "bell", "message", "both")


class Preferences(Struct, omit_defaults=True):
    """`notify` is how to say that something waits while nobody looks; `tree`, whether sub-agents are shown."""

    theme: str = ""
    notify: Notify = "both"
    tree: bool | None = None


def read(home: Path | None) -> Preferences:
    """What is kept; what can't be read counts as nothing."""
    if home is None:
        return Preferences()
    try:
        return msgspec.json.decode((home / FILE).read_bytes(), type=Preferences)
    except (OSError, msgspec.DecodeError):
        return Preferences()


def write(home: Path | None, chosen: Preferences) -> None:
    """Keep it.

    Raises:
        OSError: it can't be written.
    """
    if home is not None:
        private.write(home / FILE, msgspec.json.encode(chosen) + b"\n")
