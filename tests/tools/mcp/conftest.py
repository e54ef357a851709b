"""Sessions that open tool servers, and where the real ones are."""

import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fakes.calls import Using, find
from roost.core.agents import ToolsetSpec
from roost.core.ids import SessionId
from roost.core.messages import Result
from roost.ports import Place, Toolset
from roost.tools.builtin import Builtin

SCRIPTED = Path(__file__).parents[2] / "fakes" / "toolserver.py"
EVERYTHING = "@modelcontextprotocol/server-everything"


class Bench:
    """A session; `place` can be changed before a toolset is opened."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None, **made: Any) -> None:
        self.home = folder / "home"
        self.work = folder / "work"
        self.work.mkdir()
        self.log = folder / "log"
        self.env = dict(os.environ if env is None else env)
        self.builtin = Builtin(self.env, None, self.home, **made)
        self.place = Place(SessionId(f"session_{os.getpid()}"), "root", str(self.work), lambda category: None)

    def open(self, *, name: str = "", tools: tuple[str, ...] = (), instruction: str = "", **options: Any) -> "Opened":
        spec = ToolsetSpec("mcp", tools=tools, instruction=instruction, name=name, options=options)
        return self.builtin.open(spec, self.place)

    def scripted(self, way: str = "", *, name: str = "", tools: tuple[str, ...] = (), **options: Any) -> "Opened":
        """The server that misbehaves."""
        args = [str(SCRIPTED), way, str(self.log)]
        return self.open(name=name, tools=tools, command=sys.executable, args=args, **options)

    def change(self, **what: Any) -> None:
        self.place = replace(self.place, **what)

    @property
    def starts(self) -> int:
        """How often the scripted server was started."""
        return self.log.read_text().split().count("started") if self.log.exists() else 0


Opened = AbstractAsyncContextManager[Toolset]


async def call(toolset: Toolset, name: str, /, using: Using | None = None, **arguments: Any) -> Result:
    return await (await find(toolset, name)).run(arguments, using or Using())


def text(words: str) -> dict[str, Any]:
    """A part of a result."""
    return {"type": "text", "text": words}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def everything() -> tuple[str, str]:
    """Node, and the program of `server-everything`; the test is skipped where `make clis` did not bring it."""
    folder = os.environ.get("AGENT_CLI_DIR", "")
    program = Path(folder).parent / EVERYTHING / "dist" / "index.js"
    node = shutil.which("node", path=f"{os.environ.get('AGENT_NODE_DIR', '')}:{os.environ.get('PATH', '')}")
    if not folder or not program.exists() or node is None:
        pytest.skip(f"no {EVERYTHING}: `make clis` brings it (and `make clis-env` says where)")
    return node, str(program)
