"""The gate of the page: who is let in, how, and who is not."""

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Request, expect

from acceptance import house
from acceptance.house import Client, until
from fakes import llm
from page import tabs
from page.tabs import FAR, NARROW, TOKEN, Opener, Site
from page.test_hands import axe, faults

__all__ = ["axe"]


def link(site: Site) -> str:
    """A pairing link, as the server makes it for another device."""
    reply = site.client.post("/web/codes")
    assert reply.status == 200, reply
    return f"{site.url}#pair={reply.json['code']}"


def test_a_link_pairs_once_and_does_not_stay_in_the_address(site: Site, tab: Opener) -> None:
    way = link(site)
    phone = tab(site, NARROW, let_in=False, new=True)
    phone.page.goto(way)
    expect(phone.page.get_by_role("searchbox", name="Search sessions")).to_be_visible()
    assert "pair" not in phone.page.url
    assert phone.page.evaluate("history.length") <= 2
    assert not any("pair=" in url for url in phone.requests)
    cookies = {cookie["name"]: cookie for cookie in phone.context.cookies()}
    (cookie,) = cookies.values()
    assert cookie["name"] == f"roost_session_{site.port}"
    assert cookie["httpOnly"] is True
    assert cookie["sameSite"] == "Strict"
    assert TOKEN not in phone.page.evaluate("JSON.stringify({...localStorage})")

    stranger = tab(site, NARROW, let_in=False, new=True)
    stranger.page.goto(way)
    expect(stranger.page.get_by_role("heading", name="That did not pair")).to_be_focused()
    expect(stranger.page.get_by_role("alert").first).to_contain_text("works once")
    assert "pair" not in stranger.page.url


def test_a_link_does_not_make_a_browser_that_is_in_somebody_elses(site: Site, tab: Opener) -> None:
    way, shown = link(site), tab(site)
    shown.page.goto(site.url)
    expect(shown.page.get_by_role("searchbox", name="Search sessions")).to_be_visible()
    before = shown.context.cookies()
    shown.page.goto(way)
    expect(shown.page.get_by_text("paired already")).to_be_visible()
    expect(shown.page.get_by_role("searchbox", name="Search sessions")).to_be_visible()
    assert [cookie["value"] for cookie in shown.context.cookies()] == [cookie["value"] for cookie in before]
    assert "pair=" not in shown.page.url


def test_a_link_that_is_pasted_pairs_too(site: Site, tab: Opener) -> None:
    shown = tab(site, let_in=False)
    shown.page.goto(site.url)
    shown.page.get_by_label("Code or token").fill(link(site))
    shown.page.keyboard.press("Enter")
    expect(shown.page.get_by_role("searchbox", name="Search sessions")).to_be_visible()


def test_a_token_opens_the_page_and_another_does_not(site: Site, tab: Opener) -> None:
    shown = tab(site, let_in=False)
    shown.page.goto(site.url)
    token = shown.page.get_by_label("Code or token")
    token.fill("not-the-token")
    shown.page.keyboard.press("Enter")
    expect(shown.page.locator("#gate-wrong")).to_be_visible()
    token.fill(TOKEN)
    shown.page.get_by_role("button", name="Pair this browser").click()
    expect(shown.page.get_by_role("searchbox", name="Search sessions")).to_be_visible()
    shown.page.reload()
    expect(shown.page.get_by_role("searchbox", name="Search sessions")).to_be_visible()


def test_another_device_is_paired_from_the_settings_and_sent_away(site: Site, tab: Opener) -> None:
    desk = tab(site).go("#/settings")
    desk.page.get_by_role("button", name="Pair another device").click()
    expect(desk.page.get_by_role("img", name="The pairing link as a QR code")).to_be_visible()
    way = desk.page.locator(".link").inner_text()
    phone = tab(site, NARROW, let_in=False, user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 26_0) Safari/605.1")
    phone.page.goto(way)
    expect(phone.page.get_by_role("searchbox", name="Search sessions")).to_be_visible()
    expect(desk.page.get_by_text("Safari on iPhone is paired.")).to_be_visible()
    expect(desk.page.get_by_role("img", name="The pairing link as a QR code")).to_have_count(0)
    desk.page.get_by_role("button", name="Remove Safari on iPhone").click()
    desk.page.get_by_role("button", name="Remove", exact=True).click()
    expect(desk.page.get_by_text("Safari on iPhone")).to_have_count(0)
    expect(phone.page.get_by_role("heading", name="Pair this browser")).to_be_visible()


