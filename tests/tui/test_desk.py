"""The terminal UI as its user meets it: what is typed and answered there stands in the log of the server."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import Input, Static

from roost.client.client import Client
from roost.core import events as e
from roost.tui import preferences
from roost.tui.app import RoostApp
from roost.tui.dialogs import card
from roost.tui.dialogs.help import Help
from roost.tui.dialogs.line import Sure
from roost.tui.dialogs.picker import Picker
from roost.tui.dialogs.question import Entry
from roost.tui.rows import Call, User
from tui.room import Brittle, Room, open_room, screen, type_in, until, words

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(tmp_path) as found:
        yield found


@asynccontextmanager
async def shown(
    room: Room, session: str = "", *, size: tuple[int, int] = (100, 30), **more: Any
) -> AsyncIterator[tuple[RoostApp, Pilot[Any]]]:
    """The terminal UI on a screen, with its session open."""
    app = room.app(session, **more)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.session, "a session")
        yield app, pilot


async def asked(app: RoostApp, pilot: Pilot[Any]) -> Any:
    """The card of what waits, once it takes answers."""
    await until(pilot, lambda: app.dock.shown is not None and not app.dock.shown.guarded, "a card")
    return app.dock.shown


def notes(app: RoostApp) -> str:
    return "\n".join(note.message for note in app._notifications)


# -- the screen -------------------------------------------------------------------------------------


async def test_what_tools_return_is_hidden_from_the_beginning_where_that_was_asked_for(room: Room) -> None:
    async with shown(room, results=False, safety="autonomous") as (app, pilot):
        await type_in(pilot, "run it")
        await room.ended(app.session)
        await until(pilot, lambda: "$ git status --short" in screen(app), "the call")
        call = next(row for row in app.sitting.view.rows if isinstance(row, Call))
        await until(pilot, lambda: call.result, "its result")
        assert call.result.splitlines()[-1] not in screen(app)
        await type_in(pilot, "/results")
        await until(pilot, lambda: call.result.splitlines()[-1] in screen(app), "its result on the screen")
        await pilot.press("ctrl+g", "r")
        await until(pilot, lambda: call.result.splitlines()[-1] not in screen(app), "the bare call")


# -- approvals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["y"], ("approve", "approve", "", "")),
        (["enter"], ("approve", "approve", "", "")),
        (["s"], ("approve", "approve-session", "", "")),
        (["t", "enter"], ("approve", "approve-tool", "", "shell:cmd=git status*")),
        (["n"], ("reject", "reject", "", "")),
        (["r", *"too soon", "enter"], ("reject", "reject", "too soon", "")),
        (["r", "escape", "n"], ("reject", "reject", "", "")),
        (["right", "right", "right", "enter"], ("reject", "reject", "", "")),
    ],
)
async def test_an_approval_is_answered_each_way(room: Room, keys: list[str], answer: tuple[str, ...]) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "run it")
        await asked(app, pilot)
        assert "$ git status --short" in screen(app)
        await pilot.press(*("space" if key == " " else key for key in keys))
        found = (await room.until_fact(app.session, e.WaitAnswered)).answer
        assert (found.action, found.word, found.reason, found.tool_name) == answer
        await room.ended(app.session)
        await until(pilot, lambda: app.dock.shown is None, "an empty dock")
        await until(pilot, lambda: app.focused is app.prompt.editor, "the prompt, which has the keys again")


async def test_what_is_granted_for_the_session_is_not_asked_again(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "run three")
        await asked(app, pilot)
        await pilot.press("s")
        await room.ended(app.session)
        assert len(await room.facts(app.session, e.WaitOpened)) == 1
        assert [fact.safety for fact in await room.facts(app.session, e.PolicySet)][-1] == "autonomous"
        await until(pilot, lambda: "autonomous" in screen(app), "the mode")


async def test_a_card_that_comes_by_itself_takes_no_key_that_was_meant_for_the_prompt(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card, "GUARD", 3600.0)
    async with shown(room) as (app, pilot):
        await type_in(pilot, "run it")
        await until(pilot, lambda: app.dock.shown is not None and app.dock.has_focus_within, "a card")
        await pilot.press("y", "n", "enter")
        assert not await room.facts(app.session, e.WaitAnswered)
        assert app.dock.shown is not None and not app.dock.shown.disabled


async def test_a_card_does_not_take_the_keys_from_somebody_who_types(room: Room) -> None:
    async with shown(room) as (app, pilot):
        app.prompt.editor.insert("meanwhil")
        await room.caller().start(app.session, "crew", "run it")
        await until(pilot, lambda: app.dock.shown is not None, "a card")
        await pilot.press("e")
        assert app.prompt.text == "meanwhile"
        await pilot.press("tab")
        await asked(app, pilot)
        assert app.dock.has_focus_within
        await pilot.press("escape")
        assert app.focused is app.prompt.editor
        assert not await room.facts(app.session, e.WaitAnswered)


async def test_what_somebody_else_answers_closes_here_with_a_note(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "run it")
        await asked(app, pilot)
        (waiting,) = await room.caller().waits()
        await room.caller().answer(waiting.id, confirmation="reject", reason="not today")
        await until(pilot, lambda: app.dock.shown is None, "an empty dock")
        await until(pilot, lambda: re.search(r"shell was refused by .*: not today", notes(app)), "a note")


async def test_an_edit_is_shown_as_a_diff_before_it_is_allowed(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "edit")
        await asked(app, pilot)
        assert "- Mind the gap." in screen(app) and "+ Mind the step." in screen(app)
        await pilot.press("y")
        await room.ended(app.session)
        assert (room.work / "notes.md").read_text() == "Mind the step.\nAnd the gap.\n"


# -- questions --------------------------------------------------------------------------------------


async def test_a_form_says_what_is_wrong_and_then_goes(room: Room) -> None:
    async with shown(room, size=(100, 40)) as (app, pilot):
        await type_in(pilot, "ask me")
        form = await asked(app, pilot)
        entries = {entry.field.name: entry for entry in form.query(Entry)}
        entries["mail"].query_one(Input).value = "nobody"
        entries["count"].query_one(Input).value = "12"
        await pilot.press("ctrl+s")
        assert "This is needed." in screen(app)
        assert entries["branch"].has_class("-wrong") and entries["mail"].has_class("-wrong")
        assert app.focused is entries["branch"].query_one(Input)
        await pilot.press(*"main")
        entries["mail"].query_one(Input).value = "a@example.com"
        entries["count"].query_one(Input).value = "4"
        entries["where"].begin()
        await pilot.press("down", "up")
        entries["with"].begin()
        await pilot.press("space", "down", "space", "ctrl+s")
        answer = (await room.until_fact(app.session, e.WaitAnswered)).answer
        assert answer.action == "accept"
        given = dict(answer.content)
        assert given == {
            "branch": "main",
            "count": 4,
            "mail": "a@example.com",
            "where": "eu",
            "with": ["tests", "docs"],
            "sure": False,
        }


@pytest.mark.parametrize(("button", "action"), [("decline", "decline"), ("cancel", "cancel")])
async def test_a_form_can_be_declined_and_dismissed(room: Room, button: str, action: str) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "ask me")
        form = await asked(app, pilot)
        form.query_one(f"#{button}").press()
        answer = (await room.until_fact(app.session, e.WaitAnswered)).answer
        assert (answer.action, answer.content) == (action, None)
        await room.ended(app.session)
        await until(pilot, lambda: app.dock.shown is None, "an empty dock")


async def test_a_question_without_a_form_is_answered_in_a_line(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "just ask")
        await asked(app, pilot)
        await pilot.press(*"Ada", "enter")
        answer = (await room.until_fact(app.session, e.WaitAnswered)).answer
        assert (answer.action, dict(answer.content)) == ("accept", {"response": "Ada"})


# -- while it works ---------------------------------------------------------------------------------


async def test_enter_queues_and_alt_enter_steers_while_it_works(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "slow")
        await until(pilot, lambda: app.sitting.busy, "a turn")
        await type_in(pilot, "afterwards")
        await type_in(pilot, "now", "alt+enter")
        found = [
            await room.until_fact(app.session, e.MessageQueued, lambda fact, q=q: fact.queue == q)
            for q in ("followup", "steer")
        ]
        assert [fact.messages[0].content for fact in found] == ["afterwards", "now"]
        await until(pilot, lambda: "2 queued" in screen(app), "the queue")
        await pilot.press("escape", "escape")


async def test_escape_twice_interrupts_and_once_does_not(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "slow")
        await until(pilot, lambda: app.sitting.busy, "a turn")
        await pilot.press("escape")
        await until(pilot, lambda: "Esc again" in screen(app), "the hint")
        assert not await room.facts(app.session, e.CancelAsked)
        await pilot.press("escape")
        assert (await room.until_fact(app.session, e.TurnEnded)).outcome == "canceled"
        await until(pilot, lambda: not app.sitting.busy, "the end")


async def test_ctrl_c_clears_and_twice_leaves(room: Room) -> None:
    async with shown(room) as (app, pilot):
        app.prompt.editor.insert("some words")
        await pilot.press("ctrl+c")
        assert app.prompt.text == ""
        await pilot.press("ctrl+c")
        await until(pilot, lambda: "Ctrl+C again to leave: the session is kept" in screen(app), "the hint")
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.return_code == 0, "the end")


# -- the prompt -------------------------------------------------------------------------------------


async def test_several_lines_are_written_and_kept(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await pilot.press("a", "shift+enter", "b", "ctrl+j", "c", "\\", "enter", "d")
        assert app.prompt.text == "a\nb\nc\nd"
        await pilot.press("enter")
        assert (await room.until_fact(app.session, e.UserSaid)).text == "a\nb\nc\nd"


async def test_a_long_text_that_is_pasted_goes_along_and_a_short_one_is_written(room: Room) -> None:
    async with shown(room) as (app, pilot):
        app.post_message(events.Paste("two\rlines"))
        await until(pilot, lambda: app.prompt.text == "two\nlines", "the lines")
        app.post_message(events.Paste("A log\r" + "line\r" * 200))
        await until(pilot, lambda: app.prompt.attached, "a chip")
        assert "A log 1 kB" in screen(app)
        assert app.prompt.text == "two\nlines"
        await pilot.press("enter")
        await room.ended(app.session)
        written = (await room.until_fact(app.session, e.MessageWritten)).message
        assert [part.text for part in written.parts] == ["two\nlines", "A log\n" + "line\n" * 200]
        await until(pilot, lambda: "▣ A log" in screen(app), "what went along")


async def test_what_was_typed_before_comes_back(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "first")
        await room.ended(app.session)
        await until(pilot, lambda: not app.sitting.busy, "the end")
        await type_in(pilot, "draft", "up")
        assert app.prompt.text == "first"
        await pilot.press("down")
        assert app.prompt.text == "draft"


async def test_what_was_typed_before_is_found_by_some_letters_of_it(room: Room) -> None:
    async with shown(room) as (app, pilot):
        for text in ("first things first", "a second thought", "first things first"):
            app.prompt.history.add(text)
        app.prompt.editor.insert("draft")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, Picker), "the list")
        assert screen(app).count("first things first") == 1
        await pilot.press(*"second", "enter")
        await until(pilot, lambda: app.prompt.text == "a second thought", "what was found")
        await pilot.press("up")
        assert app.prompt.text == "first things first"


async def test_commands_are_completed_the_agents_among_them(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await pilot.press("/", "g", "r")
        await until(pilot, lambda: "/greet" in screen(app) and "Say hello" in screen(app), "the offer")
        await pilot.press("tab", *"Ada", "enter")
        said = await room.until_fact(app.session, e.UserSaid)
        assert "Say hello to Ada" in said.text or said.text == "/greet Ada"


async def test_files_are_completed_and_go_along(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await pilot.press(*"read @no")
        await until(pilot, lambda: "notes.md" in screen(app), "the offer")
        await pilot.press("tab", "enter")
        said = await room.until_fact(app.session, e.UserSaid)
        assert said.text == "read @notes.md "
        assert [part.path for part in said.parts if hasattr(part, "path")] == [str(room.work / "notes.md")]


async def test_a_command_of_the_shell_shows_its_output_and_offers_to_send_it(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "!echo here; exit 2")
        await until(pilot, lambda: app.prompt.attached, "the output")
        row = next(row for row in app.sitting.view.rows if isinstance(row, Call))
        assert (row.agent, row.state, row.result) == ("you", "failed", "here")
        assert not await room.facts(app.session, e.UserSaid)
        await type_in(pilot, "what went wrong?")
        said = await room.until_fact(app.session, e.UserSaid)
        assert "$ echo here; exit 2\nhere\n[exit code 2]" in "".join(
            part.text for part in said.parts if hasattr(part, "text")
        )


async def test_output_that_is_not_wanted_is_taken_away_with_backspace(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "!true")
        await until(pilot, lambda: app.prompt.attached, "the output")
        await pilot.press("backspace")
        assert not app.prompt.attached


async def test_a_command_of_the_shell_is_stopped_by_escape_twice(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "!echo begun; sleep 300")
        await until(pilot, lambda: "begun" in screen(app).replace("echo begun", ""), "its output")
        await pilot.press("escape")
        await until(pilot, lambda: "Esc again to stop the command" in screen(app), "what a second one does")
        await pilot.press("escape")
        await until(pilot, lambda: "canceled" in screen(app), "its end")
        assert not app.prompt.attached
        await type_in(pilot, "!echo and on")
        await until(pilot, lambda: app.prompt.attached, "the next one")


async def test_the_shell_is_refused_where_the_session_is_elsewhere(room: Room) -> None:
    async with shown(room, local=False) as (app, pilot):
        await type_in(pilot, "!true")
        await until(pilot, lambda: "on another" in notes(app), "the refusal")
        assert app.prompt.text == "!true"


async def test_a_message_that_is_refused_stands_in_the_prompt_again(room: Room) -> None:
    async with shown(room, model="nobody/nothing") as (app, pilot):
        await type_in(pilot, "hello")
        await until(pilot, lambda: notes(app), "the refusal")
        assert app.prompt.text == "hello"
        assert not app.sitting.view.rows
        await until(pilot, lambda: "Talks, runs and asks." in screen(app), "the welcome, as before")


# -- sessions and agents ----------------------------------------------------------------------------


async def test_a_session_is_resumed_with_all_that_was_said(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "remember me")
        await room.ended(app.session)
        session = app.session
    async with shown(room, session) as (app, pilot):
        assert app.session == session
        assert "remember me" in words(app.sitting.view.rows)
        await type_in(pilot, "and me")
        await room.ended(session, turns=2)


async def test_a_wait_is_there_when_a_session_is_opened_again(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "run it")
        await asked(app, pilot)
        session = app.session
    async with shown(room, session) as (app, pilot):
        await asked(app, pilot)
        await pilot.press("y")
        await room.ended(session)


async def test_a_fork_begins_before_a_message_and_leaves_the_other_as_it_is(room: Room) -> None:
    async with shown(room) as (app, pilot):
        for count, text in enumerate(("one", "two"), 1):
            await type_in(pilot, text)
            await room.ended(app.session, turns=count)
            await until(pilot, lambda: not app.sitting.busy, "the end")
        old = app.session
        await type_in(pilot, "/fork")
        await until(pilot, lambda: isinstance(app.screen, Picker), "the list")
        await pilot.press("enter")
        await until(pilot, lambda: app.session != old, "the fork")
        said = words(app.sitting.view.rows)
        assert "one" in said and "two" not in said
        assert app.prompt.text == "two"
        assert len(await room.facts(old, e.UserSaid)) == 2


async def test_sessions_are_listed_renamed_starred_and_deleted(room: Room) -> None:
    other = await room.client.create(title="The other one")
    async with shown(room) as (app, pilot):
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "The other one" in screen(app), "the list")
        await pilot.press(*"other", "ctrl+s")
        await room.until_fact(other.id, e.StarredSet)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "Another title" in screen(app), "the line")
        await pilot.press("ctrl+u", *"Renamed", "enter")
        assert (await room.until_fact(other.id, e.TitleSet)).title == "Renamed"
        await until(pilot, lambda: isinstance(app.screen, Picker), "the list again")
        await pilot.press(*["backspace"] * 5, *"renamed")
        await until(pilot, lambda: "Renamed" in screen(app), "the new name")
        await pilot.press("ctrl+d")
        await until(pilot, lambda: isinstance(app.screen, Sure), "the question")
        await pilot.press("y")
        await until(pilot, lambda: "No session is like that" in screen(app), "an empty list")
        assert other.id not in [row.id for row in await room.client.list_sessions()]


async def test_another_session_is_opened_from_the_list(room: Room) -> None:
    other = await room.client.create(title="The other one")
    async with shown(room) as (app, pilot):
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "The other one" in screen(app), "the list")
        await pilot.press(*"other", "enter")
        await until(pilot, lambda: app.session == other.id, "the other one")
        await type_in(pilot, "hello there")
        await room.ended(other.id)


async def test_the_open_session_is_not_deleted_under_ones_feet(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, Picker), "the list")
        await pilot.press("ctrl+d")
        await until(pilot, lambda: "This one is open" in notes(app), "the note")


async def test_a_model_is_chosen_for_the_next_message(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "hello")
        await room.ended(app.session)
        await until(pilot, lambda: not app.sitting.busy, "the end")
        await pilot.press("ctrl+l")
        await until(pilot, lambda: isinstance(app.screen, Picker), "the list")
        await pilot.press(*"second", "enter")
        await until(pilot, lambda: app.sitting.model == "second", "the choice")
        await type_in(pilot, "and now?")
        assert (await room.until_fact(app.session, e.ModelChosen)).ref == "second"


async def test_another_agent_takes_the_next_message(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "/agent helper")
        await until(pilot, lambda: app.sitting.agent == "helper", "the choice")
        await type_in(pilot, "hello")
        assert (await room.until_fact(app.session, e.TurnOpened)).agent == "helper"
        await type_in(pilot, "/agent nobody")
        await until(pilot, lambda: "no agent 'nobody'" in notes(app), "the refusal")


async def test_small_changes_go_to_the_log(room: Room, tmp_path: Path) -> None:
    async with shown(room) as (app, pilot):
        for order, kind in (
            ("/title My title", e.TitleSet),
            ("/star", e.StarredSet),
            ("/safety strict", e.PolicySet),
            ("/budget $5", e.BudgetSet),
        ):
            await type_in(pilot, order)
            await room.until_fact(app.session, kind)
        await until(pilot, lambda: "My title" in screen(app) and "strict" in screen(app), "the status")
        path = tmp_path / "talk.md"
        await type_in(pilot, f"/export {path}")
        await until(pilot, path.exists, "the file")
        assert path.read_text().startswith("# My title\n")
        await type_in(pilot, f"/export {path}")
        await until(pilot, lambda: "is there already" in notes(app), "the refusal")


async def test_a_new_session_is_begun(room: Room) -> None:
    async with shown(room) as (app, pilot):
        old = app.session
        await type_in(pilot, "/new")
        await until(pilot, lambda: app.session != old, "a new one")
        assert not app.sitting.view.rows


async def test_text_is_found_in_all_sessions(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "a needle in the hay")
        await room.ended(app.session)
        first = app.session
        await type_in(pilot, "/new")
        await until(pilot, lambda: app.session != first, "a new one")
        await type_in(pilot, "/search needle")
        await until(pilot, lambda: isinstance(app.screen, Picker) and "needle" in screen(app), "the list")
        await pilot.press("enter")
        await until(pilot, lambda: app.session == first, "the first one")


async def test_a_sub_agent_stands_in_the_tree(room: Room) -> None:
    async with shown(room, size=(140, 40)) as (app, pilot):
        await type_in(pilot, "delegate")
        await room.ended(app.session)
        await until(pilot, lambda: app.sitting.view.tree and "helper" in screen(app), "the tree")
        assert app.sitting.view.tree[0].agent == "helper"


# -- lists ------------------------------------------------------------------------------------------


async def test_the_palette_finds_and_does(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, Picker), "the palette")
        await pilot.press(*"keys and", "enter")
        await until(pilot, lambda: isinstance(app.screen, Help), "the help")
        await pilot.press("escape")
        assert app.screen is app.screen_stack[0]


async def test_a_theme_is_tried_on_and_kept(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "/theme")
        await until(pilot, lambda: isinstance(app.screen, Picker), "the list")
        await pilot.press("down")
        await until(pilot, lambda: app.theme == "light", "the colours")
        await pilot.press("escape")
        await until(pilot, lambda: app.theme == "dark", "the old colours")
        await type_in(pilot, "/theme high-contrast")
        await until(pilot, lambda: app.theme == "high-contrast", "the colours")
    assert preferences.read(room.home).theme == "high-contrast"


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (200, 60)])
async def test_every_size_of_the_terminal_holds_prompt_and_status(room: Room, size: tuple[int, int]) -> None:
    async with shown(room, size=size) as (app, pilot):
        await type_in(pilot, "run it")
        await asked(app, pilot)
        lines = screen(app).splitlines()
        assert len(lines) == size[1]
        assert "waits for you" in lines[-1]
        assert app.prompt.region.bottom == size[1] - 1
        assert app.dock.region.height >= 5
        await pilot.resize_terminal(60, 20)
        await until(pilot, lambda: app.prompt.region.bottom == 19, "the new size")


async def test_the_hint_in_the_prompt_is_one_that_fits(room: Room) -> None:
    async with shown(room, size=(60, 20)) as (app, pilot):
        await type_in(pilot, "slow")
        await until(pilot, lambda: "❯ Enter queues, Alt+Enter steers" in screen(app), "the short one")
        await pilot.resize_terminal(100, 20)
        await until(pilot, lambda: "❯ Write the next message: Enter queues it, Alt+Enter steers" in screen(app), "all")
        await pilot.press("escape", "escape")
        await room.ended(app.session)


async def test_the_end_stays_in_sight_when_a_card_comes_and_goes(room: Room) -> None:
    async with shown(room, size=(80, 16)) as (app, pilot):
        for count in range(1, 4):
            await type_in(pilot, "hello")
            await room.ended(app.session, turns=count)
            await until(pilot, lambda: not app.sitting.busy, "the end")
        await type_in(pilot, "run it")
        await asked(app, pilot)
        assert app.transcript.at_end
        await pilot.press("y")
        await until(pilot, lambda: "It ran" in screen(app), "the answer")
        assert app.transcript.at_end


# -- the line ---------------------------------------------------------------------------------------


async def test_a_line_that_is_cut_costs_nothing_and_doubles_nothing(room: Room) -> None:
    wire = Brittle(room.running.app)
    client = Client("http://localhost", token="tok", transport=wire)
    async with shown(room, client=client) as (app, pilot):
        await type_in(pilot, "first")
        await room.ended(app.session)
        wire.cut()
        await until(pilot, lambda: "reconnecting" in screen(app), "word of the cut")
        await room.caller().start(app.session, "crew", "run it")
        await room.until_fact(app.session, e.WaitOpened)
        await type_in(pilot, "/title Not now")
        await until(pilot, lambda: "does not answer" in notes(app), "the refusal")
        assert app.prompt.text == "/title Not now"
        await pilot.press("ctrl+c")
        wire.mend()
        await until(pilot, lambda: "reconnecting" not in screen(app), "the line")
        await asked(app, pilot)
        if not app.dock.has_focus_within:
            await pilot.press("tab")
        await pilot.press("y")
        await room.ended(app.session, turns=2)
        await until(pilot, lambda: "It ran" in words(app.sitting.view.rows), "the answer")
        said = [row.text for row in app.sitting.view.rows if isinstance(row, User)]
        assert said == ["first", "run it"]
        assert words(app.sitting.view.rows).count("It ran") == 1
    await client.aclose()


async def test_a_session_that_is_deleted_says_so(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await room.caller().delete(app.session)
        await until(pilot, lambda: "the session is gone" in screen(app), "word of it")


async def test_what_is_sent_before_the_session_is_open_waits_for_it(room: Room) -> None:
    app = room.app()
    async with app.run_test() as pilot:
        await type_in(pilot, "at once")
        await until(pilot, lambda: app.session, "a session")
        assert (await room.until_fact(app.session, e.UserSaid)).text == "at once"


async def test_a_session_that_is_not_there_ends_with_what_the_server_says(room: Room) -> None:
    app = room.app("00000000-0000-4000-8000-000000000000")
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.return_code == 1, "the end")


async def test_a_crowd_of_events_does_not_hold_up_typing(room: Room) -> None:
    """At 200 events a second what is typed is there long before they end."""
    steps = [{"text": "word and word " * 5000, "chunk": 10, "delay": 0.004}]
    agent = {
        "agents": {"root": {"model": "m", "instruction": "x"}},
        "models": {
            "m": {
                "provider": "scripted",
                "model": "m",
                "provider_opts": {"scenario": {"turns": [{"answers": [steps]}]}},
            }
        },
    }
    async with open_room(room.place / "crowd", agent) as crowd, shown(crowd) as (app, pilot):
        await type_in(pilot, "go")
        await until(pilot, lambda: len(words(app.sitting.view.rows)) > 100, "the first words")
        await pilot.press(*"typing")
        await until(pilot, lambda: "typing" in screen(app), "what was typed")
        assert app.sitting.busy and app.transcript.at_end
        await crowd.client.cancel(app.session)
        await crowd.ended(app.session)


async def test_nothing_that_others_wrote_gives_the_terminal_orders(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await app.mount(Static(Content("a\x1b]0;mine\x07b\x9b2Jc\u202ed")))
        await until(pilot, lambda: "a]0;mineb2Jcd" in screen(app), "the line")
        assert not {"\x1b", "\x9b", "\u202e"} & set(screen(app))


async def test_the_conversation_is_scrolled_from_the_prompt_and_a_long_call_from_its_card(room: Room) -> None:
    async with shown(room, size=(80, 24)) as (app, pilot):
        for count in range(1, 6):
            await type_in(pilot, "hello")
            await room.ended(app.session, turns=count)
            await until(pilot, lambda: not app.sitting.busy, "the end")
        await pilot.press("pageup")
        assert not app.transcript.at_end
        await pilot.press("ctrl+end")
        assert app.transcript.at_end
        (room.work / "notes.md").write_text("Mind the gap.\n" + "line\n" * 50)
        await type_in(pilot, "long")
        shown_card = await asked(app, pilot)
        exhibit = shown_card.query_one(".exhibit")
        await pilot.press("pagedown")
        await until(pilot, lambda: exhibit.scroll_y > 0, "the rest of the call")


async def test_text_in_the_conversation_is_found(room: Room) -> None:
    async with shown(room) as (app, pilot):
        await type_in(pilot, "hello needle")
        await room.ended(app.session)
        await until(pilot, lambda: not app.sitting.busy, "the end")
        await pilot.press("ctrl+f", *"needle")
        await until(pilot, lambda: "2 found" in screen(app), "the matches")
        await pilot.press("escape")
        assert app.focused is app.prompt.editor
