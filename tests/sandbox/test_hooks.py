"""Hooks of a confined session run inside, too: they see the working directory and no keys."""

import os
import shutil
from pathlib import Path

import pytest

from roost.clock import SystemClock
from roost.core.agents import Hook
from roost.core.ids import SessionId
from roost.ports import Place, Ran
from roost.sandbox.bubblewrap import Bubblewrap
from roost.sandbox.view import Kept
from roost.tools.cell import Cells
from roost.tools.hooks import Runner
from roost.tools.surroundings import LocalSurroundings

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="apt-get install bubblewrap brings it"),
]


async def confined(tmp_path: Path, hook: Hook) -> Ran:
    """Run a hook in a sandbox, in a folder beside which lies a secret."""
    (tmp_path / "secret").write_text("secret")
    (work := tmp_path / "work").mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "owner"), "API_KEY": "secret", "LANG": "C.UTF-8"}
    state = tmp_path / "state"
    cells = Cells(Bubblewrap(Kept(env["HOME"], str(state))), state)
    runner = Runner(env, cells, LocalSurroundings(tmp_path), SystemClock())
    place = Place(SessionId("s1"), "root", str(work), lambda _: None, confined=True)
    ran = await runner.run(hook, {"tool_name": "shell"}, place)
    assert not list(state.glob("cells/*")), "what was made for a program stayed behind"
    return ran


async def test_a_hook_sees_the_working_directory_and_no_more(tmp_path: Path) -> None:
    ran = await confined(tmp_path, Hook("command", "cat > made; cat ../secret; env; exit 2"))
    assert ran.code == 2
    assert (tmp_path / "work" / "made").read_text() == '{"tool_name": "shell"}'
    assert "No such file" in ran.stderr
    assert "API_KEY" not in ran.stdout


async def test_a_hook_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    ran = await confined(tmp_path, Hook("command", "sleep 1000", timeout=1.5))
    assert ran.code is None
    assert "did not end" in ran.error


async def test_a_hook_can_be_nowhere_else(tmp_path: Path) -> None:
    ran = await confined(tmp_path, Hook("command", "pwd", working_dir="../owner"))
    assert "not allowed" in ran.error
