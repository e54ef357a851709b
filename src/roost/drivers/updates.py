"""What an ACP agent tells of its work: `session/update` to facts."""

import difflib
import re
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from roost.core import events as e
from roost.core.messages import Result
from roost.core.usage import Usage, plus
from roost.drivers import fields
from roost.drivers.record import LONGEST_RESULT, Record

REJECTED = "The user rejected the tool call."
CANCELED = "The tool call was canceled."

_NAMES = {"execute": "shell", "other": "tool"}
_PLAIN = re.compile(r"[A-Za-z_][\w.:-]{0,63}")
_UNTITLED = "****\n"  # a thought whose bold title is empty
_DONE = ("completed", "failed")


class Manners(Struct, frozen=True, kw_only=True):
    """What sets one ACP agent apart from the next in how it talks."""

    name_in_id: bool = False  # ids of calls begin with the tool's name and "__"
    name_in_title: bool = False  # a call's first title is the tool's name
    counts: Literal["prompt", "process", "session"] = "session"  # what its usage is counted from
    deaf: tuple[str, ...] = ("effort", "agent")  # fields of an errand that it can't be told
    late_history: bool = False  # after `session/load` it goes on telling the old conversation
    lasting: bool = False  # its "always" is written into files, and outlives the session
    asks_late: bool = False  # it calls a call under way, and asks then
    notices: bool = False  # it reports its own errors and news as if the model had said them
    mode: str = ""  # the mode that asks


class Shown(Struct):
    """A call as the agent has told of it so far."""

    name: str = ""
    title: str = ""
    kind: str = ""
    arguments: str = ""
    output: str = ""
    running: int = 0  # how often it was said to be under way


