"""Usage limits, as each CLI words them."""

import time
from datetime import datetime

import pytest

from roost.core.ids import Micros
from roost.drivers.limits import found

NOW = Micros(1_795_000_000_000_000)
HOUR = 3_600_000_000


def local(*moment: int) -> int:
    year, month, day, hour, minute = moment
    return int(datetime(year, month, day, hour, minute).astimezone().timestamp() * 1_000_000)


AFTERNOON = local(2027, 3, 20, 15, 36)


@pytest.mark.parametrize(
    ("provider", "text", "scope", "reset"),
    [
        ("claude", "Claude AI usage limit reached|1799999999", "session", 1_799_999_999_000_000),
        ("claude", "Claude AI weekly usage limit reached|1799999999000", "weekly", 1_799_999_999_000_000),
        ("claude", "You've hit your weekly limit", "weekly", None),
        ("codex", "You've hit your usage limit. Try again at Mar 20th, 2027 3:36 PM.", "session", AFTERNOON),
        ("codex", "you have reached the usage limit; try again after 2027-03-20T15:36:00Z", "session", AFTERNOON),
        ("codex", "You hit your usage limit. Try again at March 2, 2027 03:06 AM", "session", local(2027, 3, 2, 3, 6)),
        ("codex", "YOU’VE REACHED YOUR USAGE LIMIT", "session", None),
        ("codex", "your usage limit reset is in 2 hours", "session", NOW + 2 * HOUR),
        ("copilot", '{"code": "user_weekly_rate_limited"}', "weekly", None),
        ("copilot", "user_global_rate_limited:x, in 30 minutes", "global", NOW + HOUR // 2),
        ("copilot", "You have exceeded your rate limit, try in 1 hour", "session", NOW + HOUR),
        ("gemini", 'RESOURCE_EXHAUSTED GenerateRequestsPerDay "retryDelay":"30s"', "daily", NOW + 30_000_000),
        ("gemini", "[API Error: too much, code: 429]", "session", None),
    ],
)  # fmt: skip
def test_a_limit_is_found(provider: str, text: str, scope: str, reset: int | None) -> None:
    limit = found(provider, text, NOW)
    assert limit is not None
    assert (limit.scope, limit.reset_at) == (scope, reset)


@pytest.mark.parametrize(
    ("provider", "text"),
    [
        ("claude", "rate limiting is a topic"),
        ("codex", "Reconnecting... 1/5 (exceeded retry limit, last status: 429 Too Many Requests)"),
        ("ollama", "You've hit your usage limit"),
        ("gemini", "429 is a number"),
    ],
)
def test_other_texts_are_no_limits(provider: str, text: str) -> None:
    assert found(provider, text, NOW) is None


def test_settings_may_know_more() -> None:
    limit = found("codex", "Quota is GONE, back in 1 hour", NOW, [r"quota is \w+"])
    assert limit is not None
    assert limit.reset_at == NOW + HOUR


def test_what_a_cli_prints_is_looked_through_in_no_time() -> None:
    """A server reads each line of each CLI, and does nothing else meanwhile."""
    began = time.monotonic()
    for provider in ("claude", "codex", "copilot", "gemini"):
        assert found(provider, "[API Error:" * 20_000, NOW) is None
    assert found("gemini", f"[API Error:{' ' * 400}code: 429]", NOW) is not None
    assert time.monotonic() - began < 5
