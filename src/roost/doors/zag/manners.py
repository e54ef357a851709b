"""The manners of `/api/v1`: its errors, its bodies, its tokens, and who may ask from which page."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.datastructures import Headers

from roost.core.errors import RoostError, SessionNotFound
from roost.doors.auth import spelled
from roost.doors.errors import Refused, worded
from roost.doors.manners import Pairs
from roost.doors.routes import Place, Read, Reply
from roost.wire import body

B = TypeVar("B")

MAX_BODY = 2_097_152
LONGEST_NAME = 128  # characters of a name that is told back

_VARY = (b"vary", b"origin, access-control-request-method, access-control-request-headers")
_ALLOWED = {
    "access-control-allow-methods": "*",
    "access-control-allow-headers": "authorization, content-type",  # for a browser, `*` is all but the former
}


def read(raw: bytes, content_type: str, kind: type[B], *, optional: bool) -> B:
    """The body as a `kind`; with `optional`, no body at all is an empty object.

    Raises:
        Refused: 415, 400 for what is no JSON, 422 for JSON of another shape.
    """
    if not raw and optional:
        return msgspec.convert({}, kind)
    if not _is_json(content_type):
        raise Refused(415, "Expected request with `Content-Type: application/json`")
    try:
        value = body.parse(raw, whole=True)
    except body.BadBody as error:
        raise Refused(400, f"Failed to parse the request body as JSON: {error}") from None
    try:
        return body.shape(value, kind)
    except body.BadBody as error:
        raise Refused(422, f"Failed to deserialize the JSON body into the target type: {error}") from None


def said(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer as this API writes it: compact JSON, fields in their order, nothing after it."""
    return Reply(raw=msgspec.json.encode(value), status=status, headers=headers)


class Manners:
    """Errors are an object with an `error`; pages of `origins` may ask, if they know a token."""

    read: Read = staticmethod(read)
    wrong_token = "Invalid token"  # noqa: S105 - a message
    heads = True
    strangers = True
    absent: Collection[str] = ()

    def __init__(self, origins: Collection[str] = ("*",)) -> None:
        self._origins = frozenset(origins)

    def path(self, raw: str) -> str:
        """Without empty segments: doubled slashes count as one, and one at the end as none."""
        return "/" + "/".join(filter(None, raw.split("/")))

    def check(self, values: Sequence[str]) -> None:
        """Each has to be text.

        Raises:
            Refused: 400.
        """
        for value in values:
            try:
                unquote_to_bytes(value).decode("utf-8")
            except UnicodeDecodeError:
                raise Refused(400, "Invalid URL: a segment of the path is not UTF-8") from None

    def token(self, headers: Headers) -> str:
        """After `Bearer`, however that is written.

        Raises:
            Refused: 401.
        """
        scheme, _, token = headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refused(401, "Missing or invalid Authorization header", {"www-authenticate": "Bearer"})
        return spelled(token.strip())

    def options(self, place: Place | None) -> Reply | None:
        """Whatever it is about: all methods, and the headers that clients need."""
        return Reply(raw=b"", headers=_ALLOWED)

    def refusal(self, message: str, status: int, headers: Mapping[str, str]) -> Reply:
        """An object with an `error`."""
        return said({"error": message}, status, headers)

    def worded(self, error: RoostError, failed: str) -> str:
        """With the name of a session that is not there: a request may have named several."""
        if isinstance(error, SessionNotFound):
            return f"Session not found: {error.session[:LONGEST_NAME]}"
        return worded(error, failed)

    def shared(self, headers: Headers) -> Pairs:
        """Who may read the answer: what comes by cookie is for our own page alone."""
        if "cookie" in headers and "authorization" not in headers:
            return (_VARY,)
        if "*" in self._origins:
            return ((b"access-control-allow-origin", b"*"), _VARY)
        origin = headers.get("origin", "")
        if origin not in self._origins:
            return (_VARY,)
        return ((b"access-control-allow-origin", origin.encode("latin-1")), _VARY)


def _is_json(content_type: str) -> bool:
    """`application/json`, or `application/*+json`."""
    main, _, sub = content_type.partition(";")[0].strip().lower().partition("/")
    return main == "application" and (sub == "json" or sub.endswith("+json"))
