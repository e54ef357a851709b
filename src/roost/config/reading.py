"""What became of reading a source: a team or an error, and how it is seen that the file has changed."""

import logging
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from roost.config.bundle import Bundle
from roost.config.places import shown
from roost.config.yaml import LARGEST
from roost.core.agents import Team
from roost.core.errors import AgentBroken, AgentUnreachable, RoostError

log = logging.getLogger(__name__)

SETTLED: Final = 100_000_000  # nanoseconds after which a second change shows in a file's time

Mark = tuple[int, int, int]
"""What tells that a file has changed: time of writing, size, inode."""


class Reading(Struct, frozen=True):
    """What became of reading a source: a team with its bytes, or an error.

    `mark` is that of a local file, None where it must be read again in any case; `once` says that it can't be.
    `lasts` is for what is not asked for again until it is refreshed.
    """

    mark: Mark | None = None
    team: Team | None = None
    bundle: Bundle | None = None
    error: RoostError | None = None
    once: bool = False
    lasts: bool = False
    powers: str = ""  # what of it comes from elsewhere, and may do unasked

    @property
    def away(self) -> bool:
        """Whether it could not be had, and may be later."""
        return isinstance(self.error, AgentUnreachable) and not self.once

    @property
    def outcome(self) -> tuple[str, str]:
        """What a person has to be told of only once."""
        return (self.team.hash if self.team is not None else "", str(self.error or ""))

    def tell(self, source: str) -> None:
        """Say in the log what is wrong with it, and what it may do."""
        if self.error is not None:
            log.warning("agent %s does not load:\n%s", source, self.error, extra={"action": "agent_broken"})
        for warning in self.team.warnings if self.team is not None else ():
            log.warning("%s", warning, extra={"action": "agent_warning", "agent": source})
        if self.powers:
            log.warning("%s", self.powers, extra={"action": "agent_powers", "agent": source})


def mark(path: Path) -> Mark | None:
    """The mark of a file as it is now; None where there is none."""
    try:
        return _mark_of(path.stat())
    except (OSError, ValueError):
        return None


def _mark_of(status: os.stat_result) -> Mark:
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def of_file(source: str, path: Path, env: Mapping[str, str]) -> Reading:
    """Read a file, without the agents of others.

    The mark is taken before, so that a change while reading is seen the next time; a file written a
    moment ago gets none, since a second change may not show in its time, nor does one that names others.
    """
    name = shown(path.name)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Reading(error=AgentBroken(f"{name}: can't be read: {reason}"))
    settled = abs(time.time_ns() - status.st_mtime_ns) > SETTLED
    seen = _mark_of(status) if settled else None
    once = not stat.S_ISREG(status.st_mode)  # a pipe gives what it holds only once
    bundle = Bundle(name, raw, folder=str(path.parent))
    try:
        team = bundle.first(source, env)
    except AgentBroken as error:
        return Reading(seen, error=error, once=once)
    return Reading(None if team.files else seen, team, bundle, once=once)
