"""The conversation on a screen: how it looks, and how one moves in it."""

import pytest
from msgspec.structs import replace

from roost.client import happenings as h
from roost.client.shapes import Call as Wanted
from roost.client.shapes import Chat, Function, Teammate
from roost.tui.rows import Answer, Call, Failure, Nest, User
from roost.tui.view import View
from roost.tui.widgets.transcript import Transcript
from tui import stage
from tui.stage import Teller, conversation, kept, shown, staged

pytestmark = pytest.mark.anyio


# -- how it looks -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (80, 76), (200, 60), (40, 120)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_conversation(size: tuple[int, int]) -> None:
    async with staged(conversation().view, size) as pilot:
        kept(f"conversation-{size[0]}x{size[1]}", shown(pilot))


@pytest.mark.parametrize("theme", ["textual-light", "ansi-dark", "nord"])
async def test_the_words_are_the_same_in_every_theme(theme: str) -> None:
    async with staged(conversation().view, (80, 76), theme) as pilot:
        kept("conversation-80x76", shown(pilot))


async def test_without_colours_all_is_said_by_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with staged(conversation().view, (80, 76)) as pilot:
        kept("conversation-80x76", shown(pilot))
        colours = {
            seg.style.color for strip in pilot.app.screen._compositor.render_strips() for seg in strip if seg.style
        }
        assert all(colour is None or len(set(colour.triplet or (0,))) == 1 for colour in colours)


async def test_all_of_it_opened() -> None:
    async with staged(conversation().view, (100, 130)) as pilot:
        pilot.app.transcript.unfold_all(True)
        pilot.app.transcript.go_home()
        await pilot.pause()
        kept("opened-100x130", shown(pilot))


async def test_what_tools_return_can_be_hidden_and_is_there_where_a_call_is_opened() -> None:
    told = Teller()
    call = told.call("shell", {"cmd": "make"}, "gcc -o it\nlinked it")
    failed = told.call("fetch", {"url": "https://example.com"}, "no network", failed=True)
    running = told.call("shell", {"cmd": "make test"})
    told.tell(h.ToolCallOutput, tool_call_id=running, output="one dot\n", agent="root")
    async with staged(told.view, (80, 24)) as pilot:
        assert all(words in shown(pilot) for words in ("linked it", "no network", "one dot"))
        transcript = pilot.app.transcript
        transcript.results = False
        await pilot.pause()
        text = shown(pilot)
        assert "$ make" in text and "example.com" in text and "$ make test" in text
        assert not any(words in text for words in ("linked it", "no network", "one dot"))
        for hidden in (call, failed):
            transcript.toggle(f"c{told.view.session}:{hidden}")
        await pilot.pause()
        assert "linked it" in shown(pilot) and "no network" in shown(pilot)
        transcript.results = True
        await pilot.pause()
        assert "one dot" in shown(pilot)


async def test_notes_and_ends() -> None:
    told = Teller()
    told.tell(h.RunStarted, provider="claude", version="2.1.0", model="opus", pid=7)
    told.tell(h.StatusShown, message="thinking hard")
    told.tell(h.StatusShown, message="compacting")
    told.tell(h.StderrAdded, text="a warning\nand another\n")
    told.said("hello")
    told.tell(h.ModelFallback, failed_model="a/big", fallback_model="b/small", reason="overloaded", agent="root")
    told.tell(h.HandedOver, from_agent="root", to_agent="coder", why="handoff")
    told.answer("half an ans", whole=False)
    told.tell(h.MessageAdded, answer=f"answer-{told.number - 1}", partial=True)
    told.tell(h.SessionCompaction, status="started")
    told.tell(h.SessionSummary, summary="We spoke of **tests**, and of much else.")
    told.tell(h.SessionCompaction, status="completed", outcome="applied")
    told.tell(h.PlanUpdated, content="- [x] look\n- [ ] mend")
    told.tell(h.Note, level="error", message="a hook failed")
    told.tell(h.Failed, error="the provider refuses: no credit is left", code="provider_refused")
    told.tell(h.StreamStopped, reason="error")
    waiting = told.call("shell", {"cmd": "rm -r build"})
    wanted = Wanted(id=waiting, function=Function(name="shell", arguments='{"cmd": "rm -r build"}'))
    told.tell(h.ToolCallConfirmation, tool_call=wanted, request_id="w1", agent="root")
    async with staged(told.view, (80, 40)) as pilot:
        kept("notes-80x40", shown(pilot))
    assert [wait.tool for wait in told.view.waits] == ["shell"]


