"""Messages out of the bytes that a tool server writes, and back; what is too long or broken still ends its call."""

import json
import logging
import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from mcp.shared.message import SessionMessage
    from mcp.types import JSONRPCMessage

LONGEST = 16 * 1024 * 1024  # bytes of one message
ENDS = 4096  # bytes of its beginning and its end that are kept of a message that is longer

_ID = r'(?P<id>-?\d{1,18}|"(?:[^"\\]|\\.){1,200}")'
_FIRST = re.compile(rf'\s*\{{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*{_ID}\s*,'.encode())
_LAST = re.compile(rf'[,{{]\s*"id"\s*:\s*{_ID}\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}}\s*$'.encode())

log = logging.getLogger(__name__)


class Torn(Struct, frozen=True):
    """A message that can't be used, and the call that it answers where that can be seen."""

    why: str
    id: int | str | None = None
    fatal: bool = False  # nobody knows which call will now wait for ever


class Frames:
    """Feed it bytes as they come; get back the lines that are now complete."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0
        self._tail = b""

    def feed(self, chunk: bytes) -> list[bytes | Torn]:
        """The complete lines; one that is too long is a `Torn`, and is never held whole."""
        found: list[bytes | Torn] = []
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._take(end)
            found.append(self._line())
        self._take(rest)
        return found

    def _take(self, piece: bytes) -> None:
        if not piece:
            return
        self._size += len(piece)
        if self._size <= self._longest:
            self._parts.append(piece)
            return
        if len(self._parts) > 1 or (self._parts and len(self._parts[0]) > ENDS):
            whole = b"".join(self._parts)
            self._parts, self._tail = [whole[:ENDS]], whole[-ENDS:]
        elif not self._parts:
            self._parts = [piece[:ENDS]]
        self._tail = (self._tail + piece)[-ENDS:]

    def _line(self) -> bytes | Torn:
        parts, size, tail = self._parts, self._size, self._tail
        self._parts, self._size, self._tail = [], 0, b""
        if size <= self._longest:
            return b"".join(parts)
        why = f"it is longer than {self._longest >> 20} MiB"
        number = _answered(parts[0], tail)
        return Torn(why, number, fatal=number is None)


def _answered(first: bytes, last: bytes) -> int | str | None:
    """The call that a message answers, as far as its two ends show it."""
    if b'"method"' in first[:200]:
        return None
    found = _FIRST.match(first) or _LAST.search(last)
    if found is None:
        return None
    try:
        number = json.loads(found["id"])
    except ValueError:
        return None
    return number if isinstance(number, int | str) else None


def decoded(line: bytes) -> "SessionMessage | Torn | None":
    """The message of a line; None where it is none at all, as what servers print by mistake."""
    from mcp.shared.message import SessionMessage
    from mcp.types import jsonrpc_message_adapter

    text = line.decode(errors="replace").strip()
    if not text.startswith("{"):
        return None
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(text, by_name=False))
    except ValueError as error:
        found = _answered(line[:ENDS], line[-ENDS:])
        return Torn(f"it can't be read: {str(error)[:300]}", found)


def refusal(torn: Torn) -> "SessionMessage":
    """The error that ends the call which a message that can't be used would have answered."""
    from mcp.shared.message import SessionMessage
    from mcp.types import PARSE_ERROR, ErrorData, JSONRPCError

    assert torn.id is not None
    error = ErrorData(code=PARSE_ERROR, message=f"the server's answer can't be used: {torn.why}")
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=torn.id, error=error))


def encoded(message: "JSONRPCMessage") -> bytes:
    """A message as a line."""
    try:
        text = message.model_dump_json(by_alias=True, exclude_unset=True)
        return text.encode() + b"\n"
    except ValueError:  # halves of characters, which pydantic does not write and JSON can
        data: dict[str, Any] = message.model_dump(by_alias=True, exclude_unset=True)
        return json.dumps(data).encode() + b"\n"
