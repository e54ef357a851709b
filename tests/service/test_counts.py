"""How many tools an agent has: as many as its model would be offered in a new session."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from engine.fakes import ME, FakeTool, Floor, World, make_team, open_world
from roost.core.agents import Agent, Harness, Schema, ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.engine import count as counting
from roost.ports import Place, Toolset
from roost.tools.scripts import Javascript

pytestmark = pytest.mark.anyio


@dataclass
class Some:
    """A toolset of so many tools as its entry says."""

    spec: ToolsetSpec
    wait: Callable[[], Awaitable[object]] | None = None
    instructions: str = ""
    busy: bool = False

    async def tools(self) -> Sequence[FakeTool]:
        if self.wait is not None:
            await self.wait()
        if (why := self.spec.options.get("why")) is not None:
            raise why
        prefix = f"{self.spec.name}_" if self.spec.name else ""
        return [FakeTool(prefix + name) for name in self.spec.options["has"].split()]


@dataclass
class Makers:
    """Opens them, and counts."""

    opened: list[str] = field(default_factory=list)
    closed: int = 0
    places: list[Place] = field(default_factory=list)
    wait: Callable[[], Awaitable[object]] | None = None

    @asynccontextmanager
    async def open(self, spec: ToolsetSpec, place: Place) -> AsyncIterator[Toolset]:
        self.opened.append(spec.type)
        self.places.append(place)
        if spec.options.get("why") == "shut":
            raise ToolsetFailed("it does not open")
        try:
            yield Some(spec, self.wait)
        finally:
            self.closed += 1


def has(names: str, kind: str = "fake", **more: Any) -> ToolsetSpec:
    return ToolsetSpec(kind, options={"has": names}, **more)


@asynccontextmanager
async def counted(tmp_path: Path, *toolsets: ToolsetSpec, **more: Any) -> AsyncIterator[tuple[World, Makers]]:
    team = make_team(Agent("root", model=more.pop("model", "fake"), toolsets=toolsets, **more))
    async with open_world(Floor("memory", tmp_path), team=team) as world:
        makers = Makers()
        world.makers.toolsets.open = makers.open  # type: ignore[method-assign]
        yield world, makers


async def number(world: World) -> int:
    return await world.service.agents.count_tools(ME, "crew", "root")


FORM = Schema("verdict", {"type": "object"}, mode="tool")
FIVE = (has("a b c"), has("c d", name="x"))


@pytest.mark.parametrize(
    ("toolsets", "more", "count"),
    [
        ((), {}, 0),
        (FIVE, {}, 5),
        ((*FIVE, has("a e")), {}, 6),  # the second `a` is not offered
        ((has("a b c", defer=True),), {}, 2),  # search_tool and add_tool
        ((has("a b c", name="x", defer=("a", "x_b")),), {}, 3),
        (FIVE, {"code_mode": True}, 1),
        ((*FIVE, has("read_skill")), {"code_mode": True}, 2),
        (FIVE, {"structured_output": FORM}, 6),
        ((has("transfer_task", "transfer_task"), has("handoff", "handoff"), has("read_skill", "skills")), {}, 3),
        (FIVE, {"model": "bad/model"}, 5),  # its key is missing
        (FIVE, {"harness": Harness("mock")}, 0),
        ((*FIVE, ToolsetSpec("mcp", options={"why": "shut"})), {}, 5),
        ((*FIVE, ToolsetSpec("mcp", options={"why": ToolsetFailed("gone")})), {}, 5),
        ((*FIVE, ToolsetSpec("mcp", options={"why": RuntimeError("a fault of ours")})), {}, 5),
    ],
)
async def test_what_is_counted(tmp_path: Path, toolsets: Any, more: Any, count: int) -> None:
    async with counted(tmp_path, *toolsets, **more) as (world, makers):
        if more.get("code_mode"):
            object.__setattr__(world.makers, "scripts", Javascript())
        assert await number(world) == count
        assert makers.closed == len(makers.opened) - sum(t.options.get("why") == "shut" for t in toolsets)


async def test_a_model_that_takes_no_tools_has_none(tmp_path: Path) -> None:
    async with counted(tmp_path, *FIVE) as (world, makers):
        world.provider.takes_tools = False
        assert await number(world) == 0 and makers.opened == []


async def test_it_is_no_session_and_nobody_is_asked(tmp_path: Path) -> None:
    async with counted(tmp_path, *FIVE) as (world, makers):
        await number(world)
        assert [(p.ask, p.tell, p.headers) for p in makers.places] == [(None, None, {})] * 2
        assert {p.session for p in makers.places} != {""}
        assert not await world.store.heads()


async def test_a_toolset_that_does_not_start_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "PATIENCE", 0.05)
    async with counted(tmp_path, *FIVE) as (world, makers):
        makers.wait = anyio.sleep_forever
        assert await number(world) == 0
        assert makers.closed == 2


async def test_tool_servers_are_started_once_for_a_file_as_it_is(tmp_path: Path) -> None:
    async with counted(tmp_path, has("a b", "mcp"), *FIVE) as (world, makers):
        found: list[int] = []

        async def ask() -> None:
            found.append(await number(world))

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
        assert found == [5] * 5 and makers.opened.count("mcp") == 1
        agents: Any = world.makers.agents
        agents.one = replace(agents.one, hash="hash-2")
        assert await number(world) == 5 and makers.opened.count("mcp") == 2


async def test_a_count_without_a_server_that_failed_is_not_kept(tmp_path: Path) -> None:
    failing = ToolsetSpec("mcp", options={"why": ToolsetFailed("gone"), "has": "a"})
    async with counted(tmp_path, failing) as (world, makers):
        assert await number(world) == 0
        del failing.options["why"]
        assert await number(world) == 1
        assert await number(world) == 1
        assert makers.opened == ["mcp", "mcp"]
