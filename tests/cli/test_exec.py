"""`roost exec`: an agent file in this process, anything else in a session of a server."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import roost
from cli.there import There
from fakes.api import ANSWERED, LOG, SID, SPAWNED, P

SOURCE = Path(roost.__file__).parents[1]
SPAWN, WAIT, OUTPUT = f"{P}/sessions/spawn", f"{P}/sessions/wait", f"{P}/sessions/{SID}/output"


@pytest.fixture
def agent() -> Path:
    """The demo's kind of agent: it needs no model but its script."""
    examples = Path(roost.__file__).parents[2] / "examples"
    return next(path for path in sorted(examples.glob("*.yaml")) if "scripted" in path.read_text())


def test_an_agent_file_runs_in_this_process_though_a_server_is_connected(there: There, agent: Path) -> None:
    [prompt] = re.findall(rf'^# +roost exec examples/{agent.name} "(.+)"$', agent.read_text(), re.MULTILINE)
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    for words in ([str(agent), prompt], [str(agent), "--prompt", prompt]):
        done = subprocess.run(
            [sys.executable, "-m", "roost", "exec", *words], env=env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
    assert there.api.seen == []


@pytest.mark.parametrize(
    "words",
    [
        ["claude", "count"],
        ["-p", "claude", "count"],
        ["-p", "claude", "--prompt", "count"],
        ["claude", "--prompt", "count"],
        ["--prompt", "count", "-p", "claude", "-o", "text", "--exit-on-failure"],
    ],
    ids=" ".join,
)
def test_a_cli_runs_in_a_session(there: There, words: list[str]) -> None:
    done = there.run("exec", *words)
    assert done.stdout == "Index rebuilt: 412 files.\n"
    assert there.api.calls() == [
        ("POST", SPAWN, {"prompt": "count", "provider": "claude"}),
        ("POST", WAIT, {"session_ids": [SID]}),
        ("GET", OUTPUT, None),
    ]


def test_a_name_that_is_no_file_is_an_agent_of_the_server(there: There) -> None:
    there.run("exec", "reviewer", "look")
    assert there.api.calls()[0][2] == {"prompt": "look", "provider": "reviewer"}


def test_a_prompt_alone_goes_to_the_servers_default(there: There) -> None:
    there.run("exec", "--prompt", "count", "--yolo", "--timeout", "5m", "--tag", "x")
    assert there.api.calls()[0][2] == {"prompt": "count", "auto_approve": True, "timeout": "5m", "tags": ["x"]}


def test_a_prompt_from_a_pipe(there: There) -> None:
    there.run("exec", "claude", input="count\n")
    assert there.api.calls()[0][2]["prompt"] == "count"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        ("the tests fail", 1),
        ("exited with code 3", 2),
        ("killed by signal 9", 2),
        ("Agent timed out after 5m", 124),
        ("cancelled: enough", 1),
    ],
)
def test_the_exit_code_says_how_it_ended(there: There, error: str | None, code: int) -> None:
    there.api.answers[f"POST {WAIT}"] = (200, [{"session_id": SID, "success": error is None, "error": error}])
    done = there.run("exec", "claude", "count", code=code)
    assert done.stdout == "Index rebuilt: 412 files.\n"  # what it had to say, it says
    assert (error or "") in done.stderr
    there.api.answers[f"GET {OUTPUT}"] = (404, {"error": "no result"})
    assert there.run("exec", "claude", "count", code=code).stdout == ""


def test_a_refused_session_is_a_failure(there: There) -> None:
    there.api.answers[f"POST {SPAWN}"] = (403, {"error": "outside your home directory"})
    assert there.run("exec", "claude", "x", code=1).stderr == "roost: outside your home directory\n"


def test_the_answer_with_all_that_led_to_it(there: There) -> None:
    events = [{"type": "init", "model": "sonnet"}, {"type": "result", "success": True}]
    there.api.answers[f"GET {P}/sessions/{SID}/events"] = (200, events)
    done = there.run("exec", "-p", "claude", "--prompt", "count", "-o", "json")
    assert "\n" not in done.stdout.rstrip("\n")
    assert json.loads(done.stdout) == {
        "agent": "claude",
        "session_id": SID,
        "events": events,
        "result": "Index rebuilt: 412 files.",
        "is_error": False,
        "total_cost_usd": 0.031,
        "usage": {"input_tokens": 5120, "output_tokens": 644},
        "model": "sonnet",
        "log_path": SPAWNED["log_path"],
    }
    assert there.run("exec", "claude", "count", "-o", "json-pretty").stdout.startswith('{\n  "agent"')
    assert ("GET", f"{P}/sessions/{SID}/events?schema=unified", None) in there.api.calls()


def test_events_as_they_come(there: There) -> None:
    lines = there.run("exec", "claude", "count", "--json").stdout.splitlines()
    assert [json.loads(one) for one in lines] == LOG
    there.api.frames = lambda query: [{"type": "init", "model": query["schema"]}, 1000]
    assert there.run("exec", "claude", "count", "-o", "stream-json").stdout == '{"type":"init","model":"unified"}\n'


@pytest.mark.parametrize("flag", [["--resume", SID], ["--continue"]])
def test_one_more_prompt_in_a_session(there: There, flag: list[str]) -> None:
    there.api.answers[f"POST {P}/sessions/{SID}/input"] = (200, ANSWERED)
    assert there.run("exec", *flag, "and now merge").stdout == "Merged.\n"
    assert there.api.calls()[-1] == ("POST", f"{P}/sessions/{SID}/input", {"message": "and now merge"})


def test_a_result_before_the_prompt(there: There) -> None:
    there.run("exec", "claude", "count", "--context", SID)
    assert there.api.calls()[1][2]["prompt"] == "Index rebuilt: 412 files.\n\n---\n\ncount"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "say which agent"),
        (["-p", "claude", "a", "b"], "say the agent once"),
        (["claude", "a", "--prompt", "b"], "say the prompt once"),
        (["claude", "a", "--session-db", "x.db"], "--session-db is for agent files"),
        (["claude", "a", "--timeout", "x"], "invalid duration"),
        (["default", "a", "--timeout", "5m"], "--timeout is for agents of a server"),
        (["default", "a", "-o", "json"], "--output is for agents of a server"),
        (["claude", ""], "the prompt is empty"),
        (["nope.yaml", "a"], "no such agent file or folder: nope.yaml"),
        (["./nope", "a"], "no such agent file or folder: ./nope"),
    ],
)
def test_what_does_not_go_together_is_said(there: There, words: list[str], says: str) -> None:
    from click.testing import CliRunner

    from cli.there import _main

    done = CliRunner().invoke(_main, ["exec", *words], prog_name="roost")
    assert done.exit_code in (1, 2)
    assert says in done.stderr
    assert there.api.calls() == []


def test_ctrl_c_cancels_the_session(there: There) -> None:
    there.api.hold, there.api.held = threading.Event(), WAIT
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    words = [sys.executable, "-m", "roost", "exec", "claude", "count"]
    running = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while WAIT not in [one.target for one in there.api.seen]:
        threading.Event().wait(0.01)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (130, "")
    assert "cancelled" in err
    assert there.api.calls()[-1] == ("POST", f"{P}/sessions/{SID}/cancel", {"reason": "Ctrl-C"})
    there.api.hold.set()
