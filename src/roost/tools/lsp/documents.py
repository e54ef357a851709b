"""What is open in a language server: files as they lie on the disk, told anew whenever they have changed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
from msgspec import Struct

from roost.tools.lsp.talk import Talk
from roost.tools.lsp.texts import Text
from roost.tools.lsp.words import language
from roost.tools.paths import Paths, Spot
from roost.tools.tool import Refused, in_thread

LARGEST = 16 * 1024 * 1024  # bytes of a file
MOST = 100  # files that are open at once

Stamp = tuple[int, int, int]


class Document(Struct):
    """An open file."""

    spot: Spot
    uri: str
    version: int
    stamp: Stamp
    text: Text


class Documents:
    """The open files of one run of a server."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        encoding = talk.capabilities.get("positionEncoding")
        self.encoding = encoding if encoding in ("utf-8", "utf-16", "utf-32") else "utf-16"
        self._open: dict[str, Document] = {}
        self._lock = anyio.Lock()

    async def open(self, paths: Paths, spot: Spot) -> Document:
        """The file, as the server knows it from now on; so are all others that are open.

        Raises:
            Refused: it can't be read.
        """
        async with self._lock:
            known = {real: document.stamp for real, document in self._open.items()}
            known.setdefault(spot.real, (0, 0, 0))
            news = await in_thread(lambda _: _news(paths, known, spot))
            for real, told in news.items():
                self._tell(real, told)
            found = self._open.pop(spot.real)
            self._open[spot.real] = found  # the newest is the last
            for real in list(self._open)[:-MOST]:
                self._close(real)
            return found

    async def refresh(self, paths: Paths) -> None:
        """Tell the server what has changed on the disk."""
        async with self._lock:
            known = {real: document.stamp for real, document in self._open.items()}
            for real, told in (await in_thread(lambda _: _news(paths, known, None))).items():
                self._tell(real, told)

    def texts(self) -> dict[str, str]:
        """What the server knows of the open files, by real path."""
        return {real: document.text.text for real, document in self._open.items()}

    def _tell(self, real: str, told: "tuple[Spot, Stamp, str] | None") -> None:
        if told is None:
            self._close(real)
            return
        spot, stamp, text = told
        document = self._open.get(real)
        if document is None:
            document = Document(spot, Path(real).as_uri(), 1, stamp, Text(text, self.encoding))
            self._open[real] = document
            kind = language(os.path.splitext(real)[1])  # noqa: PTH122
            item = {"uri": document.uri, "languageId": kind, "version": 1, "text": text}
            self.talk.notify("textDocument/didOpen", {"textDocument": item})
            return
        document.stamp = stamp
        if document.text.text == text:
            return
        document.version += 1
        document.text = Text(text, self.encoding)
        self.talk.diagnosed.forget(document.uri)
        name = {"uri": document.uri, "version": document.version}
        self.talk.notify("textDocument/didChange", {"textDocument": name, "contentChanges": [{"text": text}]})
        if self._wants_saves():
            self.talk.notify("textDocument/didSave", {"textDocument": {"uri": document.uri}})

    def _wants_saves(self) -> bool:
        sync: Any = self.talk.capabilities.get("textDocumentSync")
        return isinstance(sync, Mapping) and bool(sync.get("save"))

    def _close(self, real: str) -> None:
        document = self._open.pop(real, None)
        if document is not None:
            self.talk.notify("textDocument/didClose", {"textDocument": {"uri": document.uri}})
            self.talk.diagnosed.forget(document.uri)


def _news(paths: Paths, known: Mapping[str, Stamp], wanted: Spot | None) -> "dict[str, tuple[Spot, Stamp, str] | None]":
    """The files whose stamp is another one by now; None for those that are gone."""
    news: dict[str, tuple[Spot, Stamp, str] | None] = {}
    for real, stamp in known.items():
        spot = wanted if wanted is not None and wanted.real == real else Spot(real, real)
        try:
            found, now = read(paths, spot, unless=stamp)
        except Refused:
            if spot is wanted:
                raise
            news[real] = None
        else:
            if found is not None:
                news[real] = (spot, now, found)
    return news


def read(paths: Paths, spot: Spot, *, unless: Stamp | None = None) -> tuple[str | None, Stamp]:
    """A file's text and its stamp; None where it still has the stamp `unless`.

    Raises:
        Refused: it can't be read, is too large, or is no text.
    """
    with paths.open(spot) as file:
        status = os.fstat(file.fileno())
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == unless:
            return None, stamp
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Refused(f"{spot.shown} is too large ({LARGEST} bytes at most)")
    try:
        return data.decode(), stamp
    except UnicodeDecodeError:
        raise Refused(f"{spot.shown} is not UTF-8") from None
