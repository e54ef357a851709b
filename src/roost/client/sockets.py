"""WebSockets of `/api/v1`, apart from the sockets themselves: where to, what a refusal means, what was missed."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from roost.client.errors import Garbled, Missing, Overloaded, Refused, Unreachable
from roost.client.exchange import headers, refused
from roost.client.frames import Frame, frames
from roost.client.request import Stream
from roost.client.server import Server

LARGEST = 64 * 1024 * 1024  # bytes of a frame
FINISHED = (1000, 1005)  # close codes of a stream that is at its end; 1005 is a close without one
_FORBIDDEN = 1008


def address(server: Server, stream: Stream, after: int = 0, *, scheme: str = "ws") -> str:
    """Where a stream is opened."""
    query = (*stream.query, *((("after_seq", str(after)),) if after else ()))
    place = server.place
    return f"{scheme}://{place.authority}{place.prefix}{stream.path}" + (f"?{urlencode(query)}" if query else "")


def options(server: Server) -> dict[str, Any]:
    """What the library is told, whichever way it works."""
    carried = headers(server)
    return {
        "additional_headers": {name: carried[name] for name in ("Authorization",) if name in carried},
        "user_agent_header": carried["User-Agent"],
        "max_size": LARGEST,
        "proxy": None,
        "compression": None,
    }


def unopened(error: Exception, server: Server, stream: Stream) -> Refused | Unreachable | Garbled:
    """Why a stream could not be opened."""
    # A command that follows nothing does without: this is a tenth of a second.
    from websockets.exceptions import InvalidHandshake, InvalidStatus

    if isinstance(error, InvalidStatus):
        answer = error.response
        if answer.status_code < 400:
            return Garbled(f"no WebSocket is opened at {server.url}: it answered {answer.status_code}")
        said = refused(stream, answer.status_code, bytes(answer.body or b""), answer.headers.get)
        return Unreachable(server.url, str(said)) if isinstance(said, Overloaded) else said
    if isinstance(error, InvalidHandshake):
        return Unreachable(server.url, f"no WebSocket there ({error})")
    return Unreachable(server.url, "it closed the connection")


def ended(code: int, why: str, server: Server) -> Refused | Unreachable | None:
    """Why a stream was closed; None where it is at its end."""
    if code in FINISHED:
        return None
    return Missing(404, why) if code == _FORBIDDEN else Unreachable(server.url, why or "the stream was cut")


def moment(said: str | None) -> datetime:
    """The server's time of day when it took us in, as it says it itself; it speaks in whole seconds."""
    with suppress(TypeError, ValueError):
        return parsedate_to_datetime(said or "")
    return datetime.now(UTC)


def missed(logs: Iterable[tuple[int, bytes]], since: datetime, types: tuple[str, ...]) -> list[Frame]:
    """What happened while nobody listened, out of logs that were each read behind a number.

    Of sessions of which nothing had been read (the number is 0), it is what happened since then.
    """
    found = [
        one
        for behind, body in logs
        for one in frames(body)
        if (not types or one.event.type in types) and (behind or at(one.event.ts) >= since)
    ]
    return sorted(found, key=lambda one: (at(one.event.ts), one.event.seq))


def at(ts: str) -> datetime:
    """When an event was."""
    try:
        found = datetime.fromisoformat(ts)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
