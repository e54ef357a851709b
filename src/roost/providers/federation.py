"""Anthropic without a key: a token of one's own house (of a CI job, of a cluster) is changed into one of theirs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import msgspec

from roost.core.agents import ModelSpec
from roost.core.errors import BadModel, ModelFailed
from roost.providers import commands, tokens
from roost.providers.tokens import Token, Tokens
from roost.providers.vertex import token

OAUTH = "oauth-2025-04-20"
BETAS = f"{OAUTH},oidc-federation-2026-04-01"

_MOST = 16 * 1024  # bytes of a token
_PATIENCE = 30.0  # seconds for a command
_WHO = ("federation_rule_id", "organization_id", "service_account_id", "workspace_id")
_SOURCES = ("file", "env", "command", "url")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Federation:
    """Gives requests a token that was exchanged for one of ours.

    Raises:
        BadModel: `auth` of the file lacks something.
    """

    def __init__(self, spec: ModelSpec, env: Mapping[str, str], base_url: str) -> None:
        self._name = spec.name
        self._env = env
        given = spec.auth.get("workload_identity_federation") or spec.auth
        self._given = {key: str(given[key]) for key in _WHO if given.get(key)} if isinstance(given, dict) else {}
        source = given.get("identity_token") if isinstance(given, dict) else None
        self._source: Mapping[str, Any] = source if isinstance(source, dict) else {}
        named = [kind for kind in _SOURCES if self._source.get(kind)]
        if not {"federation_rule_id", "organization_id"} <= self._given.keys() or len(named) != 1:
            raise BadModel(
                f"model {spec.name!r}: auth needs federation_rule_id, organization_id and identity_token"
                f" with one of {', '.join(_SOURCES)}"
            )
        self._kind = named[0]
        parts = urlsplit(base_url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise BadModel(f"model {spec.name!r}: tokens are exchanged over https only, not at {base_url}")
        self._url = base_url.rstrip("/").removesuffix("/v1") + "/v1/oauth/token"
        self._tokens = Tokens(self._fetch)

    async def __call__(self, url: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        """The headers with a token.

        Raises:
            ModelFailed: there is none to be had.
        """
        betas = ",".join(filter(None, (headers.get("anthropic-beta"), OAUTH)))
        return {**headers, "authorization": f"Bearer {await self._tokens.get()}", "anthropic-beta": betas}

    async def _fetch(self) -> Token:
        own = (await self._own()).strip()
        if not own or len(own) > _MOST:
            why = "empty" if not own else f"longer than {_MOST} bytes: that is no identity token"
            raise ModelFailed(f"the identity token of the {self._kind} is {why}", kind="auth")
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": own, **self._given}
        headers = {"content-type": "application/json", "anthropic-beta": BETAS}
        answer = await tokens.post(self._url, headers, msgspec.json.encode(grant), who="Anthropic")
        return token(answer, who="Anthropic")

    async def _own(self) -> str:
        """Our own token, read anew each time: it may have been replaced."""
        wish = self._source[self._kind]
        match self._kind:
            case "file":
                return await anyio.to_thread.run_sync(_read, Path(str(wish)))
            case "env":
                return self._env.get(str(wish), "")
            case "command":
                return await _output(
                    [str(word) for word in wish] if isinstance(wish, list) else ["sh", "-c", str(wish)]
                )
            case _:
                return await self._asked(str(wish))

    async def _asked(self, url: str) -> str:
        headers = {
            name.lower(): self._filled(str(value)) for name, value in (self._source.get("headers") or {}).items()
        }
        try:
            answer = await tokens.get(self._filled(url), headers)
        except ModelFailed as error:
            told = f"status {error.status}" if error.status else "no answer"
            raise ModelFailed(f"no identity token from {url}: {told}", kind=error.kind) from error
        field = self._source.get("response_field")
        if not field:
            return answer.decode("utf-8", "replace")
        try:
            return str(msgspec.json.decode(answer)[str(field)])
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, IndexError) as error:
            raise ModelFailed(f"the answer of {url} has no field {field!r}", kind="auth") from error

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{(?:env\.)?(\w+)\}", lambda match: self._env.get(match[1], ""), text)


def _read(path: Path) -> str:
    try:
        with path.expanduser().open("rb") as opened:
            return opened.read(_MOST + 1).decode("utf-8", "replace")
    except OSError as error:
        raise ModelFailed(f"the identity token {path} can't be read: {error.strerror}", kind="auth") from error


async def _output(argv: list[str]) -> str:
    """What a command prints."""
    try:
        code, said = await commands.output(argv, seconds=_PATIENCE, most=_MOST)
    except OSError as error:
        raise ModelFailed(f"the command {argv[0]!r} can't be run: {error.strerror}", kind="auth") from error
    except TimeoutError as error:
        raise ModelFailed(f"the command {argv[0]!r} did not end within {_PATIENCE:g} s", kind="auth") from error
    if code:
        raise ModelFailed(f"the command for the identity token failed (exit code {code})", kind="auth")
    return said.decode("utf-8", "replace")
