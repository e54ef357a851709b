"""The inbox of the page: all that waits, answered by one thumb, everywhere at once."""

import json

import pytest
from playwright.sync_api import expect

from acceptance.house import until
from page.tabs import NARROW, WIDE, Opener, Site


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_call_is_approved_from_the_inbox(bare_site: Site, tab: Opener, size: tuple[int, int]) -> None:
    shown = tab(bare_site, size).go()
    (written := bare_site.yard.folder / "done.txt").unlink(missing_ok=True)
    session = bare_site.ask_for("echo it-was-run > done.txt", title="Wants to write")
    expect(shown.page).to_have_title("(1) Sessions · Roost")
    shown.page.get_by_role("link", name="Inbox").and_(shown.page.locator(":visible")).click()
    card = shown.page.locator(".asked")
    expect(card).to_contain_text("Wants to write")
    expect(card).to_contain_text("echo it-was-run > done.txt")
    card.get_by_role("button", name="Approve once").click()
    until(lambda: not bare_site.client.get("/api/waits").json)
    bare_site.client.until_idle(session)
    expect(shown.page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    expect(shown.page).to_have_title("Inbox · Roost" if size == NARROW else "Sessions · Roost")
    assert written.read_text() == "it-was-run\n"


def test_a_call_is_rejected_with_a_reason(bare_site: Site, tab: Opener) -> None:
    session = bare_site.ask_for("rm -rf everything", title="Wants too much")
    shown = tab(bare_site, NARROW).go("#/inbox")
    shown.page.get_by_role("button", name="Reject").click()
    shown.page.get_by_label("Reason for the rejection").fill("not on my machine")
    shown.page.keyboard.press("Enter")
    bare_site.client.until_idle(session)
    assert "not on my machine" in json.dumps(bare_site.client.snapshot(session))


def test_what_is_approved_is_seen_to_the_last_character(bare_site: Site, tab: Opener) -> None:
    bare_site.ask_for("echo \u202egpj.sh\u200b \u00a0# fine\u001b[2K\rls", title="Wants to hide")
    shown = tab(bare_site, NARROW).go("#/inbox")
    command = shown.page.locator(".asked .command")
    expect(command).to_contain_text("echo U+202Egpj.shU+200B U+00A0# fineESC[2KCRls")
    expect(command.locator(".odd")).to_have_text(["U+202E", "U+200B", "U+00A0", "ESC", "CR"])


def test_the_oldest_stands_first_and_two_tabs_agree(bare_site: Site, tab: Opener) -> None:
    bare_site.ask_for("make first", title="The first")
    bare_site.ask_for("make second", title="The second")
    one = tab(bare_site).go("#/inbox")
    other = tab(bare_site, NARROW).go("#/inbox")
    for shown in (one, other):
        expect(shown.page.locator(".asked .title")).to_have_text(["The first", "The second"])
    one.page.locator(".asked").first.get_by_role("button", name="Approve once").click()
    expect(other.page.locator(".asked").first).to_contain_text("Approved")
    expect(other.page.locator(".asked")).to_have_count(1)
    expect(one.page.locator(".asked")).to_have_count(1)


def test_the_count_stands_at_the_inbox_and_in_the_title(bare_site: Site, tab: Opener) -> None:
    shown = tab(bare_site, NARROW).go()
    link = shown.page.locator(".tabs").get_by_role("link", name="Inbox")
    expect(link).to_have_accessible_name("Inbox")
    bare_site.ask_for("make a")
    bare_site.ask_for("make b")
    expect(link).to_have_accessible_name("Inbox 2 waiting")
    expect(shown.page).to_have_title("(2) Sessions · Roost")
    expect(shown.page.get_by_role("status").filter(has_text="in the inbox")).to_be_attached()


def test_in_a_session_on_a_phone_the_way_back_tells_of_the_others(bare_site: Site, tab: Opener) -> None:
    session = bare_site.ask_for("echo own", title="Its own")
    shown = tab(bare_site, NARROW).go(f"#/s/{session}")
    expect(shown.page.get_by_role("link", name="Sessions", exact=True)).to_be_visible()
    bare_site.ask_for("echo other", title="Another")
    expect(shown.page.get_by_role("link", name="Sessions (1 question in others)")).to_be_visible()
    assert shown.overflow <= 0


def test_half_an_answer_survives_what_comes_in_between(bare_site: Site, tab: Opener) -> None:
    bare_site.ask_for("make first", title="The first")
    shown = tab(bare_site, NARROW).go("#/inbox")
    shown.page.get_by_role("button", name="Reject").click()
    reason = shown.page.get_by_label("Reason for the rejection")
    reason.fill("half a rea")
    bare_site.ask_for("make second", title="The second")
    expect(shown.page.locator(".asked")).to_have_count(2)
    expect(reason).to_have_value("half a rea")
    expect(reason).to_be_focused()
