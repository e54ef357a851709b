"""A session in every state that it can be in, for those who see it not: axe finds no serious fault."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from acceptance.house import until
from fakes import llm
from page import pictures, tabs
from page.tabs import NARROW, WIDE, Opener, Site
from page.test_hands import axe, faults

__all__ = ["axe"]


@dataclass
class Scene:
    """A session, what is pressed in it, and what is there then."""

    session: str
    seen: str
    press: tuple[str, ...] = ()


SCENES = {
    "streaming": Scene("runner", ".k-answer.streaming .prose:not(:empty)"),
    "approval": Scene("cleaner", ".dock .ask"),
    "more leave": Scene("cleaner", "[role=menu]", (".dock [aria-haspopup=menu]",)),
    "rejection": Scene("cleaner", "[aria-label='Reason for the rejection']", (".dock .button.danger",)),
    "form": Scene("deployer", ".dock .ask input"),
    "wrong form": Scene("deployer", ".dock .ask [aria-invalid=true]", (".dock .ask .primary",)),
    "menu": Scene("editor", "[role=menu]", (".session-head [aria-label=Actions]",)),
    "details": Scene(
        "editor", "dialog[open]", (".session-head [aria-label=Actions]", "[role=menuitem] >> text=Details")
    ),
    "name": Scene("editor", "dialog[open] input", (".titled",)),
    "diff": Scene("editor", ".k-answer.final"),
    "queue": Scene("waiter", ".queue li"),
    "tree": Scene("lead", ".piece[data-depth='1']", (".k-sub .head",)),
}


@pytest.fixture(scope="module")
def play(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, dict[str, str]]]:
    """A server with a session for each state."""
    with llm.serve() as model, tabs.opened(tmp_path_factory.mktemp("states"), model) as site:
        made = pictures.scenes(site)
        made["runner"] = site.run("[[think Hm]][[say # So\n\n- `this` far\n- [x] and **no** further]][[hang]]")
        made["waiter"] = site.run("[[say Slowly]][[hang]]")
        waiting = {"messages": [{"role": "user", "content": "And then?"}]}
        path = f"/api/sessions/{made['waiter']}/followup"
        assert until(lambda: site.client.post(path, waiting).status == 202)
        yield site, made


def press(page: Page, what: tuple[str, ...]) -> None:
    for one in what:
        page.locator(one).first.click()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_no_fault_in_any_state(
    play: tuple[Site, dict[str, str]], tab: Opener, axe: str, size: tuple[int, int]
) -> None:
    site, made = play
    shown = tab(site, size, reduced_motion="reduce").go()
    page = shown.page
    page.evaluate(axe)
    found = {}
    for name, scene in SCENES.items():
        shown.go(f"#/s/{made[scene.session]}")
        expect(page.get_by_label("Message", exact=True)).to_be_visible()
        press(page, scene.press)
        expect(page.locator(scene.seen).first).to_be_visible()
        found[name] = faults(page)
        assert shown.overflow <= 0, name
        if page.locator("dialog[open], [role=menu]").count() > 0:
            page.keyboard.press("Escape")
        shown.go("#/")
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
