"""Commands on a machine without a server start one, once, and say so."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.there import There
from roost.cli import background
from roost.cli.background import NotStarted, start
from roost.client import local

SERVER = """
import json, os, socket, sys, time
home = sys.argv[1]
print("begins", flush=True)
sock = socket.socket(socket.AF_UNIX)
sock.bind(home + "/run/serve.sock")
sock.listen()
with open(home + "/started", "a") as file:
    file.write(f"{os.getpid()} {os.getsid(0)} {os.environ.get('ROOST_CONNECT_TOKEN')}\\n")
with open(home + "/serve.json.new", "w") as file:
    json.dump({"pid": os.getpid(), "address": "unix://" + home + "/run/serve.sock", "token": "t"}, file)
os.rename(home + "/serve.json.new", home + "/serve.json")
while True:
    sock.accept()[0].close()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ROOST_CONNECT_TOKEN", "secret")
    folder = tmp_path / "h"
    yield folder
    for one in started(folder):
        os.kill(one, signal.SIGKILL)


def started(home: Path) -> list[int]:
    path = home / "started"
    return [int(line.split()[0]) for line in path.read_text().splitlines()] if path.exists() else []


def command(home: Path) -> list[str]:
    return [sys.executable, "-c", SERVER, str(home)]


def test_it_is_started_and_found_from_then_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = start(home, command(home))
    assert (found.url, found.token) == (f"unix://{home}/run/serve.sock", "t")
    assert capsys.readouterr().err == f"starting a server for this machine (its log: {home}/logs/serve.log)\n"
    assert (home / "logs" / "serve.log").read_text() == "begins\n"
    assert start(home, ["false"]) == found == local.find(home)
    [line] = (home / "started").read_text().splitlines()
    pid, session, token = line.split()
    assert (session, token) == (pid, "None")  # Ctrl-C in this terminal is not for it, and neither are our tokens


def test_two_commands_at_once_start_one(home: Path) -> None:
    found = []
    both = [threading.Thread(target=lambda: found.append(start(home, command(home)))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(30)
    assert len(started(home)) == 1
    assert found[0] == found[1]


def test_one_whose_place_was_taken_is_found_when_the_other_has_ended(home: Path) -> None:
    first = start(home, command(home))
    (home / "serve.json").unlink()  # as `roost serve` does that was started and ended since
    assert start(home, ["false"]).url == first.url
    assert len(started(home)) == 1


def test_one_that_another_server_was_faster_than_ends_again(home: Path, there: There) -> None:
    record = {"pid": os.getpid(), "address": there.api.url, "token": there.api.token}
    faster = f"""
import os, sys, time
with open({str(home / "started")!r}, "a") as file:
    file.write(str(os.getpid()) + " ")
with open({str(home / "serve.json")!r}, "w") as file:
    file.write({json.dumps(record)!r})
time.sleep(60)
"""
    assert start(home, [sys.executable, "-c", faster]).url == there.api.url
    [pid] = started(home)
    (home / "started").unlink()
    give_up = time.monotonic() + 30
    while local.alive(pid):  # somebody else may have asked how it ended
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_one_that_ends_at_once_says_why(home: Path) -> None:
    with pytest.raises(NotStarted, match="ended at once:\n    the port is taken"):
        start(home, [sys.executable, "-c", "import sys; sys.exit('the port is taken')"])


def test_one_that_never_listens_is_given_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "START_SECONDS", 0.3)
    with pytest.raises(NotStarted, match="did not listen within"):
        start(home, [sys.executable, "-c", "import time; time.sleep(60)"])


def test_a_record_of_a_server_that_does_not_answer_is_no_server(home: Path) -> None:
    home.mkdir()
    stale = {"pid": os.getpid(), "address": f"unix://{home}/gone.sock"}
    (home / "serve.json").write_text(json.dumps(stale))
    assert start(home, command(home)).url.endswith("serve.sock")


def test_a_command_uses_the_server_that_runs(there: There, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (there.home / "connect.json").unlink()
    record = {"pid": os.getpid(), "address": there.api.url, "token": there.api.token}
    (there.home / "serve.json").write_text(json.dumps(record))
    done = there.run("spawn", "hi", "-r", "sub", "--add-dir", "/x")
    assert done.stderr == ""
    [(_, _, body)] = there.api.calls()
    assert body == {"prompt": "hi", "root": f"{tmp_path}/sub", "add_dirs": ["/x"]}
    there.api.seen.clear()
    there.run("spawn", "hi")
    assert there.api.calls()[0][2]["root"] == str(tmp_path)
    assert there.run("whoami").stdout.count("this machine") == 1


def test_a_command_starts_what_the_command_line_serves(tmp_path: Path) -> None:
    words = background._command(tmp_path)
    address = f"unix://{tmp_path}/run/serve.sock"
    assert words[1:] == ["-P", "-m", "roost", "serve", "--listen", address, "--idle-exit", "10m"]
    assert subprocess.run([*words[:5], "--help"], capture_output=True, timeout=60).returncode == 0
