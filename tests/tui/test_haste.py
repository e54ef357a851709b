"""Keys that come faster than they are dealt with: none is lost, and each goes where it was meant to."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from roost.core import events as e
from roost.tui.app import RoostApp
from roost.tui.rows import User
from tui.room import Room, open_room, until

pytestmark = pytest.mark.anyio

KEYS = ("enter", "tab", "up", "down", "ctrl+s", "space", "backspace")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(tmp_path) as found:
        yield found


def rush(app: RoostApp, *words: str) -> None:
    """Press keys, and type what names none, without a moment in between."""
    for word in words:
        for key in [word] if word in KEYS else word:
            app.post_message(events.Key(key, {"enter": "\r"}.get(key, key if len(key) == 1 else None)))


async def asked(app: RoostApp, pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: app.dock.shown is not None and not app.dock.shown.guarded, "a card")


def said(app: RoostApp) -> list[str]:
    return [row.words for row in app.sitting.view.rows if isinstance(row, User)]


async def test_messages_sent_in_one_breath_are_as_many_in_that_order(room: Room) -> None:
    app = room.app("")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.session, "a session")
        rush(app, "one", "enter", "two", "enter", "three", "enter", "rest")
        await until(pilot, lambda: app.prompt.text == "rest", "what was not sent")
        await room.until_fact(app.session, e.MessageAdded, count=3)
        await until(pilot, lambda: said(app) == ["one", "two", "three"], "three messages")


async def test_what_is_typed_before_the_screen_is_there_stands_in_the_prompt(room: Room) -> None:
    app = room.app("")
    rush(app, "early", "enter", "birds")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: said(app) == ["early"], "the message")
        assert app.prompt.text == "birds"


async def test_a_whole_command_is_carried_out_before_it_has_been_offered(room: Room) -> None:
    app = room.app("")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.session, "a session")
        rush(app, "/st", "tab", "enter")
        await until(pilot, lambda: app.sitting.starred, "a star")
        rush(app, "/tree", "enter", "on we go")
        await until(pilot, lambda: app.kin.display, "the sub-agents")
        assert app.prompt.text == "on we go"


async def test_two_steps_back_are_two_steps(room: Room) -> None:
    app = room.app("")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.session, "a session")
        rush(app, "older", "enter", "newer", "enter", "draft", "up", "up")
        await until(pilot, lambda: app.prompt.text == "older", "the one before the last")
        await pilot.pause()
        await pilot.press("down", "down")
        assert app.prompt.text == "draft"


async def test_what_is_typed_behind_tab_and_enter_goes_into_the_next_field(room: Room) -> None:
    app = room.app("")
    async with app.run_test(size=(100, 50)) as pilot:
        await until(pilot, lambda: app.session, "a session")
        rush(app, "ask me", "enter")
        await asked(app, pilot)
        rush(app, "main", "tab", "backspace", "4", "enter", "me@example.org", "enter", "down", "enter")
        rush(app, "space", "tab", "space", "ctrl+s")
        answer = (await room.until_fact(app.session, e.WaitAnswered)).answer
        assert (answer.action, answer.content) == (
            "accept",
            {"branch": "main", "count": 4, "mail": "me@example.org", "where": "us", "with": ["tests"], "sure": True},
        )


async def test_a_reason_answers_nothing_by_its_letters(room: Room) -> None:
    app = room.app("")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.session, "a session")
        rush(app, "run it", "enter")
        await asked(app, pilot)
        rush(app, "r", "yes but not today", "enter")
        answer = (await room.until_fact(app.session, e.WaitAnswered)).answer
        assert (answer.action, answer.reason) == ("reject", "yes but not today")
