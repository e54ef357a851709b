"""What a screen shows of a session when it is opened: its newest messages, and all that is under way in it."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from roost.core import events as e
from roost.core.history import History
from roost.core.ids import CallId, LogId, Micros, SessionId
from roost.core.messages import Definition, Message, Result, ToolCall, tool_message
from roost.core.principals import Principal
from roost.core.session import Head
from roost.ports import EventStore, WaitRecord
from roost.service.desk import Desk
from roost.service.tree import measure

END = 1 << 62  # past the seq of every event
MOST = 4096  # messages, however long ago what is under way began
SPARE = 16  # facts that are read besides two for each message
REMARKED = 1000  # remarks that a window has at most


class Said(Struct, frozen=True):
    """A message of a session, or of a sub-session in it.  `ordinal` is what a fork knows a user's by."""

    seq: int
    message: Message
    sub: SessionId = SessionId("")
    ordinal: int | None = None


class Mark(Struct, frozen=True):
    """What stands between messages and is none: a summary, or the error that ended a turn."""

    seq: int
    at: Micros
    fact: e.SummaryAdded | e.ErrorMet


class Waiting(Struct, frozen=True):
    """Messages that were queued together, as far as they still wait; each with its index."""

    seq: int
    queue: e.Queue
    messages: tuple[tuple[int, Message], ...]


class Window(Struct, frozen=True):
    """The newest messages of a session (or those before one of them), in the order of the log.

    `head` was read first: following the log from its `last_seq` can repeat, never lose.  Whoever follows it from
    `tail_from` gets the beginnings of all answers and calls that are under way.
    """

    head: Head
    messages: Sequence[Said]
    marks: Sequence[Mark]
    more: bool  # there are older ones
    definitions: Mapping[str, Definition]
    waits: Sequence[WaitRecord]
    queue: Sequence[Waiting]
    team: e.TeamShown | None
    tail_from: int
    tree_cost: float
    born: Sequence[e.SessionCreated] = ()  # the sub-sessions that the messages belong to, and those above them
    remarks: Sequence[e.Event] = ()  # what happened between the messages, and the questions that have been answered


