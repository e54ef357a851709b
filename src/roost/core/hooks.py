"""What hooks are given, and what their answers mean: the moments, the matching, the merging."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from roost.core.agents import Hook, Matcher
from roost.core.messages import Definition, ToolCall

Decision = Literal["", "allow", "ask", "deny"]

SHOWN = 500  # characters of a failed hook's stderr in a message
HEARD = 10_000  # characters of a reason
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
    return _short(" ".join((hook.command or hook.model or hook.type).split()), NAMED)


# -- what one of them says ----------------------------------------------------------------------


class Ended(Protocol):
    """How the command of a hook ended, as `ports.Ran` has it."""

    @property
    def code(self) -> int | None:
        """Its exit status; None where it did not end by itself, and `error` says why."""
        ...

    @property
    def stdout(self) -> str:
        """What it printed."""
        ...

    @property
    def stderr(self) -> str:
        """What it complained."""
        ...

    @property
    def error(self) -> str:
        """Why it did not end by itself."""
        ...


class Output(Struct, frozen=True, omit_defaults=True):
    """What one hook said.  `error` is what went wrong with it, where that is to be told."""

    hook: str
    decision: Decision = ""
    reason: str = ""
    context: str = ""
    updated_input: dict[str, Any] | None = None
    updated_response: str | None = None
    updated_messages: tuple[dict[str, Any], ...] | None = None
    summary: str = ""
    message: str = ""
    stop: bool = False
    stop_reason: str = ""
    metadata: dict[str, Any] = {}
    error: str = ""


class _Specific(Struct, frozen=True):
    permission_decision: Literal["allow", "deny", "ask", ""] | None = None
    permission_decision_reason: str | None = None
    updated_input: dict[str, Any] | None = None
    additional_context: str | None = None
    updated_tool_response: str | None = None
    updated_messages: tuple[dict[str, Any], ...] | None = None
    summary: str | None = None
    metadata: dict[str, Any] | None = None


class _Answer(Struct, frozen=True):
    go_on: bool | None = field(default=True, name="continue")
    stop_reason: str | None = None
    suppress_output: bool | None = None  # nothing that a hook prints is shown anyway
    system_message: str | None = None
    decision: Literal["block", "deny", "ask", "allow", "approve", ""] | None = None
    reason: str | None = None
    hook_specific_output: _Specific | None = None


_WORDS: Mapping[str, Decision] = {"block": "deny", "deny": "deny", "ask": "ask", "allow": "allow", "approve": "allow"}
_RANK: Mapping[Decision, int] = {"": 0, "allow": 1, "ask": 2, "deny": 3}


def read(event: str, hook: Hook, ran: Ended) -> Output:
    """What a hook's end means for this event."""
    name, moment = title(hook), EVENTS[event]
    if ran.code is None:
        return _failure(moment, hook, ran.error or "it did not end")
    if ran.code == 2:
        return _heeded(moment, Output(name, decision="deny", reason=_short(ran.stderr, HEARD)))
    if ran.code != 0:
        said = _short(ran.stderr, SHOWN)
        return _failure(moment, hook, f"exit status {ran.code}{': ' if said else ''}{said}")
    text = ran.stdout.strip()
    if not text.startswith("{") or (moment.takes_text and not _is_object(text)):
        return Output(name, context=text) if moment.takes_text else Output(name)
    try:
        answer = msgspec.json.decode(text, type=_Answer)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        return _failure(moment, hook, f"its output can't be used: {error}")
    return _heeded(moment, _output(name, answer))


