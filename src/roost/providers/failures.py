"""What went wrong with a model request: a provider's answer to one ModelFailed, by plain rules."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from roost.core.errors import ModelFailed

LONGEST = 2000  # characters of a provider's own text that we pass on

_OVERFLOW = (
    "prompt is too long",
    "maximum context length",
    "context length exceeded",
    "context_length_exceeded",
    "max_tokens must be greater than",
    "maximum number of tokens",
    "content length exceeds",
    "request too large",
    "payload too large",
    "input is too long",
    "exceeds the model's max token",
    "token limit",
    "reduce your prompt",
    "reduce the length",
    "exceed_context_size_error",
    "exceeds the available context size",
    "exceed context limit",
    "exceeds the context window",
)
_RATE = ("rate limit", "rate_limit", "too many requests", "throttl", "quota", "capacity")
_RETRY = (
    "timeout",
    "timed out",
    "connection reset",
    "connection refused",
    "no such host",
    "overloaded",
    "bad gateway",
    "upstream connect",
    "internal_error",
    "other side closed",
    "fetch failed",
)
_RETRYABLE = frozenset({408, 500, 502, 503, 504, 529, *range(520, 525)})
_TYPES = {
    "overloaded_error": 529,
    "api_error": 500,
    "server_error": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "timeout_error": 504,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "invalid_request_error": 400,
    "context_length_exceeded": 400,
}


def kind(status: int, text: str) -> str:
    """The class of a failure, by its status (0 where there is none) and the provider's words."""
    low = text.lower()
    if status == 429:
        return "rate_limit"
    if status in (401, 403) or (status == 400 and "api key not valid" in low):
        return "auth"
    if status == 413 or any(words in low for words in _OVERFLOW):
        return "overflow"
    if status == 404:
        return "missing"
    if status in _RETRYABLE:
        return "retryable"
    if any(words in low for words in _RATE):
        return "rate_limit"
    if any(words in low for words in _RETRY):
        return "retryable"
    return "client"


def refused(
    status: int, headers: Mapping[str, str], body: bytes, *, now: datetime | None = None, secrets: Sequence[str] = ()
) -> ModelFailed:
    """The failure behind an HTTP answer that is no success."""
    text, code = words(body)
    return ModelFailed(
        clean(text or f"the provider answered with status {status}", secrets),
        kind=kind(status, f"{text} {code}"),
        status=status,
        retry_after=_either(retry_after(headers, now or datetime.now(UTC)), _delay(body)),
        provider_code=code,
    )


def told(error: object) -> ModelFailed:
    """The failure that a stream tells of in its middle: an error object, in any provider's form."""
    text, code = _found({"error": error})
    status = _TYPES.get(code, 0)
    if isinstance(error, dict) and not status:
        status = next((n for n in (error.get("code"), error.get("status")) if isinstance(n, int) and n >= 400), 0)
    return ModelFailed(
        clean(text or "the provider broke off with an error"),
        kind=kind(status, f"{text} {code}"),
        status=status,
        provider_code=code,
    )


def cut(what: str = "the connection was closed before the answer was complete") -> ModelFailed:
    """The line went dead."""
    return ModelFailed(what, kind="retryable")


def words(body: bytes) -> tuple[str, str]:
    """The provider's own text in an error body, and its code or type."""
    try:
        return _found(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body.decode("utf-8", "replace")
        if "<html" in text[:500].lower():
            text = re.sub(r"<(style|script|head).*?</\1>|<[^>]*>", " ", text, flags=re.S | re.I)
        return " ".join(text.split()), ""


def clean(text: str, secrets: Sequence[str] = ()) -> str:
    """The text without secrets, and not too long."""
    for secret in secrets:
        if len(secret) >= 6:
            text = text.replace(secret, "***")
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def hide(error: ModelFailed, secrets: Sequence[str]) -> None:
    """Take secrets out of what a failure tells, wherever its words came from."""
    error.args = (clean(error.message, secrets),)
    error.provider_code = clean(error.provider_code, secrets)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds a provider asks for, given as milliseconds, seconds or a date."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return max(milliseconds / 1000, 0.0)
    value = headers.get("retry-after")
    if (seconds := _number(value)) is not None:
        return max(seconds, 0.0)
    try:
        moment = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)


def _either(one: float | None, other: float | None) -> float | None:
    return other if one is None else one


def _delay(body: bytes) -> float | None:
    """The seconds that Google asks for in the body."""
    match = re.search(rb'"retryDelay":\s*"(\d{1,6}(?:\.\d{1,9})?)s"', body)
    return float(match[1]) if match else None


def _number(value: str | None) -> float | None:
    return float(value) if value and re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", value) else None


def _found(data: Any) -> tuple[str, str]:
    if isinstance(data, list) and data:
        data = data[0]
    if isinstance(data, str):
        return data, ""
    if not isinstance(data, dict):
        return "", ""
    error = data.get("error", data)
    if isinstance(error, str):
        return error, ""
    if not isinstance(error, dict):
        error = data
    text = next((str(error[key]) for key in ("message", "detail", "error_description") if error.get(key)), "")
    code = next((str(error[key]) for key in ("code", "type", "status") if isinstance(error.get(key), str)), "")
    return text, code
