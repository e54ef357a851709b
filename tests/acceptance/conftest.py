"""A house for each test that wants one, and a server for each module that only asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance import purity
from acceptance.house import House, Server, opened
from fakes import llm


@pytest.fixture
def house(tmp_path: Path, fake_llm: llm.FakeLLM) -> Iterator[House]:
    """A folder, a database and a fake model of one's own."""
    with opened(tmp_path, fake_llm) as found:
        yield found
        purity.sweep(found)


@pytest.fixture
def server(house: House) -> Server:
    """A server of one agent, `my-agent`, for this test alone."""
    house.agent()
    return house.serve()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house for the tests of a module that do not get in each other's way."""
    with llm.serve() as model, opened(tmp_path_factory.mktemp("house"), model) as found:
        yield found
        purity.sweep(found)
