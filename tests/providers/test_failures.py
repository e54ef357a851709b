"""Refusals, in every provider's words, have the right kind and tell no secrets."""

from datetime import UTC, datetime

import pytest

from roost.providers import failures

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (429, "token limit per minute reached", "rate_limit"),
        (401, "invalid x-api-key", "auth"),
        (400, "API key not valid. Please pass a valid API key.", "auth"),
        (403, "no", "auth"),
        (404, "model not found", "missing"),
        (400, "prompt is too long: 9 tokens > 8 maximum", "overflow"),
        (400, "input length and `max_tokens` exceed context limit: 1 + 2 > 2", "overflow"),
        (400, "This model's MAXIMUM CONTEXT LENGTH is 5", "overflow"),
        (400, "request (18031 tokens) exceeds the available context size (8192 tokens)", "overflow"),
        (413, "", "overflow"),
        (500, "boom", "retryable"),
        (408, "", "retryable"),
        (502, "", "retryable"),
        (529, "Overloaded", "retryable"),
        (522, "", "retryable"),
        (501, "not implemented", "client"),
        (400, "ThrottlingException", "rate_limit"),
        (402, "You exceeded your current quota", "rate_limit"),
        (0, "Overloaded", "retryable"),
        (0, "upstream connect error", "retryable"),
        (422, "invalid field", "client"),
    ],
)
def test_kinds(status: int, text: str, kind: str) -> None:
    assert failures.kind(status, text) == kind


@pytest.mark.parametrize(
    ("body", "text", "code"),
    [
        (b'{"error": {"message": "no", "type": "t", "code": "c"}}', "no", "c"),
        (b'{"error": {"message": "no", "type": "t", "code": null}}', "no", "t"),
        (b'{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}', "busy", "overloaded_error"),
        (b'[{"error": {"code": 400, "message": "list", "status": "INVALID_ARGUMENT"}}]', "list", "INVALID_ARGUMENT"),
        (b'{"error": "plain"}', "plain", ""),
        (b'{"detail": "fast"}', "fast", ""),
        (b'{"object": "error", "message": "vllm", "code": 40}', "vllm", ""),
        (b"<html><head><title>x</title></head><body><h1>502</h1> Bad Gateway</body></html>", "502 Bad Gateway", ""),
        (b"just text", "just text", ""),
        (b"\xff\xfe", "\ufffd\ufffd", ""),
        (b"", "", ""),
        (b"[]", "", ""),
        (b"7", "", ""),
    ],
)
def test_words(body: bytes, text: str, code: str) -> None:
    assert failures.words(body) == (text, code)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Fri, 02 Jan 2026 03:04:35 GMT"}, 30.0),
        ({"retry-after": "Fri, 02 Jan 2026 03:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
def test_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert failures.retry_after(headers, NOW) == seconds


def test_secrets_and_floods_are_cut() -> None:
    body = b'{"error": {"message": "Incorrect API key provided: sk-12345678. ' + b"x" * 5000 + b'"}}'
    failed = failures.refused(401, {}, body, secrets=["sk-12345678", "ab"])
    assert str(failed).startswith("Incorrect API key provided: ***. xxx")
    assert len(str(failed)) == failures.LONGEST + 1
    assert str(failures.refused(503, {}, b"")) == "the provider answered with status 503"


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"type": "overloaded_error", "message": "x"}, "retryable", 529),
        ({"type": "rate_limit_error", "message": "x"}, "rate_limit", 429),
        ({"code": "rate_limit_exceeded", "message": "x"}, "rate_limit", 429),
        ({"code": "server_error", "message": "x"}, "retryable", 500),
        ({"code": "context_length_exceeded", "message": "x"}, "overflow", 400),
        ({"code": 502, "message": "Provider returned error"}, "retryable", 502),
        ({"type": "invalid_request_error", "message": "x"}, "client", 400),
        ("plain overloaded", "retryable", 0),
        (None, "client", 0),
    ],
)
def test_errors_inside_a_stream(error: object, kind: str, status: int) -> None:
    failed = failures.told(error)
    assert (failed.kind, failed.status) == (kind, status)
    assert str(failed)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, b'{"error": {"details": [{"@type": "x.RetryInfo", "retryDelay": "34.5s"}]}}', 34.5),
        ({"retry-after": "3"}, b'{"retryDelay": "34s"}', 3.0),
        ({}, b'{"retryDelay": "soon"}', None),
    ],
)
def test_google_says_in_the_body_when_to_come_back(headers: dict, body: bytes, seconds: float | None) -> None:
    assert failures.refused(429, headers, body, now=NOW).retry_after == seconds