def test_who_logs_out_is_a_stranger(site: Site, tab: Opener) -> None:
    shown = tab(site).go("#/settings")
    shown.page.get_by_role("button", name="Log out").click()
    shown.page.get_by_role("dialog").get_by_role("button", name="Log out").click()
    expect(shown.page.get_by_role("heading", name="Pair this browser")).to_be_visible()
    assert shown.context.cookies() == []


def test_who_logs_out_leaves_nothing_on_the_device(own_site: Site, tab: Opener) -> None:
    session = own_site.client.create(title="Secret")
    shown = tab(own_site).go(f"#/s/{session}")
    shown.page.get_by_label("Message", exact=True).fill("what I would not say aloud")
    shown.page.wait_for_function("Object.values(sessionStorage).includes('what I would not say aloud')")
    shown.go("#/settings")
    shown.page.evaluate("localStorage.setItem('roost.spawn', '{}')")
    shown.page.get_by_role("button", name="Log out").click()
    shown.page.get_by_role("dialog").get_by_role("button", name="Log out").click()
    expect(shown.page.get_by_role("heading", name="Pair this browser")).to_be_visible()
    drafts, choices = shown.page.evaluate("[Object.keys(sessionStorage), Object.keys(localStorage)]")
    assert drafts == []
    assert set(choices) <= {"roost.seen"}  # when the server was there last


def test_messages_are_seen_after_the_browser_was_paired_anew(own_site: Site, tab: Opener) -> None:
    own_site.client.create(title="One")
    own_site.client.create(title="Two")
    shown = tab(own_site).go()
    shown.act("One", "Delete")
    expect(shown.page.get_by_text("Session deleted")).to_be_visible()
    (device,) = own_site.client.get("/web/devices").json
    assert own_site.client.delete(f"/web/devices/{device['id']}").status == 200
    shown.page.get_by_label("Code or token").fill(TOKEN)
    shown.page.get_by_role("button", name="Pair this browser").click()
    shown.act("Two", "Delete")
    expect(shown.page.get_by_role("log").get_by_text("Session deleted").last).to_be_visible()
    expect(shown.page.get_by_role("button", name="Undo").last).to_be_visible()


def test_where_no_token_is_asked_for_it_just_opens(browser: Browser, tmp_path: Path, fake_llm: llm.FakeLLM) -> None:
    with house.opened(tmp_path, fake_llm) as found:
        found.agent("helper")
        server = found.serve()
        page = browser.new_context().new_page()
        page.goto(f"http://{server.address}/")
        server.create(title="Of this machine")
        expect(page.get_by_text("Of this machine")).to_be_visible()
        page.goto(f"http://{server.address}/#/new")
        expect(page.get_by_label("Agent", exact=True)).to_have_value("file:helper")
        page.goto(f"http://{server.address}/#/settings")
        expect(page.get_by_role("heading", name="Theme")).to_be_visible()
        expect(page.get_by_role("button", name="Log out")).to_have_count(0)
        page.context.close()


def test_it_opens_over_plain_http_where_browsers_tell_less(
    browser: Browser, tmp_path: Path, fake_llm: llm.FakeLLM
) -> None:
    with tabs.opened(tmp_path, fake_llm, "--public-url", f"http://{FAR}") as site:
        site.client.create(title="Of that machine")
        page = browser.new_context().new_page()
        asked: list[Request] = []
        page.on("request", lambda request: asked.append(request) if "/api/" in request.url else None)
        page.goto(link(site).replace("127.0.0.1", FAR))
        page.get_by_text("Of that machine").click()
        expect(page.get_by_label("Message", exact=True)).to_be_visible()
        assert asked
        assert not any("sec-fetch-site" in request.all_headers() for request in asked)
        page.context.close()


