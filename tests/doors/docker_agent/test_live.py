"""One WebSocket for a whole screen: sessions that are followed, the list as it changes, and what waits."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import ClientConnection, connect

from roost.testing.house import House

pytestmark = pytest.mark.anyio

Item = dict[str, Any]


class Line:
    """A screen: all that it has been told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.items: list[Item] = []
        self.messages: list[int] = []  # their sizes
        self._read = 0

    async def say(self, **told: Any) -> None:
        await self.socket.send(json.dumps(told))

    async def until(self, holds: Callable[[Item], bool]) -> Item:
        """The next item for which something holds."""
        with anyio.fail_after(20):
            while True:
                while self._read < len(self.items):
                    self._read += 1
                    if holds(self.items[self._read - 1]):
                        return self.items[self._read - 1]
                text = await self.socket.recv()
                assert isinstance(text, str)
                self.messages.append(len(text))
                self.items += json.loads(text)

    async def of(self, word: str) -> Item:
        """The next item that says `word`."""
        return await self.until(lambda item: word in item)

    async def event(self, session: str, kind: str) -> Item:
        """The next event of a type."""

        def holds(item: Item) -> bool:
            return item.get("session") == session and (item["event"] or {}).get("type") == kind

        return await self.until(holds)

    def ids(self, session: str) -> list[int]:
        return [item["id"] for item in self.items if item.get("session") == session]

    def frames(self, session: str) -> list[tuple[int, Item]]:
        return [(i["id"], i["event"]) for i in self.items if i.get("session") == session and i["event"] is not None]


@contextlib.asynccontextmanager
async def opened(house: House, **headers: str) -> AsyncIterator[Line]:
    url = house.url.replace("http", "ws") + "/api/live"
    async with connect(url, additional_headers=headers, proxy=None, max_size=None, compression=None) as socket:
        yield Line(socket)


async def test_it_says_who_it_is_and_what_waits(house: House) -> None:
    async with opened(house) as line:
        hello, waits = await line.of("hello"), await line.of("waits")
    assert line.items[0] is hello
    assert hello["hello"]["version"] == "1.2.3"
    assert set(hello["hello"]) == {"version", "host", "server"}
    assert waits["waits"] == []


async def test_what_is_followed_is_what_the_event_stream_has(house: House) -> None:
    session = await house.session()
    async with opened(house) as line:
        await line.say(follow=session, since=0)
        await house.run(session, "hi")
        await line.event(session, "stream_stopped")
        streamed: list[tuple[int, Item]] = []
        async with house.events(session, params={"detail": "full"}) as frames:
            while not streamed or streamed[-1][1]["type"] != "stream_stopped":
                frame = await frames.next()
                streamed.append((int(frame.id), frame.data))
    assert line.frames(session) == streamed
    assert {"turn_opened", "answer_started", "session_created"} <= {event["type"] for _, event in streamed}
