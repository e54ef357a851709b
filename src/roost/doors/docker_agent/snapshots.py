"""A session as it stands, and the place in its log that this is: whole, or as much as a screen shows."""

from collections.abc import Sequence
from typing import Any

import msgspec

from roost.core import events as e
from roost.core.ids import LogId
from roost.core.session import Head
from roost.core.status import State, state
from roost.doors.docker_agent import shapes
from roost.doors.docker_agent.details import queued_shape
from roost.doors.docker_agent.events import team_shape
from roost.doors.docker_agent.payloads import Teammate
from roost.doors.docker_agent.renderer import Detailed
from roost.doors.docker_agent.rows import model, provider, speaker
from roost.doors.docker_agent.shapes import BudgetShape, MessageShape, PermissionsShape, Wire
from roost.doors.docker_agent.waits import OpenWaitShape, open_wait_shape
from roost.doors.errors import Refused
from roost.doors.routes import Call
from roost.service.service import Service
from roost.service.sessions import Snapshot
from roost.service.windows import Mark, Said, Waiting, Window
from roost.wire.json import Number, moment, number

LAST = 200  # messages, where nobody says how many
MOST = 1000
NOTED = 512 * 1024  # bytes of what happened between messages; the newest of it counts


class SnapshotShape(Wire, frozen=True, kw_only=True):
    """A session whole, and the place in its log that this is."""

    id: str
    title: str
    created_at: str
    working_dir: str = ""
    messages: list[MessageShape] | None
    tools_approved: bool
    safety_policy: str = ""
    permissions: PermissionsShape | None = None
    input_tokens: int
    output_tokens: int
    streaming: bool
    agent: str = ""
    last_event_seq: int
    cost: Number
    budget: BudgetShape | None = None
    tree_budget: BudgetShape | None = None
    tree_cost: Number | None = None


class ScreenMessageShape(MessageShape, frozen=True, kw_only=True):
    """A message on a screen.  `ordinal` is what a fork knows a user's by; `session_id` is that of a sub-session."""

    session_id: str = ""
    ordinal: int | None = None


class QueuedShape(Wire, frozen=True, kw_only=True):
    """Messages that wait; `indexes` are their places among those that were queued together."""

    id: int
    queue: e.Queue
    messages: list[dict[str, Any]]
    indexes: list[int]


class SubSessionShape(Wire, frozen=True, kw_only=True):
    """A sub-session that is under way."""

    id: str
    parent_session_id: str
    tool_call_id: str
    agent: str
    title: str
    state: State


class NestedShape(Wire, frozen=True, kw_only=True):
    """A sub-session that messages belong to, whether it is over or not: where it hangs."""

    id: str
    parent_session_id: str
    tool_call_id: str = ""
    title: str = ""


class MarkShape(Wire, frozen=True, kw_only=True):
    """A summary, or the error that ended a turn; `id` says between which messages it stands."""

    id: int
    type: str
    created_at: str
    session_id: str = ""
    summary: str = ""
    message: str = ""
    code: str = ""
    agent_name: str = ""


class RemarkShape(Wire, frozen=True, kw_only=True):
    """What happened between messages: the event of that number, as the stream of events has it."""

    id: int
    event: dict[str, Any]


class ScreenShape(SnapshotShape, frozen=True, kw_only=True):
    """As much of a session as a screen shows.  Events are read from `tail_from` on: what an event whose number is not
    past `last_event_seq` brings, and is here already, is to be left out.
    """

    state: State
    source: str
    provider: str
    model: str
    context_limit: int
    starred: bool = False
    parent_id: str = ""
    root_id: str
    turns: int
    messages: list[ScreenMessageShape]  # type: ignore[assignment]
    marks: list[MarkShape]
    notes: list[RemarkShape]
    more: bool
    tail_from: int
    waits: list[OpenWaitShape]
    queue: list[QueuedShape]
    sub_sessions: list[SubSessionShape]
    nested: list[NestedShape]
    team: list[Teammate]
    model_overrides: dict[str, str] = {}
    total_cost: Number
    unpriced: bool = False
    error: str = ""


def _either(head: Head, tree_cost: float) -> dict[str, Any]:
    """What both kinds of snapshot say of a session alike: all but its messages."""
    budget, tree_budget = shapes.budget_shapes(head)
    return {
        "id": head.id,
        "title": head.title,
        "created_at": moment(head.created_at),
        "working_dir": head.working_dir,
        "tools_approved": head.tools_approved,
        "safety_policy": head.safety,
        "permissions": shapes.permissions_shape(head.permissions),
        "input_tokens": head.input_tokens,
        "output_tokens": head.output_tokens,
        "streaming": head.turn is not None,
        "agent": speaker(head),
        "last_event_seq": head.last_seq,
        "cost": number(head.cost),
        "budget": budget,
        "tree_budget": tree_budget,
        "tree_cost": shapes.cost_shape(tree_cost),
    }


