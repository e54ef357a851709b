"""OAuth as tool servers have it: find out about a login, register a client, exchange a code, renew a token."""

import base64
import hashlib
import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

from msgspec import Struct

from roost.tools.mcp.entry import Client
from roost.tools.mcp.vault import Kept, Token

if TYPE_CHECKING:
    import httpx2
    from mcp.shared.auth import OAuthMetadata, ProtectedResourceMetadata


class Failed(Exception):
    """A login came to nothing; the text says why."""


class Found(Struct, frozen=True):
    """What a login at a server needs to know."""

    issuer: str
    resource: str
    scope: str
    authorize: str
    token: str
    register: str
    server_metadata: dict[str, Any]  # as they were found, for clients that log in themselves
    resource_metadata: dict[str, Any]
    methods: tuple[str, ...] = ()  # of telling the token endpoint who we are
    tells_issuer: bool = False


class Trip(Struct, frozen=True):
    """A login that a browser is to bring to its end."""

    url: str
    state: str
    verifier: str


def origin(url: str) -> str:
    """Scheme and host of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


# -- finding out --------------------------------------------------------------------------------


async def discover(http: "httpx2.AsyncClient", url: str, challenge: str, scopes: tuple[str, ...]) -> Found:
    """What the server, and whoever it trusts, say about logging in.

    Raises:
        Failed: they say nothing that could be used.
    """
    from mcp.client.auth.utils import get_client_metadata_scopes

    resource = await _resource(http, url, challenge)
    advertised = str(resource.authorization_servers[0]) if resource and resource.authorization_servers else ""
    server = await _server(http, url, advertised)
    base = origin(url)
    issuer = str(server.issuer) if server else advertised or base
    wanted = " ".join(scopes) or get_client_metadata_scopes(
        _field(challenge, "scope") or None, resource, server, ["authorization_code", "refresh_token"]
    )
    return Found(
        issuer=issuer,
        resource=_audience(url, resource),
        scope=wanted or "",
        authorize=_checked(str(server.authorization_endpoint) if server else urljoin(base, "/authorize")),
        token=_checked(str(server.token_endpoint) if server else urljoin(base, "/token")),
        register=str(server.registration_endpoint or "") if server else urljoin(base, "/register"),
        server_metadata=_plain(server),
        resource_metadata=_plain(resource),
        methods=tuple(server.token_endpoint_auth_methods_supported or ()) if server else (),
        tells_issuer=bool(server and server.authorization_response_iss_parameter_supported),
    )


def _plain(metadata: Any) -> dict[str, Any]:
    return dict(metadata.model_dump(mode="json", exclude_none=True)) if metadata else {}


def _checked(address: str) -> str:
    if urlsplit(address).scheme not in ("http", "https"):
        raise Failed(f"the authorization server names an address that is none: {address[:200]!r}")
    return address


def _field(challenge: str, name: str) -> str:
    """A parameter of `WWW-Authenticate`."""
    import httpx2
    from mcp.client.auth.utils import extract_field_from_www_auth

    response = httpx2.Response(401, headers={"www-authenticate": challenge})
    return extract_field_from_www_auth(response, name) or ""


async def _resource(http: "httpx2.AsyncClient", url: str, challenge: str) -> "ProtectedResourceMetadata | None":
    from mcp.client.auth.utils import (
        build_protected_resource_metadata_discovery_urls,
        create_oauth_metadata_request,
        handle_protected_resource_response,
    )

    told = _field(challenge, "resource_metadata") or None
    for candidate in build_protected_resource_metadata_discovery_urls(told, url):
        response = await http.send(create_oauth_metadata_request(candidate))
        if response.status_code == 429 or response.status_code >= 500:
            raise Failed(f"{candidate} answers with status {response.status_code}")
        if found := await handle_protected_resource_response(response):
            return found
    return None


def _audience(url: str, resource: "ProtectedResourceMetadata | None") -> str:
    """What tokens are asked for (RFC 8707)."""
    from mcp.shared.auth_utils import check_resource_allowed, resource_url_from_server_url

    own = resource_url_from_server_url(url)
    if resource is None:
        return own
    named = str(resource.resource)
    if not check_resource_allowed(requested_resource=own, configured_resource=named):
        raise Failed(f"the server says that it is {named}, which does not go with its address {own}")
    return named


async def _server(http: "httpx2.AsyncClient", url: str, advertised: str) -> "OAuthMetadata | None":
    from mcp.client.auth.utils import (
        build_oauth_authorization_server_metadata_discovery_urls,
        create_oauth_metadata_request,
        handle_auth_metadata_response,
        issuers_match,
    )

    for candidate in build_oauth_authorization_server_metadata_discovery_urls(advertised or None, url):
        response = await http.send(create_oauth_metadata_request(candidate))
        usable, found = await handle_auth_metadata_response(response)
        if found is not None:
            if not issuers_match(str(found.issuer), advertised or origin(url)):
                raise Failed(f"the authorization server calls itself {found.issuer}, not {advertised or origin(url)}")
            return found
        if not usable:
            raise Failed(f"{candidate} answers with status {response.status_code}")
    if advertised and origin(advertised) != origin(url):
        raise Failed(f"the authorization server {advertised} says nothing about itself")
    return None


# -- logging in ---------------------------------------------------------------------------------


async def register(http: "httpx2.AsyncClient", found: Found, redirect_uri: str, own: Client) -> dict[str, Any]:
    """The client that we are: the one that the agent file names, else a new one.

    Raises:
        Failed: the authorization server takes none.
    """
    from mcp.client.auth import OAuthFlowError
    from mcp.client.auth.oauth2 import check_registration_usable
    from mcp.client.auth.utils import handle_registration_response
    from mcp.shared.auth import OAuthClientMetadata

    if own.id:
        post = "client_secret_post" in found.methods
        method = ("client_secret_post" if post else "client_secret_basic") if own.secret else "none"
        return {"client_id": own.id, "client_secret": own.secret, "token_endpoint_auth_method": method}
    if not found.register:
        raise Failed("the authorization server registers no clients: name one in remote.oauth.clientId")
    local = urlsplit(redirect_uri).hostname in ("127.0.0.1", "localhost", "::1")
    try:
        metadata = OAuthClientMetadata.model_validate(
            {
                "client_name": "Roost",
                "redirect_uris": [redirect_uri],
                "token_endpoint_auth_method": "none",
                "scope": found.scope or None,
                "application_type": "native" if local else "web",
            }
        )
        body = metadata.model_dump(by_alias=True, mode="json", exclude_none=True)
        registered = await handle_registration_response(await http.post(_checked(found.register), json=body))
        check_registration_usable(registered)
    except (OAuthFlowError, ValueError) as error:
        raise Failed(f"no client could be registered: {error}") from None
    return {
        "client_id": registered.client_id,
        "client_secret": registered.client_secret or "",
        "token_endpoint_auth_method": registered.token_endpoint_auth_method or "none",
    }


def trip(found: Found, client: dict[str, Any], redirect_uri: str) -> Trip:
    """Where the browser goes, with a state and a challenge of its own."""
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code",
        "client_id": client["client_id"],
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": digest,
        "code_challenge_method": "S256",
        "resource": found.resource,
    }
    if found.scope:
        query["scope"] = found.scope
        if "offline_access" in found.scope.split():
            query["prompt"] = "consent"
    mark = "&" if "?" in found.authorize else "?"
    return Trip(f"{found.authorize}{mark}{urlencode(query)}", state, verifier)


async def exchange(
    http: "httpx2.AsyncClient", found: Found, client: dict[str, Any], redirect_uri: str, code: str, verifier: str
) -> Kept:
    """A token for a code.

    Raises:
        Failed: there is none.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
        "resource": found.resource,
    }
    token = await _token(http, found.token, client, form)
    return Kept(token, found.issuer, found.token, found.resource, redirect_uri, client)