class Updates:
    """Follows the updates of one run.

    An agent tells of calls one by one and of messages in pieces, so a message is taken to end where
    something follows it that is not of it: a call that starts, a question, another message's text.
    """

    def __init__(self, record: Record, manners: Manners, *, asks: bool = True) -> None:
        self.usage: Usage | None = None  # what messages of this round report by themselves
        self.cost = 0.0  # US dollars, all in all
        self.messages = 0  # of the model, in this run
        self.last = ""  # the text of the newest
        self._record = record
        self._manners = manners
        self._late = int(asks and manners.asks_late)
        self._calls: dict[str, Shown] = {}
        self._drafted: list[str] = []  # calls that are told of, and in no message yet
        self._rejected: set[str] = set()
        self._window = 0
        self._plan: Any = None
        self._pieces: list[str] = []

    @property
    def window(self) -> int:
        """The tokens that the model's context holds; 0 where nobody says."""
        return self._window

    @property
    def between(self) -> bool:
        """Whether the next text begins another message."""
        return not self._record.answering or bool(self._drafted)

    def take(self, update: Mapping[str, Any]) -> list[e.Fact]:
        """One update.  A kind that is not known says nothing."""
        match update.get("sessionUpdate"):
            case "agent_message_chunk":
                return self._text(update)
            case "agent_thought_chunk":
                thought = _content(update.get("content")).removeprefix(_UNTITLED)
                return [*self._onward(), *self._record.reasoning(thought)] if thought else []
            case "tool_call" | "tool_call_update":
                return self._told(update)
            case "plan":
                return self._planned(fields.items(update.get("entries")))
            case "usage_update":
                self._counted(update)
                return []
            case "current_mode_update":
                mode = fields.text(update.get("currentModeId"))
                return [e.StatusShown(f"Mode: {mode}", {"mode": mode})] if mode else []
            case _:
                return []

    # -- messages ---------------------------------------------------------------------------

    def _text(self, update: Mapping[str, Any]) -> list[e.Fact]:
        self._metered(fields.mapping(update.get("_meta")))
        text = _content(update.get("content"))
        if not text:
            return []
        facts = self._onward()
        self._pieces.append(text)
        return [*facts, *self._record.text(text)]

    def _onward(self) -> list[e.Fact]:
        """Before another piece of a message: what is drafted belongs to the one before, rejected calls are over."""
        return [*(self.message() if self._drafted else ()), *self._over()]

    def _over(self) -> list[e.Fact]:
        facts: list[e.Fact] = []
        for key in sorted(self._rejected):
            facts += self._record.returned(key, Result(REJECTED, is_error=True), ran=False)
        self._rejected.clear()
        return facts

    def message(self) -> list[e.Fact]:
        """The message so far is whole, with the calls that were told of."""
        calls = [(key, self.name(key), self._calls[key].arguments or "{}") for key in self._drafted]
        if not calls and not self._record.answering:
            return []
        self._drafted = []
        self.messages += 1
        self.last, self._pieces = "".join(self._pieces), []
        return self._record.message(calls=calls)

    def finished(self) -> list[e.Fact]:
        """The round is over, and the last message is whole."""
        return [*self._over(), *self.message()]

    def _metered(self, meta: Mapping[str, Any]) -> None:
        if isinstance(meta.get("usage"), dict):
            self.usage = plus(self.usage or Usage(), tokens(meta["usage"]))

    def _counted(self, update: Mapping[str, Any]) -> None:
        self._window = fields.count(update, "size") or self._window
        cost = fields.mapping(update.get("cost"))
        if cost.get("currency", "USD") == "USD" and "amount" in cost:
            self.cost = fields.money(cost["amount"])

    def _planned(self, entries: Any) -> list[e.Fact]:
        if entries == self._plan:
            return []
        self._plan = entries
        return [e.StatusShown("Plan", {"entries": fields.data(list(entries))})]

    # -- calls ------------------------------------------------------------------------------

    def _told(self, update: Mapping[str, Any]) -> list[e.Fact]:
        key = fields.text(update.get("toolCallId"))
        if not key:
            return []
        if self._past(key) and update.get("sessionUpdate") != "tool_call":
            return []
        facts = self.meet(key, update)
        status = update.get("status")
        if status in _DONE or status == "in_progress":
            facts += self.listed(key)
        if status == "in_progress":
            self._calls[key].running += 1
            began = self._record.started(key) if self._calls[key].running > self._late else []
            return [*facts, *began, *self._output(key, update)]
        return [*facts, *self._returned(key, update)] if status in _DONE else facts

    def meet(self, key: str, told: Mapping[str, Any]) -> list[e.Fact]:
        """Learn what is told of a call; one that is new belongs to the message under way."""
        facts: list[e.Fact] = []
        if key not in self._calls or self._past(key):
            self._calls[key] = Shown()
            facts = self._over()
            self._drafted.append(key)
        shown = self._calls[key]
        shown.title = fields.text(told.get("title")) or shown.title
        shown.kind = fields.text(told.get("kind")) or shown.kind
        shown.name = self._called(key, told) or shown.name
        shown.arguments = _arguments(told, shown) or shown.arguments
        return facts

    def asked(self, key: str, told: Mapping[str, Any]) -> list[e.Fact]:
        """Learn what a question tells of a call: it adds to what is known, and the call is in a message then."""
        known = self._calls[key].arguments if key in self._calls and not self._past(key) else ""
        facts = self.meet(key, told)
        shown = self._calls[key]
        before, now = fields.parse(known.encode()), fields.parse(shown.arguments.encode())
        if before and now:
            shown.arguments = fields.encoded({**now, **before})
        return [*facts, *self.listed(key)]

    def _past(self, key: str) -> bool:
        """Whether the call was told of and has returned."""
        return key in self._calls and key not in self._drafted and self._record.call(key) is None

    def listed(self, key: str) -> list[e.Fact]:
        """The call is in a message, whole."""
        return self.message() if key in self._drafted else []

    def name(self, key: str) -> str:
        """The tool's name: as the agent has it, or by the kind of work."""
        shown = self._calls[key]
        titled = shown.title if _PLAIN.fullmatch(shown.title) and shown.kind == "other" else ""
        return shown.name or titled or _NAMES.get(shown.kind, shown.kind) or "tool"

    def title(self, key: str) -> str:
        """What the agent calls it, for people."""
        shown = self._calls.get(key)
        return shown.title if shown else ""

    def _called(self, key: str, told: Mapping[str, Any]) -> str:
        if named := fields.text(fields.mapping(told.get("_meta")).get("toolName")):
            return named
        if self._manners.name_in_id and "__" in key:
            return key.partition("__")[0]
        title = fields.text(told.get("title"))
        first = self._manners.name_in_title and told.get("sessionUpdate") == "tool_call"
        return title if first and _PLAIN.fullmatch(title) else ""

    def _output(self, key: str, update: Mapping[str, Any]) -> list[e.Fact]:
        """What a running call shows that it has not shown before; at its start it is but described."""
        shown, text = self._calls[key], _contents(update.get("content"))
        if update.get("sessionUpdate") != "tool_call_update" or not text.startswith(shown.output):
            return []
        new, shown.output = text[len(shown.output) :], text
        return self._record.output(key, new)

    def _returned(self, key: str, update: Mapping[str, Any]) -> list[e.Fact]:
        failed, refused = update.get("status") == "failed", key in self._rejected
        self._rejected.discard(key)
        text = _contents(update.get("content")) or _raw(update.get("rawOutput"))
        result = Result(text or (REJECTED if refused else ""), is_error=failed or refused)
        return self._record.returned(key, result, ran=not refused)

    def reject(self, key: str) -> None:
        """A person said no: if the agent does not tell of its end, it ends with what follows."""
        self._rejected.add(key)


