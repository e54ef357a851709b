"""The cookie of a browser: what it is called, how it is set, and what shows that our own page sent it."""

import hmac
import re
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers

from roost.doors.errors import Refused

NAME = "roost_session"
SAFE_NAME = f"__Host-{NAME}"  # no other host, and no page without TLS, can set one of this name
CSRF = "x-roost-csrf"
LIFETIME = 30 * 24 * 3600  # seconds
UNCHANGING = frozenset({"GET", "HEAD", "OPTIONS"})

_PORT = re.compile(r":([0-9]{1,5})\Z")
_ELSEWHERE = "requests from other origins are not served"

Scope = Mapping[str, Any]


def found(scope: Scope, headers: Headers) -> str:
    """The cookie of a request; "" where there is none.  Over TLS only the safe name counts."""
    name, safe = _named(NAME, headers), _named(SAFE_NAME, headers)
    known: dict[str, str] = {}
    for header in headers.getlist("cookie"):
        for pair in header.split(";"):
            called, _, value = pair.strip().partition("=")
            known.setdefault(called, value)
    return known.get(safe) or ("" if _encrypted(scope) else known.get(name, ""))


def without(headers: Headers) -> dict[str, str]:
    """The headers of a request, but for what opens the door to a browser: this one, or that of a server beside it."""
    kept = dict(headers)
    kept.pop(CSRF, None)
    if cookies := kept.pop("cookie", ""):
        pairs = [pair.strip() for pair in cookies.split(";")]
        left = [pair for pair in pairs if not pair.startswith((NAME, SAFE_NAME))]
        kept |= {"cookie": "; ".join(left)} if left else {}
    return kept


def setting(cookie: str, scope: Scope, headers: Headers) -> str:
    """The header that gives a browser its cookie, or, with "", takes it away."""
    safe = _encrypted(scope) or headers.get("origin", "").lower().startswith("https://")
    safe = safe or (bool(cookie) and f"{_named(SAFE_NAME, headers)}={cookie}" in headers.get("cookie", ""))
    parts = [
        f"{_named(SAFE_NAME if safe else NAME, headers)}={cookie}",
        "Path=/",
        f"Max-Age={LIFETIME if cookie else 0}",
        "HttpOnly",
        "SameSite=Strict",
    ]
    return "; ".join([*parts, "Secure"] if safe else parts)


def prove(scope: Scope, headers: Headers, csrf: str) -> None:
    """Look for what only a page of our own can send.  Of a foreign `Origin` we have heard already.

    Raises:
        Refused: 403; another page may have made the browser ask.
    """
    right = hmac.compare_digest(headers.get(CSRF, "").encode(), csrf.encode())
    if scope["type"] == "websocket":
        if "origin" not in headers:
            raise Refused(403, _ELSEWHERE)
        return
    if scope["method"] not in UNCHANGING and not right:
        raise Refused(403, f"the {CSRF} header is missing or wrong: GET /web/session tells what it has to be")
    if not (right or "origin" in headers or headers.get("sec-fetch-site") == "same-origin"):
        raise Refused(403, f"nothing shows that a page of this server asks: send the {CSRF} header")


def check_site(scope: Scope, headers: Headers) -> None:
    """Keep out what pages elsewhere make a browser load; who follows a link to us may come.

    Raises:
        Refused: 403.
    """
    followed = headers.get("sec-fetch-mode") == "navigate" and scope.get("method") in UNCHANGING
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not followed:
        raise Refused(403, _ELSEWHERE)


def _named(name: str, headers: Headers) -> str:
    """The name with the port that was asked: cookies know none, and servers beside each other would take them away."""
    found = _PORT.search(headers.get("host", ""))
    return f"{name}_{found[1]}" if found else name


def _encrypted(scope: Scope) -> bool:
    return scope.get("scheme") in ("https", "wss")
