"""Commands against real servers: the one they start themselves, one over TLS, and one that is killed meanwhile."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance import front
from acceptance.front import Front, Yard
from acceptance.house import ROOT, House, free_port, until
from fakes.line import line
from roost.client import local

SHELL = '[[tool shell {"cmd": "echo ran"}]]'


class Desk:
    """A home of one's own, and commands typed there."""

    def __init__(self, home: Path, **more: str) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("ROOST_", "ZAG_"))}
        self.env = {**env, "ROOST_HOME": str(home), "PYTHONPATH": str(ROOT / "src"), **more}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "roost", *words],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
        )

    def type(self, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """A command, which has to end like this."""
        with self.start(*words) as running:
            out, err = running.communicate(timeout=60)
        assert running.returncode == code, (words, out, err)
        return subprocess.CompletedProcess(words, code, out, err)

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.type(*words, code=code).stdout)

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
    assert first.stderr == f"starting a server for this machine (its log: {desk.home}/logs/serve.log)\n"
    pid = desk.server
    second = desk.type("whoami", "--json")
    assert (second.stderr, desk.server) == ("", pid)
    assert json.loads(second.stdout)["url"] == f"unix://{desk.home}/run/serve.sock"
    assert desk.type("session", "list").stderr == "no sessions\n"
    assert desk.type("approvals").stderr == "nothing waits for you\n"
    assert os.getsid(pid) == pid


def test_after_its_server_was_killed_a_command_starts_another(desk: Desk) -> None:
    desk.type("whoami")
    pid = desk.server
    os.kill(pid, signal.SIGKILL)
    until(lambda: not local.alive(pid))
    desk.type("whoami")
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
        [waiting] = desk.json("approvals", "--json", "--session", session)
        assert (waiting["kind"], waiting["session_id"]) == ("approval", session)
        done = desk.type(*words[:1], waiting["id"][:8], *words[1:])
        assert 'shell {"cmd": "echo ran"}' in done.stdout
        (response,) = (f.event for f in stream if f.type == "tool_call_response")
        assert ending in response["response"]
    assert desk.type("approve", code=1).stderr == "roost: nothing waits\n"


# -- a server elsewhere ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Yard, Front]]:
    with front.opened(tmp_path_factory.mktemp("yard")) as yard:
        yield yard, yard.serve("--host", "127.0.0.1", "--enable-mock")


@pytest.fixture
def connected(served: tuple[Yard, Front], tmp_path: Path) -> Desk:
    _, server = served
    desk = Desk(tmp_path / "desk")
    [shown] = re.findall(r"SHA-256 fingerprint (\S+)", "\n".join(server.lines))
    url = f"https://127.0.0.1:{server.port}"
    assert shown in desk.type("connect", url, "--token", server.token, code=1).stderr
    desk.type("connect", url, "--token", server.token, "--fingerprint", shown)
    return desk


def played(**what: Any) -> str:
    return f"@mock {json.dumps(what)}"


def test_a_certificate_is_known_by_the_fingerprint_that_the_server_printed(connected: Desk) -> None:
    found = connected.json("whoami", "--json")
    assert (found["connected"], found["status"]) == (True, "ok")


def test_a_wrong_token_is_not_kept(connected: Desk, served: tuple[Yard, Front]) -> None:
    before = (connected.home / "connect.json").read_text()
    fingerprint = json.loads(before)["fingerprint"]
    url = f"https://127.0.0.1:{served[1].port}"
    done = connected.type("connect", url, "--token", "wrong", "--fingerprint", fingerprint, code=1)
    assert "does not take this token" in done.stderr
    assert (connected.home / "connect.json").read_text() == before


def test_a_session_from_its_start_to_its_result(connected: Desk) -> None:
    desk = connected
    steps = [{"say": "looking"}, {"tool": "Bash", "input": {"command": "ls"}}, {"tool_ok": "a.py"}, {"say": "one file"}]
    session = desk.type("spawn", played(steps=steps), "-p", "mock", "-a", "--name", "n", "--tag", "t").stdout.strip()
    heard = [json.loads(line) for line in desk.type("listen", session, "--json").stdout.splitlines()]
    kinds = [one["type"] for one in heard]
    assert kinds[:2] == ["session_started", "user_message"]
    assert kinds[-1] == "session_ended"
    assert {"tool_call", "tool_result", "assistant_message"} <= set(kinds)
    kept = [json.loads(one) for one in desk.type("events", session, "--json").stdout.splitlines()]
    assert kept == [one for one in heard if one["type"] != "heartbeat"]
    assert desk.type("wait", session).stdout == f"{session}  completed\n"
    assert desk.type("output", session[:8]).stdout == "one file\n"
    assert desk.json("status", "--name", "n", "--json")["status"] == "completed"
    [collected] = desk.json("collect", "--tag", "t", "--json")
    assert collected["result_text"] == "one file"
    assert desk.json("summary", session, "--json")[0]["tool_calls"] == {"Bash": 1}
    assert "one file" in desk.type("search", "one file").stdout
    assert desk.json("ps", "--json")[0]["session_id"] == session
    assert desk.json("session", "update", session, "--tag", "u", "--json")["tags"] == ["t", "u"]
    assert desk.type("log", "a note", "--session", session).returncode == 0
    assert desk.type("events", session, "--type", "user_event").stdout == "[info] a note\n"
    assert f"export ZAG_SESSION_ID={session}" in desk.type("env", session, "--shell").stdout
    merged = desk.type("pipe", session, "-p", "mock", "--", "merge this").stdout
    assert "one file" in merged
    assert merged.endswith("merge this\n")
    assert desk.type("input", "--session", session, "and now?").stdout == "and now?\n"
    again = desk.type("retry", session).stdout.split()
    assert desk.type("wait", again[1]).returncode == 0
    assert desk.type("session", "delete", again[1]).stdout == f"{again[1]}  deleted\n"
    desk.type("status", again[1], code=1)


