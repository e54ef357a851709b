"""One theatre for each file that only plays, and one of its own for each test that kills."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance.clis.cast import CAST, Cli
from acceptance.clis.theatre import Theatre, opened
from fakes import llm


@pytest.fixture(params=list(CAST))
def cli(request: pytest.FixtureRequest) -> Cli:
    """Each of the four."""
    found = CAST[request.param]
    found.need()
    return found


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """A server that knows all of them, for tests that do not get in each other's way."""
    with llm.serve() as model, opened(tmp_path_factory.mktemp("theatre"), model, CAST) as found:
        yield found


@pytest.fixture(autouse=True)
def unwatched(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whoever watched for a test is gone before the next one."""
    yield
    for name in {"theatre", "walled"} & set(request.fixturenames):
        request.getfixturevalue(name).close()


@pytest.fixture
def stage(tmp_path: Path, fake_llm: llm.FakeLLM) -> Iterator[Theatre]:
    """One for this test alone."""
    with opened(tmp_path, fake_llm, CAST) as found:
        yield found


@pytest.fixture
def bare(tmp_path: Path, fake_llm: llm.FakeLLM) -> Iterator[Theatre]:
    """One on a machine where no CLI is installed."""
    (tmp_path / "bin").mkdir()
    with opened(tmp_path, fake_llm, {}, path=str(tmp_path / "bin")) as found:
        yield found
