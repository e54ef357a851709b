"""How much a model is to think: one setting, put as each provider and each generation of models wants it."""

import re
from typing import Any

from msgspec import Struct

from roost.core.agents import ModelSpec

BUDGET = 8192  # what Anthropic's models get when nothing is said
LEAST = 1024  # the smallest budget they take

_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32768}
_CLAUDE = re.compile(r"claude-(?:([a-z]+)-)?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?")
_GEMINI = re.compile(r"gemini-(\d{1,2})(?:\.(\d{1,2}))?(?!\d)")
_REASONING = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|\d{2,}))")


def off(budget: str | int | None) -> bool:
    """Whether the file switches thinking off."""
    return budget in ("none", 0, "0")


def reasons(model: str) -> bool:
    """Whether a model of OpenAI is one that reasons."""
    return bool(_REASONING.match(model)) and "chat" not in model


def effort(spec: ModelSpec, *, thinking: bool, genuine: bool) -> str:
    """The effort to ask an OpenAI-type provider for; "" says nothing.

    Without a setting only the reasoning models of OpenAI itself get one: others refuse the field.
    """
    known = genuine and reasons(spec.model)
    if not thinking or off(spec.thinking_budget):
        return _least(spec.model) if known else ""
    if spec.thinking_budget is None:
        return "medium" if known else ""
    return _effort(spec.thinking_budget)


def tokens(budget: str | int) -> int:
    """A budget as a number of tokens: 0 is none, -1 as many as it takes."""
    if off(budget):
        return 0
    if isinstance(budget, str) and budget.startswith("adaptive"):
        return -1
    return int(budget) if isinstance(budget, int) or budget.lstrip("-").isdigit() else _tokens(budget)


def level(spec: ModelSpec) -> str:
    """The effort in a word, where the file names one; "" where it says nothing, or no."""
    budget = spec.thinking_budget
    return "" if budget is None or off(budget) else _effort(budget)


class Thought(Struct, frozen=True):
    """What Anthropic is told: its `thinking` (None says nothing) and the effort; `on` where thoughts may come."""

    mode: dict[str, Any] | None = None
    effort: str = ""
    on: bool = False


def claude(spec: ModelSpec, *, thinking: bool, max_tokens: int) -> Thought:
    """How one of Anthropic's models is to think.

    Up to 4.5 it takes a budget, from 4.6 on it decides by itself (from 4.7 on always), and from 5 on it
    thinks unless it is told not to, where it can be told.
    """
    budget, version = spec.thinking_budget, claude_version(spec.model)
    wanted = thinking and not off(budget) and max_tokens > LEAST
    if not wanted or (budget is None and (0, 0) < version < (3, 7)):
        return _without(spec.model)
    worded = isinstance(budget, str) and not budget.isdigit()
    if version >= (4, 7) or (version >= (4, 6) and (worded or budget is None)):
        effort = "" if budget in (None, "adaptive", -1) else _effort(budget)
        return Thought({"type": "adaptive"}, {"minimal": "low"}.get(effort, effort), on=True)
    tokens = min(_tokens(budget), max_tokens - 1)
    return Thought({"type": "enabled", "budget_tokens": tokens}, on=True)


def gemini(spec: ModelSpec, *, thinking: bool) -> dict[str, Any]:
    """Gemini's `thinkingConfig`: 2.5 counts tokens, from 3 on there are levels; {} where the model has no thoughts."""
    version, wanted = gemini_version(spec.model), thinking and not off(spec.thinking_budget)
    if version < (2, 5):
        return {}
    if version < (3, 0):
        return {"includeThoughts": wanted, "thinkingBudget": _gemini_tokens(spec, wanted=wanted)}
    return {"includeThoughts": wanted, "thinkingLevel": _gemini_level(spec, wanted=wanted)}


def gemini_version(model: str) -> tuple[int, int]:
    """The generation in a name; (0, 0) for what is no Gemini, and the newest where none is named."""
    match = _GEMINI.search(model)
    if match is None:
        return (99, 0) if re.search(r"gemini-[a-z-]*latest", model) else (0, 0)
    return (int(match[1]), int(match[2] or 0))


def _gemini_tokens(spec: ModelSpec, *, wanted: bool) -> int:
    pro = "pro" in spec.model  # it can't be told not to think at all
    if not wanted:
        return 128 if pro else 0
    budget = spec.thinking_budget
    if budget in (None, -1, "-1") or (isinstance(budget, str) and budget.startswith("adaptive")):
        return -1
    return min(max(_tokens(budget, least=128 if pro else 1), 128 if pro else 0), 32768 if pro else 24576)


def _gemini_level(spec: ModelSpec, *, wanted: bool) -> str:
    pro, budget = "pro" in spec.model, spec.thinking_budget
    if not wanted:
        return "low" if pro else "minimal"
    if budget in (None, -1, "-1", "adaptive"):
        return "high" if pro else "medium"
    level = {"xhigh": "high", "max": "high"}.get(_effort(budget), _effort(budget))
    if pro and level in ("minimal", "medium"):
        return "low" if level == "minimal" else "high" if gemini_version(spec.model) == (3, 0) else level
    return level if level in ("minimal", "low", "medium", "high") else "high"


def always_thinks(model: str) -> bool:
    """Whether a model of Anthropic can't be told not to think."""
    version = claude_version(model)
    match = _CLAUDE.search(model)
    family = match[1] if match else ""
    return version >= (6, 0) or (version >= (5, 0) and family in ("fable", "mythos")) or _is(model, "opus", (5, 5))


def claude_version(model: str) -> tuple[int, int]:
    """The generation in a name, as in `claude-sonnet-4-5`; (0, 0) where there is none."""
    match = _CLAUDE.search(model)
    return (int(match[2]), int(match[3] or 0)) if match else (0, 0)


def _without(model: str) -> Thought:
    """No thinking, or as little as the model can."""
    if claude_version(model) < (5, 0):
        return Thought()
    if always_thinks(model):
        return Thought(None, "low", on=True)
    if _is(model, "sonnet", (5, 5)):
        return Thought({"type": "between_tools"}, on=True)
    return Thought({"type": "disabled"})


def _is(model: str, family: str, since: tuple[int, int]) -> bool:
    return f"claude-{family}-" in model and claude_version(model) >= since


def _effort(budget: str | int | None) -> str:
    if isinstance(budget, str) and not budget.lstrip("-").isdigit():
        level = budget.removeprefix("adaptive").removeprefix("/")
        return level or "medium"
    tokens = int(budget or 0)
    if tokens < 0:
        return "medium"
    return "low" if tokens <= 2048 else "medium" if tokens <= BUDGET else "high"


def _least(model: str) -> str:
    """What comes nearest to no thinking."""
    if re.match(r"gpt-5\.[1-9]|gpt-[6-9]", model):
        return "none"
    return "minimal" if model.startswith("gpt-5") and "codex" not in model and "pro" not in model else "low"


def _tokens(budget: str | int | None, *, least: int = LEAST) -> int:
    if budget is None or budget == -1:
        return BUDGET
    if isinstance(budget, str) and not budget.lstrip("-").isdigit():
        return _BUDGETS.get(budget.removeprefix("adaptive").removeprefix("/"), BUDGET)
    return max(int(budget), least)
