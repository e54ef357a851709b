"""Sessions: create, change, fork, and what two clients do to one at the same time."""

from pathlib import Path

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, answers, open_world
from roost.core import events as e
from roost.core.errors import BadValue, MessageNotFound, SessionBusy, SessionNotFound
from roost.core.events import Permissions, Template
from roost.core.messages import Message
from roost.core.principals import Principal
from roost.core.usage import Usage
from roost.service.forks import fork_title
from roost.service.policy import Policy
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio


async def test_a_session_is_born_as_it_was_asked_for(floor: Floor) -> None:
    (floor.path / "work").mkdir()
    async with open_world(floor) as world:
        head = await world.service.sessions.create(ME, Template(title=" T ", working_dir="work", safety="unsafe"))
        assert (head.title, head.working_dir, head.safety, head.owner) == (
            *("T", str(floor.path / "work"), "autonomous", "ada"),
        )
        with pytest.raises(BadValue):
            await world.service.sessions.create(ME, Template(safety="wild"))
        with pytest.raises(BadValue):
            await world.service.sessions.create(ME, Template(working_dir="gone"))
        assert [listing.id for listing in await world.service.sessions.listing(ME)] == [head.id]


async def test_two_toggles_at_once_are_two_toggles(each_floor: Floor) -> None:
    async with open_world(each_floor) as world:
        session = await world.session(safety="strict")
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(world.service.sessions.toggle_tools, ME, session)
        head = (await world.service.sessions.show(ME, session)).head
        assert head.safety == "strict"
        assert [fact.safety for fact in await world.facts(session, e.PolicySet)] == ["autonomous", "strict"] * 2


