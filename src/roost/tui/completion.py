"""What may be meant by the word at the cursor: a slash command, or a file."""

import os
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from roost.tui import matching
from roost.tui.parts import Command
from roost.tui.slash import OWN

SHOWN = 50  # that are offered
FILES = 20_000  # that are looked at
FRESH = 10.0  # seconds that a list of files is good for
GIT_SECONDS = 3.0

_FILE = re.compile(r"(?:^|(?<=\s))@(?P<word>[^\s@]*)$")
_COMMAND = re.compile(r"^/(?P<word>\S*)$")
_SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "target", "dist", "build"})


@dataclass(frozen=True, slots=True)
class Target:
    """The word that is being typed: from `start` of the line on."""

    kind: Literal["command", "file"]
    word: str
    start: int


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing that it may be; `text` takes the word's place."""

    text: str
    label: str
    detail: str = ""


def target(line: str, row: int) -> Target | None:
    """What is being typed at the end of `line`, the text of the cursor's row up to it."""
    if row == 0 and (found := _COMMAND.match(line)):
        return Target("command", found["word"], 0)
    if found := _FILE.search(line):
        return Target("file", found["word"], found.start())
    return None


def commands(word: str, agents: Sequence[Command]) -> list[Offer]:
    """The agent's commands and ours; where both have a name, it is the agent's."""
    named = {one.name for one in agents}
    offers = [Offer(f"/{one.name} ", f"/{one.name}", one.description or _line(one.instruction)) for one in agents]
    for own in OWN:
        if own.name not in named:
            label = f"/{own.name} {own.argument}".rstrip()
            offers.append(Offer(f"/{own.name} ", label, own.description))
    return matching.rank(word, offers, lambda offer: offer.text[1:].rstrip())[:SHOWN]


def files(word: str, paths: Iterable[str]) -> list[Offer]:
    """Files whose paths fit."""
    offers = (Offer(f"@{path} " if not path.endswith("/") else f"@{path}", path) for path in paths)
    return matching.rank(word, offers, lambda offer: offer.label)[:SHOWN]


def _line(text: str) -> str:
    return text.strip().splitlines()[0][:100] if text.strip() else ""


class Folder:
    """The files below a folder, as git knows them, or all but hidden ones.  `paths` blocks: it is for a thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: tuple[str, ...] = ()
        self._read_at = -FRESH

    def paths(self) -> tuple[str, ...]:
        """Paths from the folder on, folders with a `/` at their end."""
        now = time.monotonic()
        if now - self._read_at >= FRESH:
            found = self._tracked() or self._walked()
            folders = sorted({f"{parent}/" for path in found for parent in _parents(path)})
            self._paths, self._read_at = (*sorted(found, key=lambda p: (p.count("/"), p)), *folders), now
        return self._paths

    def _tracked(self) -> list[str]:
        """What git has, or would have; nothing where there is no git."""
        command = ["git", "-C", str(self._root), "ls-files", "-z", "-co", "--exclude-standard"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=GIT_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError):
            return []
        return [os.fsdecode(path) for path in done.stdout.split(b"\0")[:FILES] if path]

    def _walked(self) -> list[str]:
        found: list[str] = []
        for folder, below, names in os.walk(self._root):
            below[:] = sorted(name for name in below if not name.startswith(".") and name not in _SKIPPED)
            start = os.path.relpath(folder, self._root)
            found += [name if start == "." else f"{start}/{name}" for name in sorted(names) if not name.startswith(".")]
            if len(found) >= FILES:
                break
        return found[:FILES]


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
