"""Sessions: spawn, list, look, change, talk to, cancel."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from roost.core.errors import BadValue
from roost.core.session import Head
from roost.doors.routes import Answer, Call
from roost.doors.zag import bodies, shapes
from roost.doors.zag.manners import said
from roost.doors.zag.times import moment
from roost.service.fleet import Label, View
from roost.service.orders import Request
from roost.service.service import Service


class Sessions:
    """One session at a time."""

    def __init__(self, service: Service) -> None:
        self._fleet = service.fleet
        self._service = service

    async def listing(self, call: Call) -> Answer:
        """GET /sessions."""
        call.flag("global")
        tag, provider = call.query.get("tag", ""), call.query.get("provider", "")
        heads = await self._fleet.listing(call.principal, tag=tag, provider=provider, limit=call.natural("limit"))
        return said(await self._entries(heads))

    async def spawn(self, call: Call, body: bodies.Spawn) -> Answer:
        """POST /sessions/spawn."""
        spawned = await self._service.spawns.spawn(call.principal, asked(body))
        head = spawned.head
        return said(shapes.Spawned(head.id, spawned.pid, spawned.log_path, head.interactive), 201)

    async def show(self, call: Call) -> Answer:
        """GET /sessions/{id}."""
        head = await self._fleet.find(call.principal, call.path["id"])
        entry = await self._entry(head)
        tree = await self._fleet.tree(head)
        if tree.sessions > 1 or head.below:
            entry.tree = shapes.TreeEntry(
                sessions=tree.sessions,
                running=tree.running,
                total_cost_usd=tree.cost,
                input_tokens=tree.input_tokens,
                output_tokens=tree.output_tokens,
            )
        return said(entry)

    async def delete(self, call: Call) -> Answer:
        """DELETE /sessions/{id}."""
        await self._fleet.delete(call.principal, call.path["id"])
        return said({"deleted": call.path["id"]})

    async def update(self, call: Call, body: bodies.Patch) -> Answer:
        """PATCH /sessions/{id}."""
        label = Label(
            name=body.name,
            description=body.description,
            tags=tuple(body.tags or ()),
            clear_tags=bool(body.clear_tags),
        )
        return said(await self._entry(await self._fleet.label(call.principal, call.path["id"], label)))

    async def status(self, call: Call) -> Answer:
        """GET /sessions/{id}/status."""
        view = await self._fleet.view(call.principal, call.path["id"])
        head = view.head
        beat = view.heartbeat_at
        return said(
            shapes.Status(
                session_id=call.path["id"],
                status=view.status.word,
                provider=head.provider or head.source,
                model=head.model,
                name=head.name or UNSET,
                pid=view.pid,
                error=view.status.error or UNSET,
                last_heartbeat_at=moment(beat) if beat is not None else UNSET,
                waiting_on=view.waiting_on or UNSET,
                waits=len(head.waits) or UNSET,
            )
        )

    async def output(self, call: Call) -> Answer:
        """GET /sessions/{id}/output."""
        text = await self._service.results.output(call.principal, call.path["id"])
        return said(shapes.Output(call.path["id"], text))

    async def input(self, call: Call, body: bodies.Input) -> Answer:
        """POST /sessions/{id}/input."""
        send, name = self._service.inputs.send, call.path["id"]
        sent = await call.patiently(lambda: send(call.principal, name, body.message))
        if sent.output is not None:
            return said(sent.output)
        if sent.queued and not sent.head.interactive:
            return said({"status": "sent", "interactive": False, "queued": True})
        return said({"status": "sent", "interactive": True} if sent.queued else {"status": "sent", "output": None})

    async def cancel(self, call: Call, body: bodies.Cancel) -> Answer:
        """POST /sessions/{id}/cancel."""
        await self._fleet.cancel(call.principal, call.path["id"], body.reason or "")
        return said(shapes.Done("cancelled"))

    async def log(self, call: Call, body: bodies.Log) -> Answer:
        """POST /sessions/{id}/log."""
        await self._fleet.note(call.principal, call.path["id"], body.message, level=body.level or "", data=body.data)
        return said(shapes.Done("logged"))

    async def env(self, call: Call) -> Answer:
        """GET /sessions/{id}/env."""
        return said(await self._fleet.env(call.principal, call.path["id"]))

    async def _entry(self, head: Head) -> shapes.SessionEntry:
        return (await self._entries([head]))[0]

    async def _entries(self, heads: Sequence[Head]) -> Sequence[shapes.SessionEntry]:
        return [self._shape(view) for view in await self._fleet.views(heads)]

    def _shape(self, view: View) -> shapes.SessionEntry:
        log = self._fleet.spawn_log(view.head)
        return shapes.session_entry(view.head, status=view.status.word, log=log, waiting_on=view.waiting_on)


def asked(body: bodies.Spawn) -> Request:
    """What a spawn, or a pipe, asks for."""
    return Request(
        prompt=body.prompt or "",
        provider=body.provider or "",
        model=body.model or "",
        size=body.size or "",
        root=body.root or "",
        add_dirs=tuple(body.add_dirs or ()),
        system_prompt=body.system_prompt,
        auto_approve=body.auto_approve,
        max_turns=body.max_turns,
        timeout=body.timeout or "",
        name=body.name or "",
        description=body.description or "",
        tags=tuple(body.tags or ()),
        depends_on=tuple(body.depends_on or ()),
        inject_context=bool(body.inject_context),
        interactive=bool(body.interactive),
        env=bodies.pairs(body.env_vars),
        files=tuple(body.files or ()),
        context=_context(body),
        mcp=_servers(body.mcp_config),
        json_schema=_object(body.json_schema, "json_schema"),
        worktree=bodies.chosen(body.worktree),
        sandbox=bodies.chosen(body.sandbox),
        parent=body.parent_session_id or "",
        roost_tools=bool(body.roost_tools),
    )


def _context(body: bodies.Spawn) -> str:
    return (body.context or "") if isinstance(body, bodies.Pipe) else ""


def _servers(given: Any) -> dict[str, Any]:
    """Tool servers: an object, or the JSON of one; what stands under `mcpServers`, where that is there."""
    servers = _object(given, "mcp_config") or {}
    inner = servers.get("mcpServers", servers)
    if not isinstance(inner, dict):
        raise BadValue("mcp_config: mcpServers must be an object")
    return inner


def _object(given: Any, name: str) -> dict[str, Any] | None:
    if given is None or given == "":
        return None
    if isinstance(given, str):
        given = bodies.parsed(given, name)
    if not isinstance(given, dict):
        raise BadValue(f"{name} must be an object")
    return given
