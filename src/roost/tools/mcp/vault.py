"""Tokens for tool servers, kept by account and address: encrypted files that only their owner can read."""

import hashlib
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
from anyio import to_thread
from msgspec import Struct

from roost import private

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY = "key"

log = logging.getLogger(__name__)


class Token(Struct, frozen=True, omit_defaults=True):
    """What opens a server, and for how long."""

    access: str
    refresh: str = ""
    expires_at: float = 0.0  # seconds since 1970; 0 is not known
    lifetime: float = 0.0  # seconds that it had when it was new
    scope: str = ""

    def near_its_end(self, now: float) -> bool:
        """Whether it is better renewed before it is used."""
        return bool(self.expires_at) and now >= self.expires_at - min(60.0, self.lifetime / 5)


class Kept(Struct, frozen=True, omit_defaults=True):
    """A login: the token, and what it needs to be renewed.  A token of nothing is none: the client alone is kept."""

    token: Token
    issuer: str = ""
    token_endpoint: str = ""
    resource: str = ""
    redirect_uri: str = ""
    client: dict[str, Any] = {}  # the registration, as the authorization server has it


class Drawer:
    """The place of one login: of an account, at a server."""

    def __init__(self, path: Path, load: Callable[[Path], Kept | None], save: Callable[[Path, Kept], None]) -> None:
        self._path = path
        self._load = load
        self._save = save
        self.lock = anyio.Lock()  # while something is changed
        self._news = anyio.Event()
        self._read: tuple[int, Kept | None] = (0, None)  # when the file was last written, and what it said

    @property
    def news(self) -> anyio.Event:
        """Set once somebody has logged in anew, from the moment on in which it is asked for."""
        return self._news

    async def get(self) -> Kept | None:
        """What is kept; another server of this home may have written it."""
        written = self._written()
        if written != self._read[0]:
            self._read = (written, await to_thread.run_sync(self._load, self._path))
        return self._read[1]

    async def put(self, kept: Kept, *, quietly: bool = False) -> None:
        """Keep it; it is there once this returns.  `quietly` is for what is no login yet."""
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._save, self._path, kept)
        self._read = (self._written(), kept)
        if not quietly:
            news, self._news = self._news, anyio.Event()
            news.set()

    def _written(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0


class Vault:
    """All logins of one server.  What can't be read counts as not there: people log in again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drawers: dict[Path, Drawer] = {}

    def drawer(self, account: str, url: str) -> Drawer:
        """The place of an account's login at a server."""
        name = hashlib.sha256(f"{account}\0{url}".encode()).hexdigest()
        path = self._folder / f"{name}.login"
        return self._drawers.setdefault(path, Drawer(path, self._load, self._save))

    def _load(self, path: Path) -> Kept | None:
        from cryptography.fernet import InvalidToken

        try:
            sealed = path.read_bytes()
            return msgspec.json.decode(self._cipher().decrypt(sealed), type=Kept)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, InvalidToken, msgspec.MsgspecError) as error:
            why = str(error) or "the key is another one"
            log.warning("a login can't be read: %s: %s", path, why, extra={"action": "login_unreadable"})
            return None

    def _save(self, path: Path, kept: Kept) -> None:
        private.write(path, self._cipher().encrypt(msgspec.json.encode(kept)))

    def _cipher(self) -> "Fernet":
        # Loaded when the first login is kept or looked for: most servers have none.
        from cryptography.fernet import Fernet

        path = private.folder(self._folder) / KEY
        if not path.exists():
            draft = path.with_name(f".{KEY}.{os.getpid()}")
            private.write(draft, Fernet.generate_key())
            with suppress(FileExistsError):  # another server of this home was first
                os.link(draft, path)
            draft.unlink(missing_ok=True)
        return Fernet(path.read_bytes())
