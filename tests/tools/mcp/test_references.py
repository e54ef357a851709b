"""`docker:` references: by our own mapping, by Docker's gateway where there is one, or in a clear sentence."""

import json
import sys
from pathlib import Path

import pytest

from fakes.remote import lived, served, server
from roost.core.errors import ToolsetFailed
from roost.tools.builtin import Builtin
from tools.mcp.conftest import SCRIPTED, Bench, call

pytestmark = pytest.mark.anyio

DOCKER = """#!/bin/sh
if [ "$4" = --help ]; then {help}; exit; fi
shift 3
for word in "$@"; do
    echo "$word" >> {folder}/arguments
    if [ -f "$word" ]; then cp "$word" {folder}/; ls -l "$word" >> {folder}/modes; fi
done
exec {python} {server}
"""


def mapped(bench: Bench, text: str) -> None:
    bench.home.mkdir(exist_ok=True)
    (bench.home / "mcp.toml").write_text(text)


def docker(bench: Bench, tmp_path: Path, *, help: str = "echo Flags: --servers strings", **env: str) -> None:
    """A `docker` whose gateway is the scripted server, and nothing else on the PATH but the usual."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "docker"
    program.write_text(DOCKER.format(help=help, folder=tmp_path, python=sys.executable, server=SCRIPTED))
    program.chmod(0o755)
    bench.builtin = Builtin({"PATH": f"{program.parent}:/usr/bin:/bin", **env}, None, bench.home)


async def test_a_program_stands_for_it(bench: Bench) -> None:
    mapped(bench, f'[docker.time]\ncommand = "{sys.executable}"\nargs = ["{SCRIPTED}"]\nenv = {{ A = "1", B = "2" }}\n')
    async with bench.open(ref="docker:time", env={"B": "3"}) as toolset:
        found = json.loads((await call(toolset, "environment")).output)
        assert (found["A"], found["B"]) == ("1", "3")


async def test_an_address_stands_for_it(bench: Bench) -> None:
    async with lived(server().streamable_http_app()) as app, served(app) as url:
        mapped(bench, f'[docker.time]\nurl = "{url}/mcp"\ntransport = "streamable"\nheaders = {{ X-A = "1" }}\n')
        async with bench.open(ref="docker:time") as toolset:
            assert (await call(toolset, "header", name="x-a")).output == "1"


async def test_the_gateway(bench: Bench, tmp_path: Path) -> None:
    docker(bench, tmp_path, HUB_TOKEN="s3cret")
    mapped(bench, '[docker.hub.secrets]\n"hub.token" = "HUB_TOKEN"\n')
    async with bench.open(ref="docker:hub", config={"user": "ada"}) as toolset:
        assert (await call(toolset, "echo", text="hi")).output == "hi"
        arguments = (tmp_path / "arguments").read_text().split()
        assert arguments[:3] == ["--servers", "hub", "--config"]
        assert json.loads((tmp_path / "config.yaml").read_text()) == {"hub": {"user": "ada"}}
        assert (tmp_path / "secrets.env").read_text() == "hub.token=s3cret\n"
        assert {line[:10] for line in (tmp_path / "modes").read_text().splitlines()} == {"-rw-------"}
    assert not list((bench.home / "mcp").iterdir())


async def test_secrets_that_are_missing(bench: Bench, tmp_path: Path) -> None:
    docker(bench, tmp_path)
    mapped(bench, '[docker.hub.secrets]\n"hub.token" = "HUB_TOKEN"\n"hub.key" = "A_KEY"\n')
    async with bench.open(ref="docker:hub") as toolset:
        with pytest.raises(ToolsetFailed, match="these environment variables are missing: A_KEY, HUB_TOKEN"):
            await toolset.tools()


async def test_there_is_no_gateway(bench: Bench, tmp_path: Path) -> None:
    bench.builtin = Builtin({"PATH": "/nowhere"}, None, bench.home)
    async with bench.open(ref="docker:time") as toolset:
        with pytest.raises(
            ToolsetFailed, match=r"docker mcp gateway not available: docker is not installed.*mcp\.toml"
        ):
            await toolset.tools()
    docker(bench, tmp_path, help="exit 1")
    async with bench.open(ref="docker:time") as toolset:
        with pytest.raises(ToolsetFailed, match="not available: this docker has no `mcp gateway`"):
            await toolset.tools()
    bench.change(confined=True)
    async with bench.open(ref="docker:time") as toolset:
        with pytest.raises(ToolsetFailed, match="may run nothing outside of a sandbox"):
            await toolset.tools()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[docker", "mcp.toml: "),
        ("[docker.x]\nport = 1\n", "unknown field `port`"),
        ('[docker.x]\ncommand = "a"\nurl = "b"\n', "has both a command and a url"),
        ('read_only_hints = "maybe"\n', "Invalid enum value"),
    ],
)
async def test_a_mapping_that_makes_no_sense(bench: Bench, text: str, why: str) -> None:
    mapped(bench, text)
    async with bench.open(ref="docker:x") as toolset:
        with pytest.raises(ToolsetFailed, match=why):
            await toolset.tools()
