"""A server to ask, and whoever asks it: each test runs over both faces."""

from collections.abc import Iterator

import pytest

from client.faces import BOTH, Face, Make, making
from fakes.api import TOKEN, FakeApi, serving
from roost.client.server import Server


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving(FakeApi()) as fake:
        yield fake


@pytest.fixture(params=BOTH)
def face(request: pytest.FixtureRequest) -> Iterator[Make]:
    with making(request.param) as make:
        yield make


@pytest.fixture
def client(api: FakeApi, face: Make) -> Face:
    return face(Server(api.url, token=TOKEN))
