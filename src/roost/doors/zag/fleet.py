"""Many sessions at once: wait, collect, sum up, retry, pipe, broadcast, search, clean up."""

from typing import Any

import msgspec
from msgspec import UNSET

from roost.core.ids import LogId
from roost.core.session import Head
from roost.doors.routes import Answer, Call
from roost.doors.zag import bodies, shapes
from roost.doors.zag.manners import said
from roost.doors.zag.renderer import Renderer, frames
from roost.doors.zag.sessions import asked
from roost.doors.zag.times import moment
from roost.service.orders import Request
from roost.service.results import Collected, Summary
from roost.service.reviews import Wanted
from roost.service.search import Match, Query
from roost.service.service import Service


class Fleet:
    """Several sessions, by id and by tag."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._results = service.results

    async def collect(self, call: Call, body: bodies.Some) -> Answer:
        """POST /sessions/collect."""
        found = await self._results.collect(call.principal, body.session_ids or (), tag=body.tag or "")
        return said([_collected(one) for one in found])

    async def wait(self, call: Call, body: bodies.Wait) -> Answer:
        """POST /sessions/wait."""

        async def waited() -> Any:
            return await self._results.wait(
                call.principal,
                body.session_ids or (),
                tag=body.tag or "",
                timeout=body.timeout or "",
                any=bool(body.any),
            )

        ends = await call.patiently(waited)
        return said([shapes.Waited(end.session, end.success, end.error) for end in ends])

    async def summary(self, call: Call, body: bodies.Some) -> Answer:
        """POST /sessions/summary."""
        found = await self._results.summary(call.principal, body.session_ids or (), tag=body.tag or "")
        return said([_summary(one, await self._counted(one.head)) for one in found])

    async def _counted(self, head: Head) -> int:
        """How many events clients are shown of a session."""
        archive, log = self._service.archive, LogId(head.id)
        shown = frames(archive, Renderer(archive, log), log, after=0, end=head.last_seq)
        return sum([1 async for _ in shown])

    async def retry(self, call: Call, body: bodies.Retry) -> Answer:
        """POST /sessions/retry."""
        retried = await self._service.spawns.retry(
            call.principal,
            body.session_ids or (),
            tag=body.tag or "",
            failed=bool(body.failed),
            model=body.model or "",
        )
        items = []
        for one in retried:
            item: dict[str, Any] = {
                "original_session_id": one.session,
                "new_session_id": one.head.id if one.head else None,
                "retried": one.head is not None,
            }
            items.append(item | ({"error": one.error} if one.error else {}))
        return said(items)

    async def pipe(self, call: Call, body: bodies.Pipe) -> Answer:
        """POST /sessions/pipe."""
        names, request = body.session_ids or (), asked(body)

        async def piped() -> Any:
            return await self._service.spawns.pipe(call.principal, names, request, tag=body.tag or "")

        return said(await call.patiently(piped))

    async def broadcast(self, call: Call, body: bodies.Broadcast) -> Answer:
        """POST /sessions/broadcast."""

        async def told() -> Any:
            return await self._service.inputs.broadcast(call.principal, body.message, tag=body.tag or "")

        items = []
        for one in await call.patiently(told):
            if one.error:
                items.append({"session_id": one.session, "status": "error", "error": one.error})
            else:
                items.append({"session_id": one.session, "status": "sent", "output": one.output})
        return said(items)

    async def load(self, call: Call) -> Answer:
        """POST /sessions/import."""
        return said({"imported": await self._service.imports.take_over(call.principal)})

    async def search(self, call: Call, body: bodies.Search) -> Answer:
        """POST /search."""
        query = Query(
            text=body.query or "",
            regex=bool(body.regex),
            case_sensitive=bool(body.case_sensitive),
            provider=body.provider or "",
            role=body.role or "",
            tool=body.tool or "",
            tool_kind=body.tool_kind or "",
            start=body.from_ or "",
            end=body.to or "",
            session=body.session or "",
            tag=body.tag or "",
            limit=body.limit,
        )
        matches = await call.patiently(lambda: self._service.search.matches(call.principal, query))
        answer: dict[str, Any] = {"status": "ok", "count": len(matches)}
        if not body.count:
            answer["matches"] = [await self._match(match) for match in matches]
        return said(answer)

    async def gc(self, call: Call, body: bodies.Gc) -> Answer:
        """POST /gc."""
        swept = await self._service.upkeep.collect(
            call.principal,
            force=bool(body.force),
            older_than=body.older_than or "7d",
            keep_logs=bool(body.keep_logs),
        )
        return said(
            {
                "process_entries_removed": swept.processes,
                "lifecycle_markers_removed": 0,
                "spawn_logs_removed": swept.spawn_logs,
                "session_logs_removed": swept.sessions,
                "dry_run": swept.dry_run,
            }
        )

    async def review(self, call: Call, body: bodies.Review) -> Answer:
        """POST /review."""

        wanted = Wanted(
            uncommitted=bool(body.uncommitted),
            base=body.base or "",
            commit=body.commit or "",
            title=body.title or "",
            prompt=body.prompt or "",
        )
        request = Request(
            provider=body.provider or "",
            model=body.model or "",
            root=body.root or "",
            auto_approve=body.auto_approve,
            add_dirs=tuple(body.add_dirs or ()),
        )
        done = await call.patiently(lambda: self._service.reviews.review(call.principal, wanted, request))
        return said({"status": "completed", "session_id": done.head.id, "result": done.result})

    async def _match(self, match: Match) -> dict[str, Any]:
        head, event = match.head, match.event
        renderer = Renderer(self._service.archive, LogId(head.id))
        frames = await renderer.render(event)
        return {
            "session_id": head.id,
            "provider": head.provider or head.source,
            "started_at": moment(head.created_at),
            "ended_at": moment(head.ended_at) if head.ended_at and head.turn is None else None,
            "workspace_path": head.worktree_path or head.working_dir,
            "command": "interactive" if head.interactive else "exec",
            "event": msgspec.Raw(frames[0].text.encode()) if frames else None,
            "snippet": match.snippet,
        }


def _collected(one: Collected) -> shapes.Collected:
    head, text = one.head, one.result
    return shapes.Collected(
        session_id=one.session,
        provider=(head.provider or head.source) if head else "",
        model=head.model if head else "",
        status=one.status.word,
        name=(head.name if head else "") or UNSET,
        result_text=UNSET if text is None else text,
        result=UNSET if text is None else text,
        error=one.status.error or UNSET,
    )


def _summary(one: Summary, events: int) -> dict[str, Any]:
    head = one.head
    item: dict[str, Any] = {"session_id": head.id}
    item |= {"name": head.name} if head.name else {}
    item |= {"provider": head.provider or head.source, "model": head.model, "status": one.status.word}
    item |= {"duration_secs": one.seconds} if one.seconds is not None else {}
    item |= {"turns": one.turns, "tool_calls": one.tools, "total_tool_calls": sum(one.tools.values())}
    item |= {"files_modified": one.files} if one.files else {}
    item |= _present({"result": one.result, "error": one.status.error or None})
    item["event_count"] = events
    tokens = {"input_tokens": one.input_tokens, "output_tokens": one.output_tokens, "total_cost_usd": one.cost}
    return item | _present(tokens)


def _present(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None}