async def test_a_session_that_is_opened_after_another_is_drawn_anew() -> None:
    one, other = Teller(), Teller(View("another-session"))
    one.said("What is in this folder?")
    other.said("And what is in that one?")
    assert one.view.rows[0].key == other.view.rows[0].key
    async with staged(one.view) as pilot:
        assert "in this folder" in shown(pilot)
        pilot.app.transcript.load(other.view)
        await pilot.pause()
        assert "in that one" in shown(pilot)
        assert "in this folder" not in shown(pilot)


def test_a_call_has_its_arguments_whole_with_its_message_and_a_session_its_safety_from_the_beginning() -> None:
    told = Teller()
    told.tell(h.SessionCreated, title="x", safety_policy="restricted")
    told.tell(h.AnswerStarted, answer="a")
    draft, whole = (
        Wanted(id="c1", function=Function(name="shell", arguments=text)) for text in ('{"cmd"', '{"cmd": "ls"}')
    )
    told.tell(h.PartialToolCall, tool_call=draft, answer="a")
    told.tell(h.MessageAdded, answer="a", tool_calls=(whole,))
    (call,) = told.view.rows
    assert isinstance(call, Call) and (call.arguments, call.state) == ('{"cmd": "ls"}', "called")
    assert told.view.safety == "restricted"
    told.tell(h.SafetySet, safety_policy="balanced", proposed=True)
    assert len(told.view.rows) == 1
    told.tell(h.SafetySet, safety_policy="autonomous")
    assert [row.text for row in told.view.rows[1:]] == ["Safety: autonomous"]


def test_an_answer_of_which_no_pieces_came_is_there_once_it_is_whole() -> None:
    told = Teller()
    told.tell(h.MessageAdded, message=Chat(role="assistant", content="Hello."))
    (row,) = told.view.rows
    assert isinstance(row, Answer) and row.text == "Hello." and not row.streaming


def test_a_round_of_a_cli_that_failed_says_why_and_says_it_once() -> None:
    told = Teller()
    told.said("say hi")
    told.tell(h.RoundResult, success=False, message="Not logged in")
    told.said("and now?")
    told.tell(h.RoundResult, success=False, message="Not logged in")
    told.tell(h.RunEnded, exit_code=1)
    told.tell(h.Failed, error="Not logged in", code="cli_failed")
    failures = [row for row in told.view.rows if isinstance(row, Failure)]
    assert [(row.words, row.code) for row in failures] == [("Not logged in", ""), ("Not logged in", "cli_failed")]
    told.tell(h.RoundResult, success=True, message="done")
    assert told.view.rows[-1].words != "done"


async def test_agents_of_a_team_say_who_they_are() -> None:
    told = Teller()
    told.tell(h.TeamInfo, available_agents=(Teammate(name="root"), Teammate(name="coder")), current_agent="root")
    told.said("who are you?")
    told.answer("I am root.")
    told.answer("Still me.")
    told.tell(h.HandedOver, from_agent="root", to_agent="coder")
    told.answer("I am the coder.", agent="coder")
    async with staged(told.view, (60, 16)) as pilot:
        kept("team-60x16", shown(pilot))


# -- what streams in ----------------------------------------------------------------------------


async def test_an_answer_grows_and_becomes_markdown_block_by_block() -> None:
    told = Teller()
    told.said("tell me")
    async with staged(told.view, (60, 16)) as pilot:
        transcript = pilot.app.transcript
        told.answer("# Title\n\nSome **bold** text.\n\nAnd **more", whole=False)
        transcript.apply(told.changes)
        transcript.flush()
        await pilot.pause()
        lines = shown(pilot).split("\n")
        assert "   Title" in lines and "   Some bold text." in lines and "   And **more" in lines
        (answer,) = told.view.drafts
        told.tell(h.AgentChoice, content=" of it**.", answer=answer)
        transcript.apply(told.tell(h.MessageAdded, answer=answer))
        transcript.flush()
        await pilot.pause()
        assert "   And more of it." in shown(pilot).split("\n")


async def test_pieces_that_do_not_count_vanish() -> None:
    told = Teller()
    told.said("tell me")
    first = told.number + 1
    told.answer("this will be taken back", whole=False)
    async with staged(told.view, (60, 10)) as pilot:
        assert "this will be taken back" in shown(pilot)
        pilot.app.transcript.apply(told.tell(h.Warned, message="cut off", discard_since=first))
        pilot.app.transcript.flush()
        await pilot.pause()
        assert "taken back" not in shown(pilot) and "▲ cut off" in shown(pilot)


