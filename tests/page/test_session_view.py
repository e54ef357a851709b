"""A session on the page: watched while it works, answered, steered, forked, and whole again after every cut."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from acceptance import front
from acceptance.house import agent_yaml, free_port, until
from fakes import llm
from page.tabs import NARROW, WIDE, Opener, Site, Tab
from page.test_hands import axe, faults

__all__ = ["axe"]

WORDS = " ".join(f"word{n}" for n in range(80))
TASK = {"agent": "reader", "task": "Read the file", "expected_output": "Words"}
TEAM = """\
    sub_agents: [reader]
  reader:
    model: fast
    description: Reads
    instruction: '[[tool shell {"cmd": "echo it-was-read"}]][[say The file was read.]]'
    toolsets: [{type: shell}]
"""
FORM = {
    "type": "object",
    "required": ["target", "copies"],
    "properties": {
        "target": {"type": "string", "title": "Target", "enum": ["staging", "production"]},
        "copies": {"type": "integer", "title": "Copies", "minimum": 1, "maximum": 5},
        "note": {"type": "string", "title": "Note"},
        "really": {"type": "boolean", "title": "Really", "default": True},
    },
}


def watching(shown: Tab, session: str) -> Page:
    """Open a session, and wait until it can be written to."""
    shown.go(f"#/s/{session}")
    expect(shown.page.get_by_label("Message", exact=True)).to_be_visible()
    return shown.page


def say(page: Page, words: str) -> None:
    page.get_by_label("Message", exact=True).fill(words)
    page.locator(".send").click()


def rows(page: Page, kind: str) -> Locator:
    return page.locator(f".k-{kind}")


def whole(page: Page) -> None:
    """The answer of 80 words is there, each of them once."""
    expect(rows(page, "answer").last).to_contain_text("word79")
    assert page.locator(".k-answer .prose").all_inner_texts()[-1].split() == WORDS.split()


_WATCH = """() => {
    globalThis.shown = new Set()
    new MutationObserver(() => {
        shown.add(document.querySelector('.session-head .word').textContent)
        const words = document.querySelector('.k-answer.streaming > .prose')?.textContent ?? ''
        if (words.includes('word1') && !words.includes('word79')) shown.add('half an answer')
    }).observe(document.querySelector('.session'), { subtree: true, childList: true, characterData: true })
}"""


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_an_answer_is_watched_as_it_comes(site: Site, tab: Opener, size: tuple[int, int]) -> None:
    page = watching(shown := tab(site, size), site.client.create(title="Watched"))
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    page.evaluate(_WATCH)
    say(page, f"[[think A thought]][[drip 0.04]][[say {WORDS}]]")
    whole(page)
    assert page.evaluate("[shown.has('works'), shown.has('half an answer')]") == [True, True]
    expect(page.locator(".session-head")).to_contain_text("idle")
    expect(rows(page, "user")).to_have_count(1)
    expect(page.locator(".thinking")).to_contain_text("Thought")
    page.locator(".thinking summary").click()
    expect(page.locator(".thinking .prose")).to_have_text("A thought")
    assert shown.overflow <= 0


def test_it_is_the_same_when_it_is_opened_again(site: Site, tab: Opener) -> None:
    session = site.client.create(title="Again", safety_policy="autonomous")
    site.client.start(session, '[[tool shell {"cmd": "echo hi; exit 3"}]][[say **Done**]]', "helper").close()
    page = watching(shown := tab(site), session)
    expect(rows(page, "answer")).to_contain_text("Done")
    live = page.locator(".pieces").inner_text()
    shown.page.reload()
    expect(rows(page, "answer")).to_contain_text("Done")
    expect(page.locator(".k-answer strong")).to_have_text("Done")
    assert [line for line in page.locator(".pieces").inner_text().splitlines() if line][:3] == live.splitlines()[:3]


def test_a_command_is_approved_in_the_session(site: Site, tab: Opener) -> None:
    session = site.ask_for("echo it-was-run", title="Asks")
    page = watching(tab(site, NARROW), session)
    card = page.locator(".dock .ask")
    expect(card).to_contain_text("Run this command?")
    expect(card).to_contain_text("echo it-was-run")
    expect(rows(page, "call")).to_contain_text("waits for you")
    card.get_by_role("button", name="Approve once").click()
    expect(rows(page, "answer").last).to_contain_text("it-was-run")
    expect(page.locator(".dock")).to_be_hidden()
    rows(page, "call").get_by_role("button").first.click()
    expect(rows(page, "call").locator(".output")).to_contain_text("it-was-run")


def test_a_rejection_tells_its_reason(site: Site, tab: Opener) -> None:
    page = watching(tab(site), site.ask_for("rm -rf everything"))
    page.locator(".dock").get_by_role("button", name="Reject").click()
    page.get_by_label("Reason for the rejection").fill("not on my machine")
    page.keyboard.press("Enter")
    expect(rows(page, "call")).to_contain_text("rejected")
    expect(rows(page, "answer").last).to_contain_text("not on my machine")


def test_a_tool_is_allowed_from_now_on(site: Site, tab: Opener) -> None:
    commands = "".join(f'[[tool shell {{"cmd": "echo run-{n}"}}]]' for n in range(3))
    session = site.run(f"{commands}[[say All three ran.]]")
    site.wait_of(session)
    page = watching(tab(site), session)
    page.locator(".dock").get_by_role("button", name="Approve always").click()
    page.get_by_role("menuitem", name="Always allow shell").click()
    expect(rows(page, "answer").last).to_contain_text("All three ran.")
    expect(rows(page, "call")).to_have_count(3)


def test_a_form_is_filled_and_judged(site: Site, tab: Opener) -> None:
    asked = json.dumps({"message": "Where to?", "title": "Deployment", "schema": FORM})
    session = site.run(f"[[tool user_prompt {asked}]]", safety_policy="autonomous")
    site.wait_of(session)
    page = watching(tab(site, NARROW), session)
    card = page.locator(".dock .ask")
    expect(card.get_by_role("heading", name="Deployment")).to_be_visible()
    card.get_by_label("Copies").fill("9")
    card.get_by_role("button", name="Send").click()
    expect(card).to_contain_text("Choose one.")
    expect(card).to_contain_text("This must be at most 5.")
    card.get_by_label("staging").check()
    card.get_by_label("Copies").fill("3")
    card.get_by_role("button", name="Send").click()
    expect(page.locator(".dock")).to_be_hidden()
    expect(rows(page, "answer").last).to_contain_text('"copies":')
    said = site.client.log(session, detail="full")
    answer = next(frame for frame in said if frame.type == "wait_answered")
    assert answer.event["content"] == {"target": "staging", "copies": 3, "really": True}


def test_steering_and_following_up_wait_in_the_queue_until_they_are_read(site: Site, tab: Opener) -> None:
    page = watching(tab(site), site.client.create())
    say(page, f"[[drip 0.03]][[say {WORDS}]]")
    expect(page.locator(".k-answer.streaming").last).to_contain_text("word1")
    say(page, "Be quick about it")
    page.get_by_role("radio", name="After").click()
    say(page, "And one thing more")
    expect(page.locator(".queue li")).to_have_text(["nowBe quick about it", "afterAnd one thing more"])
    expect(rows(page, "user")).to_have_count(3)
    expect(rows(page, "user").locator(".via:visible")).to_have_text(["steered", "follow-up"])
    expect(page.locator(".queue li")).to_have_count(0)
    expect(rows(page, "answer").last).to_contain_text("And one thing more")


def test_a_message_that_waits_is_taken_back_into_the_field(site: Site, tab: Opener) -> None:
    session = site.client.create()
    page = watching(tab(site), session)
    say(page, "[[say This far]][[hang]]")
    expect(page.locator(".k-answer.streaming")).to_contain_text("This far")
    page.get_by_role("radio", name="After").click()
    attached = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"one ``` two"}
    page.locator("input[type=file]").set_input_files(attached)
    say(page, "And one thing more")
    say(page, "And the last thing")
    expect(page.locator(".queue li .words")).to_have_text(["And one thing more", "And the last thing"])

    page.get_by_label("Message", exact=True).fill("half written")
    page.get_by_role("button", name="Take back: And one thing more").click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("And one thing more\n\nhalf written")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    expect(page.locator(".attached li")).to_have_text(["notes.txt"])
    expect(page.locator(".queue li .words")).to_have_text(["And the last thing"])

    page.get_by_label("Message", exact=True).fill("")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_label("Message", exact=True)).to_have_value("And the last thing")
    expect(page.locator(".queue li")).to_have_count(0)
    assert site.client.get(f"/api/sessions/{session}/queue").json["followup"]["depth"] == 0
    expect(page.locator(".transcript")).not_to_contain_text("not taken")
    page.reload()
    expect(page.locator(".k-answer.streaming")).to_contain_text("This far")
    expect(page.locator(".transcript")).not_to_contain_text("one thing more")


def test_a_turn_is_stopped(site: Site, tab: Opener) -> None:
    page = watching(tab(site), site.client.create())
    say(page, "[[say This far]][[hang]]")
    expect(page.locator(".k-answer.streaming")).to_contain_text("This far")
    page.get_by_role("button", name="Stop the agent").click()
    expect(page.locator(".session-head")).to_contain_text("interrupted")
    expect(rows(page, "note")).to_contain_text("Interrupted")


def test_a_fork_begins_before_a_message_with_its_words_in_the_field(site: Site, tab: Opener) -> None:
    page = watching(tab(site), site.client.create(title="Trunk"))
    for words in ("First words", "Second words"):
        say(page, words)
        expect(rows(page, "answer").last).to_contain_text(words)
    rows(page, "user").nth(1).hover()
    rows(page, "user").nth(1).get_by_role("button", name="Fork from here").click()
    expect(page.get_by_label("Message", exact=True)).to_have_value("Second words")
    expect(rows(page, "user")).to_have_text(["First words"])
    say(page, "Other words")
    expect(rows(page, "answer").last).to_contain_text("Other words")


def test_what_is_written_while_a_message_is_on_its_way_stays(site: Site, tab: Opener) -> None:
    page = watching(tab(site), site.client.create())
    held: list[Route] = []
    page.route("**/agent/**", lambda route: held.append(route))
    field = page.get_by_label("Message", exact=True)
    for before, after, kept in (("One", "One, and two", ", and two"), ("Three", "Four", "Four")):
        field.fill(before)
        with page.expect_request("**/agent/**"):
            page.locator(".send").click()
        field.fill(after)
        until(lambda: page.evaluate("true") and held)
        held.pop().fulfill(status=200, content_type="text/event-stream", body="")
        expect(page.locator(".compose")).not_to_have_attribute("aria-busy", "true")
        expect(field).to_have_value(kept)


def test_words_that_could_not_be_sent_stay(site: Site, tab: Opener) -> None:
    page = watching(shown := tab(site), site.client.create())
    shown.context.set_offline(True)
    say(page, "Do not lose me")
    expect(page.get_by_role("log").get_by_text("Could not send it")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_value("Do not lose me")
    shown.context.set_offline(False)
    page.reload()
    expect(page.get_by_label("Message", exact=True)).to_have_value("Do not lose me")
    page.locator(".send").click()
    expect(rows(page, "answer")).to_contain_text("Do not lose me")
    expect(rows(page, "user")).to_have_count(1)


@pytest.fixture
def team(browser: Browser, tmp_path: Path, fake_llm: llm.FakeLLM) -> Iterator[Site]:
    """A server with a team."""
    with front.opened(tmp_path) as yard:
        (yard.folder / "agents").mkdir()
        text = agent_yaml(fake_llm.url, TEAM).replace("Help.", f"'[[tool transfer_task {json.dumps(TASK)}]]'")
        (yard.folder / "agents" / "team.yaml").write_text(text)
        site = Site(yard, fake_llm, free_port())
        site.open()
        yield site


def test_agents_within_are_a_tree(team: Site, tab: Opener) -> None:
    session = team.client.create(safety_policy="autonomous")
    page = watching(tab(team), session)
    team.client.start(session, "Go on", "team", detach=True).close()
    head = rows(page, "sub")
    expect(head).to_contain_text("reader")
    expect(head).to_contain_text("Read the file")
    expect(head).to_contain_text("done")
    expect(rows(page, "call")).to_have_count(0)
    for _ in range(2):
        head.get_by_role("button").click()
        inside = page.locator(".piece[data-depth='1']")
        expect(inside).to_have_count(3)
        expect(inside.nth(1)).to_contain_text("echo it-was-read")
        expect(inside.nth(2)).to_contain_text("The file was read.")
        page.reload()
        expect(head).to_contain_text("done")


def test_two_tabs_agree(site: Site, tab: Opener) -> None:
    session = site.ask_for("make all", title="Shared")
    one, other = (watching(tab(site, size), session) for size in (WIDE, NARROW))
    expect(other.locator(".dock .ask")).to_contain_text("make all")
    one.locator(".dock").get_by_role("button", name="Approve once").click()
    expect(other.locator(".dock")).to_contain_text("Approved")
    expect(other.locator(".dock")).to_be_hidden()
    say(other, f"[[drip 0.02]][[say {WORDS}]]")
    whole(one)
    whole(other)
    expect(one.locator(".k-user")).to_have_count(2)
    one.get_by_role("button", name="Star", exact=True).click()
    expect(other.locator(".starring")).to_have_attribute("aria-pressed", "true")


def test_offline_and_back_no_word_is_lost_or_doubled(site: Site, tab: Opener) -> None:
    page = watching(shown := tab(site), site.client.create())
    say(page, f"[[drip 0.05]][[say {WORDS}]]")
    for word in ("word3", "word40"):
        expect(rows(page, "answer")).to_contain_text(word)
        shown.context.set_offline(True)
        expect(page.get_by_role("status").filter(has_text="You are offline")).to_be_visible()
        shown.context.set_offline(False)
    whole(page)
    expect(rows(page, "user")).to_have_count(1)
    expect(rows(page, "answer")).to_have_count(1)


def test_a_server_that_is_killed_in_mid_answer_goes_on_with_it(own_site: Site, tab: Opener) -> None:
    session = own_site.client.create()
    page = watching(tab(own_site), session)
    say(page, f"[[drip 0.05]][[say {WORDS}]]")
    expect(rows(page, "answer")).to_contain_text("word5")
    assert own_site.front is not None
    own_site.front.kill()
    expect(page.get_by_role("status").filter(has_text="Reconnecting")).to_be_visible()
    own_site.open()
    page.get_by_role("button", name="Try now").click()
    whole(page)
    expect(rows(page, "user")).to_have_count(1)
    expect(page.locator(".k-answer")).to_have_count(1)
    own_site.client.until_idle(session)


def test_a_long_session_shows_its_end_at_once_and_keeps_the_page_small(site: Site, tab: Opener) -> None:
    session = site.client.create(title="Long")
    for n in range(700):
        role = "assistant" if n % 2 else "user"
        message = {"role": role, "content": f"Message {n}\n\n- a list\n- of **two**"}
        site.client.post(f"/api/sessions/{session}/messages", {"message": {"message": message}})
    page = watching(tab(site), session)
    expect(page.get_by_text("Message 699")).to_be_visible()
    assert page.locator(".piece").count() < 60
    page.get_by_role("button", name="Find in this session").click()
    page.get_by_label("Find in this session").last.fill("message 5")
    page.get_by_role("button", name="Search older").click()
    expect(page.locator(".finder .count")).to_contain_text("of 111")
    page.get_by_role("button", name="Close").click()
    page.locator(".transcript").press("Home")
    expect(page.get_by_text(re.compile(r"^Message 0\b"))).to_be_visible()
    assert page.locator(".piece").count() < 60
    page.get_by_role("button", name="Go to the end").click()
    expect(page.get_by_text("Message 699")).to_be_visible()


def test_the_view_stays_where_one_reads_while_more_comes(site: Site, tab: Opener) -> None:
    session = site.client.create()
    for n in range(30):
        message = {"role": "assistant", "content": f"Old answer {n} " + "with words " * 40}
        site.client.post(f"/api/sessions/{session}/messages", {"message": {"message": message}})
    page = watching(tab(site), session)
    expect(page.get_by_text("Old answer 29")).to_be_visible()
    page.locator(".transcript").hover()
    page.mouse.wheel(0, -1500)
    expect(page.get_by_role("button", name="Go to the end")).to_be_visible()
    key, before = page.evaluate(
        """() => {
            const seen = [...document.querySelectorAll('.piece')].find((row) => row.getBoundingClientRect().top > 100)
            return [seen.dataset.key, seen.getBoundingClientRect().top]
        }"""
    )
    site.client.start(session, f"[[say {WORDS}]]", "helper", detach=True).close()
    expect(page.get_by_role("button", name="New messages")).to_be_visible()
    site.client.until_idle(session)
    place = f"document.querySelector('.piece[data-key=\"{key}\"]').getBoundingClientRect().top"
    assert abs(page.evaluate(place) - before) < 2
    page.get_by_role("button", name="New messages").click()
    whole(page)


def test_what_a_model_writes_is_text_and_nothing_else(site: Site, tab: Opener) -> None:
    hostile = '<img src=x onerror="window.hit=1"><script>hit=1</script> [x](javascript:hit=1) **bold**'
    page = watching(tab(site), site.client.create())
    say(page, f"[[say {hostile}]]")
    expect(page.locator(".k-answer strong")).to_have_text("bold")
    expect(rows(page, "answer")).to_contain_text("<script>hit=1</script>")
    assert page.locator(".k-answer :is(img, script, a)").count() == 0
    assert page.evaluate("window.hit === undefined")


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_no_fault_in_a_session(site: Site, tab: Opener, axe: str, size: tuple[int, int]) -> None:
    session = site.run(
        "[[think Hm]][[say # A title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx = 1\n```\n- [x] done]]",
        title="Seen",
    )
    site.client.until_idle(session)
    site.client.start(session, '[[tool shell {"cmd": "rm -rf x"}]]', "helper", detach=True).close()
    site.wait_of(session)
    shown = tab(site, size)
    page = watching(shown, session)
    expect(page.locator(".dock .ask")).to_be_visible()
    page.evaluate(axe)
    assert faults(page) == []
    page.get_by_role("button", name="Find in this session").click()
    page.locator(".dock").get_by_role("button", name="Reject").click()
    assert faults(page) == []
    assert shown.overflow <= 0


def test_the_view_is_used_by_keys(site: Site, tab: Opener) -> None:
    page = watching(tab(site), site.client.create())
    field = page.get_by_label("Message", exact=True)
    field.fill("[[say This far]][[hang]]")
    field.press("Enter")
    expect(page.locator(".k-answer.streaming")).to_contain_text("This far")
    field.press("Escape")
    field.press("Escape")
    expect(page.locator(".session-head")).to_contain_text("interrupted")
    page.keyboard.press("Control+f")
    expect(page.get_by_label("Find in this session").last).to_be_focused()
    page.keyboard.type("this far")
    expect(page.locator(".finder .count")).to_contain_text("of")
    page.keyboard.press("Escape")
    expect(page.locator(".finder")).to_be_hidden()
    field.fill("one")
    field.press("Shift+Enter")
    expect(field).to_have_value("one\n")


def test_a_title_is_changed_and_seen_everywhere(site: Site, tab: Opener) -> None:
    session = site.client.create(title="Old name")
    page = watching(shown := tab(site), session)
    page.get_by_role("button", name="Old name", exact=True).click()
    page.get_by_role("textbox", name="Title").fill("New name")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="New name", level=1)).to_be_visible()
    expect(shown.row("New name")).to_be_visible()
    assert until(lambda: site.client.snapshot(session)["title"] == "New name" or None)


def test_who_comes_back_reads_on_where_he_was(site: Site, tab: Opener) -> None:
    session = site.client.create(title="To be read on")
    for n in range(300):
        message = {"role": "assistant", "content": f"Old answer {n} " + "with words " * 40}
        site.client.post(f"/api/sessions/{session}/messages", {"message": {"message": message}})
    page = watching(tab(site), session)
    expect(page.get_by_text("Old answer 299")).to_be_visible()
    transcript = page.locator(".transcript")
    transcript.press("Home")
    expect(page.get_by_text("Old answer 180")).to_be_visible()
    seen = "document.elementFromPoint(700, 300).closest('.piece').textContent.slice(0, 20)"
    until(lambda: page.evaluate("history.state?.place?.[0]?.[0]") == page.evaluate(_FIRST) or None)
    here = until(lambda: page.evaluate(seen))

    page.evaluate("location.hash = '#/settings'")
    expect(page.get_by_role("heading", name="Theme")).to_be_visible()
    page.go_back()
    until(lambda: page.evaluate(f"document.querySelector('.piece') && {seen}") == here or None)
    page.reload()
    until(lambda: page.evaluate(f"document.querySelector('.piece') && {seen}") == here or None)
    page.get_by_role("button", name="Go to the end").click()
    expect(page.get_by_text("Old answer 299")).to_be_visible()
    page.evaluate("location.hash = '#/settings'")
    expect(page.get_by_role("heading", name="Theme")).to_be_visible()
    page.evaluate(f"location.hash = '#/s/{session}'")  # a link shows the newest
    expect(page.get_by_text("Old answer 299")).to_be_visible()


_FIRST = """(() => {
    const box = document.querySelector('.transcript')
    const seen = [...box.querySelectorAll('.piece')].find((row) => row.offsetTop + row.offsetHeight > box.scrollTop)
    return seen.dataset.key
})()"""


def test_what_is_found_everywhere_is_marked_to_a_bound(own_site: Site, tab: Opener) -> None:
    session = own_site.client.create(title="Many")
    own_site.client.start(session, f"{'İ' * 300} {'é' * 3000}", "helper", detach=True).close()
    page = watching(tab(own_site), session)
    expect(page.locator(".k-user")).to_be_visible()
    page.get_by_role("button", name="Find in this session").click()
    for word in ("é", "i\u0307"):  # of the second small letters take two places
        page.get_by_label("Find in this session").last.fill(word)
        expect(page.locator(".finder .count")).to_contain_text("of")
        assert 0 < page.evaluate("CSS.highlights.get('found').size") <= 500