@pytest.fixture
def anns(own_site: Site) -> str:
    """A token of Ann's, who has an account at this site."""
    command = [sys.executable, "-m", "roost", "user", "add", "-u", "ann", "--home-dir", str(own_site.yard.folder)]
    subprocess.run(command, env=own_site.yard.env({}), input=b"correct horse\n", check=True, timeout=60)
    login = {"username": "ann", "password": "correct horse"}
    reply = until(lambda: (found := own_site.client.post("/api/v1/login", login)).status == 200 and found)
    return str(reply.json["token"])


def test_a_strangers_link_says_whose_it_is_before_it_is_used(own_site: Site, tab: Opener, anns: str) -> None:
    hers = Client(f"127.0.0.1:{own_site.port}", token=anns)
    way = f"{own_site.url}#pair={hers.post('/web/codes').json['code']}"
    shown = tab(own_site, NARROW, let_in=False)
    shown.page.goto(way)
    expect(shown.page.get_by_role("heading", name="Continue as ann?")).to_be_focused()
    expect(shown.page.get_by_role("main")).to_contain_text(
        shown.page.evaluate("fetch('/web/session').then(r => r.json()).then(s => s.host)")
    )
    assert shown.context.cookies() == []
    assert shown.overflow <= 0
    shown.page.get_by_role("button", name="That is not me").click()
    expect(shown.page.get_by_role("heading", name="Log in")).to_be_visible()
    assert shown.context.cookies() == []

    shown.page.goto("about:blank")
    shown.page.goto(way)  # it was not used
    shown.page.get_by_role("button", name="Continue as ann").click()
    expect(shown.page.get_by_role("searchbox", name="Search sessions")).to_be_visible()
    assert shown.page.evaluate("fetch('/web/session').then(r => r.json()).then(s => s.user)") == "ann"


def test_axe_finds_no_fault_where_people_have_accounts(own_site: Site, tab: Opener, anns: str, axe: str) -> None:
    hers = Client(f"127.0.0.1:{own_site.port}", token=anns)
    shown = tab(own_site, NARROW, bypass_csp=True, let_in=False)
    shown.page.goto(f"{own_site.url}#pair={hers.post('/web/codes').json['code']}")
    expect(shown.page.get_by_role("heading", name="Continue as ann?")).to_be_visible()
    shown.page.evaluate(axe)
    assert faults(shown.page) == []
    shown.page.get_by_role("button", name="That is not me").click()
    expect(shown.page.get_by_role("heading", name="Log in")).to_be_visible()
    assert faults(shown.page) == []


def test_where_people_have_accounts_they_log_in_by_name(own_site: Site, tab: Opener, anns: str) -> None:
    shown = tab(own_site, let_in=False)
    shown.page.goto(own_site.url)
    expect(shown.page.get_by_label("Name")).to_be_focused()
    shown.page.keyboard.type("ann")
    shown.page.get_by_label("Password").fill("wrong")
    shown.page.keyboard.press("Enter")
    expect(shown.page.locator("#gate-wrong")).to_be_visible()
    shown.page.get_by_label("Password").fill("correct horse")
    shown.page.keyboard.press("Enter")
    expect(shown.page.get_by_role("searchbox", name="Search sessions")).to_be_visible()

    other = tab(own_site, let_in=False)
    other.page.goto(own_site.url)
    other.page.get_by_text("By a link, a code or a token").click()
    other.page.get_by_label("Code or token").fill(own_site.client.post("/web/codes").json["url"])
    other.page.keyboard.press("Enter")
    expect(other.page.get_by_role("heading", name="Continue as the operator?")).to_be_visible()
    other.page.get_by_role("button", name="Continue as the operator").click()
    expect(other.page.get_by_role("searchbox", name="Search sessions")).to_be_visible()
