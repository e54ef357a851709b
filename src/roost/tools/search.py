"""Search the text of files."""

# ruff: noqa: PTH113  (paths are text here: compared, joined and opened relative to descriptors)

import json
import os
import select
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from roost.core.messages import Result
from roost.ports import Use
from roost.tools import matcher
from roost.tools.ignore import Ignore, rules
from roost.tools.paths import Paths, Spot
from roost.tools.tool import Refused, in_thread
from roost.tools.tree import Trees

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

MOST = 1000  # hits
PREVIEW = 200  # characters
LARGEST = 16 * 1024 * 1024  # bytes of a file that is looked into
PATIENCE = 30.0  # seconds for a whole search
REGEX_PATIENCE = 5.0  # seconds for a regular expression and one file

Hit = Sequence[Any]  # line, column, preview
Match = Callable[[bytes], Sequence[Hit]]


class Search(Struct, frozen=True):
    """The work of search_files_content."""

    paths: Paths
    trees: Trees

    async def search(self, arguments: dict[str, Any], use: Use) -> Result:
        """search_files_content."""
        spot = self.paths.find(arguments["path"])
        return Result(await in_thread(lambda stop: self._search(spot, arguments, stop)))

    def _search(self, spot: Spot, arguments: dict[str, Any], stop: threading.Event) -> str:
        query = arguments["query"]
        deadline = monotonic() + PATIENCE
        lines: list[str] = []
        notes: list[str] = []
        with _matching(query, stop, regex=arguments.get("is_regex", False)) as match:
            for file in self._files(spot, arguments.get("excludePatterns", [])):
                if stop.is_set():
                    break
                if monotonic() > deadline:
                    notes.append(f"[stopped after {PATIENCE:.0f} seconds: there may be more]")
                    break
                lines += self._hits(file, match)
                if len(lines) >= MOST:
                    notes.append(f"[stopped after {MOST} matches: there may be more]")
                    break
        found = "\n".join(lines[:MOST]) or f"No matches found for {query!r} in {spot.shown}"
        return "\n".join([found, *notes])

    def _hits(self, spot: Spot, match: Match) -> list[str]:
        try:
            with self.paths.open(spot) as file:
                if os.fstat(file.fileno()).st_size > LARGEST:
                    return []
                data = file.read(LARGEST)
        except Refused:  # gone meanwhile, or not ours to read
            return []
        if b"\0" in data[:8192]:
            return []
        shown = self.paths.brief(spot.real)
        return [f"{shown}:{line}:{column}: {preview}" for line, column, preview in match(data)]

    def _files(self, spot: Spot, exclude: Sequence[str]) -> Iterator[Spot]:
        """All files below a place that are to be looked into, or the one that it is."""
        if os.path.isfile(spot.real):
            yield spot
            return
        excluded = _excluded(exclude)
        ignore = Ignore(spot.real)
        todo = deque([spot])
        while todo:
            place = todo.popleft()
            entries = self.trees.scan(place, must=place is spot)
            for entry in self.trees.visible(entries, ignore):
                relative = os.path.relpath(entry.real, spot.real) + ("/" if entry.is_dir else "")
                if excluded is not None and excluded.match_file(relative):
                    continue
                if entry.is_dir:
                    todo.append(Spot(entry.real, entry.real))
                elif entry.is_file:
                    yield Spot(entry.real, entry.real)


def _excluded(patterns: Sequence[str]) -> "GitIgnoreSpec | None":
    try:
        return rules(patterns) if patterns else None
    except ValueError as error:
        raise Refused(f"excludePatterns: {error}") from None


@contextmanager
def _matching(query: str, stop: threading.Event, *, regex: bool) -> Iterator[Match]:
    if not regex:
        yield lambda data: _literal(data, query)
        return
    with _Matcher(stop) as child:
        answer = child.ask(query.encode())
        if answer != "ok":
            raise Refused(str(answer))
        yield child.ask


def _literal(data: bytes, query: str) -> list[Hit]:
    """Lines that hold the query, each once; a query of several lines is found where it begins."""
    wanted = query.encode()
    hits: list[Hit] = []
    line, counted, at = 1, 0, data.find(wanted)
    while at >= 0 and len(hits) < MOST:
        line += data.count(b"\n", counted, at)
        counted = at
        start = data.rfind(b"\n", 0, at) + 1
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        text = data[start:end].decode(errors="replace")
        column = len(data[start:at].decode(errors="replace")) + 1
        hits.append((line, column, text.strip()[:PREVIEW]))
        at = data.find(wanted, end)
    return hits


class _Matcher:
    """The process of `matcher.py`, killed when it takes too long or nobody waits for it any more."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def __enter__(self) -> "_Matcher":
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(matcher.__file__).resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.communicate()

    def ask(self, data: bytes) -> Any:
        """Its answer to a message."""
        assert self._child.stdin is not None and self._child.stdout is not None
        try:
            self._child.stdin.write(struct.pack(">Q", len(data)) + data)
            self._child.stdin.flush()
        except BrokenPipeError:
            raise Refused("the regular expression failed") from None
        deadline = monotonic() + REGEX_PATIENCE
        while not select.select([self._child.stdout], [], [], 0.05)[0]:
            if self._stop.is_set():
                return []
            if monotonic() > deadline:
                raise Refused(
                    f"the regular expression takes longer than {REGEX_PATIENCE:.0f} seconds: use a simpler one"
                )
        answer = self._child.stdout.readline()
        if not answer:
            raise Refused("the regular expression failed")
        return json.loads(answer)
