"""Read, write and edit files."""

import base64
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO
from weakref import WeakValueDictionary

import anyio
from msgspec import Struct

from roost.core.messages import Media, Result
from roost.ports import Use
from roost.tools.paths import Paths, Spot
from roost.tools.tool import Refused, failed, in_thread

MOST = 256 * 1024  # bytes of text that one call reads
MOST_IMAGE = 4_500_000  # bytes of a picture, as base64
MOST_EDITED = 16 * 1024 * 1024

_IMAGES: Mapping[bytes, str] = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}

After = Callable[[Spot, Use], Any]
"""Called when a file was written: it returns, awaited, what to add to the result."""


class Files(Struct, frozen=True):
    """The work of the tools that read and write; `locks` keep edits of one file apart."""

    paths: Paths
    locks: WeakValueDictionary[str, anyio.Lock]
    after: After

    async def read(self, arguments: dict[str, Any], use: Use) -> Result:
        """read_file."""
        spot = self.paths.find(arguments["path"])
        return await in_thread(lambda _: _read(self.paths, spot, arguments))

    async def read_multiple(self, arguments: dict[str, Any], use: Use) -> Result:
        """read_multiple_files."""
        wanted: list[str] = arguments["paths"]
        most = max(MOST // max(len(wanted), 1), 4096)

        def read(path: str) -> tuple[str, bool]:
            try:
                with self.paths.open(self.paths.find(path)) as file:
                    return _text(file, path, 1, None, most), True
            except Refused as refusal:
                return f"Error: {refusal}", False

        contents = await in_thread(lambda _: [(path, *read(path)) for path in wanted])
        if arguments.get("json"):
            output = json.dumps([{"path": path, "content": text} for path, text, _ in contents], ensure_ascii=False)
        else:
            output = "\n\n".join(f"=== {path} ===\n{text}" for path, text, _ in contents)
        return Result(output, is_error=bool(contents) and not any(good for _, _, good in contents))

    async def write(self, arguments: dict[str, Any], use: Use) -> Result:
        """write_file."""
        spot = self.paths.find(arguments["path"])
        data = arguments["content"].encode()
        async with self._lock(spot):
            await in_thread(lambda _: self.paths.write(spot, data))
            note = await self.after(spot, use)
        return Result(f"File written successfully: {arguments['path']} ({len(data)} bytes){note}")

    async def edit(self, arguments: dict[str, Any], use: Use) -> Result:
        """edit_file."""
        spot = self.paths.find(arguments["path"])
        edits: list[dict[str, str]] = arguments["edits"]
        async with self._lock(spot):
            await in_thread(lambda _: self._edit(spot, edits))
            note = await self.after(spot, use)
        count = "1 edit" if len(edits) == 1 else f"{len(edits)} edits"
        return Result(f"File edited successfully. {count} applied to {arguments['path']}{note}")

    def _edit(self, spot: Spot, edits: list[dict[str, str]]) -> None:
        with self.paths.open(spot) as file:
            data = file.read(MOST_EDITED + 1)
        if len(data) > MOST_EDITED:
            raise Refused(f"{spot.shown} is too large to edit ({MOST_EDITED} bytes at most)")
        text = data.decode(errors="surrogateescape")
        for number, edit in enumerate(edits, 1):
            text = _replaced(text, edit["oldText"], edit["newText"], number)
        self.paths.write(spot, text.encode(errors="surrogateescape"))

    async def make(self, arguments: dict[str, Any], use: Use) -> Result:
        """create_directory."""
        return await self._each(arguments["paths"], self.paths.make, "Directory created successfully: {}")

    async def remove(self, arguments: dict[str, Any], use: Use) -> Result:
        """remove_directory."""
        return await self._each(arguments["paths"], self.paths.remove, "Directory removed successfully: {}")

    async def _each(self, paths: list[str], act: Callable[[Spot], None], done: str) -> Result:
        """One line for each path; an error if none went well."""

        def attempt(path: str) -> tuple[str, bool]:
            try:
                act(self.paths.find(path))
            except Refused as refusal:
                return f"Error: {refusal}", False
            return done.format(path), True

        lines = await in_thread(lambda _: [attempt(path) for path in paths])
        return Result("\n".join(line for line, _ in lines), is_error=not any(good for _, good in lines))

    def _lock(self, spot: Spot) -> anyio.Lock:
        lock = self.locks.get(spot.real)
        if lock is None:
            lock = self.locks[spot.real] = anyio.Lock()
        return lock


def _read(paths: Paths, spot: Spot, arguments: dict[str, Any]) -> Result:
    with paths.open(spot) as file:
        start = file.read(16)
        file.seek(0)
        if mime := _image(start):
            return _picture(file, arguments["path"], mime)
        return Result(_text(file, arguments["path"], arguments.get("offset", 1), arguments.get("limit"), MOST))


def _image(start: bytes) -> str:
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for magic, mime in _IMAGES.items() if start.startswith(magic)), "")


def _picture(file: BinaryIO, path: str, mime: str) -> Result:
    data = file.read(MOST_IMAGE)
    encoded = base64.b64encode(data).decode()
    size = os.fstat(file.fileno()).st_size
    if len(encoded) > MOST_IMAGE:
        return failed(f"{path} is an image of {size} bytes, too large to be shown: make a smaller copy of it first")
    return Result(f"Read image file {path} [{mime}] ({size} bytes)", images=(Media(encoded, mime),))


def _text(file: BinaryIO, path: str, offset: int, limit: int | None, most: int) -> str:
    """Lines of a file, numbered from 1, as many as there is room for."""
    if b"\0" in file.read(8192):
        raise Refused(f"{path} is a binary file ({os.fstat(file.fileno()).st_size} bytes)")
    file.seek(0)
    taken: list[bytes] = []
    line, size, cut = 1, 0, False
    while piece := file.readline(most):
        if line >= offset:
            if (limit is not None and line >= offset + limit) or size + len(piece) > most:
                cut = True
                break
            taken.append(piece)
            size += len(piece)
        if piece.endswith(b"\n"):
            line += 1
    if not taken and offset > 1 and not cut:
        raise Refused(f"{path} has no line {offset}: it ends with line {max(line - 1, 1)}")
    text = b"".join(taken).decode(errors="replace")
    return text + _more(file, line, offset, taken) if cut else text


def _more(file: BinaryIO, line: int, offset: int, taken: list[bytes]) -> str:
    size = os.fstat(file.fileno()).st_size
    if taken and not taken[-1].endswith(b"\n"):
        return f"\n[line {line} is cut: it is too long to be read whole; the file has {size} bytes]"
    return f"[lines {offset} to {line - 1} of a file of {size} bytes; to read on, use offset={line}]"


def _replaced(text: str, old: str, new: str, number: int) -> str:
    """One edit applied: its text must be there, and only once."""
    if not old:
        raise Refused(f"Edit {number} failed: old text is empty")
    if old not in text and "\r\n" in text:
        old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
    count = _count(text, old)
    if not count:
        raise Refused(f"Edit {number} failed: old text not found")
    if count > 1:
        raise Refused(f"Edit {number} failed: old text found {count} times, it must be there exactly once")
    return text.replace(old, new)


def _count(text: str, part: str) -> int:
    """How often a part is found, overlapping finds included."""
    count, at = 0, text.find(part)
    while at >= 0:
        count, at = count + 1, text.find(part, at + 1)
    return count
