"""The promises of `ports.Tellings`, kept by every store."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from roost.core.ids import Micros, ServerId, WaitId
from roost.ports import Telling, Tellings
from roost.stores.memory import Memory
from roost.stores.sqlite import open_sqlite
from roost.stores.tellings import KEPT

pytestmark = pytest.mark.anyio

WAIT, WAY = WaitId("w"), "d1g35t"


def nothing(*_: object) -> None:
    """Nobody is told."""


@pytest.fixture(params=["memory", "sqlite"])
async def tellings(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Tellings]:
    if request.param == "memory":
        yield Memory(lambda: Micros(1), ServerId("a"), nothing).tellings
        return
    async with open_sqlite(tmp_path / "roost.db", server=ServerId("a"), now=lambda: Micros(1), grown=nothing) as store:
        yield store.tellings


async def claim(tellings: Tellings, server: str, at: int, until: int, way: str = WAY) -> Telling:
    return await tellings.claim(WAIT, way, server=server, at=Micros(at), until=Micros(until))


async def test_one_has_it_until_its_time_is_up(tellings: Tellings) -> None:
    assert await claim(tellings, "a", 10, 20) == Telling("a", Micros(20))
    assert await claim(tellings, "b", 19, 29) == Telling("a", Micros(20))
    assert await claim(tellings, "b", 20, 30) == Telling("b", Micros(30))
    assert await claim(tellings, "a", 21, 31) == Telling("b", Micros(30))


async def test_whoever_has_it_may_have_it_longer(tellings: Tellings) -> None:
    await claim(tellings, "a", 10, 20)
    assert await claim(tellings, "a", 15, 40) == Telling("a", Micros(40))


async def test_what_has_been_told_is_nobodys_any_more(tellings: Tellings) -> None:
    await claim(tellings, "a", 10, 20)
    await tellings.told(WAIT, WAY)
    for server in ("a", "b"):
        assert await claim(tellings, server, 100, 200) == Telling("a", Micros(20), told=True)
    await tellings.told(WAIT, "nobody")


async def test_each_way_is_one_by_itself(tellings: Tellings) -> None:
    await claim(tellings, "a", 10, 20)
    assert (await claim(tellings, "b", 10, 20, "another")).server == "b"


async def test_what_is_old_is_forgotten(tellings: Tellings) -> None:
    await claim(tellings, "a", 10, 20)
    await tellings.told(WAIT, WAY)
    await claim(tellings, "a", 20 + KEPT, 30 + KEPT, "another")
    assert (await claim(tellings, "b", 20 + KEPT, 30 + KEPT)).server == "b"


async def test_of_many_that_come_at_once_one_has_it(tellings: Tellings) -> None:
    found: list[Telling] = []

    async def come(server: str) -> None:
        found.append(await claim(tellings, server, 10, 20))

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(come, f"s{number}")
    assert len({one.server for one in found}) == 1
