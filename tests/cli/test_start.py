"""A command that asks a server starts fast: it loads what it needs, and no more."""

import resource
import subprocess
import sys

from cli.test_help import HEAVY, modules_after
from cli.there import There
from fakes.api import SID

NOT_FOR_A_PIPE = ("rich", "websockets", "subprocess", "tomllib", "roost.compose")


def test_a_question_and_its_answer_load_little(there: There) -> None:
    for words in (("status", SID), ("spawn", "hi"), ("session", "list"), ("wait", SID)):
        loaded = modules_after(*words)
        assert loaded.isdisjoint({*HEAVY, *NOT_FOR_A_PIPE}), words


def test_spawn_takes_less_than_three_tenths_of_a_second(there: There) -> None:
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "roost", "spawn", "hi"], capture_output=True, timeout=60, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(took) < 0.3
