"""List directories, flat or as a tree."""

# ruff: noqa: PTH119  (paths are text here: compared, joined and opened relative to descriptors)

import json
import os
from collections import deque
from typing import Any

from msgspec import Struct

from roost.core.messages import Result
from roost.ports import Use
from roost.tools.ignore import Ignore
from roost.tools.paths import Entry, Paths, Spot
from roost.tools.tool import Refused, in_thread

MOST = 100  # entries of a list, nodes of a tree


class Trees(Struct, frozen=True):
    """The work of the tools that list."""

    paths: Paths
    ignore_vcs: bool = True

    async def flat(self, arguments: dict[str, Any], use: Use) -> Result:
        """list_directory."""
        spot = self.paths.find(arguments["path"])
        return Result(await in_thread(lambda _: self._list(spot)))

    def _list(self, spot: Spot) -> str:
        entries = self.paths.scan(spot)
        seen = self.visible(entries, Ignore(spot.real))
        if not entries:
            return f"Directory is empty: {spot.shown}"
        if not seen:
            return f"Directory has nothing to show: {spot.shown} ({len(entries)} entries, all hidden by ignore rules)"
        lines = [f"{'DIR ' if entry.is_dir else 'FILE'} {_shown(entry)}" for entry in seen[:MOST]]
        if len(seen) > MOST:
            lines.append(f"... and {len(seen) - MOST} more entries")
        return "\n".join(lines)

    async def tree(self, arguments: dict[str, Any], use: Use) -> Result:
        """directory_tree."""
        spot = self.paths.find(arguments["path"])
        return Result(json.dumps(await in_thread(lambda _: self._tree(spot)), ensure_ascii=False, indent=2))

    def _tree(self, spot: Spot) -> dict[str, Any]:
        """Level by level, so that what is cut off is what lies deepest."""
        ignore = Ignore(spot.real)
        root: dict[str, Any] = {"name": os.path.basename(spot.real) or "/", "type": "directory", "children": []}
        todo = deque([(spot, root)])
        count = 1
        while todo:
            place, node = todo.popleft()
            for entry in self.visible(self.scan(place, must=root is node), ignore):
                if count >= MOST:
                    root["truncated"] = f"only the first {MOST} nodes are shown"
                    return root
                count += 1
                child: dict[str, Any] = {"name": entry.name, "type": "directory" if entry.is_dir else "file"}
                node["children"].append(child)
                if entry.is_dir:
                    child["children"] = []
                    todo.append((Spot(entry.real, entry.real), child))
        return root

    def scan(self, spot: Spot, *, must: bool) -> list[Entry]:
        """What a directory holds; one that can't be read, or is gone, holds nothing unless it was asked for."""
        try:
            return self.paths.scan(spot)
        except Refused:
            if must:
                raise
            return []

    def visible(self, entries: list[Entry], ignore: Ignore) -> list[Entry]:
        """Those that the ignore rules do not hide."""
        if not self.ignore_vcs:
            return entries
        return [entry for entry in entries if not ignore.hides(entry.real, is_dir=entry.is_dir)]


def _shown(entry: Entry) -> str:
    return entry.name.encode(errors="replace").decode()
