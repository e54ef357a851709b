"""Where the session stands, as it comes: its agent, model, title and cost; and what there is to know besides."""

from typing import Any

from roost.client import happenings as h
from roost.client import shapes
from roost.tui.board import Board
from roost.tui.parts import Command, Teammate
from roost.tui.speech import Handler

# -- the session --------------------------------------------------------------------------------


def _root(board: Board, happening: Any) -> bool:
    """Whether it is about this session, and news."""
    return not board.old(happening) and board.level(happening) is board.stack.root


def opened(board: Board, happening: h.TurnOpened) -> None:
    """A turn has the session."""
    if not _root(board, happening):
        return
    board.base, board.turn, board.canceling = "running", happening.turn_id, False
    board.source = happening.source or board.source
    board.agent = happening.agent or happening.agent_name or board.agent
    board.provider = happening.provider or board.provider
    board.part("state", "agent")


def resumed(board: Board, happening: h.TurnResumed) -> None:
    """A turn that lost its server goes on: the one note of that, whatever was under way."""
    board.note(happening, "The turn was cut off here, and goes on", kind="warning", level="warn")


def canceling(board: Board, happening: h.CancelAsked) -> None:
    """Somebody wants the turn to end."""
    if _root(board, happening):
        board.canceling = True
        board.part("state")


def titled(board: Board, happening: h.SessionTitle) -> None:
    """The session's title."""
    level = board.level(happening)
    if level.head is not None:
        level.head.title = board.branches[level.id].title = happening.title
        board.stack.touch(level.head)
    elif not board.old(happening):
        board.title = happening.title
        board.part("title")


def introduced(board: Board, happening: h.AgentInfo) -> None:
    """Who answers."""
    level = board.level(happening)
    if level is not board.stack.root:
        board.named(level.id, happening.agent_name)
        return
    board.usage.limit = happening.context_limit or board.usage.limit
    board.welcome = happening.welcome_message or board.welcome
    board.part("usage")
    if not board.old(happening):
        board.agent, board.model = happening.agent_name or board.agent, happening.model or board.model
        choose_commands(board)
        board.part("agent", "model")


def teamed(board: Board, happening: h.TeamInfo) -> None:
    """The agents of the file."""
    if board.level(happening) is not board.stack.root:
        return
    board.team = tuple(mate(told) for told in happening.available_agents)
    if not board.old(happening) and happening.current_agent:
        board.agent = happening.current_agent
        board.part("agent")
    choose_commands(board)
    board.part("team")


def mate(told: shapes.Teammate) -> Teammate:
    """An agent of the team."""
    commands = [Command(name, c.description, c.instruction, c.agent, c.url) for name, c in told.commands.items()]
    return Teammate(told.name, told.description, told.provider, told.model, tuple(commands))


def choose_commands(board: Board) -> None:
    """The slash commands are those of the agent that has the conversation."""
    board.commands = next((mate.commands for mate in board.team if mate.name == board.agent), ())
    board.part("commands")


def tooled(board: Board, happening: h.ToolsetInfo) -> None:
    """How many tools the agent has."""
    if board.level(happening) is board.stack.root:
        board.tools = happening.available_tools
        board.part("tools")


def starting(board: Board, happening: h.McpInitStarted) -> None:
    """Tool servers are being started."""
    if _root(board, happening):
        board.starting = True
        board.part("tools")


def ready(board: Board, happening: h.McpInitFinished) -> None:
    """They are there, or have failed."""
    if _root(board, happening):
        board.starting = False
        board.part("tools")


def used(board: Board, happening: h.TokenUsage) -> None:
    """Tokens and cost."""
    usage, mine, level = happening.usage, board.usage, board.level(happening)
    last = usage.last_message
    if level is not board.stack.root:
        before = board.costs.get(level.id)
        board.costs[level.id] = usage.cost
        if not board.old(happening):
            single = (last.cost or 0.0) if last is not None else 0.0
            mine.tree_cost += usage.cost - before if before is not None else single or usage.cost
            board.part("usage")
        return
    mine.limit = usage.context_limit or mine.limit
    mine.threshold = usage.compaction_threshold
    board.part("usage")
    if not board.old(happening):
        mine.tree_cost += usage.cost - mine.cost
        mine.input, mine.output, mine.cost = usage.input_tokens, usage.output_tokens, usage.cost
        mine.context = usage.context_length
        mine.unpriced = mine.unpriced or (last is not None and last.cost is None)


def charged(board: Board, happening: h.CostAdded) -> None:
    """What a request cost that said nothing."""
    level, mine = board.level(happening), board.usage
    if level is not board.stack.root:
        board.costs[level.id] = happening.total_cost
    if not board.old(happening):
        mine.tree_cost += happening.cost
        if level is board.stack.root:
            mine.cost = happening.total_cost
        board.part("usage")


def counted(board: Board, happening: h.TokensSet) -> None:
    """A client overwrote the counters."""
    if _root(board, happening):
        mine = board.usage
        mine.tree_cost += happening.cost - mine.cost
        mine.input, mine.output, mine.cost = happening.input_tokens, happening.output_tokens, happening.cost
        mine.context = mine.input + mine.output
        board.part("usage")


def budgeted(board: Board, happening: h.BudgetUsage) -> None:
    """What has been spent of the budgets."""
    board.budgets = happening.budgets
    board.part("budgets")


def remodeled(board: Board, happening: h.ModelChosen) -> None:
    """Another model for an agent."""
    if board.old(happening):
        return
    agent = happening.agent or happening.agent_name
    board.models = {**board.models, agent: happening.model}
    if happening.model and agent in ("", board.agent):
        board.model = happening.model
    who = f" of {agent}" if agent and len(board.team) > 1 else ""
    board.note(happening, f"Model{who}: {happening.model or 'as the agent has it'}", kind="model")
    board.part("model", "models")


def secured(board: Board, happening: h.SafetySet) -> None:
    """Another safety policy."""
    if _root(board, happening):
        board.safety = happening.safety_policy
        if board.safety and not happening.proposed:
            board.note(happening, f"Safety: {board.safety}", kind="safety")
        board.part("safety")


def handed(board: Board, happening: h.HandedOver) -> None:
    """Another agent has the conversation."""
    before = happening.from_agent or happening.agent_name
    board.note(happening, f"{before} → {happening.to_agent}" if before else happening.to_agent, kind="agent")
    if _root(board, happening):
        board.agent = happening.to_agent
        choose_commands(board)
        board.part("agent")


def planned(board: Board, happening: h.PlanUpdated) -> None:
    """The session's plan, whole."""
    board.plan = happening.content
    board.note(happening, happening.content, kind="plan")
    board.part("plan")


def exited(board: Board, happening: h.SessionExited) -> None:
    """The session is no more."""
    board.exited = True
    board.note(happening, "The session was deleted", kind="turn", level="warn")
    board.part("exited", "state")


TABLE: dict[str, Handler] = {
    "turn_opened": opened,
    "turn_resumed": resumed,
    "cancel_asked": canceling,
    "session_title": titled,
    "agent_info": introduced,
    "team_info": teamed,
    "toolset_info": tooled,
    "mcp_init_started": starting,
    "mcp_init_finished": ready,
    "token_usage": used,
    "cost_added": charged,
    "tokens_set": counted,
    "budget_usage": budgeted,
    "model_chosen": remodeled,
    "safety_set": secured,
    "handed_over": handed,
    "plan_updated": planned,
    "session_exited": exited,
}
