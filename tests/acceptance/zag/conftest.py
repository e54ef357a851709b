"""A server for each module: what its tests do, they do in sessions of their own."""

from collections.abc import Iterator

import pytest

from acceptance import front
from acceptance.zag.remote import SECRET, Remote, Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server, over TLS."""
    with front.opened(tmp_path_factory.mktemp("site")) as yard:
        served = yard.serve("--host", "127.0.0.1", "--enable-mock", "--token", SECRET)
        yield Site(yard, served, Remote.at(yard, served))


@pytest.fixture
def op(site: Site) -> Remote:
    """Whoever runs the server."""
    return site.op
