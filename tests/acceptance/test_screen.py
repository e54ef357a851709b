"""The terminal UI in a terminal."""

import json
import os
import re
import signal
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


def test_an_approval_is_answered_from_elsewhere_and_the_screen_says_so(house: House, screen: Screen) -> None:
    house.agent(extra="    toolsets:\n      - type: shell\n")
    path = house.folder / "run.sock"
    words = '[[tool shell {"cmd": "echo approved by hand"}]]'
    terminal = screen("run", "agents/my-agent.yaml", words, "--listen", f"unix://{path}")
    terminal.until("echo approved by hand")
    assert "shell" in runs.roost(house, "approvals", "--run")
    runs.roost(house, "approve", "--run")
    terminal.until("tool said: approved by hand")


def test_it_goes_on_where_a_kill_cut_it_off(house: House, screen: Screen) -> None:
    house.agent()
    path = house.folder / "run.sock"
    words = "[[drip 0.4]] [[say one two three four five six seven eight nine ten eleven twelve]]"
    terminal = screen("run", "agents/my-agent.yaml", words, "--listen", f"unix://{path}")
    terminal.until(re.compile(r"^   one two", re.M))
    [record] = (house.folder / "home" / ".roost" / "runs").glob("*.json")
    session = json.loads(record.read_text())["session_id"]
    os.kill(terminal.pid, signal.SIGKILL)
    assert terminal.ended() == 128 + signal.SIGKILL
    again = screen("run", "agents/my-agent.yaml", "--session", session[:8])
    again.until("eleven twelve", timeout=40)
    assert again.screen().count("eleven twelve") == 1


def test_sigterm_gives_the_terminal_back(house: House, screen: Screen) -> None:
    path = house.folder / "run.sock"
    terminal = screen("run", str(house.agent()), "[[hang]]", "--listen", f"unix://{path}")
    terminal.until(lambda _: house.model.requests)
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.ended() == 0
    assert "A turn is under way" in terminal.screen()
    assert not path.exists()
    assert not list((house.folder / "home" / ".roost" / "runs").iterdir())


def test_without_a_terminal_it_says_what_to_do(house: House) -> None:
    assert "--exec" in runs.roost(house, "run", str(house.agent()), "hi", code=2)
