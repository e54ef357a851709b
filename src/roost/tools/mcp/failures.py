"""What goes wrong with tool servers, in words for people."""

from collections.abc import Iterator

from roost.tools.mcp.http import Seen


class LoginNeeded(Exception):
    """The server wants a login; `challenge` is what it said about that."""

    def __init__(self, challenge: str) -> None:
        super().__init__("it wants a login")
        self.challenge = challenge


class Unreached(Exception):
    """The server did not come to be ready; `retry_after` is in how many seconds it may be tried again."""

    def __init__(self, why: str, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Lost(Exception):
    """The server did not take the request: it knows our session no more, or could not be reached."""


class Older(Exception):
    """A tool asks a person in a way that only the older protocol has."""


class Closed(Exception):
    """The connection ended before an answer came."""


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The single errors of a group, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def unsent(error: BaseException) -> bool:
    """Whether a request can't have reached the server."""
    import httpx2

    return any(isinstance(leaf, httpx2.ConnectError | httpx2.ConnectTimeout) for leaf in leaves(error))


def said(error: BaseException, seen: Seen | None = None) -> str:
    """Why a server can't be used."""
    import httpx2
    from mcp.shared.exceptions import MCPError

    leaf = next(leaves(error))
    match leaf:
        case FileNotFoundError() | PermissionError() | NotADirectoryError():
            return f"it can't be started: {leaf.strerror}: {leaf.filename!r} (is it installed, and on the PATH?)"
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            return f"it can't be reached: {str(leaf) or 'nobody answers'}"
        case httpx2.HTTPStatusError():
            return f"it answers with status {leaf.response.status_code}"
        case MCPError() if seen is not None and seen.status and leaf.message == "Server returned an error response":
            return f"it answers with status {seen.status}"
        case MCPError():
            return leaf.message[:500]
        case ValueError():  # of pydantic
            return f"what it says is not as the protocol wants it: {str(leaf)[:300]}"
    return str(leaf)[:500] or type(leaf).__name__
