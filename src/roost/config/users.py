"""Accounts that another server of this kind wrote down: its `users.json`, read and never written."""

import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from roost.core.accounts import Account
from roost.core.ids import Micros

log = logging.getLogger(__name__)

_FINE = re.compile(r"(\.\d{6})\d+")  # of a second: more digits than Python reads


class _User(Struct):
    username: str
    password_hash: str
    home_dir: str
    created_at: str = ""
    enabled: bool = True


class _Users(Struct):
    users: list[_User] = []


class UsersFile:
    """The first of `paths` that is there.  Where none is, or it can't be read, nothing is said of anybody."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._seen: tuple[object, ...] | None = None

    @property
    def path(self) -> Path | None:
        """The file that is read, if there is one."""
        return next((path for path in self._paths if path.is_file()), None)

    def news(self) -> Sequence[Account] | None:
        """What it says, if it is new or has changed since the last look; else None."""
        for path in self._paths:
            try:
                found = path.stat()
            except OSError:
                continue
            stamp = (path, found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp == self._seen:
                return None
            self._seen = stamp
            if found.st_mode & 0o077:
                log.warning("%s can be read by others: chmod 600 it", path, extra={"action": "secret_readable"})
            return _read(path)
        return None

    def forget(self) -> None:
        """What was read could not be used: read it again at the next look."""
        self._seen = None


def _read(path: Path) -> Sequence[Account] | None:
    try:
        listed = msgspec.json.decode(path.read_bytes(), type=_Users).users
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("%s can't be read, and changes nothing: %s", path, error, extra={"action": "users_unread"})
        return None
    return tuple(
        Account(user.username, user.password_hash, user.home_dir, _moment(user.created_at), user.enabled)
        for user in listed
    )


def _moment(text: str) -> Micros:
    try:
        at = datetime.fromisoformat(_FINE.sub(r"\1", text))
        return Micros(round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1e6))
    except ValueError:
        return Micros(0)
