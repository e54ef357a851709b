"""The cards of what waits, several at once: keys, and what is sent to the server for each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input

from roost import tui
from roost.tui.dialogs import card
from roost.tui.dialogs.card import Card
from roost.tui.dialogs.dock import Dock
from roost.tui.dialogs.link import Link
from roost.tui.dialogs.question import Entry
from roost.tui.parts import Wait
from tui.room import screen

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Shelf(App[None]):
    """A dock and nothing else, which keeps what it was told."""

    CSS_PATH = Path(tui.__file__).parent / "app.tcss"

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[str, dict[str, Any]]] = []
        self.left: list[int] = []
        self.wanted: list[tuple[str, bool]] = []

    def compose(self) -> ComposeResult:
        yield Dock()

    @property
    def dock(self) -> Dock:
        return self.query_one(Dock)

    def on_card_answered(self, event: Card.Answered) -> None:
        self.answers.append((event.card.wait.id, event.fields))

    def on_card_left(self, event: Card.Left) -> None:
        self.left.append(event.by)
        self.dock.step(event.by)

    def on_link_wanted(self, event: Link.Wanted) -> None:
        self.wanted.append((event.url, event.copy))


@asynccontextmanager
async def shelf(monkeypatch: pytest.MonkeyPatch, *waits: Wait) -> AsyncIterator[tuple[Shelf, Pilot[None]]]:
    monkeypatch.setattr(card, "GUARD", 0.0)
    app = Shelf()
    async with app.run_test(size=(90, 30)) as pilot:
        await app.dock.show(waits, grab=True)
        await pilot.pause()
        yield app, pilot


def call(number: int) -> Wait:
    return Wait(f"w{number}", "approval", agent="root", tool="shell", arguments=f'{{"cmd": "touch {number}"}}')


async def test_of_several_one_is_seen_and_tab_goes_through_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shelf(monkeypatch, call(1), call(2), call(3)) as (app, pilot):
        assert "touch 1" in screen(app) and "1 of 3" in screen(app)
        await pilot.press("tab")
        assert "touch 2" in screen(app) and "2 of 3" in screen(app) and "touch 1" not in screen(app)
        await pilot.press("shift+tab", "shift+tab")
        assert "touch 3" in screen(app)
        await pilot.press("n")
        assert app.answers == [("w3", {"confirmation": "reject"})]


async def test_what_is_answered_leaves_and_the_next_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shelf(monkeypatch, call(1), call(2)) as (app, pilot):
        await pilot.press("y")
        assert [wait.id for wait in await app.dock.show([call(2)], grab=True)] == []
        await pilot.pause()
        assert "touch 2" in screen(app) and "of 2" not in screen(app)
        await pilot.press("y")
        assert app.answers == [("w1", {"confirmation": "approve"}), ("w2", {"confirmation": "approve"})]
        await app.dock.show([], grab=False)
        assert app.dock.shown is None and not app.dock.display


async def test_an_answer_goes_once_until_the_server_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shelf(monkeypatch, call(1)) as (app, pilot):
        await pilot.press("y", "y", "n")
        assert len(app.answers) == 1
        assert app.dock.shown is not None
        app.dock.shown.refuse("the budget is too small")
        await pilot.pause()
        assert "the budget is too small" in screen(app)
        await pilot.press("n")
        assert len(app.answers) == 2


async def test_what_is_filled_in_stays_while_another_card_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    form = Wait("q", "question", message="Who?", schema={"properties": {"name": {"type": "string"}}})
    async with shelf(monkeypatch, form, call(1)) as (app, pilot):
        await pilot.press(*"Ada", "alt+right")
        assert "touch 1" in screen(app)
        await pilot.press("tab")
        assert app.query_one(Entry).query_one(Input).value == "Ada"
        await pilot.press("enter")
        assert app.answers == [("q", {"action": "accept", "content": {"name": "Ada"}})]


async def test_the_limit_of_steps_is_lifted_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shelf(monkeypatch, Wait("l", "limit", max_iterations=20)) as (app, pilot):
        assert "20 steps" in screen(app)
        await pilot.press("y")
        assert app.answers == [("l", {"confirmation": "approve"})]


def spent() -> Wait:
    known = {"budget": "session", "limit": "cost", "used": 5.2, "max": 5.0}
    return Wait("b", "budget", message="$5 are spent.", metadata=known)


@pytest.mark.parametrize(
    ("keys", "fields"),
    [
        (["y"], {"confirmation": "approve"}),
        (["n"], {"confirmation": "reject"}),
    ],
)
async def test_a_budget_is_doubled_or_not(
    monkeypatch: pytest.MonkeyPatch, keys: list[str], fields: dict[str, Any]
) -> None:
    async with shelf(monkeypatch, spent()) as (app, pilot):
        assert "$5.20 of $5.00 spent" in screen(app)
        await pilot.press(*keys)
        assert app.answers == [("b", fields)]


async def test_a_budget_is_raised_to_what_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shelf(monkeypatch, spent()) as (app, pilot):
        await pilot.press("b")
        line = app.query_one(Input)
        assert line.value == "$10"
        line.value = "plenty"
        await pilot.press("enter")
        assert "is no budget" in screen(app) and not app.answers
        line.value = "12.50"
        await pilot.press("enter")
        ((_, fields),) = app.answers
        assert fields["confirmation"] == "approve" and fields["budget"].max_cost == 12.5


def page(url: str, **metadata: Any) -> Wait:
    return Wait("u", "question", message="Log in.", mode="url", url=url, metadata=metadata)


async def test_a_page_is_opened_only_when_that_is_wanted_and_its_host_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shelf(monkeypatch, page("https://bank.example@evil.test/login")) as (app, pilot):
        assert "on evil.test" in screen(app)
        await pilot.press("c")
        assert app.wanted == [("https://bank.example@evil.test/login", True)] and not app.answers
        await pilot.press("o")
        assert app.wanted[1][1] is False
        assert app.answers == [("u", {"action": "accept", "content": {}})]


async def test_what_is_no_web_page_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    async with shelf(monkeypatch, page("file:///etc/passwd")) as (app, pilot):
        assert "no web page" in screen(app)
        await pilot.press("o")
        assert not app.wanted and not app.answers
        await pilot.press("n")
        assert app.answers == [("u", {"action": "decline", "content": None})]


@pytest.mark.parametrize("url", ["http://[", "https://[::1/x", "//", "\ud800"])
async def test_what_is_no_address_at_all_is_not_opened_either(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    async with shelf(monkeypatch, page(url)) as (app, pilot):
        assert "no web page" in screen(app)
        await pilot.press("o", "n")
        assert not app.wanted and app.answers == [("u", {"action": "decline", "content": None})]


async def test_a_tool_is_not_taken_for_another_by_what_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = Wait("w", "approval", agent="root", tool="she\u200bll", arguments='{"": 7, "cmd ": "x"}')
    async with shelf(monkeypatch, wait) as (app, _):
        assert "she⟨U+200B⟩ll" in screen(app)
        assert "cmd : x" in screen(app)


async def test_a_login_has_its_address_beside_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = page("", **{"docker-agent/authorize_url": "https://login.example/go"})
    async with shelf(monkeypatch, wait) as (app, _):
        assert "login.example" in screen(app)
