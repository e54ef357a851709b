"""What language servers answer, as text for a model: paths from the working directory, positions from 1."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from roost.tools.lsp.documents import read
from roost.tools.lsp.texts import Text
from roost.tools.lsp.words import severity, symbol
from roost.tools.paths import Paths
from roost.tools.tool import Refused

MOST = 200  # entries of a list
LONGEST = 30_000  # characters of a text
_LINE = 200  # characters of a line of code that is shown


def path_of(uri: Any) -> str:
    """The file that an address means; "" where it is none on this machine."""
    parts = urlsplit(uri) if isinstance(uri, str) else None
    return unquote(parts.path) if parts is not None and parts.scheme == "file" else ""


class Shown:
    """Words answers.  It reads the files that they name, so call it in a thread."""

    def __init__(self, paths: Paths, encoding: str) -> None:
        self._paths = paths
        self._encoding = encoding
        self._texts: dict[str, Text] = {}

    def text(self, uri: Any) -> Text:
        """A file's text; an empty one where it may not be read."""
        path = path_of(uri)
        if path not in self._texts:
            try:
                content = read(self._paths, self._paths.find(path))[0] if path else ""
            except (Refused, OSError):
                content = ""
            self._texts[path] = Text(content or "", self._encoding)
        return self._texts[path]

    def name(self, uri: Any) -> str:
        """What a file is called."""
        path = path_of(uri)
        return self._paths.brief(os.path.realpath(path)) if path else str(uri)[:500]

    def at(self, uri: Any, bounds: Any) -> str:
        """`file:line:character`."""
        start = bounds.get("start") if isinstance(bounds, Mapping) else None
        line, character = self.text(uri).shown(start)
        return f"{self.name(uri)}:{line}:{character}"

    # -- answers --------------------------------------------------------------------------------

    def places(self, answer: Any, what: str) -> str:
        """Locations, each with its line."""
        lines = []
        for uri, bounds in sorted(set(_locations(answer)), key=lambda place: (place[0], place[1])):
            spot = {"start": {"line": bounds[0], "character": bounds[1]}}
            code = self.text(uri).line(bounds[0]).strip()[:_LINE]
            lines.append(f"{self.at(uri, spot)}" + (f": {code}" if code else ""))
        return listed(lines, what)

    def hover(self, answer: Any) -> str:
        """What is known of a symbol."""
        contents = answer.get("contents") if isinstance(answer, Mapping) else None
        return "\n\n".join(filter(None, _marked(contents)))[:LONGEST] or "Nothing is known of this place."

    def signatures(self, answer: Any) -> str:
        """The signatures of a call, the one that holds first."""
        given = list(_dicts(answer.get("signatures"))) if isinstance(answer, Mapping) else []
        active = answer.get("activeSignature") if given else 0
        first = active if isinstance(active, int) and 0 <= active < len(given) else 0
        lines = []
        for signature in [*given[first : first + 1], *given[:first], *given[first + 1 :]][:20]:
            lines.append(str(signature.get("label")))
            lines += [f"  {text}" for text in _marked(signature.get("documentation")) if text]
        number = answer.get("activeParameter") if given else None
        if isinstance(number, int):
            lines.append(f"The argument at this place is number {number + 1}.")
        return "\n".join(lines)[:LONGEST] or "There is no call here."

    def symbols(self, uri: str, answer: Any) -> str:
        """The symbols of a file, as a tree."""
        return listed(list(self._tree(uri, answer, 0)), "symbols")

    def _tree(self, uri: str, answer: Any, depth: int) -> Iterator[str]:
        for found in _dicts(answer):
            location = found.get("location")
            bounds = found.get("selectionRange") or (location.get("range") if isinstance(location, Mapping) else None)
            line, character = self.text(uri).shown(bounds.get("start") if isinstance(bounds, Mapping) else None)
            indent = "  " * depth
            yield f"{indent}{symbol(found.get('kind'))} {found.get('name')} ({line}:{character})"
            if depth < 20:
                yield from self._tree(uri, found.get("children"), depth + 1)

    def found(self, answer: Any) -> list[str]:
        """The symbols of a workspace."""
        lines = []
        for found in _dicts(answer):
            location = found.get("location")
            uri = location.get("uri") if isinstance(location, Mapping) else ""
            bounds = location.get("range") if isinstance(location, Mapping) else None
            where = self.at(uri, bounds) if bounds else self.name(uri)
            inside = f" in {found['containerName']}" if found.get("containerName") else ""
            lines.append(f"{symbol(found.get('kind'))} {found.get('name')}{inside} ({where})")
        return lines

    def diagnostics(self, uri: str, answer: Sequence[Any]) -> str:
        """What stands against a file, line by line."""
        text, lines = self.text(uri), []
        for found in _dicts(answer):
            bounds = found.get("range")
            line, character = text.shown(bounds.get("start") if isinstance(bounds, Mapping) else None)
            marks = [str(found[name]) for name in ("source", "code") if found.get(name) not in (None, "")]
            where = f" [{' '.join(marks)}]" if marks else ""
            words = str(found.get("message"))[:1000]
            lines.append((line, f"{line}:{character}: {severity(found.get('severity'))}: {words}{where}"))
        return listed([line for _, line in sorted(lines)], "diagnostics")

    def actions(self, answer: Any) -> str:
        """What a server offers to do."""
        kinds = (f"{found.get('title')} [{found.get('kind') or 'command'}]" for found in _dicts(answer))
        return listed(list(kinds), "code actions")

    def item(self, found: Mapping[str, Any]) -> str:
        """A member of a hierarchy."""
        where = self.at(found.get("uri"), found.get("selectionRange") or found.get("range"))
        detail = f" - {found['detail']}" if found.get("detail") else ""
        return f"{symbol(found.get('kind'))} {found.get('name')}{detail} ({where})"

    def hints(self, uri: str, answer: Any) -> str:
        """Types and names that the code leaves out."""
        lines = []
        for found in _dicts(answer):
            label = found.get("label")
            parts = [str(part.get("value")) for part in _dicts(label)] if isinstance(label, list) else [str(label)]
            line, character = self.text(uri).shown(found.get("position"))
            lines.append(((line, character), f"{line}:{character}: {''.join(parts).strip()}"))
        return listed([line for _, line in sorted(lines)], "inlay hints")


