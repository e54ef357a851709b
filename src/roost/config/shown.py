"""A loaded agent file as clients are shown it: after defaults, in a fixed order, and without secrets."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from roost.config.schema import AGENT, FILE, HOOKS, METADATA, MODEL, PERMISSIONS, PROVIDER
from roost.config.toolsets import KEYS

Data = dict[str, Any]

MASK = "***"
_REFERENCE = r"(\$\{(env|headers)\.[\w-]+\}|\$\{\w+\}|\$\w+)"
_HARMLESS = re.compile(rf"((Bearer|Basic|token) )?{_REFERENCE}", re.IGNORECASE)
_SECRET_MAPS = ("headers", "env", "http_headers")
_SECRETS = ("clientSecret",)


def show(data: Data) -> Data:
    """The file as data, for whoever asks to see it."""
    shown: Data = {}
    for name in FILE.keys:
        value = data.get(name)
        match name:
            case "agents":
                shown[name] = [_agent(agent, entry) for agent, entry in value.items()] if value else []
            case "models":
                _put(shown, name, {key: _model(entry) for key, entry in (value or {}).items()})
            case "providers":
                _put(shown, name, {key: ordered(entry, PROVIDER.keys) for key, entry in (value or {}).items()})
            case "metadata":
                shown[name] = ordered(value or {}, METADATA.keys)
            case "permissions":
                _put(shown, name, ordered(value or {}, PERMISSIONS.keys))
            case _:
                _put(shown, name, value)
    masked: Data = mask(shown)
    return masked


def ordered(entry: Mapping[str, Any], names: Iterable[str]) -> Data:
    """An object with its keys in order; empty ones are left out."""
    shown: Data = {}
    for name in names:
        _put(shown, name, entry.get(name))
    return shown


def _put(shown: Data, name: str, value: Any) -> None:
    if value is not None and value is not False and value not in ("", [], {}) and not _is_zero(value):
        shown[name] = value


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _agent(name: str, entry: Data) -> Data:
    shown: Data = {"Name": name} | ordered(entry, AGENT.keys)
    if "toolsets" in shown:
        shown["toolsets"] = [_toolset(toolset) for toolset in shown["toolsets"]]
    if "hooks" in shown:
        shown["hooks"] = ordered(shown["hooks"], HOOKS.keys)
    return shown


def _toolset(entry: Data) -> Data:
    """A toolset; `defer`, `remote` and `api_config` stand there also when they are empty."""
    shown: Data = {}
    for name in KEYS:
        match name:
            case "defer":
                shown[name] = {}
            case "remote":
                shown[name] = entry.get(name) or {"url": ""}
            case "api_config":
                shown[name] = entry.get(name) or {}
            case "ignore_vcs" if entry.get(name) is False:
                shown[name] = False
            case _:
                _put(shown, name, entry.get(name))
    return shown


def _model(entry: Data) -> Data:
    full = {"parallel_tool_calls": True} | entry
    shown: Data = {}
    for name in MODEL.keys:
        if name in entry and name in _MEANINGFUL_ZERO:
            shown[name] = entry[name]
        else:
            _put(shown, name, full.get(name))
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
        else:
            masked[name] = _starred(item) if name in _SECRETS else mask(item)
    return masked


def _starred(value: Any) -> Any:
    if isinstance(value, str) and (not value or _HARMLESS.fullmatch(value)):
        return value
    return MASK
