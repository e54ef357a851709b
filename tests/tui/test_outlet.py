"""A terminal that does not read, or is gone, holds up nobody."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from roost.tui.outlet import MOST, Outlet


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


def test_one_that_does_not_read_is_written_to_without_waiting_and_hears_when_it_has_missed_something(
    pipe: tuple[int, int],
) -> None:
    reading, writing = pipe
    caught_up = threading.Event()
    outlet = Outlet(writing, caught_up.set)
    line = "x" * 9_999 + "\n"
    for _ in range(3 * MOST // len(line)):
        outlet.write(line)
    assert not caught_up.is_set()
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(iter(lambda: os.read(reading, 1 << 16), b"")))
    reader.start()
    assert caught_up.wait(20)
    outlet.write("and on")
    outlet.drain(20)
    os.close(writing)
    reader.join(20)
    *lines, rest = b"".join(got).decode().splitlines(keepends=True)
    assert MOST <= sum(map(len, lines)) <= MOST + 2 * len(line)
    assert (set(lines), rest) == ({line}, "and on")


def test_what_is_in_time_is_all_there_and_nobody_is_told_otherwise(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    caught_up = threading.Event()
    outlet = Outlet(writing, caught_up.set)
    for word in ("ä", "b", "c"):
        outlet.write(word)
    outlet.drain()
    assert os.read(reading, 100).decode() == "äbc"
    assert not caught_up.is_set()


def test_one_that_is_gone_takes_whatever_comes(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    outlet = Outlet(writing, lambda: None)
    os.close(reading)
    for _ in range(100):
        outlet.write("anything at all")
    outlet.drain(20.0)
    assert outlet.write("more") == 4
