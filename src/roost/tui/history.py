"""What was typed before: a line of JSON each in a file of its owner's, the newest last."""

import json
import os
from contextlib import suppress
from pathlib import Path

from roost import private

FILE = "prompts.jsonl"
MOST = 1000  # that are kept
LONGEST = 20_000  # characters of one that is


class History:
    """Up and down through it.  Without a folder it lasts as long as the program."""

    def __init__(self, home: Path | None) -> None:
        self._path = home / FILE if home else None
        self._lines = self._read()
        self._at = len(self._lines)
        self._draft = ""

    def add(self, text: str) -> None:
        """Keep what has been sent.  A file that can't be written is none of the typist's worries."""
        self._at = len(self._lines)
        if not text.strip() or len(text) > LONGEST or (self._lines and self._lines[-1] == text):
            return
        self._lines.append(text)
        self._at = len(self._lines)
        with suppress(OSError):
            self._write(text)

    def back(self, draft: str) -> str | None:
        """The one before; `draft` is what stands in the prompt, and is there again at the other end."""
        if self._at == len(self._lines):
            self._draft = draft
        if self._at == 0:
            return None
        self._at -= 1
        return self._lines[self._at]

    def forth(self) -> str | None:
        """The one after, or the draft; None where one is there already."""
        if self._at == len(self._lines):
            return None
        self._at += 1
        return self._lines[self._at] if self._at < len(self._lines) else self._draft

    @property
    def newest(self) -> list[str]:
        """All of it, each once, the newest first."""
        return list(dict.fromkeys(reversed(self._lines)))

    def rest(self) -> None:
        """Begin at the newest again: what stands in the prompt was edited."""
        self._at = len(self._lines)

    @property
    def browsing(self) -> bool:
        """Whether the prompt shows something old."""
        return self._at < len(self._lines)

    def _read(self) -> list[str]:
        if self._path is None:
            return []
        with suppress(OSError, UnicodeDecodeError):
            found = [_line(text) for text in self._path.read_text("utf-8").split("\n")[-MOST - 1 :]]
            return [line for line in found if line]
        return []

    def _write(self, text: str) -> None:
        if self._path is None:
            return
        if len(self._lines) > MOST:
            del self._lines[: len(self._lines) - MOST // 2]
            self._at = len(self._lines)
            whole = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in self._lines)
            private.write(self._path, whole.encode())
            return
        private.folder(self._path.parent)
        with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(f"{json.dumps(text, ensure_ascii=False)}\n".encode())


def _line(text: str) -> str:
    with suppress(ValueError):
        found = json.loads(text)
        return found if isinstance(found, str) else ""
    return ""
