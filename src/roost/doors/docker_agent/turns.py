"""Turns: run, follow, steer, follow up, cancel."""

from typing import Any

from roost.core.errors import AgentNotFound, BadModel, RoostError, SessionNotFound
from roost.core.ids import LogId
from roost.doors.docker_agent import bodies, frames
from roost.doors.docker_agent.agents import either
from roost.doors.docker_agent.details import full
from roost.doors.docker_agent.health import Said, Status
from roost.doors.docker_agent.shapes import Wire
from roost.doors.docker_agent.snapshots import queued
from roost.doors.errors import Refused
from roost.doors.routes import Answer, Call, Reply
from roost.doors.streams import Streams
from roost.ports import Clock, ModelInfo
from roost.service.queues import FOLLOWUPS, STEERS
from roost.service.service import Service
from roost.service.turns import Choice
from roost.wire import body as wire
from roost.wire.json import Number, number

_LARGEST = (1 << 64) - 1


class Queued(Wire, frozen=True, kw_only=True):
    """What became of a follow-up."""

    status: str
    duplicate: bool


class Depth(Wire, frozen=True, kw_only=True):
    """How full a queue is."""

    depth: int
    capacity: int


class Queues(Wire, frozen=True, kw_only=True):
    """The queues of a session."""

    steer: Depth
    followup: Depth


class ModelShape(Wire, frozen=True, kw_only=True):
    """A model that a session can use."""

    name: str
    ref: str
    provider: str = ""
    model: str = ""
    is_default: bool = False
    is_current: bool = False
    is_custom: bool = False
    is_catalog: bool = False
    family: str = ""
    input_cost: Number | None = None
    output_cost: Number | None = None
    cache_read_cost: Number | None = None
    cache_write_cost: Number | None = None
    context_limit: int = 0
    output_limit: int = 0
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()


class Models(Wire, frozen=True, kw_only=True):
    """The models of a session's agent."""

    agent: str
    current_model_ref: str = ""
    models: list[ModelShape]


class Turns:
    """Handlers about turns."""

    def __init__(self, service: Service, streams: Streams, detailed: Streams) -> None:
        self._sessions = service.sessions
        self._turns = service.turns
        self._queues = service.queues
        self._clock: Clock = service.desk.makers.clock
        self._streams = streams
        self._detailed = detailed

    async def run(self, call: Call) -> Answer:
        """POST /api/sessions/:id/agent/:agent[/:agent_name]: the turn's events, to its end."""
        body, old = _run(await call.body())
        session, name = call.path["id"], call.path.get("agent_name", "")
        messages = bodies.posted(body.messages)
        how: dict[str, Any] = {"agent": name, "model": body.model, "detach": call.query.get("detach") == "true"}

        async def run(source: str) -> Any:
            return await self._turns.run(call.principal, session, source, messages, headers=dict(call.headers), **how)

        try:
            opened = await either(call, "agent", run)
        except AgentNotFound as error:
            inside = name and error.name == name and name != call.path["agent"]
            raise Refused(404, f"failed to run session: {error}" if inside else str(error)) from None
        except BadModel as error:
            if body.model:
                raise
            raise Refused(500, f"failed to run session: {error}") from None  # the file's own: not the client's fault
        observed = self._turns.observe(opened, call.principal)
        return self._streams.open(
            opened.log,
            observed,
            marks=False,
            after=lambda: frames.stream_end(session) if old and observed.ended else b"",
            broken=lambda error: self._broken(session, error),
        )

    async def events(self, call: Call) -> Answer:
        """GET /api/sessions/:id/events: all past the cursor, then all that is new; `detail=full` leaves nothing out."""
        session = call.path["id"]
        head = await self._sessions.head(call.principal, session)
        after = _cursor(call)
        gap = after > head.last_seq or after + 1 < head.first_seq
        if gap:
            after = head.first_seq - 1
        streams = self._detailed if full(call) else self._streams
        return streams.open(
            LogId(session),
            self._turns.follow(call.principal, session, after=after),
            marks=True,
            before=frames.GAP if gap else b"",
            broken=lambda error: self._broken(session, error),
        )

    def _broken(self, session: str, error: RoostError) -> bytes:
        if isinstance(error, SessionNotFound):  # it was deleted, and its rows are gone
            return b""
        return frames.broken(session, error, self._clock.now())

    async def cancel(self, call: Call) -> Answer:
        """POST /api/sessions/:id/cancel."""
        await self._turns.cancel(call.principal, call.path["id"])
        return Reply(Said(message="session canceled"))

    async def steer(self, call: Call, body: bodies.Queue) -> Answer:
        """POST /api/sessions/:id/steer."""
        await self._queues.steer(call.principal, call.path["id"], bodies.posted(body.messages), body.framing)
        return Reply(Status(status="queued"), 202)

    async def followup(self, call: Call, body: bodies.Queue) -> Answer:
        """POST /api/sessions/:id/followup."""
        key = call.headers.get("idempotency-key", "")
        messages = bodies.posted(body.messages)
        status = await self._queues.followup(call.principal, call.path["id"], messages, key)
        return Reply(Queued(status=status, duplicate=status == "duplicate"), 202)

    async def queue(self, call: Call) -> Answer:
        """GET /api/sessions/:id/queue."""
        head = await self._turns.ran(call.principal, call.path["id"])
        return Reply(
            Queues(
                steer=Depth(depth=head.depth("steer"), capacity=STEERS),
                followup=Depth(depth=head.depth("followup"), capacity=FOLLOWUPS),
            )
        )

    async def withdraw(self, call: Call) -> Answer:
        """DELETE /api/sessions/:id/queue/:seq."""
        given = call.path["seq"]
        if not (given.isascii() and given.isdecimal() and len(given) < 19):
            raise Refused(400, f'failed to withdraw message: "{given}" is no number of a message that waits')
        return Reply(queued(await self._queues.withdraw(call.principal, call.path["id"], int(given))))

    async def models(self, call: Call) -> Answer:
        """GET /api/sessions/:id/models."""
        choice = await self._turns.models(call.principal, call.path["id"])
        return Reply(Models(agent=choice.agent, current_model_ref=choice.override, models=_models(choice)))


