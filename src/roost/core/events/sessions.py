"""What happens to a session: its settings, its history, its name and its place."""

from typing import Any, Literal

from roost.core.events.base import Base
from roost.core.events.values import Budget, Permissions, Template
from roost.core.ids import CallId, SessionId, WaitId
from roost.core.messages import Definition, Message
from roost.core.orders import Order
from roost.core.usage import Usage


class SessionCreated(Base, frozen=True):
    """The first fact of a session, or of a sub-session (then `sub` is its id and `parent` is set).

    `definitions` are those that the messages of a fork name.
    """

    template: Template
    parent: SessionId = SessionId("")
    forked_from: SessionId = SessionId("")
    definitions: dict[str, Definition] = {}  # by digest
    order: Order | None = None  # what a spawn asked for
    root: SessionId = SessionId("")  # of the tree of spawned sessions, where it is another one
    call: CallId = CallId("")  # of a sub-session: the call that it is for
    started_by: SessionId = SessionId("")  # of a background agent: the session, or sub-session, whose call it was


class TitleSet(Base, frozen=True):
    """The session has another title; `by` is `user` or `model`."""

    title: str
    by: Literal["user", "model"] = "user"


class TitleShown(Base, frozen=True):
    """The title, said again at the start of a run."""

    title: str


class PolicySet(Base, frozen=True):
    """The safety mode changed; `prior` is what to go back to when it is switched off.

    One that is `proposed` is the agent file's, which nobody has chosen.
    """

    safety: str
    prior: str = ""
    proposed: bool = False


class PermissionsSet(Base, frozen=True):
    """The session's own patterns, whole."""

    permissions: Permissions | None


class ThinkingSet(Base, frozen=True):
    """The old thinking switch."""

    thinking: bool


class StarredSet(Base, frozen=True):
    """A person marked the session, or took the mark away."""

    starred: bool


class BudgetSet(Base, frozen=True):
    """What the session, and its whole tree, may spend from now on."""

    budget: Budget | None = None
    tree_budget: Budget | None = None


class BudgetRaised(Base, frozen=True):
    """A person let a budget that was used up go on, to these limits; its name is the one of `core.budgets.Held.key`."""

    budget: Budget
    wait: WaitId = WaitId("")  # whose answer this is


class TokensSet(Base, frozen=True):
    """A client overwrote the counters."""

    input: int
    output: int
    cost: float = 0.0


class ModelChosen(Base, frozen=True):
    """A model for one agent of this session, from now on; "" goes back to the file's."""

    agent: str
    ref: str


class MessageWritten(Base, frozen=True):
    """A message put into the history as it is: posted for a turn, added by a client, or copied by a fork."""

    message: Message


class MessageEdited(Base, frozen=True):
    """A message replaced; `message_id` is the seq of the fact that brought it."""

    message_id: int
    message: Message


class SummaryAdded(Base, frozen=True):
    """A summary that stands for what went before it; `first_kept` is an index into the items, or 0."""

    summary: str
    first_kept: int = 0
    cost: float = 0.0
    model: str = ""
    usage: Usage | None = None


class LabelSet(Base, frozen=True):
    """The session's name, description and tags, whole."""

    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()


class ResultSet(Base, frozen=True):
    """What the session has come to, said outright; it outweighs the newest answer."""

    result: str


class UserNoted(Base, frozen=True):
    """A client, or the agent itself, has put a note into the log."""

    level: Literal["debug", "info", "warn", "error"]
    message: str
    data: Any = None


class WorktreeMade(Base, frozen=True):
    """The session works in a git worktree of its own."""

    name: str
    path: str
    repository: str


class WorktreeLeft(Base, frozen=True):
    """The worktree was removed, or kept because there is work in it."""

    path: str
    removed: bool


class DeleteAsked(Base, frozen=True):
    """Somebody wants the session gone."""

    by: str = ""


class SessionExited(Base, frozen=True):
    """The last fact of a log."""

    reason: str = "session ended"


Facts = (
    SessionCreated
    | TitleSet
    | TitleShown
    | PolicySet
    | PermissionsSet
    | ThinkingSet
    | StarredSet
    | BudgetSet
    | BudgetRaised
    | TokensSet
    | ModelChosen
    | MessageWritten
    | MessageEdited
    | SummaryAdded
    | LabelSet
    | ResultSet
    | UserNoted
    | WorktreeMade
    | WorktreeLeft
    | DeleteAsked
    | SessionExited
)
