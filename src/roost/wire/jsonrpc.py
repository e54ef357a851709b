"""JSON-RPC 2.0: requests, notifications, replies and errors, as values and as lines."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

Id = int | str | float | None

METHOD_NOT_FOUND = -32601
AUTH_REQUIRED = -32000  # in the Agent Client Protocol

_MEMBERS = frozenset({"method", "result", "error"})


class Request(Struct, frozen=True):
    """Something to be done, and answered under the same id."""

    id: Id
    method: str
    params: Any = None


class Notification(Struct, frozen=True):
    """Something to be known; nobody answers."""

    method: str
    params: Any = None


class Reply(Struct, frozen=True):
    """What a request came to."""

    id: Id
    result: Any = None


class Failure(Struct, frozen=True):
    """Why a request came to nothing.  `id` is None where the request could not even be read."""

    id: Id
    code: int
    message: str
    data: Any = None


Message = Request | Notification | Reply | Failure


class Malformed(ValueError):
    """What came is no JSON-RPC message; the text says why."""


def parse(line: bytes) -> Message:
    """The message that a line holds.  A missing `jsonrpc` member is forgiven.

    Raises:
        Malformed: it holds none.
    """
    try:
        value = msgspec.json.decode(line)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from None
    return message(value)


def message(value: Any) -> Message:
    """The message in decoded JSON.

    Raises:
        Malformed: it is none.
    """
    if not isinstance(value, Mapping) or not _MEMBERS.intersection(value):
        raise Malformed("neither a request nor an answer")
    if "method" in value:
        return _asked(value)
    if "error" in value and value["error"] is not None:
        return _failure(_id(value), value["error"])
    if "result" not in value:
        raise Malformed("an answer without a result")
    return Reply(_id(value), value["result"])


def _asked(value: Mapping[str, Any]) -> Request | Notification:
    method = value["method"]
    if not isinstance(method, str):
        raise Malformed("the method has no name")
    params = value.get("params")
    return Request(_id(value), method, params) if "id" in value else Notification(method, params)


def _id(value: Mapping[str, Any]) -> Id:
    named = value.get("id")
    if isinstance(named, bool) or not isinstance(named, int | str | float | None):
        raise Malformed("the id is neither a text nor a number")
    return named


def _failure(id: Id, error: Any) -> Failure:
    if not isinstance(error, Mapping):
        return Failure(id, 0, str(error))
    code, text = error.get("code"), error.get("message")
    number = int(code) if isinstance(code, int | float) and abs(code) < 2**53 else 0
    return Failure(id, number, text if isinstance(text, str) else "", error.get("data"))


def line(message: Message, *, version: bool = True) -> str:
    """The message as one line, without its newline; `version` says whether it names its protocol."""
    match message:
        case Request(id=id, method=method, params=params):
            body: dict[str, Any] = {"id": id, "method": method, "params": params}
        case Notification(method=method, params=params):
            body = {"method": method, "params": params}
        case Reply(id=id, result=result):
            body = {"id": id, "result": result}
        case Failure(id=id, code=code, message=text, data=data):
            error = {"code": code, "message": text, "data": data}
            body = {"id": id, "error": {name: part for name, part in error.items() if part is not None}}
    if body.get("params", body) is None:
        del body["params"]
    return msgspec.json.encode({"jsonrpc": "2.0", **body} if version else body).decode()
