"""Values that facts carry."""

from typing import Any, Literal

from msgspec import Struct

Outcome = Literal["normal", "error", "canceled"]
TURN_ENDED = "the turn ended"  # why a wait is void or an answer dropped when nothing went wrong
Kind = Literal["approval", "question", "limit", "budget"]
Queue = Literal["steer", "followup"]


class Permissions(Struct, frozen=True, omit_defaults=True):
    """Patterns of tools that run unasked, that ask, and that are refused."""

    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class Budget(Struct, frozen=True, omit_defaults=True):
    """What may be spent; 0 is no limit."""

    name: str = ""
    max_cost: float = 0.0  # US dollars
    max_tokens: int = 0
    max_time: float = 0.0  # seconds, summed over turns


class Template(Struct, frozen=True, omit_defaults=True):
    """What a session is born with."""

    title: str = ""
    working_dir: str = ""  # absolute
    safety: str = ""  # "", strict, balanced, restricted, autonomous
    prior_safety: str = ""
    permissions: Permissions | None = None
    hide_tool_results: bool = False
    starred: bool = False
    thinking: bool = False
    send_user_message: bool = True
    max_iterations: int = 0
    max_consecutive_tool_calls: int = 0
    max_old_tool_call_tokens: int = 0
    max_tool_result_tokens: int = 0
    attributes: dict[str, str] = {}
    model_overrides: dict[str, str] = {}  # agent name -> model reference
    custom_models: tuple[str, ...] = ()
    attached_files: tuple[str, ...] = ()
    owner: str = ""  # the account that made it
    budget: Budget | None = None  # of this session alone
    tree_budget: Budget | None = None  # of this session and all below it


class Answer(Struct, frozen=True, omit_defaults=True):
    """What a person answered.

    Approvals and limits: `action` is `approve` or `reject`, and `word` the exact confirmation that
    was sent (`approve-tool` …).  Questions: `accept`, `decline` or `cancel`, with `content`.
    """

    action: str
    word: str = ""
    reason: str = ""
    tool_name: str = ""
    content: dict[str, Any] | None = None


class Portion(Struct, frozen=True, omit_defaults=True):
    """What one agent has taken of a budget."""

    agent: str
    cost: float = 0.0
    tokens: int = 0
    seconds: float = 0.0


class Spent(Struct, frozen=True, omit_defaults=True):
    """A budget, and what has gone of it."""

    budget: Budget
    cost: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    unpriced: bool = False  # something was used whose price nobody knows
    portions: tuple[Portion, ...] = ()


class Command(Struct, frozen=True, omit_defaults=True):
    """A slash command of an agent."""

    name: str
    description: str = ""
    instruction: str = ""
    agent: str = ""  # switches to this agent instead
    url: str = ""  # opens this page instead


class Teammate(Struct, frozen=True, omit_defaults=True):
    """An agent of the team, as clients are shown it."""

    name: str
    description: str = ""
    provider: str = ""
    model: str = ""
    commands: tuple[Command, ...] = ()
