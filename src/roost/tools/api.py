"""The toolset `api`: one HTTP endpoint as a tool."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from roost.core.agents import ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.messages import Annotations, Result
from roost.ports import Place, Use
from roost.tools.house import House
from roost.tools.tool import NAME, Kit, Native, check_schema, failed, reads, shown
from roost.tools.veil import Veil
from roost.tools.web import Reply, Request, Web, segment, web

CATEGORY = "api"
BODIED = ("POST", "PUT", "PATCH")


@asynccontextmanager
async def open_api(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """One tool, called as the entry says."""
    config: dict[str, Any] = spec.options.get("api_config") or {}
    veil = Veil(house.env, place)
    name, parameters = config.get("name", ""), _parameters(config)
    if not NAME.fullmatch(name):
        raise ToolsetFailed(f"api_config.name: {name!r} can't be the name of a tool (letters, digits, _ and -)")
    endpoint = _Endpoint(
        veil.fill(config["endpoint"]), config["method"], tuple(parameters["properties"]), _web(spec, place, house, veil)
    )
    looking = endpoint.method == "GET"
    yield Kit(
        (
            Native(
                name,
                CATEGORY,
                config.get("instruction") or f"{endpoint.method} request to {config['endpoint']}",
                parameters,
                _Calling(endpoint, veil).call,
                annotations=reads(name) if looking else Annotations(title=name, open_world=True),
                effect="safe" if looking else "ask",
                output_schema=config.get("output_schema") or None,
            ),
        ),
        config.get("instruction") or "",
    )


def _web(spec: ToolsetSpec, place: Place, house: House, veil: Veil) -> Web:
    """What stands in `api_config` goes before what stands beside it."""
    names = ("headers", "timeout", "allow_private_ips")
    config = spec.options["api_config"]
    return web(spec, place, house, veil, {name: config[name] for name in names if name in config})


def _parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": dict(config.get("args") or {}),
        "required": list(config.get("required") or ()),
    }
    check_schema(parameters, f"api_config.args of {config.get('name', '')}")
    return parameters


class _Endpoint:
    """Where a call goes: `${arg}` in the address stands for an argument."""

    def __init__(self, url: str, method: str, names: tuple[str, ...], web: Web) -> None:
        self.url = url
        self.method = method
        self.web = web
        self._slots = re.compile("|".join(rf"\$\{{\s*{re.escape(name)}\s*\}}" for name in names) or "(?!)")

    def request(self, arguments: Mapping[str, Any]) -> Request:
        url = self._slots.sub(lambda slot: segment(_text(arguments.get(slot[0][2:-1].strip()))), self.url)
        if self.method not in BODIED:
            return Request(url, self.method)
        body = json.dumps(arguments, ensure_ascii=False).encode()
        own = {} if "content-type" in self.web.headers else {"content-type": "application/json"}
        return Request(url, self.method, own, body)


class _Calling:
    def __init__(self, endpoint: _Endpoint, veil: Veil) -> None:
        self._endpoint = endpoint
        self._veil = veil

    async def call(self, arguments: dict[str, Any], use: Use) -> Result:
        return answered(await self._endpoint.web.ask(self._endpoint.request(arguments)), self._veil)


def answered(reply: Reply, veil: Veil) -> Result:
    """What a server said, as a result; what it says of a failure is an error."""
    text = shown(veil.cover(reply.text()) + ("\n[the answer goes on: only its first MB was read]" if reply.cut else ""))
    return Result(text) if reply.good else failed(f"HTTP {reply.words}: {text}")


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
