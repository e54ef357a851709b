"""Text in logs: what is found, what is not, and what takes too long."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from roost.core import events as e
from roost.core.errors import BadValue
from roost.core.ids import AnswerId, CallId, Micros
from roost.core.messages import Message, Result, ToolCall
from roost.core.orders import Order
from roost.service import search
from roost.service.search import CUT, Match, Query, moment, snippet
from roost.testing.clock import HandClock
from service.fleets import BOSS, FleetWorld, open_fleet, told

pytestmark = pytest.mark.anyio

CALL = ToolCall(CallId("c"), "Bash", '{"command": "make INDEX"}')
EDIT = ToolCall(CallId("d"), "Edit", '{"file_path": "/srv/a.py"}')
LOG: Sequence[e.Fact] = (
    told("Rebuild the Index"),
    e.MessageAdded(Message("assistant", "the index is rebuilt", reasoning="hm, which index?"), answer=AnswerId("a")),
    e.ToolCalled(CALL, "once", "mock"),
    e.ToolReturned(CALL, Result("412 files in the index"), "mock"),
    e.ToolCalled(EDIT, "once", "mock"),
)


ONE = ["one MessageWritten", "one MessageAdded", "one ToolCalled", "one ToolReturned"]


async def found(world: FleetWorld, text: str = "", **query: Any) -> list[str]:
    matches: Sequence[Match] = await world.service.search.matches(BOSS, Query(text=text, **query))
    return [f"{match.head.id} {e.kind(match.event.fact)}" for match in matches]


async def lay(world: FleetWorld) -> None:
    await world.lay(*LOG, session="one", order=Order("mock", "x", tags=("nightly",)))
    await world.lay(told("nothing of it"), told("INDEX"), session="two", order=Order("claude", "x"))


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ({"text": "index"}, [*ONE, "two MessageWritten"]),
        ({"text": "INDEX", "case_sensitive": True}, ["one ToolCalled", "two MessageWritten"]),
        ({"text": "^the index", "regex": True}, []),
        ({"text": "(?m)^the index", "regex": True}, ["one MessageAdded"]),
        ({"text": r"\d+ files", "regex": True}, ["one ToolReturned"]),
        ({"text": "I.DEX", "regex": True, "case_sensitive": True}, ["one ToolCalled", "two MessageWritten"]),
        ({"text": "index", "provider": "claude"}, ["two MessageWritten"]),
        ({"text": "index", "tag": "NIGHTLY", "role": "user"}, ["one MessageWritten"]),
        ({"text": "index", "role": "assistant"}, ["one MessageAdded"]),
        ({"text": "index", "session": "tw"}, ["two MessageWritten"]),
        ({"text": "index", "tool": "bas"}, ["one ToolCalled", "one ToolReturned"]),
        ({"tool_kind": "shell"}, ["one ToolCalled", "one ToolReturned"]),
        ({"tool_kind": "fileedit"}, ["one ToolCalled"]),
        ({"tool_kind": "file_edit"}, ["one ToolCalled"]),
        ({"tool_kind": "edit"}, ["one ToolCalled"]),
        ({"text": "index", "limit": 2}, ["one MessageWritten", "one MessageAdded"]),
        ({"text": "index", "limit": 0}, []),
        ({"text": "nowhere to be found"}, []),
    ],
)  # fmt: skip
async def test_d20_d26_what_is_found(tmp_path: Path, query: dict[str, Any], kinds: list[str]) -> None:
    async with open_fleet(tmp_path) as world:
        await lay(world)
        assert await found(world, **query) == kinds


async def test_an_account_finds_its_own_alone(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(told("secret"), owner="bob")
        await world.lay(told("secret"), session="anns-own", owner="ann")
        matches = await world.service.search.matches(world.account("ann"), Query(text="secret"))
        assert [match.head.id for match in matches] == ["anns-own"]


async def test_moments_bound_what_is_looked_at(tmp_path: Path) -> None:
    clock = HandClock()
    async with open_fleet(tmp_path, clock=clock) as world:
        await world.lay(told("old"), session="log")
        clock.wind(3 * 86_400)
        await world.store.put("log", [told("new")])  # type: ignore[arg-type]
        assert len(await found(world)) == 2
        assert len(await found(world, start="2d")) == 1
        assert len(await found(world, end="2d")) == 1
        assert len(await found(world, start="1w", end="1h")) == 1
        assert len(await found(world, start="1h")) == 1


def test_the_ways_to_write_a_moment() -> None:
    now = Micros(1_000_000_000_000_000)
    hour = 3_600_000_000
    assert moment("", now) is None
    assert moment("2h", now) == now - 2 * hour
    assert moment("1m", now) == now - 30 * 24 * hour
    assert moment("1970-01-02", now) == 24 * hour
    assert moment("1970-01-01T01:00:00Z", now) == hour
    assert moment("1970-01-01T02:00:00+01:00", now) == hour
    for wrong in ("yesterday", "5", "-1d", "2026-13-01"):
        with pytest.raises(BadValue):
            moment(wrong, now)


@pytest.mark.parametrize(
    "query",
    [
        {"text": "(", "regex": True},
        {"text": "x" * 3000},
        {"limit": -1},
        {"role": "tool"},
        {"tool_kind": "hammer"},
        {"start": "soon"},
    ],
)
async def test_what_can_not_be_looked_for(tmp_path: Path, query: dict[str, Any]) -> None:
    async with open_fleet(tmp_path) as world:
        with pytest.raises(BadValue):
            await found(world, **query)


async def test_an_expression_that_takes_for_ever_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PATIENCE", 0.5)
    async with open_fleet(tmp_path) as world:
        await world.lay(told("a" * 60 + "!"))
        with pytest.raises(BadValue, match="too long"):
            await found(world, text="(a+)+$", regex=True)  # which else would take longer than anybody lives


async def test_an_expression_that_takes_long_to_compile_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ignoring case, each such class is gone through letter by letter: together that takes seconds."""
    monkeypatch.setattr("roost.service.search.PATIENCE", 0.3)
    slowest, ended = 0.0, anyio.Event()

    async def watch() -> None:
        nonlocal slowest
        while not ended.is_set():
            began = time.monotonic()
            await anyio.sleep(0.01)
            slowest = max(slowest, time.monotonic() - began)

    async with open_fleet(tmp_path) as world, anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        with pytest.raises(BadValue, match="too long"):
            await found(world, "(?i)" + "[\0-\uffff]" * 390, regex=True)
        ended.set()
    assert slowest < 1.5


def test_a_snippet_is_the_words_around() -> None:
    text = "x" * 300 + " the hit\nhere " + "y" * 300
    cut = snippet(text, (301, 308))
    assert cut.startswith(CUT) and cut.endswith(CUT) and " the hit here " in cut and len(cut) < 220
    assert snippet("short", (0, 5)) == "short"
