"""The page for those who see it not, or use no mouse: keys reach all of it, and axe finds no serious fault."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from page.tabs import NARROW, WIDE, Opener, Site

AXE = Path(
    os.environ.get("AXE_CORE") or Path(os.environ.get("AGENT_CLI_DIR", "/nowhere")).parent / "axe-core" / "axe.min.js"
)
VIEWS = ("#/", "#/inbox", "#/new", "#/health", "#/settings", "#/more")


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker, as it is published."""
    found = next((path for path in (AXE, AXE / "axe.min.js") if path.is_file()), None)
    if found is None:
        pytest.skip("there is no axe-core: make clis")
    return found.read_text()


def faults(found: Any) -> list[str]:
    """The serious ones, with where they are."""
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical", "moderate")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_fault(site: Site, tab: Opener, axe: str, size: tuple[int, int], theme: str) -> None:
    site.ask_for("make all", title="Waits")
    site.run("[[status 401]]", title="Fails")
    site.run("[[hang]]", title="Runs")
    shown = tab(site, size, theme=theme, bypass_csp=True)
    for view in VIEWS:
        shown.go(view)
        expect(shown.page.locator("h1:visible, .brand:visible").first).to_be_visible()
        if view == "#/inbox":
            expect(shown.page.locator(".ask").first).to_be_visible()
        shown.page.evaluate(axe)
        assert faults(shown.page.evaluate("axe.run(document, {resultTypes: ['violations']})")) == [], view


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_fault_at_the_gate(site: Site, tab: Opener, axe: str, theme: str) -> None:
    shown = tab(site, NARROW, theme=theme, bypass_csp=True, let_in=False)
    shown.page.goto(f"{site.url}#pair=none-such")
    expect(shown.page.get_by_role("heading", name="That did not pair")).to_be_visible()
    shown.page.evaluate(axe)
    assert faults(shown.page.evaluate("axe.run(document, {resultTypes: ['violations']})")) == []


def test_keys_alone_reach_a_session_its_menu_and_the_inbox(own_site: Site, tab: Opener) -> None:
    own_site.client.create(title="The one")
    own_site.ask_for("make it", title="The other")
    shown = tab(own_site).go()
    keys, page = shown.page.keyboard, shown.page
    keys.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    keys.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.get_by_role("searchbox").focus()
    for _ in range(5):
        keys.press("Tab")  # over the filters, to the first session
    expect(shown.row("The other").locator(".entry")).to_be_focused()
    keys.press("ArrowDown")
    expect(shown.row("The one").locator(".entry")).to_be_focused()
    keys.press("Tab")
    keys.press("Enter")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    keys.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Star")).to_be_focused()
    keys.press("Escape")
    expect(page.get_by_role("button", name="Actions for The one")).to_be_focused()
    page.get_by_role("link", name="Inbox").focus()
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Inbox (1)")).to_be_focused()
    keys.press("Escape")
    expect(page.get_by_role("link", name="Inbox")).to_be_focused()


def test_who_wants_no_motion_gets_none(site: Site, tab: Opener) -> None:
    site.run("[[hang]]", title="Runs on")
    shown = tab(site, reduced_motion="reduce").go()
    dot = shown.row("Runs on").locator(".dot")
    expect(dot).to_have_attribute("data-state", "running")
    assert dot.evaluate("node => getComputedStyle(node).animationName") == "none"


def test_what_is_touched_is_large_enough(site: Site, tab: Opener) -> None:
    site.client.create(title="Of any kind")
    shown = tab(site, NARROW).go()
    for view in VIEWS:
        shown.go(view)
        small = shown.page.evaluate(
            """() => [...document.querySelectorAll('button, a[href], input:not([type=radio], [type=checkbox]), select')]
                .filter((node) => node.checkVisibility() && !node.closest('.skip, p, .chips'))
                .map((node) => [node.outerHTML.slice(0, 120), node.getBoundingClientRect()])
                .filter(([, box]) => box.width && (box.height < 43.5 || box.width < 43.5))"""
        )
        assert small == [], view
