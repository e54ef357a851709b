"""The terminal UI, driven as a person would: each step waits for what it is about, then for the screen that is kept."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from acceptance import harbour, stored, tmux
from acceptance.house import House
from acceptance.kept import kept
from acceptance.tmux import Terminal
from roost.tui.dialogs.card import GUARD

Run = Callable[..., Terminal]


@pytest.fixture
def project(house: House) -> Path:
    harbour.speak(house)
    return harbour.settle(house)


@pytest.fixture
def run(house: House, project: Path) -> Iterator[Run]:
    """`roost run harbour.yaml WORDS` on a screen of its own, in the project's folder."""
    with ExitStack() as stack:

        def start(*words: str) -> Terminal:
            command = [sys.executable, "-m", "roost", "run", "harbour.yaml", *words]
            return stack.enter_context(tmux.opened(house.folder, command, cwd=project, env=house.env()))

        yield start


def send(terminal: Terminal, text: str, key: str = "Enter") -> None:
    terminal.type(text)
    terminal.until(f"❯ {text}")
    terminal.press(key)


def settled(terminal: Terminal, seen: tmux.Seen) -> None:
    """Wait for a card, and for the moment in which it takes no answer yet."""
    terminal.until(seen)
    time.sleep(GUARD)


def database(house: House) -> Path:
    return house.folder / "home" / ".roost" / "roost.db"


def session(house: House) -> str:
    """The only session there is."""
    [found] = stored.sessions(database(house))
    return found


def test_a_first_prompt_and_an_approval_each_way(house: House, run: Run) -> None:
    terminal = run()
    terminal.until("● ready")
    kept(terminal, "welcome")
    send(terminal, harbour.WHY)
    terminal.until("somewhere the time zone gets lost. I look")
    kept(terminal, "streaming", shown="tui-streaming")
    house.model.go_on()

    settled(terminal, "May shell run?")  # once
    kept(terminal, "approval")
    terminal.press("y")
    settled(terminal, "May edit_file run?")
    kept(terminal, "approval-of-an-edit", shown="tui-approval")
    terminal.press("y")
    terminal.until("● ready")
    kept(terminal, "answer", shown="tui-answer")
    assert "astimezone(HARBOUR)" in (house.folder / "home/tides/src/tides.py").read_text()

    send(terminal, harbour.ELSE)  # always calls like this
    settled(terminal, "May shell run?")
    terminal.press("t")
    terminal.until("Which calls are to run unasked?")
    kept(terminal, "approval-always")
    terminal.press("Enter")
    terminal.until("Nothing else does.")
    kept(terminal, "allowed-always")

    send(terminal, harbour.REMOVE)  # no
    settled(terminal, "$ rm -r tables")
    terminal.press("n")
    terminal.until("Then they stay.")
    send(terminal, harbour.TIDY)  # no, with a reason
    settled(terminal, "$ git clean -fdx")
    terminal.press("r")
    terminal.type("Not the logs, please")
    terminal.until("Not the logs, please")
    kept(terminal, "rejection")
    terminal.press("Enter")
    terminal.until("I leave the folder as it is.")
    kept(terminal, "rejected")
    assert "Not the logs, please" in str(house.model.requests[-1]["body"]["messages"][-1])

    send(terminal, harbour.CHECK)  # whatever comes
    settled(terminal, "May shell run?")
    terminal.press("s")
    terminal.until("All is well.")
    kept(terminal, "allowed-for-the-session")
    assert (house.folder / "home/tides/checked-again").exists()


def test_a_form_is_filled_in(run: Run) -> None:
    terminal = run()
    terminal.until("● ready")
    send(terminal, harbour.ORDER)
    terminal.until("Which gauge is it to be?")
    kept(terminal, "form", shown="tui-form")
