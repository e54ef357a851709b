"""One browser for all tests of the page, a server for each module, and tabs for each test."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from fakes import llm

if TYPE_CHECKING:
    from page.tabs import Opener, Site

collect_ignore: list[str] = []
try:
    from page import tabs as _tabs
except ModuleNotFoundError:  # playwright is of the tools for development
    _tabs = None  # type: ignore[assignment]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They share a browser, so they stay on one worker."""
    for item in items:
        if "/page/" in str(item.path):
            item.add_marker(pytest.mark.xdist_group("page"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium."""
    if _tabs is None or not _tabs.CHROMIUM:
        pytest.skip("there is no Chromium: apt install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=_tabs.CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def site(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Site]":
    """A server for the tests of a module."""
    with llm.serve() as model, _tabs.opened(tmp_path_factory.mktemp("site"), model) as found:
        yield found


@pytest.fixture
def own_site(browser: Any, tmp_path: Any, fake_llm: llm.FakeLLM) -> "Iterator[Site]":
    """A server for this test alone."""
    with _tabs.opened(tmp_path, fake_llm) as found:
        yield found


@pytest.fixture
def tab(browser: Any) -> "Iterator[Opener]":
    """Opens tabs."""
    with _tabs.tabs(browser) as opener:
        yield opener
