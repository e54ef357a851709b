"""Sessions: create, list, read, change, fork, delete."""

from typing import Any

from roost.core.errors import BadValue, SessionNotFound, SessionNotRunning
from roost.core.session import Head
from roost.doors.docker_agent import bodies, shapes
from roost.doors.docker_agent.details import full
from roost.doors.docker_agent.health import Said, Status
from roost.doors.docker_agent.rows import ListedShape, Rows, row_shape, speaker
from roost.doors.docker_agent.shapes import BudgetShape, MessageShape, PermissionsShape, Wire
from roost.doors.docker_agent.snapshots import Screens, whole
from roost.doors.errors import Refused, told
from roost.doors.routes import Answer, Call, Reply
from roost.ports import Listing
from roost.service.service import Service
from roost.service.sessions import Snapshot
from roost.wire.json import Number, moment, rfc3339

DELETE_WAIT = 10.0


class ShownShape(Wire, frozen=True, kw_only=True):
    """A session with its messages."""

    id: str
    title: str
    messages: list[MessageShape] = []
    created_at: str
    tools_approved: bool
    thinking: bool = False
    safety_policy: str = ""
    input_tokens: int
    output_tokens: int
    working_dir: str = ""
    permissions: PermissionsShape | None = None
    budget: BudgetShape | None = None
    tree_budget: BudgetShape | None = None
    tree_cost: Number | None = None


class StatusShape(Wire, frozen=True, kw_only=True):
    """What a session is doing."""

    id: str
    title: str
    streaming: bool
    agent: str = ""
    input_tokens: int
    output_tokens: int
    num_messages: int
    budget: BudgetShape | None = None
    tree_budget: BudgetShape | None = None
    tree_cost: Number | None = None


class TitleShape(Wire, frozen=True, kw_only=True):
    """A session's title."""

    id: str
    title: str


def _listed(listing: Listing) -> ListedShape:
    return ListedShape(
        id=listing.id,
        title=listing.title,
        created_at=rfc3339(listing.created_at),
        num_messages=listing.messages,
        input_tokens=listing.input_tokens,
        output_tokens=listing.output_tokens,
        working_dir=listing.working_dir,
        starred=listing.starred,
        cost=shapes.cost_shape(listing.cost),
        attributes=listing.attributes,
    )


def _shown(snapshot: Snapshot) -> ShownShape:
    head = snapshot.head
    budget, tree_budget = shapes.budget_shapes(head)
    return ShownShape(
        id=head.id,
        title=head.title,
        messages=shapes.message_shapes(snapshot.history, snapshot.definitions),
        created_at=moment(head.created_at),
        tools_approved=head.tools_approved,
        thinking=head.thinking,
        safety_policy=head.safety,
        input_tokens=head.input_tokens,
        output_tokens=head.output_tokens,
        working_dir=head.working_dir,
        permissions=shapes.permissions_shape(head.permissions),
        budget=budget,
        tree_budget=tree_budget,
        tree_cost=shapes.cost_shape(snapshot.tree_cost),
    )