def test_one_prompt_and_its_exit_code(connected: Desk) -> None:
    assert connected.type("exec", "mock", "hello").stdout == "hello\n"
    whole = connected.json("exec", "-p", "mock", "--prompt", "hello", "-o", "json")
    assert (whole["result"], whole["is_error"]) == ("hello", False)
    assert {"user_message", "assistant_message", "result"} <= {one["type"] for one in whole["events"]}
    assert "no way" in connected.type("exec", "mock", played(fail="no way"), code=1).stderr
    connected.type("exec", "mock", played(steps=[], exit_code=3), code=2)
    connected.type("exec", "mock", played(hang=True), "--timeout", "1s", code=124)


def test_waiting_ends_when_the_time_is_up_and_what_runs_can_be_cancelled(connected: Desk) -> None:
    session = connected.type("spawn", played(hang=True), "-p", "mock").stdout.strip()
    assert connected.type("wait", session, "--timeout", "1s", code=124).stdout == f"{session}  still running\n"
    assert connected.type("cancel", session, "--reason", "enough").stdout == f"{session}  cancelled\n"
    assert "cancelled: enough" in connected.type("wait", session, code=1).stdout


def test_an_approval_of_a_cli_is_given_from_the_line(connected: Desk) -> None:
    steps = [{"ask": "Bash", "input": {"command": "rm x"}, "ok": "gone"}, {"say": "done"}]
    session = connected.type("spawn", played(steps=steps), "-p", "mock").stdout.strip()
    with connected.start("listen", session) as listening:
        assert listening.stdout is not None
        line = next(line for line in listening.stdout if line.startswith("? "))
        [wait] = re.findall(r"roost approve (\w+)", line)
        assert connected.json("status", session, "--json")["waits"] == 1
        assert "rm x" in connected.type("approve", wait).stdout
        rest = listening.stdout.read()
    assert "allowed: Bash" in rest
    assert rest.endswith("ended: completed\n")


def test_all_sessions_are_followed_also_one_that_is_born_later(connected: Desk) -> None:
    with connected.start("watch", "--on", "session_ended", "--once", "--tag", "later", "--json") as watching:
        before = connected.type("exec", "mock", "not this one").stdout
        assert before == "not this one\n"
        born: list[str] = []

        def spawn() -> None:
            """Until the watcher stands: it hears what comes later only."""
            while watching.poll() is None:
                born.append(connected.type("exec", "mock", "this one", "--tag", "later", "-o", "json").stdout)

        spawning = threading.Thread(target=spawn)
        spawning.start()
        out, err = watching.communicate(timeout=60)
        spawning.join(60)
    assert watching.returncode == 0, err
    event = json.loads(out)
    assert event["success"] is True
    assert event["wrapper_session_id"] in {json.loads(one)["session_id"] for one in born}


def test_a_listener_outlives_the_server_and_misses_nothing(tmp_path: Path) -> None:
    port = free_port()
    flags = ("--host", "127.0.0.1", "--port", str(port), "--insecure-http", "--enable-mock", "--token", "t" * 32)
    with front.opened(tmp_path) as yard, line(f"http://127.0.0.1:{port}") as wire:
        first = yard.serve(*flags)
        desk = Desk(tmp_path / "desk")
        desk.type("connect", f"http://127.0.0.1:{wire.port}", "--token", "t" * 32)
        steps = [step for n in range(6) for step in ({"say": f"word {n}"}, {"sleep_s": 0.5})]
        session = desk.type("spawn", played(steps=steps), "-p", "mock").stdout.strip()
        opened = wire.opened
        with desk.start("wait", session) as waiting:
            until(lambda: wire.opened > opened)
            with desk.start("listen", session, "--json") as listening:
                assert listening.stdout is not None
                heard = [next(listening.stdout) for _ in range(4)]
                first.kill()
                yard.serve(*flags)
                heard += listening.stdout.readlines()
                assert waiting.communicate(timeout=60)[0] == f"{session}  completed\n"
        assert listening.returncode == 0
        events = [one for one in map(json.loads, heard) if one["type"] != "heartbeat"]
        kept = [json.loads(line) for line in desk.type("events", session, "--json").stdout.splitlines()]
        assert events == kept
        assert [one["content"] for one in kept if one["type"] == "assistant_message"] == [f"word {n}" for n in range(6)]
