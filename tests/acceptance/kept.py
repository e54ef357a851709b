"""Screens that are kept, to be compared with what a terminal shows."""

import difflib
import os
import re
from pathlib import Path

from acceptance import picture
from acceptance.house import ROOT
from acceptance.tmux import PATIENCE, NotSeen, Terminal

FOLDER = Path(__file__).parent / "screens"
PICTURES = ROOT / "docs" / "images"
REWRITE = "ROOST_WRITE_SCREENS"
"""Set in the environment, it makes the tests write their screens and the pictures of the docs, and compare nothing."""

_STANDING = re.compile(r"^ [●◆■✗⚠⠿] .*$", re.M)
_MASKS = (
    (re.compile(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]"), "⠿"),  # whatever turns
    (re.compile(r"\bworking \d\w*"), "working 0s"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "00000000-0000-0000-0000-000000000000"),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "127.0.0.1:0"),
    (re.compile(r"\S+/home/"), "~/"),
    (re.compile(r"^( +│? [○●◆✗] +)(?:now|\d+[smh])(?= )", re.M), r"\1now"),  # ages in a list
    (re.compile(r"Pane is dead.*"), ""),
)


def masked(screen: str) -> str:
    """A screen without what differs from run to run: what turns, times, ids, ports, the folder of the test.

    The line at the bottom is as long as what it says, so the gap in its middle is always the same.
    """
    for pattern, instead in _MASKS:
        screen = pattern.sub(instead, screen)
    screen = _STANDING.sub(lambda found: re.sub(r" {3,}", "   ", found[0]), screen)
    return screen.rstrip("\n") + "\n"


def kept(terminal: Terminal, name: str, *, shown: str = "", timeout: float = PATIENCE) -> None:
    """Wait for the screen that is kept under a name.

    `shown` is the name of the docs' picture of it: it is as old as what it shows.

    Raises:
        AssertionError: another screen stays.
    """
    path = FOLDER / f"{name}.txt"
    if os.environ.get(REWRITE):
        _write(terminal, path, shown)
        return
    assert path.exists(), f"no screen is kept for {name}: set {REWRITE}=1 to write it"
    wanted = path.read_text()
    try:
        terminal.until(lambda screen: masked(screen) == wanted, timeout=timeout)
    except NotSeen:
        lines = wanted.splitlines(), masked(terminal.screen()).splitlines()
        difference = "\n".join(difflib.unified_diff(*lines, "kept", "seen", lineterm=""))
        raise AssertionError(f"{name} looks different; {REWRITE}=1 keeps it as it is now\n{difference}") from None
    if shown:
        drawn = picture.text((PICTURES / f"{shown}.svg").read_text())
        assert masked(drawn) == wanted, f"docs/images/{shown}.svg shows another screen: `make screenshots`"


def _write(terminal: Terminal, path: Path, shown: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(masked(terminal.still(quiet=0.7, clean=masked)))
    if shown:
        PICTURES.mkdir(exist_ok=True)
        (PICTURES / f"{shown}.svg").write_text(picture.draw(terminal.painted()))
