"""Rings of rendered frames: what one reader had rendered, others share, within bounds."""

from collections.abc import Sequence

import anyio
import pytest

from fakes.loud import LOG, Loud, events, text
from roost.core import events as e
from roost.core.ids import LogId
from roost.doors import rings as rings_of
from roost.doors.rings import Reader, Rings
from roost.doors.streams import marked, shown, size

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def fresh() -> None:
    Loud.rendered = []


async def told(reader: Reader[bytes | None], batch: Sequence[e.Event], *, marks: bool = True) -> bytes:
    return await reader.made(batch, "marked" if marks else "shown", marked if marks else shown)


async def test_what_one_reader_had_rendered_another_does_not() -> None:
    rings = Rings(Loud, measure=size, blank=None)
    with rings.read(LOG) as one, rings.read(LOG) as two:
        assert await told(one, events(1, 4)) == text(1, 4)
        assert await told(two, events(1, 6), marks=False) == text(1, 6, marks=False)
        assert await told(one, events(5, 6)) == text(5, 6)
    assert Loud.rendered == [1, 2, 3, 4, 5, 6]
    assert rings.size == 0


async def test_readers_at_once_render_once() -> None:
    rings = Rings(Loud, measure=size, blank=None)
    found: list[bytes] = []

    async def read(first: int, last: int) -> None:
        with rings.read(LOG) as reader:
            assert await told(reader, events(first, last)) == text(first, last)
            found.append(b"")

    with rings.read(LOG):
        async with anyio.create_task_group() as tasks:
            for last in (9, 9, 5, 7, 9):
                tasks.start_soon(read, 1, last)
    assert len(found) == 5
    assert Loud.rendered == list(range(1, 10))


async def test_whoever_is_behind_renders_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rings_of, "RING", 60)
    rings = Rings(Loud, measure=size, blank=None)
    with rings.read(LOG) as slow, rings.read(LOG) as fast:
        assert await told(slow, events(1, 2)) == text(1, 2)
        assert await told(fast, events(51, 90)) == text(51, 90)  # past the ring: it begins anew there
        assert await told(slow, events(3, 20)) == text(3, 20)
        assert await told(slow, events(21, 50)) == text(21, 50)
        assert await told(fast, events(91, 92)) == text(91, 92)
        assert await told(slow, events(51, 92)) == text(51, 92)
        assert await told(slow, events(93, 94)) == text(93, 94)
        assert await told(fast, events(93, 94)) == text(93, 94)
        assert rings.size <= 60


async def test_all_rings_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rings_of, "RINGS", 500)
    rings = Rings(Loud, measure=size, blank=None)
    with (
        rings.read(
            LogId("a"),
        ) as a,
        rings.read(
            LogId("b"),
        ) as b,
    ):
        await told(a, events(1, 20))
        await told(b, events(1, 30))
        assert rings.size <= 500
        assert await told(a, events(1, 22)) == text(1, 22)
        assert await told(a, events(23, 24)) == text(23, 24)


async def test_a_reader_that_is_cancelled_spoils_nothing() -> None:
    rings = Rings(Loud, measure=size, blank=None)
    with rings.read(LOG) as one, rings.read(LOG) as two:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await told(one, events(1, 4))
        assert await told(two, events(1, 4)) == text(1, 4)


async def test_a_fact_that_can_not_be_rendered_only_moves_the_cursor() -> None:
    class Broken(Loud):
        async def render(self, event: e.Event) -> bytes | None:
            if event.seq == 2:
                raise ValueError("no")
            return await super().render(event) if event.seq < 2 else b"{}"

    rings = Rings(Broken, measure=size, blank=None)
    with rings.read(LOG) as reader:
        assert await told(reader, events(1, 3)) == b"id: 1\n\nid: 2\n\nid: 3\ndata: {}\n\n"


async def test_what_was_made_of_a_batch_is_made_once() -> None:
    calls: list[int] = []

    def count(batch: Sequence[e.Event], frames: Sequence[bytes | None]) -> int:
        calls.append(len(frames))
        return len(calls)

    rings = Rings(Loud, measure=size, blank=None)
    with rings.read(LOG) as one, rings.read(LOG) as two:
        assert [await reader.made(events(1, 4), "count", count) for reader in (one, two, one)] == [1, 1, 1]
        assert await two.made(events(1, 5), "count", count) == 2
        assert await one.made(events(1, 4), "count", count) == 3  # the log has grown, and nothing is kept for ever
    assert calls == [4, 5, 4]
