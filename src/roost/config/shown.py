"""A loaded agent file as clients are shown it: after defaults, in a fixed order, and without secrets."""

import re
from collections.abc import Mapping
from typing import Any

from roost.config.schema import AGENT, FILE, METADATA, MODEL, PERMISSIONS, PROVIDER
from roost.config.shapes import Either, Entries, Items, Key, Record, Shape
from roost.config.toolsets import KEYS, Server, Toolset

Data = dict[str, Any]

MASK = "***"
_REFERENCE = r"(\$\{(env|headers)\.[\w-]+\}|\$\{\w+\}|\$\w+)"
_HARMLESS = re.compile(rf"((Bearer|Basic|token) )?{_REFERENCE}", re.IGNORECASE)
_SECRET_MAPS = ("headers", "env", "http_headers")
_SECRETS = ("clientSecret",)


def show(data: Data) -> Data:
    """The file as data, for whoever asks to see it."""
    shown: Data = {}
    for name, key in FILE.keys.items():
        value = data.get(name) or {}
        match name:
            case "agents":
                shown[name] = [_agent(agent, entry) for agent, entry in value.items()]
            case "models":
                _put(shown, name, {model: _model(entry) for model, entry in value.items()})
            case "providers":
                _put(shown, name, {provider: ordered(entry, PROVIDER.keys) for provider, entry in value.items()})
            case "metadata":
                shown[name] = ordered(value, METADATA.keys)
            case "permissions":
                _put(shown, name, ordered(value, PERMISSIONS.keys))
            case _:
                _put(shown, name, arranged(value, key.shape))
    masked: Data = mask(shown)
    return masked


def ordered(entry: Mapping[str, Any], keys: Mapping[str, Key]) -> Data:
    """An object with its keys in the order of the table; empty ones are left out."""
    shown: Data = {}
    for name, key in keys.items():
        _put(shown, name, arranged(entry.get(name), key.shape))
    return shown


def arranged(value: Any, shape: Shape) -> Any:
    """A value with the keys of all objects in it in the order of their tables."""
    match shape, value:
        case Record(keys=keys), dict():
            return {name: arranged(value[name], key.shape) for name, key in keys.items() if name in value}
        case Entries(value=inner), dict():
            return {name: arranged(item, inner) for name, item in value.items()}
        case Items(item=inner), list():
            return [arranged(item, inner) for item in value]
        case ((Toolset() | Server()), dict()):
            return {name: arranged(value[name], key.shape) for name, key in KEYS.items() if name in value}
        case Either(entries=inner), dict() if inner is not None:
            return arranged(value, inner)
        case Either(items=inner), list() if inner is not None:
            return arranged(value, inner)
    return value


def _put(shown: Data, name: str, value: Any) -> None:
    if value is not None and value is not False and value not in ("", [], {}) and not _is_zero(value):
        shown[name] = value


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _agent(name: str, entry: Data) -> Data:
    shown: Data = {"Name": name} | ordered(entry, AGENT.keys)
    if "toolsets" in shown:
        shown["toolsets"] = [_toolset(toolset) for toolset in shown["toolsets"]]
    return shown


def _toolset(entry: Data) -> Data:
    """A toolset; `defer`, `remote` and `api_config` stand there also when they are empty."""
    shown: Data = {}
    for name, key in KEYS.items():
        value = arranged(entry.get(name), key.shape)
        match name:
            case "defer":
                shown[name] = {}
            case "remote":
                shown[name] = value or {"url": ""}
            case "api_config":
                shown[name] = value or {}
            case "ignore_vcs" if value is False:
                shown[name] = False
            case _:
                _put(shown, name, value)
    return shown


def _model(entry: Data) -> Data:
    full = {"parallel_tool_calls": True} | entry
    shown: Data = {}
    for name, key in MODEL.keys.items():
        if name in entry and name in _MEANINGFUL_ZERO:
            shown[name] = entry[name]
        else:
            _put(shown, name, arranged(full.get(name), key.shape))
    return shown


_MEANINGFUL_ZERO = (
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "parallel_tool_calls",
    "track_usage",
    "thinking_budget",
)


def mask(value: Any) -> Any:
    """The same data with stars for the values of headers and variables that are not mere references."""
    if isinstance(value, list):
        return [mask(item) for item in value]
    if not isinstance(value, dict):
        return value
    masked = {}
    for name, item in value.items():
        if name in _SECRET_MAPS and isinstance(item, dict):
            masked[name] = {key: _starred(inner) for key, inner in item.items()}
        elif name == "webhook_config" and isinstance(item, dict):  # whoever knows its address may post there
            masked[name] = {key: _starred(inner) if key == "url" else mask(inner) for key, inner in item.items()}
        else:
            masked[name] = _starred(item) if name in _SECRETS else mask(item)
    return masked


def _starred(value: Any) -> Any:
    if isinstance(value, str) and (not value or _HARMLESS.fullmatch(value)):
        return value
    return MASK
