"""What a server returned, as a result that an agent can use: bounded, whatever it was."""

import base64
import json
from typing import TYPE_CHECKING, Any

from roost.core.messages import Media, Result
from roost.process import Output

if TYPE_CHECKING:
    from mcp import types

TEXT = 256 * 1024  # bytes of text that are kept
MEDIA = 8 * 1024 * 1024  # characters of base64, of all pictures and sounds together
STRUCTURED = 256 * 1024  # bytes of JSON


class _Gathered:
    """Parts of a result, as they come."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.images: list[Media] = []
        self.audios: list[Media] = []
        self._room = MEDIA

    def media(self, kind: str, data: str, mime_type: str, name: str = "") -> None:
        """Take a picture or a sound, or a line that says why not."""
        what = f"{name or kind} ({mime_type or 'of no type'}, {len(data) * 3 // 4} bytes)"
        if kind == "file":
            self.texts.append(f"[{what}: not shown]")
        elif len(data) > self._room:
            self.texts.append(f"[{what}: left out, it is too large]")
        elif not _is_base64(data):
            self.texts.append(f"[{what}: left out, it is not base64]")
        else:
            self._room -= len(data)
            (self.images if kind == "image" else self.audios).append(Media(data, mime_type))


def _is_base64(data: str) -> bool:
    try:
        base64.b64decode(data, validate=True)
    except ValueError:
        return False
    return True


def result(returned: "types.CallToolResult") -> Result:
    """The texts joined, pictures and sounds beside them; structured content as it is."""
    gathered = _Gathered()
    for part in returned.content:
        _take(part, gathered)
    structured = returned.structured_content
    shown = _json(structured) if structured is not None else ""
    if len(shown) > STRUCTURED:
        structured = None
    elif shown and not any(text.strip() for text in gathered.texts) and not gathered.images:
        gathered.texts = [shown]
    return Result(
        clipped("\n".join(gathered.texts)),
        is_error=returned.is_error,
        images=tuple(gathered.images),
        audios=tuple(gathered.audios),
        structured=structured,
    )


def clipped(text: str, limit: int = TEXT) -> str:
    """A text within a bound, its beginning and its end; what is no character is `?`."""
    data = text.encode(errors="replace")
    if len(data) <= limit:
        return data.decode()
    output = Output(limit)
    output.add(data)
    return output.text()


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return ""


def _take(part: Any, gathered: _Gathered) -> None:
    match part.type:
        case "text":
            gathered.texts.append(part.text)
        case "image" | "audio":
            gathered.media(part.type, part.data, part.mime_type)
        case "resource_link":
            gathered.texts.append(f"[resource {part.name}: {part.uri}]")
        case "resource":
            _embedded(part.resource, gathered)


def _embedded(resource: Any, gathered: _Gathered) -> None:
    text = getattr(resource, "text", None)
    if text is not None:
        gathered.texts.append(f"[resource {resource.uri}]\n{text}")
        return
    mime_type = resource.mime_type or ""
    kind = mime_type.partition("/")[0]
    gathered.media(kind if kind in ("image", "audio") else "file", resource.blob, mime_type, str(resource.uri))


def prompt_text(returned: "types.GetPromptResult") -> str:
    """The text of a prompt: that of all its messages, joined."""
    gathered = _Gathered()
    for message in returned.messages:
        _take(message.content, gathered)
    return clipped("\n".join(gathered.texts))
