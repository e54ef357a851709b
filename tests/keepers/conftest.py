"""Keepers in a home of their own, of whom nothing may be left."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from keepers.runs import marked
from roost.keepers.keepers import Keepers, open_keepers


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    left = marked(home)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, "processes were left"


@pytest.fixture
async def keepers(home: Path) -> AsyncIterator[Keepers]:
    async with open_keepers(home) as keepers:
        yield keepers
