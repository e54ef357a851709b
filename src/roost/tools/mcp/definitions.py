"""How models see a server's tools: names with their prefix, and hints for what they are worth."""

import json
import logging
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from roost.core.messages import Annotations, Definition
from roost.tools.mcp.results import clipped

if TYPE_CHECKING:
    from mcp import types

CATEGORY = "mcp"
MOST = 1000  # tools of one server
DESCRIPTION = 16 * 1024  # bytes
SCHEMA = 256 * 1024  # characters of a tool's schemas
TOTAL = 8 * 1024 * 1024  # characters of all definitions of a server

log = logging.getLogger(__name__)


def definitions(
    tools: Iterable["types.Tool"], *, prefix: str = "", hints: bool = True, only: Iterable[str] = (), label: str = ""
) -> dict[str, Definition]:
    """The definitions by the names that the server knows; `only` are such names.  Of two alike the first is kept."""
    wanted, found, taken, room = set(only), dict[str, Definition](), set[str](), TOTAL
    for tool in tools:
        if wanted and tool.name not in wanted:
            continue
        definition = _definition(tool, prefix, hints)
        size = len(json.dumps(tool.input_schema)) + len(json.dumps(tool.output_schema))
        if size > SCHEMA:
            log.warning("%s: the tool %r is left out: its schema is too large", label, tool.name[:200])
        elif definition.name not in taken and len(found) < MOST:
            room -= size + len(definition.description)
            if room < 0:
                log.warning("%s: tools are left out: together they are too large", label)
                break
            found[tool.name] = definition
            taken.add(definition.name)
    return found


def named(prefix: str, name: str) -> str:
    """The name that models see: providers take letters, digits, `_` and `-` alone."""
    whole = f"{prefix}_{name}" if prefix else name
    return re.sub(r"[^A-Za-z0-9_-]", "_", whole)[:128] or "_"


def _definition(tool: "types.Tool", prefix: str, hints: bool) -> Definition:
    told = tool.annotations
    read_only = bool(hints and told and told.read_only_hint)
    annotations = Annotations(
        title=clipped(tool.title or (told.title if told else "") or "", 256),
        read_only=read_only,
        destructive=told.destructive_hint if told else None,
        idempotent=told.idempotent_hint if told else None,
        open_world=told.open_world_hint if told else None,
    )
    return Definition(
        named(prefix, tool.name),
        CATEGORY,
        clipped(tool.description or "", DESCRIPTION),
        tool.input_schema,
        annotations,
        output_schema=tool.output_schema,
        effect="safe" if read_only else "ask",
    )
