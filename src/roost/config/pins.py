"""The contents that turns were opened with, by hash: a turn goes on with its own, whatever its source says by then."""

import hashlib
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from roost import private
from roost.config.bundle import Bundle
from roost.core.agents import Team

log = logging.getLogger(__name__)

KEPT: Final = 8  # contents of one source on the disk
MOST: Final = 64  # teams in memory


class Pins:
    """Teams in memory, and their bytes in a folder; without a folder they last as long as the process."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._teams: dict[tuple[str, str], Team] = {}

    def team(self, source: str, hash: str) -> Team | None:
        """The team, where it is in memory."""
        return self._teams.get((source, hash))

    def remember(self, team: Team) -> bool:
        """Keep a team in memory; whether it is new there."""
        new = (team.source, team.hash) not in self._teams
        self._teams[team.source, team.hash] = team
        if len(self._teams) > MOST:
            del self._teams[next(iter(self._teams))]
        return new

    def put(self, source: str, hash: str, bundle: Bundle) -> None:
        """Keep the bytes; of a source the newest few stay.  For a thread."""
        path = self._path(source, hash)
        if path is None:
            return
        try:
            if path.exists():
                os.utime(path)
                return
            private.write(path, msgspec.json.encode(bundle))
            for old in sorted(path.parent.glob("*.json"), key=_written, reverse=True)[KEPT:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            log.warning("the content of %s can't be kept: %s", source, error, extra={"action": "pin_unwritable"})

    def get(self, source: str, hash: str) -> Bundle | None:
        """The bytes, where they are kept.  For a thread."""
        path = self._path(source, hash)
        try:
            return None if path is None else msgspec.json.decode(path.read_bytes(), type=Bundle)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("%s can't be read: %s", path, error, extra={"action": "pin_unreadable"})
            return None

    def _path(self, source: str, hash: str) -> Path | None:
        if self._folder is None or not (hash.isascii() and hash.isalnum()):
            return None
        return self._folder / hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()[:32] / f"{hash}.json"


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