def _run(raw: bytes) -> tuple[bodies.Run, bool]:
    """The body of a run, and whether it is of the old form."""
    try:
        value = wire.parse(raw)
        if isinstance(value, list) and not isinstance(value, wire.Pairs):
            return bodies.Run(messages=wire.shape(value, list[bodies.PostedMessage])), True
        return wire.shape({} if value is None else value, bodies.Run), False
    except wire.BadBody as error:
        raise Refused(400, f"invalid request body: {error}") from None


def _cursor(call: Call) -> int:
    """The number of the last event that the client has seen; 0 for none, and for what is no number."""
    given = call.query.get("since") or call.headers.get("last-event-id", "")
    if not (given.isascii() and given.isdecimal() and len(given) <= 20):
        return 0
    return int(given) if int(given) <= _LARGEST else 0


# -- models -------------------------------------------------------------------------------------


def _models(choice: Choice) -> list[ModelShape]:
    """The list, then what the session has used or uses and the list does not have."""
    current = choice.override or choice.default
    shown = [_known(info, choice.default, current) for info in choice.models]
    names = {name for shape in shown for name in (shape.name, shape.ref)}
    extra = [(choice.default, False), *((ref, True) for ref in choice.custom), (choice.override, True)]
    for ref, custom in extra:
        if ref and ref not in names:
            names.add(ref)
            shown.append(_synthetic(ref, choice.default, current, custom=custom))
    return shown


def _known(info: ModelInfo, default: str, current: str) -> ModelShape:
    return ModelShape(
        name=info.name,
        ref=info.ref,
        provider=info.provider,
        model=info.model,
        is_default=default in (info.name, info.ref),
        is_current=current in (info.name, info.ref),
        is_catalog=info.catalog,
        family=info.family,
        input_cost=_price(info.input_cost),
        output_cost=_price(info.output_cost),
        cache_read_cost=_price(info.cache_read_cost),
        cache_write_cost=_price(info.cache_write_cost),
        context_limit=info.context_limit,
        output_limit=info.output_limit,
        input_modalities=info.input_modalities,
        output_modalities=info.output_modalities,
    )


def _synthetic(ref: str, default: str, current: str, *, custom: bool) -> ModelShape:
    provider, slash, model = ref.partition("/")
    return ModelShape(
        name=ref,
        ref=ref,
        provider=provider if slash else "",
        model=model,
        is_default=ref == default,
        is_current=ref == current,
        is_custom=custom,
    )


def _price(cost: float | None) -> Number | None:
    return number(cost) if cost else None
