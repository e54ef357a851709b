"""What goes with a message: pictures and files, as chips on the screen and as parts on the wire."""

import base64
import hashlib
import mimetypes
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from roost import private
from roost.client.shapes import Content, Posted
from roost.core.errors import BadValue

INLINE = 600_000  # bytes that go inside a request
LARGEST = 20 * 1024 * 1024  # bytes of one
MOST = 20  # with one message
BULKY, TALL = 10_000, 100  # characters, and lines, from which on a text that is pasted goes along
RAN = "I ran this command:"  # stands above what a command printed
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")

_MENTION = re.compile(r"(?:^|(?<=\s))@(\"[^\"\n]+\"|[^\s@]+)")
_MAGIC = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


@dataclass(frozen=True, slots=True)
class Attachment:
    """One: with its bytes, or a file that the server reads where it runs."""

    name: str
    mime_type: str
    size: int
    data: bytes = b""
    path: str = ""
    text: str = ""

    def part(self) -> dict[str, Any]:
        """As messages have it."""
        if self.text:
            return {"type": "text", "text": self.text}
        if self.path:
            return {"type": "file", "file": {"path": self.path, "mime_type": self.mime_type}}
        text = base64.b64encode(self.data).decode()
        return {"type": "image_url", "image_url": {"url": f"data:{self.mime_type};base64,{text}"}}

    @property
    def label(self) -> str:
        """Its name and size."""
        return f"{self.name} {amount(self.size)}"


def unpacked(message: Posted, folder: Path | None) -> tuple[str, list[Attachment]]:
    """What was typed for a message, and what was to go along; files that the text names are left out of that."""
    named = {str(path.absolute()) for path in mentioned(message.content, folder)}
    found = [_of_part(part) for part in message.multi_content if part.text != message.content]
    return message.content, [one for one in found if one is not None and one.path not in named]


def _of_part(part: Content) -> Attachment | None:
    if part.text:
        return of_text(entitled(part.text), part.text)
    if part.file is not None and part.file.path:
        path = Path(part.file.path)
        return Attachment(path.name, part.file.mime_type, path.stat().st_size if path.exists() else 0, path=str(path))
    url = part.image_url.url if part.image_url is not None else ""
    kind, comma, data = url.removeprefix("data:").partition(";base64,")
    if not (comma and url.startswith("data:")):
        return None
    picture = base64.b64decode(data)
    return Attachment(f"image.{kind.partition('/')[2]}", kind, len(picture), data=picture)


def amount(size: int) -> str:
    """Bytes, for people."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def of_bytes(data: bytes, *, local: bool, home: Path | None, name: str = "") -> Attachment:
    """A picture that came by the clipboard.

    Raises:
        BadValue: it is no picture that models take, or too large.
    """
    kind = sniff(data)
    if not kind:
        raise BadValue("that is no picture that models take (PNG, JPEG, GIF or WebP)")
    return _fitting(data, kind, name or f"image.{kind.partition('/')[2]}", local=local, home=home)


def of_file(path: Path, *, local: bool, home: Path | None = None) -> Attachment:
    """A file of this machine.  A picture is taken as it is now; of anything else the server is told where it is.

    Raises:
        BadValue: it can't be read, is too large, or the server is elsewhere and can't read it.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise BadValue(f"{path} is no file")
        if size > LARGEST:
            raise BadValue(f"{path.name} is too large: {amount(size)}, of at most {amount(LARGEST)}")
        kind = sniff(path.read_bytes()[:16]) if size else ""
        if kind:
            return _fitting(path.read_bytes(), kind, path.name, local=local, home=home, path=path)
    except OSError as error:
        raise BadValue(f"{path}: {error.strerror}") from None
    if not local:
        raise BadValue(f"{path.name} is on this machine, and the session on another: only pictures can be sent there")
    return Attachment(path.name, mimetypes.guess_type(path.name)[0] or "", size, path=str(path.absolute()))


def _fitting(
    data: bytes, kind: str, name: str, *, local: bool, home: Path | None, path: Path | None = None
) -> Attachment:
    """Inside the request where that is small enough, else by its place."""
    if len(data) <= INLINE:
        return Attachment(name, kind, len(data), data=data)
    if not local or (path is None and home is None) or len(data) > LARGEST:
        bound = LARGEST if local else INLINE
        raise BadValue(f"{name} is too large: {amount(len(data))}, of at most {amount(bound)}")
    if path is None and home is not None:
        path = home / "pasted" / f"{hashlib.sha256(data).hexdigest()[:16]}.{kind.partition('/')[2]}"
        try:
            private.write(path, data)
        except OSError as error:
            raise BadValue(f"{path}: {error.strerror}") from None
    return Attachment(name, kind, len(data), path=str(path and path.absolute()))


def entitled(text: str) -> str:
    """What a text that goes along is called: the command that printed it, or the line that it begins with."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("```")] or ["text"]
    first = lines[1] if len(lines) > 1 and lines[0] == RAN else lines[0]
    return first if len(first) <= 60 else f"{first[:59]}…"


def bulky(text: str) -> bool:
    """Whether a text is better not written among others."""
    return len(text) > BULKY or len(text.splitlines()) >= TALL


def of_text(name: str, text: str) -> Attachment:
    """Words that go along without standing in the prompt."""
    return Attachment(name if len(name) <= 40 else f"{name[:39]}…", "text/plain", len(text.encode()), text=text)


def sniff(data: bytes) -> str:
    """The type of a picture by its first bytes; "" for what is none."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), "")


def dropped(text: str) -> list[Path]:
    """The files that pasted text is nothing but the paths of: what terminals paste when files are dropped on them."""
    text = text.strip()
    if not text or len(text) > 8000:
        return []
    try:
        words = [text] if _path(text) else shlex.split(text)
        found = [_path(word) for word in words]
    except ValueError:
        return []
    return [path for path in found if path] if found and all(found) else []


def _path(word: str) -> Path | None:
    if word.startswith("file://"):
        word = unquote(urlsplit(word).path)
    if not word.startswith(("/", "~/")) or "\n" in word:
        return None
    try:
        path = Path(word).expanduser()
        return path if path.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None


def mentioned(text: str, folder: Path | None) -> list[Path]:
    """The files that a text names as `@path`, each once; what is no file is left as it is: a word."""
    if folder is None:
        return []
    found: dict[Path, None] = {}
    for word in _MENTION.findall(text):
        path = folder / Path(word.strip('"').rstrip(",.;:!?)")).expanduser()
        try:
            if path.is_file():
                found[path] = None
        except (OSError, ValueError):
            continue
    return list(found)[:MOST]
