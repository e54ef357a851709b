"""One browser for all tests of the page, a server for each module, and tabs for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from fakes import llm
from page import tabs
from page.tabs import Guests, Opener, Site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They share a browser, so they stay on one worker."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("page"))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium.  Playwright keeps a loop running in this thread, so it ends before tests of other packages begin."""
    if not tabs.CHROMIUM:
        pytest.skip("there is no Chromium: apt install chromium")
    expect.set_options(timeout=15_000)  # milliseconds; machines are slow when all tests run
    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=tabs.CHROMIUM, args=tabs.ARGS)
        yield found
        found.close()


@pytest.fixture(scope="package")
def guests(browser: Browser) -> Guests:
    """Who opens a tab."""
    return Guests(browser)


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server for the tests of a module."""
    with llm.serve() as model, tabs.opened(tmp_path_factory.mktemp("site"), model) as found:
        yield found


@pytest.fixture
def bare_site(site: Site) -> Site:
    """The same without a session."""
    while rows := site.client.get("/api/sessions?detail=full").json:
        for row in rows:
            site.client.delete(f"/api/sessions/{row['id']}")
    assert site.client.get("/api/waits").json == []
    return site


@pytest.fixture
def own_site(browser: Browser, tmp_path: Path, fake_llm: llm.FakeLLM) -> Iterator[Site]:
    """A server for this test alone."""
    with tabs.opened(tmp_path, fake_llm) as found:
        yield found


@pytest.fixture
def tab(guests: Guests) -> Iterator[Opener]:
    """Opens tabs."""
    with tabs.tabs(guests) as opener:
        yield opener
