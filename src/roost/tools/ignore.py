"""What git would not show: its own folder, and what gitignore files name, nested ones too."""

# ruff: noqa: PTH118, PTH119, PTH120  (paths are text here: compared, joined and opened relative to descriptors)

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_LONGEST = 1024 * 1024


class Ignore:
    """The rules that hold below one directory, read when they are first needed."""

    def __init__(self, start: str) -> None:
        self._top = _top(start)
        self._specs: dict[str, GitIgnoreSpec | None] = {}

    def hides(self, path: str, *, is_dir: bool) -> bool:
        """Whether a path, absolute and without links, is not to be seen.  The deepest file with an opinion decides."""
        if os.path.basename(path) == ".git":
            return True
        folder = os.path.dirname(path)
        while True:
            spec = self._spec(folder)
            if spec is not None:
                verdict = spec.check_file(os.path.relpath(path, folder) + ("/" if is_dir else "")).include
                if verdict is not None:
                    return verdict
            if folder == self._top or folder == os.path.dirname(folder):
                return False
            folder = os.path.dirname(folder)

    def _spec(self, folder: str) -> "GitIgnoreSpec | None":
        if folder not in self._specs:
            lines = _lines(os.path.join(folder, ".gitignore"))
            if folder == self._top:
                lines = _lines(os.path.join(folder, ".git", "info", "exclude")) + lines
            self._specs[folder] = rules(lines) if lines else None
        return self._specs[folder]


def rules(lines: Sequence[str]) -> "GitIgnoreSpec":
    """Lines as gitignore files have them.

    Raises:
        ValueError: one of them can't be understood.
    """
    from pathspec import GitIgnoreSpec  # takes longer to load than most of a server

    return GitIgnoreSpec.from_lines(lines)


def _top(start: str) -> str:
    """The working tree's root; without one, the start itself."""
    folder = start
    while not os.path.lexists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return start
        folder = parent
    return folder


def _lines(path: str) -> list[str]:
    """The rules in a file.  As git does, it follows no link; a rule that can't be understood is left out."""
    try:
        info = os.lstat(path)
        if not stat.S_ISREG(info.st_mode) or info.st_size > _LONGEST:
            return []
        lines = Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if _is_rule(line)]


def _is_rule(line: str) -> bool:
    try:
        rules([line])
    except ValueError:
        return False
    return True
