"""Commands against real servers: one that they start themselves, and one where something waits for a person."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.house import ROOT, House, until
from roost.client import local

SHELL = '[[tool shell {"cmd": "echo ran"}]]'


class Desk:
    """A home of one's own, and commands typed there."""

    def __init__(self, home: Path, **more: str) -> None:
        self.home = home
        env = {name: value for name, value in os.environ.items() if not name.startswith(("ROOST_", "ZAG_"))}
        self.env = {**env, "ROOST_HOME": str(home), "PYTHONPATH": str(ROOT / "src"), **more}

    def type(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "roost", *words],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )

    @property
    def server(self) -> int:
        """The process that serves this home."""
        found = json.loads((self.home / local.FILE).read_text())
        return int(found["pid"])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "home")
    yield made
    if (made.home / local.FILE).exists():
        pid = made.server
        os.kill(pid, signal.SIGTERM)
        until(lambda: not local.alive(pid))


def test_the_first_command_starts_a_server_and_the_next_ones_use_it(desk: Desk) -> None:
    first = desk.type("whoami")
    assert first.returncode == 0, first.stderr
    assert first.stderr == f"starting a server for this machine (its log: {desk.home}/logs/serve.log)\n"
    pid = desk.server
    second = desk.type("whoami", "--json")
    assert (second.stderr, desk.server) == ("", pid)
    assert json.loads(second.stdout)["url"] == f"unix://{desk.home}/run/serve.sock"
    assert desk.type("approvals").stderr == "no one waits for you\n"
    assert os.getsid(pid) == pid


def test_after_its_server_was_killed_a_command_starts_another(desk: Desk) -> None:
    assert desk.type("whoami").returncode == 0
    pid = desk.server
    os.kill(pid, signal.SIGKILL)
    until(lambda: not local.alive(pid))
    again = desk.type("whoami")
    assert again.returncode == 0, again.stderr
    assert desk.server != pid


def test_what_waits_is_listed_and_answered(house: House, tmp_path: Path) -> None:
    house.agent(extra="    toolsets: [{type: shell}]\n")
    server = house.serve()
    desk = Desk(tmp_path / "desk", ROOST_SESSION_ID="any", ROOST_URL=f"http://{server.address}")
    for words, ending in (
        (["approve"], "ran"),
        (["reject", "--reason", "not now"], "Reason: not now"),
    ):
        session = server.create(title="t")
        stream = server.start(session, SHELL)
        stream.until("tool_call_confirmation")
        [waiting] = json.loads(desk.type("approvals", "--json", "--session", session).stdout)
        assert (waiting["kind"], waiting["session_id"]) == ("approval", session)
        done = desk.type(*words[:1], waiting["id"][:8], *words[1:])
        assert done.returncode == 0, done.stderr
        assert 'shell {"cmd": "echo ran"}' in done.stdout
        (response,) = (f.event for f in stream if f.type == "tool_call_response")
        assert ending in response["response"]
    assert desk.type("approve").stderr == "roost: nothing waits\n"
