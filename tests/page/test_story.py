"""The page from the first day on: paired, watched, answered, steered, cut off; nothing is lost or doubled."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from acceptance import front
from acceptance.clis import cast
from acceptance.house import free_port, until
from fakes import llm
from page.tabs import NARROW, WIDE, Opener, Site, Tab
from page.wire import Wire, logged

SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
WORDS = " ".join(f"word{n}" for n in range(60))
FORM = {
    "title": "Deployment",
    "message": "Where to?",
    "schema": {
        "type": "object",
        "required": ["target", "copies"],
        "properties": {
            "target": {"type": "string", "title": "Target", "enum": ["staging", "production"]},
            "copies": {"type": "integer", "title": "Copies", "minimum": 1, "maximum": 5},
        },
    },
}


@pytest.fixture
def home(browser: Browser, tmp_path: Path, fake_llm: llm.FakeLLM) -> Iterator[Site]:
    """A server as people have it: over TLS, by a certificate of its own making, with the agent CLIs that are there."""
    claude = cast.CAST["claude"].dress(tmp_path, fake_llm.url)
    with front.opened(tmp_path) as yard:
        site = Site(yard, fake_llm, free_port(), secure=True, env={**claude, "PATH": cast.PATH})
        site.open()
        yield site


def link(site: Site) -> str:
    """What `roost pair` prints."""
    command = [sys.executable, "-m", "roost", "pair"]
    said = subprocess.run(command, env=site.yard.env({}), capture_output=True, text=True, timeout=60, check=True)
    return said.stdout.strip()


@dataclass
class Story:
    """A browser with two tabs on one session."""

    site: Site
    one: Page
    other: Page
    wire: Wire
    session: str

    @property
    def pages(self) -> tuple[Page, Page]:
        return self.one, self.other

    def idle(self) -> None:
        for page in self.pages:
            expect(page.locator(".session-head .about")).to_have_attribute("data-state", "idle")
            expect(page.locator(".k-answer.streaming")).to_have_count(0)


def rows(page: Page, kind: str) -> Locator:
    return page.locator(f".k-{kind}")


def say(page: Page, words: str) -> None:
    page.get_by_label("Message", exact=True).fill(words)
    page.locator(".send").click()


def call(name: str, **arguments: object) -> str:
    return f"[[tool {name} {json.dumps(arguments)}]]"


def dripping(page: Page) -> None:
    """An answer has begun, and is not done."""
    say(page, f"[[drip 0.08]][[say {WORDS}]]")
    expect(page.locator(".k-answer.streaming .prose").last).to_contain_text("word3 ")


def whole(page: Page) -> None:
    """The last answer is there, each of its words once."""
    expect(rows(page, "answer").last).to_contain_text("word59")
    assert rows(page, "answer").locator(".prose").all_inner_texts()[-1].split() == WORDS.split()


def shown(page: Page) -> list[str]:
    """The whole conversation as it can be read, in a window that is tall enough for it.

    Without what only those know who were there: that a server was started again, which words came in between, how
    long a call took, and the minute in which an answer ended rather than that in which it is dated.
    """
    size = page.viewport_size
    assert size is not None
    page.set_viewport_size({"width": size["width"], "height": 12_000})
    expect(rows(page, "user").first).to_contain_text("A thought")
    expect(rows(page, "answer").last).to_contain_text("word59")
    found = page.locator(".pieces > :not(.k-note)").all_inner_texts()
    return [re.sub(r"\Asteered\n|\n(is done|[\dms ]+)\Z| · \d+:\d\d [AP]M", "", text) for text in found]


def spawn(page: Page, agent: str, prompt: str) -> None:
    """Start something from the form, and look at it."""
    page.goto(f"{page.url.partition('#')[0]}#/new")
    page.get_by_label("Agent", exact=True).select_option(agent)
    page.get_by_label("Prompt").fill(prompt)
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile(r"#/s/."))


def pair(site: Site, tab: Opener, size: tuple[int, int]) -> tuple[Tab, Wire]:
    """A browser comes in by the link."""
    first = tab(site, size, let_in=False, ignore_https_errors=True)
    wire = Wire(first.page)
    way = link(site)
    assert way.startswith(f"{site.url}#pair="), way
    first.page.goto(way)
    expect(first.page.get_by_role("heading", name="No sessions yet")).to_be_visible()
    assert "pair" not in first.page.url
    return first, wire


def opened(site: Site, tab: Opener, size: tuple[int, int]) -> Story:
    first, wire = pair(site, tab, size)
    spawn(first.page, "file:helper", f"[[think A thought]][[drip 0.04]][[say {WORDS}]]")
    expect(first.page.locator(".k-answer.streaming .prose").last).to_contain_text("word1")
    expect(first.page.locator(".session-head")).to_contain_text("works")
    session = first.page.url.rpartition("/")[2]
    second = tab(site, size, shares=first).go(f"#/s/{session}")
    return Story(site, first.page, second.page, wire, session)


def answered(story: Story) -> None:
    """Approved in one tab, rejected in the other, a form filled: each sees what the other does."""
    one, other = story.pages
    say(one, call("shell", cmd="echo it-was-run"))
    expect(other.locator(".dock .ask")).to_contain_text("echo it-was-run")
    one.locator(".dock").get_by_role("button", name="Approve once").click()
    expect(other.locator(".dock")).to_contain_text("Approved")
    story.idle()

    say(one, call("shell", cmd="rm -rf everything"))
    expect(one.locator(".dock .ask")).to_contain_text("rm -rf everything")
    other.locator(".dock").get_by_role("button", name="Reject").click()
    other.get_by_label("Reason for the rejection").fill("not on my machine")
    other.get_by_label("Reason for the rejection").press("Enter")
    expect(rows(one, "call").last).to_contain_text("rejected")
    expect(rows(one, "answer").last).to_contain_text("not on my machine")
    story.idle()

    one.get_by_role("button", name="Actions", exact=True).click()
    one.get_by_role("menuitem", name="Safety mode").click()
    one.get_by_role("menuitem", name="Autonomous: never ask").click()
    say(one, call("user_prompt", **FORM))
    expect(other.locator(".dock .ask")).to_contain_text("Where to?")
    card = one.locator(".dock .ask")
    card.get_by_label("staging").check()
    card.get_by_label("Copies").fill("3")
    card.get_by_role("button", name="Send").click()
    expect(other.locator(".dock")).to_be_hidden()
    expect(rows(other, "answer").last).to_contain_text('"copies":')
    story.idle()


def steered(story: Story) -> None:
    """While it works it is told something more, by the other tab."""
    dripping(story.one)
    say(story.other, "Be quick about it")
    for page in story.pages:
        expect(rows(page, "user").last.locator(".via")).to_have_text("steered")
        expect(rows(page, "answer").last).to_contain_text("Be quick about it")
    story.idle()


def cut_off(story: Story) -> None:
    """The network goes in mid-answer, and comes back."""
    dripping(story.one)
    for _ in range(2):
        lines = len(story.wire.of(story.session))
        story.one.context.set_offline(True)
        for page in story.pages:
            expect(page.get_by_role("status").filter(has_text="You are offline")).to_be_visible()
        story.one.context.set_offline(False)
        until(lambda: story.one.title() and len(story.wire.of(story.session)) > lines)  # noqa: B023
    for page in story.pages:
        whole(page)
    story.idle()


def restarted(story: Story, how: str) -> None:
    """The server ends in mid-answer, by itself or by force, and another one takes its place."""
    dripping(story.one)
    assert story.site.front is not None
    getattr(story.site.front, how)()
    for page in story.pages:
        expect(page.get_by_role("status").filter(has_text="Reconnecting")).to_be_visible()
    story.site.open()
    for page in story.pages:
        expect(page.locator(".banner")).to_be_hidden()
        whole(page)
    story.idle()


def agreed(story: Story, tab: Opener, shares: Tab) -> None:
    """Both tabs and one that is opened now show the same; what came over the line is the log, without gap or double."""
    fresh = tab(story.site, shares=shares).go(f"#/s/{story.session}")
    whole(fresh.page)
    now = shown(fresh.page)
    assert len(now) >= 14
    for page in story.pages:
        assert shown(page) == now

    taken = story.wire.taken(story.session)
    lines = story.wire.of(story.session)
    assert len(lines) >= 5  # it began, was offline twice, and lost its server twice
    since = lines[0].since[story.session]
    assert [event["type"] for _, event in taken].count(
        "turn_resumed"
    ) == 2  # both ends of the server came in mid-answer
    assert taken == logged(fresh.page, story.session, since, taken[-1][0])


@pytest.mark.timeout(300)  # seconds: it is long where a machine is slow
@SIZES
def test_the_whole_story_of_a_session(home: Site, tab: Opener, size: tuple[int, int]) -> None:
    story = opened(home, tab, size)
    for page in story.pages:
        whole(page)
    story.idle()
    answered(story)
    steered(story)
    cut_off(story)
    restarted(story, "term")
    restarted(story, "kill")
    spawn(story.other, "cli:mock", "Say it again")
    expect(rows(story.other, "answer").last).to_contain_text("Say it again")
    story.other.go_back()
    story.other.go_back()
    agreed(story, tab, Tab(home, story.one, story.one.context))


@SIZES
def test_a_real_cli_is_spawned_and_told_more(home: Site, tab: Opener, size: tuple[int, int]) -> None:
    claude = cast.CAST["claude"]
    claude.need()
    page = pair(home, tab, size)[0].page
    spawn(page, "cli:claude", f"{claude.run('echo it-was-run > done.txt')}[[say It is done.]]")
    page.locator(".dock").get_by_role("button", name="Approve once").click(timeout=60_000)
    expect(rows(page, "answer").last).to_contain_text("It is done.", timeout=60_000)
    assert (home.yard.folder / "done.txt").read_text() == "it-was-run\n"
    say(page, "[[say Still here.]]")
    expect(rows(page, "answer").last).to_contain_text("Still here.", timeout=60_000)
