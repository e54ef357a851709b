"""Manners: what the doors of one server do each in its own way."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from starlette.datastructures import Headers

from roost.core.errors import RoostError
from roost.doors.routes import Place, Read, Reply

Pairs = Sequence[tuple[bytes, bytes]]


class Manners(Protocol):
    """How a door reads what it is asked, and words what goes wrong."""

    read: Read
    wrong_token: str  # the message to a token that opens nothing
    heads: bool  # whether HEAD is answered where GET is
    strangers: bool  # whether pages of other origins may ask, if they know the token

    @property
    def absent(self) -> Collection[str]:
        """Paths that must look absent, whatever the routes say."""
        ...

    def path(self, raw: str) -> str:
        """The path that was meant by the one that was sent."""
        ...

    def check(self, values: Sequence[str]) -> None:
        """Look at the parameters of a path, as they were sent.

        Raises:
            Refused: 400.
        """
        ...

    def token(self, headers: Headers) -> str:
        """The token of a request.

        Raises:
            Refused: 401; there is none.
        """
        ...

    def options(self, place: Place | None) -> Reply | None:
        """What OPTIONS gets before anything else is looked at; None where it is a request like all others."""
        ...

    def refusal(self, message: str, status: int, headers: Mapping[str, str]) -> Reply:
        """How an error looks."""
        ...

    def worded(self, error: RoostError, failed: str) -> str:
        """What a caller is told of an error; `failed` is what could not be done."""
        ...

    def shared(self, headers: Headers) -> Pairs:
        """The headers that every answer has."""
        ...
