"""The course of a turn, and who plays it."""

from typing import Literal

from roost.core.events.base import Base
from roost.core.events.values import Outcome, Permissions, Spent, Teammate
from roost.core.ids import SessionId, TurnId
from roost.core.messages import Part
from roost.core.orders import Order


class TurnOpened(Base, frozen=True):
    """A turn's first fact: it takes the session, and pins what the turn runs with.

    The posted messages follow it in the same append, each as a MessageWritten.
    """

    turn: TurnId
    source: str  # the id of the agent file
    agent: str
    working_dir: str
    source_hash: str = ""
    model: str = ""  # the override in force, or ""
    principal: str = ""
    detached: bool = False
    max_iterations: int = 0
    driver: str = ""  # the agent CLI that plays it; "" is the agent loop
    command: str = ""  # what a client of /api/v1 is told: exec, interactive, input, review ...
    interactive: bool = False  # goes on at a natural stop, and waits for the next message
    confined: bool = False  # whatever it starts must run in a sandbox
    order: Order | None = None  # what an agent file asks of the CLI that plays its agent
    permissions: Permissions | None = None  # of that file
    safety: str = ""  # likewise
    unattended: bool = False  # nobody can be asked: what would need it is refused
    tools: tuple[str, ...] = ()  # of a task: only these, when not empty
    toolsets: tuple[str, ...] = ()  # of a task: groups of the file, besides the agent's own


class TurnDetached(Base, frozen=True):
    """From now on no client's leaving cancels this turn."""

    turn: TurnId


class TurnResumed(Base, frozen=True):
    """A turn that lost its server goes on, for the n-th time since it last made progress."""

    turn: TurnId
    n: int


class AgentShown(Base, frozen=True):
    """Which agent speaks, and on which model (`provider/model`)."""

    agent: str
    model: str
    description: str = ""
    welcome: str = ""
    context_limit: int = 0


class TeamShown(Base, frozen=True):
    """The agents of the team."""

    agents: tuple[Teammate, ...]
    current: str


class UserSaid(Base, frozen=True):
    """The newest posted message, shown; the history has it from its MessageWritten."""

    text: str
    position: int
    parts: tuple[Part, ...] = ()


class TurnStarted(Base, frozen=True):
    """The turn is under way."""

    agent: str


class Warned(Base, frozen=True):
    """Something that people should know of."""

    message: str
    agent: str = ""


class LimitRaised(Base, frozen=True):
    """The turn may take more iterations."""

    max_iterations: int


class AgentSwitched(Base, frozen=True):
    """A task goes to another agent (`switching`), or its result comes back."""

    agent: str
    switching: bool
    from_agent: str = ""
    to_agent: str = ""


class HandedOver(Base, frozen=True):
    """Another agent has the conversation from now on; calls that are open are played by the one who had it."""

    to_agent: str
    agent: str = ""  # who had it
    why: Literal["handoff", "force_handoff", "command"] = "handoff"


class SubSessionEnded(Base, frozen=True):
    """A task handed to a sub-agent is over; `session` is its id."""

    session: SessionId
    agent: str = ""


class ContextAdded(Base, frozen=True):
    """Text that hooks put before the model, from now on."""

    text: str
    event: str
    agent: str = ""


class PlanSet(Base, frozen=True):
    """The plan of the session, whole."""

    content: str
    path: str = ""
    agent: str = ""


class IndexingShown(Base, frozen=True):
    """How far the index of a knowledge base is."""

    stage: Literal["started", "progress", "completed"]
    source: str
    strategy: str
    current: int = 0
    total: int = 0
    agent: str = ""


class BudgetShown(Base, frozen=True):
    """What has been spent of the budgets that hold here."""

    budgets: tuple[Spent, ...]
    agent: str = ""


class CompactionAsked(Base, frozen=True):
    """Somebody wants the history to be summed up before the next request to a model."""

    instruction: str = ""  # what the summary is to heed
    by: str = ""


class CompactionStarted(Base, frozen=True):
    """The history is being summed up."""

    agent: str = ""
    reason: Literal["threshold", "overflow", "manual"] = "threshold"


class CompactionEnded(Base, frozen=True):
    """It has been, or not; `again` says that it was cut off, and that who asked for it still waits."""

    outcome: Literal["applied", "skipped", "failed"]
    agent: str = ""
    again: bool = False


class CancelAsked(Base, frozen=True):
    """Somebody wants the turn to end."""

    turn: TurnId
    why: str = ""
    by: str = ""


class ErrorMet(Base, frozen=True):
    """What ended the turn before its time.  It stands in the history as an item."""

    message: str
    code: str = ""
    agent: str = ""


class TurnEnded(Base, frozen=True):
    """The turn's last fact."""

    turn: TurnId
    outcome: Outcome
    agent: str = ""
    error: str = ""  # why it did not end well


Facts = (
    TurnOpened
    | TurnDetached
    | TurnResumed
    | AgentShown
    | TeamShown
    | UserSaid
    | TurnStarted
    | Warned
    | LimitRaised
    | AgentSwitched
    | HandedOver
    | SubSessionEnded
    | ContextAdded
    | PlanSet
    | IndexingShown
    | BudgetShown
    | CompactionAsked
    | CompactionStarted
    | CompactionEnded
    | CancelAsked
    | ErrorMet
    | TurnEnded
)