# -- values -------------------------------------------------------------------------------------


def tokens(given: Any) -> Usage:
    """The protocol's token counts; those read from a cache stand inside the input, or beside it."""
    source = fields.mapping(given)
    read, thought = fields.count(source, "inputTokens"), fields.count(source, "thoughtTokens")
    said, cached = fields.count(source, "outputTokens"), fields.count(source, "cachedReadTokens")
    written = fields.count(source, "cachedWriteTokens")
    inside = fields.count(source, "totalTokens") < read + said + cached + written
    return Usage(max(read - cached - written, 0) if inside else read, said, cached, written, thought)


def _content(block: Any) -> str:
    """The text of one content block."""
    source = fields.mapping(block)
    match source.get("type"):
        case "text":
            return fields.text(source.get("text"))
        case "resource":
            return fields.text(fields.mapping(source.get("resource")).get("text"))
        case "resource_link":
            return fields.text(source.get("uri"))
        case _:
            return ""


def _contents(given: Any) -> str:
    """The text of what a call shows."""
    parts = []
    for part in fields.objects(given):
        if part.get("type") == "diff":
            parts.append(_diff(part))
        elif part.get("type") == "content":
            parts.append(_content(part.get("content")))
    return "\n".join(part for part in parts if part)


def _diff(part: Mapping[str, Any]) -> str:
    path, old, new = (fields.text(part.get(name)) for name in ("path", "oldText", "newText"))
    if len(old) + len(new) > LONGEST_RESULT >> 4:
        return f"{path}: changed"
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), path, path, lineterm="", n=2)
    return "\n".join(lines)


def _raw(given: Any) -> str:
    if isinstance(given, str):
        return given
    source = fields.mapping(given)
    for name in ("output", "content", "message", "error", "text"):
        if text := fields.text(source.get(name)):
            return text
    return fields.encoded(given) if given not in (None, {}, []) else ""


def _arguments(told: Mapping[str, Any], shown: Shown) -> str:
    """The arguments as the agent gives them; where it gives none, what it shows of them."""
    if "rawInput" in told:
        return fields.encoded(told["rawInput"]) if told["rawInput"] else ""
    if shown.arguments or told.get("status") in _DONE:
        return ""
    given: dict[str, Any] = {}
    if shown.kind == "execute" and shown.title:
        given["command"] = shown.title
    elif shown.title:
        given["title"] = shown.title
    for place in fields.objects(told.get("locations"))[:1]:
        given["path"] = fields.text(place.get("path"))
    for part in fields.objects(told.get("content")):
        if part.get("type") == "diff":
            given |= {"path": fields.text(part.get("path")), "diff": _diff(part)}
    return fields.encoded(given) if given else ""
