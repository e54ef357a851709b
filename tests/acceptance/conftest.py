"""A house for each test that wants one, and a server for each module that only asks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance import purity
from acceptance.house import House, Server, opened
from fakes import llm

SHARED = {"shared", "served", "site", "street", "town", "crew", "theatre", "walled", "harbour"}
"""The servers that the tests of a module have in common."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those who share a server stay on one worker: it is started once, and not on each."""
    here = Path(__file__).parent
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if here in item.path.parents and names & SHARED and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("-".join(item.path.relative_to(here).with_suffix("").parts)))


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
