"""The page for those who see it not, or use no mouse: keys reach all of it, and axe finds no serious fault."""

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from page.tabs import NARROW, WIDE, Opener, Site

AXE = Path(
    os.environ.get("AXE_CORE") or Path(os.environ.get("AGENT_CLI_DIR", "/nowhere")).parent / "axe-core" / "axe.min.js"
)
JUDGE = """async (asked) => {
    for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame)  // until the theme is drawn
    return axe.run(document, asked)
}"""
VIEWS = ("#/", "#/inbox", "#/new", "#/health", "#/settings", "#/more")


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker, as it is published."""
    found = next((path for path in (AXE, AXE / "axe.min.js") if path.is_file()), None)
    if found is None:
        pytest.skip("there is no axe-core: make clis")
    return found.read_text()


def faults(page: Page) -> list[str]:
    """The serious ones, with where they are: all of them in the light, and in the dark those of colours."""
    asked: dict[Any, dict[str, Any]] = {"light": {}, "dark": {"runOnly": ["color-contrast", "link-in-text-block"]}}
    found = []
    for theme, which in asked.items():
        page.emulate_media(color_scheme=theme)
        seen = page.evaluate(JUDGE, {"resultTypes": ["violations"], **which})
        found += [
            f"{theme}: {one['id']}: {node['target']} {node['failureSummary']}"
            for one in seen["violations"]
            if one["impact"] in ("serious", "critical", "moderate")
            for node in one["nodes"]
        ]
    return found


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_no_fault(site: Site, tab: Opener, axe: str, size: tuple[int, int]) -> None:
    site.ask_for("make all", title="Waits")
    site.run("[[status 401]]", title="Fails")
    site.run("[[hang]]", title="Runs")
    shown = tab(site, size, bypass_csp=True).go()
    shown.page.evaluate(axe)
    for view in VIEWS:
        shown.go(view)
        expect(shown.page.locator("h1:visible, .brand:visible").first).to_be_visible()
        if view == "#/inbox":
            expect(shown.page.locator(".ask").first).to_be_visible()
        assert faults(shown.page) == [], view


def test_axe_finds_no_fault_at_the_gate(site: Site, tab: Opener, axe: str) -> None:
    shown = tab(site, NARROW, bypass_csp=True, let_in=False)
    shown.page.goto(f"{site.url}#pair=none-such")
    expect(shown.page.get_by_role("heading", name="That did not pair")).to_be_visible()
    shown.page.evaluate(axe)
    assert faults(shown.page) == []


def test_axe_sees_what_is_wrong_in_either_theme(site: Site, tab: Opener, axe: str) -> None:
    shown = tab(site, NARROW, bypass_csp=True, let_in=False)
    shown.page.goto(site.url)
    expect(shown.page.get_by_role("heading", name="Pair this browser")).to_be_visible()
    shown.page.evaluate(axe)
    shown.page.evaluate(
        """() => {
            const faint = document.createElement('p')
            faint.textContent = 'Hardly to be read'
            document.querySelector('main').append(faint, document.createElement('button'))
            const dark = matchMedia('(prefers-color-scheme: dark)')
            const draw = () => { faint.style.cssText = `background: #fff; color: ${dark.matches ? '#eee' : '#000'}` }
            dark.addEventListener('change', draw)
            draw()
        }"""
    )
    assert [fault.split(": [")[0] for fault in faults(shown.page)] == ["light: button-name", "dark: color-contrast"]


def test_keys_alone_reach_a_session_its_menu_and_the_inbox(bare_site: Site, tab: Opener) -> None:
    bare_site.client.create(title="The one")
    bare_site.ask_for("make it", title="The other")
    shown = tab(bare_site).go()
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


def test_a_menu_that_closes_takes_no_focus_from_where_one_went_meanwhile(site: Site, tab: Opener) -> None:
    site.client.create(title="With a menu")
    shown = tab(site).go()
    shown.page.get_by_role("button", name="Actions for With a menu").click()
    expect(shown.page.get_by_role("menuitem", name="Rename")).to_be_focused()
    shown.page.evaluate(
        """() => new Promise((done) => {
            const menu = document.querySelector('dialog[open]')
            menu.addEventListener('close', () => setTimeout(done))
            menu.close()  // what listens hears of it only later
            document.querySelector('input[type=search]').focus()
        })"""
    )
    expect(shown.page.get_by_role("searchbox")).to_be_focused()


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