async def test_a_grant_does_not_undo_what_was_set_meanwhile(each_floor: Floor) -> None:
    tool = FakeTool("edit", read_only=False)
    async with open_world(each_floor, script=answers([call("edit")], ["done"]), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        put = world.store.put

        async def late(log, facts, *, only_if=None):
            if isinstance(facts[0], e.WaitAnswered):
                world.store.put = put
                await world.service.sessions.set_permissions(ME, session, Permissions(deny=("rm",)))
            return await put(log, facts, only_if=only_if)

        world.store.put = late
        await world.service.waits.resume(ME, session, confirmation="approve-tool", tool_name="edit:path=*.md")
        head = await world.ended(session)
        assert head.permissions == Permissions(allow=("edit:path=*.md",), deny=("rm",))


async def test_messages_are_added_and_edited_between_turns_only(floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(floor, script=answers([never])) as world:
        session, sessions = await world.session(), world.service.sessions
        first = await sessions.add_message(ME, session, Message("user", "hi"))
        await sessions.edit_message(ME, session, first, Message("user", "hello"))
        with pytest.raises(MessageNotFound, match="invalid message ID"):
            await sessions.edit_message(ME, session, 99, Message("user", "x"))
        await world.ask(session)
        with pytest.raises(SessionBusy):
            await sessions.add_message(ME, session, Message("user", "x"))
        with pytest.raises(SessionBusy):
            await sessions.edit_message(ME, session, first, Message("user", "x"))
        assert await world.talk(session) == [("user", "hello")]


async def test_a_session_is_its_owners_alone(floor: Floor) -> None:
    async with open_world(floor) as world:
        session, eve = await world.session(), Principal("eve", "laptop", kind="account")
        with pytest.raises(SessionNotFound):
            await world.service.sessions.show(eve, session)
        with pytest.raises(SessionNotFound):
            await world.service.sessions.delete(eve, session)
        assert (await world.service.sessions.show(Principal(), session)).head.id == session


# -- forks --------------------------------------------------------------------------------------


async def test_a_fork_holds_what_stood_before_the_message(each_floor: Floor) -> None:
    script = answers([call("look")], ["one"], ["two"])
    async with open_world(each_floor, script=script, tools=[FakeTool("look")]) as world:
        permissions = Permissions(allow=("a",), ask=("b",), deny=("c",))
        session = await world.session(title="Talk", permissions=permissions, attributes={"k": "v"}, starred=True)
        await world.play(session, "first")
        await world.play(session, "second")
        fork = await world.service.sessions.fork(ME, session, 1)
        texts = [(message.role, message.content) for _, message in fork.history.messages()]
        assert texts == [("user", "first"), ("assistant", ""), ("tool", "done"), ("assistant", "one")]
        head = fork.head
        assert (head.title, head.permissions, head.attributes, head.starred) == (
            *("Talk (fork 1)", permissions, {"k": "v"}, True),
        )
        assert (head.input_tokens, head.output_tokens) == (30, 4)  # sums, for once
        assert (head.forked_from, head.messages, head.turns) == (session, 4, 0)
        assert (await world.service.sessions.fork(ME, head.id, 0)).head.title == "Talk (fork 2)"
        assert (await world.service.sessions.show(ME, head.id)).history.items == fork.history.items


async def test_a_fork_runs_on_its_own_while_the_other_runs(floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(floor, script=answers(["one"], [never], ["mine"])) as world:
        session = await world.session()
        await world.play(session, "first")
        await world.ask(session, "second")
        await world.until(session, lambda head: head.turn and head.turn.answer)
        fork = (await world.service.sessions.fork(ME, session, 1)).head.id
        await world.play(fork, "other")
        assert [text for _, text in await world.talk(fork)] == ["first", "one", "other", "mine"]
        assert [text for _, text in await world.talk(session)] == ["first", "one", "second"]


@pytest.mark.parametrize("ordinal", [-1, 1])
async def test_a_fork_needs_a_message_that_is_there(floor: Floor, ordinal: int) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        await world.play(session, "first")
        with pytest.raises(BadValue, match=f"fork user-message index out of range: {ordinal}"):
            await world.service.sessions.fork(ME, session, ordinal)
        with pytest.raises(SessionNotFound):
            await world.service.sessions.fork(ME, "nobody", 0)


async def test_a_fork_copies_summaries_errors_and_sub_sessions(floor: Floor) -> None:
    inner = e.SessionCreated(Template(title="Inner"), parent="S", sub="inner")
    facts = [
        e.SessionCreated(Template()),
        e.MessageWritten(Message("user", "first")),
        inner,
        e.MessageWritten(Message("user", "task", implicit=True), sub=inner.sub),
        e.MessageWritten(Message("assistant", "done", usage=Usage(1, 1)), sub=inner.sub),
        e.ErrorMet("oops", "model_error"),
        e.SummaryAdded("so far", cost=0.5),
        e.MessageWritten(Message("user", "last")),
    ]
    log = await floor.lay(facts, "S")
    async with open_world(floor) as world:
        with pytest.raises(BadValue, match="falls inside a sub-session at ordinal 1"):
            await world.service.sessions.fork(ME, log, 1)
        fork = await world.service.sessions.fork(ME, log, 2)
        message, nested, error, summary = fork.history.items
        assert message.message and error.error and summary.summary
        assert nested.session is not None
        assert nested.session.id != inner.sub
        assert [m.content for _, m in nested.session.messages()] == ["task", "done"]
        assert fork.head.cost == 0.5
        assert fork.head.messages == 3


@pytest.mark.parametrize(
    ("title", "taken", "fork"),
    [
        ("A", [], "A (fork 1)"),
        ("A (fork 1)", ["A (fork 1)"], "A (fork 2)"),
        ("", [], "(fork 1)"),
        ("", ["(fork 1)"], "(fork 2)"),
        ("A (fork)", [], "A (fork) (fork 1)"),
    ],
)
def test_fork_titles_count_on(title: str, taken: list[str], fork: str) -> None:
    assert fork_title(title, taken) == fork


# -- places -------------------------------------------------------------------------------------


def test_a_directory_is_checked_and_made_absolute(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    policy = Policy(tmp_path)
    assert policy.working_dir(ME, " ") == ""
    assert policy.working_dir(ME, "in/deep") == str(tmp_path / "in" / "deep")
    assert policy.working_dir(ME, str(tmp_path)) == str(tmp_path)
    for path, why in (
        ("in/../in", 'must not contain ".."'),
        ("gone", "does not exist"),
        ("file", "is not a directory"),
        ("a\0b", "must not contain"),
        ("x" * 5000, "does not exist"),
    ):
        with pytest.raises(BadValue, match=why):
            policy.working_dir(ME, path)


def test_a_root_is_not_left_through_a_link(tmp_path: Path) -> None:
    inside = tmp_path / "root" / "in"
    inside.mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (inside / "link").symlink_to(tmp_path / "out")
    policy = Policy(tmp_path, tmp_path / "root")
    assert policy.default_dir == str(tmp_path / "root")
    assert policy.working_dir(ME, str(inside)) == str(inside)
    for path in (str(tmp_path / "out"), str(inside / "link"), str(tmp_path)):
        with pytest.raises(BadValue, match="outside the permitted root"):
            policy.working_dir(ME, path)
