"""A session's log events: the ones there are, and those that come."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

import anyio

from roost.core import events as e
from roost.core.events import Event
from roost.core.ids import LogId, SessionId
from roost.core.session import Head
from roost.doors.errors import Refused
from roost.doors.routes import Answer, Call, Reply
from roost.doors.sockets import Filter, Frame, Sockets
from roost.doors.zag.events import heartbeat
from roost.doors.zag.renderer import Renderer, frames
from roost.doors.zag.unified import Unified
from roost.service.service import Service

FIRST_LOOK = 200  # facts that are looked at for the last few events, before it is more


class Logs:
    """Events by REST and by WebSocket."""

    def __init__(self, service: Service, closing: anyio.Event) -> None:
        self._service = service
        self._plain = Sockets(lambda log: Renderer(service.archive, log), closing)
        self._unified = Sockets(lambda log: Unified(service.archive, log), closing)

    async def events(self, call: Call) -> Answer:
        """GET /sessions/{id}/events."""
        head = await self._service.fleet.find(call.principal, call.path["id"])
        after, before = call.natural("after_seq") or 0, call.natural("before_seq")
        last, limit = call.natural("last"), call.natural("limit")
        wanted = _wanted(call.query.get("type", ""))
        end = head.last_seq if before is None else min(before - 1, head.last_seq)
        unified = _unified(call)
        if last is not None:
            found = await self._last(head, after, end, wanted, last, unified=unified)
        else:
            found = await self._between(head, after, end, wanted, unified=unified, most=limit)
        if limit is not None:
            found = found[:limit]
        return Reply(raw=b"[" + b",".join(text.encode() for text in found) + b"]")

    async def stream(self, call: Call) -> Answer:
        """WS /sessions/{id}/stream."""
        head = await self._service.fleet.find(call.principal, call.path["id"])
        wanted = _wanted(call.query.get("filter") or call.query.get("type", ""))
        after = call.natural("after_seq") or 0
        batches = await self._service.feeds.session(call.principal, head.id, after=after)
        if _unified(call):
            return self._unified.open(batches, wanted=wanted)
        seen = _Seen(batches, head, after)
        now = self._service.desk.makers.clock.now

        def beat() -> str | None:
            frame = heartbeat(seen.seq, now(), SessionId(head.id), head.provider or head.source, seen.provider_session)
            return frame.text if wanted is None or wanted(frame) else None

        return self._plain.open(seen, wanted=wanted, tick=beat)

    async def subscribe(self, call: Call) -> Answer:
        """WS /subscribe."""
        wanted = _wanted(call.query.get("type") or call.query.get("filter", ""))
        batches = self._service.feeds.everything(call.principal, tag=call.query.get("tag", ""))
        sockets = self._unified if _unified(call) else self._plain
        return sockets.open(batches, wanted=wanted)

    async def _between(
        self, head: Head, after: int, end: int, wanted: Filter | None, *, unified: bool, most: int | None = None
    ) -> Sequence[str]:
        """The events of facts past `after` and up to `end`, the first `most` of them."""
        log, archive = LogId(head.id), self._service.archive
        renderer = Unified(archive, log) if unified else Renderer(archive, log)
        found: list[str] = []
        if most == 0:
            return found
        async with aclosing(frames(archive, renderer, log, after=after, end=end)) as shown:
            async for frame in shown:
                if wanted is None or wanted(frame):
                    found.append(frame.text)
                    if len(found) == most:
                        break
        return found

    async def _last(
        self, head: Head, after: int, end: int, wanted: Filter | None, last: int, *, unified: bool
    ) -> Sequence[str]:
        """The last few events, found from the end."""
        look = FIRST_LOOK
        while last:
            start = max(after, end - look)
            found = await self._between(head, start, end, wanted, unified=unified)
            if len(found) >= last or start == after:
                return found[-last:]
            look *= 8
        return ()


class _Seen:
    """The batches of a stream, and what a heartbeat says: of the newest event that the client has been sent."""

    def __init__(self, batches: AsyncGenerator[Sequence[Event], None], head: Head, after: int) -> None:
        self.seq = self._next = min(after, head.last_seq)
        self.provider_session = head.provider_session or None
        self._batches = batches

    def __aiter__(self) -> AsyncIterator[Sequence[Event]]:
        return self

    async def __anext__(self) -> Sequence[Event]:
        self.seq = self._next  # who asks for more has sent what there was
        batch = await anext(self._batches)
        self._next = batch[-1].seq
        for event in batch:
            if isinstance(fact := event.fact, e.Introduced) and fact.provider_session and not fact.sub:
                self.provider_session = fact.provider_session
        return batch

    async def aclose(self) -> None:
        """No more of them are wanted."""
        await self._batches.aclose()


def _wanted(names: str) -> Filter | None:
    """Events of these types alone; all where none is named."""
    kinds = {name.strip() for name in names.split(",") if name.strip()}
    if not kinds:
        return None

    def wanted(frame: Frame) -> bool:
        return frame.kind in kinds

    return wanted


def _unified(call: Call) -> bool:
    schema = call.query.get("schema", "")
    if schema not in ("", "log", "unified"):
        raise Refused(400, f'invalid schema: "{schema[:40]}" is neither log nor unified')
    return schema == "unified"
