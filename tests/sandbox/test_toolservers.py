"""Tool servers of a confined session: they run in the sandbox, and nothing of it stays behind."""

import json
import os
import shutil
import sys
from pathlib import Path

import anyio
import pytest

from fakes import relics
from fakes.calls import Session, Using, find, names
from roost.core.errors import ToolsetFailed
from roost.sandbox.bubblewrap import Bubblewrap
from roost.sandbox.view import Kept
from roost.tools.builtin import Builtin

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="apt-get install bubblewrap brings it"),
]

SCRIPTED = Path(__file__).parents[1] / "fakes" / "toolserver.py"


def confined(tmp_path: Path, *, walls: bool) -> Session:
    (tmp_path / "secret").write_text("secret")
    (work := tmp_path / "work").mkdir()
    shutil.copy(SCRIPTED, work)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "owner"), "API_KEY": "secret"}
    kept = Kept(str(tmp_path / "owner"), str(tmp_path / "state"))
    found = Session(work, Builtin(env, Bubblewrap(kept) if walls else None, tmp_path / "state"))
    found.confined = True
    return found


async def test_a_server_in_a_sandbox(tmp_path: Path) -> None:
    session = confined(tmp_path, walls=True)
    args = [str(session.folder / SCRIPTED.name), "lingers"]
    async with session.open("mcp", command=sys.executable, args=args, env={"TOLD": "x"}) as toolset:
        assert "echo" in await names(toolset)
        environment = json.loads((await (await find(toolset, "environment")).run({}, Using())).output)
        assert environment["TOLD"] == "x" and "API_KEY" not in environment
        assert environment["HOME"] == str(tmp_path / "state/homes" / session.id)
        child = await (await find(toolset, "child")).run({}, Using())
        assert not child.is_error
        assert relics.found(str(tmp_path))
    with anyio.fail_after(10):
        while relics.found(str(tmp_path)):
            await anyio.sleep(0.01)
    assert not list((tmp_path / "state").glob("cells/*"))


async def test_no_sandbox_no_server(tmp_path: Path) -> None:
    session = confined(tmp_path, walls=False)
    async with session.open("mcp", command=sys.executable, args=[str(SCRIPTED)]) as toolset:
        with pytest.raises(ToolsetFailed, match="this session may run nothing outside of a sandbox"):
            await toolset.tools()
