"""A run at a terminal with others beside it: whatever one of them does, the others see at once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance import harbour, runs, stored, tmux
from acceptance.house import Client, House, until
from acceptance.kept import kept
from acceptance.tmux import Terminal
from roost.client import Blocking
from roost.client import happenings as h
from roost.client import runs as records
from roost.tui.dialogs.card import GUARD

SOON = 5.0  # seconds, on a machine that is busy with other tests, for what one sees at once

INHERITED = """\
import os, socket, sys
listening = socket.create_server(("127.0.0.1", 0))
listening.set_inheritable(True)
os.execv(sys.executable, [sys.executable, *sys.argv[1:], "--listen", f"fd://{listening.fileno()}"])
"""


@dataclass
class Beside:
    """A terminal whose run listens, and what others know of it."""

    house: House
    terminal: Terminal

    @property
    def record(self) -> Path:
        return self.house.folder / "home" / ".roost" / "runs" / f"{self.terminal.pid}.json"

    @property
    def told(self) -> Any:
        return json.loads(self.record.read_text())

    @property
    def session(self) -> str:
        return str(self.told["session_id"])

    @property
    def http(self) -> Client:
        """Plain requests to it."""
        return Client(self.told["addr"].removeprefix("http://"))

    def found(self) -> Blocking:
        """The Python client of it, as a script would find it: by its record."""
        [run] = records.living(self.record.parent)
        return Blocking(run.server)

    def roost(self, *words: str) -> str:
        return runs.roost(self.house, *words)

    def until_ready(self) -> "Beside":
        until(self.record.exists, timeout=runs.START)
        self.terminal.until("● ready")
        return self


Start = Callable[..., Beside]


@pytest.fixture
def start(house: House) -> Iterator[Start]:
    """`roost run harbour.yaml --listen ADDR` on a screen."""
    harbour.speak(house)
    project = harbour.settle(house)
    with ExitStack() as stack:

        def begin(listen: str = "") -> Beside:
            command = [sys.executable, "-m", "roost", "run", "harbour.yaml"]
            if listen:
                command += ["--listen", listen]
            else:
                command[1:1] = ["-c", INHERITED]
            terminal = stack.enter_context(tmux.opened(house.folder, command, cwd=project, env=house.env()))
            return Beside(house, terminal)

        yield begin


class Watcher:
    """`roost watch --json` in a process of its own."""

    def __init__(self, house: House, process: subprocess.Popen[bytes], out: Path) -> None:
        self.process = process
        self._out = out

    @property
    def seen(self) -> list[dict[str, Any]]:
        """All events that have come, whole lines only."""
        lines = self._out.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def until(self, kind: str, number: int = 1, *, timeout: float = 20.0) -> dict[str, Any]:
        """The event of a type, the first or a later one, as soon as it has come."""

        def found() -> list[dict[str, Any]]:
            events = [event for event in self.seen if event["type"] == kind]
            return events[number - 1 : number]

        [event] = until(found, timeout=timeout)
        return dict(event)


@contextmanager
def watching(house: House) -> Iterator[Watcher]:
    """Look on from elsewhere."""
    out = house.folder / "watched.jsonl"
    with out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "roost", "watch", "--json"],
            cwd=house.folder,
            env=house.env(),
            stdout=file,
            stderr=subprocess.DEVNULL,
        )
    try:
        yield Watcher(house, process, out)
    finally:
        process.kill()
        process.wait(10)


def test_each_sees_what_the_others_do(house: House, start: Start) -> None:
    path = house.folder / "run.sock"
    run = start(f"unix://{path}").until_ready()
    terminal = run.terminal
    assert run.session in run.roost("runs")
    with watching(house) as watcher:
        run.roost("send", harbour.CHECK)  # as good as typed
        terminal.until(f"▌ {harbour.CHECK}")
        terminal.until("May shell run?")
        asked = watcher.until("tool_call_confirmation")
        time.sleep(GUARD)
        kept(terminal, "approval-of-what-others-sent")
        terminal.press("y")  # the terminal answers
        answered = watcher.until("wait_answered", timeout=SOON)
        assert (answered["request_id"], answered["action"]) == (asked["request_id"], "approve")

        terminal.until(lambda screen: "May shell run?" in screen and "$ touch checked-again" in screen)
        second = watcher.until("tool_call_confirmation", 2)
        assert "shell" in run.roost("approvals", "--run")
        run.roost("approve", "--run", str(terminal.pid))  # somebody else does
        terminal.until_gone("May shell run?", timeout=SOON)
        terminal.until("shell was allowed by")
        assert watcher.until("wait_answered", 2)["request_id"] == second["request_id"]
        terminal.until("All is well.")
        terminal.until_gone("shell was allowed by")
        kept(terminal, "answered-elsewhere")
        watcher.until("stream_stopped")

        terminal.type(harbour.REMOVE).press("Enter")  # typed here, refused by a script
        watcher.until("tool_call_confirmation", 3)
        with run.found() as client:
            [wait] = client.waits()
            client.answer(wait.id, confirmation="reject", reason="They are still read.")
        terminal.until("shell was refused by", timeout=SOON)
        terminal.until("Then they stay.")
        assert watcher.until("wait_answered", 3)["reason"] == "They are still read."
        watcher.until("stream_stopped", 2)
        assert [event for event in watcher.seen if event["type"] == "error"] == []

        terminal.press("C-c")
        terminal.until("Ctrl+C again")
        terminal.press("C-c")
        assert terminal.ended() == 0
        assert watcher.process.wait(20) == 0  # its line has ended with the run
    assert not path.exists()
    assert not list((house.folder / "home" / ".roost" / "runs").iterdir())


def test_a_script_follows_steers_and_stops_what_runs_at_a_terminal(house: House, start: Start) -> None:
    run = start(f"unix://{house.folder / 'run.sock'}").until_ready()
    terminal = run.terminal
    terminal.type(harbour.TELL).press("Enter")
    terminal.until("pull across each other,")
    with run.found() as client:
        [row] = [row for row in client.list_sessions() if row.id == run.session]
        assert row.state == "running"
        client.followup(run.session, "And what is a bore?")
        terminal.until("for after this turn", timeout=SOON)
        house.model.go_on()
        said = ""
        for happening in client.follow(run.session):
            if isinstance(happening, h.AgentChoice):
                said += happening.content
            if isinstance(happening, h.StreamStopped):
                break
        assert said == harbour.TOLD + "fake reply to: And what is a bore?"
        terminal.until("fake reply to: And what is a bore?")
        terminal.type(harbour.TELL).press("Enter")
        terminal.until(lambda screen: screen.count("pull across each other,") == 2)
        client.cancel(run.session)
        terminal.until("● stopped", timeout=SOON)
        client.title(run.session, "About tides")
        terminal.until("About tides", timeout=SOON)


def test_a_session_that_is_deleted_from_elsewhere_is_gone_from_the_screen(house: House, start: Start) -> None:
    run = start(f"unix://{house.folder / 'run.sock'}").until_ready()
    run.terminal.type(harbour.REMOVE).press("Enter")
    run.terminal.until("May shell run?")
    assert run.http.delete(f"/api/sessions/{run.session}").status == 200
    run.terminal.until_gone("May shell run?", timeout=SOON)
    run.terminal.until("⚠")
    kept(run.terminal, "deleted-elsewhere")


def test_what_a_kill_leaves_is_swept_and_the_socket_is_taken_over(house: House, start: Start) -> None:
    path = house.folder / "run.sock"
    run = start(f"unix://{path}").until_ready()
    record = run.record
    os.kill(run.terminal.pid, signal.SIGKILL)
    assert run.terminal.ended() == 128 + signal.SIGKILL
    assert record.exists() and path.exists()
    assert "no runs" in run.roost("runs")
    assert not record.exists()
    again = start(f"unix://{path}").until_ready()
    assert again.http.get("/api/ping").status == 200


@pytest.mark.parametrize("listen", ["127.0.0.1:0", ""], ids=["tcp", "fd"])
def test_whoever_comes_early_waits_until_it_is_there(house: House, start: Start, listen: str) -> None:
    run = start(listen)
    until(run.record.exists, timeout=runs.START)
    assert run.told["addr"].startswith("http://127.0.0.1:")
    assert run.http.get("/api/ready?timeout=20s").json == {"status": "ready"}
    status = run.http.get(f"/api/sessions/{run.session}/status?wait=20s").json
    assert (status["id"], status["streaming"], status["agent"]) == (run.session, False, "root")
    run.terminal.until(f"⇄ {run.told['addr'].removeprefix('http://')}")
    body = {"messages": [{"content": harbour.REMOVE}]}
    sent = run.http.post(f"/api/sessions/{run.session}/followup", body)
    assert sent.json["status"] == "queued_streaming"
    run.terminal.until("May shell run?")
    assert run.http.resume(run.session, "reject").status == 200
    run.terminal.until("Then they stay.")
    run.terminal.press("C-c").press("C-c")
    assert run.terminal.ended() == 0
    assert not run.record.exists()
    assert stored.sessions(house.folder / "home" / ".roost" / "roost.db") == [str(status["id"])]