class Windows:
    """Reads as much of a log as a screen holds, however long the log is."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store

    async def open(self, principal: Principal, session: str, *, last: int, before: int | None = None) -> Window:
        """The newest `last` messages, or those before the message `before`, and what is under way.

        The newest are more than that where what is under way began before them: a reader of the events past
        `tail_from` is not to meet messages that are older than all he has.

        Raises:
            SessionNotFound: there is none that this caller may see.
        """
        head, log = await self._desk.head(principal, session), LogId(session)
        tail_from = await tail(self._store, log, head)
        if before is None:
            messages, marks, more = await self._reaching(log, last, tail_from)
        else:
            messages, marks, more = await self._read(log, last, before)
        start = messages[0].seq if messages and more else 0
        remarks = await self._remarks(log, start, min(head.last_seq + 1, END if before is None else before))
        digests = sorted({digest for said in messages for digest in said.message.definitions if digest})
        found = {digest: await self._store.definition(log, digest) for digest in digests}
        records = [await self._store.wait(wait.id) for wait in head.waits]
        return Window(
            head,
            messages,
            marks,
            more,
            definitions={digest: known for digest, known in found.items() if known is not None},
            waits=[record for record in records if record is not None and record.open],
            queue=await self._queue(log, head),
            team=await self._team(log),
            tail_from=tail_from,
            tree_cost=(await measure(self._store, head)).cost,
            born=await self._born(log, messages, remarks),
            remarks=remarks,
        )

    async def _remarks(self, log: LogId, after: int, before: int) -> Sequence[e.Event]:
        """What was remarked; what waits for an answer is told elsewhere, and a round that went well needs no word."""
        events = await self._store.remarks(log, after=after, before=before, limit=REMARKED)
        answered = {event.fact.wait for event in events if isinstance(event.fact, e.WaitAnswered)}

        def told(fact: e.Fact) -> bool:
            if isinstance(fact, e.WaitOpened):
                return fact.wait in answered
            return not isinstance(fact, e.RoundResult) or not fact.success

        return [event for event in events if told(event.fact)]

    async def _born(
        self, log: LogId, messages: Sequence[Said], remarks: Sequence[e.Event]
    ) -> Sequence[e.SessionCreated]:
        """The facts that began the sub-sessions of these messages and remarks, the oldest first."""
        wanted, found = {said.sub for said in messages if said.sub}, list[e.SessionCreated]()
        wanted |= {event.fact.sub for event in remarks if not isinstance(event.fact, e.Unknown) and event.fact.sub}
        before = max([said.seq for said in messages[-1:]] + [event.seq for event in remarks[-1:]], default=0)
        while wanted and (event := await self._store.newest(log, e.SessionCreated, before=before)) is not None:
            before, fact = event.seq, event.fact
            if isinstance(fact, e.SessionCreated) and fact.sub in wanted:
                wanted = (wanted - {fact.sub}) | ({fact.parent} - {SessionId(log)})
                found.append(fact)
        return found[::-1]

    async def _reaching(self, log: LogId, last: int, place: int) -> tuple[Sequence[Said], Sequence[Mark], bool]:
        """The newest messages, and as many before them as it takes to begin with one that is not past `place`."""
        wanted = last
        while True:
            messages, marks, more = await self._read(log, wanted, END)
            whole = not messages or (messages[0].seq <= place and messages[0].message.role != "tool")
            if whole or not more or wanted >= MOST:
                return messages, marks, more
            wanted = min(max(wanted * 2, SPARE), max(wanted, MOST))

    async def _read(self, log: LogId, last: int, before: int) -> tuple[Sequence[Said], Sequence[Mark], bool]:
        if await self._store.newest(log, e.MessageEdited, before=END) is not None:
            return await self._whole(log, last, before)
        limit = 2 * last + SPARE
        while True:
            events = await self._store.latest(log, before=before, limit=limit)
            read = _Read()
            for event in events:
                read.add(event)
            if len(events) < limit or (len(read.messages) > last and not read.torn_past(last)):
                break
            limit *= 2
        messages = read.messages[-last:] if last else []
        more = len(read.messages) > len(messages)
        start = messages[0].seq if messages and more else 0
        counted = await self._store.said(log, before=start)
        return _numbered(messages, counted), [mark for mark in read.marks if mark.seq > start], more

    async def _whole(self, log: LogId, last: int, before: int) -> tuple[Sequence[Said], Sequence[Mark], bool]:
        """The same for a session in which messages were replaced: an edit stands far behind what it replaces."""
        events = await self._store.messages(log)
        flat = sorted(_flat(History(SessionId(log)).extend(events), SessionId("")), key=lambda said: said.seq)
        older = [said for said in _numbered(flat, 0) if said.seq < before]
        messages = older[-last:] if last else []
        more = len(older) > len(messages)
        start = messages[0].seq if messages and more else 0
        read = _Read()
        for event in events:
            if start < event.seq < before:
                read.add(event)
        return messages, read.marks, more

    async def _queue(self, log: LogId, head: Head) -> Sequence[Waiting]:
        found: list[Waiting] = []
        for seq in dict.fromkeys(queued.seq for queued in head.queue):
            for event in await self._store.page(log, after=seq - 1, limit=1):
                if isinstance(fact := event.fact, e.MessageQueued):
                    left = [queued.index for queued in head.queue if queued.seq == seq]
                    found.append(Waiting(seq, fact.queue, tuple((index, fact.messages[index]) for index in left)))
        return found

    async def _team(self, log: LogId) -> e.TeamShown | None:
        before = END
        while (found := await self._store.newest(log, e.TeamShown, before=before)) is not None:
            if isinstance(found.fact, e.TeamShown) and not found.fact.sub:
                return found.fact
            before = found.seq
        return None


async def tail(store: EventStore, log: LogId, head: Head) -> int:
    """The cursor past which an unfinished answer, its draft calls, the calls that run, and results that no message
    has yet begin; sub-sessions' too.
    """
    places, open_calls = [head.last_seq + 1], dict[str, set[tuple[SessionId, CallId]]]()
    for one in (head, *head.below_all()):
        if (turn := one.turn) is None:
            continue
        if turn.answer:
            places.append(turn.asked)
        sub = SessionId("") if one is head else one.id
        for call in turn.calls:
            open_calls.setdefault(call.state, set()).add((sub, call.id))
    opened = head.turn.opened if head.turn else END
    for state, kind in _BEGINNINGS.items():
        places += await _beginnings(store, log, kind, open_calls.get(state, set()), opened)
    return min(places) - 1


_BEGINNINGS: Mapping[str, type[e.ToolCalled | e.ToolReturned | e.CallLost]] = {
    "called": e.ToolCalled,
    "returned": e.ToolReturned,
    "lost": e.CallLost,
}


async def _beginnings(
    store: EventStore,
    log: LogId,
    kind: type[e.ToolCalled | e.ToolReturned | e.CallLost],
    wanted: set[tuple[SessionId, CallId]],
    opened: int,
) -> list[int]:
    """The numbers of the newest facts of a kind about these calls, in the turn that was opened then."""
    places, before = [], END
    while wanted and (found := await store.newest(log, kind, before=before)) is not None:
        before, fact = found.seq, found.fact
        if before < opened:
            break
        if isinstance(fact, e.ToolCalled | e.ToolReturned | e.CallLost):
            call = fact.call if isinstance(fact, e.CallLost) else fact.call.id
            if (fact.sub, call) in wanted:
                wanted.discard((fact.sub, call))
                places.append(before)
    return places


class _Read:
    """The messages in a piece of a log; what a tool returned before the piece begins is not among them."""

    def __init__(self) -> None:
        self.messages: list[Said] = []
        self.marks: list[Mark] = []
        self._returned: dict[tuple[SessionId, CallId], tuple[ToolCall, Result, str]] = {}
        self._torn = 0  # the seq of the newest message whose result lies before the piece

    def torn_past(self, last: int) -> bool:
        """Whether a message is missing that would be among the newest `last`."""
        return bool(self._torn) and self._torn > self.messages[-last].seq

    def add(self, event: e.Event) -> None:
        """Take in the next event."""
        fact = event.fact
        match fact:
            case e.MessageWritten(message=message) | e.MessageTaken(message=message):
                self._say(event.seq, message, fact.sub)
            case e.MessageAdded(message=Message() as message):
                self._returned.pop((fact.sub, fact.call), None)
                self._say(event.seq, message, fact.sub)
            case e.MessageAdded(call=call) if call:
                self._tell(event, call, fact.sub)
            case e.ToolReturned(call=called):
                self._returned[fact.sub, called.id] = (called, fact.result, fact.agent)
            case e.SummaryAdded() | e.ErrorMet():
                self.marks.append(Mark(event.seq, event.at, fact))
            case _:
                pass

    def _tell(self, event: e.Event, call: CallId, sub: SessionId) -> None:
        if (found := self._returned.pop((sub, call), None)) is None:
            self._torn = event.seq
            return
        called, result, agent = found
        self._say(event.seq, tool_message(called, result, agent=agent, at=event.at), sub)

    def _say(self, seq: int, message: Message, sub: SessionId) -> None:
        if message.role != "system":
            self.messages.append(Said(seq, message, sub))


def _numbered(messages: Sequence[Said], counted: int) -> list[Said]:
    """The messages with the ordinals of those that a fork can stop before; `counted` users' messages are older."""
    numbered = []
    for said in messages:
        ours = said.message.role == "user"
        numbered.append(Said(said.seq, said.message, said.sub, counted) if ours and not said.sub else said)
        counted += ours
    return numbered


def _flat(history: History, sub: SessionId) -> Iterator[Said]:
    """All messages of a session, those of its sub-sessions in place."""
    for item in history.items:
        if item.session is not None:
            yield from _flat(item.session, item.session.id)
        elif item.message is not None and item.message.role != "system":
            yield Said(item.seq, item.message, sub)
