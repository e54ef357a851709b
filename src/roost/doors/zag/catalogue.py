"""What providers can do, and which models they know."""

from typing import Any

from roost.core.capabilities import Capability
from roost.core.errors import BadValue
from roost.doors.errors import Refused
from roost.doors.routes import Answer, Call, Reply
from roost.doors.zag import shapes
from roost.doors.zag.manners import said
from roost.service.service import Service
from roost.wire import texts

KINDS = {"yaml": "application/yaml", "toml": "application/toml"}


class Catalogue:
    """Looks things up."""

    def __init__(self, service: Service) -> None:
        self._catalogue = service.catalogue

    async def capability(self, call: Call) -> Answer:
        """GET /capability."""
        found = await self._catalogue.one(call.query.get("provider") or "claude")
        return _told(call, _shape(found))

    async def discover(self, call: Call) -> Answer:
        """GET /discover."""
        provider, resolve = call.query.get("provider", ""), call.query.get("resolve", "")
        if resolve:
            return _told(call, await self._resolved(provider, resolve))
        if call.flag("models"):
            known = [await self._catalogue.one(provider)] if provider else await self._catalogue.all()
            return _told(call, [_models(one) for one in known])
        if provider:
            return _told(call, _shape(await self._catalogue.one(provider)))
        return _told(call, [_shape(one) for one in await self._catalogue.all()])

    async def _resolved(self, provider: str, name: str) -> dict[str, Any]:
        if not provider:
            raise BadValue("resolve needs a provider")
        model = await self._catalogue.resolved(provider, name)
        return {"input": name, "resolved": model, "is_alias": model != name, "provider": provider}


def _shape(one: Capability) -> dict[str, Any]:
    return {
        "provider": one.provider,
        "default_model": one.default_model,
        "available_models": list(one.available_models),
        "size_mappings": one.size_mappings,
        "features": shapes.features(one.features),
    }


def _models(one: Capability) -> dict[str, Any]:
    return {"provider": one.provider, "default_model": one.default_model, "models": list(one.available_models)}


def _told(call: Call, value: Any) -> Answer:
    """As JSON, or in the format that is asked for."""
    wanted = call.query.get("format") or "json"
    if wanted == "json":
        if call.flag("pretty"):
            return Reply(raw=texts.pretty(value))
        return said(value)
    if wanted not in KINDS:
        raise Refused(400, f'unknown format "{wanted[:40]}": json, yaml or toml')
    return Reply(raw=texts.yaml(value) if wanted == "yaml" else texts.toml(value), kind=KINDS[wanted])
