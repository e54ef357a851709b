"""Help: readable at 80 columns, complete, and quick to come."""

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from roost import __version__
from roost.cli import demo, lazy
from roost.cli.main import COMMANDS, roost

HEAVY = ("asyncio", "anyio", "httpx2", "pydantic", "mcp", "apsw", "uvicorn", "starlette", "structlog", "yaml")


def commands(command: click.Command, *path: str) -> list[tuple[str, ...]]:
    found = [path]
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            inner = command.get_command(ctx, name)
            assert inner is not None
            found += commands(inner, *path, name)
    return found


@pytest.mark.parametrize("path", commands(roost), ids=" ".join)
def test_help_fits_80_columns(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(roost, [*path, "--help"], terminal_width=80, prog_name="roost")
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Usage: roost")
    assert max(map(len, done.output.splitlines())) <= 80


def test_the_first_page_names_every_command_but_hidden_ones() -> None:
    done = CliRunner().invoke(roost, ["--help"])
    shown = {line.split()[0] for line in done.output.split("Commands:")[1].splitlines() if line.startswith("  ")}
    assert {name for name, entry in COMMANDS.items() if not entry.hidden} <= shown
    assert "demo" not in shown


def test_what_the_first_page_says_is_what_the_command_says() -> None:
    for name, entry in COMMANDS.items():
        command = entry.load()
        assert command.get_short_help_str(limit=100).rstrip(".") == entry.help.rstrip("."), name


def test_the_version() -> None:
    assert CliRunner().invoke(roost, ["--version"]).output == f"roost {__version__}\n"


def modules_after(*arguments: str) -> set[str]:
    """The modules that a command has loaded by its end."""
    script = (
        "import atexit, json, sys\n"
        "from roost.cli.main import main\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['roost', *{list(arguments)!r}]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("completion", "bash"),
        ("model", "status"),
        ("serve", "api", "--help"),
        ("exec", "--help"),
        ("nonsense",),
    ],
    ids=" ".join,
)
def test_what_needs_no_server_loads_none(arguments: tuple[str, ...]) -> None:
    assert modules_after(*arguments).isdisjoint(HEAVY)


def test_what_is_loaded_when_it_is_named_is_there() -> None:
    for name in lazy.__all__:
        assert getattr(lazy, name).__name__.startswith("roost."), name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = lazy.nothing


def test_help_loads_the_command_line_alone() -> None:
    """How long that takes is measured in bench/; what it would take long for is not there."""
    loaded = modules_after("--help")
    assert {name for name in loaded if name.partition(".")[0] == "roost"} == {
        *("roost", "roost.cli", "roost.cli.lazy", "roost.cli.main"),
        *("roost.core", "roost.core.errors"),
    }
    assert len(loaded) < 200  # 120 here, and each release of Python has others


def test_the_demo_says_where_to_go_on() -> None:
    told = demo.GO_ON.format(address="127.0.0.1:8080").splitlines()
    assert "    http://127.0.0.1:8080/" in told
    assert "    roost run demo --remote http://127.0.0.1:8080" in told
