"""A log told again, fact by fact: what a client is given of it at each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from roost.client.happenings import Happening, decode
from roost.client.shapes import Message, Snapshot
from roost.core.ids import LogId
from roost.testing.house import House, open_house
from roost.wire.sse import Parser
from tui.scenes import Log


@dataclass(frozen=True, repr=False)
class Told:
    """The snapshot after each fact, and all events."""

    name: str
    snapshots: Sequence[Snapshot]
    happenings: Sequence[Happening]

    def __repr__(self) -> str:
        return self.name

    def between(self, after: int, until: int) -> list[Happening]:
        return [happening for happening in self.happenings if after < happening.seq <= until]


async def snapshot(house: House, session: str, query: str = "") -> Snapshot:
    answer = await house.client.get(f"/api/sessions/{session}/snapshot?detail=full&last=1000{query}")
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Snapshot)


async def happenings(house: House, session: str, until: int, since: int = 0) -> list[Happening]:
    """The events of a log up to a number."""
    parser, found = Parser(), list[Happening]()
    path = f"/api/sessions/{session}/events?detail=full&since={since}"
    async with house.client.stream("GET", path) as response:
        async for chunk in response.aiter_raw():
            for frame in parser.feed(chunk):
                if frame.data:
                    found.append(decode(frame.data, int(frame.id) if frame.numbered else 0))
            if int(parser.last_id or 0) >= until:
                return found
    return found


async def told(log: Log, folder: Path) -> Told:
    """Everything that clients are told of a log while it grows."""
    async with open_house(folder) as house:
        snapshots = []
        for event in log.events:
            await house.store.put(LogId(log.session), [event.fact])
            snapshots.append(await snapshot(house, log.session))
        events = await happenings(house, log.session, len(log.events))
    return Told(log.name, snapshots, events)


def page(log: Told, messages: Sequence[Message], *, more: bool) -> Snapshot:
    """The last snapshot with a part of its messages, and all sub-sessions that they belong to."""
    whole, first, last = log.snapshots[-1], messages[0].id if more else 0, messages[-1].id
    after = [message.id for message in whole.messages if message.id > last]
    marks = tuple(mark for mark in whole.marks if first <= mark.id < min(after, default=1 << 62))
    notes = tuple(note for note in whole.notes if first <= note.id < min(after, default=1 << 62))
    theirs = {message.session_id for message in messages}
    theirs |= {decode(bytes(note.event), note.id).session_id for note in notes}
    nested = tuple(
        sub for sub in whole.nested if sub.id in theirs or any(sub.id == one.parent_session_id for one in whole.nested)
    )
    return msgspec.structs.replace(whole, messages=tuple(messages), marks=marks, notes=notes, more=more, nested=nested)
