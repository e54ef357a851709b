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

ASIDE = """
import sys
from roost.cli import main, show
from roost.core.errors import BadValue

show.note("said: \\x1b]52;c;cm0K\\x07")
main._fail(BadValue("wrong: \\x9b2J\\x1b[2J"))
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


def on_a_terminal(script: str, *, until: bytes, typed: bytes = b"") -> bytes:
    """What a script shows at stderr, which is a terminal, while stdout goes elsewhere."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL, env=ENV
    )
    os.close(theirs)
    try:
        shown = b""
        while until not in shown:
            shown += os.read(ours, 1024)
        if typed:
            os.write(ours, typed)
        process.wait(60)
    finally:
        process.kill()
        os.close(ours)
    return shown


def test_a_question_of_a_tool_server_does_not_order_the_terminal_about() -> None:
    script = SCRIPT.replace('"Run it? "', 'f"{chr(27)}]52;c;cm0K{chr(7)}{chr(155)}2JYour name? "')
    shown = on_a_terminal(script, until=b"name? ", typed=b"me\n")
    assert b"\x1b" not in shown
    assert b"\x07" not in shown
    assert "\x9b" not in shown.decode()


def test_nor_do_notes_and_errors_where_only_stderr_is_a_terminal() -> None:
    shown = on_a_terminal(ASIDE, until=b"2J\xef\xbf\xbd[2J")
    assert b"\x1b" not in shown
    assert b"\x07" not in shown
    assert "\x9b" not in shown.decode()
