"""A protected tool server with an authorization server of its own: registration, PKCE, refreshing; all on loopback.

`python oauth.py PORT SECONDS` runs it by itself; so long do its tokens last.
"""

import secrets
import sys
import time
from collections import Counter
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    TokenError,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken


class Gate(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Consents at once, or refuses when the scope `deny` is asked for; `did` counts what it was asked."""

    def __init__(self, base: str, lifetime: int) -> None:
        self.base = base
        self.lifetime = lifetime
        self.did: Counter[str] = Counter()
        self.clients: dict[str, OAuthClientInformationFull] = {}
        self.codes: dict[str, AuthorizationCode] = {}
        self.access: dict[str, AccessToken] = {}
        self.refresh: dict[str, tuple[RefreshToken, str | None]] = {}

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.did["register"] += 1
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        self.did["authorize"] += 1
        mark = "&" if "?" in str(params.redirect_uri) else "?"
        if "deny" in (params.scopes or []):
            return f"{params.redirect_uri}{mark}error=access_denied&error_description=no&state={params.state}"
        code = secrets.token_urlsafe(32)
        self.codes[code] = AuthorizationCode(
            code=code,
            client_id=client.client_id,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            expires_at=time.time() + 60,
            scopes=params.scopes or ["mcp"],
            code_challenge=params.code_challenge,
            resource=params.resource,
        )
        return f"{params.redirect_uri}{mark}code={code}&state={params.state}&iss={self.base}"

    def issue(self, client_id: str, scopes: list[str], resource: str | None) -> OAuthToken:
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        until = int(time.time()) + self.lifetime
        self.access[access] = AccessToken(
            token=access, client_id=client_id, scopes=scopes, expires_at=until, resource=resource
        )
        self.refresh[refresh] = (RefreshToken(token=refresh, client_id=client_id, scopes=scopes), resource)
        return OAuthToken(access_token=access, expires_in=self.lifetime, scope=" ".join(scopes), refresh_token=refresh)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        self.did["exchange"] += 1
        if self.codes.pop(authorization_code.code, None) is None:
            raise TokenError("invalid_grant", "code already used")
        return self.issue(client.client_id, authorization_code.scopes, authorization_code.resource)

    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> RefreshToken | None:
        return (self.refresh.get(refresh_token) or (None,))[0]

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        self.did["refresh"] += 1
        _, resource = self.refresh.pop(refresh_token.token)
        return self.issue(client.client_id, scopes or refresh_token.scopes, resource)

    async def load_access_token(self, token: str) -> AccessToken | None:
        found = self.access.get(token)
        return found if found and found.expires_at and found.expires_at > time.time() else None

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.access.pop(token.token, None)
        self.refresh.pop(token.token, None)


def protected(base: str, lifetime: int = 3600) -> tuple[Any, Gate]:
    """The server's app at `base`, and what decides who comes in."""
    gate = Gate(base, lifetime)
    options = ClientRegistrationOptions(enabled=True, valid_scopes=["mcp", "deny"], default_scopes=["mcp"])
    settings = AuthSettings.model_validate(
        {
            "issuer_url": base,
            "resource_server_url": f"{base}/mcp",
            "required_scopes": ["mcp"],
            "validate_token_resource": True,
            "client_registration_options": options,
            "revocation_options": RevocationOptions(enabled=True),
        }
    )
    made: MCPServer[Any] = MCPServer("protected", auth_server_provider=gate, auth=settings, log_level="WARNING")

    @made.tool()
    def whoami() -> str:
        token = get_access_token()
        return f"client={'yes' if token and token.client_id else 'no'} scopes={token.scopes if token else None}"

    return made.streamable_http_app(), gate


def main() -> None:
    import uvicorn

    port, lifetime = map(int, sys.argv[1:])
    app, _ = protected(f"http://127.0.0.1:{port}", lifetime)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=0)


if __name__ == "__main__":
    main()
