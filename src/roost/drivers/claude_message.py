"""Messages of Claude Code: printed a block a line, streamed piece by piece, written once when they are whole."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from roost.core import events as e
from roost.core.usage import Usage
from roost.drivers import fields
from roost.drivers.fields import mapping, objects, text
from roost.drivers.record import Record

_FINISHES = {"end_turn": "stop", "stop_sequence": "stop", "tool_use": "tool_calls", "max_tokens": "length"}
_GAP = "\n\n"  # between two blocks of a kind
_LONGEST_NOTICE = 200


class _Draft(Struct):
    """A message that has not come to its end."""

    id: str
    streamed: bool  # its end will be told
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[tuple[str, str, str]] = []
    kinds: dict[int, str] = {}  # of streamed blocks: text, thinking, or a call's id
    usage: Usage | None = None
    stop: str = ""


class Messages:
    """The message under way.  With `runs_unasked`, its calls start when it is whole."""

    def __init__(self, record: Record, *, runs_unasked: bool) -> None:
        self.spoke = ""  # the newest text of this round
        self.said = ""  # and of all
        self._record = record
        self._runs_unasked = runs_unasked
        self._draft: _Draft | None = None
        self._context = 0

    @property
    def streaming(self) -> bool:
        """Whether a message is under way whose end will be told."""
        return self._draft is not None and self._draft.streamed

    def begin(self, message: Mapping[str, Any]) -> list[e.Fact]:
        """A streamed message begins; what was shown of another, and never became one, does not count."""
        self._draft = _Draft(text(message.get("id")), True)
        self._record.model = text(message.get("model")) or self._record.model
        return self._record.drop("the request was tried again")

    def piece(self, event: Mapping[str, Any]) -> list[e.Fact]:
        """A piece of the streamed message."""
        draft = self._draft
        if draft is None:
            return []
        index = fields.count(event, "index")
        match event.get("type"):
            case "content_block_start":
                return self._opened(draft, index, mapping(event.get("content_block")))
            case "content_block_delta":
                return self._delta(draft.kinds.get(index, ""), mapping(event.get("delta")))
            case "message_delta":
                draft.usage = usage(event.get("usage")) or draft.usage
                draft.stop = text(mapping(event.get("delta")).get("stop_reason")) or draft.stop
        return []

    def _opened(self, draft: _Draft, index: int, block: Mapping[str, Any]) -> list[e.Fact]:
        kind = text(block.get("type"))
        gap = _GAP if kind in draft.kinds.values() else ""
        draft.kinds[index] = text(block.get("id")) if kind == "tool_use" else kind
        match kind:
            case "text":
                return self._record.text(gap)
            case "thinking":
                return self._record.reasoning(gap)
            case "tool_use":
                return self._record.draft(text(block.get("id")), text(block.get("name")))
            case _:
                return []

    def _delta(self, kind: str, delta: Mapping[str, Any]) -> list[e.Fact]:
        match delta.get("type"):
            case "text_delta":
                return self._record.text(text(delta.get("text")))
            case "thinking_delta":
                return self._record.reasoning(text(delta.get("thinking")))
            case "input_json_delta" if kind and text(delta.get("partial_json")):
                return self._record.draft(kind, delta=text(delta.get("partial_json")))
            case _:
                return []

    def goes_on(self, message: Mapping[str, Any]) -> bool:
        """Whether this is of the message under way."""
        return self._draft is not None and self._draft.id == text(message.get("id"))

    def block(self, message: Mapping[str, Any]) -> None:
        """A whole block, of the message under way or of a new one."""
        if self._draft is None or not self.goes_on(message):
            self._draft = _Draft(text(message.get("id")), False)
        draft = self._draft
        self._record.model = text(message.get("model")) or self._record.model
        draft.usage = draft.usage or usage(message.get("usage"))
        draft.stop = text(message.get("stop_reason")) or draft.stop
        for block in objects(message.get("content")):
            match block.get("type"):
                case "text":
                    draft.texts.append(text(block.get("text")))
                case "thinking":
                    draft.thoughts.append(text(block.get("thinking")))
                case "tool_use":
                    arguments = fields.encoded(block.get("input"))
                    draft.calls.append((text(block.get("id")), text(block.get("name")), arguments))

    def whole(self) -> list[e.Fact]:
        """Write the message under way, if anything has come of it."""
        draft, self._draft = self._draft, None
        if draft is None or not (draft.texts or draft.thoughts or draft.calls):
            return []
        content, thoughts = _GAP.join(draft.texts), _GAP.join(draft.thoughts)
        self._context = draft.usage.context if draft.usage else self._context
        if content.strip():
            self.spoke = self.said = content.strip()
        finish = _FINISHES.get(draft.stop, draft.stop)
        facts = self._record.message(content, thoughts, draft.calls, usage=draft.usage, finish=finish)
        if content.startswith("Claude AI ") and len(content) < _LONGEST_NOTICE:
            facts += self._record.limit(content)
        for key, _, _ in draft.calls if self._runs_unasked else ():
            facts += self._record.started(key)
        return facts

    def drop(self) -> list[e.Fact]:
        """The message under way will be said anew."""
        self._draft = None
        return self._record.drop("the request is tried again")

    def closed(self) -> int:
        """A round is over; how much the newest request has read."""
        self.spoke = ""
        return self._context


def usage(given: Any) -> Usage | None:
    """Tokens as the API counts them: those of the cache by themselves."""
    if not mapping(given):
        return None
    return Usage(
        fields.count(given, "input_tokens"),
        fields.count(given, "output_tokens"),
        fields.count(given, "cache_read_input_tokens"),
        fields.count(given, "cache_creation_input_tokens"),
        fields.count(mapping(given).get("output_tokens_details"), "thinking_tokens"),
    )
