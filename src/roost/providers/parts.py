"""Pictures and files of a message, as a provider can be shown them."""

import base64
import mimetypes
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import anyio
from msgspec import Struct

from roost.core.messages import File, Image, Message, Part, Text

MOST_TEXT = 1024 * 1024  # bytes of a text file that go into a prompt
MOST_BYTES = 32 * 1024 * 1024  # bytes of any other file

_TEXTUAL = {"json", "xml", "yaml", "x-yaml", "toml", "javascript", "x-sh", "sql", "x-ndjson", "rtf", "x-python"}
_SEEN = ("image", "audio", "video")
_OF_PROCESSES = re.compile(r"/proc/[0-9]")  # memory and environment of programs, this server's too
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*?;base64,(.*)", re.S)


class Loaded(Struct, frozen=True):
    """What a file holds; `data` is None where it can't be read, and `note` says why."""

    name: str
    mime_type: str = ""
    data: bytes | None = None
    note: str = ""


class Document(Struct, frozen=True):
    """A PDF, base64."""

    name: str
    data: str


Files = Mapping[str, Loaded]
Shown = Text | Image | Document | File  # a File that is shown has the id a provider gave it


async def load(messages: Iterable[Message]) -> Files:
    """All files that the messages name by path, read once each."""
    wanted = {part.path: part for message in messages for part in message.parts if isinstance(part, File) and part.path}
    if not wanted:
        return {}
    return await anyio.to_thread.run_sync(lambda: {path: _read(part) for path, part in wanted.items()})


def shown(part: Part, files: Files, *, images: bool = True, pdf: bool = True, ids: bool = True) -> Shown:
    """A part as it can be shown to a model that takes these kinds; else a note in its place."""
    match part:
        case Text():
            return part
        case Image():
            return part if images else Text("[an image that this model can't be shown]")
        case File(path="", file_id=file_id) if file_id:
            return part if ids else Text(f"[the file {file_id}, which this model can't be shown]")
        case File(path=path):
            return _file(files.get(path) or Loaded(path, note="it was not read"), images=images, pdf=pdf)


def inline(image: Image) -> tuple[str, str] | None:
    """Type and base64 text of a picture that stands in its own address, else None."""
    match = _DATA_URL.fullmatch(image.url)
    return (match[1] or "application/octet-stream", match[2]) if match else None


def plain(message: Message, files: Files) -> str:
    """All that a message says, as text alone."""
    if not message.parts:
        return message.content
    texts = (shown(part, files, images=False, pdf=False, ids=False) for part in message.parts)
    return "\n".join(text.text for text in texts if isinstance(text, Text))


def _file(file: Loaded, *, images: bool, pdf: bool) -> Shown:
    if file.data is None:
        return Text(f"[the file {file.name}: {file.note}]")
    if file.mime_type.startswith("image/") and images:
        return Image(f"data:{file.mime_type};base64,{_base64(file.data)}")
    if file.mime_type == "application/pdf" and pdf:
        return Document(file.name, _base64(file.data))
    if (text := _text(file)) is not None:
        return Text(f'<file name="{file.name}">\n{text}\n</file>')
    return Text(f"[the file {file.name} ({file.mime_type or 'unknown type'}), which this model can't be shown]")


def _text(file: Loaded) -> str | None:
    data = file.data or b""
    kind, _, subtype = file.mime_type.partition("/")
    known = kind == "text" or subtype.split("+")[-1] in _TEXTUAL
    if file.mime_type == "application/pdf" or b"\0" in data[:8192] or (kind in _SEEN and not known):
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace") if known else None


def _read(part: File) -> Loaded:
    path = Path(part.path)
    kind = part.mime_type or mimetypes.guess_type(path.name)[0] or ""
    most = MOST_BYTES if kind.startswith("image/") or kind == "application/pdf" else MOST_TEXT
    try:
        # Not to wait for whoever may write into a pipe some day.
        descriptor = os.open(
            path if part.firm else path.resolve(), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        )
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if part.firm and os.readlink(f"/proc/self/fd/{descriptor}") != part.path:  # noqa: PTH115
                return Loaded(path.name, kind, note="there is a link in its path")
            if not stat.S_ISREG(status.st_mode) or _OF_PROCESSES.match(str(path.resolve())):
                return Loaded(path.name, kind, note="it is no regular file")
            data = file.read(most + 1)  # some files are longer than they say
            if len(data) > most:
                return Loaded(path.name, kind, note=f"it is too large ({max(status.st_size, len(data))} bytes)")
            return Loaded(path.name, kind, data)
    except (OSError, ValueError, RuntimeError) as error:
        return Loaded(path.name, kind, note=f"it can't be read ({getattr(error, 'strerror', None) or error})")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
