"""What waits for one screen: shares, order, and who waits for room."""

import json
from typing import Any

import anyio
import pytest

from roost.doors import outbox as outbox_of
from roost.doors.outbox import Outbox

pytestmark = pytest.mark.anyio


def item(name: str, size: int = 0) -> bytes:
    return json.dumps([name, "x" * size]).encode()


async def message(outbox: Outbox) -> list[str]:
    with anyio.fail_after(5):
        raw = await outbox.message()
    found: list[list[Any]] = json.loads(raw)
    return [name for name, _ in found]


async def test_answers_come_first_and_of_what_is_shown_the_newest() -> None:
    outbox = Outbox()
    lane = outbox.lane()
    await lane.put(item("event"))
    outbox.show("row", item("old"))
    outbox.show("waits", item("waits"))
    outbox.show("row", item("new"))
    await outbox.say(item("hello"))
    assert await message(outbox) == ["hello", "new", "waits", "event"]


async def test_lanes_take_turns_within_a_message() -> None:
    outbox = Outbox()
    long, short = outbox.lane(), outbox.lane()
    for number in range(3):
        await long.put(item(f"long{number}"))
    await short.put(item("short"))
    assert await message(outbox) == ["long0", "short", "long1", "long2"]


async def test_the_lane_that_got_nothing_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_of, "LARGEST", 100)
    outbox = Outbox()
    one, two = outbox.lane(), outbox.lane()
    for number in range(2):
        await one.put(item(f"a{number}", 60))
    await two.put(item("b", 60))
    assert [await message(outbox) for _ in range(3)] == [["a0"], ["b"], ["a1"]]


async def test_no_message_is_too_large_and_an_item_that_is_goes_alone() -> None:
    outbox = Outbox()
    lane = outbox.lane()
    for number in range(5):
        outbox.show(f"row{number}", item(f"row{number}", outbox_of.SHARE // 2))
    await lane.put(item("huge", 2 * outbox_of.LARGEST))
    names, sizes = [], []
    while len(names) < 6:
        raw = await outbox.message()
        sizes.append(len(raw))
        names += [name for name, _ in json.loads(raw)]
    assert names == ["row0", "row1", "row2", "row3", "row4", "huge"]
    assert all(size <= outbox_of.LARGEST for size in sizes[:-1])
    assert sizes[-1] > 2 * outbox_of.LARGEST


async def test_who_adds_too_much_waits_until_some_of_it_is_read() -> None:
    outbox = Outbox()
    lane = outbox.lane()
    added: list[int] = []

    async def fill() -> None:
        for number in range(5):
            await lane.put(item(str(number), outbox_of.SHARE))
            added.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fill)
        await anyio.wait_all_tasks_blocked()
        assert added == [0]
        assert await message(outbox) == ["0"]
        await anyio.wait_all_tasks_blocked()
        assert added == [0, 1]
        assert [await message(outbox) for _ in range(4)] == [["1"], ["2"], ["3"], ["4"]]


async def test_who_asks_and_does_not_read_is_not_heard() -> None:
    outbox = Outbox()
    said: list[int] = []

    async def ask() -> None:
        for number in range(outbox_of.ANSWERS + 3):
            await outbox.say(item(str(number)))
            said.append(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert len(said) == outbox_of.ANSWERS
        assert len(await message(outbox)) == outbox_of.ANSWERS
        assert await message(outbox) == [str(outbox_of.ANSWERS + number) for number in range(3)]


async def test_what_is_dropped_is_not_sent() -> None:
    outbox = Outbox()
    lane, other = outbox.lane(), outbox.lane()
    await lane.put(item("dropped"))
    await other.put(item("kept"))
    outbox.drop(lane)
    assert await message(outbox) == ["kept"]
