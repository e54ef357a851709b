"""How much a model is to think: one setting, put as each provider wants it."""

import re
from typing import Any

from roost.core.agents import ModelSpec

BUDGET = 8192  # what Anthropic's models get when nothing is said
LEAST = 1024  # the smallest budget they take

_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 32768}
_CLAUDE = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?")
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


def claude(spec: ModelSpec, *, thinking: bool, max_tokens: int) -> tuple[dict[str, Any] | None, str]:
    """Anthropic's `thinking` (None says nothing, which is off) and the effort beside it ("": none)."""
    budget = spec.thinking_budget
    if not thinking or off(budget) or (budget is None and not _thinks(spec.model)):
        return None, ""
    version = _version(spec.model)
    wants_effort = isinstance(budget, str) and not budget.isdigit()
    if (version >= (4, 6) and (wants_effort or budget is None)) or version >= (4, 7):
        level = "" if budget in (None, "adaptive", -1) else _effort(budget)
        return ({"type": "adaptive"}, level) if max_tokens > LEAST else (None, "")
    tokens = min(_tokens(budget), max_tokens - 1)
    if tokens < LEAST:
        return None, ""
    return {"type": "enabled", "budget_tokens": tokens}, ""


def _effort(budget: str | int | None) -> str:
    if isinstance(budget, str) and not budget.lstrip("-").isdigit():
        level = budget.removeprefix("adaptive").removeprefix("/")
        return {"": "medium", "max": "xhigh"}.get(level, level)
    tokens = int(budget or 0)
    if tokens < 0:
        return "medium"
    return "low" if tokens <= 2048 else "medium" if tokens <= BUDGET else "high"


def _least(model: str) -> str:
    """What comes nearest to no thinking."""
    if re.match(r"gpt-5\.[1-9]|gpt-[6-9]", model):
        return "none"
    return "minimal" if model.startswith("gpt-5") and "codex" not in model and "pro" not in model else "low"


def _tokens(budget: str | int | None) -> int:
    if budget is None or budget == -1:
        return BUDGET
    if isinstance(budget, str) and not budget.lstrip("-").isdigit():
        return _BUDGETS.get(budget.removeprefix("adaptive").removeprefix("/"), BUDGET)
    return max(int(budget), LEAST)


def _thinks(model: str) -> bool:
    version = _version(model)
    return version >= (3, 7) or version == (0, 0)


def _version(model: str) -> tuple[int, int]:
    match = _CLAUDE.search(model)
    return (int(match[1]), int(match[2] or 0)) if match else (0, 0)
