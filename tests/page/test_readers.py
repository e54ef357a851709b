"""The page for other readers: on paper, from right to left, in a window that is next to nothing."""

import json

from playwright.sync_api import Page, expect

from page.tabs import Opener, Site, Tab


def told(site: Site, *messages: str) -> str:
    """A session in which an agent has said this."""
    session = site.client.create(title="To be read")
    for content in messages:
        message = {"role": "assistant", "content": content}
        site.client.post(f"/api/sessions/{session}/messages", {"message": {"message": message}})
    return session


def opened(shown: Tab, session: str) -> Page:
    shown.go(f"#/s/{session}")
    expect(shown.page.locator(".k-answer").last).to_be_visible()
    return shown.page


def test_on_paper_stands_all_that_was_said_and_nothing_around_it(site: Site, tab: Opener) -> None:
    session = told(site, *(f"Answer {n} " + "with words " * 60 for n in range(80)))
    page = opened(tab(site, theme="dark"), session)
    expect(page.get_by_text("Answer 79")).to_be_visible()
    assert page.locator(".piece").count() < 60
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(".piece")).to_have_count(80)
    for around in (".side", ".composer", ".topline .tool"):
        assert page.locator(around).first.is_visible() is False, around
    assert page.evaluate("document.documentElement.scrollHeight") > 80 * 50
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator(".composer")).to_be_visible()
    assert page.locator(".piece").count() < 60


def test_each_paragraph_runs_in_its_own_direction(site: Site, tab: Opener) -> None:
    session = told(
        site,
        "مرحبا **جدا** `code`\n\n- بند\n\nLatin again\n\n| اسم | قيمة |\n|---|---|\n| واحد | 1 |\n\n```\nx = 1\n```",
    )
    page = opened(tab(site), session)
    prose = page.locator(".k-answer .prose").last
    directions = prose.evaluate(
        """prose => ['p', 'ul', 'p:nth-of-type(2)', 'table', 'pre', 'p code']
            .map((place) => getComputedStyle(prose.querySelector(place)).direction)"""
    )
    assert directions == ["rtl", "rtl", "ltr", "rtl", "ltr", "ltr"]
    page.get_by_label("Message", exact=True).fill("مرحبا")
    assert page.get_by_label("Message", exact=True).evaluate("field => getComputedStyle(field).direction") == "rtl"


def test_a_long_word_in_a_table_stays_in_its_cell(site: Site, tab: Opener) -> None:
    session = told(site, f"| one | two |\n|---|---|\n| {'w' * 90} | {'v' * 90} |")
    page = opened(tab(site), session)
    over = page.locator(".tabled td").evaluate_all("cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth)")
    assert over == []


def test_a_form_is_answered_in_a_window_that_is_four_times_enlarged(own_site: Site, tab: Opener) -> None:
    schema = {"type": "object", "properties": {"where": {"type": "string", "title": "Where"}}, "required": ["where"]}
    asked = json.dumps({"title": "Deployment", "message": "Where should this go?", "schema": schema})
    session = own_site.run(f"[[tool user_prompt {asked}]]", safety_policy="autonomous")
    own_site.wait_of(session)
    shown = tab(own_site, (320, 256)).go(f"#/s/{session}")
    shown.page.get_by_label("Where").fill("staging")
    send = shown.page.locator(".ask").get_by_role("button", name="Send")
    send.scroll_into_view_if_needed()
    box = send.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 256
    assert shown.overflow <= 0
    send.click()
    own_site.client.until_idle(session)
