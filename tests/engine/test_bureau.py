"""Agents in the background: sessions of their own, found again, bounded, and ended with what started them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, World, open_world
from engine.test_teams import call, cutter, hand, speaker, team
from roost.core import events as e
from roost.core.agents import Agent, Team, ToolsetSpec
from roost.core.errors import Denied, SessionNotFound, SessionNotRunning, TooManySessions
from roost.core.ids import LogId, SessionId
from roost.core.session import Head
from roost.engine import bureau, kin
from roost.ports import Errant, ModelRequest, Office, Task, Use
from roost.testing.clock import PATIENCE

pytestmark = pytest.mark.anyio


class Hall:
    """Tools that deal with the office, and what came of it."""

    def __init__(self) -> None:
        self.started: list[SessionId] = []
        self.errors: list[Exception] = []
        self.seen: list[Sequence[Errant]] = []
        self.doing: Callable[[Office], Any] | None = None  # what the tool `do` does
        self.tools = [FakeTool("hire", self._hire), FakeTool("look", self._look), FakeTool("do", self._do)]

    async def until(self, count: int) -> None:
        """Return when so many have been started."""
        with anyio.fail_after(PATIENCE):
            while len(self.started) < count:
                await anyio.sleep(0)

    async def _hire(self, arguments: dict[str, Any], use: Use) -> str:
        try:
            session = await use.office().start(Task(arguments.get("agent", "coder"), "<task>dig</task>"))
        except Exception as error:
            self.errors.append(error)
            return f"refused: {error}"
        self.started.append(session)
        return session

    async def _look(self, _: dict[str, Any], use: Use) -> str:
        self.seen.append(await use.office().errants())
        return "looked"

    async def _do(self, _: dict[str, Any], use: Use) -> str:
        assert self.doing is not None
        return str(await self.doing(use.office()))


def plays(**parts: Sequence[Sequence[Any]]) -> Callable[[ModelRequest], Iterable[Any]]:
    """A script: for each agent its answers in order; each conversation begins anew."""

    def script(request: ModelRequest) -> Iterable[Any]:
        answers = parts[speaker(request)]
        said = sum(message.role == "assistant" for message in request.messages)
        return answers[min(said, len(answers) - 1)]

    return script


async def child(world: World, session: SessionId) -> Head:
    return await world.ended(session)


async def test_it_is_a_session_of_its_own(each_floor: Floor) -> None:
    hall = Hall()
    script = plays(root=[[call("hire")], ["started"]], coder=[["dug"]])
    crew = team("root", "coder")
    async with open_world(each_floor, team=crew, tools=hall.tools, script=script) as world:
        rules = e.Permissions(allow=("cut",))
        session = await world.session(owner="", safety="balanced", permissions=rules, working_dir=str(each_floor.path))
        await world.play(session, "go")
        (started,) = hall.started
        head = await child(world, started)
        assert (head.parent, head.root, head.started_by) == (session, session, session)
        assert (head.title, head.agent, head.outcome, head.owner) == ("Background agent task", "coder", "normal", "ada")
        assert (head.safety, head.permissions, head.working_dir) == ("balanced", rules, str(each_floor.path))
        (opened,) = await world.facts(started, e.TurnOpened)
        assert (opened.unattended, opened.detached, opened.source, opened.source_hash) == (
            *(True, True),
            *("crew", "hash-1"),
        )
        asked = next(request for request in world.provider.requests if speaker(request) == "coder")
        assert [(m.role, m.content) for m in asked.messages] == [
            ("system", "I am coder."),
            ("system", "<task>dig</task>"),
            ("user", "Please proceed."),
        ]
        facts = await world.facts(session)
        assert not [fact for fact in facts if isinstance(fact, e.Base) and fact.sub]
        assert [row.id for row in await world.service.sessions.listing(ME)] == [session]
        heads = await world.service.fleet.heads(ME)
        assert {(one.id, one.parent) for one in heads} == {(session, ""), (started, session)}


async def test_nobody_is_asked(floor: Floor) -> None:
    hall, asks = Hall(), cutter()
    script = plays(root=[[call("hire")], ["started"]], coder=[[call("cut")], ["I may not"]])
    async with open_world(floor, team=team("root", "coder"), tools=[*hall.tools, asks], script=script) as world:
        await world.play(await world.session(), "go")
        head = await child(world, hall.started[0])
        (returned,) = await world.facts(hall.started[0], e.ToolReturned)
        assert returned.leave == "non_interactive_deny"
        assert not asks.runs
        assert not await world.facts(hall.started[0], e.WaitOpened)
        assert head.outcome == "normal"


async def test_how_they_do(floor: Floor) -> None:
    hall, gate = Hall(), anyio.Event()
    ways = iter([["fine"], [ValueError("broken")], ["half", gate]])

    def script(request: ModelRequest) -> Iterable[Any]:
        if speaker(request) == "coder":
            return next(ways)
        said = sum(message.role == "assistant" for message in request.messages)
        return [[call("hire")], [call("hire")], [call("hire")], ["started"]][min(said, 3)]

    async with open_world(floor, team=team("root", "coder"), tools=hall.tools, script=script) as world:
        session = await world.session()
        await world.play(session, "go")
        for started in hall.started[:2]:
            await child(world, started)
        await world.until_fact(hall.started[2], e.TextAdded)

        async def act(office: Office) -> str:
            hall.seen.append(await office.errants())
            await office.stop(hall.started[2])
            hall.seen.append(await office.wait(hall.started[1:], 60.0))
            with pytest.raises(SessionNotFound):
                await office.stop(SessionId(session))
            return "ok"

        hall.doing = act
        world.provider._script = plays(root=[[call("do")], ["done"]])
        await world.play(await again(world, session), "and?")
        before, after = hall.seen
        assert [errant.session for errant in before] == hall.started
        assert [errant.status for errant in before] == ["completed", "failed", "running"]
        assert [errant.agent for errant in before] == ["coder"] * 3
        assert before[0].output == "fine"
        assert "internal error" in before[1].output
        assert before[0].ended_at is not None and before[2].ended_at is None
        assert [(errant.session, errant.status) for errant in after] == [
            (hall.started[1], "failed"),
            (hall.started[2], "stopped"),
        ]


async def again(world: World, session: str) -> str:
    """The session, for a script that counts answers: its earlier ones are summed up."""
    items = (await world.store.head(LogId(session))).items
    await world.store.put(LogId(session), [e.SummaryAdded("before", items)])
    return session


async def test_a_wait_ends_with_its_time(floor: Floor) -> None:
    hall = Hall()
    script = plays(root=[[call("hire")], [call("do")], ["done"]], coder=[[anyio.Event()]])
    async with open_world(floor, team=team("root", "coder"), tools=hall.tools, script=script) as world:

        async def wait(office: Office) -> str:
            hall.seen.append(await office.wait(hall.started, 30.0))
            return "waited"

        hall.doing = wait
        session = await world.session()
        await world.ask(session, "go")
        await world.clock.until_asleep(30.0, 30.0)
        world.clock.wind(30.0)
        await world.ended(session)
        assert [errant.status for errant in hall.seen[0]] == ["running"]


async def test_a_sub_session_has_its_own(floor: Floor) -> None:
    hall = Hall()
    script = plays(
        root=[[call("hand", agent="lead", task="t")], [call("look")], ["done"]],
        lead=[[call("hire")], [call("look")], ["led"]],
        coder=[["dug"]],
    )
    crew = team("root", "lead", "coder")
    async with open_world(floor, team=crew, tools=[hand(), *hall.tools], script=script) as world:
        session = await world.session()
        await world.play(session, "go")
        inner, outer = hall.seen
        assert [errant.session for errant in inner] == hall.started
        assert outer == []
        head = await child(world, hall.started[0])
        (sub,) = {fact.sub for fact in await world.facts(session, e.SessionCreated) if fact.sub}
        assert (head.parent, head.started_by) == (session, sub)


async def test_twenty_at_a_time(floor: Floor) -> None:
    hall = Hall()
    many = [call("hire", index=number) for number in range(bureau.RUNNING + 3)]
    script = plays(root=[many, ["started"]], coder=[[anyio.Event()]])
    async with open_world(floor, team=team("root", "coder"), tools=hall.tools, script=script) as world:
        session = await world.session()
        await world.play(session, "go")
        assert len(hall.started) == bureau.RUNNING
        assert [type(error) for error in hall.errors] == [TooManySessions] * 3
        await world.service.sessions.delete(ME, session, wait=5.0)
        for started in hall.started:
            assert (await child(world, started)).outcome == "canceled"


async def test_a_tree_of_them_has_its_bound_too(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bureau, "TOGETHER", 7)
    hall, never = Hall(), anyio.Event()
    more = [call("hire", index=number) for number in range(3)]
    script = plays(root=[more, ["started"]], coder=[more, [never]])
    async with open_world(floor, team=team("root", "coder"), tools=hall.tools, script=script) as world:
        session = await world.session()
        await world.play(session, "go")
        with anyio.fail_after(PATIENCE):
            while not hall.errors:
                await anyio.sleep(0)
        assert {type(error) for error in hall.errors} == {TooManySessions}
        assert len(hall.started) <= 9  # two may look at the same time
        await world.service.sessions.delete(ME, session, wait=5.0)
        for started in hall.started:
            assert (await child(world, started)).outcome == "canceled"


async def test_the_newest_of_those_that_have_ended_are_told(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bureau, "RETAINED", 2)
    monkeypatch.setattr(bureau, "LARGEST", 3)
    hall = Hall()
    script = plays(root=[*([[call("hire")]] * 4), ["started"]], coder=[["a long story"]])
    async with open_world(floor, team=team("root", "coder"), tools=hall.tools, script=script) as world:
        session = await world.session()
        await world.play(session, "go")
        for started in hall.started:
            await child(world, started)
        world.provider._script = plays(root=[[call("look")], ["done"]])
        await world.play(await again(world, session), "and?")
        assert [(errant.session, errant.output) for errant in hall.seen[0]] == [
            (started, "a l") for started in hall.started[2:]
        ]


async def test_a_cancel_at_the_root_ends_all_below(each_floor: Floor) -> None:
    hall = Hall()
    never = anyio.Event()
    script = plays(root=[[call("hire", agent="lead")], [never]], lead=[[call("hire")], [never]], coder=[[never]])
    crew = team("root", "lead", "coder")
    async with open_world(each_floor, team=crew, tools=hall.tools, script=script) as world:
        session = await world.session()
        await world.ask(session, "go")
        await hall.until(2)
        await world.until_fact(session, e.ToolReturned)
        lead, coder = hall.started
        assert (await world.store.head(LogId(coder))).root == session
        await world.service.turns.cancel(ME, session)
        for one in (session, lead, coder):
            assert (await world.ended(one)).outcome == "canceled"


@pytest.mark.parametrize("end", ["cancel", "delete"])
async def test_it_ends_with_a_session_that_has_long_been_idle(floor: Floor, end: str) -> None:
    hall = Hall()
    script = plays(root=[[call("hire")], ["started"]], coder=[[anyio.Event()]])
    async with open_world(floor, team=team("root", "coder"), tools=hall.tools, script=script) as world:
        session = await world.session()
        await world.play(session, "go")
        if end == "cancel":
            await world.service.turns.cancel(ME, session)
        else:
            await world.service.fleet.delete(ME, session)
        assert (await world.ended(hall.started[0])).outcome == "canceled"
        with pytest.raises(SessionNotRunning if end == "cancel" else SessionNotFound):
            await world.service.turns.cancel(ME, session)


async def test_one_that_is_started_in_the_last_moment_ends_too(floor: Floor) -> None:
    hall = Hall()

    async def late(office: Office) -> str:
        with anyio.CancelScope(shield=True):  # as one that is about to be written
            await world.service.turns.cancel(ME, session)
            hall.started.append(await office.start(Task("coder", "dig")))
        return "started"

    hall.doing = late
    script = plays(root=[[call("do")], ["done"]], coder=[[anyio.Event()]])
    async with open_world(floor, team=team("root", "coder"), tools=hall.tools, script=script) as world:
        session = await world.session()
        await world.ask(session, "go")
        assert (await world.ended(session)).outcome == "canceled"
        head = await child(world, hall.started[0])
        (asked,) = await world.facts(hall.started[0], e.CancelAsked)
        assert (head.outcome, asked.why) == ("canceled", kin.WHY)


async def test_after_a_crash_they_go_on_and_are_known(each_floor: Floor) -> None:
    hall, crew = Hall(), team("root", "coder")
    stuck = anyio.Event()
    script = plays(root=[[call("hire")], [stuck]], coder=[["half", stuck]])
    async with open_world(each_floor, team=crew, tools=hall.tools, script=script) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, e.ToolReturned)
        await world.until_fact(hall.started[0], e.TextAdded)
        await world.crash()
    script = plays(root=[[call("hire")], [call("do")], ["done"]], coder=[["whole"]])

    async def wait(office: Office) -> str:
        hall.seen.append(await office.wait(hall.started, 60.0))
        return "waited"

    hall.doing = wait
    async with open_world(each_floor, team=crew, tools=hall.tools, script=script) as world:
        assert await world.recovery.settle() == 2
        await world.recovery.resume()
        await world.ended(session)
        assert [(errant.status, errant.output) for errant in hall.seen[0]] == [("completed", "whole")]
        assert len(hall.started) == 1


async def test_they_start_each_other_only_so_deep(floor: Floor) -> None:
    hall = Hall()
    script = plays(root=[[call("hire", agent="root")], ["started"]])
    async with open_world(floor, team=team("root"), tools=hall.tools, script=script) as world:
        session = await world.session()
        await world.play(session, "go")
        while len(hall.errors) == 0:
            for started in list(hall.started):
                await child(world, started)
        assert len(hall.started) == bureau.DEEPEST
        assert isinstance(hall.errors[0], Denied)
        assert (await world.store.head(LogId(hall.started[-1]))).root == session


async def test_one_that_finds_no_room_leaves_nothing(floor: Floor) -> None:
    hall = Hall()
    script = plays(root=[[call("hire")], ["not started"]])
    async with open_world(floor, team=team("root", "coder"), tools=hall.tools, script=script) as world:

        def full(_: Head) -> Any:
            raise TooManySessions(1)

        world.supervisor.room = full
        session = await world.session()
        await world.play(session, "go")
        assert isinstance(hall.errors[0], TooManySessions)
        assert [head.id for head in await world.store.heads()] == [session]


async def test_an_agent_that_is_not_there(floor: Floor) -> None:
    hall = Hall()
    script = plays(root=[[call("hire", agent="nobody")], ["not started"]])
    async with open_world(floor, tools=hall.tools, team=team("root"), script=script) as world:
        session = await world.session()
        await world.play(session, "go")
        assert "nobody" in str(hall.errors[0])
        assert [head.id for head in await world.store.heads()] == [session]


async def test_other_conversations_of_the_same_account(floor: Floor) -> None:
    hall = Hall()
    script = plays(root=[[call("hire")], [call("do")], ["done"]], coder=[["dug"]])
    eves = await floor.lay([e.SessionCreated(e.Template(owner="eve"))])
    async with open_world(floor, team=team("root", "coder"), tools=hall.tools, script=script) as world:
        other = await world.session(title="Other")
        world.provider._script = plays(root=[["hello"]])
        await world.play(other, "hi")
        world.provider._script = script

        async def read(office: Office) -> str:
            assert [row.id for row in await office.listing()] == [session, other]
            assert [(m.role, m.content) for m in await office.messages(SessionId(other))] == [
                ("user", "hi"),
                ("assistant", "hello"),
            ]
            for hidden in (eves, hall.started[0], "nothing"):
                with pytest.raises(SessionNotFound):
                    await office.messages(SessionId(hidden))
            return "read"

        hall.doing = read
        session = await world.session()
        facts = await world.play(session, "go")
        assert [fact.result.output for fact in facts if isinstance(fact, e.ToolReturned)][1] == "read"


async def test_headers_go_along_and_change_the_toolsets_that_name_them(floor: Floor) -> None:
    hall = Hall()
    named = (ToolsetSpec("fake", options={"url": "http://x/${headers.X_Person}"}),)
    agents = tuple(Agent(name, model="fake", instruction=f"I am {name}.", toolsets=named) for name in ("root", "coder"))
    script = plays(root=[[call("hire")], ["done"]], coder=[["dug"]])
    async with open_world(floor, team=Team("crew", "hash-1", agents), tools=hall.tools, script=script) as world:
        session = await world.session()
        first = {"x-person": "ada", "accept": "a", "content-length": "1"}
        await world.play(session, "go", headers=first)
        await child(world, hall.started[0])
        assert [place.headers.get("x-person") for place in world.toolset.places] == ["ada", "ada"]
        await world.play(session, "go", headers=first | {"content-length": "2"})
        assert len(world.toolset.places) == 2  # the same toolsets: what they name is the same
        await world.play(session, "go", headers={"x-person": "eve"})
        assert world.toolset.places[-1].headers == {"x-person": "eve"}
        await world.play(session, "go")
        assert world.toolset.places[-1].headers == {}
        text = b"".join(e.encode(event.fact) for event in await world.events(session))
        assert b"content-length" not in text and b"x-person" not in text
