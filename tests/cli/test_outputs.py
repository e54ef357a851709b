"""What commands print, on a pipe and on a terminal, and how they end."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import roost
from cli.there import There
from fakes.api import LOG, OTHER, SID, WAIT, WAITING, P, entry, event
from fakes.line import line

SOURCE = Path(roost.__file__).parents[1]
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(there: There, *words: str, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """A command in a process of its own whose stdin, stdout and stderr are a terminal."""
    near, far = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "roost", *words],
        stdin=far,
        stdout=far,
        stderr=far,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "xterm-256color", "COLUMNS": "120", **(env or {})},
    )
    os.close(far)
    seen = b""
    try:
        while chunk := os.read(near, 65536):
            seen += chunk
    except OSError:
        pass  # the other end is closed
    finally:
        os.close(near)
    return running.wait(60), seen.decode().replace("\r\n", "\n")


# -- on a pipe ----------------------------------------------------------------------------------


def test_a_list_is_plain_columns_that_grep_and_cut_like(there: There) -> None:
    head, first, second = there.run("session", "list").stdout.splitlines()
    assert head.split() == ["ID", "NAME", "PROVIDER", "MODEL", "STATUS", "CREATED", "TAGS", "FOLDER"]
    assert first.split() == [
        SID,
        "indexer",
        "claude",
        "sonnet",
        "completed",
        "2026-05-16T09:12:01Z",
        "nightly",
        "/srv/app",
    ]
    assert second.split()[:2] == [OTHER, "-"]
    assert head.index("STATUS") == first.index("completed") == second.index("running")


def test_a_list_has_what_each_session_is_at_and_on_which_model(there: There) -> None:
    row = {
        "id": OTHER,
        "title": "Tidy up",
        "state": "waiting",
        "provider": "fast",
        "source": "crew",
        "model": "fast/one",
    }
    there.api.answers["GET /api/sessions"] = (200, [{**row, "working_dir": "/srv/b"}])
    _, line = there.run("session", "list").stdout.splitlines()
    assert re.split(r"  +", line)[:5] == [OTHER, "Tidy up", "crew", "fast/one", "waiting"]
    assert line.endswith("/srv/b")
    assert [target for _, target, _ in there.api.calls()] == ["/api/sessions?detail=full"]


def test_a_list_is_sifted_by_what_it_shows(there: There) -> None:
    row = {"provider": "claude", "source": "crew", "tags": ["Nightly"], "name": "a", "title": "A", "state": "waiting"}
    rows = [{"id": SID, **row}, {"id": OTHER, **row, "tags": [], "state": "idle", "title": "B", "source": ""}]
    there.api.answers["GET /api/sessions"] = (200, rows)
    for words in ("--tag nightly", "--status waiting", "-p crew", "--name A"):
        assert [line.split()[0] for line in there.run("session", "list", *words.split()).stdout.splitlines()[1:]] == [
            SID
        ], words
    assert there.run("session", "list", "-p", "claude", "-n", "1").stdout.count(SID) == 1
    assert "is not one of 'running', 'waiting'" in there.run("session", "list", "--status", "well", code=2).stderr
    there.api.answers[f"GET {P}/sessions"] = (200, [entry(status="idle"), entry(OTHER, status="dead")])
    found = json.loads(there.run("session", "list", "--status", "waiting", "--json").stdout)
    assert [one["session_id"] for one in found] == [SID]
    assert OTHER in there.run("session", "list", "--status", "dead").stdout


def test_of_several_that_are_to_be_deleted_one_that_runs_stays(there: There) -> None:
    there.api.answers[f"DELETE {P}/sessions/{OTHER}"] = (409, {"error": "session is already processing a request"})
    done = there.run("session", "delete", OTHER, SID, code=1)
    assert done.stdout == f"{SID}  deleted\n"
    assert done.stderr == (
        f"roost: {OTHER}: session is already processing a request; `roost cancel {OTHER}` ends what it does\n"
    )


def test_nothing_is_nothing_on_stdout(there: There) -> None:
    there.api.answers[f"GET {P}/sessions"] = (200, [])
    done = there.run("session", "list")
    assert (done.stdout, done.stderr) == ("", "no sessions\n")
    assert there.run("-q", "session", "list").stderr == ""
    assert json.loads(there.run("session", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("session list", [entry(), entry(OTHER)]),
        (f"session show {SID}", {**entry(), "a newer field": 1}),
        (f"status {SID}", {"session_id": SID, "status": "idle", "mood": "good"}),
        ("ps", [{"id": "p", "what": 1}]),
        ("user list", [{"username": "ann", "x": None}]),
    ],
)
def test_json_is_the_servers_answer_whole(there: There, typed: str, answer: Any) -> None:
    method, target, _ = there.asked(*typed.split(), "--json")[0]
    there.api.answers[f"{method} {target}"] = (200, answer)
    assert json.loads(there.run(*typed.split(), "--json").stdout) == answer


def test_a_session_in_lines(there: There) -> None:
    there.api.answers[f"GET {P}/sessions/{SID}/status"] = (
        200,
        {"session_id": SID, "status": "running", "provider": "claude", "waits": 2, "waiting_on": [OTHER]},
    )
    lines = there.run("status", SID).stdout.splitlines()
    assert [re.split(r"\s{2,}", one, maxsplit=1) for one in lines] == [
        ["session", SID],
        ["status", "running"],
        ["provider", "claude"],
        ["waits for", OTHER],
        ["waits for you", "2: see `roost approvals`"],
    ]


def test_spawn_prints_the_id_and_nothing_else(there: There) -> None:
    assert there.run("spawn", "hi").stdout == f"{SID}\n"
    assert json.loads(there.run("spawn", "hi", "--json").stdout)["pid"] == 48213


def test_a_prompt_may_come_from_a_pipe_and_from_files(there: There, tmp_path: Path) -> None:
    (tmp_path / "plan.md").write_text("First this.\n")
    (tmp_path / "a.txt").write_text("alpha\n")
    there.run("spawn", input="from a pipe\n")
    there.run("spawn", "-", input="dash\n")
    there.run("spawn", "look", "--file", str(tmp_path / "a.txt"), "--plan", str(tmp_path / "plan.md"))
    assert [one[2]["prompt"] for one in there.api.calls()] == [
        "from a pipe",
        "dash",
        f'<file path="{tmp_path}/a.txt">\nalpha\n</file>\n\nFollow this plan:\n\nFirst this.\n\nlook',
    ]


def test_a_result_is_printed_as_it_is(there: There) -> None:
    there.api.answers[f"GET {P}/sessions/{SID}/output"] = (200, {"session_id": SID, "result": "one\n\x1b[31mtwo"})
    assert there.run("output", SID).stdout == "one\n\x1b[31mtwo\n"


def test_no_result_is_a_failure(there: There) -> None:
    there.api.answers[f"GET {P}/sessions/{SID}/output"] = (404, {"error": "no result yet"})
    done = there.run("output", SID, code=1)
    assert (done.stdout, done.stderr) == ("", "roost: no result yet\n")


def test_events_as_lines_and_as_json(there: There) -> None:
    assert there.run("events", SID).stdout.splitlines() == [
        "started: claude sonnet in /srv/app",
        "> Rebuild the search index",
        '· Bash {"command": "make index"}',
        "  412",
        "Index rebuilt: 412 files.",
        "used: 5120 tokens in, 644 out, $0.0310",
        "ended: completed",
    ]
    assert "… First look." in there.run("events", SID, "--show-thinking").stdout
    assert there.run("events", SID, "--timestamps").stdout.startswith("09:12:01 started")
    assert [json.loads(one) for one in there.run("events", SID, "--json").stdout.splitlines()] == LOG
    assert there.run("events", SID, "--count").stdout == "8\n"


def test_listening_prints_as_it_comes_and_ends_with_the_session(there: There) -> None:
    assert there.run("listen", SID).stdout == there.run("events", SID).stdout
    lines = there.run("listen", SID, "--json").stdout.splitlines()
    assert [json.loads(one) for one in lines] == LOG
    assert "\x1b[36mstarted" in there.run("listen", SID, "--rich-text").stdout


def test_what_waits_for_a_person_shows_in_the_stream(there: There) -> None:
    asked = {"wait_id": WAIT, "kind": "approval", "tool_name": "Bash"}
    there.api.frames = lambda _: [event(1, "provider_status", message="Waiting for approval of Bash", data=asked), 1000]
    assert there.run("listen", SID).stdout == f"? Waiting for approval of Bash: roost approve {WAIT[:8]}\n"


def test_all_sessions_are_told_apart(there: There) -> None:
    there.api.frames = lambda _: [event(1, "user_message", content="a"), event(1, "stderr", OTHER, message="b"), 1000]
    assert there.run("subscribe").stdout.splitlines() == [f"{SID[:8]} > a", f"{OTHER[:8]} ! b"]


def test_results_of_several(there: There) -> None:
    there.api.answers[f"POST {P}/sessions/collect"] = (
        200,
        [
            {"session_id": SID, "name": "indexer", "status": "completed", "result_text": "412 files."},
            {"session_id": OTHER, "status": "failed", "error": "cancelled: superseded"},
        ],
    )
    assert there.run("collect", SID, OTHER).stdout.splitlines() == [
        f"{SID}  completed  indexer",
        "412 files.",
        "",
        f"{OTHER}  failed",
        "error: cancelled: superseded",
    ]


def test_variables_for_the_shell(there: There) -> None:
    assert there.run("env", SID).stdout.splitlines()[1] == "ZAG_ROOT=/srv/my app"
    assert there.run("env", SID, "--shell").stdout.splitlines()[1] == "export ZAG_ROOT='/srv/my app'"


def test_matches_are_a_line_each_and_none_is_a_failure(there: There) -> None:
    assert there.run("search", "index").stdout == f"{SID}  claude  tool_call  make index\n"
    assert there.run("search", "index", "--count").stdout == "1\n"
    there.api.answers[f"POST {P}/search"] = (200, {"status": "ok", "count": 0})
    assert there.run("search", "index", code=1).stdout == ""


def test_the_rest_says_what_it_did(there: There) -> None:
    assert there.run("session", "delete", SID).stdout == f"{SID}  deleted\n"
    assert there.run("session", "import").stdout == "3 imported\n"
    assert "nothing was removed" in there.run("gc").stderr
    assert there.run("config", "provider").stdout == "claude\n"
    assert "resume    yes" in there.run("capability", "claude").stdout
    assert "claude    sonnet   sonnet, opus" in there.run("discover").stdout
    assert "tidy" in there.run("skills", "list").stdout
    assert "npx -y" in there.run("mcp", "list").stdout
    assert "Bash 2, Edit 1" in there.run("summary", SID, "--stats").stdout
    assert there.run("pipe", SID, "--", "merge").stdout == "Merged.\n"
    assert there.run("review", "--uncommitted").stdout == "Looks fine.\n"
    assert there.run("approve", WAIT).stdout == 'allowed: Bash {"command":"rm x"}\n'
    assert WAIT in there.run("approvals").stdout
    assert "1.2.3" in there.run("whoami").stdout
    assert there.run("retry", SID).stdout == f"{SID}  {OTHER}\n"
    assert there.run("broadcast", "hi").stdout == f"{SID}  sent\n"
    assert there.run("ps", "kill", "p", code=1).stderr == "roost: Session not found\n"


# -- exit codes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "code", "says"),
    [
        ([(True, None)], 0, "completed"),
        ([(True, None), (False, "exited with code 3")], 1, "failed  exited with code 3"),
        ([(True, None), (False, "timeout")], 124, "still running"),
        ([(False, "boom"), (False, "timeout")], 124, "still running"),
        ([], 0, ""),
    ],
)
def test_waiting_ends_as_the_sessions_do(there: There, results: list[Any], code: int, says: str) -> None:
    found = [{"session_id": SID, "success": success, "error": error} for success, error in results]
    there.api.answers[f"POST {P}/sessions/wait"] = (200, found)
    assert says in there.run("wait", SID, code=code).stdout
    lines = there.run("wait", SID, "--json", code=code).stdout.splitlines()
    assert [json.loads(one) for one in lines] == found


def test_waiting_outlives_the_server(there: There) -> None:
    there.api.hold = threading.Event()
    with line(there.api.url) as wire:
        there.connect(url=f"http://127.0.0.1:{wire.port}")

        def restart() -> None:
            for _ in range(2):
                before = len(there.api.calls())
                while len(there.api.calls()) == before:
                    threading.Event().wait(0.01)
                wire.cut()
            assert there.api.hold is not None
            there.api.hold.set()

        cutting = threading.Thread(target=restart)
        cutting.start()
        done = there.run("--no-health-check", "wait", SID, "--timeout", "10m")
        cutting.join(10)
    assert done.stdout == f"{SID}  completed\n"
    assert done.stderr.count("trying again") == 1  # however often it is cut
    first, second, *_ = [body for _, _, body in there.api.calls()]
    assert (first["timeout"], second["timeout"]) == ("10m", "600s")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("wait", "say which sessions"),
        ("sesion list", "no such command 'sesion': did you mean session or send?"),
        ("status", "say which session"),
        (f"status {SID} --latest", "say which session"),
        ("spawn  --timeout 5ms", "invalid duration"),
        (f"wait {SID} --timeout 0s", "invalid duration"),
        ("gc --older-than 7w", "invalid age"),
        ("discover --resolve small", "--resolve needs --provider"),
        ("log hello", "this runs in none"),
        (f"log hello --session {SID} --data x", "--data is no JSON"),
        (f"session update {SID}", "say what to change"),
        (f"session budget {SID}", "say what it may spend"),
        (f"session budget {SID} --none --max-cost 1", "say what it may spend"),
        (f"session budget {SID} --max-cost 0", "0"),
        (f"pipe {SID}", "the prompt is empty"),
        ("approve --always --tool", "--always means every tool"),
        ("mcp add x", "say either --url"),
        ("watch --on x --filter y", "write --filter KEY=VALUE"),
        ("review", "say what to look at"),
        ("user add --home-dir /x --password p", "say the name once"),
        ("user passwd ann --password=", "the password is empty"),
        ("ps kill self", "`self` means something inside a session only"),
        ("answer x []", "is no JSON object"),
        ("spawn hi --mcp-config {", "--mcp-config"),
    ],
)
def test_a_mistake_is_said_before_anything_is_asked(there: There, typed: str, says: str) -> None:
    done = _run(there, typed)
    assert done.exit_code in (1, 2)
    assert says in done.stderr
    assert not there.api.calls()


def _run(there: There, typed: str) -> Any:
    from click.testing import CliRunner

    from cli.there import _main

    return CliRunner().invoke(_main, typed.split(" "), prog_name="roost")


def test_one_that_can_not_be_cancelled_does_not_save_the_others(there: There) -> None:
    done = there.run("cancel", OTHER, SID, code=1)
    assert done.stdout.splitlines() == [f"{OTHER}  Session not found", f"{SID}  cancelled"]


def test_what_could_not_be_started_again_is_a_failure(there: There) -> None:
    there.api.answers[f"POST {P}/sessions/retry"] = (
        200,
        [{"original_session_id": SID, "new_session_id": None, "retried": False, "error": "no prompt"}],
    )
    assert there.run("retry", SID, code=1).stdout == f"{SID}  not started  no prompt\n"


def test_a_failed_pipe_is_a_failure(there: There) -> None:
    there.api.answers[f"POST {P}/sessions/pipe"] = (
        200,
        {"agent": "claude", "session_id": SID, "events": [], "is_error": True, "error_message": "boom"},
    )
    assert there.run("pipe", SID, "--", "merge", code=1).stderr == "failed: boom\n"


def test_several_things_wait_and_one_has_to_be_named(there: There) -> None:
    there.api.answers["GET /api/waits"] = (200, [WAITING, {**WAITING, "id": "1f3b"}])
    both = f'{WAIT[:8]} (Bash {{"command":"rm x"}}), 1f3b (Bash {{"command":"rm x"}})'
    assert there.run("approve", code=1).stderr == f"roost: 2 things wait, say which: {both}\n"
    assert f"2 begin with '{SID[:6]}'" in there.run("approve", SID[:6], code=1).stderr
    assert "2 begin with '1f': 1f" in there.run("approve", "1f", code=1).stderr
    assert "nothing that waits begins with 'zz'" in there.run("approve", "zz", code=1).stderr
    assert there.run("approve", "1f3b", code=1).stderr == "roost: Session not found\n"  # its answer has no row here


def test_what_waits_in_a_session_is_named_by_the_session(there: There) -> None:
    there.api.answers["GET /api/waits"] = (200, [WAITING, {**WAITING, "id": "1f3b", "session_id": OTHER}])
    asked = there.asked("approve", SID[:6])
    assert asked[-1][:2] == ("POST", f"/api/waits/{WAIT}")


def test_a_session_that_waits_for_somebody_says_so(there: There) -> None:
    there.api.answers[f"GET {P}/sessions/{SID}/status"] = (200, {"session_id": SID, "status": "idle", "waits": 1})
    assert re.search(r"^status +waiting$", there.run("status", SID).stdout, re.MULTILINE)


def test_verbose_says_what_is_asked(there: There) -> None:
    said = there.run("-v", "status", SID).stderr
    assert f"server: {there.api.url}" in said
    assert re.search(rf"GET {P}/sessions/{SID}/status 200 \d+ ms", said)


# -- on a terminal --------------------------------------------------------------------------------


def test_a_terminal_gets_a_table_in_colour(there: There) -> None:
    code, seen = on_a_terminal(there, "session", "list")
    assert code == 0
    assert "\x1b[32mcompleted" in seen
    plain = ESCAPE.sub("", seen)
    assert SID[:8] in plain
    assert SID not in plain
    assert "2026-05-16" in plain  # long ago


def test_what_a_terminal_shows_fits_it(there: There) -> None:
    long = {"title": "Tidy up all that was ever left lying about", "provider": "claude", "model": "claude/opus"}
    now = datetime.now(UTC) - timedelta(minutes=3)
    more = {"state": "waiting", "tags": ["nightly"], "working_dir": "/srv/a/very/long/way/down/to/here"}
    row = {"id": SID, "created_at": now.isoformat(), **long, **more}
    there.api.answers["GET /api/sessions"] = (200, [row, {**row, "id": OTHER}])
    for columns in (60, 80, 120, 200):
        _, seen = on_a_terminal(there, "session", "list", env={"COLUMNS": str(columns), "NO_COLOR": "1"})
        lines = seen.splitlines()
        assert len(lines) == 3 and max(map(len, lines)) <= columns, seen
        assert SID[:8] in lines[1] and "waiting" in lines[1] and "3m ago" in lines[1]
    assert "/srv/a/very/long/way/down/to/here" in seen and "opus" in seen and "claude/opus" not in seen


def test_a_terminal_gets_the_newest_and_is_told_of_the_others(there: There) -> None:
    rows = [{"id": f"{n:08}-0000", "title": "x", "state": "idle"} for n in range(120)]
    there.api.answers["GET /api/sessions"] = (200, rows)
    _, seen = on_a_terminal(there, "session", "list", env={"NO_COLOR": "1"})
    assert len(seen.splitlines()) == 52
    assert "the newest 50 of 120: `-n 120` shows all" in seen
    assert len(there.run("session", "list").stdout.splitlines()) == 121


def test_no_color_is_obeyed(there: There) -> None:
    _, seen = on_a_terminal(there, "status", SID, env={"NO_COLOR": "1"})
    assert "\x1b[3" not in seen
    _, seen = on_a_terminal(there, "status", SID)
    assert "\x1b[36mrunning" in seen


def test_what_a_session_says_does_not_steer_the_terminal(there: There) -> None:
    there.api.answers[f"GET {P}/sessions/{SID}/output"] = (200, {"session_id": SID, "result": "a\x1b]0;evil\x07b"})
    there.api.answers[f"GET {P}/sessions"] = (200, [entry(name="x\x1b[2Jy")])
    assert "\x1b]" not in on_a_terminal(there, "output", SID)[1]
    assert "\x1b[2J" not in on_a_terminal(there, "session", "list")[1]


def test_a_terminal_sees_that_it_waits_and_what_waits_for_it(there: There) -> None:
    there.api.hold = threading.Event()

    def go_on() -> None:
        while "/api/waits?detail=full" not in [one.target for one in there.api.seen]:
            threading.Event().wait(0.01)
        assert there.api.hold is not None
        there.api.hold.set()

    looking = threading.Thread(target=go_on)
    looking.start()
    code, seen = on_a_terminal(there, "--no-health-check", "wait", SID)
    looking.join(10)
    assert code == 0
    assert "waiting" in seen
    assert f"{SID}  completed" in seen


def test_a_password_is_read_from_a_pipe(there: There) -> None:
    done = there.run("user", "passwd", "ann", input="long enough\n")
    assert [body for *_, body in there.api.calls()][-1] == {"username": "ann", "password": "long enough"}
    assert "Password" not in done.output
    assert "on stdin" in there.run("user", "passwd", "ann", input="", code=2).stderr
