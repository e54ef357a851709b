"""A team that does a little of everything, and a server that dies after each of its commits."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.fakes import FakeProvider, Floor
from engine.story import ONCE, WINDOW, Run, play
from roost.core import events as e
from roost.core.ids import LogId
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
