"""A session as a line of a list: what everybody is shown, and what a screen wants to know of it besides."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from roost.core.ids import SessionId
from roost.core.session import Head
from roost.core.status import State, state
from roost.doors.docker_agent import shapes
from roost.doors.docker_agent.shapes import Wire
from roost.wire.json import Number, encode, moment, rfc3339


class ListedShape(Wire, frozen=True, kw_only=True):
    """A session in the list."""

    id: str
    title: str
    created_at: str
    num_messages: int
    input_tokens: int
    output_tokens: int
    working_dir: str = ""
    starred: bool = False
    cost: Number | None = None
    attributes: dict[str, str] = {}


class RowShape(ListedShape, frozen=True, kw_only=True):
    """The same, and how the session is doing.  `total_cost` has its sub-sessions in it; `error` is the last turn's."""

    state: State
    agent: str
    provider: str
    model: str
    waits: int
    turns: int
    host: str
    root_id: str
    updated_at: str
    parent_id: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()
    error: str = ""
    interactive: bool = False
    worktree: str = ""
    source: str = ""  # the id of the agent file
    total_cost: Number | None = None


def row_shape(head: Head, host: str) -> RowShape:
    """A session in the list of the server on `host`."""
    return RowShape(
        id=head.id,
        title=head.title,
        created_at=rfc3339(head.created_at),
        num_messages=head.messages,
        input_tokens=head.input_tokens,
        output_tokens=head.output_tokens,
        working_dir=head.working_dir,
        starred=head.starred,
        cost=shapes.cost_shape(head.cost),
        attributes=head.attributes,
        state=state(head),
        agent=speaker(head),
        provider=provider(head),
        model=model(head),
        waits=len(head.waits),
        turns=head.turns,
        host=host,
        root_id=head.root or head.id,
        updated_at=moment(head.active_at),
        parent_id=head.parent,
        name=head.name,
        tags=head.tags,
        error=head.error if head.outcome == "error" and head.turn is None else "",
        interactive=head.interactive or bool(head.turn and head.turn.interactive),
        worktree=head.worktree,
        source=head.turn.source if head.turn else head.source,
        total_cost=shapes.cost_shape(head.cost + head.below),
    )


def speaker(head: Head) -> str:
    """The agent that a session is with now."""
    return head.turn.agent if head.turn else head.agent


def model(head: Head) -> str:
    """The model that a session's agent has: the one chosen for it, or the one that it was shown with."""
    return head.model_overrides.get(speaker(head), "") or head.shown or head.model


def provider(head: Head) -> str:
    """Who plays it: an agent CLI or the file that was asked for, else where its model comes from."""
    driver = head.turn.driver if head.turn else head.played_by
    return head.provider or driver or model(head).partition("/")[0]


class Listed(Protocol):
    """What has a line."""

    @property
    def id(self) -> SessionId:
        """Whose line it is."""
        ...


L = TypeVar("L", bound=Listed)


class Rows(Generic[L]):
    """The list as bytes: a row that has not changed since the last list is not rendered again."""

    def __init__(self, shape: Callable[[L], Any]) -> None:
        self._shape = shape
        self._known: dict[str, tuple[L, bytes]] = {}

    def body(self, listed: Iterable[L]) -> bytes:
        """All rows.  What is the same object as last time is the same row."""
        before, self._known = self._known, {}
        for one in listed:
            known = before.get(one.id)
            if known is None or known[0] is not one:
                known = one, encode(self._shape(one))
            self._known[one.id] = known
        return b"[%b]\n" % b",".join([row for _, row in self._known.values()])
