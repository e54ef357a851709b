"""What clients of `/api/v1` send.  `null` is the same as absence, and unknown fields are left alone."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from roost.doors.errors import Refused

Text = str | None
Flag = bool | None
Texts = list[str] | None
Count = int | None


class Login(Struct):
    """POST /login."""

    username: str
    password: str


class Spawn(Struct):
    """POST /sessions/spawn."""

    prompt: Text = None
    provider: Text = None
    model: Text = None
    root: Text = None
    auto_approve: Flag = None
    system_prompt: Text = None
    add_dirs: Texts = None
    size: Text = None
    max_turns: Count = None
    timeout: Text = None
    name: Text = None
    description: Text = None
    tags: Texts = None
    depends_on: Texts = None
    inject_context: Flag = None
    interactive: Flag = None
    env_vars: Any = None
    files: Texts = None
    mcp_config: Any = None
    json_schema: Any = None
    worktree: str | bool | None = None
    sandbox: str | bool | None = None
    parent_session_id: Text = None
    roost_tools: Flag = None


class Pipe(Spawn):
    """POST /sessions/pipe."""

    session_ids: Texts = None
    tag: Text = None
    context: Text = None


class Patch(Struct):
    """PATCH /sessions/{id}."""

    name: Text = None
    description: Text = None
    tags: Texts = None
    clear_tags: Flag = None


class Input(Struct):
    """POST /sessions/{id}/input."""

    message: str


class Cancel(Struct):
    """POST /sessions/{id}/cancel."""

    reason: Text = None


class Some(Struct):
    """Sessions by id and by tag: collect, summary."""

    session_ids: Texts = None
    tag: Text = None
    stats: Flag = None


class Wait(Struct):
    """POST /sessions/wait."""

    session_ids: Texts = None
    tag: Text = None
    timeout: Text = None
    any: Flag = None


class Retry(Struct):
    """POST /sessions/retry."""

    session_ids: Texts = None
    tag: Text = None
    failed: Flag = None
    model: Text = None


class Broadcast(Struct):
    """POST /sessions/broadcast."""

    message: str
    tag: Text = None
    raw: Flag = None


class Log(Struct):
    """POST /sessions/{id}/log."""

    message: str
    level: Text = None
    data: Any = None


class Kill(Struct):
    """POST /processes/{id}/kill."""

    result: Text = None
    file: Text = None


class Search(Struct, rename={"from_": "from"}):
    """POST /search."""

    query: Text = None
    regex: Flag = None
    case_sensitive: Flag = None
    provider: Text = None
    role: Text = None
    tool: Text = None
    tool_kind: Text = None
    from_: Text = None
    to: Text = None
    session: Text = None
    tag: Text = None
    count: Flag = None
    limit: Count = None


class Gc(Struct):
    """POST /gc."""

    force: Flag = None
    older_than: Text = None
    keep_logs: Flag = None


class Review(Struct):
    """POST /review."""

    uncommitted: Flag = None
    base: Text = None
    commit: Text = None
    title: Text = None
    prompt: Text = None
    provider: Text = None
    model: Text = None
    root: Text = None
    auto_approve: Flag = None
    add_dirs: Texts = None


class Config(Struct):
    """POST /config."""

    args: list[str]
    root: Text = None


class Skills(Struct, rename={"from_": "from"}):
    """POST /skills."""

    command: str
    name: Text = None
    description: Text = None
    provider: Text = None
    from_: Text = None


class Mcp(Struct, rename={"from_": "from", "global_": "global"}):
    """POST /mcp."""

    command: str
    name: Text = None
    transport: Text = None
    command_str: Text = None
    server_command: Text = None
    args: Texts = None
    url: Text = None
    env: Any = None
    description: Text = None
    global_: Flag = None
    root: Text = None
    from_: Text = None


class NewUser(Struct):
    """POST /users/add."""

    username: str
    password: str
    home_dir: str
    force_sandbox: Flag = None


class OldUser(Struct):
    """POST /users/remove."""

    username: str


class Passwd(Struct):
    """POST /users/passwd."""

    username: str
    password: str


class Nothing(Struct):
    """A body that does not matter."""


def pairs(value: Any, name: str = "env_vars") -> dict[str, str]:
    """Variables, as an object, as `K=V` strings, or as pairs.

    Raises:
        Refused: 422; they are something else.
    """
    if value is None:
        return {}
    items = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(items, list):
        raise _unfit(name)
    return dict(_pair(item, name) for item in items)


def _pair(item: Any, name: str) -> tuple[str, str]:
    if isinstance(item, str):
        key, found, value = item.partition("=")
        if not found:
            raise _unfit(name)
        return key, value
    match item:
        case (str(key), str(value)) | [str(key), str(value)]:
            return key, value
        case _:
            raise _unfit(name)


def chosen(value: str | bool | None) -> str | None:
    """A name that may be given, left to us (`true` or ""), or not wanted at all."""
    if isinstance(value, bool):
        return "" if value else None
    return value


def _unfit(name: str) -> Refused:
    expected = 'an object, a list of "NAME=value" texts, or a list of pairs'
    return Refused(422, f"Failed to deserialize the JSON body into the target type: {name}: expected {expected}")


def parsed(text: str, name: str) -> Any:
    """JSON in a text.

    Raises:
        Refused: 400; it holds none.  A name of a file is none: it would be one on the client's machine.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise Refused(400, f"{name} must hold JSON, not the name of a file") from None
