"""One process of an agent CLI, from its first line to its last: lines to facts, people's words to lines.

The facts of some lines and the offset behind them are one append, so that a restart neither loses
nor doubles a line.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import anyio
from msgspec.structs import replace

from roost.core import approvals
from roost.core import events as e
from roost.core.ids import WaitId
from roost.core.limits import SECOND
from roost.core.messages import Definition, Message
from roost.core.orders import Order
from roost.core.session import Head, Queued
from roost.engine import mailbox
from roost.engine.bulkhead import open_group
from roost.engine.stage import Stage
from roost.ports import Dialog, Errand, Exit, Input, Output, Process, Step

STOPS_IN = 5.0  # seconds between two signals to a CLI that is to end


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
        self.expired = False
        self._stage = stage
        self._order = order
        self._dialog = dialog
        self._file = opened  # with the rules of an agent file, where one is played
        self._pen = anyio.Lock()  # one at a time feeds the dialog and writes what came of it
        self._out = self._err = 0
        self._sent: set[str] = set()
        self._asked: dict[WaitId, e.WaitOpened] = {}
        self._closing = False  # no message is given to it any more
        self._hit: e.LimitHit | None = None  # a usage limit that it stands at

    # -- the past -------------------------------------------------------------------------------

    def born(self) -> None:
        """It has just been started: its launch has said the first words."""
        self._know(self.process.sent())

    async def relive(self, out: int, err: int) -> None:
        """Bring the dialog of an adopted process to where the log stands; replies that were never sent are sent now."""
        given = list(self.process.sent())
        owed: list[Input] = []
        while self._out < out or self._err < err:
            output = await self.process.read(self._out, self._err)
            if not output.lines and not output.errors:
                break  # there is less of it than was read: somebody has cut it
            for line in output.lines if self._out < out else ():
                while given and given[0].at <= self._out:
                    self._know([given.pop(0)])
                owed += self._again(self._dialog.feed(line))
                self._out += len(line) + 1
                if self._out >= out:
                    break
            for line in output.errors if self._err < err else ():
                owed += self._again(self._dialog.complain(line))
                self._err += len(line) + 1
                if self._err >= err:
                    break
        self._know(given)
        self._out, self._err = out, err
        await self._send(owed)

    def _again(self, step: Step) -> Sequence[Input]:
        self._asked |= {fact.wait: fact for fact in step.facts if isinstance(fact, e.WaitOpened)}
        self._held(step.facts)
        return step.inputs

    # -- the present ----------------------------------------------------------------------------

    async def attend(self) -> Exit:
        """Read to the end, and heed people and the deadline meanwhile."""
        async with open_group() as tasks:
            tasks.start_soon(self._heed, name=f"answers for {self._stage.log}")
            tasks.start_soon(self._expire, name=f"deadline of {self._stage.log}")
            ended = await self._read()
            tasks.cancel_scope.cancel()
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
        return self._completed([*facts, *([self._hit] if self._hit else [])])

    async def _read(self) -> Exit:
        while True:
            output = await self.process.read(self._out, self._err)
            async with self._pen:
                await self._take(output)
            if output.exit is not None:
                return output.exit

    async def _take(self, output: Output) -> None:
        """Lines to facts: committed together with the offset behind them, before anything is replied."""
        steps = [self._dialog.feed(line) for line in output.lines]
        steps += [self._dialog.complain(line) for line in output.errors]
        if output.cut:
            steps.append(Step((e.LineSkipped("a line was longer than 16 MiB; its rest is left out"),)))
        facts, decided = self._weighed(self._held([fact for step in steps for fact in step.facts]))
        if facts:
            read = e.RunRead(self.errand.run, output.out, output.err)
            await self._stage.journal.write(*self._completed(facts), read)
        self._out, self._err = output.out, output.err
        await self._send([given for step in steps for given in step.inputs])
        for wait, answer in decided:
            await self._reply(wait, answer)
        if output.exit is None:
            await self._rest()

    async def _heed(self) -> None:
        while True:
            changed = self._stage.ear.changed
            async with self._pen:
                await self._hear()
                await self._rest()
            await changed.wait()

    async def _hear(self) -> None:
        """Give the CLI the answers that have come."""
        waiting = {wait.id for wait in self._stage.journal.head.waits}
        for wait in tuple(self._dialog.pending):
            if wait in waiting:
                continue
            record = await self._stage.makers.store.wait(wait)
            asked = self._asked.get(wait)
            answer = record.answer if record is not None else self._verdict(asked) if asked else None
            if answer is not None:
                await self._reply(wait, answer)

    async def _expire(self) -> None:
        """End it when it takes longer than the order allows."""
        run, clock = self._stage.turn.run, self._stage.makers.clock
        if self._order.time_limit and run is not None:
            while (left := run.at + self._order.time_limit * SECOND - clock.now()) > 0:
                await clock.sleep(left / SECOND)
            self.expired = True
            await self.process.stop(grace=STOPS_IN)

    # -- what people say ------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Where the CLI would take one, give it the next message; with none left, let it end."""
        stage = self._stage
        for queued in tuple(stage.journal.head.queue) if self._hit is None else ():
            if self._closing or (queued.queue == "followup" and not self._dialog.ready):
                return
            if not await self._say(queued):
                return
        if self._dialog.ready and not self._closing and (self._hit or not stage.turn.interactive):
            self._closing = True
            await self._send(self._dialog.close().inputs)

    async def _say(self, queued: Queued) -> bool:
        """Give the CLI a message; whether it takes one now.  Its key keeps it from being said twice."""
        message = await mailbox.waiting(self._stage, queued)
        step = self._dialog.say(f"{queued.seq}.{queued.index}", message.content)
        if step is None:
            return False
        await self._send(step.inputs)
        facts = self._completed(step.facts)
        await self._stage.journal.compose(lambda head: [taken(queued, message, head), *facts])
        return True

    async def _reply(self, wait: WaitId, answer: e.Answer) -> None:
        """Tell the CLI; what that brings about is committed first, once."""
        step = self._dialog.answer(wait, answer)
        called = {call.id for call in self._stage.turn.calls if call.state != "new"}
        new = [fact for fact in step.facts if not (isinstance(fact, e.ToolCalled) and fact.call.id in called)]
        if new:
            await self._stage.journal.write(*self._completed(new))
        await self._send(step.inputs)

    async def _send(self, inputs: Sequence[Input]) -> None:
        new = [replace(given, at=self._out) for given in inputs if given.id not in self._sent]
        if new:
            await self.process.send(*new)
            self._know(new)

    def _know(self, inputs: Iterable[Input]) -> None:
        """Inputs that were written; the dialog hears of each once."""
        for given in inputs:
            if given.id not in self._sent:
                self._sent.add(given.id)
                self._closing = self._closing or given.close
                self._dialog.sent(given)

    # -- what the present adds ------------------------------------------------------------------

    def _held(self, facts: Sequence[e.Fact]) -> list[e.Fact]:
        """The facts without a usage limit, which is written when the run ends, unless the CLI gets past it."""
        kept: list[e.Fact] = []
        for fact in facts:
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
                if (answer := self._verdict(fact)) is not None:
                    decided.append((fact.wait, answer))
                    continue
            kept.append(fact)
        return kept, decided

    def _verdict(self, asked: e.WaitOpened) -> e.Answer | None:
        """What the session's rules say to a question; None where a person decides."""
        if asked.kind != "approval" or asked.call is None:
            return None
        head, file = self._stage.journal.head, self._file
        verdict = approvals.decide(
            asked.call,
            Definition(asked.call.name),
            session=head.permissions,
            team=(file.permissions if file else None) or e.Permissions(),
            safety=head.safety or (file.safety if file else ""),
            chosen=bool(head.safety),
        )
        if isinstance(verdict, approvals.Allow):
            return e.Answer("approve", "approve")
        return e.Answer("reject", "reject", verdict.message) if isinstance(verdict, approvals.Deny) else None

    def _completed(self, facts: Iterable[e.Fact]) -> list[e.Fact]:
        """The facts with what only the present knows: the time, and the session's totals."""
        now, cost = self._stage.makers.clock.now(), self._stage.journal.head.cost
        whole: list[e.Fact] = []
        for fact in self._cast(facts):
            if isinstance(fact, e.MessageAdded) and fact.message is not None and not fact.message.at:
                whole.append(replace(fact, message=replace(fact.message, at=now)))
            elif isinstance(fact, e.UsageAdded):
                cost += fact.cost
                usage = fact.usage
                whole.append(replace(fact, total_cost=cost, input_tokens=usage.context, output_tokens=usage.output))
            else:
                whole.append(fact)
        return whole

    def _cast(self, facts: Iterable[e.Fact]) -> Iterable[e.Fact]:
        """The facts of a CLI that plays an agent of a file, under that agent's name."""
        turn = self._stage.turn
        if turn.source == turn.driver:
            yield from facts
            return
        for fact in facts:
            renamed: Any = replace(fact, agent=turn.agent) if getattr(fact, "agent", "") == turn.driver else fact
            if isinstance(renamed, e.MessageAdded) and (said := renamed.message) and said.agent == turn.driver:
                renamed = replace(renamed, message=replace(said, agent=turn.agent))
            yield renamed
            if isinstance(fact, e.Introduced) and fact.tools:
                yield e.ToolsShown(turn.agent, len(fact.tools))


def taken(queued: Queued, message: Message, head: Head) -> e.MessageTaken:
    """The fact that a queued message enters the history."""
    return e.MessageTaken(queued.seq, queued.index, message, head.items, queued.queue)
