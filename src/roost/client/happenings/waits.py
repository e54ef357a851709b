"""What waits for a person, and what becomes of it."""

from msgspec import field

from roost.client.happenings.base import Base
from roost.client.shapes import Call, Definition, Table


class ToolCallConfirmation(Base, frozen=True, tag="tool_call_confirmation"):
    """May this run?"""

    tool_call: Call = Call()
    tool_definition: Definition = Definition()
    metadata: dict[str, str] = {}
    request_id: str = ""


class ElicitationRequest(Base, frozen=True, tag="elicitation_request"):
    """A form to fill, or an address to open."""

    message: str = ""
    mode: str = ""
    schema: Table | None = None
    url: str = ""
    elicitation_id: str = ""
    server_elicitation_id: str = ""
    meta: Table | None = None
    asked: str = field(default="", name="request_id")

    @property
    def request_id(self) -> str:
        """What an answer names."""
        return self.asked or self.elicitation_id


class MaxIterationsReached(Base, frozen=True, tag="max_iterations_reached"):
    """So many rounds are done; go on?"""

    max_iterations: int = 0
    request_id: str = ""


class BudgetExceeded(Base, frozen=True, tag="budget_exceeded"):
    """A budget is used up; go on?"""

    budget: str = ""
    limit: str = ""
    used: float = 0.0
    max: float = 0.0
    config_path: str = ""
    message: str = ""
    request_id: str = ""


class WaitAnswered(Base, frozen=True, tag="wait_answered"):
    """Somebody answered."""

    request_id: str = ""
    action: str = ""
    confirmation: str = ""
    reason: str = ""
    tool_name: str = ""
    content: Table | None = None
    by: str = ""


class WaitVoided(Base, frozen=True, tag="wait_voided"):
    """Nobody needs an answer any more."""

    request_id: str = ""
    why: str = ""


class AuthorizationEvent(Base, frozen=True, tag="authorization_event"):
    """A tool server's login went through, or not."""

    confirmation: str = ""


Waits = (
    ToolCallConfirmation
    | ElicitationRequest
    | MaxIterationsReached
    | BudgetExceeded
    | WaitAnswered
    | WaitVoided
    | AuthorizationEvent
)

WAITS = (ToolCallConfirmation, ElicitationRequest, MaxIterationsReached, BudgetExceeded)
"""What waits for a person; each has a `request_id`, which `answer` takes."""