async def test_a_burst_is_drawn_a_few_times_only() -> None:
    told = Teller()
    async with staged(told.view, (80, 24)) as pilot:
        transcript, flushed = pilot.app.transcript, 0
        flush = transcript._flush

        def counted() -> None:
            nonlocal flushed
            flushed += 1
            flush()

        transcript._flush = counted  # type: ignore[method-assign]
        for number in range(500):
            transcript.apply(told.tell(h.AgentChoice, content=f"word{number} ", answer="a"))
        while "word499" not in shown(pilot):
            await pilot.pause(0.02)
        assert flushed <= 3


# -- moving -------------------------------------------------------------------------------------


async def test_it_sticks_to_the_end_unless_one_scrolls_up() -> None:
    view = View.open(stage.long(200))
    told = Teller(view)
    async with staged(view, (60, 12)) as pilot:
        transcript = pilot.app.transcript
        assert "message 199" in shown(pilot) and transcript.at_end
        transcript.apply(told.said("one more"))
        transcript.flush()
        await pilot.pause()
        assert "one more" in shown(pilot)
        await pilot.press("pageup")
        before = shown(pilot).split("\n")
        assert not transcript.at_end
        for number in range(3):
            transcript.apply(told.said(f"unseen {number}"))
        transcript.flush()
        await pilot.pause()
        after = shown(pilot).split("\n")
        assert after[:-1] == before[:-1] and "3 new ↓" in after[-1]
        await pilot.press("end")
        assert "unseen 2" in shown(pilot) and transcript.at_end and not transcript.unseen


async def test_paging_up_and_down_loses_and_repeats_no_line() -> None:
    view = View.open(stage.long(60))
    async with staged(view, (60, 14)) as pilot:
        transcript = pilot.app.transcript
        transcript.go_home()
        await pilot.pause()
        whole: list[str] = []
        while True:
            lines = [line.rstrip("↓ ").rstrip() for line in shown(pilot).split("\n")]
            fresh = lines if not whole else lines[2:]
            whole += fresh
            if transcript.at_end:
                break
            await pilot.press("pagedown")
        numbers = [int(line.split()[-1]) for line in whole if "message" in line]
        assert sorted(set(numbers)) == list(range(60))
        down = transcript.scroll_offset.y
        await pilot.press("pageup", "pageup", "pagedown", "pagedown")
        assert transcript.scroll_offset.y == down


async def test_home_and_end_of_ten_thousand_messages() -> None:
    view = View.open(stage.long(10_000))
    async with staged(view, (80, 24)) as pilot:
        assert "message 9999" in shown(pilot)
        await pilot.press("home")
        assert "message 0" in shown(pilot)
        await pilot.press("pagedown", "pagedown", "end")
        assert "message 9999" in shown(pilot)
        assert len(pilot.app.transcript._roll._drawn) < 200  # the others were never drawn


async def test_older_messages_are_asked_for_once() -> None:
    whole = stage.long(300)
    assert whole.messages is not None
    view = View.open(replace(whole, messages=whole.messages[200:], more=True))
    async with staged(view, (60, 12)) as pilot:
        transcript = pilot.app.transcript
        assert not pilot.app.heard
        await pilot.press("home", "up")
        asked = [event for event in pilot.app.heard if isinstance(event, Transcript.OlderWanted)]
        assert len(asked) == 1
        top = shown(pilot).split("\n")[0]
        transcript.apply(view.prepend(replace(whole, messages=whole.messages[100:200], more=True)))
        transcript.flush()
        await pilot.pause()
        assert shown(pilot).split("\n")[0] == top  # what is read stays where it is
        await pilot.press("home")
        assert "message 100" in shown(pilot)
        await pilot.pause()
        assert len([event for event in pilot.app.heard if isinstance(event, Transcript.OlderWanted)]) == 2


async def test_another_width_keeps_the_place() -> None:
    view = View.open(stage.long(400))
    async with staged(view, (80, 20)) as pilot:
        transcript = pilot.app.transcript
        transcript.select(view.rows[100].key)
        await pilot.pause()
        await pilot.resize_terminal(40, 20)
        await pilot.pause()
        assert "message 100" in shown(pilot)


# -- rows ---------------------------------------------------------------------------------------


