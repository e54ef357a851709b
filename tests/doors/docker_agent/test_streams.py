"""The event stream of a session: cursors, gaps, silence, the end."""

import re
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from docker_agent.test_sessions import refused
from roost.core import events as e
from roost.core.errors import StoreFull
from roost.core.ids import LogId
from roost.stores.memory import Shelf
from roost.testing.fakes import answers
from roost.testing.house import Frames, House, open_house
from roost.wire import tls

pytestmark = pytest.mark.anyio


async def text_until(frames: Frames, end: bytes) -> bytes:
    while end not in frames.raw:
        await frames.more()
    return frames.raw


async def whole(house: House, session: str, **how: Any) -> bytes:
    """The stream's bytes as far as the log goes now."""
    last = (await house.store.head(LogId(session))).last_seq
    async with house.events(session, **how) as frames:
        raw = await text_until(frames, b"id: %d\n" % last)
        while not raw.endswith(b"\n\n"):
            raw += await frames.more()
        return raw


def blocks(raw: bytes) -> list[bytes]:
    return raw.removesuffix(b"\n\n").split(b"\n\n")


async def test_every_fact_has_its_number_and_a_run_shows_a_part_of_the_same_bytes(house: House) -> None:
    session = await house.session()
    async with house.running(session, "hi") as frames:
        await frames.rest()
    raw = await whole(house, session)
    ids = [int(number) for number in re.findall(rb"^id: (\d+)$", raw, re.M)]
    assert ids == list(range(1, len(ids) + 1))
    assert blocks(raw)[0] == b"id: 1"  # a fact that is not shown moves the cursor all the same
    assert [block for block in blocks(raw) if b"data: " in block] == blocks(frames.raw)


@pytest.mark.parametrize(
    ("query", "header", "first"),
    [
        ("", "", 1),
        ("?since=0", "", 1),
        ("?since=5", "", 6),
        ("", "5", 6),
        ("?since=3", "5", 4),
        ("?since=", "5", 6),
        ("?since=x", "", 1),
        ("?since=-3", "", 1),
        ("?since=1.5", "", 1),
        ("?since=%D9%A3", "", 1),
        ("?since=99999999999999999999999", "", 1),
        ("", "abc", 1),
    ],
)
async def test_a_cursor_is_the_last_number_seen(house: House, query: str, header: str, first: int) -> None:
    session = await house.session()
    await house.run(session, "hi")
    headers = {"last-event-id": header} if header else {}
    async with house.stream("GET", f"/api/sessions/{session}/events{query}", headers=headers) as frames:
        assert frames.response.headers["content-type"] == "text/event-stream"
        raw = await text_until(frames, b"stream_stopped")
    assert raw.startswith(b"id: %d\n" % first)


@pytest.mark.parametrize("since", [99, 2**63, 2**64 - 1])
async def test_a_cursor_past_the_end_gets_a_gap_then_everything_then_what_is_new(house: House, since: int) -> None:
    session = await house.session()
    await house.run(session, "hi")
    async with house.stream("GET", f"/api/sessions/{session}/events?since={since}") as frames:
        await frames.until("stream_stopped")
        assert frames.raw.startswith(b'data: {"type":"gap"}\n\nid: 1\n')
        assert frames.raw.count(b"gap") == 1
        await house.client.patch(f"/api/sessions/{session}/title", json={"title": "new"})
        assert (await frames.until("session_title")).data["title"] == "new"


async def test_snapshot_and_tail_lose_and_double_nothing(house: House) -> None:
    go = anyio.Event()
    house.provider.script = answers([*"abcdef", go, *"ghijkl"])
    session = await house.session()
    async with house.running(session, "hi") as frames:
        for _ in range(6):
            await frames.until("agent_choice")
        since = (await house.client.get(f"/api/sessions/{session}/snapshot")).json()["last_event_seq"]
        async with house.stream("GET", f"/api/sessions/{session}/events?since={since}") as tail:
            go.set()
            await tail.until("stream_stopped")
        await frames.rest()
    assert [f.data["content"] for f in tail.seen if f.type == "agent_choice"] == list("ghijkl")
    numbers = [int(number) for number in re.findall(rb"^id: (\d+)$", tail.raw, re.M)]
    assert numbers == list(range(since + 1, numbers[-1] + 1))


