"""Requests to AWS: where they go, and their signature, by botocore."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import anyio.to_thread

from roost.core.agents import ModelSpec
from roost.core.errors import BadModel, ModelFailed

BEARER = "AWS_BEARER_TOKEN_BEDROCK"
SERVICE = "bedrock"
NO_KEY = (
    f"no AWS credentials were found: set {BEARER}, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE,"
    " or profile in provider_opts"
)

_SIGNS: tuple[str, ...] = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_SIGNS += ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",)
_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "credentials_file", "AWS_CONFIG_FILE": "config_file"}


def region(spec: ModelSpec, env: Mapping[str, str]) -> str:
    """The region to ask in."""
    named = spec.options.get("region") or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    return str(named or "us-east-1")


def address(spec: ModelSpec, env: Mapping[str, str]) -> str:
    """The base URL of Bedrock."""
    where = region(spec, env)
    ending = ".cn" if where.startswith("cn-") else ""
    return str(spec.options.get("endpoint_url") or spec.base_url) or (
        f"https://bedrock-runtime.{where}.amazonaws.com{ending}"
    )


def evident(spec: ModelSpec, env: Mapping[str, str]) -> bool:
    """Whether there is a sign of credentials, without asking anybody for them."""
    if spec.options.get("profile") or any(env.get(name) for name in _SIGNS):
        return True
    home = Path(env.get("HOME", "~")).expanduser()
    return Path(env.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials").is_file()


def check(spec: ModelSpec) -> None:
    """Say what to do where requests can't be signed.

    Raises:
        BadModel: botocore is not installed.
    """
    if find_spec("botocore") is None:
        raise BadModel(
            f"model {spec.name!r}: without {BEARER} requests to Amazon Bedrock are signed by botocore, which is not"
            " installed: pip install 'roost[bedrock]'"
        )


class Signer:
    """Signs requests with the credentials of AWS's usual chain, or of a role that they may take."""

    def __init__(self, spec: ModelSpec, env: Mapping[str, str]) -> None:
        check(spec)
        self._options = spec.options
        self._env = env
        self._region = region(spec, env)
        self._credentials: Any = None
        self._lock = Lock()

    async def __call__(self, url: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        """The headers with a signature.

        Raises:
            ModelFailed: there are no credentials, or none can be had.
        """
        return {**headers, **await anyio.to_thread.run_sync(self._signed, url, headers, body)}

    def _signed(self, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        from botocore.auth import SigV4Auth  # heavy, and only this provider wants it
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            with self._lock:
                self._credentials = self._credentials or self._found()
                frozen = self._credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            raise ModelFailed(f"no AWS credentials: {error}", kind="auth") from error
        kept = {"content-type": headers.get("content-type", "application/json")}
        request = AWSRequest("POST", url, headers=kept, data=body)
        SigV4Auth(frozen, SERVICE, self._region).add_auth(request)
        return {name.lower(): value for name, value in request.headers.items()}

    def _found(self) -> Any:
        from botocore.session import Session

        profile = self._options.get("profile") or self._env.get("AWS_PROFILE")
        session = Session(profile=str(profile) if profile else None)
        for variable, name in _FILES.items():
            if path := self._env.get(variable):
                session.set_config_variable(name, path)
        given = self._given() if not self._options.get("profile") else None
        if given is not None:
            session.set_credentials(*given)
        credentials = session.get_credentials()
        if credentials is None:
            raise ModelFailed(NO_KEY, kind="auth")
        role = self._options.get("role_arn")
        return self._taken(session, credentials, str(role)) if role else credentials

    def _given(self) -> tuple[str, str, str | None] | None:
        """The key that the environment holds."""
        key, secret = self._env.get("AWS_ACCESS_KEY_ID"), self._env.get("AWS_SECRET_ACCESS_KEY")
        return (key, secret, self._env.get("AWS_SESSION_TOKEN")) if key and secret else None

    def _taken(self, session: Any, credentials: Any, role: str) -> Any:
        """Credentials of a role, fetched when they are needed and anew before they end."""
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

        more = {"RoleSessionName": str(self._options.get("role_session_name") or "roost")}
        if external := self._options.get("external_id"):
            more["ExternalId"] = str(external)

        def client(service: str, **given: Any) -> Any:
            return session.create_client(
                service, region_name=self._region, endpoint_url=self._env.get("AWS_ENDPOINT_URL_STS"), **given
            )

        fetcher = AssumeRoleCredentialFetcher(client, credentials, role, extra_args=more)
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