def _is_object(text: str) -> bool:
    """Whether a text that begins like a JSON object is one."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _output(name: str, answer: _Answer) -> Output:
    own = answer.hook_specific_output or _Specific()
    general = _WORDS.get(answer.decision or "", "")
    special = _WORDS.get(own.permission_decision or "", "")
    first, second = (own.permission_decision_reason, answer.reason)
    decision = special
    if _RANK[general] > _RANK[special]:
        decision, first, second = general, second, first
    return Output(
        name,
        decision=decision,
        reason=_short(first or second or "", HEARD),
        context=(own.additional_context or "").strip(),
        updated_input=own.updated_input,
        updated_response=own.updated_tool_response,
        updated_messages=own.updated_messages,
        summary=(own.summary or "").strip(),
        message=(answer.system_message or "").strip(),
        stop=answer.go_on is False,
        stop_reason=(answer.stop_reason or "").strip(),
        metadata=own.metadata or {},
    )


def _heeded(moment: Moment, output: Output) -> Output:
    """The output without what this moment has no use for."""
    decision = output.decision
    if not moment.decides and (decision != "deny" or not moment.blocks):
        decision = ""
    return replace(
        output,
        decision=decision,
        reason=output.reason if decision else "",
        context=output.context if moment.adds_context else "",
        updated_input=output.updated_input if moment.rewrites == "input" else None,
        updated_response=output.updated_response if moment.rewrites == "response" else None,
        updated_messages=output.updated_messages if moment.rewrites == "messages" else None,
        summary=output.summary if moment.rewrites == "summary" else "",
        stop=output.stop and not moment.looks_on,
    )


def _failure(moment: Moment, hook: Hook, what: str) -> Output:
    """What a hook that failed comes to, by its `on_error`; `ignore` leaves no trace."""
    name = title(hook)
    told = f"the hook {name!r} failed: {what}"
    if moment.fails_closed or (hook.on_error == "block" and moment.blocks):
        return Output(name, decision="deny", reason=told, error=told)
    return Output(name, error="" if hook.on_error == "ignore" else told)


def _short(text: str, limit: int) -> str:
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


# -- what they say together ---------------------------------------------------------------------


class Verdict(Struct, frozen=True, omit_defaults=True):
    """What all hooks of an event say together.

    `blocked` is the reason why what was about to happen must not; None where nothing speaks against it.
    """

    blocked: str | None = None
    decision: Decision = ""
    reason: str = ""
    contexts: tuple[str, ...] = ()
    updated_input: dict[str, Any] | None = None
    updated_response: str | None = None
    updated_messages: tuple[dict[str, Any], ...] | None = None
    summary: str = ""
    messages: tuple[str, ...] = ()  # for people
    stop: bool = False  # the run ends
    stop_reason: str = ""
    metadata: dict[str, Any] = {}
    errors: tuple[str, ...] = ()

    @property
    def context(self) -> str:
        """All that they add for the model."""
        return "\n".join(self.contexts)


def merge(event: str, outputs: Sequence[Output]) -> Verdict:
    """One verdict of all outputs, in the order of their hooks: deny, then ask, then allow; the last rewriting wins."""
    moment, (decision, reason) = EVENTS[event], _decided(outputs)
    blocked = (reason or "no reason was given") if decision == "deny" else None
    stop, stop_reason = _stopped(outputs, blocked if blocked and moment.ends_run else "")
    objections = (blocked,) if blocked and moment.goes_on else ()
    return Verdict(
        blocked=blocked,
        decision=decision,
        reason=reason,
        contexts=(*objections, *_said(outputs, "context")),
        updated_input=_last(outputs, "updated_input"),
        updated_response=_last(outputs, "updated_response"),
        updated_messages=_last(outputs, "updated_messages"),
        summary=next(reversed(_said(outputs, "summary")), ""),
        messages=_said(outputs, "message"),
        stop=stop,
        stop_reason=stop_reason,
        metadata={key: value for output in outputs for key, value in output.metadata.items()},
        errors=_said(outputs, "error"),
    )


def _decided(outputs: Sequence[Output]) -> tuple[Decision, str]:
    """The decision that outweighs the others, and what was said for it."""
    decisions: list[Decision] = ["", *(o.decision for o in outputs)]
    decision = max(decisions, key=_RANK.__getitem__)
    return decision, "\n".join(dict.fromkeys(o.reason for o in outputs if o.decision == decision and o.reason))


def _stopped(outputs: Sequence[Output], blocked: str) -> tuple[bool, str]:
    """Whether the run ends, and why: as the hooks that end it say, or by what blocked it."""
    stops = [output for output in outputs if output.stop]
    reasons = filter(None, dict.fromkeys(o.stop_reason or o.message for o in stops))
    return bool(stops or blocked), "\n".join(reasons) or blocked


def _said(outputs: Sequence[Output], field: str) -> tuple[str, ...]:
    """A text of each output that has one."""
    return tuple(filter(None, (getattr(output, field) for output in outputs)))


def _last(outputs: Sequence[Output], field: str) -> Any:
    """The last value that is there."""
    values = (getattr(output, field) for output in reversed(outputs))
    return next((value for value in values if value is not None), None)


BLOCKED = "Tool call blocked by hook: {}"
"""What the model reads in place of a result."""