def listed(lines: Sequence[str], what: str) -> str:
    """Lines, as many as there is room for."""
    if not lines:
        return f"No {what} found."
    kept = list(lines[:MOST])
    if len(lines) > MOST:
        kept.append(f"... and {len(lines) - MOST} more")
    return "\n".join(kept).encode(errors="replace").decode()[:LONGEST]


def _dicts(value: Any) -> Iterator[Mapping[str, Any]]:
    for item in value if isinstance(value, list) else ():
        if isinstance(item, Mapping):
            yield item


def _locations(answer: Any) -> Iterator[tuple[str, tuple[int, int]]]:
    for found in _dicts(answer if isinstance(answer, list) else [answer]):
        uri = found.get("uri") or found.get("targetUri")
        bounds = found.get("range") or found.get("targetSelectionRange") or found.get("targetRange")
        start = bounds.get("start") if isinstance(bounds, Mapping) else None
        if isinstance(uri, str) and isinstance(start, Mapping):
            line, character = start.get("line"), start.get("character")
            if isinstance(line, int) and isinstance(character, int):
                yield uri, (line, character)


def _marked(contents: Any) -> Iterator[str]:
    """MarkupContent, MarkedString, text, or several of them."""
    if isinstance(contents, list):
        for part in contents:
            yield from _marked(part)
    elif isinstance(contents, Mapping):
        value = str(contents.get("value") or "")
        yield f"```{contents['language']}\n{value}\n```" if contents.get("language") else value
    elif isinstance(contents, str):
        yield contents