async def test_many_readers_see_the_same_bytes(house: House) -> None:
    go = anyio.Event()
    house.provider.script = answers(["x", go, *"many words to come"])
    session = await house.session()
    seen: list[bytes] = []

    async def read() -> None:
        async with house.events(session) as frames:
            await frames.until("stream_stopped")
            seen.append(frames.raw)

    async with house.running(session, "hi") as frames, anyio.create_task_group() as tasks:
        await frames.until("agent_choice")
        for _ in range(20):
            tasks.start_soon(read)
        while len(house.hub.followers(LogId(session))) < 21:
            await anyio.sleep(0.005)
        go.set()
        await frames.rest()
    assert len(seen) == 20
    assert len({raw[: raw.index(b"stream_stopped")] for raw in seen}) == 1


async def test_silence_is_broken_on_both_streams(tmp_path: Path) -> None:
    async with open_house(tmp_path, quiet=0.05, script=answers(["x", anyio.Event()])) as house:
        session = await house.session()
        async with house.running(session, "hi") as run, house.events(session) as events:
            for frames in (run, events):
                await frames.until("agent_choice")
                raw = await text_until(frames, b": ping\n\n: ping\n\n")
                assert raw.count(b": ping") >= 2


async def test_a_deleted_session_drains_its_readers(house: House) -> None:
    house.provider.script = answers(["x", anyio.Event()])
    session = await house.session()
    async with house.running(session, "hi") as run, house.events(session) as frames:
        await run.until("agent_choice")
        await house.client.delete(f"/api/sessions/{session}")
        found = await frames.rest()
        assert [frame.type for frame in found[-2:]] == ["stream_stopped", "session_exited"]
        last = (await house.store.head(LogId(session))).last_seq
        assert frames.raw.endswith(b'id: %d\ndata: {"type":"session_exited","reason":"session ended"}\n\n' % last)
        assert (await run.rest())[-1].data["reason"] == "canceled"


async def test_a_server_that_stops_ends_streams_without_session_exited(tmp_path: Path) -> None:
    shelf = Shelf()
    seen: list[Frames] = []
    async with anyio.create_task_group() as tasks:
        async with open_house(tmp_path, shelf=shelf, script=answers(["x", anyio.Event()]), grace=0.0) as house:
            session, client = await house.session(), httpx2.AsyncClient(verify=tls.trusted(), base_url=house.url)

            async def read(frames: Frames) -> None:
                await frames.rest()
                seen.append(frames)

            stack = [house.running(session, "hi"), house.events(session)]
            async with client, stack[0] as run, stack[1] as events:
                await run.until("agent_choice")
                tasks.start_soon(read, run)
                tasks.start_soon(read, events)
                house.service.desk.supervisor.retire()
                house.closing.set()
                with anyio.fail_after(10):
                    while len(seen) < 2:
                        await anyio.sleep(0.005)
            for frames in seen:
                assert b"session_exited" not in frames.raw
                assert b"stream_stopped" not in frames.raw
            assert await refused(house, "GET", f"/api/sessions/{await house.session()}/status?wait=10s") == (
                503,
                "the server is shutting down",
            )
        log = shelf.logs[LogId(session)]
        assert log.head().turn is not None  # it goes on after the restart: nobody asked for its end
        assert not any(isinstance(event.fact, e.CancelAsked) for event in log.events)


async def test_a_reader_that_leaves_is_forgotten(house: House) -> None:
    session = await house.session()
    async with house.events(session) as frames:
        await frames.more()
        assert len(house.hub.followers(LogId(session))) == 1
    with anyio.fail_after(10):
        while house.hub.followers(LogId(session)):
            await anyio.sleep(0.005)


async def test_a_disk_that_fills_up_ends_the_event_stream_too(house: House) -> None:
    session = await house.session()
    async with house.events(session) as frames:
        await frames.more()
        house.hub.break_off(LogId(session), StoreFull("full"))
        assert [frame.type for frame in await frames.rest()] == ["error", "stream_stopped"]
