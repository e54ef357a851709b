"""Renders a log as frames of `/api`, in order, from wherever it is begun; the tables are elsewhere."""

from roost.core import events as e
from roost.core.history import History
from roost.core.ids import AnswerId, LogId, SessionId
from roost.doors.docker_agent import details, shapes
from roost.doors.docker_agent.frames import render
from roost.doors.docker_agent.memory import Memory
from roost.service.archive import Archive

PAGE = 500
PROMPTS = (e.WaitOpened, e.WaitAnswered, e.WaitVoided)
"""The facts that can show a prompt."""


class _Lookup:
    """One log, and what frames need of facts before the one that a reader begins at."""

    def __init__(self, archive: Archive, log: LogId, memory: Memory) -> None:
        self._archive = archive
        self._log = log
        self._memory = memory

    async def _define(self, digest: str) -> None:
        """Look up a tool's definition."""
        if digest and digest not in self._memory.definitions:
            self._memory.know(digest, await self._archive.definition(self._log, digest))

    async def _root(self) -> None:
        """Look up which tree the log belongs to."""
        if not self._memory.root:
            for born in await self._archive.page(self._log, after=0, limit=1):
                if isinstance(born.fact, e.SessionCreated):
                    self._memory.born(born.fact, self._log)

    async def _place(self, fact: e.Fact, before: int) -> None:
        """Look up where a fact's sub-session hangs in its tree."""
        memory, sub = self._memory, "" if isinstance(fact, e.Unknown) else fact.sub
        if not sub or isinstance(fact, e.SessionCreated):
            return
        await self._root()
        while sub not in memory.parents:
            found = await self._archive.newest(self._log, e.SessionCreated, before=before)
            if found is None or not isinstance(found.fact, e.SessionCreated):
                memory.parents[SessionId(sub)] = SessionId(self._log)
                return
            memory.born(found.fact, self._log)
            before = found.seq

    async def _draft(self, fact: e.Fact, seq: int) -> None:
        """Look up how an answer has begun, where a delta goes on with it."""
        if isinstance(fact, e.CallDrafted) and fact.answer not in self._memory.answers:
            await self._recall(fact.answer, seq)

    async def _recall(self, answer: AnswerId, before: int) -> None:
        """Take in the deltas of an answer that was begun earlier, as if they had been rendered."""
        deltas: list[e.Event] = []
        end, found = before - 1, False
        while end > 0 and not found:
            start = max(end - PAGE, 0)
            page = await self._archive.page(self._log, after=start, limit=end - start)
            found = any(isinstance(ev.fact, e.ModelAsked) and ev.fact.answer == answer for ev in page)
            deltas[:0] = [ev for ev in page if isinstance(ev.fact, e.CallDrafted) and ev.fact.answer == answer]
            end = start
        memory = Memory()
        for delta in deltas:
            assert isinstance(delta.fact, e.CallDrafted)
            memory.drafted(delta.fact, delta.at)
        self._memory.answers[answer] = memory.answers.get(answer, {})
        for draft in self._memory.answers[answer].values():
            await self._define(draft.definition)


class Renderer(_Lookup):
    """Renders one log, in order, for clients of the `serve api` protocol."""

    def __init__(self, archive: Archive, log: LogId) -> None:
        super().__init__(archive, log, Memory())
        self._prompted = False  # whether the memory has all prompts of the turn

    async def render(self, event: e.Event) -> bytes | None:
        """The data of an event's frame."""
        fact, memory = event.fact, self._memory
        await self._place(fact, event.seq)
        if isinstance(fact, PROMPTS) and not self._prompted:
            await self._prompts(event.seq)
        self._prompted = self._prompted or event.seq == 1 or (isinstance(fact, e.TurnOpened) and not fact.sub)
        await self._define(getattr(fact, "definition", ""))
        await self._draft(fact, event.seq)
        if isinstance(fact, e.SubSessionEnded) and (nested := await self._nested(fact.session, event.seq)) is not None:
            memory.ended[fact.session] = shapes.nested_shape(nested, await self._known(nested))
        return render(event, memory)

    async def _prompts(self, before: int) -> None:
        """Take in what waits for a person since earlier in this turn, and what of it was shown."""
        self._prompted, prompts = True, self._memory.prompts
        opened = await self._archive.own(self._log, e.TurnOpened, before=before)
        after = before - 1 if opened is None else opened.seq
        while page := await self._archive.page(self._log, after=after, limit=min(PAGE, before - 1 - after)):
            for event in page:
                prompts.take(event.fact)
            after = page[-1].seq
        for prompt in prompts.open:
            await self._define(prompt.definition)
            await self._place(prompt, before)

    async def _nested(self, session: SessionId, until: int) -> History | None:
        """A sub-session of this log, as it was then."""
        history = History(SessionId(self._log)).extend(await self._archive.messages(self._log, until=until))
        return shapes.find_nested(history, session)

    async def _known(self, history: History) -> shapes.Known:
        """The definitions of the tools that a history's messages call."""
        found = {digest: await self._archive.definition(self._log, digest) for digest in sorted(history.definitions())}
        return shapes.known_shapes({digest: known for digest, known in found.items() if known is not None})


class Detailed(_Lookup):
    """Renders one log, in order, with all details."""

    def __init__(self, archive: Archive, log: LogId) -> None:
        super().__init__(archive, log, Memory(slim=True))

    async def render(self, event: e.Event) -> bytes | None:
        """The data of an event's frame."""
        fact = event.fact
        if isinstance(fact, e.SessionCreated) and fact.sub:
            await self._root()
        await self._place(fact, event.seq)
        await self._define(getattr(fact, "definition", ""))
        await self._draft(fact, event.seq)
        if isinstance(fact, e.UserSaid):
            self._memory.said[fact.sub or self._log] = await self._said(fact, event.seq)
        return details.render(event, self._memory)

    async def _said(self, fact: e.UserSaid, before: int) -> int:
        """The message that a fact shows: the newest that a person posted; 0 where there is none."""
        while (found := await self._archive.newest(self._log, e.MessageWritten, before=before)) is not None:
            written, before = found.fact, found.seq
            if isinstance(written, e.MessageWritten) and written.sub == fact.sub and written.message.role == "user":
                return found.seq
        return 0
