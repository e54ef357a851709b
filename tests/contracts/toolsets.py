"""An entry of each type of toolset, and the listing of all that they offer.

`PYTHONPATH=src:tests python tests/contracts/toolsets.py` renews the listing.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import msgspec

from fakes.calls import Session
from fakes.site import Site, open_site
from roost.tools.builtin import TYPES

LISTING = Path(__file__).with_name("toolsets.json")
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


def options(site: Site) -> Mapping[str, Mapping[str, Any]]:
    """What the entries need that can't do without."""
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


async def listing(session: Session, site: Site) -> dict[str, Any]:
    """All definitions, by type of toolset; those of tool servers are not ours."""
    found: dict[str, Any] = {}
    for name in sorted(set(TYPES) - {"mcp"}):
        async with session.open(name, **options(site).get(name, {})) as toolset:
            found[name] = [msgspec.to_builtins(tool.definition) for tool in await toolset.tools()]
    return found


def shown(found: dict[str, Any]) -> str:
    """The listing as the file has it."""
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder, open_site() as site:
        LISTING.write_text(shown(await listing(Session(Path(folder)), site)))


if __name__ == "__main__":
    anyio.run(main)
