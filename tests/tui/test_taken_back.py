"""Messages that wait, taken back into the prompt: by Up, by Backspace on them, and by others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from roost.core import events as e
from roost.tui import attachments
from roost.tui.app import RoostApp
from roost.tui.rows import User
from tui.room import Room, open_room, screen, type_in, until

pytestmark = pytest.mark.anyio
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(tmp_path) as found:
        yield found


def waiting(app: RoostApp) -> list[str]:
    return [row.words for row in app.sitting.view.rows if isinstance(row, User) and row.state == "queued"]


@asynccontextmanager
async def at_work(room: Room) -> AsyncIterator[tuple[RoostApp, Pilot[int]]]:
    """A screen whose agent is at work, so that messages wait; the turn is stopped in the end."""
    app = room.app("")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.session, "a session")
        await type_in(pilot, "slow")
        await until(pilot, lambda: app.sitting.busy, "a turn")
        yield app, pilot
        await pilot.press("escape", "escape")
        await room.ended(app.session)


async def test_up_takes_the_newest_back_and_leaves_the_others(room: Room) -> None:
    async with at_work(room) as (app, pilot):
        await type_in(pilot, "and then?")
        await type_in(pilot, "at lats")
        await until(pilot, lambda: waiting(app) == ["and then?", "at lats"], "two that wait")
        await until(pilot, lambda: "↑ takes the newest back" in screen(app), "how to")
        await pilot.press("up", "up")
        await until(pilot, lambda: app.prompt.text == "at lats", "it stands in the prompt")
        await until(pilot, lambda: waiting(app) == ["and then?"], "one that waits")
        dropped = await room.until_fact(app.session, e.MessageDropped)
        assert dropped.why == "withdrawn"
        assert "not taken" not in screen(app)
        await pilot.press("backspace", "backspace", *"st", "enter")
        await until(pilot, lambda: waiting(app) == ["and then?", "at last"], "it waits as it was meant")


async def test_what_went_along_comes_back_too(room: Room, tmp_path: Path) -> None:
    (room.work / "seen.md").write_text("x")
    (tmp_path / "other.md").write_text("xy")
    async with at_work(room) as (app, pilot):
        picture = attachments.of_bytes(PNG, local=True, home=None)
        app.prompt.attach(picture, attachments.of_text("$ ls", "seen.md"))
        app.prompt.attach(attachments.of_file(tmp_path / "other.md", local=True))
        await type_in(pilot, "look at @seen.md now")
        await until(pilot, lambda: waiting(app), "it waits")
        assert not app.prompt.attached
        await pilot.press("up")
        await until(pilot, lambda: app.prompt.text == "look at @seen.md now", "it stands in the prompt")
        assert [(one.name, one.data, one.text) for one in app.prompt.attached] == [
            ("image.png", PNG, ""),
            ("seen.md", b"", "seen.md"),
            ("other.md", b"", ""),
        ]


async def test_one_is_chosen_in_the_conversation(room: Room) -> None:
    async with at_work(room) as (app, pilot):
        await type_in(pilot, "one")
        await type_in(pilot, "two")
        await until(pilot, lambda: waiting(app) == ["one", "two"], "two that wait")
        app.prompt.editor.insert("meanwhile")
        await pilot.press("ctrl+g")
        app.transcript.select(
            next(row.key for row in app.sitting.view.rows if isinstance(row, User) and row.words == "one")
        )
        await pilot.press("backspace")
        await until(pilot, lambda: app.prompt.text == "one\nmeanwhile", "it stands in the prompt")
        assert app.focused is app.prompt.editor
        await until(pilot, lambda: waiting(app) == ["two"], "one that waits")


async def test_what_another_client_takes_back_is_gone_here(room: Room) -> None:
    async with at_work(room) as (app, pilot):
        await type_in(pilot, "one")
        await until(pilot, lambda: waiting(app) == ["one"], "one that waits")
        await room.caller().withdraw(app.session, app.sitting.view.queue[0].id)
        await until(pilot, lambda: not waiting(app), "none")
        assert not [row for row in app.sitting.view.rows if isinstance(row, User) and row.words == "one"]
        await pilot.press("up")
        assert app.prompt.text == "one"  # typed before, as ever


async def test_one_that_was_taken_meanwhile_stays_where_it_is(room: Room) -> None:
    app = room.app("")
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.session, "a session")
        await type_in(pilot, "run it")
        assert await app.sitting.take_back(4711) is None
