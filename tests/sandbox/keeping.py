"""What a keeper does for a run, as far as a sandbox needs it: files, programs beside, the program, the rest."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from roost.ports import Launch

REPORT = """
import json, os, sys
def tried(what):
    try:
        return what()
    except Exception as error:
        return type(error).__name__
"""


@contextmanager
def started(launch: Launch, folder: Path, **pipes: Any) -> Iterator[subprocess.Popen[str]]:
    """The program, running; at the end nothing of it is left."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, text in launch.files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    beside = [subprocess.Popen(argv, cwd="/", env=launch.env, start_new_session=True) for argv in launch.beside]
    ends = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | pipes
    program = subprocess.Popen(launch.argv, cwd=launch.cwd, env=launch.env, text=True, start_new_session=True, **ends)
    try:
        yield program
    finally:
        for child in (program, *beside):
            if child.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        if inner := inner_pid(folder):
            with suppress(ProcessLookupError):
                os.kill(inner, signal.SIGKILL)
        for argv in launch.after:
            subprocess.run(argv, env=launch.env, capture_output=True, check=False)


def inner_pid(folder: Path) -> int:
    """The first process of bubblewrap's namespace, seen from here, while it runs; 0 where it does not."""
    with suppress(OSError):
        told = [json.loads(line) for line in (folder / "inner.json").read_text().splitlines()]
        if told and not any("exit-code" in each for each in told):
            return int(told[0]["child-pid"])
    return 0


def finished(launch: Launch, folder: Path, *, feed: str = "") -> subprocess.CompletedProcess[str]:
    """The program, run to its end."""
    with started(launch, folder, stdin=subprocess.PIPE) as program:
        out, err = program.communicate(feed, timeout=60)
        return subprocess.CompletedProcess(launch.argv, program.returncode, out, err)


def python(code: str) -> tuple[str, ...]:
    """A program that runs some Python, on the interpreter that is there inside."""
    interpreter = Path(sys.base_prefix, "bin", Path(os.path.realpath(sys.executable)).name)
    return (str(interpreter), "-I", "-S", "-c", REPORT + code)
