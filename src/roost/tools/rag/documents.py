"""The files of a knowledge base: those that its paths, folders and globs name."""

# ruff: noqa: PTH112, PTH113, PTH114, PTH116, PTH118, PTH120  (paths are text here, as in `paths`)

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from roost.tools.ignore import Ignore, rules
from roost.tools.paths import Paths, Spot
from roost.tools.tool import Refused

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

MOST = 20_000  # files
LARGEST = 4 * 1024 * 1024  # bytes of a file
_MAGIC = frozenset("*?[")

Stamp = str


class Found(Struct):
    """What there is: the stamps of files by real path, and the names that lead nowhere."""

    files: dict[str, Stamp]
    missing: list[str]
    cut: bool = False  # there are more than are taken


class Watched(Struct):
    """What to keep an eye on: folders with all below them, and folders of single files."""

    deep: set[str]
    flat: set[str]


def find(docs: Sequence[str], paths: Paths, *, respect_vcs: bool, stop: threading.Event) -> Found:
    """All files, as they are now."""
    found = Found({}, [])
    for doc in docs:
        base, pattern = _split(doc)
        try:
            real = paths.find(base).real
        except Refused:
            found.missing.append(doc)
            continue
        if os.path.isfile(real) and not pattern:
            _add(found, real)
        elif os.path.isdir(real):
            spec = rules(["/" + pattern]) if pattern else None
            _walk(found, real, paths, spec, respect_vcs=respect_vcs, stop=stop)
        else:
            found.missing.append(doc)
    return found


def watched(docs: Sequence[str], paths: Paths) -> Watched:
    """Where their changes show."""
    places = Watched(set(), set())
    for doc in docs:
        try:
            real = paths.find(_split(doc)[0]).real
        except Refused:
            continue
        if os.path.isdir(real):
            places.deep.add(real)
        elif os.path.isdir(os.path.dirname(real)):
            places.flat.add(os.path.dirname(real))
    return places


def read(paths: Paths, real: str) -> tuple[bytes, str]:
    """The digest of a file, and its text: "" where it is none, or too large.

    Raises:
        Refused: it can't be read.
    """
    with paths.open(Spot(real, real)) as file:
        data = file.read(LARGEST + 1)
    digest = hashlib.sha256(data).digest()
    if len(data) > LARGEST or b"\0" in data[:8192]:
        return digest, ""
    return digest, data.decode("utf-8-sig", "replace").replace("\0", " ")


def _split(doc: str) -> tuple[str, str]:
    """A path, and the glob below it, or ""."""
    parts = doc.split("/")
    at = next((number for number, part in enumerate(parts) if _MAGIC.intersection(part)), len(parts))
    base = "/".join(parts[:at])
    return base or ("/" if doc.startswith("/") else "."), "/".join(parts[at:])


def _walk(
    found: Found,
    top: str,
    paths: Paths,
    spec: "GitIgnoreSpec | None",
    *,
    respect_vcs: bool,
    stop: threading.Event,
) -> None:
    ignore = Ignore(top) if respect_vcs else None
    for folder, folders, names in os.walk(top):
        if stop.is_set() or found.cut:
            return
        folders[:] = sorted(_kept(folder, folders, paths, ignore, is_dir=True))
        for name in sorted(_kept(folder, names, paths, ignore, is_dir=False)):
            path = os.path.join(folder, name)
            if spec is None or spec.match_file(os.path.relpath(path, top)):
                _add(found, path)


def _kept(folder: str, names: Sequence[str], paths: Paths, ignore: Ignore | None, *, is_dir: bool) -> Iterator[str]:
    for name in names:
        path = os.path.join(folder, name)
        hidden = name == ".git" or (ignore is not None and ignore.hides(path, is_dir=is_dir))
        if not hidden and paths.allows(path) and not os.path.islink(path):
            yield name


def _add(found: Found, real: str) -> None:
    if len(found.files) >= MOST:
        found.cut = True
        return
    try:
        status = os.stat(real, follow_symlinks=False)
    except OSError:
        return
    if os.path.isfile(real):
        found.files[real] = f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"
