"""Takes the pictures of the page that the docs show: `PYTHONPATH=src:tests python -m page.pictures`."""

import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from acceptance.house import ROOT, agent_yaml
from fakes import llm
from page import tabs
from page.tabs import NARROW, TOOLS, WIDE, Site, Tab

FOLDER = ROOT / "docs" / "images"


# What the fake model does for an agent stands in its instruction, so that what people say can be what they would say.
TEAM = {
    "migrator": '[[tool shell {"cmd": "make migrate ENV=staging"}]]',
    "gardener": '[[tool shell {"cmd": "git push --force origin main"}]]',
    "tester": "[[say The test waits for the clock, not for the login.]][[hang]]",
    "writer": "[[say Nothing to report.]]",
    "translator": "[[status 401]]",
}


def furnish(site: Site) -> str:
    """Sessions as they would be on a working day; returns the one to look at."""
    for name, script in TEAM.items():
        text = agent_yaml(site.model.url, TOOLS).replace("Help.", f"'{script}'").replace("fake-model", "large")
        (site.yard.folder / "agents" / f"{name}.yaml").write_text(text.replace("fake", "acme"))
    site.again()
    starred = site.client.create(title="Dependencies, every Monday")
    site.client.patch(f"/api/sessions/{starred}/starred", {"starred": True})
    begin(site, "writer", "Notes on the last release", "What is new since the last release?")
    begin(site, "translator", "Translate the handbook", "Translate the handbook into French.")
    begin(site, "tester", "Why is the login test flaky?", "Find out why the login test fails once a day.")
    site.wait_of(begin(site, "gardener", "Tidy the history", "Squash the fixups of last week."))
    session = begin(site, "migrator", "Move invoices to the new schema", "Move the invoices to the new schema.")
    site.wait_of(session)
    return session


def begin(site: Site, agent: str, title: str, prompt: str) -> str:
    """A session of an agent of the team."""
    session = site.client.create(title=title)
    site.client.start(session, prompt, agent, detach=True).close()
    return session


def main() -> None:
    """All of them."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, llm.serve() as model, tabs.opened(Path(folder), model) as site:
        session = furnish(site)
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=tabs.CHROMIUM, args=["--no-sandbox"])
            with tabs.tabs(browser) as tab:
                take(tab(site, WIDE), f"#/s/{session}", "page-session", ".stage .ask")
                phone = tab(site, NARROW, theme="dark", device_scale_factor=2)
                take(phone, "#/", "page-list", ".pill.amber")
                take(phone, "#/inbox", "page-inbox", ".asked")
                take(phone, "#/new", "page-new", "form")
            browser.close()


def take(shown: Tab, where: str, name: str, seen: str) -> None:
    """One picture, once that is on it which it is about."""
    shown.go(where)
    expect(shown.page.locator(seen).first).to_be_visible()
    shown.page.wait_for_load_state("networkidle")
    shown.page.evaluate("document.activeElement.blur()")
    shown.page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main()
