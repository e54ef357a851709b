"""Questions on a real terminal."""

import os
import subprocess
import sys
from pathlib import Path

import roost

SCRIPT = """
import anyio
from roost.cli.terminal import Terminal

async def main():
    terminal = Terminal()
    print(terminal.there, repr(await terminal.ask("Run it? ")) if terminal.there else "", flush=True)

anyio.run(main, backend_options={"use_uvloop": True})
"""

ENV = {**os.environ, "PYTHONPATH": str(Path(roost.__file__).parents[1])}


def test_a_person_types_an_answer() -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True, env=ENV
    )
    os.close(theirs)
    try:
        shown = b""
        while b"Run it? " not in shown:
            shown += os.read(ours, 1024)
        os.write(ours, "yés\n".encode())
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(ours)
    assert out == "True 'yés\\n'\n"


def test_without_a_terminal_nobody_is_there() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ENV, timeout=60
    )
    assert done.stdout.strip() == "False"
