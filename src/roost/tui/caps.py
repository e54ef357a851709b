"""Budgets as people write them: $5, 200k tokens, 30m."""

import re
from typing import Any

from msgspec.structs import replace

from roost.client.shapes import Budget
from roost.core import durations
from roost.core.errors import BadValue
from roost.tui.widgets.status import amount, elapsed, money

_NUMBER = r"(\d+(?:\.\d+)?)"
_MONEY = re.compile(rf"(?:\$|usd)\s*{_NUMBER}|{_NUMBER}\s*(?:\$|usd)", re.IGNORECASE)
_TOKENS = re.compile(rf"{_NUMBER}\s*([kM])(?:\s*tokens?)?|{_NUMBER}\s*([kKmM]?)\s*tokens?")
_TIMES = {"": 1, "k": 1000, "m": 1_000_000}
_BARE = {"cost": "${}", "tokens": "{} tokens", "time": "{}s"}


def read(text: str, limit: str = "") -> Budget:
    """What is meant, one limit or several with commas between; a bare number is one of `limit`.

    Raises:
        BadValue: nothing is.
    """
    found = Budget()
    words = [word.strip() for word in re.split(r",|;|\band\b", text) if word.strip()]
    if not words:
        raise BadValue("write how much: $5, 200k tokens or 30m")
    for word in words:
        found = _with(found, _BARE[limit].format(word) if limit in _BARE and re.fullmatch(_NUMBER, word) else word)
    return found


def _with(budget: Budget, word: str) -> Budget:
    if found := _MONEY.fullmatch(word):
        return replace(budget, max_cost=float(found[1] or found[2]))
    if found := _TOKENS.fullmatch(word):
        return replace(budget, max_tokens=int(float(found[1] or found[3]) * _TIMES[(found[2] or found[4]).lower()]))
    try:
        return replace(budget, max_time=durations.seconds(word if not re.fullmatch(_NUMBER, word) else ""))
    except BadValue:
        raise BadValue(f"{word[:40]!r} is no budget: write $5, 200k tokens or 30m") from None


def shown(limit: str, value: Any) -> str:
    """An amount of that kind."""
    try:
        number = float(value or 0)
    except (TypeError, ValueError):
        return str(value)
    match limit:
        case "cost":
            return money(number)
        case "time":
            return elapsed(int(number))
        case "tokens":
            return f"{amount(int(number))} tokens"
    return str(value)


def doubled(limit: str, value: Any) -> str:
    """Twice that, as it is typed; "" where that is nothing."""
    try:
        number = 2 * float(value or 0)
    except (TypeError, ValueError):
        return ""
    match limit:
        case "cost":
            return f"${number:g}"
        case "time":
            return f"{number:g}s"
        case "tokens":
            return f"{number:.0f}"
    return ""


def worded(budget: Any) -> str:
    """A budget in a line."""
    if budget is None:
        return "none"
    kinds = (("cost", budget.max_cost), ("tokens", budget.max_tokens), ("time", budget.max_time))
    return ", ".join(shown(limit, value) for limit, value in kinds if value) or "none"
