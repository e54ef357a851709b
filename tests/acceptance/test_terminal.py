"""The terminal UI, driven as a person would: each step waits for what it is about, then for the screen that is kept."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from acceptance import harbour, stored, tmux
from acceptance.house import House, until
from acceptance.kept import kept
from acceptance.tmux import Terminal
from roost.core import events as e
from roost.tui.dialogs.card import GUARD

SERVER = Path(__file__).parents[1] / "fakes" / "toolserver.py"
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
    """Wait for a card (not for the call above it), and for the moment in which it takes no answer yet."""
    terminal.until(seen)
    time.sleep(GUARD)


def told(house: House) -> str:
    """What the newest tool result says to the model."""
    results = [m["content"] for m in house.model.requests[-1]["body"]["messages"] if m["role"] == "tool"]
    return str(results[-1])


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
    settled(terminal, "May shell run?")
    terminal.press("n")
    terminal.until("Then they stay.")
    send(terminal, harbour.TIDY)  # no, with a reason
    settled(terminal, "May shell run?")
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


def test_a_form_is_filled_in(house: House, run: Run) -> None:
    terminal = run()
    terminal.until("● ready")
    send(terminal, harbour.ORDER)
    settled(terminal, "Ctrl+S send")
    kept(terminal, "form", shown="tui-form")
    terminal.press("C-s")
    terminal.until("This is needed.")
    kept(terminal, "form-with-nothing-in-it")
    terminal.go("Down").go("Up").go("Tab").type("80").press("C-s")
    terminal.until("It must be 20 or less.")
    terminal.press("BSpace")
    terminal.until_gone("80")
    terminal.go("Tab").type("ines@portellis.example")
    terminal.until("ines@portellis.example")
    terminal.go("Tab").press("Space")
    terminal.until("[x] Heated")
    kept(terminal, "form-filled-in")
    terminal.press("C-s")
    terminal.until("● ready")
    kept(terminal, "form-sent")
    given = {"kind": "radar", "range": 8, "contact": "ines@portellis.example", "heated": True}
    assert json.loads(told(house)) == {"action": "accept", "content": given}


def test_a_tool_server_asks_by_a_form_and_by_an_address(house: House, project: Path, run: Run) -> None:
    file = project / "harbour.yaml"
    server = json.dumps({"type": "mcp", "command": sys.executable, "args": [str(SERVER)]})
    file.write_text(file.read_text().replace("{type: user_prompt}", server))
    terminal = run(harbour.MOOR, "--yolo")
    settled(terminal, "How many?")
    kept(terminal, "form-of-a-server")
    terminal.type("3").press("Enter")
    settled(terminal, "http://127.0.0.1/x")
    assert json.loads(told(house))["content"] == {"n": 3}
    kept(terminal, "address")
    terminal.press("n")
    terminal.until("So be it.")
    assert json.loads(told(house))["action"] == "decline"


def test_a_sub_agent_is_steered_stopped_and_left_behind_by_a_fork(house: House, run: Run) -> None:
    house.model.entitle("The gauges")
    terminal = run()
    terminal.until("● ready")
    send(terminal, harbour.GAUGES)
    terminal.until("I ask the gauge of")
    kept(terminal, "sub-agent")
    terminal.press("C-t")
    terminal.until("Agents")
    send(terminal, harbour.STEER, "M-Enter")
    terminal.until("for the middle of this turn")
    send(terminal, harbour.TELL)
    terminal.until("for after this turn")
    kept(terminal, "steered", shown="tui-agents")
    house.model.go_on()
    settled(terminal, "May shell run? · surveyor")
    kept(terminal, "approval-for-a-sub-agent")
    terminal.press("y")
    terminal.until("pull across each other,")
    kept(terminal, "taken")

    terminal.press("Escape")
    terminal.until("Esc again to stop it")
    terminal.press("Escape")
    terminal.until("● stopped")
    kept(terminal, "stopped")

    send(terminal, "/fork")
    terminal.until("Go on from before which message?")
    kept(terminal, "fork")
    terminal.press("Down", "Enter")
    terminal.until("A fork.")
    terminal.until_gone("A fork.")
    kept(terminal, "forked")
    assert len(stored.sessions(database(house))) == 2
    terminal.press("C-o")
    terminal.until("─ Sessions ─")
    kept(terminal, "sessions")


def test_what_a_kill_cut_off_goes_on_and_nothing_is_there_twice(house: House, run: Run) -> None:
    terminal = run()
    terminal.until("● ready")
    send(terminal, harbour.TELL)
    terminal.until("pull across each other,")
    kept(terminal, "before-the-kill")
    os.kill(terminal.pid, signal.SIGKILL)
    assert terminal.ended() == 128 + signal.SIGKILL
    until(lambda: house.model.requests[-1]["dropped"])
    killed = session(house)

    again = run("--session", killed[:8])
    again.until("pull across each other,")
    assert "they are lowest" not in again.screen()
    kept(again, "going-on-after-the-kill")  # what was cut off is not there a second time
    house.model.go_on()
    again.until("● ready")
    kept(again, "after-the-kill")
    facts = [event.fact for event in stored.facts(database(house), killed)]
    assert [e.kind(fact) for fact in facts].count("AnswerDropped") == 1
    assert [e.kind(fact) for fact in facts].count("TurnResumed") == 1
    dropped = next(at for at, fact in enumerate(facts) if isinstance(fact, e.AnswerDropped))
    assert "".join(fact.text for fact in facts[dropped:] if isinstance(fact, e.TextAdded)) == harbour.TOLD
    assert sum(isinstance(fact, e.MessageAdded) for fact in facts) == 1


def test_an_approval_outlives_the_terminal_that_asked(house: House, run: Run) -> None:
    terminal = run()
    terminal.until("● ready")
    send(terminal, harbour.CHECK)
    settled(terminal, "May shell run?")
    os.kill(terminal.pid, signal.SIGKILL)
    assert terminal.ended() == 128 + signal.SIGKILL
    asked = len(house.model.requests)

    again = run("--continue")
    settled(again, "May shell run?")
    kept(again, "approval-after-a-kill", shown="tui-resumed")
    again.press("s")
    again.until("All is well.")
    kept(again, "approved-after-a-kill")
    assert (house.folder / "home/tides/checked-again").exists()
    assert len(house.model.requests) - asked == 2  # the answer that asked is not asked for again
    facts = [event.fact for event in stored.facts(database(house), session(house))]
    assert [e.kind(fact) for fact in facts].count("WaitOpened") == 1
    again.press("C-c").press("C-c")
    assert again.ended() == 0
    kept(again, "left")
