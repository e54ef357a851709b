"""The moments at which hooks run, what they are given, and which of them do."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from roost.core.agents import Hook, Matcher
from roost.core.messages import Definition, ToolCall

NAMED = 60  # characters of a command that stand for its name


class Moment(Struct, frozen=True, omit_defaults=True):
    """What hooks of an event can bring about; one that says nothing here only looks on.

    `under_tools`: they stand under matchers of tool names.  `takes_text`: what they print without
    being JSON is context, too.
    """

    under_tools: bool = False
    takes_text: bool = False
    adds_context: bool = False
    blocks: bool = False
    decides: bool = False  # allow, ask and deny
    rewrites: Literal["", "input", "response", "messages", "summary"] = ""
    ends_run: bool = False  # where it blocks, the run ends
    goes_on: bool = False  # where it blocks, the run does not end, and its reason is context
    fails_closed: bool = False  # a hook that fails is one that blocks, whatever its `on_error`

    @property
    def looks_on(self) -> bool:
        """Whether nothing comes of what its hooks answer, but words for people."""
        return self in (Moment(), Moment(under_tools=True))


_LOOKS_ON = Moment()
_ADDS = Moment(takes_text=True, adds_context=True)

EVENTS: Mapping[str, Moment] = {
    "session_start": _ADDS,
    "session_end": _LOOKS_ON,
    "on_session_resume": _ADDS,
    "user_prompt_submit": Moment(takes_text=True, adds_context=True, blocks=True),
    "user_steering_messages_submit": Moment(blocks=True),
    "user_followup_submit": Moment(blocks=True),
    "turn_start": _ADDS,
    "turn_end": _LOOKS_ON,
    "before_llm_call": Moment(blocks=True, rewrites="messages", ends_run=True),
    "after_llm_call": _LOOKS_ON,
    "tool_input_transform": Moment(under_tools=True, blocks=True, rewrites="input"),
    "tool_guard": Moment(under_tools=True, blocks=True, decides=True),
    "pre_tool_use": Moment(under_tools=True, blocks=True, decides=True, rewrites="input", fails_closed=True),
    "permission_request": Moment(under_tools=True, blocks=True, decides=True),
    "on_tool_approval_decision": _LOOKS_ON,
    "tool_response_transform": Moment(under_tools=True, blocks=True, rewrites="response"),
    "post_tool_use": Moment(under_tools=True, adds_context=True, blocks=True, ends_run=True),
    "pre_compact": Moment(blocks=True, rewrites="summary"),
    "before_compaction": Moment(blocks=True, rewrites="summary"),
    "after_compaction": _LOOKS_ON,
    "subagent_stop": _LOOKS_ON,
    "stop": Moment(adds_context=True, blocks=True, goes_on=True),
    "notification": _LOOKS_ON,
    "on_error": _LOOKS_ON,
    "on_user_input": _LOOKS_ON,
    "on_max_iterations": _LOOKS_ON,
    "on_agent_switch": _LOOKS_ON,
    "worktree_create": _LOOKS_ON,
}

BUILTINS = frozenset(
    {
        "add_date",
        "add_directory_listing",
        "add_environment_info",
        "add_git_diff",
        "add_git_status",
        "add_prompt_files",
        "add_recent_commits",
        "add_user_info",
        "elide_repeated_tool_results",
        "limit_large_tool_results",
        "max_iterations",
        "redact_secrets",
        "safer_shell",
    }
)
"""Hooks that come with the house."""

NOT_BUILT = frozenset({"cache_response", "inject_memories", "snapshot", "strip_unsupported_media", "unload"})
"""Builtins that files may name, and that are not there."""


# -- what they are given ------------------------------------------------------------------------


def given(event: str, *, session: str, cwd: str, agent: str, **special: Any) -> dict[str, Any]:
    """The input of an event's hooks; `special` are the fields that only this event has."""
    return {"session_id": session, "cwd": cwd, "hook_event_name": event, "agent_name": agent, **special}


def tool_fields(call: ToolCall, definition: Definition | None) -> dict[str, Any]:
    """The fields of events about a call.  Arguments that can't be read are no arguments: such a call is refused."""
    fields: dict[str, Any] = {"tool_name": call.name, "tool_use_id": call.id, "tool_input": _arguments(call)}
    if definition is not None:
        fields["tool_category"] = definition.category
        fields["tool_read_only"] = definition.annotations.read_only
    return fields


def _arguments(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return {}
    return arguments if isinstance(arguments, dict) else {}


# -- which of them run --------------------------------------------------------------------------


def chosen(
    hooks: Mapping[str, Sequence[Matcher]], event: str, *, tool: str = "", preempt: bool = False
) -> tuple[Hook, ...]:
    """The hooks of an event that run, in order, each command once; `tool` is the tool that is called.

    Of `pre_tool_use`, `preempt` asks for the matchers that come before the permissions; without it, for the others.
    """
    found: list[Hook] = []
    for matcher in hooks.get(event, ()):
        lane = event != "pre_tool_use" or matcher.preempt is preempt
        if lane and (not EVENTS[event].under_tools or _matches(matcher.matcher, tool)):
            found += [hook for hook in matcher.hooks if not any(_same(hook, other) for other in found)]
    return tuple(found)


def joined(*sources: Mapping[str, Sequence[Matcher]]) -> dict[str, tuple[Matcher, ...]]:
    """The hooks of several sources, the first source's first."""
    events = dict.fromkeys(event for source in sources for event in source)
    return {event: tuple(matcher for source in sources for matcher in source.get(event, ())) for event in events}


def complaint(matcher: str) -> str:
    """What is wrong with a matcher: one that is no regular expression matches no tool; "" where it is one."""
    expression = _expression(matcher)
    return expression if isinstance(expression, str) else ""


def _matches(matcher: str, tool: str) -> bool:
    expression = _expression(matcher)
    return not isinstance(expression, str) and expression.fullmatch(tool) is not None


@lru_cache(maxsize=1024)
def _expression(matcher: str) -> re.Pattern[str] | str:
    """It as an expression, or why it is none."""
    try:
        return re.compile(".*" if matcher.strip() in ("", "*") else matcher, re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        return f"not a regular expression: {error}"


def _same(hook: Hook, other: Hook) -> bool:
    return replace(hook, name="") == replace(other, name="")


def title(hook: Hook) -> str:
    """What messages call a hook."""
    if hook.name:
        return hook.name
    return cut(" ".join((hook.command or hook.model or hook.type).split()), NAMED)


def cut(text: str, limit: int) -> str:
    """A text as far as there is room for it."""
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"
