"""A session with a folder of its own for each test."""

from pathlib import Path

import pytest

from fakes.calls import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)
