"""A server to ask."""

from collections.abc import Iterator

import pytest

from fakes.api import TOKEN, FakeApi, serving
from roost.client.blocking import Blocking
from roost.client.server import Server


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving(FakeApi()) as fake:
        yield fake


@pytest.fixture
def client(api: FakeApi) -> Iterator[Blocking]:
    made = Blocking(Server(api.url, token=TOKEN))
    yield made
    made.close()
