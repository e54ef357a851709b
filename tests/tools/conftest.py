"""A session with a folder of its own for each test."""

from pathlib import Path

import pytest

from tests.tools.use import Session


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)
