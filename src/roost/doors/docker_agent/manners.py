"""The manners of `/api`, and of all that has no door of its own."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
from starlette.datastructures import Headers

from roost.core.errors import RoostError
from roost.doors.auth import spelled
from roost.doors.docker_agent.routes import NEVER
from roost.doors.errors import Refused, told, worded
from roost.doors.manners import Pairs
from roost.doors.routes import Place, Read, Reply
from roost.wire import body

B = TypeVar("B")


def read(raw: bytes, content_type: str, kind: type[B], *, optional: bool) -> B:
    """The body as a `kind`; no body at all is always an empty object.

    Raises:
        Refused: 400.
    """
    if not raw:
        return msgspec.convert({}, kind)
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refused(400, "invalid request body: code=415, message=Unsupported Media Type")
    try:
        return body.read(raw, kind)
    except body.BadBody as error:
        raise Refused(400, f"invalid request body: code=400, message={error}") from None


class Manners:
    """Errors are an object with a message; only pages of our own origin may ask."""

    read: Read = staticmethod(read)
    wrong_token = "invalid token"  # noqa: S105 - a message
    heads = False
    strangers = False
    absent = NEVER

    def path(self, raw: str) -> str:
        """As it was sent."""
        return raw

    def check(self, values: Sequence[str]) -> None:
        """Any will do."""

    def token(self, headers: Headers) -> str:
        """After `Bearer `, to the letter.

        Raises:
            Refused: 401.
        """
        given = headers.get("authorization")
        if given is None:
            raise Refused(401, "missing Authorization header")
        if not given.startswith("Bearer "):
            raise Refused(401, "invalid Authorization header format")
        return spelled(given.removeprefix("Bearer "))

    def options(self, place: Place | None) -> Reply | None:
        """Nothing: it is a request like all others."""
        return None

    def refusal(self, message: str, status: int, headers: Mapping[str, str]) -> Reply:
        """An object with a message."""
        return Reply(told(message), status, headers=headers)

    def worded(self, error: RoostError, failed: str) -> str:
        """As the table has it."""
        return worded(error, failed)

    def shared(self, headers: Headers) -> Pairs:
        """None."""
        return ()
