"""What waits for a person: list it, answer it."""

from typing import Any

from roost.core.errors import NothingWaits
from roost.core.ids import SessionId
from roost.core.session import Head
from roost.doors.docker_agent import bodies, shapes
from roost.doors.docker_agent.details import full
from roost.doors.docker_agent.health import Said
from roost.doors.docker_agent.shapes import CallShape, DefinitionShape, Wire
from roost.doors.routes import Answer, Call, Reply
from roost.ports import WaitRecord
from roost.service.archive import Archive
from roost.service.service import Service
from roost.wire.json import free, moment, ordered


class WaitShape(Wire, frozen=True, kw_only=True):
    """Something that waits."""

    id: str
    kind: str
    session_id: str
    agent_name: str
    opened_at: str
    tool_call: CallShape | None = None
    tool_definition: DefinitionShape | None = None
    message: str = ""
    schema: dict[str, Any] | None = None
    max_iterations: int = 0
    metadata: dict[str, str] = {}


class OpenWaitShape(WaitShape, frozen=True, kw_only=True):
    """The same with all that a person wants to see.  `log_id` is the session whose events it is among."""

    log_id: str
    title: str = ""
    working_dir: str = ""
    mode: str = ""
    url: str = ""
    meta: dict[str, Any] | None = None


async def wait_shape(archive: Archive, record: WaitRecord) -> WaitShape:
    """Something that waits."""
    return WaitShape(**await _plain(archive, record))


async def open_wait_shape(archive: Archive, record: WaitRecord, head: Head | None = None) -> OpenWaitShape:
    """The same with all details; `head` is that of the session whose events it is among."""
    fact, more = record.fact, await _plain(archive, record)
    if head is not None:
        more |= {"title": head.title, "working_dir": head.working_dir}
    meta = free(fact.meta) or None
    more["schema"] = ordered(fact.schema)
    return OpenWaitShape(**more, log_id=record.log, mode=fact.mode, url=fact.url, meta=meta)


async def _plain(archive: Archive, record: WaitRecord) -> dict[str, Any]:
    fact = record.fact
    known = await archive.definition(record.log, fact.definition) if fact.definition else None
    return {
        "id": record.id,
        "kind": fact.kind,
        "session_id": record.session,
        "agent_name": fact.agent,
        "opened_at": moment(record.opened_at),
        "tool_call": shapes.call_shape(fact.call) if fact.call else None,
        "tool_definition": shapes.definition_shape(known) if known else None,
        "message": fact.message,
        "schema": free(fact.schema),
        "max_iterations": fact.max_iterations,
        "metadata": fact.metadata,
    }


class Waits:
    """Handlers about what waits."""

    def __init__(self, service: Service) -> None:
        self._waits = service.waits
        self._sessions = service.sessions
        self._archive = service.archive

    async def listing(self, call: Call) -> Answer:
        """GET /api/waits: the oldest first."""
        records = await self._waits.open(call.principal)
        if full(call):
            heads = {head.id: head for head in await self._sessions.heads(call.principal)}
            return Reply([await open_wait_shape(self._archive, r, heads.get(SessionId(r.log))) for r in records])
        return Reply([await wait_shape(self._archive, record) for record in records])

    async def answer(self, call: Call, body: bodies.WaitAnswer) -> Answer:
        """POST /api/waits/:id."""
        await self._waits.answer(
            call.principal,
            call.path["id"],
            confirmation=body.confirmation,
            reason=body.reason,
            tool_name=body.tool_name,
            action=body.action,
            content=body.content,
            budget=bodies.budget_value(body.budget),
        )
        return Reply(Said(message="answered"))

    async def resume(self, call: Call, body: bodies.Resume) -> Answer:
        """POST /api/sessions/:id/resume."""
        await self._waits.resume(
            call.principal,
            call.path["id"],
            confirmation=body.confirmation,
            reason=body.reason,
            tool_name=body.tool_name,
            call=body.tool_call_id,
            budget=bodies.budget_value(body.budget),
        )
        return Reply(Said(message="session resumed"))

    async def elicit(self, call: Call, body: bodies.Elicitation) -> Answer:
        """POST /api/sessions/:id/elicitation."""
        try:
            await self._waits.elicit(
                call.principal, call.path["id"], action=body.action, content=body.content, wait=body.elicitation_id
            )
        except NothingWaits as error:
            raise NothingWaits(f"failed to resume elicitation: {error}") from None
        return Reply(None)
