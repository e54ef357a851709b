"""What goes with a message beside its words: pictures, files and longer texts, by name and size."""

from collections.abc import Iterable
from typing import Any

from roost.tui import attachments
from roost.tui.rows import Picture

_SHOWN = ("http://", "https://")


def said(words: str, parts: Iterable[Any]) -> tuple[str, tuple[Picture, ...]]:
    """What a message says itself, and what goes with it.  Some clients put what it says among the parts alone."""
    parts = tuple(parts)
    texts = (part.text for part in parts if part.type == "text" and not part.text.startswith(attachments.RAN))
    words = words or next(texts, "")
    return words, of_parts(parts, words)


def of_parts(parts: Iterable[Any], words: str = "") -> tuple[Picture, ...]:
    """Those of a message's parts, where `words` are what it says itself."""
    found = []
    for part in parts:
        if part.type == "image_url" and part.image_url is not None:
            found.append(_of_url(part.image_url.url))
        elif part.type == "file" and part.file is not None:
            name = part.file.path.rpartition("/")[2] or part.file.file_id
            found.append(Picture(name or "file", part.file.mime_type, url=part.file.path))
        elif part.type == "text" and part.text.strip() and part.text != words:
            found.append(Picture(attachments.entitled(part.text), "text/plain", size=len(part.text.encode())))
    return tuple(found)


def of_media(media: Iterable[Any]) -> tuple[Picture, ...]:
    """Those that a tool returned."""
    return tuple(_sized(one.mime_type, len(one.data)) for one in media)


def _of_url(url: str) -> Picture:
    if url.startswith("data:"):
        head, _, data = url.partition(",")
        return _sized(head.removeprefix("data:").partition(";")[0], len(data))
    name = url.partition("?")[0].rstrip("/").rpartition("/")[2]
    return Picture(name or "image", url=url if url.startswith(_SHOWN) else "")


def _sized(mime_type: str, encoded: int) -> Picture:
    kind, _, form = mime_type.partition("/")
    return Picture(f"{form or kind} {kind}".strip(), mime_type, size=encoded * 3 // 4)
