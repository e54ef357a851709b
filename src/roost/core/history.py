"""The messages of a session: a list that only grows, folded from the facts that bear them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from roost.core import events as e
from roost.core.ids import CallId, Micros, SessionId
from roost.core.messages import Message, Result, ToolCall, tool_message

BEARS_MESSAGES = (
    e.SessionCreated,
    e.MessageWritten,
    e.MessageTaken,
    e.MessageAdded,
    e.MessageEdited,
    e.ToolReturned,
    e.SummaryAdded,
    e.ErrorMet,
    e.RoundResult,
    e.ContextAdded,
)
"""The facts that a History reads, or whoever shows one: what `EventStore.messages` returns."""

_NEVER = Micros(0)


@dataclass(slots=True)
class Item:
    """One entry of a session's history; exactly one of the four is there.  `seq` is its id on the wire.

    `edited` says that the message is no longer the one that came.
    """

    seq: int
    message: Message | None = None
    summary: e.SummaryAdded | None = None
    error: e.ErrorMet | None = None
    session: "History | None" = None
    at: Micros = _NEVER
    edited: bool = False


@dataclass(slots=True)
class History:
    """The messages of a session, and of the sub-sessions inside it, in order."""

    id: SessionId
    created: e.SessionCreated | None = None
    at: Micros = _NEVER
    items: list[Item] = field(default_factory=list)
    last_seq: int = 0
    contexts: list[str] = field(default_factory=list)  # what hooks put before the model
    _subs: dict[SessionId, "History"] = field(default_factory=dict)  # at any depth, in that of the log
    _returned: dict[CallId, tuple[ToolCall, Result, str]] = field(default_factory=dict)

    def add(self, event: e.Event) -> None:
        """Take in one more event; those that bear no message, or were here before, change nothing."""
        if event.seq <= self.last_seq:
            return
        self.last_seq = event.seq
        fact = event.fact
        if not isinstance(fact, BEARS_MESSAGES):
            return
        if fact.sub and fact.sub != self.id:
            self._nested(fact.sub, event)
            return
        match fact:
            case e.SessionCreated():
                self.created, self.at = fact, event.at
            case e.MessageWritten(message=message) | e.MessageTaken(message=message):
                self.items.append(Item(event.seq, message=message, at=event.at))
            case e.MessageAdded(call=call) if call:
                self._tool(event, call, fact.message)
            case e.MessageAdded(message=Message() as message):
                self.items.append(Item(event.seq, message=message, at=event.at))
            case e.ToolReturned(call=called, result=result, agent=agent):
                self._returned[called.id] = (called, result, agent)
            case e.ContextAdded(text=text):
                self.contexts.append(text)
            case e.MessageEdited(message_id=message_id, message=message):
                self._edit(message_id, message)
            case e.SummaryAdded():
                self.items.append(Item(event.seq, summary=fact, at=event.at))
            case e.ErrorMet():
                self.items.append(Item(event.seq, error=fact, at=event.at))
            case _:
                pass

    def extend(self, events: Iterable[e.Event]) -> "History":
        """Take in several events, and return this history."""
        for event in events:
            self.add(event)
        return self

    def sub(self, session: SessionId) -> "History":
        """That of a sub-session, at any depth: all that was said in it so far, and what comes.

        Raises:
            KeyError: there is none.
        """
        return self._subs[session]

    def returned(self, call: CallId) -> Result | None:
        """What a call (of this session, or of one inside it) returned whose message is not in the history yet."""
        for history in (self, *self._subs.values()):
            if found := history._returned.get(call):
                return found[1]
        return None

    def beginning(self) -> tuple[int, str]:
        """Where the conversation begins for a model: the index of an item, and the summary of what went before."""
        start, summary = 0, ""
        for index, item in enumerate(self.items):
            if item.summary is not None:
                kept = item.summary.first_kept
                start, summary = (kept if 0 < kept <= index else index + 1), item.summary.summary
        return start, summary

    def said(self) -> tuple[int, Message] | None:
        """The newest message of a person, and the index of its item."""
        for index in range(len(self.items) - 1, -1, -1):
            message = self.items[index].message
            if message is not None and message.role == "user":
                return index, message
        return None

    def last_said(self) -> str:
        """The newest words of a person."""
        found = self.said()
        return found[1].content if found else ""

    def last_words(self) -> str:
        """The text of its newest answer that has one."""
        said = (i.message for i in reversed(self.items) if i.message is not None and i.message.role == "assistant")
        return next((message.content for message in said if message.content.strip()), "")

    def messages(self) -> list[tuple[int, Message]]:
        """The flattened view: no system messages, summaries or errors; sub-sessions in place."""
        flat: list[tuple[int, Message]] = []
        for item in self.items:
            if item.session is not None:
                flat.extend(item.session.messages())
            elif item.message is not None and item.message.role != "system":
                flat.append((item.seq, item.message))
        return flat

    def definitions(self) -> set[str]:
        """The digests of all tools that its messages call, sub-sessions included."""
        return {digest for _, message in self.messages() for digest in message.definitions if digest}

    def _nested(self, sub: SessionId, event: e.Event) -> None:
        nested = self._subs.get(sub)
        if nested is None:
            nested = self._subs[sub] = History(sub)
            parent = event.fact.parent if isinstance(event.fact, e.SessionCreated) else self.id
            outer = self._subs.get(parent, self)
            outer.items.append(Item(event.seq, session=nested, at=event.at))
        nested.add(event)

    def _tool(self, event: e.Event, call: CallId, message: Message | None) -> None:
        found = self._returned.pop(call, None)
        if found is not None and message is None:
            called, result, agent = found
            message = tool_message(called, result, agent=agent, at=event.at)
        if message is not None:
            self.items.append(Item(event.seq, message=message, at=event.at))

    def _edit(self, message_id: int, message: Message) -> None:
        for item in self.items:
            if item.session is not None:
                item.session._edit(message_id, message)
            elif item.seq == message_id and item.message is not None:
                item.message, item.edited = message, True
