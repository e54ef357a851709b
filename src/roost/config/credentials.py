"""Who we are at a registry: what `docker login` has kept, in its file or with a helper."""

import base64
import binascii
import json
import logging
import os
import re
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import anyio
from anyio import to_thread
from msgspec import Struct

from roost.config.references import HUB
from roost.config.values import Secret

log = logging.getLogger(__name__)

HUB_KEY: Final = "https://index.docker.io/v1/"
LARGEST: Final = 1024 * 1024  # bytes of the file, and of what a helper says
PATIENCE: Final = 10.0  # seconds that a helper has


class Login(Struct, frozen=True):
    """A name and a password, or a token that stands for both."""

    name: str = ""
    password: Secret = Secret("")
    identity: Secret = Secret("")

    @property
    def basic(self) -> str:
        """The header of both."""
        pair = f"{self.name}:{self.password.reveal()}".encode()
        return "Basic " + base64.b64encode(pair).decode()


async def login(registry: str, env: Mapping[str, str]) -> Login | None:
    """What is known for a registry; None where nothing is, and it is asked as anybody."""
    path = Path(env.get("DOCKER_CONFIG") or Path(env.get("HOME") or Path.home()) / ".docker") / "config.json"
    table = await to_thread.run_sync(_read, path)
    helpers = _table(table, "credHelpers")
    helper = next((name for key, name in helpers.items() if _host(key) == registry), table.get("credsStore"))
    if isinstance(helper, str) and helper and (found := await _ask(helper, registry, env)):
        return found
    entry = next((one for key, one in _table(table, "auths").items() if _host(key) == registry), None)
    return _inline(entry) if isinstance(entry, dict) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            table = json.loads(file.read(LARGEST))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("%s can't be read: %s", path, type(error).__name__, extra={"action": "credentials_unreadable"})
        return {}
    return table if isinstance(table, dict) else {}


def _table(table: dict[str, Any], key: str) -> dict[str, Any]:
    found = table.get(key)
    return found if isinstance(found, dict) else {}


def _host(key: str) -> str:
    """The registry that a key of the file is about; keys are hosts or addresses."""
    host = re.sub(r"^https?://", "", key).partition("/")[0].lower()
    return HUB if host in ("index.docker.io", "registry-1.docker.io") else host


def _inline(entry: dict[str, Any]) -> Login | None:
    identity = entry.get("identitytoken")
    if isinstance(identity, str) and identity:
        return Login(identity=Secret(identity))
    name, password = entry.get("username"), entry.get("password")
    if isinstance(entry.get("auth"), str) and entry["auth"]:
        with suppress(binascii.Error, ValueError):
            name, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    if isinstance(name, str) and isinstance(password, str) and name:
        return Login(name, Secret(password))
    return None


async def _ask(helper: str, registry: str, env: Mapping[str, str]) -> Login | None:
    """What a credential helper says.  One that is missing, fails or never ends says nothing."""
    program = f"docker-credential-{helper}"
    found = shutil.which(program, path=env.get("PATH")) if re.fullmatch(r"[\w.-]+", helper) else None
    said = b""
    if found is not None:
        with anyio.move_on_after(PATIENCE):
            said = await _said(found, HUB_KEY if registry == HUB else registry, env)
    try:
        answer = json.loads(said)
        name, secret = answer["Username"], Secret(str(answer["Secret"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        log.info("%s knows nothing of %s", program, registry, extra={"action": "helper_silent"})
        return None
    return Login(identity=secret) if name == "<token>" else Login(str(name), secret)


async def _said(program: str, question: str, env: Mapping[str, str]) -> bytes:
    """What it prints, at most `LARGEST` bytes; it and its children end with this call."""
    try:
        process = await anyio.open_process([program, "get"], env=dict(env), stderr=-3, start_new_session=True)
    except OSError:
        return b""
    said = b""
    try:
        assert process.stdin is not None and process.stdout is not None
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await process.stdin.send(f"{question}\n".encode())
            await process.stdin.aclose()
        with suppress(anyio.EndOfStream):
            while len(said) < LARGEST:
                said += await process.stdout.receive()
        return said if await process.wait() == 0 else b""
    finally:
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            await process.aclose()