class Sessions:
    """Handlers about sessions."""

    def __init__(self, service: Service, host: str) -> None:
        self._sessions = service.sessions
        self._turns = service.turns
        self._seats = service.seats
        self._screens = Screens(service)
        self._rows: Rows[Listing] = Rows(_listed)
        self._full: Rows[Head] = Rows(lambda head: row_shape(head, host))

    async def listing(self, call: Call) -> Answer:
        """GET /api/sessions: all, or with `limit` and `offset` a part; `detail=full` has the spawned ones too."""
        limit, offset = call.count("limit"), call.count("offset") or 0
        if full(call):
            heads = await self._sessions.heads(call.principal)
            return Reply(raw=self._full.body(heads[offset:][:limit]))
        found = await self._sessions.listing(call.principal)
        return Reply(raw=self._rows.body(found[offset:][:limit]))

    async def create(self, call: Call, body: bodies.NewSession) -> Answer:
        """POST /api/sessions."""
        head = await self._sessions.create(call.principal, body.template())
        return Reply(shapes.new_shape(head))

    async def show(self, call: Call) -> Answer:
        """GET /api/sessions/:id."""
        return Reply(_shown(await self._sessions.show(call.principal, call.path["id"])))

    async def snapshot(self, call: Call) -> Answer:
        """GET /api/sessions/:id/snapshot; with `detail=full` the newest messages, and all that is under way."""
        try:
            if full(call):
                return Reply(await self._screens.open(call))
            return Reply(whole(await self._sessions.show(call.principal, call.path["id"])))
        except SessionNotFound as error:
            return Reply(told(f"session not found: {error}", error.code), 404)

    async def status(self, call: Call) -> Answer:
        """GET /api/sessions/:id/status: now, or as soon as the session has run."""
        session = call.path["id"]
        wait = call.duration("wait", None)
        try:
            head: Head | None = await self._turns.ran(call.principal, session)
        except SessionNotRunning:
            if wait is None:
                raise Refused(404, f"session not found: session {session} not found") from None
            patience = wait
            head = await call.patiently(lambda: self._turns.until_ran(call.principal, session, patience))
        if head is None:
            raise Refused(503, "session not ready within timeout")
        budget, tree_budget = shapes.budget_shapes(head)
        seat = self._seats.seat(session)
        shown = StatusShape(
            id=head.id,
            title=head.title,
            streaming=head.turn is not None,
            agent=speaker(head) or (seat.first if seat else ""),
            input_tokens=head.input_tokens,
            output_tokens=head.output_tokens,
            num_messages=head.messages,
            budget=budget,
            tree_budget=tree_budget,
            tree_cost=shapes.cost_shape(await self._sessions.tree_cost(head)),
        )
        return Reply(shown)

    async def delete(self, call: Call) -> Answer:
        """DELETE /api/sessions/:id, and with `wait=true` wait for its turn to end."""
        session, patience = call.path["id"], call.duration("timeout", DELETE_WAIT)
        if call.query.get("wait") != "true":
            await self._sessions.delete(call.principal, session)
            return Reply(Said(message="session deleted"))
        gone = await call.patiently(lambda: self._sessions.delete(call.principal, session, wait=patience))
        if gone:
            return Reply(Said(message="session deleted"))
        return Reply(Said(message="session deleted, stop still in progress"), 202)

    async def fork(self, call: Call, body: bodies.Fork) -> Answer:
        """POST /api/sessions/:id/fork."""
        ordinal = body.message_index if body.user_message_index is None else body.user_message_index
        return Reply(_shown(await self._sessions.fork(call.principal, call.path["id"], ordinal or 0)))

    # -- small changes --------------------------------------------------------------------------

    async def title(self, call: Call, body: bodies.Title) -> Answer:
        """PATCH /api/sessions/:id/title."""
        head = await self._sessions.set_title(call.principal, call.path["id"], body.title)
        return Reply(TitleShape(id=head.id, title=head.title))

    async def permissions(self, call: Call, body: bodies.PermissionsChange) -> Answer:
        """PATCH /api/sessions/:id/permissions."""
        permissions = body.permissions.value() if body.permissions else None
        await self._sessions.set_permissions(call.principal, call.path["id"], permissions)
        return Reply(Said(message="session permissions updated"))

    async def safety(self, call: Call, body: bodies.Safety) -> Answer:
        """PATCH /api/sessions/:id/safety-policy."""
        await self._sessions.set_safety(call.principal, call.path["id"], body.safety_policy)
        return Reply(Said(message="session safety policy updated"))

    async def budget(self, call: Call) -> Answer:
        """PATCH /api/sessions/:id/budget: the body is a `bodies.BudgetsChange`, in which null is not nothing."""
        changes = bodies.budget_changes(await call.json(dict[str, Any]))
        await self._sessions.set_budget(call.principal, call.path["id"], changes)
        return Reply(None)

    async def toggle_tools(self, call: Call) -> Answer:
        """POST /api/sessions/:id/tools/toggle."""
        await self._sessions.toggle_tools(call.principal, call.path["id"])
        return Reply(None)

    async def toggle_thinking(self, call: Call) -> Answer:
        """POST /api/sessions/:id/thinking/toggle."""
        await self._sessions.toggle_thinking(call.principal, call.path["id"])
        return Reply(None)

    async def tokens(self, call: Call, body: bodies.Tokens) -> Answer:
        """PATCH /api/sessions/:id/tokens."""
        counters = {"input": body.input_tokens, "output": body.output_tokens}
        await self._sessions.set_tokens(call.principal, call.path["id"], **counters, cost=body.cost)
        return Reply(Status(status="updated"))

    async def starred(self, call: Call, body: bodies.Starred) -> Answer:
        """PATCH /api/sessions/:id/starred."""
        await self._sessions.set_starred(call.principal, call.path["id"], body.starred)
        return Reply(Status(status="updated"))

    # -- items ----------------------------------------------------------------------------------

    async def add_message(self, call: Call, body: bodies.MessageBody) -> Answer:
        """POST /api/sessions/:id/messages."""
        if body.message is None:
            raise BadValue("message is required")
        await self._sessions.add_message(call.principal, call.path["id"], body.message.value())
        return Reply(Status(status="added"), 201)

    async def edit_message(self, call: Call, body: bodies.MessageBody) -> Answer:
        """PATCH /api/sessions/:id/messages/:msg_id."""
        if body.message is None:
            raise BadValue("message is required")
        given = call.path["msg_id"]
        if not (given.isascii() and given.isdecimal() and len(given) < 19):
            raise Refused(400, f'failed to update message: invalid message ID: "{given}" is no number')
        await self._sessions.edit_message(call.principal, call.path["id"], int(given), body.message.value())
        return Reply(Status(status="updated"))

    async def add_summary(self, call: Call, body: bodies.Summary) -> Answer:
        """POST /api/sessions/:id/summaries."""
        await self._sessions.add_summary(call.principal, call.path["id"], body.value())
        return Reply(Status(status="added"), 201)

    async def compact(self, call: Call, body: bodies.Compaction) -> Answer:
        """POST /api/sessions/:id/compaction: before the next request to a model."""
        await self._sessions.compact(call.principal, call.path["id"], body.instruction)
        return Reply(Status(status="queued"), 202)
