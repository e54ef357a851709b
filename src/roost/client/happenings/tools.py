"""What happens with tools: calls, what they return, hooks, budgets, sub-sessions."""

from roost.client.happenings.base import Base
from roost.client.shapes import Call, Definition, Result, Table


class ToolCall(Base, frozen=True, tag="tool_call"):
    """A tool runs now; `leave` says by whose leave."""

    tool_call: Call = Call()
    tool_definition: Definition = Definition()
    attempt: int = 1
    leave: str = ""


class ToolCallOutput(Base, frozen=True, tag="tool_call_output"):
    """What it has printed since."""

    tool_call_id: str = ""
    tool_definition: Definition = Definition()
    output: str = ""


class ToolCallResponse(Base, frozen=True, tag="tool_call_response"):
    """What it returned."""

    tool_call_id: str = ""
    tool_call: Call = Call()
    tool_definition: Definition = Definition()
    response: str = ""
    result: Result | None = None

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return self.result is not None and self.result.is_error


class CallLost(Base, frozen=True, tag="call_lost"):
    """A tool had started, and nobody knows how it ended."""

    tool_call_id: str = ""
    attempt: int = 0


class CallChanged(Base, frozen=True, tag="call_changed"):
    """A hook gave a call other arguments than the model's."""

    tool_call_id: str = ""
    arguments: str = ""


class HookStarted(Base, frozen=True, tag="hook_started"):
    """The hooks of an event run."""

    hook_event: str = ""


class HookFinished(Base, frozen=True, tag="hook_finished"):
    """They have run."""

    hook_event: str = ""
    duration_ms: int = 0
    allowed: bool = True
    error: str = ""
    message: str = ""


class HookBlocked(Base, frozen=True, tag="hook_blocked"):
    """A hook refuses a call."""

    tool_call: Call = Call()
    tool_definition: Definition = Definition()
    message: str = ""


class PlanUpdated(Base, frozen=True, tag="plan_updated"):
    """The session's plan, whole."""

    content: str = ""
    path: str = ""


class RagIndexingStarted(Base, frozen=True, tag="rag_indexing_started"):
    """Documents are being indexed."""

    rag_name: str = ""
    strategy_name: str = ""


class RagIndexingProgress(Base, frozen=True, tag="rag_indexing_progress"):
    """So many of them are."""

    rag_name: str = ""
    strategy_name: str = ""
    current: int = 0
    total: int = 0


class RagIndexingCompleted(Base, frozen=True, tag="rag_indexing_completed"):
    """All are."""

    rag_name: str = ""
    strategy_name: str = ""


class BudgetUsage(Base, frozen=True, tag="budget_usage"):
    """What has been spent of the budgets that hold here."""

    budgets: tuple[Table, ...] = ()


class SessionCreated(Base, frozen=True, tag="session_created"):
    """The session is there; with a `parent_session_id`, a sub-session for a task of another agent."""

    tool_call_id: str = ""
    title: str = ""
    agent: str = ""
    provider: str = ""
    model: str = ""
    name: str = ""
    started_by: str = ""
    forked_from: str = ""
    working_dir: str = ""
    safety_policy: str = ""


class SubSessionCompleted(Base, frozen=True, tag="sub_session_completed"):
    """A task that another agent had is done; `parent_session_id` is whose task it was."""

    sub_session: Table | None = None


Tools = (
    ToolCall
    | ToolCallOutput
    | ToolCallResponse
    | CallLost
    | CallChanged
    | HookStarted
    | HookFinished
    | HookBlocked
    | PlanUpdated
    | RagIndexingStarted
    | RagIndexingProgress
    | RagIndexingCompleted
    | BudgetUsage
    | SessionCreated
    | SubSessionCompleted
)
