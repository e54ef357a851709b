"""How an ACP session begins: a new one or an old one, its tool servers, its model."""

from collections.abc import Mapping, Sequence
from typing import Any

from roost.drivers import fields
from roost.drivers.servers import Untakeable, servers
from roost.ports import Errand


class Impossible(Exception):
    """The agent can't do what an errand asks for; the text says what."""


def session(errand: Errand, capable: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The request that opens the session, by what the agent is capable of.

    Raises:
        Impossible: it can't use a tool server, or can't go on with a conversation.
    """
    try:
        given = servers(errand.mcp, fields.mapping(capable.get("mcpCapabilities")))
    except Untakeable as error:
        raise Impossible(f"can't be given its tools: {error}") from None
    params: dict[str, Any] = {"cwd": errand.working_dir, "mcpServers": given}
    if not errand.resume:
        return "session/new", params
    params["sessionId"] = errand.resume
    if "resume" in fields.mapping(capable.get("sessionCapabilities")):
        return "session/resume", params
    if capable.get("loadSession") is not True:
        raise Impossible("can't go on with an earlier conversation")
    return "session/load", params


def choice(wanted: str, result: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The request for a model, in the way that the agent offers; None where it offers none."""
    offered = fields.objects(fields.mapping(result.get("models")).get("availableModels"))
    if offered:
        return "session/set_model", {"modelId": _pick(wanted, offered, "modelId")}
    for option in fields.objects(result.get("configOptions")):
        if option.get("category") == "model" and (named := fields.text(option.get("id"))):
            value = _pick(wanted, fields.objects(option.get("options")), "value")
            return "session/set_config_option", {"configId": named, "value": value}
    return None


def current(result: Mapping[str, Any]) -> str:
    """The model that a session has; "" where nobody says."""
    options = fields.objects(result.get("configOptions"))
    chosen = (fields.text(o.get("currentValue")) for o in options if o.get("category") == "model")
    return fields.text(fields.mapping(result.get("models")).get("currentModelId")) or next(chosen, "")


def _pick(wanted: str, offered: Sequence[Mapping[str, Any]], key: str) -> str:
    """The id of the model that is meant; what was asked for where none is, so that the agent says no itself."""
    lowered = wanted.lower()
    named = [(fields.text(model.get(key)), fields.text(model.get("name"))) for model in offered]
    exact = [model for model, name in named if lowered in (model.lower(), name.lower())]
    ending = [model for model, _ in named if model.lower().endswith(f"/{lowered}")]
    return next(iter([*exact, *ending]), wanted)
