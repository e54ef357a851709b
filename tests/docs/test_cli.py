"""The examples on the page of the command line, pasted one after the other."""

import os
import re
import subprocess
import sys
from pathlib import Path

from docs.pages import ROOT, blocks
from fakes.api import OTHER, SID, TOKEN, FakeApi, P, serving
from roost.cli.main import COMMANDS

PAGE = ROOT / "docs/cli.md"
ELSEWHERE = re.compile(r"git (diff|log -3)")


def test_every_example_runs(tmp_path: Path) -> None:
    script = "\n".join(block.text for block in blocks(PAGE, "bash"))
    with serving(FakeApi()) as api:
        api.answers[f"GET {P}/sessions/{SID}/env"] = api.answers[f"GET {P}/sessions/latest/env"]
        pasted = ELSEWHERE.sub("echo changes", script).replace("https://build.example:2100", api.url)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{_prelude(tmp_path, api.url)}\n{pasted.replace('3f9a…', TOKEN)}"],
            env={**os.environ, "ROOST_HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "src")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=110,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Index rebuilt: 412 files." in done.stdout
    assert f"{SID} has ended" in done.stdout
    targets = {one.target for one in api.seen}
    assert {f"{P}/login", f"{P}/logout", f"{P}/sessions/pipe", "/api/waits?detail=full", f"{P}/search"} <= targets
    assert OTHER in done.stdout


def _prelude(home: Path, url: str) -> str:
    """After `disconnect`, the page goes on with the server that stands for the one of this machine."""
    record = f'{{"pid": {os.getpid()}, "address": "{url}", "token": "{TOKEN}"}}'
    return f"""
echo '{record}' > {home}/serve.json
roost() {{ '{sys.executable}' -m roost "$@"; }}
python3() {{ '{sys.executable}' "$@"; }}
"""


def test_every_command_is_named_on_the_page() -> None:
    page = PAGE.read_text()
    apart = {"serve", "doctor", "model"}  # on other pages
    named = {name for name, entry in COMMANDS.items() if not entry.hidden} - apart
    assert {name for name in named if not re.search(rf"roost {name}\b|`{name}`", page)} == set()
