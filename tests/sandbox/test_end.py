"""How a program in a sandbox ends: wholly, whoever it started and however it is killed."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.conftest import BUBBLEWRAP_ALONE, Cell
from sandbox.keeping import inner_pid, python, started

FAMILY = """
import signal, subprocess, time
stubborn = "trap '' INT TERM HUP; echo MARK > /dev/null; while :; do tail -f /dev/null; done"
subprocess.Popen(["setsid", "sh", "-c", stubborn], start_new_session=True)
print("up", flush=True)
sys.stdin.read()
"""


def bearing(mark: str) -> list[int]:
    """The processes of this machine with this word on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "cmdline").read_bytes().decode(errors="replace"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def until(what: Callable[[], bool], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def test_what_it_started_ends_with_it(cell: Cell) -> None:
    mark = secrets.token_hex(8)
    launch = cell.launch(*python(FAMILY.replace("MARK", mark)))
    with started(launch, cell.run, stdin=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        assert program.stdout.readline() == "up\n"
        assert bearing(mark)
        program.stdin.close()
        assert program.wait(20) == 0
        until(lambda: not bearing(mark))


@BUBBLEWRAP_ALONE
def test_killing_the_namespaces_first_process_ends_all_of_it(make_cell: Callable[[Path], Cell], tmp_path: Path) -> None:
    cell = make_cell(tmp_path)
    mark = secrets.token_hex(8)
    launch = cell.launch(*python(FAMILY.replace("MARK", mark)))
    with started(launch, cell.run, stdin=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        program.kill()
        program.wait(20)
        assert bearing(mark), "killing bubblewrap alone is said not to be enough"
        os.kill(inner_pid(cell.run), signal.SIGKILL)
        until(lambda: not bearing(mark))


POLITE = """
import signal, time
def bye(number, frame):
    os.write(1, b"bye %d\\n" % number)
    os._exit(5)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, bye)
print("up", flush=True)
while True:
    time.sleep(1)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("networked", [False, True])
def test_a_signal_reaches_the_program_and_its_last_words_are_heard(cell: Cell, number: int, networked: bool) -> None:
    launch = cell.launch(*python(POLITE), endpoints=("model.invalid:443",) if networked else ())
    with started(launch, cell.run) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        if cell.sandbox.kind == "bubblewrap":  # a keeper signals the group, which is all of it
            os.killpg(program.pid, number)
        else:
            os.kill(program.pid, number)
        assert program.stdout.readline() == f"bye {int(number)}\n"
        assert program.wait(20) == 5
