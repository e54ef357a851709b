"""The frame of the page: its list stays live, it fits every screen, and it asks nobody else for anything."""

import re
from urllib.parse import urlparse

import pytest
from playwright.sync_api import expect

from page.tabs import NARROW, WIDE, Opener, Site

VIEWS = ("#/", "#/inbox", "#/new", "#/health", "#/settings", "#/more")
SIZE = 150_000  # bytes


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_fits_its_window(site: Site, tab: Opener, size: tuple[int, int], theme: str) -> None:
    site.ask_for("echo " + "a-long-word-without-any-break" * 12, title="What a very long title this session has " * 4)
    shown = tab(site, size, theme=theme)
    for view in VIEWS:
        shown.go(view)
        expect(shown.page.locator("h1:visible, .brand:visible").first).to_be_visible()
        assert shown.overflow <= 0, view


def test_a_phone_shows_one_thing_at_a_time(site: Site, tab: Opener) -> None:
    shown = tab(site, NARROW).go()
    shown.page.get_by_role("link", name="Inbox").click()
    inbox, sessions = shown.page.locator(".drawer"), shown.page.locator(".side")
    expect(inbox).to_be_visible()
    expect(sessions).to_be_hidden()
    shown.page.get_by_role("link", name="Sessions", exact=True).click()
    expect(sessions).to_be_visible()
    expect(inbox).to_be_hidden()


def test_all_that_the_page_loads_is_small_and_its_own(site: Site, tab: Opener) -> None:
    shown = tab(site, new=True)
    sizes: dict[str, int] = {}
    shown.page.on("response", lambda answer: sizes.setdefault(urlparse(answer.url).path, len(answer.body())))
    shown.go()
    shown.page.wait_for_load_state("networkidle")
    files = {path: size for path, size in sizes.items() if path == "/" or path.startswith("/static/")}
    assert {"/", "/static/app.js", "/static/app.css"} <= files.keys()
    assert sum(files.values()) < SIZE, files


@pytest.mark.parametrize("where", ["#/", "#/s/"], ids=["list", "session"])
def test_what_goes_over_the_line_is_small(site: Site, tab: Opener, where: str) -> None:
    session = site.run("[[say Hello]]") if where.endswith("/s/") else ""
    shown = tab(site, new=True)
    line = shown.context.new_cdp_session(shown.page)
    loaded: list[int] = []
    line.on("Network.loadingFinished", lambda told: loaded.append(told["encodedDataLength"]))
    line.send("Network.enable")
    shown.go(where + session)
    expect(shown.page.locator(".k-answer" if session else ".side .scroll").first).to_be_visible()
    shown.page.wait_for_load_state("networkidle")
    assert len(loaded) > 15  # its modules, and what they asked for
    assert 20_000 < sum(loaded) < SIZE


def test_a_session_that_is_new_shows_up_by_itself_and_one_that_is_gone_goes(site: Site, tab: Opener) -> None:
    shown = tab(site).go()
    session = site.client.create(title="Brand new")
    expect(shown.row("Brand new")).to_be_visible()
    site.client.patch(f"/api/sessions/{session}/title", {"title": "Called otherwise"})
    expect(shown.row("Called otherwise")).to_be_visible()
    expect(shown.row("Brand new")).to_have_count(0)
    site.client.delete(f"/api/sessions/{session}")
    expect(shown.row("Called otherwise")).to_have_count(0)


def test_a_row_tells_what_its_session_does(site: Site, tab: Opener) -> None:
    shown = tab(site).go()
    asking = site.ask_for("make all", title="Asks first")
    row = shown.row("Asks first")
    expect(row).to_contain_text("1 waiting")
    expect(row.locator(".dot")).to_have_attribute("data-state", "waiting")
    site.client.post(f"/api/waits/{site.wait_of(asking)['id']}", {"confirmation": "reject", "reason": "no"})
    expect(row.locator(".dot")).to_have_attribute("data-state", "idle")
    expect(row).not_to_contain_text("waiting")
    site.run("[[status 401]]", title="Fails")
    expect(shown.row("Fails").locator(".dot")).to_have_attribute("data-state", "failed")


def test_search_and_filters_find_what_is_meant(site: Site, tab: Opener) -> None:
    starred = site.client.create(title="Of the north")
    site.client.create(title="Of the south")
    site.client.patch(f"/api/sessions/{starred}/starred", {"starred": True})
    site.ask_for("make north", title="Waits in the north")
    shown = tab(site).go()
    search = shown.page.get_by_role("searchbox", name="Search sessions")
    search.fill("of the NORTH")
    expect(shown.page.locator(".entry")).to_have_count(1)
    search.fill("nowhere at all")
    expect(shown.page.get_by_role("heading", name="Nothing found")).to_be_visible()
    search.fill("north")
    shown.page.get_by_role("button", name="Waiting").click()
    expect(shown.page.locator(".entry")).to_have_count(1)
    expect(shown.row("Waits in the north")).to_be_visible()
    shown.page.get_by_role("button", name="Starred").click()
    expect(shown.row("Of the north")).to_be_visible()
    expect(shown.page.locator(".entry")).to_have_count(1)


