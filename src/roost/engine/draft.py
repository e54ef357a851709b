"""An answer that is still coming: pieces in, facts out, and the message they make at the end."""

import re
import uuid
from dataclasses import dataclass, field

from roost.core import events as e
from roost.core.ids import AnswerId, CallId, Micros, fresh
from roost.core.messages import Message, ToolCall
from roost.core.utf8 import mended
from roost.ports import CallPiece, Finished, Piece, ReasoningPiece, TextPiece

_UNFIT = re.compile(r"[^A-Za-z0-9_-]")
NAME_LENGTH = 64
MOST_CALLS = 128  # tools that one answer may call
LARGEST = 10_000_000  # characters of an answer, its calls included


@dataclass(slots=True)
class _Call:
    id: CallId
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """Pure: `feed` a piece and get the delta to post, or None where there is nothing to show."""

    answer: AnswerId
    agent: str
    digests: dict[str, str] = field(default_factory=dict)  # tool name -> digest of its definition
    finished: Finished | None = None
    posted: bool = False
    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _calls: dict[int, _Call] = field(default_factory=dict)
    _beyond: set[int] = field(default_factory=set)  # calls that are not taken
    _size: int = 0

    @property
    def asked(self) -> int:
        """How many tools the answer calls, those that are not taken included."""
        return len(self._calls) + len(self._beyond)

    @property
    def too_large(self) -> bool:
        """Whether the answer is longer than any should be."""
        return self._size > LARGEST

    def feed(self, piece: Piece) -> e.Fact | None:
        """Take in one piece."""
        fact = self._feed(piece)
        self.posted = self.posted or fact is not None
        return fact

    def _feed(self, piece: Piece) -> e.Fact | None:
        match piece:
            case TextPiece(text=text):
                text = self._taken(text)
                self._text.append(text)
                return e.TextAdded(self.answer, text, self.agent) if text else None
            case ReasoningPiece(text=text):
                text = self._taken(text)
                self._reasoning.append(text)
                return e.ReasoningAdded(self.answer, text, self.agent) if text else None
            case CallPiece():
                return self._drafted(piece)
            case Finished():
                self.finished = piece
                return None

    def _taken(self, text: str) -> str:
        self._size += len(text)
        return mended(text)

    def _drafted(self, piece: CallPiece) -> e.Fact | None:
        call = self._calls.get(piece.index)
        new = call is None
        arguments = self._taken(piece.arguments)
        if call is None and len(self._calls) >= MOST_CALLS:
            self._beyond.add(piece.index)
            return None
        if call is None:
            call = self._calls[piece.index] = _Call(self._fresh(mended(piece.id)))
        named = bool(piece.name) and not call.name
        if named:
            call.name = _UNFIT.sub("_", piece.name)[:NAME_LENGTH]
        call.arguments.append(arguments)
        if not call.name or not (new or named or arguments):
            return None
        text = "".join(call.arguments) if named else arguments
        name, digest = (call.name, self.digests.get(call.name, "")) if named else ("", "")
        return e.CallDrafted(self.answer, call.id, name, text, self.agent, digest)

    def _fresh(self, given: str) -> CallId:
        """The provider's id, or one of ours where it gives none, or the same one twice."""
        taken = {call.id for call in self._calls.values()}
        return CallId(given) if given and given not in taken else CallId(f"call_{uuid.uuid4().hex[:24]}")

    def message(self, *, at: Micros, model: str, cost: float = 0.0, partial: bool = False) -> Message | None:
        """What has come so far, as a message; None where that is nothing but blanks.

        A `partial` one has no calls: their arguments may be cut.
        """
        text = "".join(self._text)
        done = self.finished or Finished()
        calls = (
            ()
            if partial
            else tuple(
                ToolCall(call.id, call.name, "".join(call.arguments))
                for _, call in sorted(self._calls.items())
                if call.name
            )
        )
        if not text.strip() and not calls:
            return None
        return Message(
            role="assistant",
            content=text,
            agent=self.agent,
            calls=calls,
            definitions=tuple(self.digests.get(call.name, "") for call in calls),
            reasoning="".join(self._reasoning),
            thinking_signature=done.thinking_signature,
            thought_signature=done.thought_signature,
            replay=() if partial or self._beyond else done.replay,
            at=at,
            usage=done.usage,
            model=model,
            cost=cost,
            finish=done.reason if self.finished else "",
        )


def of_log(events: list[e.Event], answer: AnswerId, agent: str) -> Draft:
    """The draft of an answer whose server is gone, from the deltas it left in the log."""
    draft = Draft(answer, agent)
    for event in events:
        match event.fact:
            case e.TextAdded(answer=of, text=text) if of == answer:
                draft.feed(TextPiece(text))
            case e.ReasoningAdded(answer=of, text=text) if of == answer:
                draft.feed(ReasoningPiece(text))
            case _:
                pass
    return draft


def unasked(message: Message) -> tuple[e.Fact, e.Fact]:
    """An answer that no model was asked for: shown like any other, and in the history."""
    answer = AnswerId(fresh())
    return (
        e.TextAdded(answer, message.content, message.agent),
        e.MessageAdded(message, answer=answer, agent=message.agent),
    )
