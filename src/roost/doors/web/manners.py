"""The manners of `/web`: those of `/api`, and every error has a code."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from roost.core.errors import RoostError
from roost.doors.docker_agent.manners import Manners as DockerAgent
from roost.doors.errors import headers, status, told, worded
from roost.doors.routes import Answer, Reply

CODES: Mapping[int, str] = {
    400: "bad_request",
    401: "not_paired",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    500: "internal",
}

H = TypeVar("H", bound=Callable[..., Awaitable[Answer]])


class Manners(DockerAgent):
    """Errors are an object with a code and a message."""

    heads = True
    absent = frozenset[str]()

    def refusal(self, message: str, status: int, headers: Mapping[str, str]) -> Reply:
        """An object with a code and a message."""
        return Reply(told(message, CODES.get(status, "refused")), status, headers={**headers, **UNKEPT})


UNKEPT = {"cache-control": "no-store"}
"""What is said of one browser is not for the next one behind the same proxy."""


def said(value: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer."""
    return Reply(value, code, headers={**UNKEPT, **(headers or {})})


def coded(handler: H) -> H:
    """The handler, whose errors keep their codes."""

    @wraps(handler)
    async def handle(*given: Any) -> Answer:
        try:
            return await handler(*given)
        except RoostError as error:
            return said(told(worded(error, ""), error.code), status(error), headers(error))

    return handle  # type: ignore[return-value]
