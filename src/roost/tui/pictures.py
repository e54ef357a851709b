"""What of a message is no text: pictures and files, by name and size."""

from collections.abc import Iterable
from typing import Any

from roost.tui.rows import Picture

_SHOWN = ("http://", "https://")


def of_parts(parts: Iterable[Any]) -> tuple[Picture, ...]:
    """Those of a message's parts."""
    found = []
    for part in parts:
        if part.type == "image_url" and part.image_url is not None:
            found.append(_of_url(part.image_url.url))
        elif part.type == "file" and part.file is not None:
            name = part.file.path.rpartition("/")[2] or part.file.file_id
            found.append(Picture(name or "file", part.file.mime_type, url=part.file.path))
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
