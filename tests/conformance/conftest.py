"""The real CLI, where it is; and a server for each module."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance import front
from acceptance.zag.remote import SECRET, Remote, Site
from conformance.zag import Zag


@pytest.fixture(scope="session")
def program() -> Path:
    """The real `zag`."""
    found = os.environ.get("ZAG_BIN", "")
    if not found or not Path(found).is_file():
        pytest.skip("there is no zag: `make conformance` builds one (cargo), or set ZAG_BIN to yours")
    return Path(found)


@pytest.fixture(scope="module")
def site(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server over TLS, with a certificate that nobody has signed."""
    with front.opened(tmp_path_factory.mktemp("site")) as yard:
        served = yard.serve("--host", "127.0.0.1", "--enable-mock", "--token", SECRET)
        yield Site(yard, served, Remote.at(yard, served))


@pytest.fixture(scope="module")
def plain(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server without TLS: the CLI's WebSockets trust public certificates alone."""
    with front.opened(tmp_path_factory.mktemp("plain")) as yard:
        served = yard.serve("--host", "127.0.0.1", "--insecure-http", "--enable-mock", "--token", SECRET)
        yield Site(yard, served, Remote.at(yard, served))


@pytest.fixture
def alone(program: Path, tmp_path: Path) -> Zag:
    """A CLI that is connected to nothing."""
    return Zag(tmp_path / "desk", program)


@pytest.fixture
def zag(alone: Zag, site: Site) -> Zag:
    """A CLI that is connected, over TLS."""
    return alone.connected(site.op.url, SECRET)


@pytest.fixture
def wire(alone: Zag, plain: Site) -> Zag:
    """A CLI that is connected, without TLS."""
    return alone.connected(plain.op.url, SECRET)
