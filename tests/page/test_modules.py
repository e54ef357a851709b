"""What the page knows without a browser: its folds and texts, run by node."""

import shutil
import subprocess
from pathlib import Path

import pytest

SUITES = sorted((Path(__file__).parent / "node").glob("*.test.mjs"))


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.name.partition(".")[0])
def test_modules_keep_their_promises(suite: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node: apt install nodejs")
    done = subprocess.run([node, "--test", "--test-reporter=spec", suite], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