async def test_rows_are_selected_opened_and_folded() -> None:
    view = conversation().view
    async with staged(view, (80, 30)) as pilot:
        transcript = pilot.app.transcript
        call = next(row for row in view.rows if isinstance(row, Call) and "test_parser" in row.arguments)
        transcript.select(call.key)
        await pilot.pause()
        assert transcript.selected is call and "line 10" not in shown(pilot)
        await pilot.press("enter")
        assert "line 10" in shown(pilot)
        await pilot.press("enter")
        assert "line 10" not in shown(pilot)
        await pilot.press("[")
        assert isinstance(transcript.selected, Answer)
        await pilot.press("[")
        assert isinstance(transcript.selected, User)
        await pilot.press("down")
        assert transcript.selected is view.rows[1]


async def test_a_sub_agent_is_folded_away_with_all_that_is_in_it() -> None:
    view = conversation().view
    async with staged(view, (80, 76)) as pilot:
        nest = next(row for row in view.rows if isinstance(row, Nest))
        pilot.app.transcript.toggle(nest.key)
        await pilot.pause()
        text = shown(pilot)
        assert "Running the suite." not in text and "▸ tester ✓  3 folded" in text
        inner = next(row for row in view.rows if row.words == "Running the suite.")
        pilot.app.transcript.select(inner.key)  # what is folded away is opened where it is wanted
        await pilot.pause()
        assert "Running the suite." in shown(pilot)


async def test_the_mouse_opens_and_follows() -> None:
    view = conversation().view
    async with staged(view, (80, 76)) as pilot:
        lines = shown(pilot).split("\n")
        at = next(y for y, line in enumerate(lines) if "Thought" in line)
        await pilot.click(Transcript, offset=(10, at))
        await pilot.pause()
        assert "│ Then at the parser." in shown(pilot) or "Looking at the failing test. Then" in shown(pilot)
        lines = shown(pilot).split("\n")
        at = next(y for y, line in enumerate(lines) if "the docs" in line)
        await pilot.click(Transcript, offset=(lines[at].index("the docs") + 2, at))
        await pilot.pause()
        linked = [event.url for event in pilot.app.heard if isinstance(event, Transcript.Linked)]
        assert linked == ["https://docs.python.org/3/tutorial"]


async def test_copying_a_message_its_code_and_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    view = conversation().view
    async with staged(view, (80, 30)) as pilot:
        transcript = pilot.app.transcript
        answer = [row for row in view.rows if isinstance(row, Answer) and "```" in row.words][-1]
        transcript.select(answer.key)
        await pilot.press("y")
        assert pilot.app.clipboard == answer.words
        await pilot.press("Y")
        assert pilot.app.clipboard.startswith("def parse(") and "```" not in pilot.app.clipboard
        transcript.select(next(row.key for row in view.rows if isinstance(row, Call) and row.name == "shell"))
        assert transcript.copy(code=True) == "pytest -q tests/test_parser.py"
        transcript.select(None)
        assert transcript.copy() == [row for row in view.rows if isinstance(row, Answer) and not row.depth][-1].words


# -- searching ----------------------------------------------------------------------------------


async def test_searching_marks_goes_and_opens() -> None:
    view = conversation().view
    async with staged(view, (80, 24)) as pilot:
        transcript = pilot.app.transcript
        assert transcript.search("LINE 10") == 1  # in output that is folded
        await pilot.pause()
        assert "line 10" in shown(pilot)
        assert transcript.search("tests") > 2
        transcript.next_match(-1)
        transcript.next_match(1)
        await pilot.pause()
        counts = {(event.index, event.count) for event in pilot.app.heard if isinstance(event, Transcript.Searched)}
        assert len(counts) >= 3
        marked = [
            seg
            for strip in pilot.app.screen._compositor.render_strips()
            for seg in strip
            if seg.text.lower() == "tests"
        ]
        assert marked
        assert transcript.search("not to be found") == 0
        assert transcript.search("") == 0


async def test_nothing_at_all() -> None:
    async with staged(View(), (40, 5)) as pilot:
        await pilot.press("up", "down", "pageup", "pagedown", "home", "end", "enter", "y", "n")
        assert shown(pilot).strip() == ""
        assert pilot.app.transcript.search("x") == 0


async def test_twenty_columns_and_four_lines_are_enough() -> None:
    async with staged(conversation().view, (20, 4)) as pilot:
        await pilot.press("home", "pagedown", "pageup", "end")
        assert all(len(line) <= 20 for line in shown(pilot).split("\n"))
