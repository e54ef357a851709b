"""Errors of agents in words: out of the JSON and the "internal error" that they come in."""

import re

from roost.drivers import fields
from roost.wire.jsonrpc import Failure

_API_ERROR = re.compile(r"\s*\[API Error: (.*)\]\s*", re.S)


def worded(text: str) -> str:
    """The error that a text holds as JSON, as model APIs give it; the text itself where it holds none."""
    found = _API_ERROR.fullmatch(text)
    inner = fields.mapping((fields.parse((found[1] if found else text).encode()) or {}).get("error"))
    said, status = fields.text(inner.get("message")), fields.text(inner.get("status"))
    return f"{said} ({status})" if said and status else said or text


def failing(failure: Failure) -> str:
    """Why a request came to nothing: what stands behind an "internal error", with the HTTP status if it has one."""
    data = failure.data
    behind = data if isinstance(data, str) else fields.text(fields.mapping(data).get("details"))
    hidden = failure.message.strip(". ").lower() in ("", "internal error")
    said = worded(behind if behind and hidden else failure.message)
    named = str(failure.code) in said or not 400 <= failure.code < 600
    return said if named else f"{said} (HTTP {failure.code})"