def whole(snapshot: Snapshot) -> SnapshotShape:
    """A session whole."""
    return SnapshotShape(
        **_either(snapshot.head, snapshot.tree_cost),
        messages=shapes.message_shapes(snapshot.history, snapshot.definitions) or None,
    )


class Screens:
    """Opens sessions on screens."""

    def __init__(self, service: Service) -> None:
        self._windows = service.windows
        self._archive = service.archive

    async def open(self, call: Call) -> ScreenShape:
        """The newest messages of a session, or those before one of them.

        Raises:
            SessionNotFound: there is none that the caller may see.
            Refused: 400.
        """
        last, before = call.count("last"), call.natural("before")
        if last is not None and last > MOST:
            raise Refused(400, f"invalid last: at most {MOST} messages can be had at once")
        session = call.path["id"]
        window = await self._windows.open(
            call.principal, session, last=LAST if last is None else last, before=before or None
        )
        notes = await self._notes(LogId(window.head.id), window.remarks)
        return _screen(
            window, notes, [await open_wait_shape(self._archive, record, window.head) for record in window.waits]
        )

    async def _notes(self, log: LogId, remarks: Sequence[e.Event]) -> list[RemarkShape]:
        """The newest of what happened, as events."""
        renderer, notes, room = Detailed(self._archive, log), list[tuple[int, bytes]](), NOTED
        for event in remarks:
            if (data := await renderer.render(event)) is not None:
                notes.append((event.seq, data))
        kept: list[RemarkShape] = []
        for seq, data in reversed(notes):
            room -= len(data)
            if room < 0:
                break
            kept.append(RemarkShape(id=seq, event=msgspec.json.decode(data)))
        return kept[::-1]


def _screen(window: Window, notes: list[RemarkShape], waits: list[OpenWaitShape]) -> ScreenShape:
    head = window.head
    known = {digest: shapes.slim(shape) for digest, shape in shapes.known_shapes(window.definitions).items()}
    return ScreenShape(
        **_either(head, window.tree_cost),
        messages=[_message(said, known) for said in window.messages],
        state=state(head),
        source=head.turn.source if head.turn else head.source,
        provider=provider(head),
        model=model(head),
        context_limit=head.context_limit,
        starred=head.starred,
        parent_id=head.parent,
        root_id=head.root or head.id,
        turns=head.turns,
        marks=[_mark(mark) for mark in window.marks],
        notes=notes,
        more=window.more,
        tail_from=window.tail_from,
        waits=waits,
        queue=[queued(waiting) for waiting in window.queue],
        sub_sessions=[_sub(sub, head) for sub in head.below_all() if sub.turn is not None],
        nested=[_nested(born) for born in window.born],
        team=[] if window.team is None else [team_shape(mate) for mate in window.team.agents],
        model_overrides=head.model_overrides,
        total_cost=number(head.cost + head.below),
        unpriced=any(share.unpriced for share in head.shares),
        error=head.error if head.outcome == "error" and head.turn is None else "",
    )


def _message(said: Said, known: shapes.Known) -> ScreenMessageShape:
    message = said.message
    return ScreenMessageShape(
        agent_name=message.agent,
        message=shapes.chat_shape(message, known),
        implicit=message.implicit,
        id=said.seq,
        agentName=message.agent,
        session_id=said.sub,
        ordinal=said.ordinal,
    )


def _mark(mark: Mark) -> MarkShape:
    fact, at = mark.fact, moment(mark.at)
    if isinstance(fact, e.SummaryAdded):
        return MarkShape(id=mark.seq, type="summary", created_at=at, session_id=fact.sub, summary=fact.summary)
    return MarkShape(
        id=mark.seq,
        type="error",
        created_at=at,
        session_id=fact.sub,
        message=fact.message,
        code=fact.code,
        agent_name=fact.agent,
    )


def queued(waiting: Waiting) -> QueuedShape:
    """Messages that wait, or have waited until now."""
    return QueuedShape(
        id=waiting.seq,
        queue=waiting.queue,
        messages=[queued_shape(message) for _, message in waiting.messages],
        indexes=[index for index, _ in waiting.messages],
    )


def _nested(born: e.SessionCreated) -> NestedShape:
    return NestedShape(id=born.sub, parent_session_id=born.parent, tool_call_id=born.call, title=born.template.title)


def _sub(sub: Head, root: Head) -> SubSessionShape:
    return SubSessionShape(
        id=sub.id,
        parent_session_id=sub.parent,
        tool_call_id=sub.call,
        agent=speaker(sub),
        title=sub.title,
        state="waiting" if any(wait.sub == sub.id for wait in root.waits) else state(sub),
    )
