"""A house for each test, with an agent that has one tool."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from roost.testing.fakes import FakeTool
from roost.testing.house import House, open_house


@pytest.fixture
async def house(tmp_path: Path, anyio_backend: str) -> AsyncIterator[House]:
    async with open_house(tmp_path, tools=[FakeTool("shell")]) as opened:
        yield opened
