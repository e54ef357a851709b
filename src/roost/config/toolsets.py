"""Every legal key of a toolset, and which types have it."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from roost.config.complaints import quoted
from roost.config.rag import RAG
from roost.config.shapes import (
    BAD,
    NEWER,
    UNRELEASED,
    Anything,
    Either,
    Entries,
    Flag,
    Items,
    Key,
    Notes,
    Number,
    Record,
    Text,
    kind_of,
    where,
)
from roost.config.yaml import Path

TYPES: Final[Mapping[str, int]] = {
    "mcp": 0,
    "script": 0,
    "think": 0,
    "memory": 0,
    "filesystem": 0,
    "shell": 0,
    "todo": 0,
    "fetch": 0,
    "user_prompt": 2,
    "api": 2,
    "a2a": 3,
    "lsp": 3,
    "openapi": 5,
    "tasks": 5,
    "model_picker": 6,
    "background_agents": 6,
    "rag": 8,
    "mcp_catalog": NEWER,
    "file": NEWER,
    "background_jobs": NEWER,
    "plan": NEWER,
    "session_plan": NEWER,
    "session_context": NEWER,
    "open_url": NEWER,
    "scheduler": NEWER,
    "git": NEWER,
    "webhook": NEWER,
    "environment": NEWER,
}
"""The types, with the version that brought each."""

NOT_BUILT: Final = frozenset({"mcp_catalog", "open_url", "scheduler", "webhook", "environment"})
BUILT: Final = frozenset(TYPES) - NOT_BUILT

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "lsp": ("command",),
    "api": ("api_config",),
    "openapi": ("url",),
    "a2a": ("url",),
    "open_url": ("url",),
    "model_picker": ("models",),
    "webhook": ("webhook_config",),
    "script": ("shell",),
}

_text, _flag, _any = Text(), Flag(), Anything()
_texts = Items(Text(filled=True))
_values = Entries(Text(loose=True))
_duration = Text(pattern=r"0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+", what="a duration such as '1m30s'", loose=True)

LIFECYCLE = Record(
    {
        "profile": Key(Text(words=("resilient", "strict", "best-effort"))),
        "required": Key(_flag),
        "startup_timeout": Key(_duration),
        "call_timeout": Key(_duration),
        "restart": Key(Text(words=("never", "on_failure", "always"))),
        "max_restarts": Key(Number(-1, whole=True)),
        "backoff": Key(
            Record(
                {
                    "initial": Key(_duration),
                    "max": Key(_duration),
                    "multiplier": Key(Number(0)),
                    "jitter": Key(Number(0, 1)),
                }
            )
        ),
    }
)
_oauth = Record(
    {
        "clientId": Key(_text),
        "clientSecret": Key(_text),
        "callbackPort": Key(Number(0, 65535, whole=True)),
        "scopes": Key(_texts),
        "callbackRedirectURL": Key(_text),
    }
)
REMOTE = Record(
    {
        "url": Key(_text),
        "transport_type": Key(_text),
        "headers": Key(_values),
        "oauth": Key(_oauth, since=NEWER),
    },
    required=("url",),
)
SCRIPT = Record(
    {
        "cmd": Key(_text),
        "description": Key(_text),
        "args": Key(Entries(_any)),
        "required": Key(_texts),
        "env": Key(_values),
        "working_dir": Key(_text),
    },
    required=("cmd",),
)
API_CONFIG = Record(
    {
        "name": Key(_text),
        "endpoint": Key(Text(pattern=r"https?://.+|\$\{.+", what="an http(s) address")),
        "method": Key(Text(words=("GET", "POST", "PUT", "PATCH", "DELETE"))),
        "instruction": Key(_text),
        "headers": Key(_values),
        "args": Key(Entries(_any)),
        "required": Key(_texts),
        "output_schema": Key(Entries(_any)),
        "timeout": Key(Number(1, whole=True), since=NEWER),
        "allow_private_ips": Key(_flag, since=NEWER),
    },
    required=("name", "endpoint", "method"),
)
_services = ("slack", "discord", "ifttt", "telegram", "mattermost", "rocketchat", "googlechat", "teams", "generic")
WEBHOOK = Record(
    {"provider": Key(Text(words=_services)), "url": Key(_text), "headers": Key(_values), "chat_id": Key(_text)},
    required=("url",),
)
_defer = Either(flag=_flag, items=_texts)
_files = ("filesystem", "file")

KEYS: Final[Mapping[str, Key]] = {
    "type": Key(_text),
    "tools": Key(_texts),
    "instruction": Key(_text, since=2),
    "toon": Key(_text, since=2),
    "model": Key(_text, since=6),
    "defer": Key(_defer, since=3),
    "command": Key(_text, types=("mcp", "lsp")),
    "args": Key(Items(Text(loose=True)), types=("mcp", "lsp")),
    "ref": Key(_text, types=("mcp", "rag")),
    "remote": Key(REMOTE, types=("mcp",)),
    "config": Key(_any, types=("mcp",)),
    "version": Key(Text(loose=True), since=6, mark="warn", types=("mcp", "lsp"), harmless=("false", "off")),
    "name": Key(_text, types=("mcp", "a2a", "rag")),
    "url": Key(_text, since=3, types=("a2a", "openapi", "open_url")),
    "headers": Key(_values, since=3, types=("openapi", "a2a", "fetch")),
    "env": Key(_values, types=("shell", "script", "mcp", "lsp")),
    "shared": Key(_flag, types=("todo",)),
    "path": Key(_text, types=("memory", "tasks")),
    "shell": Key(Entries(SCRIPT), types=("script",)),
    "post_edit": Key(
        Items(Record({"path": Key(Text(filled=True)), "cmd": Key(Text(filled=True))}, required=("path", "cmd"))),
        types=_files,
    ),
    "api_config": Key(API_CONFIG, since=2, types=("api",)),
    "ignore_vcs": Key(_flag, since=2, types=("filesystem",)),
    "file_types": Key(_texts, since=4, types=("lsp",)),
    "timeout": Key(Number(1, whole=True), since=2, types=("fetch", "api", "openapi")),
    "models": Key(Items(Text(filled=True), least=1), since=6, types=("model_picker",)),
    "readonly": Key(_flag, since=NEWER),
    "allow_list": Key(_texts, since=NEWER, types=_files),
    "deny_list": Key(_texts, since=NEWER, types=_files),
    "working_dir": Key(_text, since=NEWER, types=("mcp", "lsp")),
    "protocol": Key(Text(words=("auto", "legacy")), since=NEWER, types=("mcp",)),
    "sampling": Key(Text(words=("ask", "allow", "deny")), since=NEWER, types=("mcp",)),
    "lifecycle": Key(LIFECYCLE, since=NEWER, types=("mcp", "lsp")),
    "allow_private_ips": Key(_flag, since=NEWER, types=("fetch", "api", "openapi", "a2a", "mcp")),
    "allowed_domains": Key(_texts, since=NEWER, types=("fetch",)),
    "blocked_domains": Key(_texts, since=NEWER, types=("fetch",)),
    "sudo_askpass": Key(_flag, since=NEWER, mark="warn", types=("shell",)),
    "safer": Key(_flag, since=NEWER, mark="warn", types=("shell",)),
    "recall": Key(_flag, since=NEWER, types=("background_jobs",)),
    "webhook_config": Key(WEBHOOK, since=NEWER, types=("webhook",)),
    "rag_config": Key(RAG, since=NEWER, types=("rag",)),
    "escape_html": Key(_flag, since=UNRELEASED, mark="quiet", types=("fetch",)),
    "allowed_servers": Key(_texts, since=NEWER, types=("mcp_catalog",)),
    "blocked_servers": Key(_texts, since=NEWER, types=("mcp_catalog",)),
    "sandbox": Key(_any, since=3, until=5, mark="warn", types=("shell",)),
    "env_file": Key(_any, gone="set variables with --env-from-file, or in the environment"),
    "envfiles": Key(_any, gone="set variables with --env-from-file, or in the environment"),
}


class Toolset(Struct, frozen=True):
    """One entry of `toolsets`: a type, what all types have, and what only this one has."""

    keys: Mapping[str, Key]

    def check(self, value: Any, path: Path, notes: Notes) -> Any:
        """The entry, or BAD where not even its type is known."""
        if not isinstance(value, dict):
            return notes.bad(path, f"{where(path)}: expected a mapping with a type, got {kind_of(value)}")
        kind = self._type(value.get("type"), path, notes)
        if kind is BAD:
            return BAD
        mine = {name: key for name, key in self.keys.items() if not key.types or kind in key.types}
        fitting = {name: item for name, item in value.items() if self._fits(name, mine, path, notes)}
        if kind not in BUILT:  # one warning for the whole entry is enough
            mine = {name: replace(key, mark="quiet") if key.mark == "warn" else key for name, key in mine.items()}
        checked: dict[str, Any] = Record(mine).check(fitting, path, notes)
        self._complete(kind, checked, value, path, notes)
        if kind not in BUILT:
            notes.warn((*path, "type"), f"{where(path)}: toolset type {kind!r} is not supported yet and is left out")
        return checked

    def _type(self, kind: Any, path: Path, notes: Notes) -> Any:
        if kind is None:
            return notes.bad(path, f"{where(path)}: type is missing")
        if not isinstance(kind, str) or kind not in TYPES:
            legal = [name for name, since in TYPES.items() if notes.version is None or since <= notes.version]
            hint = notes.hint(str(kind), legal)
            return notes.bad((*path, "type"), f"{where(path)}: unknown toolset type {quoted(kind)}{hint}")
        if notes.version is not None and notes.version < TYPES[kind]:
            older = f"needs version {TYPES[kind]} or newer (the file says {notes.version})"
            return notes.bad((*path, "type"), f"{where(path)}: toolset type {kind!r} {older}")
        return kind

    def _fits(self, name: str, mine: Mapping[str, Key], path: Path, notes: Notes) -> bool:
        if name in mine or name not in self.keys:
            return True
        types = " or ".join(f"'{kind}'" for kind in self.keys[name].types)
        notes.bad_key((*path, name), f"{where(path)}: {name} can only be used with type {types}")
        return False

    def _complete(self, kind: str, checked: Mapping[str, Any], value: Any, path: Path, notes: Notes) -> None:
        for name in NEEDS.get(kind, ()):
            if value.get(name) in (None, "", [], {}):
                notes.bad(path, f"{where(path)}: a toolset of type {kind!r} needs {name}")
        if kind == "mcp":
            one_source(value, path, notes)
        if kind == "rag" and not value.get("ref") and not value.get("rag_config"):
            notes.bad(path, f"{where(path)}: a toolset of type 'rag' needs ref or rag_config")
        if checked.get("allowed_domains") and checked.get("blocked_domains"):
            notes.bad_key(
                (*path, "blocked_domains"), f"{where(path)}: allowed_domains and blocked_domains exclude each other"
            )


def one_source(value: Mapping[str, Any], path: Path, notes: Notes) -> None:
    """An MCP server comes from exactly one of `command`, `remote` and `ref`."""
    given = [name for name in ("command", "remote", "ref") if value.get(name)]
    if len(given) != 1:
        got = " and ".join(given) if given else "none"
        notes.bad(path, f"{where(path)}: needs exactly one of command, remote and ref, has {got}")


class Server(Struct, frozen=True):
    """One entry of `mcps`: an MCP server without `type`, whose `ref` is Docker's."""

    def check(self, value: Any, path: Path, notes: Notes) -> Any:
        """The entry."""
        keys = {name: key for name, key in KEYS.items() if name != "type" and (not key.types or "mcp" in key.types)}
        checked = Record({name: replace(key, types=()) for name, key in keys.items()}).check(value, path, notes)
        if checked is BAD:
            return BAD
        one_source(value, path, notes)
        if checked.get("ref") and not checked["ref"].startswith("docker:"):
            notes.bad((*path, "ref"), f"{where(path)}: ref must start with 'docker:'")
        return checked


TOOLSET: Final = Toolset(KEYS)
