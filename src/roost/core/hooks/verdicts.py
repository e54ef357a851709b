"""What hooks say, each and together."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from roost.core.agents import Hook
from roost.core.hooks.moments import EVENTS, Moment, cut, title

Decision = Literal["", "allow", "ask", "deny"]

SHOWN = 500  # characters of a failed hook's stderr in a message
HEARD = 10_000  # characters of a reason


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
        return _heeded(moment, Output(name, decision="deny", reason=cut(ran.stderr, HEARD)))
    if ran.code != 0:
        said = cut(ran.stderr, SHOWN)
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
        reason=cut(first or second or "", HEARD),
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
