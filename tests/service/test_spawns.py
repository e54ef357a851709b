"""Sessions that are started for a purpose: what is refused, what is stored, and what comes of it."""

import os
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from roost.core import events as e
from roost.core.errors import BadValue, Denied, RoostError, SessionNotFound, TooManySessions, Unfinished
from roost.core.ids import TurnId
from roost.core.messages import Message
from roost.core.orders import Order
from roost.service.orders import Request
from roost.testing.fakes import answers
from service.fleets import BOSS, HANG, FleetWorld, open_fleet, play, told

pytestmark = pytest.mark.anyio


async def order_of(world: FleetWorld, session: str) -> Order:
    (created,) = await world.facts(session, e.SessionCreated)
    assert created.order is not None
    return created.order


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"prompt": " "}, "prompt is required"),
        ({"prompt": "a\0b"}, "NUL"),
        ({"provider": "claude"}, "unknown provider 'claude' .known: mock, crew"),
        ({"provider": "../x"}, "unknown provider"),
        ({"provider": "auto"}, "not built"),
        ({"model": "gpt-9"}, "mock-default"),
        ({"model": "x" * 300}, "model"),
        ({"size": "huge; rm -rf /"}, "no size"),
        ({"timeout": "soon"}, "invalid duration"),
        ({"timeout": "0"}, "invalid duration"),
        ({"max_turns": -1}, "max_turns"),
        ({"depends_on": ("nobody",)}, "no session is called 'nobody'"),
        ({"depends_on": ("$(id)",)}, "can't be a session's id"),
        ({"context": "nobody"}, "no session"),
        ({"root": "/nowhere/at/all"}, "does not exist"),
        ({"add_dirs": ("/nowhere/at/all",)}, "does not exist"),
        ({"files": ("/nowhere/at/all",)}, "does not exist"),
        ({"files": ("a\0b",)}, "can't be a path"),
        ({"name": "x" * 300}, "name"),
        ({"tags": ("",)}, "tag"),
        ({"worktree": "../up"}, "worktree"),
        ({"sandbox": "a;b"}, "sandbox"),
        ({"worktree": "", "sandbox": ""}, "not both"),
        ({"provider": "crew", "add_dirs": ("/",), "json_schema": {"type": "string"}}, "add_dirs, json_schema"),
        ({"provider": "crew", "worktree": ""}, "worktree"),
        ({"env": {"ROOST_SERVE_TOKEN": "x"}}, "set by the server"),
        ({"env": {"ZAG_SERVE_TOKEN": "x"}}, "set by the server"),
        ({"env": {"A=B": "x"}}, "environment"),
        ({"env": {"A": "x\0"}}, "environment"),
        ({"env": {"LD_PRELOAD": "x"}, "sandbox": ""}, "in a sandbox"),
        ({"env": {"PATH": "x"}, "sandbox": ""}, "in a sandbox"),
    ],
)
async def test_what_can_not_be_is_refused_and_leaves_nothing(
    tmp_path: Path, asked: dict[str, Any], complaint: str
) -> None:
    async with open_fleet(tmp_path) as world:
        with pytest.raises(BadValue, match=complaint):
            await world.spawn(**({"prompt": "hi"} | asked))
        assert await world.store.heads() == ()


async def test_the_mock_is_there_only_where_it_was_enabled(tmp_path: Path) -> None:
    async with open_fleet(tmp_path, mock=False) as world:
        with pytest.raises(BadValue, match="for tests"):
            await world.spawn("hi", provider="mock")


