"""Where a server is, what to show it, and how to know that it is the one."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, structs

from roost.core.errors import BadValue

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"([!-~]([ -~]*[!-~])?)?")  # what a header can carry


class Server(Struct, frozen=True, omit_defaults=True):
    """A server's address, the token for it, and what its certificate is held against.

    That is its own fingerprint; where there is none, the authorities in the file `ca`; else those that the system
    trusts.  `insecure` takes any.
    """

    url: str
    token: str = ""
    username: str | None = None
    fingerprint: str | None = None
    ca: str | None = None
    insecure: bool = False

    def __repr__(self) -> str:
        return f"Server({self.url!r})"

    @property
    def place(self) -> "Place":
        """The parts of its address.

        Raises:
            BadValue: it is none.
        """
        return _place(self.url)


class Place(Struct, frozen=True):
    """An address in parts; `socket` is the path of a unix socket, else ""."""

    scheme: str
    host: str
    port: int
    prefix: str = ""
    socket: str = ""

    @property
    def tls(self) -> bool:
        """Whether the line is encrypted."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and port, as headers and addresses have them."""
        if self.socket:
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"


def named(
    server: Server | str,
    *,
    token: str = "",
    fingerprint: str | None = None,
    ca: str | None = None,
    insecure: bool = False,
) -> Server:
    """The server that somebody means; what is said beside it counts more than what it says itself.

    Raises:
        BadValue: it can't be: its address, its token or its fingerprint is none.
    """
    if not server:
        raise BadValue("which server? Give its address, as https://host:port; `here()` finds that of this machine")
    found = Server(server) if isinstance(server, str) else server
    said = {"token": token, "fingerprint": fingerprint, "ca": ca, "insecure": insecure}
    found = structs.replace(found, **{name: value for name, value in said.items() if value})
    _place(found.url)
    if not _TOKEN.fullmatch(found.token):
        raise BadValue("the token has a character in it that no token has: a line break at its end, maybe")
    return structs.replace(found, fingerprint=plain(found.fingerprint)) if found.fingerprint else found


def normal(url: str) -> str:
    """An address as somebody types it, made whole: `https://` where no scheme is given, no slash at its end.

    Raises:
        BadValue: it is none.
    """
    text = url.strip().rstrip("/")
    if "://" not in text:
        text = f"https://{text}"
    _place(text)
    return text


def plain(fingerprint: str) -> str:
    """A SHA-256 fingerprint as 64 hex digits, however it was written.

    Raises:
        BadValue: it is none.
    """
    digits = re.sub(r"^sha-?256[:=]?|[\s:]", "", fingerprint.strip().lower())
    if not _FINGERPRINT.fullmatch(digits):
        raise BadValue(f"{fingerprint!r} is no SHA-256 fingerprint: 64 hex digits, colons allowed")
    return digits


def home(env: Mapping[str, str]) -> Path:
    """Where Roost keeps its things."""
    given = env.get("ROOST_HOME")
    return Path(given).expanduser() if given else Path(env.get("HOME") or Path.home()) / ".roost"


def _place(url: str) -> Place:
    scheme, _, rest = url.partition("://")
    if scheme == "unix" and rest:
        return Place("http", "localhost", 80, socket=rest)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadValue(f"{url} is no address of a server") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise BadValue(f"{url} is no address of a server: write https://host:port, http://host:port or unix://PATH")
    return Place(parts.scheme, parts.hostname, port or {"https": 443, "http": 80}[parts.scheme], parts.path.rstrip("/"))
