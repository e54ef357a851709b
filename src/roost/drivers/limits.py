"""Usage limits as the CLIs word them: a text in, what is known of the limit out."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from roost.core.ids import Micros

Scope = Literal["session", "daily", "weekly", "global"]
_SECOND = 1_000_000
_I = re.IGNORECASE


class Limit(Struct, frozen=True):
    """A limit that was hit, and when it ends where that is known."""

    scope: Scope = "session"
    reset_at: Micros | None = None


def found(provider: str, text: str, now: Micros, extra: Sequence[str] = ()) -> Limit | None:
    """The limit that a message of this CLI speaks of; `now` is what "in 2 hours" counts from."""
    detect = _DETECTORS.get(provider)
    limit = detect(text, now) if detect is not None else None
    if limit is None and any(re.search(pattern, text, _I) for pattern in extra):
        return Limit(reset_at=_within(text, now))
    return limit


# -- each CLI -----------------------------------------------------------------------------------

_CLAUDE = re.compile(r"claude (?:ai )?(?:(weekly|global) )?usage limit reached(?:\|(\d{9,13}))?", _I)
_CLAUDE_NEW = re.compile(
    r"(?:you've|you have) (?:hit|reached) your (?:(session|weekly|daily|global) )?(?:usage )?limit", _I
)


def _claude(text: str, now: Micros) -> Limit | None:
    if match := _CLAUDE.search(text):
        scope: Scope = "weekly" if (match[1] or "").lower() == "weekly" else "session"
        scope = "global" if (match[1] or "").lower() == "global" else scope
        return Limit(scope, epoch(match[2]) if match[2] else None)
    if match := _CLAUDE_NEW.search(text):
        named = (match[1] or "session").lower()
        return Limit(named, _within(text, now))  # type: ignore[arg-type]  # the pattern names scopes alone
    return None


_CODEX = re.compile(
    r"you(?:['’]ve| have)? (?:hit|reached) (?:(?:your|the) )?usage limit|usage limit reset|usage_limit_reached", _I
)
_CODEX_AT = re.compile(r"try again (?:at|after) ([^.;\n]+)", _I)


def _codex(text: str, now: Micros) -> Limit | None:
    if not _CODEX.search(text):
        return None
    at = _CODEX_AT.search(text)
    reset = _local(at[1].strip()) if at else None
    return Limit(reset_at=reset if reset is not None else _within(text, now))


_COPILOT_CODE = re.compile(r"\b(?:user_(weekly|global)_)?rate_limited\b", _I)
_COPILOT_TEXT = re.compile(
    r"(?:hit|exceeded|reached)[^.\n]{0,60}rate limit|weekly rate limit|exceeded your copilot token usage", _I
)


def _copilot(text: str, now: Micros) -> Limit | None:
    code = _COPILOT_CODE.search(text)
    if code is None and not _COPILOT_TEXT.search(text):
        return None
    named = (code[1] or "").lower() if code else ""
    if named == "global":
        return Limit("global", _within(text, now))
    weekly = named == "weekly" or "weekly rate limit" in text.lower()
    return Limit("weekly" if weekly else "session", _within(text, now))


_GEMINI = re.compile(
    r"RESOURCE_EXHAUSTED|RATE_LIMIT_EXCEEDED|\[API Error:[^\]]{0,500}code:? ?429|you've hit the API rate limit"
    r"|\"code\": ?429",
    _I,
)
_GEMINI_DELAY = re.compile(r'retryDelay\\?"?: ?\\?"(\d+(?:\.\d+)?)s', _I)


def _gemini(text: str, now: Micros) -> Limit | None:
    if not _GEMINI.search(text):
        return None
    scope: Scope = "daily" if "PerDay" in text else "weekly" if "PerWeek" in text else "session"
    delay = _GEMINI_DELAY.search(text)
    return Limit(scope, Micros(now + int(float(delay[1]) * _SECOND)) if delay else None)


_MOCK = re.compile(r"mock usage limit reached(?:\|(\d{9,13}))?", _I)


def _mock(text: str, now: Micros) -> Limit | None:
    if match := _MOCK.search(text):
        return Limit(reset_at=epoch(match[1]) if match[1] else _within(text, now))
    return _claude(text, now)


_DETECTORS: dict[str, Callable[[str, Micros], Limit | None]] = {
    "claude": _claude,
    "codex": _codex,
    "copilot": _copilot,
    "gemini": _gemini,
    "mock": _mock,
}

# -- moments ------------------------------------------------------------------------------------

_IN = re.compile(r"\bin (?:about )?(\d{1,6}) ?(hour|minute|second|hr|min|sec|day)s?\b", _I)
_SECONDS = {"day": 86400, "hour": 3600, "hr": 3600, "minute": 60, "min": 60, "second": 1, "sec": 1}
_FORMATS = (
    "%b %d %Y %I:%M %p",
    "%B %d %Y %I:%M %p",
    "%b %d %Y %H:%M",
    "%B %d %Y %H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
)


def epoch(digits: str) -> Micros:
    """Seconds since 1970, or milliseconds where they are that long."""
    return Micros(int(digits) * (1000 if len(digits) > 11 else _SECOND))


def _within(text: str, now: Micros) -> Micros | None:
    match = _IN.search(text)
    return None if match is None else Micros(now + int(match[1]) * _SECONDS[match[2].lower()] * _SECOND)


def _local(phrase: str) -> Micros | None:
    """A moment as a person writes it, in this machine's own time."""
    plain = re.sub(r"(\d)(?:st|nd|rd|th)\b", r"\1", phrase).replace(",", " ")
    plain = re.sub(r"(\d)T(\d)", r"\1 \2", plain).removesuffix("Z")
    plain = " ".join(plain.split())
    for form in _FORMATS:
        try:
            moment = datetime.strptime(plain, form).astimezone()
        except (ValueError, OverflowError, OSError):
            continue
        return Micros(int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * _SECOND))
    return None
