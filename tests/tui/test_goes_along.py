"""What goes with a message is seen with it: a command's output, longer texts, files and pictures, by name and size."""

import pytest

from roost.client.shapes import Chat, Content, File, Image, Message, Snapshot
from roost.tui import pictures, shell
from roost.tui.rows import User
from roost.tui.view import View
from tui.stage import ROOT, shown, staged

pytestmark = pytest.mark.anyio

OUTPUT = Content(type="text", text=shell.Ran("ls -la", "a\nb\n", 0).quoted())
FILE = Content(type="file", file=File(path="/x/notes.md", mime_type="text/markdown"))
PICTURE = Content(type="image_url", image_url=Image(url="data:image/png;base64,AAAA"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def words(text: str) -> Content:
    return Content(type="text", text=text)


@pytest.mark.parametrize(
    ("content", "parts", "says", "along"),
    [
        ("look", (), "look", []),
        ("look", (words("look"), OUTPUT), "look", ["$ ls -la"]),
        ("", (OUTPUT,), "", ["$ ls -la"]),
        ("", (words("look at this"), PICTURE, FILE), "look at this", ["png image", "notes.md"]),
        ("look", (words("look"), words("\n# A long text\nand more")), "look", ["# A long text"]),
        ("look", (words("look"), words("```\n```")), "look", ["text"]),
    ],
)
def test_what_a_message_says_and_what_goes_along(
    content: str, parts: tuple[Content, ...], says: str, along: list[str]
) -> None:
    told, found = pictures.said(content, parts)
    assert (told, [picture.name for picture in found]) == (says, along)


async def test_it_stands_below_the_words_also_while_it_waits() -> None:
    said = Chat(role="user", content="what is this?", multi_content=(words("what is this?"), OUTPUT))
    snapshot = Snapshot(id=ROOT, messages=(Message(id=1, message=said),), last_event_seq=3, tail_from=3)
    view = View.open(snapshot)
    [row] = [row for row in view.rows if isinstance(row, User)]
    assert (row.words, len(row.pictures)) == ("what is this?", 1)
    async with staged(view, (60, 8)) as pilot:
        assert "▌ what is this?" in shown(pilot)
        assert "▌ ▣ $ ls -la · " in shown(pilot)
