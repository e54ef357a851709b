"""Whatever models, tools and programs write: a terminal gets text of a known width, and nothing else."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from roost.client import happenings as h
from roost.tui import ansi, clean, excerpt, markdown, palette
from roost.tui.ink import length
from roost.tui.painter import Painter, prose
from roost.tui.roll import Roll
from roost.tui.rows import Answer, Call, Failure, Note, Reasoning, Row, User
from tui.stage import Teller, shown, staged

COLOURS = palette.from_theme({})
EVIL = [
    "\x1b]0;owned\x07title",
    "\x1b]52;c;ZXZpbA==\x07clipboard",
    "\x1b[2J\x1b[H\x1b[31mred\x1b[0m",
    "\x1bP1$tx\x1b\\dcs \x9b31mcsi \x9d0;x\x9cosc",
    "\x1b]8;;file:///etc/passwd\x1b\\link\x1b]8;;\x1b\\",
    "back\x08\x08\x08\x08space \r over\rwrite\x00\x07bell\x7f",
    "\ud800 half \udfff",
    "\u202eright to left\u202c \u2066iso\u2069 \u200bzero\u200dwidth\ufeff",
    "e" + "\u0301" * 500,
    "👨\u200d👩\u200d👧 👍🏽 ❤\ufe0f 🇩🇪 한글 漢字 שלום नमस्ते",
    "a\tb\tc\x0b\x0c\x85\u2028\u2029",
    "&#27;[31m &#x202e; &#8203;",
    "[click](javascript:alert(1)) [x](http://a/\x1b[31m) ![i](data:text/html,x)",
    "```\x1b[31m\n\x1b[2Jcode\n```",
    "|" * 500 + "\n" + "|-" * 500,
    "> " * 300 + "deep\n" + "- " * 200 + "deeper",
    "*" * 3000,
    "[" * 3000,
    "'\n",
]
FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufe0f]")


def rows(text: str) -> list[Row]:
    """A text in every place where a text can be."""
    call = Call("c", call="c", name=text, arguments='{"cmd": "x"}', state="done", result=text, verdict=text)
    failed = Call("d", call="d", name="shell", arguments=text, state="failed", result=text, title=text)
    running = Call("e", call="e", name="shell", arguments=repr(text), state="running", output=text)
    edit = Call("f", call="f", name="edit_file", state="done")
    edit.arguments = '{"path": "x", "oldText": "a", "newText": "' + text.encode("unicode_escape").decode("ascii") + '"}'
    notes = [Note(f"n{kind}", kind=kind, words=text) for kind in ("stderr", "plan", "warning")]
    found: list[Row] = [User("u", words=text), Answer("a", words=text), Answer("s", words=text, streaming=True)]
    found += [Reasoning("r", words=text), Failure("x", words=text, code=text), call, failed, running, edit, *notes]
    for row in found:
        row.agent = text
    return found


def check(text: str, cells: int) -> None:
    painter = Painter(COLOURS)
    for row in rows(text):
        for opened in (False, True):
            for line in painter.lines(row, cells, opened=opened, named=True):
                for piece, style in line:
                    assert not FORBIDDEN.search(piece), (type(row).__name__, piece)
                    assert not style.link or re.fullmatch(r"(https?://|mailto:)[!-~]*", style.link, re.I), style.link
                assert length(line) <= cells, (type(row).__name__, opened, length(line), line)
                assert length(line) == cell_len("".join(piece for piece, _ in line)), line


@pytest.mark.parametrize("text", EVIL, ids=range(len(EVIL)))
def test_nothing_reaches_the_terminal_raw(text: str) -> None:
    for cells in (20, 77):
        check(text, cells)


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(), max_size=200), st.integers(16, 60))
def test_any_text_fits(text: str, cells: int) -> None:
    check(text, cells)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=120), st.integers(2, 40))
def test_breaking_a_line_loses_only_spaces(text: str, cells: int) -> None:
    line = clean.clean(text).replace("\n", " ")
    pieces = [line[start:end] for start, end in clean.breaks(line, cells)]
    assert "".join(pieces).replace(" ", "") == line.replace(" ", "")
    assert all(clean.width(piece) <= cells for piece in pieces)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300), st.data())
def test_what_grows_is_whole_at_every_moment(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    done, rest, _ = markdown.pieces(text[:cut])
    assert "".join(done) + rest == text[:cut]
    later, _, _ = markdown.pieces(text)
    assert later[: len(done)] == done  # a block that is whole stays as it is


def test_colours_of_programs_are_kept() -> None:
    found = ansi.runs("\x1b[1;31mbad\x1b[0m \x1b[38;5;42mx\x1b[39m\x1b[48;2;1;2;3my\x1b[mz\x1b[2K!", Style())
    assert [text for text, _ in found] == ["bad", " ", "x", "y", "z", "!"] or "".join(t for t, _ in found) == "bad xyz!"
    assert found[0][1].bold and found[0][1].color is not None and found[0][1].color.number == 1


@pytest.mark.parametrize("made", ["line", "lines", "digits", "blank", "json", "back", "escape"])
def test_ten_megabytes_are_drawn_in_no_time(made: str) -> None:
    size = 10_000_000
    text = {
        "line": "x" * size,
        "lines": "x\n" * (size // 2),
        "digits": "1" * size,
        "blank": "\n" * size,
        "json": '{"a": [' + "1," * (size // 2) + "1]}",
        "back": "x" * (size // 2) + "\x08" * (size // 2),
        "escape": "\x1b[" * (size // 2),
    }[made]
    painter = Painter(COLOURS)
    for row in rows(text)[:9]:
        row.agent = "root"
        if isinstance(row, Call):
            row.name, row.verdict, row.title = "shell", "", ""
        began = time.process_time()
        folded, opened = painter.lines(row, 80), painter.lines(row, 80, opened=True)
        assert len(folded) < 20_000 and len(opened) < 20_000
        assert time.process_time() - began < 12, type(row).__name__


def test_an_excerpt_says_what_it_leaves_out() -> None:
    assert excerpt.head("a\nb\nc", 2).told == "1 more line" and excerpt.head("a\nb\nc", 2).lines == ["a", "b"]
    assert excerpt.tail("a\nb\nc\nd", 2).told == "2 more lines" and excerpt.tail("a\nb\nc", 2).lines == ["b", "c"]
    assert excerpt.head("a\nb", 5) == (["a", "b"], 0, "lines")
    assert "characters" in excerpt.head("x" * 5000, 3).told


def test_guesses_of_heights_are_near() -> None:
    texts = ["one line", "two\nlines", "a paragraph of text that goes on and on. " * 9, "- a\n- b\n- c"]
    listed: list[Row] = [
        Answer(f"a{n}", words=texts[n % 4]) if n % 2 else User(f"u{n}", words=texts[n % 4]) for n in range(200)
    ]
    roll = Roll(Painter(COLOURS), 80, Style())
    roll.show(listed)
    guessed = roll.total
    for index in range(len(listed)):
        roll.draw(index)
    assert abs(guessed - roll.total) < roll.total * 0.3


@pytest.mark.anyio
async def test_the_real_screen_stays_whole() -> None:
    told = Teller()
    for text in EVIL:
        told.said(text)
        told.answer(text)
        told.call("shell", {"cmd": text.encode("utf-8", "replace").decode()}, text)
        told.tell(h.Failed, error=text)
    async with staged(told.view, (60, 20)) as pilot:
        for _ in range(12):
            assert not FORBIDDEN.search(shown(pilot).replace("\n", ""))
            assert all(cell_len(line) <= 60 for line in shown(pilot).split("\n"))
            await pilot.press("pageup")
        pilot.app.transcript.unfold_all(True)
        pilot.app.transcript.copy()
        await pilot.press("home", "pagedown", "end")


def test_prose_of_a_growing_text_is_the_prose_of_the_whole_one() -> None:
    text = "# A\n\nfoo **bar**\n\n- a\n- b\n\n```py\nx = 1\n```\n\nend\n"
    grown = prose(text + "\n.", 60, COLOURS, growing=True)
    whole = prose(text + "\n.", 60, COLOURS)
    assert grown == whole
