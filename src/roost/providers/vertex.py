"""Vertex AI: where a project's models are, and who may use them, without a library of Google's."""

import base64
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import anyio.to_thread
import msgspec

from roost.core.agents import ModelSpec
from roost.core.errors import BadModel, ModelFailed
from roost.providers import tokens
from roost.providers.tokens import Token, Tokens

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
CREDENTIALS = "GOOGLE_APPLICATION_CREDENTIALS"

_PROJECT, _LOCATION, _SWITCH = "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "GOOGLE_GENAI_USE_VERTEXAI"
_MOST = 64 * 1024  # bytes of a file of credentials


def wanted(spec: ModelSpec, env: Mapping[str, str]) -> bool:
    """Whether a model of Google's is to be reached by Vertex AI."""
    named = bool(spec.options.get("project") or spec.options.get("location"))
    return named or env.get(_SWITCH, "").lower() in ("1", "true", "yes")


def missing(spec: ModelSpec, env: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that would have to be set."""
    names = [name for name, value in zip((_PROJECT, _LOCATION), place(spec, env), strict=True) if not value]
    return (*names, *(() if file(env).is_file() else (CREDENTIALS,)))


def place(spec: ModelSpec, env: Mapping[str, str]) -> tuple[str, str]:
    """Project and location, each "" where nobody says."""
    project = str(spec.options.get("project") or env.get(_PROJECT, ""))
    return project, str(spec.options.get("location") or env.get(_LOCATION, ""))


def address(spec: ModelSpec, env: Mapping[str, str]) -> tuple[str, str]:
    """The base URL, and the path of the project.

    Raises:
        BadModel: project or location is not known.
    """
    project, location = place(spec, env)
    if not project or not location:
        raise BadModel(
            f"model {spec.name!r}: Vertex AI needs a project and a location:"
            f" set {_PROJECT} and {_LOCATION}, or project and location in provider_opts"
        )
    host = "aiplatform.googleapis.com" if location == "global" else f"{location}-aiplatform.googleapis.com"
    where = f"projects/{quote(project, safe=':.-_')}/locations/{quote(location, safe='-')}"
    usual = "https://generativelanguage.googleapis.com"
    return (spec.base_url if spec.base_url not in ("", usual) else f"https://{host}"), where


def file(env: Mapping[str, str]) -> Path:
    """Where the application default credentials are kept, there or not."""
    if named := env.get(CREDENTIALS):
        return Path(named)
    folder = env.get("CLOUDSDK_CONFIG") or str(Path(env.get("HOME", "~")).expanduser() / ".config" / "gcloud")
    return Path(folder) / "application_default_credentials.json"


class Vertex:
    """Gives requests a token of the application default credentials."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._path = file(env)
        self._tokens = Tokens(self._fetch)
        self._quota = ""  # the project that is billed, where the credentials are a person's

    async def __call__(self, url: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        """The headers with a token.

        Raises:
            ModelFailed: there are no credentials, or they are refused.
        """
        token = await self._tokens.get()
        quota = {"x-goog-user-project": self._quota} if self._quota else {}
        return {**headers, "authorization": f"Bearer {token}", **quota}

    async def _fetch(self) -> Token:
        given = await anyio.to_thread.run_sync(_read, self._path)
        uri = str(given.get("token_uri") or TOKEN_URI)
        match given.get("type"):
            case "service_account":
                assertion = await anyio.to_thread.run_sync(_assertion, given, uri)
                form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
            case "authorized_user":
                self._quota = str(given.get("quota_project_id") or "")
                named = {name: str(given.get(name, "")) for name in ("client_id", "client_secret", "refresh_token")}
                form = {"grant_type": "refresh_token", **named}
            case kind:
                raise _unfit(self._path, f"credentials of the type {kind!r} are not understood here")
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await tokens.post(uri, headers, urlencode(form).encode(), who="Google")
        return token(answer, who="Google")


def token(answer: bytes, *, who: str) -> Token:
    """The token in an answer as OAuth has it.

    Raises:
        ModelFailed: there is none.
    """
    try:
        data = msgspec.json.decode(answer, type=dict[str, Any])
        return Token(str(data["access_token"]), float(data.get("expires_in") or 300))
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise ModelFailed(f"{who} sent no token that can be read", kind="auth") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as opened:
            data = opened.read(_MOST + 1)
    except OSError as error:
        raise ModelFailed(
            f"no Google credentials: {path} can't be read ({error.strerror});"
            f" set {CREDENTIALS}, or run `gcloud auth application-default login`",
            kind="auth",
        ) from error
    try:
        given = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unfit(path, "it is no JSON object") from error
    return given


def _assertion(given: Mapping[str, Any], uri: str) -> str:
    """A statement, signed with the service account's key, of who asks for what."""
    from cryptography.exceptions import UnsupportedAlgorithm  # 30 ms, and few need it
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    now = int(time.time())
    head = {"alg": "RS256", "typ": "JWT", "kid": given.get("private_key_id", "")}
    said = {"iss": given.get("client_email"), "scope": SCOPE, "aud": uri, "iat": now, "exp": now + 3600}
    text = b".".join(_encoded(msgspec.json.encode(part)) for part in (head, said))
    try:
        key = serialization.load_pem_private_key(str(given.get("private_key", "")).encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ModelFailed("the private key of the Google service account can't be read", kind="auth") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ModelFailed("the private key of the Google service account is no RSA key", kind="auth")
    return (text + b"." + _encoded(key.sign(text, padding.PKCS1v15(), hashes.SHA256()))).decode()


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unfit(path: Path, why: str) -> ModelFailed:
    return ModelFailed(f"the Google credentials in {path} can't be used: {why}", kind="auth")
