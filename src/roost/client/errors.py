"""What goes wrong between here and a server."""

from roost.core.errors import ServerFailed


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
        self.fingerprint = fingerprint


def colons(fingerprint: str) -> str:
    """A fingerprint as certificates' tools write it."""
    return ":".join(fingerprint[at : at + 2] for at in range(0, len(fingerprint), 2)).upper()
