"""What the engine asks of the world: the contracts, and only those, a file for each kind."""

from roost.ports.accounts import Accounts, Login
from roost.ports.agents import Agents, Surroundings
from roost.ports.browsers import Browsers, Visit
from roost.ports.clock import Clock
from roost.ports.couriers import Couriers, Delivery
from roost.ports.drivers import Dialog, Driver, Errand, Step
from roost.ports.hatch import Hatch, Outfit
from roost.ports.hooks import HookRunner, Ran
from roost.ports.office import Errant, Office, Task
from roost.ports.progress import Effort, Progress, Untold
from roost.ports.providers import (
    CallPiece,
    Embedder,
    Finished,
    ModelInfo,
    ModelRequest,
    Models,
    Piece,
    Provider,
    ReasoningPiece,
    TextPiece,
)
from roost.ports.runs import Exit, Input, Launch, Output, Process, Runs
from roost.ports.sandbox import Confinement, Sandbox
from roost.ports.stores import Committed, Condition, EventStore, Grown, Listing, Owned, RunRecord, WaitRecord
from roost.ports.tellings import Telling, Tellings
from roost.ports.tools import Ask, Logins, Place, Scripts, Speaker, Tool, Toolset, Toolsets, Use, Wrapped
from roost.ports.worktrees import Worktree, Worktrees

__all__ = [
    "Accounts",
    "Agents",
    "Ask",
    "Browsers",
    "CallPiece",
    "Clock",
    "Committed",
    "Condition",
    "Confinement",
    "Couriers",
    "Delivery",
    "Dialog",
    "Driver",
    "Effort",
    "Embedder",
    "Errand",
    "Errant",
    "EventStore",
    "Exit",
    "Finished",
    "Grown",
    "Hatch",
    "HookRunner",
    "Input",
    "Launch",
    "Listing",
    "Login",
    "Logins",
    "ModelInfo",
    "ModelRequest",
    "Models",
    "Office",
    "Outfit",
    "Output",
    "Owned",
    "Piece",
    "Place",
    "Process",
    "Progress",
    "Provider",
    "Ran",
    "ReasoningPiece",
    "RunRecord",
    "Runs",
    "Sandbox",
    "Scripts",
    "Speaker",
    "Step",
    "Surroundings",
    "Task",
    "Telling",
    "Tellings",
    "TextPiece",
    "Tool",
    "Toolset",
    "Toolsets",
    "Untold",
    "Use",
    "Visit",
    "WaitRecord",
    "Worktree",
    "Worktrees",
    "Wrapped",
]
