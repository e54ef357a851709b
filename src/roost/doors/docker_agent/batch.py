"""Sessions taken out whole, and several of them at once."""

from datetime import UTC, datetime

from roost.core.errors import BadValue, RoostError, SessionNotFound
from roost.core.ids import Micros
from roost.core.principals import Principal
from roost.doors.docker_agent import bodies, shapes
from roost.doors.docker_agent.shapes import ErrorShape, MessageShape, PermissionsShape, Wire
from roost.doors.routes import Answer, Call, Reply
from roost.service.service import Service
from roost.wire.json import moment, rfc3339


class RecoveryShape(Wire, frozen=True, kw_only=True):
    """A session, for whoever wants to keep it elsewhere; its keys are sorted."""

    created_at: str
    errors: list[ErrorShape] = []
    id: str
    input_tokens: int
    messages: list[MessageShape] | None
    output_tokens: int
    permissions: PermissionsShape | None
    title: str
    tools_approved: bool
    working_dir: str


class Deleted(Wire, frozen=True, kw_only=True):
    """How many are gone, and which are not."""

    deleted_count: int
    failed_count: int
    failed_ids: tuple[str, ...] = ()


class Exported(Wire, frozen=True, kw_only=True):
    """Several sessions."""

    export_format: str
    session_count: int
    sessions: list[RecoveryShape]
    timestamp: str


class Batch:
    """Handlers about whole sessions."""

    def __init__(self, service: Service) -> None:
        self._sessions = service.sessions

    async def recovery(self, call: Call) -> Answer:
        """GET /api/sessions/:id/recovery."""
        return Reply(await self._whole(call.principal, call.path["id"]))

    async def delete(self, call: Call, body: bodies.Sessions) -> Answer:
        """POST /api/sessions/batch/delete."""
        failed = []
        for session in _ids(body):
            try:
                await self._sessions.delete(call.principal, session)
            except RoostError:
                failed.append(session)
        gone = len(body.session_ids) - len(failed)
        return Reply(Deleted(deleted_count=gone, failed_count=len(failed), failed_ids=tuple(failed)))

    async def export(self, call: Call, body: bodies.Sessions) -> Answer:
        """POST /api/sessions/batch/export: those that are there."""
        if body.format not in ("", "json"):
            raise BadValue(f'unsupported export format "{body.format}": must be json')
        found = []
        for session in dict.fromkeys(_ids(body)):  # each once: a short request must not ask for more than there is
            try:
                found.append(await self._whole(call.principal, session))
            except SessionNotFound:
                continue
        now = Micros(int(datetime.now(UTC).timestamp()) * 1_000_000)
        shown = Exported(export_format="json", session_count=len(found), sessions=found, timestamp=rfc3339(now))
        return Reply(shown)

    async def _whole(self, principal: Principal, session: str) -> RecoveryShape:
        snapshot = await self._sessions.show(principal, session)
        head, history = snapshot.head, snapshot.history
        errors = [shapes.error_shape(item.error, item.at) for item in history.items if item.error is not None]
        return RecoveryShape(
            created_at=moment(head.created_at),
            errors=errors,
            id=head.id,
            input_tokens=head.input_tokens,
            messages=shapes.message_shapes(history, snapshot.definitions) or None,
            output_tokens=head.output_tokens,
            permissions=shapes.permissions_shape(head.permissions),
            title=head.title,
            tools_approved=head.tools_approved,
            working_dir=head.working_dir,
        )


def _ids(body: bodies.Sessions) -> list[str]:
    if not body.session_ids:
        raise BadValue("session_ids cannot be empty")
    return body.session_ids
