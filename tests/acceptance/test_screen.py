"""The terminal UI in a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from acceptance import runs, tmux
from acceptance.house import House
from acceptance.tmux import Terminal

Screen = Callable[..., Terminal]


@pytest.fixture
def screen(house: House) -> Iterator[Screen]:
    """`roost run WORDS` on a screen of its own."""
    with ExitStack() as stack:

        def start(*words: str, **size: int) -> Terminal:
            command = [sys.executable, "-m", "roost", *words]
            return stack.enter_context(tmux.opened(house.folder, command, cwd=house.folder, env=house.env(), **size))

        yield start


def test_a_run_shows_the_answer_and_says_how_to_go_on(house: House, screen: Screen) -> None:
    house.agent()
    terminal = screen("run", "agents/my-agent.yaml", "[[say The answer is forty-two.]]")
    terminal.until("The answer is forty-two.")
    terminal.press("C-c").press("C-c")
    assert terminal.ended() == 0
    assert "roost run agents/my-agent.yaml --session" in terminal.screen()
    log = house.folder / "home" / ".roost" / "logs" / "run.log"
    assert log.exists()


def test_what_is_sent_from_elsewhere_is_on_the_screen(house: House, screen: Screen) -> None:
    path = house.folder / "run.sock"
    terminal = screen("run", str(house.agent()), "--listen", f"unix://{path}")
    terminal.until(lambda _: path.exists())
    terminal.still()
    runs.roost(house, "send", "[[say Hello from elsewhere.]]")
    terminal.until("Hello from elsewhere.")