def test_a_session_is_renamed_starred_and_deleted_from_its_menu(site: Site, tab: Opener) -> None:
    site.client.create(title="To be changed")
    shown = tab(site).go()
    shown.act("To be changed", "Rename")
    shown.page.get_by_role("textbox", name="Title").fill("Changed")
    shown.page.keyboard.press("Enter")
    expect(shown.row("Changed")).to_be_visible()
    shown.act("Changed", "Star")
    expect(shown.row("Changed").get_by_title("Starred")).to_be_visible()
    shown.act("Changed", "Delete")
    expect(shown.row("Changed")).to_have_count(0)
    shown.page.get_by_role("button", name="Undo").click()
    expect(shown.row("Changed")).to_be_visible()
    shown.act("Changed", "Delete")
    with shown.page.expect_request(lambda request: request.method == "DELETE"):
        shown.page.get_by_role("button", name="Dismiss").click()
    expect(shown.row("Changed")).to_have_count(0)


def test_after_a_deletion_the_focus_is_on_the_next_one(own_site: Site, tab: Opener) -> None:
    for title in ("First", "Second", "Third"):
        own_site.client.create(title=title)
    shown = tab(own_site).go()
    shown.page.get_by_role("button", name="Actions for Second").focus()
    shown.page.keyboard.press("Enter")
    shown.page.keyboard.press("End")
    shown.page.keyboard.press("Enter")
    expect(shown.row("Second")).to_have_count(0)
    expect(shown.row("First").locator(".entry")).to_be_focused()


def test_a_row_that_was_read_before_its_session_was_deleted_brings_nothing_back(site: Site, tab: Opener) -> None:
    session = site.client.create(title="To be deleted")
    shown = tab(site).go()
    expect(shown.row("To be deleted")).to_be_visible()
    found = shown.page.evaluate(
        """async (id) => {
            const store = await import('/static/store.js')
            const told = {}
            const end = store.tend({ on: (word, fn) => { told[word] = fn; return () => {} } })
            const late = { ...store.row(id) }
            await store.remove(id, () => {}).go()
            told.row(late)
            const after = store.row(id)
            await store.load()
            end()
            return [after, store.row(id)]
        }""",
        session,
    )
    assert found == [None, None]
    expect(shown.row("To be deleted")).to_have_count(0)


def test_spawned_sessions_stand_under_the_one_that_spawned_them(bare_site: Site, tab: Opener) -> None:
    spawn = {"provider": "mock", "prompt": "I am the parent", "name": "parent"}
    parent = bare_site.client.post("/api/v1/sessions/spawn", spawn).json["session_id"]
    spawn = {"provider": "mock", "prompt": "I am a child", "name": "child", "parent_session_id": parent}
    assert bare_site.client.post("/api/v1/sessions/spawn", spawn).status == 201
    shown = tab(bare_site).go()
    expect(shown.page.locator(".entry")).to_have_count(1)
    shown.page.get_by_role("button", name=re.compile("^1 session under")).click()
    expect(shown.page.locator(".entry")).to_have_count(2)
    expect(shown.page.locator(".entry-item").nth(1)).to_have_attribute("data-depth", "1")


def test_two_thousand_sessions_are_searched_while_one_types(bare_site: Site, tab: Opener) -> None:
    rows = [
        {"id": f"s{n}", "title": f"Session {n}", "created_at": "2026-01-02T03:04:05Z", "state": "idle", "waits": 0}
        for n in range(2000)
    ]
    shown = tab(bare_site)
    shown.page.route("**/api/sessions?*", lambda route: route.fulfill(json=rows))
    shown.go()
    expect(shown.page.locator(".entry").first).to_be_visible()
    assert shown.page.locator(".entry").count() < 200  # the rest comes as one scrolls
    found, made = shown.page.evaluate(
        """async () => {
            const search = document.querySelector('input[type=search]')
            const made = []
            const watch = new MutationObserver((all) => made.push(...all.flatMap((one) => [...one.addedNodes])))
            watch.observe(document.querySelector('.side'), { childList: true, subtree: true })
            search.value = 'session 1999'
            search.dispatchEvent(new Event('input'))
            for (let frame = 0; frame < 2; frame += 1) await new Promise(requestAnimationFrame)
            return [[...document.querySelectorAll('.entry .title')].map((node) => node.textContent), made.length]
        }"""
    )
    assert found == ["Session 1999"]  # in the next frame already
    assert made < 20  # and only what is found was drawn
    shown.page.get_by_role("searchbox").fill("")
    expect(shown.page.locator(".entry").nth(20)).to_be_attached()  # all of them are there again
    shown.page.locator(".side .scroll").evaluate("node => node.scrollTo(0, node.scrollHeight)")
    expect(shown.page.locator(".entry").nth(150)).to_be_attached()


def test_with_nothing_there_it_says_what_to_do(bare_site: Site, tab: Opener) -> None:
    shown = tab(bare_site, NARROW).go()
    expect(shown.page.get_by_role("heading", name="No sessions yet")).to_be_visible()
    shown.page.get_by_role("link", name="New session").click()
    expect(shown.page.get_by_role("heading", name="New session")).to_be_focused()
    shown.page.go_back()
    expect(shown.page.get_by_role("heading", name="No sessions yet")).to_be_visible()


def test_the_theme_that_is_chosen_stays(site: Site, tab: Opener) -> None:
    shown = tab(site, theme="light").go("#/settings")
    background = "getComputedStyle(document.body).backgroundColor"
    light = shown.page.evaluate(background)
    shown.page.get_by_role("radio", name="Dark").check()
    dark = shown.page.evaluate(background)
    assert dark != light
    shown.page.reload()
    assert shown.page.evaluate(background) == dark
    expect(shown.page.get_by_role("radio", name="Dark")).to_be_checked()


def test_an_address_that_leads_nowhere_leads_home(site: Site, tab: Opener) -> None:
    shown = tab(site).go("#/no/such/view")
    expect(shown.page.get_by_role("main").get_by_role("heading", name="Roost")).to_be_visible()
