"""A team that does a little of everything, and a server that dies after each of its commits."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from engine import sound
from engine.fakes import FakeProvider, FakeTool, Floor, open_world
from engine.story import ONCE, WINDOW, Run, hands, play, see_through
from roost.core import events as e
from roost.core.agents import Agent, Hook, Matcher, Team, ToolsetSpec
from roost.core.events import Command
from roost.core.ids import LogId
from roost.engine.leave import LOST
from roost.engine.recovery import Policy
from roost.ports import EventStore, Place, Ran, Use

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


def begun(whole: Run, n: int) -> list[tuple[str, str]]:
    """The calls of tools that may run once, and had begun by then."""
    return [(f.call.name, f.call.id) for f in whole.facts[:n] if isinstance(f, e.ToolCalled) and f.call.name in ONCE]


def check_once(whole: Run, n: int, *runs: Run, note: str) -> None:
    """No tool that may run once ran twice, whatever the number of servers."""
    ran = begun(whole, n) + [call for run in runs for call in run.ran]
    assert len(ran) == len(set(ran)), (note, ran)


def check_same(whole: Run, n: int, *runs: Run, note: str) -> None:
    """It ended well, and what was said is the same, but for the calls whose outcome nobody knows."""
    ran = {*begun(whole, n), *(call for run in runs for call in run.ran)}
    returned = {(f.call.name, f.call.id): f.result.output for f in runs[-1].facts if isinstance(f, e.ToolReturned)}
    lost = {call for name, call in ran if name != "cut" and returned[name, call] == LOST}  # that one is a sub-session's
    assert {fact.outcome for fact in runs[-1].facts if isinstance(fact, e.TurnEnded)} == {"normal"}, note
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


class Greeting:
    """Hooks of a turn's beginning: one adds a context, one looks over what people say."""

    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []

    async def run(self, hook: Hook, given: dict[str, Any], place: Place) -> Ran:
        await anyio.lowlevel.checkpoint()
        self.given.append((given["hook_event_name"], given.get("prompt", "")))
        return Ran(0, "Mind the gap." if given["hook_event_name"] == "session_start" else "")


def greeted() -> Team:
    """An agent with a command that calls tools, and with hooks."""
    hooks = {event: (Matcher((Hook("command", "greet"),)),) for event in ("session_start", "user_prompt_submit")}
    command = Command("fix", instruction="/look at ${cut({})} and ${look({})}, ${args[0]}")
    other = Command("look", instruction="never")
    agent = Agent("root", model="fake", toolsets=(ToolsetSpec("fake"),), commands=(command, other), hooks=hooks)
    return Team("crew", "hash-1", (agent,))


async def test_a_beginning_that_a_kill_cut_off_is_made_good(tmp_path: Path) -> None:
    watched = Watched("memory", tmp_path)
    tools = hands()

    async def told(floor: Floor, left: Sequence[e.Event] = ()) -> tuple[list[str], Greeting, list[e.Event]]:
        hooks = Greeting()
        log = await floor.lay([event.fact for event in left], left[0].log) if left else LogId("")
        made = {"team": greeted(), "tools": [tools["cut"], tools["look"]], "hooks": hooks}
        async with open_world(floor, script=lambda _: ["done"], **made) as world:
            if left:
                await world.recovery.settle()
                await world.recovery.resume()
            else:
                log = LogId(await world.session())
                await world.ask(log, "/fix today")
            await see_through(world, log, 1_000_000)
            sound.check(await world.events(log), await world.store.head(log), f"after {len(left)}")
            asked = world.provider.requests[-1] if world.provider.requests else None
            return [m.content for m in asked.messages] if asked else [], hooks, await world.events(log)

    words, hooks, events = await told(watched)
    assert words == ["Mind the gap.", "/look at done and done, today"]
    assert [name for name, _ in hooks.given] == ["session_start", "user_prompt_submit"]
    answered = next(event.seq for event in events if isinstance(event.fact, e.MessageAdded))
    for n in sorted(watched.ends - {1, len(events)}):
        if n < answered:
            note = f"cut after {n}: {events[n - 1].fact}"[:150]
            again, hooks, since = await told(Floor("memory", tmp_path), events[:n])
            assert again == words, note
            prompts = [fact for fact in since if isinstance(fact.fact, e.WaitOpened)]
            assert len(prompts) == 1, note


class Refusing:
    """A hook that lets nothing in that people say."""

    async def run(self, hook: Hook, given: dict[str, Any], place: Place) -> Ran:
        await anyio.lowlevel.checkpoint()
        refuses = "secret" in given.get("prompt", "")
        return Ran(0, '{"decision": "block", "reason": "not that"}' if refuses else "")


async def test_what_a_hook_refuses_no_kill_brings_to_a_model(tmp_path: Path) -> None:
    watched = Watched("memory", tmp_path)

    async def asked(floor: Floor, left: Sequence[e.Event] = ()) -> tuple[int, list[e.Event]]:
        log = await floor.lay([event.fact for event in left], left[0].log) if left else LogId("")
        async with open_world(floor, script=lambda _: ["done"], team=greeted(), hooks=Refusing()) as world:
            if left:
                await world.recovery.settle()
                await world.recovery.resume()
            else:
                log = LogId(await world.session())
                await world.ask(log, "a secret")
            assert (await world.ended(log)).outcome == "error"
            return len(world.provider.requests), await world.events(log)

    count, events = await asked(watched)
    assert count == 0
    for n in sorted(watched.ends - {1, len(events)}):
        assert (await asked(Floor("memory", tmp_path), events[:n]))[0] == 0, f"cut after {n}: {events[n - 1].fact}"


async def test_a_commands_tool_that_breaks_is_no_end_of_the_turn(floor: Floor) -> None:
    async def breaks(_: dict[str, Any], use: Use) -> str:
        raise KeyError("\ud800")

    tools = [FakeTool("cut", breaks), FakeTool("look")]
    async with open_world(floor, script=lambda _: ["done"], tools=tools, team=greeted()) as world:
        session = await world.session()
        await world.play(session, "/fix today")
        (asked,) = world.provider.requests
        assert asked.messages[-1].content.startswith("/look at Error calling tool: ")
        assert (await world.store.head(LogId(session))).outcome == "normal"
