"""Hooks of an agent: what a file may say of them, and what they become."""

from collections.abc import Iterator
from typing import Any, Final

from roost.config import regulars
from roost.config.complaints import quoted
from roost.config.shapes import (
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
    where,
)
from roost.config.yaml import Path
from roost.core.agents import Hook, Matcher
from roost.core.hooks import BUILTINS, NOT_BUILT

Data = dict[str, Any]

GUARDS: Final = frozenset({"pre_tool_use", "tool_guard"})
"""Events whose hooks keep tools from running: what can't run there refuses the file."""

TOOLS: Final = {
    "pre_tool_use": 0,
    "post_tool_use": 0,
    "permission_request": NEWER,
    "tool_response_transform": NEWER,
    "tool_input_transform": UNRELEASED,
    "tool_guard": UNRELEASED,
}
"""Events of tools, whose hooks stand under matchers, with the version that brought each."""

OTHERS: Final = {
    "session_start": 0,
    "session_end": 0,
    "on_user_input": 6,
} | dict.fromkeys(
    (
        "user_prompt_submit",
        "user_steering_messages_submit",
        "user_followup_submit",
        "turn_start",
        "turn_end",
        "before_llm_call",
        "after_llm_call",
        "pre_compact",
        "before_compaction",
        "after_compaction",
        "subagent_stop",
        "stop",
        "notification",
        "on_error",
        "on_max_iterations",
        "on_agent_switch",
        "on_session_resume",
        "on_tool_approval_decision",
        "worktree_create",
    ),
    NEWER,
)

_text, _flag, _any = Text(), Flag(), Anything()
_values = Entries(Text(loose=True))
_hook = Record(
    {
        "name": Key(_text, since=NEWER),
        "type": Key(Text(words=("command", "builtin", "model", "evaluator"))),
        "command": Key(_text),
        "args": Key(Items(Text(loose=True)), since=NEWER),
        "timeout": Key(Number(1, whole=True)),
        "env": Key(_values, since=NEWER),
        "working_dir": Key(_text, since=NEWER),
        "on_error": Key(Text(words=("warn", "ignore", "block")), since=NEWER),
        "model": Key(_text, since=NEWER),
        "prompt": Key(_text, since=NEWER),
        "schema": Key(_text, since=NEWER),
        "evaluator": Key(_text, since=UNRELEASED),
        "evaluator_policy": Key(_any, since=UNRELEASED),
        "routing_policy": Key(_any, since=UNRELEASED),
        "strict_output": Key(_flag, since=UNRELEASED),
    },
    required=("type",),
)
_hooks = Either(items=Items(_hook), entries=_hook)
_matcher = Record(
    {"matcher": Key(_text), "hooks": Key(_hooks), "preempt_yolo": Key(_flag, since=NEWER)}, required=("hooks",)
)
_matchers = Either(items=Items(_matcher), entries=_matcher)

HOOKS: Final = Record(
    {event: Key(_matchers, since=since) for event, since in TOOLS.items()}
    | {event: Key(_hooks, since=since) for event, since in OTHERS.items()}
    | {"before_agent_run": Key(_hooks, since=UNRELEASED, mark="warn")}
)


def check(hooks: Data, path: Path, notes: Notes) -> None:
    """Complain about hooks that can't run, and say which are left out."""
    for event, entries in hooks.items():
        if HOOKS.keys[event].mark != "built":
            continue
        for at, matcher in _matchers_of(event, entries, (*path, event)):
            if (pattern := matcher.get("matcher", "")) != "*":
                regulars.check(pattern, (*at, "matcher"), notes)
        for at, hook in every({event: entries}, path):
            _check(event, hook, at, notes)


def every(hooks: Data, path: Path) -> Iterator[tuple[Path, Data]]:
    """All hooks of an agent, with their places."""
    for event, entries in hooks.items():
        for at, matcher in _matchers_of(event, entries, (*path, event)):
            yield from _each(matcher.get("hooks"), (*at, "hooks") if event in TOOLS else at)


def _matchers_of(event: str, entries: Any, path: Path) -> Iterator[tuple[Path, Data]]:
    """The matchers of an event; hooks of other events than tools' are as if they stood under one."""
    if event in TOOLS:
        yield from _each(entries, path)
    else:
        yield path, {"hooks": entries}


def _each(entries: Any, path: Path) -> Iterator[tuple[Path, Data]]:
    """The mappings of a list, or a single one; those that have been complained of are left out."""
    if isinstance(entries, dict):
        yield path, entries
    elif isinstance(entries, list):
        yield from (((*path, index), entry) for index, entry in enumerate(entries) if isinstance(entry, dict))


def _check(event: str, hook: Data, path: Path, notes: Notes) -> None:
    kind, command = hook.get("type"), hook.get("command", "")
    for key in {"command": ("command",), "builtin": ("command",), "model": ("model", "prompt")}.get(kind or "", ()):
        if not hook.get(key):
            notes.bad(path, f"{where(path)}: a hook of type {kind!r} needs {key}")
    if kind == "builtin" and command and command not in BUILTINS | NOT_BUILT:
        hint = notes.hint(command, sorted(BUILTINS | NOT_BUILT))
        notes.bad((*path, "command"), f"{where(path)}: unknown builtin hook {quoted(command)}{hint}")
    elif kind is not None and not runs(hook):
        what = f"the builtin hook {command!r}" if kind == "builtin" else f"a hook of type {kind!r}"
        if event in GUARDS:
            reason = "is not supported yet; without it tools would run that it may refuse, so the file is refused"
            notes.bad((*path, "type"), f"{where(path)}: {what} {reason}")
        else:
            notes.warn((*path, "type"), f"{where(path)}: {what} is not supported yet and is left out")


def runs(hook: Data) -> bool:
    """Whether a hook is built."""
    return hook["type"] == "command" or (hook["type"] == "builtin" and hook.get("command") in BUILTINS)


def hooks(entries: Data) -> dict[str, tuple[Matcher, ...]]:
    """The hooks of an agent by event, those that are built."""
    found: dict[str, tuple[Matcher, ...]] = {}
    for event, under in entries.items():
        if HOOKS.keys[event].mark != "built":
            continue
        matchers = [_made(matcher) for _, matcher in _matchers_of(event, under, ())]
        if filled := tuple(matcher for matcher in matchers if matcher.hooks):
            found[event] = filled
    return found


def _made(matcher: Data) -> Matcher:
    return Matcher(
        tuple(_hook_of(hook) for _, hook in _each(matcher["hooks"], ()) if runs(hook)),
        matcher=matcher.get("matcher", ""),
        preempt=matcher.get("preempt_yolo", False),
    )


def _hook_of(hook: Data) -> Hook:
    return Hook(
        type=hook["type"],
        command=hook.get("command", ""),
        args=tuple(hook.get("args", ())),
        timeout=float(hook.get("timeout", 60)),
        name=hook.get("name", ""),
        env=hook.get("env", {}),
        working_dir=hook.get("working_dir", ""),
        on_error=hook.get("on_error", "warn"),
        model=hook.get("model", ""),
        prompt=hook.get("prompt", ""),
        schema=hook.get("schema", ""),
    )
