"""The spawn form of the page: agents of the server and agent CLIs, started with what was chosen."""

import re

from playwright.sync_api import expect

from acceptance.house import until
from page.tabs import NARROW, Opener, Site


def test_an_agent_of_the_server_is_started(site: Site, tab: Opener) -> None:
    shown = tab(site, NARROW).go("#/new")
    shown.page.get_by_label("Prompt").fill("[[say All is well.]]")
    shown.page.get_by_label("Agent", exact=True).select_option("file:helper")
    shown.page.get_by_role("button", name="Start").click()
    shown.page.wait_for_url(re.compile(r"#/s/."))
    session = shown.page.url.rpartition("/")[2]
    assert "All is well." in str(site.client.until_idle(session))


def test_a_cli_is_spawned_with_all_that_was_chosen(site: Site, tab: Opener) -> None:
    shown = tab(site).go("#/new")
    shown.page.get_by_label("Agent", exact=True).select_option("cli:mock")
    shown.page.get_by_label("Prompt").fill("Say it again")
    shown.page.get_by_text("Name and tags").click()
    shown.page.get_by_label("Name", exact=True).fill("from-the-page")
    shown.page.get_by_label("Tags").fill("one, two")
    warning = shown.page.get_by_text("Without asking, it runs any command")
    expect(warning).to_be_hidden()
    shown.page.get_by_role("switch", name="Approve everything").check()
    expect(warning).to_be_visible()
    shown.page.get_by_role("switch", name="Keep it open").uncheck()
    shown.page.get_by_label("Prompt").press("Control+Enter")
    shown.page.wait_for_url(re.compile(r"#/s/."))
    session = shown.page.url.rpartition("/")[2]
    entry = site.client.get(f"/api/v1/sessions/{session}").json
    assert entry["name"] == "from-the-page"
    assert entry["tags"] == ["one", "two"]
    until(lambda: site.client.get(f"/api/v1/sessions/{session}/status").json["status"] == "completed")


def test_what_is_wrong_stands_beside_its_field(site: Site, tab: Opener) -> None:
    shown = tab(site, NARROW).go("#/new")
    shown.page.get_by_role("button", name="Start").click()
    prompt = shown.page.get_by_label("Prompt")
    expect(prompt).to_be_focused()
    expect(prompt).to_have_attribute("aria-invalid", "true")
    expect(prompt).to_have_accessible_description("Say what it is to do.")
    prompt.fill("Something")
    expect(prompt).not_to_have_attribute("aria-invalid", "true")
    folder = shown.page.get_by_label("Working folder")
    folder.fill("/no/such/folder/anywhere")
    shown.page.get_by_role("button", name="Start").click()
    expect(folder).to_have_attribute("aria-invalid", "true")
    expect(folder).to_be_focused()


def test_the_last_choice_is_there_again(site: Site, tab: Opener) -> None:
    shown = tab(site).go("#/new")
    shown.page.get_by_label("Agent", exact=True).select_option("cli:mock")
    shown.page.get_by_role("switch", name="Keep it open").uncheck()
    shown.page.get_by_role("switch", name="Approve everything").check()
    shown.page.get_by_label("Prompt").fill("Once more")
    shown.page.get_by_role("button", name="Start").click()
    shown.page.wait_for_url(re.compile(r"#/s/."))
    shown.go("#/new")
    expect(shown.page.get_by_label("Agent", exact=True)).to_have_value("cli:mock")
    expect(shown.page.get_by_role("switch", name="Keep it open")).not_to_be_checked()
    expect(shown.page.get_by_role("switch", name="Approve everything")).not_to_be_checked()  # never by habit
