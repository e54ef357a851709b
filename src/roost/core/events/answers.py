"""Answers of a model, and what they cost."""

from typing import Literal

from roost.core.events.base import Base
from roost.core.ids import AnswerId, CallId
from roost.core.messages import Message
from roost.core.usage import Usage


class ModelAsked(Base, frozen=True):
    """A request goes to a model; deltas that name `answer` follow."""

    answer: AnswerId
    agent: str
    model: str
    attempt: int = 1


class TextAdded(Base, frozen=True):
    """A delta of text."""

    answer: AnswerId
    text: str
    agent: str = ""


class ReasoningAdded(Base, frozen=True):
    """A delta of reasoning."""

    answer: AnswerId
    text: str
    agent: str = ""


class CallDrafted(Base, frozen=True):
    """A delta of a call's arguments; the first one of a call names its tool."""

    answer: AnswerId
    call: CallId
    name: str = ""
    text: str = ""
    agent: str = ""
    definition: str = ""  # the digest in ToolsShown


class AnswerDropped(Base, frozen=True):
    """The deltas of `answer` from `first_seq` on do not count: they will be written anew, or never."""

    answer: AnswerId
    first_seq: int
    why: str
    agent: str = ""


class MessageAdded(Base, frozen=True):
    """A message enters the history: the answer of a model, or (with `call`) what a tool returned.

    For a tool the content stands in its ToolReturned; the fold puts the two together.
    """

    message: Message | None = None
    answer: AnswerId = AnswerId("")
    call: CallId = CallId("")
    agent: str = ""
    partial: bool = False


class UsageAdded(Base, frozen=True):
    """What a request cost, and what that makes for the session (without its sub-sessions)."""

    usage: Usage
    model: str
    agent: str
    cost: float  # of this request
    total_cost: float
    input_tokens: int  # of the session: what its context holds now
    output_tokens: int
    context_limit: int = 0
    finish: str = ""
    why: Literal["answer", "title", "compaction", "vain", "tool"] = "answer"  # vain: for a summary that did not come
    threshold: float = 0.0  # share of the context past which the history is summed up; 0 is never
    unpriced: bool = False  # nobody knows what it cost


class FellBack(Base, frozen=True):
    """Another model takes over."""

    failed_model: str
    fallback_model: str
    reason: str
    attempt: int
    max_attempts: int
    agent: str = ""


Facts = ModelAsked | TextAdded | ReasoningAdded | CallDrafted | AnswerDropped | MessageAdded | UsageAdded | FellBack