async def renew(http: "httpx2.AsyncClient", kept: Kept) -> Kept | None:
    """The login with a new token; None where only a person can get one.

    Raises:
        Failed: not now.
    """
    if not (kept.token.refresh and kept.token_endpoint and kept.client.get("client_id")):
        return None
    form = {"grant_type": "refresh_token", "refresh_token": kept.token.refresh, "resource": kept.resource}
    try:
        token = await _token(http, kept.token_endpoint, kept.client, form)
    except Refused:
        return None
    refresh, scope = token.refresh or kept.token.refresh, token.scope or kept.token.scope
    token = Token(token.access, refresh, token.expires_at, token.lifetime, scope)
    return Kept(token, kept.issuer, kept.token_endpoint, kept.resource, kept.redirect_uri, kept.client)


class Refused(Failed):
    """The authorization server gives no token for this."""


async def _token(http: "httpx2.AsyncClient", endpoint: str, client: dict[str, Any], form: dict[str, str]) -> Token:
    headers = {"Accept": "application/json"}
    identity, secret = str(client["client_id"]), str(client.get("client_secret") or "")
    form = {**form, "client_id": identity}
    if secret and client.get("token_endpoint_auth_method") == "client_secret_basic":
        pair = f"{quote(identity, safe='')}:{quote(secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    elif secret:
        form["client_secret"] = secret
    response = await http.post(endpoint, data=form, headers=headers)
    if response.status_code >= 500 or response.status_code == 429:
        raise Failed(f"{endpoint} answers with status {response.status_code}")
    if response.status_code != 200:
        raise Refused(f"the authorization server gives no token: {_why(response)}")
    return token_of(_object(response))


def token_of(told: dict[str, Any]) -> Token:
    """A token as authorization servers write it down.

    Raises:
        Failed: there is none in it.
    """
    access, kind = told.get("access_token"), told.get("token_type") or "Bearer"
    if not isinstance(access, str) or not access or not access.isascii() or not access.isprintable():
        raise Failed("there is no access_token in the answer")
    if str(kind).lower() != "bearer":
        raise Failed(f"a token of type {str(kind)[:50]!r} can't be used, only one of type Bearer")
    try:
        lifetime = max(float(told.get("expires_in") or 0), 0.0)
    except (TypeError, ValueError):
        lifetime = 0.0
    refresh, scope = told.get("refresh_token"), told.get("scope")
    return Token(
        access,
        refresh if isinstance(refresh, str) else "",
        time.time() + lifetime if lifetime else 0.0,
        lifetime,
        scope if isinstance(scope, str) else "",
    )


def _object(response: "httpx2.Response") -> dict[str, Any]:
    try:
        told = response.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise Failed("the authorization server's answer is no JSON object")
    return told


def _why(response: "httpx2.Response") -> str:
    try:
        told = _object(response)
    except Failed:
        return f"status {response.status_code}"
    return f"{told.get('error') or response.status_code}: {told.get('error_description') or ''}"[:300].rstrip(": ")
