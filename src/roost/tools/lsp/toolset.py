"""The tools of `lsp`: each asks the server that is for the file."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from roost.core.agents import ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.messages import Annotations, Result
from roost.ports import Place, Use
from roost.tools.house import House
from roost.tools.lsp.code import Code
from roost.tools.lsp.server import Server, entry
from roost.tools.tool import Kit, Native, reads, schema, string

CATEGORY = "lsp"
_OWN = ("command", "args", "env", "file_types", "working_dir", "lifecycle", "version")

_INSTRUCTIONS = """\
Language servers know the code: prefer them to a search in text where you want a definition, the uses of a symbol, its
type, or what is wrong with a file. Lines and characters count from 1, and a position must be on the symbol itself.
After a change of files look at their diagnostics.
"""

_FILE = string("The file, relative to the working directory or absolute")
_LINE = {"type": "integer", "minimum": 1, "description": "The line, from 1"}
_CHARACTER = {"type": "integer", "minimum": 1, "description": "The character in the line, from 1"}
_FIRST = {"type": "integer", "minimum": 1, "description": "The first line, from 1"}
_LAST = {"type": "integer", "minimum": 1, "description": "The last line"}

Act = Callable[[dict[str, Any], Use], Awaitable[Result]]


@asynccontextmanager
async def open_lsp(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """One set of tools over all language servers of an agent."""
    given = spec.options.get("servers") or [{name: spec.options[name] for name in _OWN if name in spec.options}]
    if not isinstance(given, list | tuple):
        raise ToolsetFailed("lsp: `servers` is no list")
    servers = tuple(Server(entry(one, place, house), place, house) for one in given)
    code = Code(servers, place, house)
    try:
        yield Kit((*_readers(code), *_at_places(code), *_writers(code)), _INSTRUCTIONS)
    finally:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for server in servers:
                    tasks.start_soon(server.close, name=f"end of {server.name}")


def _reader(name: str, title: str, description: str, parameters: dict[str, Any], act: Act) -> Native:
    return Native(f"lsp_{name}", CATEGORY, description, parameters, act, annotations=reads(title))


def _at(**more: dict[str, Any]) -> dict[str, Any]:
    """The schema of a place in a file."""
    needed = [name for name in more if name != "include_declaration"]
    return schema(("file", "line", "character", *needed), file=_FILE, line=_LINE, character=_CHARACTER, **more)


def _one_of(description: str, *words: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(words), "description": description}


def _readers(code: Code) -> tuple[Native, ...]:
    return (
        _reader("workspace", "Workspace", "Show the language servers and what they can do.", schema(), code.workspace),
        _reader(
            "document_symbols",
            "Document Symbols",
            "List the symbols of a file: classes, functions, variables.",
            schema(("file",), file=_FILE),
            code.document_symbols,
        ),
        _reader(
            "workspace_symbols",
            "Workspace Symbols",
            "Find symbols by a part of their name, in the whole workspace.",
            schema(("query",), query=string("A part of the name")),
            code.workspace_symbols,
        ),
        _reader(
            "diagnostics",
            "Diagnostics",
            "List what is wrong with a file: errors and warnings.",
            schema(("file",), file=_FILE),
            code.diagnostics,
        ),
        _reader(
            "code_actions",
            "Code Actions",
            "List what the server offers to do with lines of a file: fixes and refactorings.",
            schema(("file", "start_line"), file=_FILE, start_line=_FIRST, end_line=_LAST),
            code.code_actions,
        ),
        _reader(
            "inlay_hints",
            "Inlay Hints",
            "Show types and parameter names that the code of a file leaves out.",
            schema(("file",), file=_FILE, start_line=_FIRST, end_line=_LAST),
            code.inlay_hints,
        ),
    )


def _at_places(code: Code) -> tuple[Native, ...]:
    declared = {"type": "boolean", "description": "Whether the declaration counts, too; it does where this is left out"}
    calls = _one_of("Who calls it, or what it calls", "incoming", "outgoing")
    types = _one_of("What it derives from, or what derives from it", "supertypes", "subtypes")
    return (
        _reader("hover", "Hover", "Show the type and the documentation of a symbol.", _at(), code.hover),
        _reader("definition", "Definition", "Find where a symbol is defined.", _at(), code.definition),
        _reader(
            "references", "References", "Find all uses of a symbol.", _at(include_declaration=declared), code.references
        ),
        _reader(
            "implementations", "Implementations", "Find what implements an interface.", _at(), code.implementations
        ),
        _reader(
            "signature_help", "Signature Help", "Show the signature of the call at a place.", _at(), code.signature_help
        ),
        _reader(
            "call_hierarchy",
            "Call Hierarchy",
            "Show the callers of a function, or what it calls.",
            _at(direction=calls),
            code.call_hierarchy,
        ),
        _reader(
            "type_hierarchy",
            "Type Hierarchy",
            "Show the supertypes or the subtypes of a type.",
            _at(direction=types),
            code.type_hierarchy,
        ),
    )


def _writers(code: Code) -> tuple[Native, ...]:
    return (
        Native(
            "lsp_rename",
            CATEGORY,
            "Rename a symbol in the whole workspace. The files are written.",
            _at(new_name=string("The new name")),
            code.rename,
            annotations=Annotations(title="Rename"),
            effect="once",
        ),
        Native(
            "lsp_format",
            CATEGORY,
            "Format a file. It is written.",
            schema(("file",), file=_FILE),
            code.format,
            annotations=Annotations(title="Format", idempotent=True),
            effect="safe",
        ),
    )
