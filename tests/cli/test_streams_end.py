"""Commands that follow something: they end with whoever reads them, and say when nothing can come."""

import subprocess
import sys
from pathlib import Path

import pytest

import roost
from cli.there import There
from fakes.api import SID, P
from roost.cli import hangup
from roost.cli.kinds import KINDS
from roost.doors.zag.events import TYPES

SOURCE = Path(roost.__file__).parents[1]
FOLLOWS = "import time; from roost.cli import hangup; hangup.heed(); print('on', flush=True); time.sleep(100)"


def test_a_command_that_follows_ends_with_its_reader() -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", FOLLOWS], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(SOURCE)}
    )
    assert running.stdout is not None and running.stdout.readline() == "on\n"
    running.stdout.close()
    assert running.wait(30) == hangup.BROKEN


def test_the_names_are_those_of_the_server() -> None:
    assert set(KINDS) == TYPES


@pytest.mark.parametrize("typed", [f"events {SID} --type", f"listen {SID} --filter usage,", f"watch {SID} --once --on"])
def test_a_type_that_never_comes_is_told(there: There, typed: str) -> None:
    there.api.frames = lambda _: [1000]
    there.api.answers[f"GET {P}/sessions/{SID}/events"] = (200, [])
    *words, last = typed.split()
    last, name = (last, "session_end") if last.startswith("--") else ("", f"{last}session_end")
    said = there.run(*words, *([last] if last else []), name).stderr
    assert "no event is of the type 'session_end', as far as is known here: did you mean session_ended?" in said


def test_nothing_to_print_is_told(there: There) -> None:
    there.api.answers[f"GET {P}/sessions/{SID}/events"] = (200, [])
    done = there.run("events", SID, "--type", "usage")
    assert (done.stdout, done.stderr) == ("", "no events\n")
