"""The floors that the service's tests stand on."""

from pathlib import Path

import pytest

from engine.fakes import Floor


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    """A store in memory."""
    return Floor("memory", tmp_path)


@pytest.fixture(params=["memory", "sqlite"])
def each_floor(request: pytest.FixtureRequest, tmp_path: Path) -> Floor:
    """A store of each kind."""
    return Floor(request.param, tmp_path)
