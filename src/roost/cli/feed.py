"""Events as lines for a person to read."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from roost.cli import show
from roost.client.fleet import Event


class Line(NamedTuple):
    """What to print of an event, and in which colour."""

    text: str
    style: str | None = None


def line(event: Event, *, thinking: bool = False) -> Line | None:
    """An event as a person reads it; None for what says nothing to one."""
    if event.type == "reasoning" and not thinking:
        return None
    made = _LINES.get(event.type)
    if made is None:
        return None
    shown = made(event)
    return Line(show.clean(shown.text), shown.style)


class Speakers:
    """Who speaks in each session: where that changes, the line says so."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def line(self, event: Event, *, thinking: bool = False) -> Line | None:
        """An event as `line` has it, behind the name of an agent that has not spoken before it."""
        shown = line(event, thinking=thinking)
        if shown is None or not event.agent:
            return shown
        before, self._last[event.session] = self._last.get(event.session), event.agent
        return shown if before in (None, event.agent) else Line(f"{show.clean(event.agent)}: {shown.text}", shown.style)


def stamped(event: Event, shown: Line, *, session: bool = False, timestamps: bool = False) -> Line:
    """The same behind its session and its time of day."""
    before = [event.session[:8]] if session else []
    if timestamps:
        before.append(event.ts[11:19])
    return Line(" ".join([*before, shown.text]), shown.style)


def call(name: str | None, given: Any) -> str:
    """A call of a tool in a line."""
    words = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False) if given else ""
    return show.short(f"{name or 'tool'} {words}".strip(), 100)


def _started(event: Event) -> Line:
    who = " ".join(word for word in (event.provider, event.model) if word)
    where = f" in {event.cwd}" if event.cwd else ""
    return Line(f"{'resumed' if event.resumed else 'started'}: {who}{where}", "cyan")


def _said(event: Event) -> Line:
    return Line(f"> {_words(event.content)}", "blue")


def _answered(event: Event) -> Line:
    return Line(_words(event.content))


def _thought(event: Event) -> Line:
    return Line(f"… {_words(event.content)}", "bright_black")


def _called(event: Event) -> Line:
    return Line(f"· {call(event.tool_name, event.input)}", "magenta")


def _returned(event: Event) -> Line:
    failed = event.success is False
    words = show.short(event.error if failed and event.error else event.output or "", 100)
    return Line(f"  {'failed: ' if failed else ''}{words}".rstrip(), "red" if failed else "bright_black")


def _permitted(event: Event) -> Line:
    return Line(f"{'allowed' if event.granted else 'refused'}: {event.tool_name}", "yellow")


def _status(event: Event) -> Line:
    if wait := event.data.get("wait_id") if isinstance(event.data, dict) and "kind" in event.data else None:
        how = "answer" if event.data["kind"] == "question" else "approve"
        return Line(f"? {show.clean(event.message or '')}: roost {how} {wait[:8]}", "yellow")
    return Line(f"- {show.short(event.message or '', 100)}", "bright_black")


def _stderr(event: Event) -> Line:
    return Line(f"! {show.clean(event.message or '')}", "yellow")


def _noted(event: Event) -> Line:
    return Line(f"[{event.level or 'info'}] {show.clean(event.message or '')}", "yellow")


def _used(event: Event) -> Line:
    cost = f", ${event.total_cost_usd:.4f}" if event.total_cost_usd else ""
    return Line(f"used: {event.input_tokens or 0} tokens in, {event.output_tokens or 0} out{cost}", "bright_black")


def _resulted(event: Event) -> Line:
    return Line(f"result: {_words(event.result)}", "green")


def _ended(event: Event) -> Line:
    if event.success:
        return Line("ended: completed", "green")
    return Line(f"ended: failed{f': {show.clean(str(event.error))}' if event.error else ''}", "red")


def _limited(event: Event) -> Line:
    then = event.scheduled_resume_at or event.reset_at
    return Line(f"usage limit reached{f'; goes on at {then}' if then else ''}", "yellow")


def _words(content: Any) -> str:
    if isinstance(content, list):  # blocks, as unified events have them
        content = "\n".join(block.get("text", "") for block in content if isinstance(block, dict))
    return show.clean(str(content or ""))


_LINES: Mapping[str, Callable[[Event], Line]] = {
    "session_started": _started,
    "user_message": _said,
    "assistant_message": _answered,
    "reasoning": _thought,
    "tool_call": _called,
    "tool_result": _returned,
    "permission": _permitted,
    "provider_status": _status,
    "stderr": _stderr,
    "user_event": _noted,
    "usage": _used,
    "session_result": _resulted,
    "session_ended": _ended,
    "usage_limit_hit": _limited,
    "usage_limit_resumed": lambda _: Line("goes on after the usage limit", "yellow"),
    "usage_limit_resume_failed": lambda event: Line(f"did not go on after the usage limit: {event.error}", "red"),
}