async def test_d11_d12_an_account_names_no_path_outside_its_home(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        ann = world.account("ann")
        link = Path(ann.home) / "link"
        link.symlink_to(world.work)
        for asked in (
            {"root": "/"},
            {"root": "../bob"},
            {"root": "link"},
            {"root": "nothing/../../../work"},
            {"add_dirs": (str(world.work),)},
            {"files": ("/etc/passwd",)},
        ):
            with pytest.raises(Denied):
                await world.spawn("hi", who=ann, **asked)
        assert await world.store.heads() == ()
        spawned = await world.spawn("hi", who=ann)
        assert (spawned.head.owner, spawned.head.working_dir) == ("ann", ann.home)
        await world.ended(spawned.head.id)


async def test_d12_others_sessions_are_no_dependency(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(told("x"), session="bobs-one", owner="bob")
        with pytest.raises(BadValue, match="no session"):
            await world.spawn("hi", who=world.account("ann"), depends_on=("bobs-one",))


@pytest.mark.parametrize("limit", [{"sessions": 1}, {"per_account": 1}])
async def test_d32_no_more_sessions_than_may(tmp_path: Path, limit: dict[str, int]) -> None:
    async with open_fleet(tmp_path, **limit) as world:
        ann = world.account("ann")
        first = (await world.spawn(HANG, who=ann)).head.id
        with pytest.raises(TooManySessions):
            await world.spawn("hi", who=ann)
        assert len(await world.store.heads()) == 1
        ended = await world.done("hi") if "per_account" in limit else None  # that is not ann's
        with pytest.raises(TooManySessions):
            await world.service.inputs.send(ann, await world.lay(owner="ann", order=Order("mock", "x")), "go on")
        await world.service.fleet.cancel(ann, first)
        await world.ended(first)
        assert (await world.done("hi", who=ann)).outcome == "normal"
        assert ended is None or ended.outcome == "normal"


# -- what is stored, and what comes of it -------------------------------------------------------


async def test_d1_d3_d8_a_session_is_there_with_its_prompt_and_comes_to_its_result(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        spawned = await world.spawn("hello there", name="greeter", tags=("a",), model="small")
        before = await world.facts(spawned.head.id, e.TurnOpened, e.MessageWritten)
        assert [type(fact).__name__ for fact in before] == ["TurnOpened", "MessageWritten"]
        assert before[0].driver == "mock" and before[0].command == "exec" and before[0].detached
        assert (spawned.head.name, spawned.head.tags, spawned.head.model) == ("greeter", ("a",), "small")
        assert spawned.pid == os.getpid() or spawned.pid > 0
        head = await world.ended(spawned.head.id)
        assert (head.outcome, head.title) == ("normal", "greeter")
        assert await world.service.results.output(BOSS, head.id) == "hello there"
        assert Path(spawned.log_path).read_text()


async def test_an_agent_file_is_spawned_by_its_id(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        head = await world.done("hi", provider="crew", name="n", system_prompt="Be kind.", auto_approve=True)
        assert (head.outcome, head.provider, head.source, head.safety) == ("normal", "crew", "crew", "autonomous")
        assert await world.service.results.output(BOSS, head.id) == "hello"
        said = await world.facts(head.id, e.MessageWritten)
        assert [(fact.message.content, fact.message.implicit) for fact in said] == [("hi", False), ("Be kind.", True)]
        with pytest.raises(BadValue, match="no model"):
            await world.spawn("hi", provider="crew", model="bad")


async def test_d10_nothing_of_a_request_reaches_a_shell(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    evil = f"$(touch {mark}) `touch {mark}` ; touch {mark} && \"'"
    async with open_fleet(tmp_path) as world:
        first = await world.done("one")
        head = await world.done(
            evil, name=evil[:100], description=evil, system_prompt=evil, tags=(evil[:90],), depends_on=(first.id,)
        )
        assert head.outcome == "normal", head.error
        assert await world.service.results.output(BOSS, head.id) == evil
        assert not mark.exists()


async def test_a_session_waits_for_those_it_depends_on_and_is_told_of_them(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        one, two = (await world.spawn(HANG)).head.id, (await world.done("two is done")).id
        await world.until_fact(one, e.MessageAdded)
        waiting = await world.spawn("and now", depends_on=(one, two), inject_context=True)
        view = await world.service.fleet.view(BOSS, waiting.head.id)
        assert (view.status.word, view.waiting_on) == ("running", (one,))
        await world.service.fleet.cancel(BOSS, one)
        head = await world.ended(waiting.head.id)
        assert (head.outcome, head.error) == ("error", f"dependency {one} failed")
        assert await world.facts(head.id, e.RunStarted) == []

        told_of = await world.done("and now", depends_on=(two,), inject_context=True)
        text = await world.service.results.output(BOSS, told_of.id)
        assert two in text and "two is done" in text and text.endswith("and now")
        assert [f.message.content for f in await world.facts(told_of.id, e.MessageWritten)] == ["and now"]


async def test_an_agent_file_waits_and_is_told_as_well(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        one = (await world.spawn(HANG)).head.id
        two = (await world.done("two is done")).id
        waiting = await world.spawn("hi", provider="crew", depends_on=(one,))
        view = await world.service.fleet.view(BOSS, waiting.head.id)
        assert (view.status.word, view.waiting_on) == ("running", (one,))
        await world.service.fleet.cancel(BOSS, one)
        head = await world.ended(waiting.head.id)
        assert (head.outcome, head.error) == ("error", f"dependency {one} failed")
        assert await world.facts(head.id, e.ModelAsked) == []
        told_of = await world.done("hi", provider="crew", depends_on=(two,), inject_context=True)
        assert told_of.outcome == "normal"
        implicit = [f.message for f in await world.facts(told_of.id, e.MessageWritten) if f.message.implicit]
        assert "two is done" in implicit[0].content


async def test_a_session_that_waits_can_be_cancelled_without_ever_starting(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        one = (await world.spawn(HANG)).head.id
        waiting = (await world.spawn("hi", depends_on=(one,))).head.id
        await world.service.fleet.cancel(BOSS, waiting, "no need")
        head = await world.ended(waiting)
        assert head.error == "cancelled: no need"
        assert await world.facts(waiting, e.RunStarted) == []


@pytest.mark.parametrize("provider", ["mock", "crew"])
async def test_d2_a_timeout_ends_the_run(tmp_path: Path, provider: str) -> None:
    never = anyio.Event()
    async with open_fleet(tmp_path, script=answers([never])) as world:
        head = await world.done(HANG, provider=provider, timeout="1s")
        assert (head.outcome, head.error) == ("error", "Agent timed out after 1s")


async def test_a_child_belongs_to_whoever_its_parent_belongs_to(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        ann = world.account("ann")
        parent = await world.done("hi", who=ann)
        child = await world.spawn("hi", who=ann, parent=parent.id)
        assert (child.head.parent, child.head.root, child.head.owner) == (parent.id, parent.id, "ann")
        await world.ended(child.head.id)
        grandchild = await world.spawn("hi", parent=child.head.id)
        assert (grandchild.head.root, grandchild.head.owner) == (parent.id, "ann")
        await world.ended(grandchild.head.id)
        other = await world.spawn("hi", who=world.account("bob"), parent=parent.id)
        assert (other.head.parent, other.head.owner) == ("", "bob")
        await world.ended(other.head.id)


async def test_settings_fill_in_what_a_request_leaves_open(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        shelf = world.service.shelf
        for key, value in {
            "provider": "mock",
            "model": "medium",
            "model.mock": "mock-large",
            "auto_approve": "yes",
            "max_turns": "7",
            "system_prompt": "Be kind.",
        }.items():
            shelf.set(BOSS, key, value)
        order = await order_of(world, (await world.done("hi", provider="")).id)
        assert (order.provider, order.model, order.auto_approve) == ("mock", "mock-large", True)
        assert (order.max_turns, order.system_prompt) == (7, "Be kind.")
        own = await order_of(
            world,
            (await world.done("hi", model="small", auto_approve=False, max_turns=0, system_prompt="")).id,
        )
        assert (own.model, own.auto_approve, own.max_turns, own.system_prompt) == ("small", False, 0, "")


# -- retry --------------------------------------------------------------------------------------


async def test_d16_a_retry_asks_the_very_same_again(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        (world.work / "sub").mkdir()
        asked = {
            "name": "n",
            "description": "d",
            "tags": ("a",),
            "model": "small",
            "root": str(world.work / "sub"),
            "auto_approve": True,
            "system_prompt": "Be kind.",
            "add_dirs": (str(world.work),),
            "timeout": "1m",
            "max_turns": 3,
            "env": {"COLOUR": "blue"},
        }
        old = await world.done(play({"say": "x"}, fail="broken"), **asked)
        assert old.outcome == "error"
        [again] = await world.service.spawns.retry(BOSS, [old.id])
        assert again.head is not None and again.head.retried_from == old.id
        first, second = await order_of(world, old.id), await order_of(world, again.head.id)
        assert second == replace(first, retried_from=old.id)
        assert second.working_dir == str(world.work / "sub")
        await world.ended(again.head.id)
        [other] = await world.service.spawns.retry(BOSS, [old.id], model="large")
        assert other.head is not None and other.head.model == "large"
        await world.ended(other.head.id)


async def test_what_can_not_be_retried_is_told_beside_the_others(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        good = await world.done("hi", tags=("t",))
        bad = await world.done(play(fail="broken"), tags=("t",))
        empty = await world.lay(session="never-asked")
        retry = world.service.spawns.retry
        found = {one.session: one for one in await retry(BOSS, ["nobody", empty], tag="t")}
        assert set(found) == {"nobody", empty, good.id, bad.id}
        assert found["nobody"].error and found[empty].error
        for session in (good.id, bad.id):
            head = found[session].head
            assert head is not None
            await world.ended(head.id)
        [only] = await retry(BOSS, [good.id, bad.id], failed=True)
        assert only.session == bad.id and only.head is not None
        await world.ended(only.head.id)
        [refused] = await retry(BOSS, [good.id], model="gpt-9")
        assert refused.head is None and "mock-default" in refused.error
        with pytest.raises(BadValue):
            await retry(BOSS, [])
        with pytest.raises(SessionNotFound):
            await retry(BOSS, [], tag="nobody-has-it")


async def test_another_account_can_not_retry_with_more_than_it_may(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        ann = world.account("ann")
        order = Order("mock", "hi", working_dir=str(world.work))
        await world.lay(e.TurnOpened(TurnId("t"), "mock", "mock", "/"), session="old-one", owner="ann", order=order)
        [refused] = await world.service.spawns.retry(ann, ["old-one"])
        assert refused.head is None and "outside your home" in refused.error


# -- pipe ---------------------------------------------------------------------------------------


async def test_d3_a_pipe_gives_results_to_a_new_session_and_returns_its_output(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        one, two = await world.done("first result"), await world.done("second result")
        silent = await world.lay(session="silent-one")
        asked = Request(prompt="Sum it up", provider="mock", root=str(world.work), name="sum", env={"A": "b"})
        output = await world.service.spawns.pipe(BOSS, [one.id, silent, two.id], asked)
        assert output.session_id not in (one.id, two.id) and not output.is_error
        text = output.result or ""
        assert f'<session-result session="{one.id[:8]}" index="1">\nfirst result\n</session-result>' in text
        assert f'<session-result session="{two.id[:8]}" index="2">\nsecond result\n</session-result>' in text
        assert text.endswith("Sum it up")
        assert [event.__struct_config__.tag for event in output.events][-1] == "result"
        assert Path(str(output.log_path)).exists()
        head = await world.service.fleet.find(BOSS, output.session_id)
        assert (head.name, (await order_of(world, head.id)).command) == ("sum", "pipe")
        single = await world.service.spawns.pipe(BOSS, [one.id], asked)
        assert f'<session-result session="{one.id[:8]}">\n' in (single.result or "")


async def test_a_pipe_of_nothing_is_refused(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        silent = await world.lay(session="silent-one")
        pipe = world.service.spawns.pipe
        asked = Request(prompt="Sum it up", provider="mock")
        for names, request, error in (
            ([silent], asked, Unfinished),
            ([], asked, BadValue),
            (["nobody"], asked, SessionNotFound),
            ([silent], Request(provider="mock"), BadValue),
        ):
            with pytest.raises(error):
                await pipe(BOSS, names, request)
        assert len(await world.store.heads()) == 1


async def test_a_session_that_can_not_be_opened_is_not_left_behind(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        world.service.desk.supervisor.stopping = True
        with pytest.raises(RoostError):
            await world.spawn("hi")
        assert await world.store.heads() == ()
        world.service.desk.supervisor.stopping = False


async def test_in_a_session_that_was_not_spawned_a_file_named_like_a_cli_is_the_file(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        agents = world.service.desk.makers.agents
        agents.teams["mock"] = replace(agents.teams["crew"], source="mock")  # type: ignore[attr-defined]
        session = await world.lay(working_dir=str(world.work))
        await world.service.turns.run(BOSS, session, "mock", [Message("user", "who are you?")], detach=True)
        await world.ended(session)
        (opened,) = await world.facts(session, e.TurnOpened)
        assert opened.driver == ""
        head = await world.done("hello")
        (opened,) = await world.facts(head.id, e.TurnOpened)
        assert opened.driver == "mock"
