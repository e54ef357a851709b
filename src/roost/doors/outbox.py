"""What waits to be sent to one screen: all that it follows gets its share, and of what is shown the newest counts."""

import asyncio
from collections import OrderedDict, deque

LARGEST = 256 * 1024  # bytes of a message; an item that is larger goes alone
SHARE = 64 * 1024  # bytes that one source has of a message, where others wait
HELD = 128 * 1024  # bytes of one lane that wait: past them, who adds to it waits
ANSWERS = 64  # items that answer the client: past them, nothing more is heard from it


class Lane:
    """Items of one source, in order.  One item may be several, with commas between them."""

    def __init__(self, outbox: "Outbox") -> None:
        self._outbox = outbox
        self._items: deque[bytes] = deque()
        self._size = 0
        self._room = asyncio.Event()

    async def put(self, item: bytes) -> None:
        """Add an item, once there is room for it."""
        while self._size and self._size + len(item) > HELD:
            self._room.clear()
            await self._room.wait()
        self._items.append(item)
        self._size += len(item)
        self._outbox.fill(self)

    def next(self) -> int:
        """The size of the item that is sent next; 0 where there is none."""
        return len(self._items[0]) if self._items else 0

    def take(self) -> bytes:
        """That item."""
        item = self._items.popleft()
        self._size -= len(item)
        self._room.set()
        return item


class Outbox:
    """Makes messages, each a JSON array, of items."""

    def __init__(self) -> None:
        self._answers: deque[bytes] = deque()
        self._shown: OrderedDict[str, bytes] = OrderedDict()
        self._lanes: OrderedDict[Lane, None] = OrderedDict()  # those in which something waits; next is the first
        self._bell = asyncio.Event()
        self._room = asyncio.Event()

    async def say(self, item: bytes) -> None:
        """Send an item before all others, once the client has read some of those that were said to it."""
        while len(self._answers) >= ANSWERS:
            self._room.clear()
            await self._room.wait()
        self._answers.append(item)
        self._bell.set()

    def show(self, name: str, item: bytes) -> None:
        """Send an item; one of the same name that has not been sent yet gives way to it."""
        self._shown[name] = item
        self._bell.set()

    def lane(self) -> Lane:
        """A lane for a new source."""
        return Lane(self)

    def fill(self, lane: Lane) -> None:
        """Something waits in a lane."""
        self._lanes.setdefault(lane)
        self._bell.set()

    def drop(self, lane: Lane) -> None:
        """Forget what waits in a lane."""
        self._lanes.pop(lane, None)

    async def message(self) -> bytes:
        """The next message, as soon as there is something to say."""
        while True:
            self._bell.clear()
            if items := self._items():
                return b"[%b]" % b",".join(items)
            await self._bell.wait()

    def _items(self) -> list[bytes]:
        items: list[bytes] = []
        size = 2
        while self._answers and size < SHARE:
            items.append(self._answers.popleft())
            size += len(items[-1]) + 1
        self._room.set()
        while self._shown and size < 2 * SHARE:
            items.append(self._shown.popitem(last=False)[1])
            size += len(items[-1]) + 1
        while self._lanes:
            lane = next(iter(self._lanes))
            if items and size + lane.next() + 1 > LARGEST:
                break
            items.append(lane.take())
            size += len(items[-1]) + 1
            self._lanes.move_to_end(lane)
            if not lane.next():
                del self._lanes[lane]
        return items
