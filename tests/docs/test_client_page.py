"""The programs on the page of the Python client, and the one in the README, run one after the other."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance import front
from acceptance.front import Front
from docs.pages import README, ROOT, Block, blocks
from roost.client import errors
from roost.client.table import ROWS
from roost.core.errors import ServerFailed

PAGE = ROOT / "docs/client.md"
PROGRAMS = blocks(PAGE, "python")

AGENT = """\
agents:
  root:
    model: heart
    description: Knows its lines
    instruction: Say them.
    toolsets: [{type: shell}]
models:
  heart:
    provider: scripted
    model: heart
    provider_opts:
      scenario:
        turns:
          - when: (?i)files
            answers:
              - - call: {name: shell, arguments: {cmd: echo assistant.yaml}}
              - - text: "Here is {{tool}}"
          - answers: ["You said: {{user}}"]
            repeat: true
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "assistant.yaml").write_text(AGENT)
    with front.opened(folder) as yard:
        flags = ("--insecure-http", "--host", "127.0.0.1", "--token", "secret", "--enable-mock")
        yield yard.serve(*flags, "--agents", "assistant.yaml")


def run(program: str, served: Front, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program.replace("http://127.0.0.1:2100", served.address)],
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT / "src"), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SAYS = {
    "The Python client": r"You said: Hello! \d+\n",
    "Two faces": r"You said: Hello!\n",
    "Which server": r"",
    "A turn, as it happens": r'\[shell {"cmd":"echo assistant.yaml"}\]\nHere is assistant.yaml\n?',
    "Following": r"(\d+ \w+\n)+\d+ stream_stopped\n",
    "A fleet": r"(\S+ done\n){3}(completed [^\n]+\n){3}(.|\n)*Make one text of these(.|\n)*",
    "When something goes wrong": r"404 unknown_session\n",
}


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: f"{block.heading}-{PROGRAMS.index(block)}")
def test_a_program_of_the_page_runs(served: Front, tmp_path: Path, block: Block) -> None:
    said = run(block.text, served, tmp_path)
    assert re.fullmatch(SAYS.get(block.heading, r"(.|\n)*"), said), said


def test_a_follower_that_is_started_again_goes_on_where_it_was(served: Front, tmp_path: Path) -> None:
    [program] = [block.text for block in PROGRAMS if block.heading == "Following"]
    assert re.match(r"\d+ ", run(program, served, tmp_path))
    assert int((tmp_path / "seen.txt").read_text()) > 5


def test_the_program_of_the_readme_runs(served: Front, tmp_path: Path) -> None:
    [program] = [block.text for block in blocks(README, "python") if "from roost import Client" in block.text]
    theirs = 'Client("http://127.0.0.1:8080")', '"agent"'
    ours = 'Client("http://127.0.0.1:2100", token="secret")', '"assistant"'
    for given, here in zip(theirs, ours, strict=True):
        assert given in program
        program = program.replace(given, here)
    assert run(program, served, tmp_path) == "You said: Hello!\n"


def test_every_error_is_in_the_table() -> None:
    there = {
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ServerFailed)
    } - {"ServerFailed"}
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)) == there


def test_the_methods_that_are_named_are_there() -> None:
    from roost import Client

    named = set(re.findall(r"client\.(\w+)\(", PAGE.read_text()))
    assert {name for name in named if not hasattr(Client, name)} == set()
    assert named & set(ROWS)
