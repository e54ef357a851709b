"""What goes wrong between here and a server."""

from roost.core.errors import BadValue, ServerFailed

__all__ = [
    "BadValue",
    "Conflict",
    "Cut",
    "Forbidden",
    "Garbled",
    "Missing",
    "Nowhere",
    "Overloaded",
    "Refused",
    "ServerFailed",
    "Unreachable",
    "Untrusted",
    "colons",
    "refusal",
]


class Unreachable(ServerFailed):
    """Nobody answers there, or not in time."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"the server at {url} does not answer: {why}")
        self.why = why


class Cut(Unreachable):
    """The line went dead before the answer was whole: whether the request was carried out is not known."""


class Nowhere(ServerFailed):
    """There is no server here to speak to."""


class Garbled(ServerFailed):
    """What came is no answer of this API."""


class Refused(ServerFailed):
    """The server said no.

    `code` is a name for the reason, such as `session_busy`, or ""; `retry_after`, in seconds, when to ask again, where
    it has said so.
    """

    def __init__(self, status: int, reason: str, code: str = "", retry_after: float | None = None) -> None:
        super().__init__(reason or f"the server answered {status}")
        self.status = status
        self.code = code
        self.retry_after = retry_after


class Forbidden(Refused):
    """Whoever asks may not: the token is none that the server knows, or not of somebody who may do this."""


class Missing(Refused):
    """What was asked for, or about, is not there."""


class Conflict(Refused):
    """As things are it can't be done: a turn has the session, or somebody else was faster."""


class Overloaded(Refused):
    """Not now: the server has too much to do, is starting or stopping, or a proxy does not reach it."""


_KINDS = {401: Forbidden, 403: Forbidden, 404: Missing, 410: Missing, 409: Conflict}
_KINDS |= dict.fromkeys((429, 502, 503, 504), Overloaded)


def refusal(status: int, reason: str, code: str = "", retry_after: float | None = None) -> Refused:
    """The refusal that a status stands for."""
    return _KINDS.get(status, Refused)(status, reason, code, retry_after)


class Untrusted(ServerFailed):
    """The server's certificate can't be trusted; `fingerprint` is what it showed."""

    def __init__(self, url: str, why: str, fingerprint: str) -> None:
        shown = colons(fingerprint)
        super().__init__(
            f"the certificate of {url} is not trusted: {why}\n"
            f"Its SHA-256 fingerprint is {shown}\n"
            f"If that is what the server printed when it started, trust it from now on:\n\n"
            f"    roost connect {url} --fingerprint {shown}\n"
        )
        self.add_note(f"In Python: Client({url!r}, fingerprint={fingerprint!r}, token=…)")
        self.fingerprint = fingerprint


def colons(fingerprint: str) -> str:
    """A fingerprint as certificates' tools write it."""
    return ":".join(fingerprint[at : at + 2] for at in range(0, len(fingerprint), 2)).upper()
