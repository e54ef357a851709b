"""The toolsets `filesystem` and `file`."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio import to_thread

from roost import process
from roost.core.agents import ToolsetSpec
from roost.core.messages import Annotations
from roost.ports import Place, Use
from roost.tools.cell import outward
from roost.tools.files import MOST, Files
from roost.tools.house import House
from roost.tools.ignore import rules
from roost.tools.paths import Paths, Spot
from roost.tools.search import Search
from roost.tools.tool import Kit, Native, Work, reads, schema, string
from roost.tools.tree import Trees

CATEGORY = "filesystem"
_POST_EDIT_PATIENCE = 60.0

_INSTRUCTIONS = """\
Relative paths start at the working directory.
Read several files in one call where you need several. Large files are cut: read on with `offset` and `limit`.
An edit replaces text that is in the file exactly once; give enough of its surroundings to make it unique.
"""

_PATHS = {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "The directories"}
_EDITS = {
    "type": "array",
    "minItems": 1,
    "description": "Applied in order, all or none",
    "items": schema(
        ("oldText", "newText"),
        oldText={"type": "string", "minLength": 1, "description": "Text that is in the file exactly once"},
        newText=string("What takes its place"),
    ),
}
_SEARCH = schema(
    ("path", "query"),
    path=string("The directory or file"),
    query={"type": "string", "minLength": 1, "description": "What to find, in upper and lower case as given"},
    is_regex={"type": "boolean", "description": "Whether the query is a regular expression"},
    excludePatterns={
        "type": "array",
        "items": {"type": "string"},
        "description": "Files to leave out, as in a gitignore file",
    },
)


@asynccontextmanager
async def open_filesystem(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """All the tools, or for `file` those that read, write and edit."""
    options = spec.options
    allow, deny = (
        tuple(house.expand(root, name) for root in options.get(name, ())) for name in ("allow_list", "deny_list")
    )
    paths = Paths(place.working_dir, house.env, allow=allow, deny=deny, confined=place.confined)
    after = _PostEdit(options.get("post_edit", ()), paths, place, house)
    files = Files(paths, house.locks, after.run)
    tools = _files(files, edited=bool(options.get("post_edit")))
    if spec.type == "filesystem":
        trees = Trees(paths, options.get("ignore_vcs", True))
        tools += _listings(trees, Search(paths, trees), files)
    try:
        yield Kit(tuple(tools), _INSTRUCTIONS)
    finally:
        await after.close()


def _files(files: Files, *, edited: bool) -> list[Native]:
    """Writing twice is writing once; an edit is not, and neither is what a person's command does after it."""
    path = string("The file, relative to the working directory or absolute")
    return [
        _native(
            "read_file",
            f"Read a text file (at most {MOST // 1024} KiB at once) or look at an image.",
            schema(
                ("path",),
                path=path,
                offset={"type": "integer", "minimum": 1, "description": "The first line to read, from 1"},
                limit={"type": "integer", "minimum": 1, "description": "How many lines to read"},
            ),
            files.read,
            reads("Read"),
        ),
        Native(
            "write_file",
            CATEGORY,
            "Write a file, in place of the old one if there is one. Its directories are made.",
            schema(("path", "content"), path=path, content=string("The whole text of the file")),
            files.write,
            annotations=Annotations(title="Write", idempotent=True),
            effect="once" if edited else "safe",
        ),
        Native(
            "edit_file",
            CATEGORY,
            "Replace parts of a text file. Each old text must be in the file exactly once.",
            schema(("path", "edits"), path=path, edits=_EDITS),
            files.edit,
            annotations=Annotations(title="Edit"),
            effect="once",
        ),
    ]


def _listings(trees: Trees, search: Search, files: Files) -> list[Native]:
    folder = string("The directory, relative to the working directory or absolute")
    return [
        _native(
            "read_multiple_files",
            "Read several text files in one call.",
            schema(
                ("paths",),
                paths={**_PATHS, "description": "The files"},
                json={"type": "boolean", "description": "Answer with a JSON array of {path, content}"},
            ),
            files.read_multiple,
            reads("Read Multiple"),
        ),
        _native(
            "list_directory",
            "List what a directory holds.",
            schema(("path",), path=folder),
            trees.flat,
            reads("List Directory"),
        ),
        _native(
            "directory_tree",
            "Show a directory and all below it as a JSON tree.",
            schema(("path",), path=folder),
            trees.tree,
            reads("Directory Tree"),
        ),
        _native(
            "search_files_content",
            "Find text, or a regular expression, in all text files below a directory, or in one file.",
            _SEARCH,
            search.search,
            reads("Search Files Content"),
        ),
        _native(
            "create_directory",
            "Make directories, and those they lie in.",
            schema(("paths",), paths=_PATHS),
            files.make,
            Annotations(title="Create Directory", idempotent=True),
        ),
        _native(
            "remove_directory",
            "Remove empty directories.",
            schema(("paths",), paths=_PATHS),
            files.remove,
            Annotations(title="Remove Directory"),
        ),
    ]


def _native(name: str, description: str, parameters: dict[str, Any], work: Work, annotations: Annotations) -> Native:
    return Native(name, CATEGORY, description, parameters, work, annotations=annotations)


class _PostEdit:
    """Commands that a person wants to be run after a file was written."""

    def __init__(self, entries: Sequence[dict[str, Any]], paths: Paths, place: Place, house: House) -> None:
        self._rules = [(rules([re.sub(r"^([#!])", r"\\\1", e["path"])]), e["cmd"]) for e in entries]
        self._paths = paths
        self._place = place
        self._cells = house.cells
        self._env = outward(house.env, place)
        self._marks: set[str] = set()

    async def run(self, spot: Spot, use: Use) -> str:
        """What to add to the result: nothing, or a warning."""
        notes = []
        for glob, command in self._rules:
            if not glob.match_file(self._paths.brief(spot.real).lstrip("/")):
                continue
            mark = process.mark(self._place.session, use.call)
            self._marks.add(mark)
            output = process.Output()
            argv, env = ("/bin/sh", "-c", command), {**self._env, "path": spot.real, "file": spot.real}
            async with self._cells.open(self._place, use.call, argv, cwd=self._paths.base, env=env) as launch:
                ended = await process.run(
                    launch.argv,
                    cwd=launch.cwd,
                    env=launch.env,
                    mark=mark,
                    output=output,
                    timeout=_POST_EDIT_PATIENCE,
                )
            if ended.code:
                notes.append(f"exit status {ended.code}\nOutput: {output.text(4000).strip()}")
            elif ended.timed_out:
                notes.append(f"timed out after {_POST_EDIT_PATIENCE:.0f}s")
        return "".join(f"\nWarning: post-edit command failed: {note}" for note in notes)

    async def close(self) -> None:
        """End what the commands left running."""
        if self._marks:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(process.sweep, *self._marks)
