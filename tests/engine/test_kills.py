"""A team that does a little of everything, and a server that dies after each of its commits."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from engine import sound
from engine.fakes import ME, FakeProvider, Floor, World, open_world
from engine.story import ONCE, WINDOW, Rewriting, crew, hands, script
from roost.core import events as e
from roost.core.ids import LogId
from roost.core.messages import Message
from roost.core.session import Head
from roost.engine.leave import LOST
from roost.engine.recovery import Policy
from roost.ports import EventStore

pytestmark = pytest.mark.anyio


class Watched(Floor):
    """A floor that knows where commits end."""

    ends: set[int]

    @asynccontextmanager
    async def open(self, grown: Callable[[LogId, Sequence[e.Event]], None]) -> AsyncIterator[EventStore]:
        self.ends = set()

        def heard(log: LogId, events: Sequence[e.Event]) -> None:
            self.ends |= {events[-1].seq} if events else set()
            grown(log, events)

        async with super().open(heard) as store:
            yield store


@pytest.fixture(autouse=True)
def a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeProvider, "context_limit", WINDOW)


class Run:
    """What has come of a session."""

    def __init__(self, events: list[e.Event], said: Sequence[Message], ran: Sequence[str]) -> None:
        self.events = events
        self.facts = [event.fact for event in events if isinstance(event.fact, e.Base)]
        self.said = [(message.call_id or message.role, message.content) for message in said]  # in the session itself
        self.ran = ran  # the calls of tools that may run once, as often as they ran
        ends = [fact for fact in self.facts if isinstance(fact, e.TurnEnded) and not fact.sub]
        self.outcome = ends[-1].outcome if ends else ""


async def see_through(world: World, log: LogId, until: int) -> None:
    """Answer all that waits, until the turn has ended or so many facts are there."""

    def stop(head: Head) -> bool:
        return head.turn is None or head.last_seq >= until

    with anyio.fail_after(20):
        while not stop(await world.until(log, lambda head: stop(head) or head.waits)):
            for record in await world.service.waits.open(ME):
                how = {"action": "accept"} if record.fact.kind == "question" else {"confirmation": "approve"}
                await world.service.waits.answer(ME, record.id, **how)


async def play(
    floor: Floor,
    left: Sequence[e.Event] = (),
    *,
    log: str = "",
    policy: Policy = "resume",
    cancel: bool = False,
    dies_after: int = 1_000_000,
    note: str = "",
) -> Run:
    """A turn to its end, or until the server dies; with `left` or a log it is one that a dead server has left."""
    name = LogId(log)
    if left:
        name = await floor.lay([event.fact for event in left], left[0].log)
    tools = hands()
    made = {"script": script, "tools": tuple(tools.values()), "team": crew(), "hooks": Rewriting(), "policy": policy}
    async with open_world(floor, **made) as world:
        if name:
            await world.recovery.settle()
            await world.recovery.resume()
        else:
            name = LogId(await world.session())
            await world.ask(name, "go")
        if cancel:
            await world.service.turns.cancel(ME, name)
            await world.ended(name)
        await see_through(world, name, dies_after)
        head, events = await world.store.head(name), await world.events(name)
        if head.turn is None:
            await world.still(name)
            sound.check(events, head, note)
        items = (await world.history(name)).items
    said = [item.message for item in items if item.message is not None]
    return Run(events, said, [call for name in ONCE for call, _ in tools[name].runs])


def begun(whole: Run, n: int) -> list[str]:
    """The calls of tools that may run once, and had begun by then."""
    return [f.call.id for f in whole.facts[:n] if isinstance(f, e.ToolCalled) and f.call.name in ONCE]


def check_once(whole: Run, n: int, *runs: Run, note: str) -> None:
    """No tool that may run once ran twice, whatever the number of servers."""
    ran = begun(whole, n) + [call for run in runs for call in run.ran]
    assert len(ran) == len(set(ran)), (note, ran)


def check_same(whole: Run, n: int, *runs: Run, note: str) -> None:
    """It ended well, and what was said is the same, but for the calls whose outcome nobody knows."""
    ran = set(begun(whole, n)) | {call for run in runs for call in run.ran}
    returned = {f.call.id: f.result.output for f in runs[-1].facts if isinstance(f, e.ToolReturned)}
    lost = {call for call in ran if returned[call] == LOST}
    assert runs[-1].outcome == "normal", note
    assert runs[-1].said == [(who, LOST if who in lost else text) for who, text in whole.said], note


def cuts(watched: Watched, whole: Run) -> list[int]:
    """Where the log ends after each of the turn's commits, but for its last."""
    return sorted(watched.ends - {1, len(whole.events)})


def named(whole: Run, n: int) -> str:
    return f"cut after {n}: {whole.facts[n - 1]}"[:200]


@pytest.mark.parametrize("policy", ["resume", "ask", "fail"])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_kill_after_any_commit_leads_to_the_same_end(tmp_path: Path, kind: str, policy: Policy) -> None:
    watched = Watched("memory", tmp_path)
    whole = await play(watched)
    assert (len(cuts(watched, whole)) > 80, whole.outcome) == (True, "normal")
    for n in cuts(watched, whole)[:: 1 if kind == "memory" else 7]:
        (home := tmp_path / str(n)).mkdir()
        run = await play(Floor(kind, home), whole.events[:n], policy=policy, note=named(whole, n))
        check_once(whole, n, run, note=named(whole, n))
        if policy != "fail":
            check_same(whole, n, run, note=named(whole, n))


@pytest.mark.parametrize("seed", range(8))
async def test_so_do_several(tmp_path: Path, seed: int) -> None:
    dice, watched = random.Random(seed), Watched("memory", tmp_path)
    whole = await play(watched)
    for n in dice.sample(cuts(watched, whole), 6):
        floor, note = Floor("memory", tmp_path), named(whole, n)
        runs = [await play(floor, whole.events[:n], dies_after=n + dice.randrange(4, 40), note=note)]
        while not runs[-1].outcome:
            dies = len(runs[-1].events) + dice.randrange(4, 40)
            runs.append(await play(floor, log=whole.events[0].log, dies_after=dies, note=note))
        check_once(whole, n, *runs, note=named(whole, n))
        check_same(whole, n, *runs, note=named(whole, n))


async def test_what_is_cancelled_after_a_kill_ends_cancelled(tmp_path: Path) -> None:
    watched = Watched("memory", tmp_path)
    whole = await play(watched)
    for n in cuts(watched, whole):
        run = await play(Floor("memory", tmp_path), whole.events[:n], policy="ask", cancel=True, note=named(whole, n))
        check_once(whole, n, run, note=named(whole, n))
        assert run.outcome == "canceled", named(whole, n)
