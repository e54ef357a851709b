"""What `roost serve` shows a person at a terminal: a link, and a code that a phone can read."""

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.front import Yard, opened


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with opened(tmp_path) as found:
        yield found


def shown(yard: Yard, *flags: str, until: str) -> str:
    """What stands on a terminal, up to some words."""
    ours, theirs = os.openpty()
    argv = [sys.executable, "-m", "roost", "serve", *flags]
    process = subprocess.Popen(argv, env=yard.env({"TERM": "xterm"}), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, due = b"", time.monotonic() + 30
    try:
        while until.encode() not in seen and time.monotonic() < due:
            if select.select([ours], [], [], 1.0)[0]:
                seen += os.read(ours, 65536)
    finally:
        process.terminate()
        process.wait(20)
        os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())


def test_a_terminal_shows_a_link_and_its_code(yard: Yard) -> None:
    text = shown(yard, "--port", "0", until="makes another")
    link = re.search(r"https://\S+/#pair=[\w-]{22}", text)
    assert link is not None, text
    assert "█▀" in text or "▀█" in text
    assert "0.0.0.0" not in link[0]


def test_a_proxy_has_its_own_address(yard: Yard) -> None:
    flags = ("--port", "0", "--host", "127.0.0.1", "--insecure-http", "--public-url", "https://roost.example")
    text = shown(yard, *flags, until="makes another")
    assert "https://roost.example/#pair=" in text


def test_whoever_wants_none_is_shown_none(yard: Yard) -> None:
    text = shown(yard, "--port", "0", "--no-qr", until="Agents:")
    assert "#pair=" not in text


def test_the_original_command_shows_it_too_where_it_has_a_token(yard: Yard) -> None:
    flags = (
        "api",
        "default",
        "--listen",
        "127.0.0.1:0",
        "--auth-token",
        "t",
        "--session-db",
        str(yard.folder / "x.db"),
    )
    assert "http://127.0.0.1:" in shown(yard, *flags, until="makes another")
