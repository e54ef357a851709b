"""Renders a log as frames of `/api`, in order, from wherever it is begun; `events.py` has the table."""

from roost.core import events as e
from roost.core.history import History
from roost.core.ids import AnswerId, LogId, SessionId
from roost.doors.docker_agent import shapes
from roost.doors.docker_agent.events import render
from roost.doors.docker_agent.memory import Memory
from roost.service.archive import Archive

PAGE = 500
PROMPTS = (e.WaitOpened, e.WaitAnswered, e.WaitVoided)
"""The facts that can show a prompt."""


class Renderer:
    """Renders one log, in order.  Where it is begun in the middle, it looks up what it needs of the facts before."""

    def __init__(self, archive: Archive, log: LogId) -> None:
        self._archive = archive
        self._log = log
        self._memory = Memory()
        self._prompted = False  # whether the memory has all prompts of the turn

    async def render(self, event: e.Event) -> bytes | None:
        """The data of an event's frame."""
        fact, memory = event.fact, self._memory
        await self._place(fact, event.seq)
        if isinstance(fact, PROMPTS) and not self._prompted:
            await self._prompts(event.seq)
        self._prompted = self._prompted or event.seq == 1 or (isinstance(fact, e.TurnOpened) and not fact.sub)
        await self._define(getattr(fact, "definition", ""))
        if isinstance(fact, e.CallDrafted) and fact.answer not in memory.answers:
            await self._recall(fact.answer, event.seq)
        elif (
            isinstance(fact, e.SubSessionEnded) and (nested := await self._nested(fact.session, event.seq)) is not None
        ):
            memory.ended[fact.session] = shapes.nested_shape(nested, await self._known(nested))
        return render(event, memory)

    async def _define(self, digest: str) -> None:
        """Look up a tool's definition."""
        definitions = self._memory.definitions
        if digest and digest not in definitions:
            known = await self._archive.definition(self._log, digest)
            definitions[digest] = shapes.definition_shape(known) if known else None

    async def _place(self, fact: e.Fact, before: int) -> None:
        """Look up where a fact's sub-session hangs in its tree."""
        memory, sub = self._memory, "" if isinstance(fact, e.Unknown) else fact.sub
        if not sub or isinstance(fact, e.SessionCreated):
            return
        if not memory.root:
            for born in await self._archive.page(self._log, after=0, limit=1):
                if isinstance(born.fact, e.SessionCreated):
                    memory.born(born.fact, self._log)
        while sub not in memory.parents:
            found = await self._archive.newest(self._log, e.SessionCreated, before=before)
            if found is None or not isinstance(found.fact, e.SessionCreated):
                memory.parents[SessionId(sub)] = SessionId(self._log)
                return
            memory.born(found.fact, self._log)
            before = found.seq

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
        digests = {draft.definition for draft in self._memory.answers[answer].values()}
        for digest in digests - {""} - self._memory.definitions.keys():
            known = await self._archive.definition(self._log, digest)
            self._memory.definitions[digest] = shapes.definition_shape(known) if known else None
