"""What agents and tools write, on a terminal: every word of it, and none of its orders."""

import io
import time

import pytest

from roost.cli.tame import Tame
from roost.cli.telling import Telling
from roost.client import happenings as h


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on(terminal: io.StringIO, *pieces: str) -> str:
    tame = Tame(terminal)
    for piece in pieces:
        tame.write(piece)
    return terminal.getvalue()


ORDERS = (
    "\x1b[2J",
    "\x1b[1;31m",
    "\x1b]0;title\x07",
    "\x1b]52;c;cm0gLXJm\x1b\\",
    "\x1bP+q\x1b\\",
    "\x1bc",
    "\x1b(0",
    "\x9b31m",
    "\x9d0;t\x9c",
    "\x08\x08",
    "\u202e",
)


@pytest.mark.parametrize("order", ORDERS)
def test_orders_do_not_arrive_however_they_are_cut(order: str) -> None:
    for at in range(len(order) + 1):
        assert on(Terminal(), "a" + order[:at], order[at:] + "b\n") == "ab\n"
    assert on(Terminal(), *f"a{order}b\n") == "ab\n"


def test_text_arrives_whole() -> None:
    text = "é 日本 👩\u200d🔬\tx\n[31m not an order\n"
    assert on(Terminal(), *text) == text
    assert on(Terminal(), "10 %\r20 %\r\n") == "10 %\n20 %\n"
    assert on(Terminal(), "a\x1b", "\nb") == "a\nb"


def test_an_order_without_end_does_not_swallow_what_follows() -> None:
    assert "told" in on(Terminal(), "\x1b]0;" + "x" * 5000, "told")
    out, err = Terminal(), Terminal()
    telling = Telling(out, err)
    telling.show(h.AgentChoice(content="on\x1b]0;"))
    telling.say("? shell rm")
    telling.show(h.AgentChoice(content="more"))
    assert err.getvalue() == "? shell rm\n"
    assert out.getvalue() == "on\nmore"


def test_elsewhere_it_is_as_it_was() -> None:
    assert on(io.StringIO(), "a\x1b[2J\r\n") == "a\x1b[2J\r\n"


@pytest.mark.parametrize("text", ["\x90", "\x9d", "\x1b", "\x1b]", "\x1b[", "\x9b", "[\x9d*", "\x90\n\t"])
def test_orders_that_only_begin_cost_no_more_than_they_are_long(text: str) -> None:
    began = time.monotonic()
    for end in ("", "\x07", "x\n"):
        assert "\x1b" not in on(Terminal(), text * 100_000 + end)
    assert time.monotonic() - began < 10
