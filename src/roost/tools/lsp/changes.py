"""Edits that a language server proposes, put on the disk: all of them or none."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from roost.tools.lsp.documents import read
from roost.tools.lsp.shown import path_of
from roost.tools.lsp.texts import Text
from roost.tools.paths import Paths, Spot
from roost.tools.tool import Refused

MOST = 1000  # files that one change may touch


class Change(NamedTuple):
    """What becomes of one file."""

    spot: Spot
    before: str
    after: str
    edits: int


def files(edit: Any, paths: Paths) -> dict[str, tuple[Spot, list[Any]]]:
    """The files that a WorkspaceEdit touches, by real path, with the TextEdits of each.

    Raises:
        Refused: one of them lies elsewhere, or is to be made, moved or removed.
    """
    found: dict[str, tuple[Spot, list[Any]]] = {}
    for uri, edits in _parts(edit):
        path = path_of(uri)
        if not path:
            raise Refused(f"the language server wants to edit {uri!r}, which is no file; nothing was changed")
        try:
            spot = paths.find(path)
        except Refused:
            raise Refused(
                f"the language server wants to edit {path}, which is outside of the working directory; "
                "nothing was changed"
            ) from None
        found.setdefault(spot.real, (Spot(spot.real, paths.brief(spot.real)), []))[1].extend(edits)
    if len(found) > MOST:
        raise Refused(f"the language server wants to edit {len(found)} files at once; nothing was changed")
    return found


def _parts(edit: Any) -> Iterator[tuple[Any, Sequence[Any]]]:
    if not isinstance(edit, Mapping):
        return
    documents = edit.get("documentChanges")
    if isinstance(documents, list):
        for part in documents:
            if not isinstance(part, Mapping) or part.get("kind"):
                kind = part.get("kind") if isinstance(part, Mapping) else part
                raise Refused(f"the language server wants to {kind} a file, which is not built; nothing was changed")
            document, edits = part.get("textDocument"), part.get("edits")
            if isinstance(document, Mapping) and isinstance(edits, list):
                yield document.get("uri"), edits
        return
    changes = edit.get("changes")
    for uri, edits in changes.items() if isinstance(changes, Mapping) else ():
        if isinstance(edits, list):
            yield uri, edits


def planned(
    wanted: Mapping[str, tuple[Spot, list[Any]]], paths: Paths, known: Mapping[str, str], encoding: str
) -> list[Change]:
    """What the edits make of the files.  `known` are the texts that the server has seen, by real path.

    Raises:
        Refused: a file has changed meanwhile, or the edits do not fit it.
    """
    changes = []
    for real, (spot, edits) in wanted.items():
        before = read(paths, spot)[0] or ""
        if known.get(real, before) != before:
            raise Refused(f"{spot.shown} has changed meanwhile; nothing was changed: try again")
        try:
            after = Text(before, encoding).edited(edits)
        except Refused as refusal:
            raise Refused(f"{spot.shown}: {refusal}; nothing was changed") from None
        if after != before:
            changes.append(Change(spot, before, after, len(edits)))
    return changes


def apply(changes: Sequence[Change], paths: Paths) -> None:
    """Write them.

    Raises:
        Refused: one can't be written; those before it are as they were.
    """
    done: list[Change] = []
    try:
        for change in changes:
            paths.write(change.spot, change.after.encode())
            done.append(change)
    except (Refused, OSError) as error:
        for change in done:
            with suppress(Refused, OSError):
                paths.write(change.spot, change.before.encode())
        raise Refused(f"{error}; nothing was changed") from None


def told(changes: Sequence[Change]) -> str:
    """What was done."""
    if not changes:
        return "Nothing had to be changed."
    total = sum(change.edits for change in changes)
    lines = [f"{total} edits in {len(changes)} files:"]
    lines += [f"{change.spot.shown}: {change.edits} edits" for change in changes[:200]]
    return "\n".join(lines)
