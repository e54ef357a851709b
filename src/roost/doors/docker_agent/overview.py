"""What every screen is shown of all sessions: a line of the list for each that changes, and what waits for a person."""

from collections import OrderedDict
from collections.abc import Callable, Sequence

from roost.core.ids import SessionId, WaitId
from roost.core.principals import Principal
from roost.core.session import Head
from roost.doors.docker_agent.rows import row_shape
from roost.doors.docker_agent.waits import open_wait_shape
from roost.ports import WaitRecord
from roost.service.pulse import Ear
from roost.service.service import Service
from roost.wire.json import encode, encode_raw, escaped

KEPT = 4096  # lines that are remembered, so that one which is as it was is not sent again

Show = Callable[[str, bytes], None]
"""Puts an item on a screen, in place of one of the same name that is still on its way."""


class Overview:
    """The same for all screens of a server."""

    def __init__(self, service: Service, host: str) -> None:
        self._pulse = service.pulse
        self._waits = service.waits
        self._archive = service.archive
        self._host = host
        self._rows: OrderedDict[SessionId, tuple[Head, bytes]] = OrderedDict()
        self._shapes: dict[WaitId, bytes] = {}

    async def show(self, principal: Principal, show: Show) -> None:
        """What waits, then whatever changes of it and of the sessions that the caller may see."""
        shown: OrderedDict[SessionId, bytes] = OrderedDict()
        with self._pulse.listen(principal) as ear:
            show("waits", await self._list(await self._waits.open(principal)))
            while True:
                await self._next(ear, shown, show)

    async def _next(self, ear: Ear, shown: "OrderedDict[SessionId, bytes]", show: Show) -> None:
        heads, waits = await ear.hear()
        for head in heads.values():
            name, item = ("gone", encode({"gone": head.id})) if head.deleted else ("row", self._row(head))
            if shown.get(head.id) != item:
                shown[head.id] = item
                show(f"{name} {head.id}", item)
            shown.move_to_end(head.id)
            if len(shown) > KEPT:
                shown.popitem(last=False)
        if waits is not None:
            show("waits", await self._list(waits))

    def _row(self, head: Head) -> bytes:
        """A session's line, rendered once for all screens."""
        known = self._rows.get(head.id)
        if known is None or known[0] is not head:
            known = self._rows[head.id] = head, b'{"row":%b}' % encode(row_shape(head, self._host))
        self._rows.move_to_end(head.id)
        if len(self._rows) > KEPT:
            self._rows.popitem(last=False)
        return known[1]

    async def _list(self, records: Sequence[WaitRecord]) -> bytes:
        """All that waits; what was looked up for one of it is kept as long as it may be asked for again."""
        found = []
        for record in records:
            if (shape := self._shapes.get(record.id)) is None:
                head = await self._archive.head(record.log)
                shape = self._shapes[record.id] = encode_raw(await open_wait_shape(self._archive, record, head))
            found.append(shape)
        while len(self._shapes) > KEPT:
            del self._shapes[next(iter(self._shapes))]
        return escaped(b'{"waits":[%b]}' % b",".join(found))
