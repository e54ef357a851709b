"""Items of a Codex thread, as `codex exec --json` and the app server print them: what they say and do."""

import re
from collections.abc import Mapping
from typing import Any

from roost.core.messages import Result
from roost.core.usage import Usage
from roost.drivers import fields
from roost.drivers.fields import mapping, objects, text

_HUMP = re.compile(r"(?<=[a-z])([A-Z])")
_LOGIN = "log in with `codex login` on the server's machine, or set OPENAI_API_KEY"
_DECLINED = "declined"


def snake(name: str) -> str:
    """`commandExecution` as `command_execution`; exec says it so by itself."""
    return _HUMP.sub(lambda hump: "_" + hump[1].lower(), name)


def got(item: Mapping[str, Any], name: str) -> Any:
    """A field by its name in snake case, however this output writes it."""
    if name in item:
        return item[name]
    head, *rest = name.split("_")
    return item.get(head + "".join(part.capitalize() for part in rest))


def kind(item: Mapping[str, Any]) -> str:
    """The item's type in snake case."""
    return snake(text(item.get("type")))


def call(item: Mapping[str, Any]) -> tuple[str, str] | None:
    """The tool's name and arguments, where the item is the use of a tool."""
    match kind(item):
        case "command_execution":
            where = text(item.get("cwd"))
            asked = {"command": text(item.get("command"))}
            return "shell", fields.encoded({**asked, "cwd": where} if where else asked)
        case "file_change":
            return "apply_patch", fields.encoded({"changes": [_change(one) for one in objects(item.get("changes"))]})
        case "mcp_tool_call":
            name = f"mcp__{text(item.get('server'))}__{text(item.get('tool'))}"
            return name, fields.encoded(item.get("arguments"))
        case "dynamic_tool_call":
            return text(item.get("tool")), fields.encoded(item.get("arguments"))
        case "web_search":
            asked = {"query": text(item.get("query"))}
            action = mapping(item.get("action"))
            return "web_search", fields.encoded({**asked, "action": action} if action else asked)
        case "image_view":
            return "view_image", fields.encoded({"path": text(item.get("path"))})
        case "image_generation":
            return "image_generation", fields.encoded({"prompt": text(got(item, "revised_prompt"))})
        case "collab_agent_tool_call" | "collab_tool_call":
            told = {"prompt": text(item.get("prompt")), "receivers": fields.items(got(item, "receiver_thread_ids"))}
            return f"agent_{snake(text(item.get('tool')))}", fields.encoded(told)
        case _:
            return None


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    how = change.get("kind")
    told = {"path": text(change.get("path")), "kind": text(how) or text(mapping(how).get("type"))}
    diff, moved = text(change.get("diff")), text(mapping(how).get("move_path"))
    return {**told, **({"diff": diff} if diff else {}), **({"move_path": moved} if moved else {})}


def result(item: Mapping[str, Any], shown: str = "") -> tuple[Result, bool]:
    """What a tool returned, and whether it ran at all; `shown` is what it has printed so far."""
    status = snake(text(item.get("status")))
    failed, ran = status in ("failed", _DECLINED), status != _DECLINED
    if not ran:
        return Result("The user declined this.", is_error=True), False
    match kind(item):
        case "command_execution":
            return _of_command(item, shown), True
        case "file_change":
            return _of_change(item, failed), True
        case "mcp_tool_call":
            return _of_mcp(item, failed), True
        case "dynamic_tool_call":
            said = "\n".join(text(part.get("text")) for part in objects(got(item, "content_items")))
            return Result(said, is_error=failed or item.get("success") is False), True
        case _:
            return Result(status or "completed", is_error=failed), True


def _of_command(item: Mapping[str, Any], shown: str) -> Result:
    code = got(item, "exit_code")
    output = text(got(item, "aggregated_output")) or shown
    failed = snake(text(item.get("status"))) == "failed" or (isinstance(code, int) and code != 0)
    known = {"exit_code": code} if isinstance(code, int) else None
    return Result(output or (f"exit code {code}" if failed else ""), is_error=failed, structured=known)


def _of_change(item: Mapping[str, Any], failed: bool) -> Result:
    changes = [_change(one) for one in objects(item.get("changes"))]
    lines = [f"{change['kind'] or 'update'} {change['path']}" for change in changes]
    shown = "\n".join(lines) or "no changes"
    return Result(f"the changes could not be made:\n{shown}" if failed else shown, is_error=failed)


def _of_mcp(item: Mapping[str, Any], failed: bool) -> Result:
    error = text(mapping(item.get("error")).get("message"))
    given = mapping(item.get("result"))
    said = "\n".join(text(part.get("text")) for part in objects(given.get("content")))
    structured = fields.data(got(given, "structured_content"))
    return Result(error or said, is_error=failed or bool(error), structured=structured)


def reasoning(item: Mapping[str, Any]) -> str:
    """The thoughts of a reasoning item: its summary, else its text."""
    parts = fields.strings(item.get("summary")) or fields.strings(item.get("content"))
    return "\n\n".join(parts) or text(item.get("text"))


def usage(given: Any) -> Usage | None:
    """Tokens; Codex counts those of the cache into its input."""
    if not mapping(given):
        return None
    read = fields.count(given, "cached_input_tokens", "cachedInputTokens")
    written = fields.count(given, "cache_write_input_tokens", "cacheWriteInputTokens")
    return Usage(
        max(0, fields.count(given, "input_tokens", "inputTokens") - read - written),
        fields.count(given, "output_tokens", "outputTokens"),
        read,
        written,
        fields.count(given, "reasoning_output_tokens", "reasoningOutputTokens"),
    )


def complaint(error: Any) -> str:
    """An error's message, worded for people: what an API sent as JSON is unwrapped."""
    said = text(error) or text(mapping(error).get("message"))
    if said.startswith("{"):
        inner = mapping((fields.parse(said.encode()) or {}).get("error"))
        said = text(inner.get("message")) or said
    more = text(got(mapping(error), "additional_details"))
    said = f"{said} ({more})" if more and more not in said else said
    return f"{said} ({_LOGIN})" if "401 Unauthorized" in said and _LOGIN not in said else said


def info(error: Any) -> str:
    """What kind of error Codex says it is."""
    said = got(mapping(error), "codex_error_info")
    return text(said) or next(iter(mapping(said)), "")
