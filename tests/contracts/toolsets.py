"""An entry of each type of toolset with whatever it needs, and the listing of all that they offer.

`PYTHONPATH=src:tests python tests/contracts/toolsets.py` renews the listing.
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec

from fakes import languageserver
from fakes.agent import open_agent
from fakes.calls import Session
from fakes.site import Site, open_site
from roost.tools.builtin import TYPES

LISTING = Path(__file__).with_name("toolsets.json")
FOREIGN = {"mcp"}
"""Types whose tools are another program's, which says what they are and looks at their arguments by itself."""
TEAM = [{"name": "coder", "description": "Writes code"}]
DOCUMENT = {
    "openapi": "3.1.0",
    "paths": {
        "/pets/{id}": {
            "get": {
                "operationId": "show_pet",
                "summary": "Show a pet",
                "parameters": [{"name": "id", "in": "path", "schema": {"type": "string"}}],
            }
        }
    },
}


SERVER = Path(languageserver.__file__).with_name("toolserver.py")
SKILL = """\
---
name: tidy
description: Put a room in order
---

Begin with the floor.
"""
FORK = {"name": "month-end", "description": "Close a month", "instructions": "Count twice.", "context": "fork"}


@contextmanager
def needs(folder: Path) -> Iterator[Mapping[str, Mapping[str, Any]]]:
    """The options without which there is no toolset of a type, with the peers and files that they name."""
    with open_site() as site, open_agent() as agent:
        site.page("/weather/x", "sunny")
        agent.card(streaming=True)
        yield {**_asked(site), **_started(), **_read(folder), "a2a": {"url": agent.url}}


def _asked(site: Site) -> Mapping[str, Mapping[str, Any]]:
    """Of those that ask a site, and of those that need nothing but words."""
    api = {
        "name": "weather",
        "endpoint": site.url + "/weather/${city}",
        "method": "GET",
        "instruction": "The weather of a city.",
        "args": {"city": {"type": "string"}},
        "required": ["city"],
        "allow_private_ips": True,
    }
    document = site.page("/openapi.json", json.dumps(DOCUMENT), "application/json")
    return {
        "script": {"shell": {"greet": {"cmd": "echo hello $who", "args": {"who": {"type": "string"}}}}},
        "api": {"api_config": api},
        "openapi": {"url": document, "allow_private_ips": True},
        "fetch": {"timeout": 1},
        "model_picker": {"models": ("fast", "strong")},
        "transfer_task": {"agents": TEAM},
        "handoff": {"agents": TEAM},
        "background_agents": {"agents": TEAM},
    }


def _started() -> Mapping[str, Mapping[str, Any]]:
    """Of those that start a server."""
    return {
        "lsp": {"command": sys.executable, "args": [languageserver.__file__, "good"]},
        "mcp": {
            "command": sys.executable,
            "args": [str(SERVER)],
            "tools": ("echo", "arguments"),
            "lifecycle": {"startup_timeout": "60s"},
        },
    }


def _read(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """Of those that read files: these lie in the working directory."""
    skill, document = folder / ".agents/skills/tidy/SKILL.md", folder / "handbook/pets.md"
    for path, text in ((skill, SKILL), (document, "A dog is a pet.")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    tool = {"name": "ask_handbook", "description": "What the handbook says", "instruction": "Cite file names."}
    return {
        "skills": {"sources": ["local"], "inline": [FORK]},
        "rag": {"name": "handbook", "docs": ["./handbook"], "strategies": [{"type": "bm25"}], "tool": tool},
    }


async def listing(session: Session, options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All definitions, by type of toolset; those of tool servers are not ours."""
    found: dict[str, Any] = {}
    for name in sorted(set(TYPES) - FOREIGN):
        async with session.open(name, **options.get(name, {})) as toolset:
            found[name] = [msgspec.to_builtins(tool.definition) for tool in await toolset.tools()]
    return found


def shown(found: dict[str, Any]) -> str:
    """The listing as the file has it."""
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


async def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "work")
        folder.mkdir()
        with needs(folder) as options:
            LISTING.write_text(shown(await listing(Session(folder), options)))


if __name__ == "__main__":
    anyio.run(main)
