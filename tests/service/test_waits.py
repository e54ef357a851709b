"""Answers: by id, by call, or to the one that waits."""

import pytest
from msgspec.structs import replace

from engine.fakes import ME, PHONE, FakeTool, Floor, World, answers, open_world
from roost.core import events as e
from roost.core.errors import AlreadyAnswered, BadValue, NothingWaits, SessionNotFound, WaitNotFound
from roost.core.events import Permissions
from roost.core.ids import CallId, SessionId, TurnId, WaitId
from roost.core.messages import Message, ToolCall
from roost.core.principals import Principal
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio

EDIT = ToolCall(CallId("1"), "edit", "{}")
WHO = ToolCall(CallId("2"), "who", "{}")


def waiting(*waits: e.WaitOpened) -> list[e.Fact]:
    """A session in a turn, with these waits."""
    answer = Message("assistant", "", calls=(EDIT, WHO))
    turn = e.TurnOpened(TurnId("t"), "crew", "root", "/work")
    return [e.SessionCreated(e.Template(owner="ada")), turn, e.MessageAdded(answer), *waits]


def approval(name: str, called: ToolCall = EDIT) -> e.WaitOpened:
    return e.WaitOpened(WaitId(name), "approval", "root", call=called)


def question(name: str) -> e.WaitOpened:
    return e.WaitOpened(WaitId(name), "question", "root", call=WHO, message="Who?")


async def answered(world: World, log: str) -> list[tuple[str, str]]:
    return [(fact.wait, fact.answer.action) for fact in await world.facts(log, e.WaitAnswered)]


async def test_nobody_waits(floor: Floor) -> None:
    async with open_world(floor) as world:
        session, waits = await world.session(), world.service.waits
        with pytest.raises(NothingWaits, match="no confirmation pending"):
            await waits.resume(ME, session, confirmation="approve")
        with pytest.raises(NothingWaits, match="no elicitation request in progress"):
            await waits.elicit(ME, session, action="accept", content={})
        with pytest.raises(NothingWaits):
            await waits.elicit(ME, session, action="accept", content={}, wait="nothing")
        with pytest.raises(WaitNotFound):
            await waits.answer(ME, "nothing", confirmation="approve")


async def test_unknown_words_leave_it_waiting(floor: Floor) -> None:
    log = await floor.lay(waiting(approval("a"), question("q")))
    async with open_world(floor) as world:
        waits = world.service.waits
        with pytest.raises(BadValue):
            await waits.resume(ME, log, confirmation="yes")
        with pytest.raises(BadValue):
            await waits.answer(ME, "a", action="accept")
        with pytest.raises(BadValue, match='invalid action: "yes"'):
            await waits.elicit(ME, log, action="yes", content=None)
        with pytest.raises(BadValue):
            await waits.answer(ME, "q", confirmation="approve")
        assert len(await waits.open(ME)) == 2


async def test_where_several_wait_the_answer_names_its_own(each_floor: Floor) -> None:
    log = await each_floor.lay(waiting(approval("a"), approval("b", WHO), question("q"), question("r")))
    async with open_world(each_floor) as world:
        waits = world.service.waits
        with pytest.raises(NothingWaits, match="by its id"):
            await waits.elicit(ME, log, action="decline", content=None)
        await waits.elicit(ME, log, action="decline", content=None, wait="r")
        await waits.resume(ME, log, confirmation="reject", call="2")
        assert await answered(world, log) == [("r", "decline"), ("b", "reject")]
        with pytest.raises(NothingWaits):
            await waits.elicit(ME, log, action="accept", content={}, wait="a")  # that one is no question


async def test_an_approval_without_a_name_answers_the_oldest(each_floor: Floor) -> None:
    limit = e.WaitOpened(WaitId("l"), "limit", "root", max_iterations=3)
    log = await each_floor.lay(waiting(question("q"), approval("a"), limit, approval("b", WHO)))
    async with open_world(each_floor) as world:
        await world.service.waits.resume(ME, log, confirmation="reject")
        assert await answered(world, log) == [("a", "reject")]


