"""The programs on the page of the Python client, and the one in the README, run one after the other."""

import inspect
import os
import re
import subprocess
import sys
import typing
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from acceptance import front
from acceptance.front import Front
from docs.pages import README, ROOT, Block, blocks
from roost import Client
from roost.client import errors, table
from roost.client.board import News
from roost.client.happenings import Happening
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
    "A turn, as it happens": r'normal\n|\[shell {"cmd":"echo assistant.yaml"}\]\nHere is assistant.yaml\n?',
    "Following": r"(\d+ \w+\n)+\d+ stream_stopped\n",
    "A dashboard": r"(.*\n)*A new one new 0\n",
    "A fleet": r"(\S+ done\n){3}(completed [^\n]+\n){3}(.|\n)*Make one text of these(.|\n)*",
    "When something goes wrong": r"404 unknown_session\n",
    "Threads, notebooks, event loops": r"(You said: Hello!\n){3}",
}


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: f"{block.heading}-{PROGRAMS.index(block)}")
def test_a_program_of_the_page_runs(served: Front, tmp_path: Path, block: Block) -> None:
    said = run(block.text, served, tmp_path)
    assert re.fullmatch(SAYS.get(block.heading, r"(.|\n)*"), said), said


def test_the_programs_of_the_page_are_typed(tmp_path: Path) -> None:
    for place, block in enumerate(PROGRAMS):
        (tmp_path / f"program{place}.py").write_text(block.text)
    words = ("--strict", "--follow-imports=silent", "--scripts-are-modules", f"--cache-dir={tmp_path / 'cache'}")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, *sorted(tmp_path.glob("*.py"))],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout


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
    assert set(errors.__all__) >= there
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)) == there


def test_the_methods_that_are_named_are_there() -> None:
    named = set(re.findall(r"client\.(\w+)\(", PAGE.read_text()))
    assert {name for name in named if not hasattr(Client, name)} == set()
    assert named & set(ROWS)


# -- the table of all methods -------------------------------------------------------------------

STREAMS = "Turns, events, the whole server"
MARK = "writes what follows -->\n"


def parameters(signature: inspect.Signature) -> str:
    """What a method is given: with `=` what may be left out."""
    names = []
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        optional = parameter.default is not parameter.empty
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in names:
            names.append("*")
        names.append(parameter.name + ("=" if optional else ""))
    return ", ".join(names)


NAMES = {str(Happening): "Happening", str(News): "News", "T": "T"}


def answer(kind: object) -> str:
    """A type as it is written in a program that has imported it."""
    if typing.get_origin(kind) is AsyncGenerator:
        return f"each `{answer(typing.get_args(kind)[0])}`"
    if str(kind) in NAMES:
        return NAMES[str(kind)]
    plain = isinstance(kind, type) and not typing.get_args(kind)
    text = kind.__name__ if plain else re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(kind))
    return text.lstrip("~").replace("NoneType", "None")


def line(name: str, signature: inspect.Signature, about: str) -> str:
    found = answer(signature.return_annotation)
    kind = found if found.startswith("each") else f"`{found}`"
    summary = about.strip().partition("\n\n")[0].replace("\n", " ")
    summary = re.sub(r"\s+", " ", summary).replace("|", "or")
    return f"| `{name}({parameters(signature)})` | {kind} | {summary} |"


def methods() -> str:
    """The tables, from the code: the rows in the order and under the headings of the table."""
    source = inspect.getsource(table.Table)
    found = []
    for heading, body in re.findall(r"# -- ([^\n]+)\n(.*?)(?=# --|\Z)", source, re.DOTALL):
        rows = [Client.__mro__[1].__dict__[name] for name in re.findall(r"^    (\w+) = Row\(", body, re.MULTILINE)]
        names = re.findall(r"^    (\w+) = Row\(", body, re.MULTILINE)
        lines = [line(name, row.signature, row.__doc__) for name, row in zip(names, rows, strict=True)]
        found.append((heading[0].upper() + heading[1:], lines))
    own = [name for name in vars(Client) if not name.startswith("_") and callable(getattr(Client, name))]
    lines = [line(name, inspect.signature(getattr(Client, name)), getattr(Client, name).__doc__) for name in own]
    tables = [(STREAMS, lines), *found]
    head = "| method | answer | |\n|---|---|---|\n"
    return "".join(f"\n### {heading}\n\n{head}" + "\n".join(lines) + "\n" for heading, lines in tables)


def test_the_table_of_all_methods_is_that_of_the_code() -> None:
    text = PAGE.read_text()
    before, mark, after = text.partition(MARK)
    if os.environ.get("ROOST_WRITE_DOCS"):
        PAGE.write_text(before + mark + methods())
        return
    assert after == methods(), "ROOST_WRITE_DOCS=1 writes it anew"
    assert all(f"| `{name}(" in after for name in ROWS)
