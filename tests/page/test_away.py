"""The page without its server: it says so, stays in one's hands, and catches up when the server is back."""

import json

from playwright.sync_api import WebSocketRoute, expect

from page.tabs import NARROW, Opener, Site, hurry


def test_offline_and_back_the_list_has_all_that_happened(site: Site, tab: Opener) -> None:
    site.client.create(title="Before")
    shown = tab(site, NARROW).go()
    shown.context.set_offline(True)
    expect(shown.page.get_by_role("status").filter(has_text="You are offline")).to_be_visible()
    site.client.create(title="Meanwhile")
    expect(shown.row("Before")).to_be_visible()
    shown.context.set_offline(False)
    expect(shown.row("Meanwhile")).to_be_visible()
    expect(shown.page.locator(".banner")).to_be_hidden()


def test_a_server_that_is_killed_and_started_again_is_found_again(own_site: Site, tab: Opener) -> None:
    own_site.client.create(title="Before")
    shown = tab(own_site).go()
    assert own_site.front is not None
    own_site.front.kill()
    expect(shown.page.get_by_role("status").filter(has_text="Reconnecting")).to_be_visible()
    shown.act("Before", "Star")
    expect(shown.page.get_by_role("log").get_by_text("Could not star it")).to_be_visible()
    expect(shown.row("Before").get_by_title("Starred")).to_be_hidden()
    shown.page.get_by_role("button", name="Try now").click()  # too early
    own_site.open()
    own_site.client.create(title="After")
    hurry(shown.page)
    expect(shown.row("After")).to_be_visible()
    expect(shown.page.locator(".banner")).to_be_hidden()
    shown.act("Before", "Star")
    expect(shown.row("Before").get_by_title("Starred")).to_be_visible()


def test_health_is_asked_again_as_soon_as_the_line_is_there(own_site: Site, tab: Opener) -> None:
    shown = tab(own_site).go("#/health")
    expect(shown.page.get_by_text("Up for")).to_be_visible()
    shown.page.clock.install()
    shown.context.set_offline(True)
    shown.page.clock.run_for(11_000)
    expect(shown.page.get_by_text("Could not ask the server how it is")).to_be_visible()
    shown.context.set_offline(False)
    expect(shown.page.get_by_text("Could not ask the server how it is")).to_have_count(0)


def test_the_page_opens_without_a_network_and_says_so(own_site: Site, tab: Opener) -> None:
    shown = tab(own_site, NARROW).go()
    expect(shown.page.locator(".empty").first).to_be_visible()
    shown.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    assert own_site.front is not None
    own_site.front.kill()
    shown.page.goto("about:blank")
    shown.page.goto(own_site.url)
    expect(shown.page.get_by_role("status").filter(has_text="Last seen")).to_be_visible()
    expect(shown.page.get_by_role("heading", name="The list did not load")).to_be_visible()
    own_site.open()
    own_site.client.create(title="After")
    hurry(shown.page)
    expect(shown.row("After")).to_be_visible()


def test_what_the_worker_keeps_is_the_page_and_no_answer(site: Site, tab: Opener) -> None:
    site.client.create(title="A secret title")
    shown = tab(site, new=True).go()
    expect(shown.row("A secret title")).to_be_visible()
    kept = shown.page.evaluate(
        """async () => {
            await navigator.serviceWorker.ready
            const names = await caches.keys()
            const lists = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()))
            return lists.flat().map((request) => new URL(request.url).pathname)
        }"""
    )
    assert {"/", "/static/app.js", "/static/app.css", "/static/session.js"} <= set(kept)
    assert [path for path in kept if path.startswith(("/api", "/web"))] == []


def test_a_session_that_could_not_be_followed_is_asked_for_again(own_site: Site, tab: Opener) -> None:
    session = own_site.client.create(title="Busy")
    shown = tab(own_site)
    refused = {"refused": session, "code": "store_failed", "message": "the database is busy"}
    left = [refused]

    def between(page: WebSocketRoute) -> None:
        server = page.connect_to_server()

        def asked(text: str | bytes) -> None:
            if json.loads(text).get("follow") == session and left:
                page.send(json.dumps([left.pop()]))
            else:
                server.send(text)

        page.on_message(asked)

    shown.page.route_web_socket("**/api/live", between)
    shown.go(f"#/s/{session}")
    expect(shown.page.get_by_text("the database is busy", exact=False)).to_be_visible()
    own_site.client.start(session, "all is well again", "helper", detach=True).close()
    expect(shown.page.locator(".k-user")).to_contain_text("all is well again", timeout=20_000)