async def test_a_sub_session_is_found_by_its_own_id(each_floor: Floor) -> None:
    sub, other = SessionId("sub"), SessionId("other")
    inner = [replace(approval("b", WHO), sub=sub), replace(question("q"), sub=sub), replace(question("r"), sub=other)]
    log = await each_floor.lay(waiting(approval("a"), *inner))
    async with open_world(each_floor) as world:
        waits = world.service.waits
        with pytest.raises(SessionNotFound):
            await waits.resume(Principal("eve", "x", kind="account"), sub, confirmation="approve")
        with pytest.raises(NothingWaits):
            await waits.resume(ME, other, confirmation="approve")  # a question waits there, and no approval
        await waits.resume(ME, sub, confirmation="reject")
        await waits.elicit(ME, sub, action="decline", content=None)
        assert await answered(world, log) == [("b", "reject"), ("q", "decline")]
        with pytest.raises(SessionNotFound):
            await waits.resume(ME, sub, confirmation="reject")


async def test_the_same_again_is_harmless_and_another_is_refused(each_floor: Floor) -> None:
    log = await each_floor.lay(waiting(question("q"), approval("a")))
    async with open_world(each_floor) as world:
        waits = world.service.waits
        for who in (ME, PHONE):
            await waits.answer(who, "q", action="accept", content={"name": "ada"})
        with pytest.raises(AlreadyAnswered):
            await waits.answer(ME, "q", action="accept", content={"name": "eve"})
        with pytest.raises(AlreadyAnswered):
            await waits.answer(ME, "q", action="cancel")
        assert await answered(world, log) == [("q", "accept")]


async def test_what_was_voided_takes_no_answer(floor: Floor) -> None:
    await floor.lay([*waiting(question("q")), e.WaitVoided(WaitId("q"), "its server died")])
    async with open_world(floor) as world:
        with pytest.raises(NothingWaits):
            await world.service.waits.answer(ME, "q", action="accept")
        assert await world.service.waits.open(ME) == ()


async def test_somebody_elses_session_takes_no_answer(floor: Floor) -> None:
    await floor.lay(waiting(question("q")))
    async with open_world(floor) as world:
        with pytest.raises(WaitNotFound):
            await world.service.waits.answer(Principal("eve", "x", kind="account"), "q", action="accept")


@pytest.mark.parametrize(
    ("word", "safety"),
    [
        ("approve", ""),
        ("approve-balanced", "balanced"),
        ("approve-safer", "balanced"),
        ("approve-session", "autonomous"),
    ],
)
async def test_words_that_change_the_mode(floor: Floor, word: str, safety: str) -> None:
    log = await floor.lay(waiting(approval("a")))
    async with open_world(floor) as world:
        await world.service.waits.resume(ME, log, confirmation=word)
        assert (await world.store.head(log)).safety == safety


async def test_a_grant_of_what_is_granted_already_changes_nothing(floor: Floor) -> None:
    granted = e.PermissionsSet(Permissions(allow=("edit",)))
    log = await floor.lay([*waiting(approval("a")), granted])
    async with open_world(floor) as world:
        await world.service.waits.resume(ME, log, confirmation="approve-tool")
        assert len(await world.facts(log, e.PermissionsSet)) == 1


async def test_an_answer_from_one_server_is_heard_on_another(each_floor: Floor) -> None:
    tool = FakeTool("edit", read_only=False)
    script = answers([call("edit")], ["done"])
    async with open_world(each_floor, script=script, tools=[tool]) as owner, open_world(each_floor) as other:
        session = await owner.session()
        await owner.ask(session, "go")
        await owner.waiting(session)
        await other.service.waits.resume(ME, session, confirmation="approve")
        await owner.ended(session)
        assert tool.runs == [("call_edit", 1)]
