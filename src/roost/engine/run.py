"""One process of an agent CLI, from its first line to its last: lines to facts, people's words to lines.

The facts of some lines and the offset behind them are one append, so that a restart neither loses
nor doubles a line.
"""

from collections.abc import Sequence

import anyio
import anyio.lowlevel
from msgspec.structs import replace

from roost.core import events as e
from roost.core.ids import WaitId
from roost.core.limits import SECOND
from roost.core.messages import Message
from roost.core.orders import Order
from roost.core.session import Head, Queued
from roost.engine import mailbox
from roost.engine.bulkhead import open_group
from roost.engine.given import Given
from roost.engine.lines import Line, Skipped, batched, lines
from roost.engine.present import completed, verdict
from roost.engine.stage import Stage
from roost.ports import Dialog, Errand, Exit, Input, Process, Step

LINGERS = 15.0  # seconds of silence after the end of its input, until it is ended
STOPS_IN = 5.0  # seconds between two signals to a CLI that is to end
END = 1 << 62  # past the seq of every event
AT_ONCE = 500  # lines whose facts are one append


class Run:
    """A process, and the dialog that understands it."""

    def __init__(
        self,
        stage: Stage,
        order: Order,
        errand: Errand,
        process: Process,
        dialog: Dialog,
        opened: e.TurnOpened | None = None,
    ) -> None:
        self.errand = errand
        self.process = process
        self.expired = False  # it took too long, and was ended for that
        self._stage = stage
        self._order = order
        self._dialog = dialog
        self._file = opened  # with the rules of an agent file, where one is played
        self._pen = anyio.Lock()  # one at a time feeds the dialog and writes what came of it
        self._out = self._err = 0
        self._given = Given(dialog.sent)
        self._asked: dict[WaitId, e.WaitOpened] = {}
        self._owed: tuple[str, str] | None = None  # the key and the text of a message that it was never given
        self._skipped = Skipped()
        self._closing = False  # no message is given to it any more
        self._hit: e.LimitHit | None = None  # a usage limit that it stands at

    # -- the past -------------------------------------------------------------------------------

    def born(self) -> None:
        """It has just been started: its launch has said the first words."""
        self._recall()
        self._given.reach(0)

    async def relive(self, out: int, err: int) -> None:
        """Bring the dialog of an adopted process to where the log stands, and do what was left half done then."""
        self._recall()
        owed: list[Input] = []
        while self._out < out or self._err < err:
            output = await self.process.read(self._out, self._err)
            known = [line for line in lines(output, self._out, self._err) if line.end <= (err if line.error else out)]
            if not known:
                break  # there is less of it than was read: somebody has cut it
            for some in batched(known, AT_ONCE):
                for step in self._fed(some):
                    self._asked |= {fact.wait: fact for fact in step.facts if isinstance(fact, e.WaitOpened)}
                    self._held(step.facts)
                    owed += step.inputs
                await anyio.lowlevel.checkpoint()
        self._out, self._err = out, err
        self._given.reach(out)
        await self._send(owed)
        await self._catch_up()

    def _recall(self) -> None:
        self._given.recall(self.process.sent())
        self._closing = self._given.closed

    async def _catch_up(self) -> None:
        """The message that the log says it has, and nobody wrote to it any more."""
        store, log = self._stage.makers.store, self._stage.log
        newest = await store.newest(log, e.MessageTaken, before=END)
        started = await store.newest(log, e.RunStarted, before=END)
        if newest is None or started is None or newest.seq < started.seq:
            return
        assert isinstance(newest.fact, e.MessageTaken)
        key = _key(Queued(newest.fact.queue, newest.fact.queued, newest.fact.index))
        if not self._given.said(key):
            self._owed = key, newest.fact.message.content

    # -- the present ----------------------------------------------------------------------------

    async def attend(self) -> Exit:
        """Read to the end, and heed people and the deadline meanwhile."""
        async with open_group() as tasks:
            tasks.start_soon(self._heed, name=f"answers for {self._stage.log}")
            tasks.start_soon(self._expire, name=f"deadline of {self._stage.log}")
            tasks.start_soon(self._usher, name=f"farewell of {self._stage.log}")
            ended = await self._read()
            tasks.cancel_scope.cancel()
        self.expired = self.expired and ended.killed  # else it was quicker
        return ended

    async def stop(self) -> Exit:
        """End it, and take in what it still has to say."""
        self._closing = True

        async def put_down() -> None:
            await self.process.stop(grace=STOPS_IN)

        async with open_group() as tasks:
            tasks.start_soon(put_down)
            return await self._read()

    def last_words(self, ended: Exit) -> list[e.Fact]:
        """What is left to write once it has ended: a usage limit that it stood at is among it."""
        facts = self._held(self._dialog.end(ended).facts)
        return completed(self._stage, [*facts, *([self._hit] if self._hit else [])])

    async def unheard(self, ended: Exit) -> str:
        """What it was told when it was ending already, of its own accord: it has not said a word since."""
        if ended.code != 0 or ended.killed:
            return ""
        late = [Queued("followup", seq, index) for seq, index in self._given.unheard(self._out)]
        texts = [(await mailbox.waiting(self._stage, queued)).content for queued in late]
        return "\n\n".join([*texts, *([self._owed[1]] if self._owed else [])])

    async def _read(self) -> Exit:
        while True:
            output = await self.process.read(self._out, self._err)
            async with self._pen:
                for some in batched(lines(output, self._out, self._err), AT_ONCE):
                    await self._take(some)
                    await anyio.lowlevel.checkpoint()  # a flood is no reason to keep others waiting
                if output.exit is None:
                    await self._rest()
                else:
                    self._given.end()
                    return output.exit

    def _fed(self, some: Sequence[Line]) -> list[Step]:
        """What the dialog makes of lines, with what it was given between them."""
        steps: list[Step] = []
        for line in some:
            self._given.reach(self._out)
            if line.error:
                steps.append(self._dialog.complain(line.text))
                self._err = line.end
            else:
                steps.append(self._dialog.feed(line.text))
                self._out = line.end
            if line.cut:
                steps.append(Step((e.LineSkipped("a line was longer than 16 MiB; its rest is left out"),)))
        self._given.reach(self._out)
        return steps

    async def _take(self, some: Sequence[Line]) -> None:
        """Lines to facts: committed together with the offset behind them, before anything is replied."""
        steps = self._fed(some)
        facts, decided = self._weighed(self._held([fact for step in steps for fact in step.facts]))
        if facts:
            read = e.RunRead(self.errand.run, self._out, self._err)
            await self._stage.journal.write(*completed(self._stage, facts), read)
            if any(isinstance(fact, e.UsageAdded) for fact in facts):
                await self._stage.guard.show()
        await self._send([given for step in steps for given in step.inputs])
        for wait, answer in decided:
            await self._reply(wait, answer)

    async def _heed(self) -> None:
        while True:
            changed = self._stage.ear.changed
            async with self._pen:
                await self._hear()
                await self._rest()
            await changed.wait()

    async def _hear(self) -> None:
        """Give the CLI the answers that have come."""
        waiting = {wait.id for wait in self._stage.waits}
        for wait in tuple(self._dialog.pending) if not self._given.ahead else ():
            if wait in waiting:
                continue
            record = await self._stage.makers.store.wait(wait)
            asked = self._asked.get(wait)
            answer = record.answer if record is not None else verdict(self._stage, self._file, asked) if asked else None
            if answer is not None:
                await self._reply(wait, answer)
            elif record is None and asked is not None:  # a rule would have answered, and is there no more
                await self._stage.journal.write(*completed(self._stage, [asked]))

    async def _expire(self) -> None:
        """End it when it takes longer than the order allows."""
        run, clock = self._stage.turn.run, self._stage.makers.clock
        if self._order.time_limit and run is not None:
            spent = max((clock.now() - run.at) / SECOND, 0)
            until = clock.monotonic() + self._order.time_limit - spent  # from here on nobody can set the clock
            while (left := until - clock.monotonic()) > 0:
                await clock.sleep(left)
            self.expired = True
            await self.process.stop(grace=STOPS_IN)

    async def _usher(self) -> None:
        """End it when it stays, and is silent, after the end of its input: some CLIs do."""
        was, now = None, (False, 0, 0)
        while was != now or not self._given.closed or not self._dialog.ready:
            await self._stage.makers.clock.sleep(LINGERS)
            was, now = now, (self._given.closed, self._out, self._err)
        await self.process.stop(grace=STOPS_IN)

    # -- what people say ------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Where the CLI would take one, give it the next message; with none that it takes, let it end."""
        if self._closing or self._given.ahead:
            return
        repaid = await self._repay()
        if not (repaid or self._dialog.ready):
            return
        interactive = repaid and self._stage.turn.interactive and self._hit is None
        queue = sorted(self._stage.journal.head.queue, key=lambda queued: queued.queue == "followup")  # steering first
        if queue and self._dialog.ready and await self._stage.guard.broke():
            queue, interactive = [], False  # what is left is for the next run, once there is money for one
        heard = await self._tell(queue) if repaid else False
        if heard is not None and self._dialog.ready and not (interactive and heard):
            self._closing = True
            await self._send(self._dialog.close().inputs)

    async def _tell(self, queue: Sequence[Queued]) -> bool | None:
        """Give it what waits; None where the rest is for later, False where only the next run will hear it."""
        for queued in queue if self._hit is None else ():
            if queued.queue == "followup" and not self._dialog.ready:
                return None
            if not await self._say(queued):
                return False
        return True

    async def _say(self, queued: Queued) -> bool:
        """Give the CLI a message, unless it is withdrawn; whether it takes one now.

        The log has it first: from then on nobody can withdraw it.  Its key keeps it from being said twice.
        """
        message = await mailbox.waiting(self._stage, queued)
        step = self._dialog.say(_key(queued), message.content)
        if step is None:
            return False
        whole, waits = completed(self._stage, step.facts), mailbox.waits(queued)

        def facts(head: Head) -> list[e.Fact]:
            waits(head)
            return [taken(queued, message, head), *whole]

        with anyio.CancelScope(shield=True):  # the log says that the CLI has it
            try:
                await self._stage.journal.compose(facts)
            except mailbox.Withdrawn:
                await self._stage.journal.refresh()
            else:
                await self._send(step.inputs)
        return True

    async def _repay(self) -> bool:
        """Give it what it is owed; whether it takes that now."""
        if self._owed is None:
            return True
        if (step := self._dialog.say(*self._owed)) is None:
            return False
        self._owed = None
        await self._send(step.inputs)
        return True

    async def _reply(self, wait: WaitId, answer: e.Answer) -> None:
        """Tell the CLI; what that brings about is committed first, once."""
        step = self._dialog.answer(wait, answer)
        called = {call.id for call in self._stage.turn.calls if call.state != "new"}
        new = [fact for fact in step.facts if not (isinstance(fact, e.ToolCalled) and fact.call.id in called)]
        if new:
            await self._stage.journal.write(*completed(self._stage, new))
        await self._send(step.inputs)

    async def _send(self, inputs: Sequence[Input]) -> None:
        if new := [replace(given, at=self._out) for given in self._given.new(inputs)]:
            with anyio.CancelScope(shield=True):
                await self.process.send(*new)
            self._given.wrote(new)
            self._closing = self._closing or self._given.closed

    # -- what the present adds ------------------------------------------------------------------

    def _held(self, facts: Sequence[e.Fact]) -> list[e.Fact]:
        """The facts without a usage limit, which is written when the run ends, unless the CLI gets past it."""
        kept: list[e.Fact] = []
        for fact in self._skipped.thinned(facts):
            if isinstance(fact, e.LimitHit):
                self._hit = fact
                continue
            if isinstance(fact, e.RoundResult) and fact.success:
                self._hit = None
            kept.append(fact)
        return kept

    def _weighed(self, facts: Sequence[e.Fact]) -> tuple[list[e.Fact], list[tuple[WaitId, e.Answer]]]:
        """The facts without the questions that the session's own rules answer, and those answers."""
        kept: list[e.Fact] = []
        decided: list[tuple[WaitId, e.Answer]] = []
        for fact in facts:
            if isinstance(fact, e.WaitOpened):
                self._asked[fact.wait] = fact
                if (answer := verdict(self._stage, self._file, fact)) is not None:
                    decided.append((fact.wait, answer))
                    continue
            kept.append(fact)
        return kept, decided


def taken(queued: Queued, message: Message, head: Head) -> e.MessageTaken:
    """The fact that a queued message enters the history."""
    return e.MessageTaken(queued.seq, queued.index, message, head.items, queued.queue)


def _key(queued: Queued) -> str:
    """What tells a message from the others that a CLI is given."""
    return f"{queued.seq}.{queued.index}"
