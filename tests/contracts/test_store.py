"""The promises of `ports.EventStore`, kept by every store."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roost.core import events as e
from roost.core.errors import BadValue, Duplicate, NotOwner, RoostError, SessionBusy, SessionNotFound, StoreFull
from roost.core.history import BEARS_MESSAGES
from roost.core.ids import AnswerId, CallId, Epoch, LogId, Micros, RunId, ServerId, SessionId, TurnId, WaitId
from roost.core.messages import Definition, Message, Result, ToolCall
from roost.core.remarks import REMARKS
from roost.core.session import Head, fold
from roost.core.usage import Usage
from roost.ports import EventStore, Listing, RunRecord
from roost.stores.memory import Memory, Shelf
from roost.stores.sqlite import open_sqlite

pytestmark = pytest.mark.anyio

LOG = LogId("log")
TURN = TurnId("turn")
ANSWER = AnswerId("answer")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    """A clock to wind by hand."""

    def __init__(self) -> None:
        self.moment = 1_000

    def now(self) -> Micros:
        return Micros(self.moment)


class Open:
    """A store that is open, and what it has told of commits."""

    def __init__(self) -> None:
        self.store: Any = None
        self.told: list[tuple[LogId, tuple[e.Event, ...]]] = []
        self._rung = anyio.Event()

    def grown(self, log: LogId, events: Sequence[e.Event]) -> None:
        self.told.append((log, tuple(events)))
        self._rung.set()
        self._rung = anyio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        with anyio.fail_after(10):
            while not holds():
                await self._rung.wait()


class Maker(Protocol):
    """Opens servers on one and the same store; leaving the block ends the server."""

    clock: Clock

    def open(self, server: str) -> AbstractAsyncContextManager[Open]: ...


class MemoryMaker:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.shelf = Shelf()

    @asynccontextmanager
    async def open(self, server: str) -> AsyncIterator[Open]:
        opened = Open()
        opened.store = Memory(self.clock.now, ServerId(server), opened.grown, shelf=self.shelf)
        yield opened
        opened.store.close()


class SqliteMaker:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.path = folder / "roost.db"

    @asynccontextmanager
    async def open(self, server: str) -> AsyncIterator[Open]:
        opened = Open()
        async with open_sqlite(self.path, server=ServerId(server), now=self.clock.now, grown=opened.grown) as store:
            opened.store = store
            yield opened


@pytest.fixture(params=[MemoryMaker, SqliteMaker], ids=["memory", "sqlite"])
def maker(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    return request.param(tmp_path)


@pytest.fixture
async def opened(maker: Maker) -> AsyncIterator[Open]:
    async with maker.open("a") as opened:
        yield opened


@pytest.fixture
def store(opened: Open) -> EventStore:
    return opened.store


def created(**template: Any) -> e.SessionCreated:
    return e.SessionCreated(e.Template(**template))


def turn_opened(turn: str = TURN) -> e.TurnOpened:
    return e.TurnOpened(TurnId(turn), source="agents.yaml", agent="root", working_dir="/srv")


def text(words: str) -> e.TextAdded:
    return e.TextAdded(ANSWER, words)


def queued(key: str, words: str = "hi") -> e.MessageQueued:
    return e.MessageQueued("followup", (Message("user", words),), key=key)


def wait_opened(wait: str, **more: Any) -> e.WaitOpened:
    return e.WaitOpened(WaitId(wait), "approval", "root", call=ToolCall(CallId("call"), "shell"), **more)


def run_started(run: str) -> e.RunStarted:
    return e.RunStarted(RunId(run), 7, 8, "boot", "claude", "opus", "exec", "Fix it", "/srv")


def refuse(head: Head) -> None:
    raise SessionBusy(head.id)


async def born(store: EventStore, log: LogId = LOG, **template: Any) -> Epoch:
    """A new log, owned by this server."""
    await store.put(log, [created(**template)])
    return (await store.take(log)).epoch


async def facts(store: EventStore, log: LogId = LOG) -> list[e.Fact]:
    return [event.fact for event in await store.page(log, after=0, limit=10_000)]


# -- numbers, order, time -----------------------------------------------------------------------


async def test_a_log_is_born_with_its_first_fact(store: EventStore, maker: Maker) -> None:
    committed = await store.put(LOG, [created(title="Deploy"), e.MessageWritten(Message("user", "hi"))])
    assert [event.seq for event in committed.events] == [1, 2]
    assert {event.at for event in committed.events} == {maker.clock.now()}
    assert (committed.head.id, committed.head.title, committed.head.last_seq) == (LOG, "Deploy", 2)
    assert tuple(await store.page(LOG, after=0, limit=9)) == committed.events
    assert await store.head(LOG) == committed.head


async def test_an_id_is_used_once(store: EventStore) -> None:
    await store.put(LOG, [created()])
    with pytest.raises(BadValue):
        await store.put(LOG, [created(title="again")])
    with pytest.raises(BadValue):
        await store.put(LOG, [e.TitleSet("t"), created()])
    assert await facts(store) == [created()]


async def test_the_birth_of_a_sub_session_is_a_fact_as_any_other(store: EventStore) -> None:
    epoch = await born(store)
    birth = e.SessionCreated(e.Template(), parent=SessionId(LOG), sub=SessionId("sub"))
    await store.append(LOG, [birth], epoch=epoch)
    await store.put(LOG, [birth])
    assert (await facts(store))[1:] == [birth, birth]
    with pytest.raises(SessionNotFound):
        await store.head(LogId("sub"))


async def test_nothing_can_be_written_to_a_log_that_is_not_there(store: EventStore) -> None:
    for write in (
        store.put(LOG, [e.TitleSet("t")]),
        store.append(LOG, [e.TitleSet("t")], epoch=Epoch(0)),
        store.take(LOG),
        store.head(LOG),
        store.page(LOG, after=0, limit=1),
        store.messages(LOG),
    ):
        with pytest.raises(SessionNotFound):
            await write
    assert await store.definition(LOG, "digest") is None
    assert await store.wait(WaitId("none")) is None


async def test_numbers_are_dense_whoever_writes(store: EventStore) -> None:
    epoch = await born(store)
    given: dict[int, e.Fact] = {}

    async def write(who: int) -> None:
        for count in range(20):
            pair = [e.Warned(f"{who}.{count}"), e.Warned(f"{who}.{count}'")]
            if who % 2:
                committed = await store.append(LOG, pair, epoch=epoch)
            else:
                committed = await store.put(LOG, pair)
            assert [event.fact for event in committed.events] == pair
            given.update({event.seq: event.fact for event in committed.events})

    async with anyio.create_task_group() as tasks:
        for who in range(5):
            tasks.start_soon(write, who)
    events = await store.page(LOG, after=0, limit=1000)
    assert [event.seq for event in events] == list(range(1, 202))
    assert {event.seq: event.fact for event in events[1:]} == given
    for who in range(5):  # each writer's own facts stand in its order
        mine = [event.fact.message for event in events[1:] if event.fact.message.startswith(f"{who}.")]
        assert mine == [f"{who}.{count}{tick}" for count in range(20) for tick in ("", "'")]


async def test_an_append_comes_after_what_was_posted_before(store: EventStore) -> None:
    epoch = await born(store)
    for word in ("a", "b", "c"):
        await store.post(LOG, [text(word), text(word.upper())], epoch=epoch)
    committed = await store.append(LOG, [e.MessageAdded(Message("assistant", "aAbBcC"))], epoch=epoch)
    assert [event.seq for event in committed.events] == [8]
    assert committed.head.last_seq == 8
    assert (await facts(store))[1:7] == [text(word) for word in "aAbBcC"]


async def test_an_append_of_nothing_says_where_the_log_is(store: EventStore) -> None:
    epoch = await born(store)
    await store.post(LOG, [text("a")], epoch=epoch)
    committed = await store.append(LOG, [], epoch=epoch)
    assert committed.events == ()
    assert committed.head.last_seq == 2


async def test_an_append_of_deltas_returns_the_head_at_their_end(store: EventStore) -> None:
    epoch = await born(store, title="t")
    committed = await store.append(LOG, [text("a"), text("b")], epoch=epoch)
    assert (committed.head.last_seq, committed.head.title) == (3, "t")
    assert await store.head(LOG) == committed.head


async def test_only_deltas_can_be_posted(store: EventStore) -> None:
    epoch = await born(store)
    with pytest.raises(AssertionError):
        await store.post(LOG, [e.TitleSet("t")], epoch=epoch)


async def test_what_is_too_much_at_once_waits_and_all_of_it_arrives(store: EventStore) -> None:
    epoch = await born(store)
    big = "x" * 300_000
    for _ in range(12):
        await store.post(LOG, [text(big)], epoch=epoch)
    await store.post(LOG, [text(big * 5)], epoch=epoch)  # larger than the bound by itself
    committed = await store.append(LOG, [], epoch=epoch)
    assert committed.head.last_seq == 14


async def test_time_never_runs_backwards_in_a_log(store: EventStore, maker: Maker) -> None:
    epoch = await born(store)
    maker.clock.moment = 5_000
    await store.post(LOG, [text("a")], epoch=epoch)
    maker.clock.moment = 3_000
    await store.append(LOG, [e.TitleSet("t")], epoch=epoch)
    await store.put(LogId("other"), [created()])
    maker.clock.moment = 6_000
    await store.put(LOG, [e.TitleSet("u")])
    assert [event.at for event in await store.page(LOG, after=0, limit=9)] == [1_000, 5_000, 5_000, 6_000]
    assert (await store.head(LogId("other"))).created_at == 3_000


# -- owners -------------------------------------------------------------------------------------


async def test_a_former_owner_is_refused(maker: Maker, store: EventStore) -> None:
    async with maker.open("b") as other:
        old = await born(store)
        new = (await other.store.take(LOG)).epoch
        assert new == old + 1
        await other.store.append(LOG, [e.TitleSet("mine now")], epoch=new)
        with pytest.raises(NotOwner):
            await store.append(LOG, [e.TitleSet("mine still")], epoch=old)
        assert (await store.head(LOG)).title == "mine now"


async def test_a_stale_append_fails_alone_in_its_group(store: EventStore) -> None:
    first = await born(store)
    second = (await store.take(LOG)).epoch
    other = await born(store, LogId("other"))
    refused: list[str] = []

    async def write(log: LogId, epoch: Epoch, title: str) -> None:
        try:
            await store.append(log, [e.TitleSet(title)], epoch=epoch)
        except NotOwner:
            refused.append(title)

    async with anyio.create_task_group() as tasks:
        for count in range(10):
            tasks.start_soon(write, LOG, second, f"new {count}")
            tasks.start_soon(write, LOG, first, f"old {count}")
            tasks.start_soon(write, LogId("other"), other, f"other {count}")
    assert sorted(refused) == [f"old {count}" for count in range(10)]
    assert (await store.head(LOG)).last_seq == 11
    assert (await store.head(LogId("other"))).last_seq == 11


async def test_a_post_that_came_too_late_is_told_by_the_next_append(store: EventStore) -> None:
    old = await born(store)
    await store.take(LOG)
    await store.post(LOG, [text("a")], epoch=old)
    with pytest.raises(NotOwner):
        await store.append(LOG, [e.TitleSet("t")], epoch=old)
    assert await facts(store) == [created()]


async def test_taking_brings_its_facts_along(store: EventStore) -> None:
    await store.put(LOG, [created()])
    owned = await store.take(LOG, [turn_opened(), e.MessageWritten(Message("user", "hi"))])
    assert [event.seq for event in owned.events] == [2, 3]
    assert owned.head.turn is not None
    assert owned.head == await store.head(LOG)
    await store.append(LOG, [e.TurnStarted("root")], epoch=owned.epoch)


async def test_a_take_that_is_refused_changes_nothing(store: EventStore) -> None:
    epoch = await born(store)
    with pytest.raises(SessionBusy):
        await store.take(LOG, [turn_opened()], only_if=refuse)
    await store.append(LOG, [e.TitleSet("still mine")], epoch=epoch)
    assert (await store.head(LOG)).turn is None


async def test_a_turn_of_a_living_server_is_left_alone(maker: Maker, store: EventStore) -> None:
    async with maker.open("b") as other:
        await store.put(LOG, [created()])
        mine = (await store.take(LOG, [turn_opened()])).epoch
        with pytest.raises(SessionBusy):
            await other.store.take(LOG)
        await store.append(LOG, [e.TurnEnded(TURN, "normal")], epoch=mine)
        theirs = (await other.store.take(LOG, [turn_opened("second")])).epoch
        with pytest.raises(NotOwner):
            await store.append(LOG, [e.TitleSet("t")], epoch=mine)
        forced = (await store.take(LOG, force=True)).epoch
        assert forced > theirs
        with pytest.raises(NotOwner):
            await other.store.append(LOG, [e.TitleSet("t")], epoch=theirs)


async def test_a_turn_can_be_taken_from_whoever_let_go_or_died(maker: Maker, store: EventStore) -> None:
    async with maker.open("b") as other:
        await store.put(LOG, [created()])
        epoch = (await other.store.take(LOG, [turn_opened()])).epoch
        await other.store.release(LOG, epoch=Epoch(epoch - 1))  # stale: no error, and nothing happens
        with pytest.raises(SessionBusy):
            await store.take(LOG)
        await other.store.release(LOG, epoch=epoch)
        await store.take(LOG)
        await store.put(LogId("second"), [created()])
        await other.store.take(LogId("second"), [turn_opened()])
    await store.take(LogId("second"))


async def test_letting_go_of_what_is_not_there_is_no_error(store: EventStore) -> None:
    await store.release(LogId("none"), epoch=Epoch(3))


async def test_adrift_are_turns_and_ends_that_nobody_living_owns(maker: Maker, store: EventStore) -> None:
    names = ["mine", "dead", "let go", "idle", "deleted", "exited", "dead and deleted"]
    for name in names:
        await store.put(LogId(name), [created()])
    async with maker.open("b") as other:
        for name in ("dead", "let go", "dead and deleted"):
            await other.store.take(LogId(name), [turn_opened()])
        await other.store.release(LogId("let go"), epoch=Epoch(1))
        await store.put(LogId("dead and deleted"), [e.DeleteAsked()])
        await store.take(LogId("mine"), [turn_opened()])
        assert {head.id for head in await store.adrift()} == {"let go"}
        assert await store.running() == 4
    await store.put(LogId("deleted"), [e.DeleteAsked()])
    await store.put(LogId("exited"), [e.DeleteAsked()])
    epoch = (await store.take(LogId("exited"))).epoch
    await store.append(LogId("exited"), [e.SessionExited()], epoch=epoch)
    adrift = {head.id: head for head in await store.adrift()}
    assert set(adrift) == {"dead", "let go", "deleted", "dead and deleted"}
    assert adrift[SessionId("dead")] == await store.head(LogId("dead"))


# -- conditions ---------------------------------------------------------------------------------


async def test_a_condition_sees_the_head_and_refuses_without_a_trace(opened: Open) -> None:
    store = opened.store
    epoch = await born(store, title="t")
    seen: list[Head] = []

    def full(head: Head) -> None:
        seen.append(head)
        if head.depth("followup") >= 2:
            raise SessionBusy(head.id)

    await store.post(LOG, [text("a")], epoch=epoch)
    for _ in range(2):
        await store.put(LOG, [queued("")], only_if=full)
    told = len(opened.told)
    for write in (
        store.put(LOG, [queued("k"), wait_opened("w")], only_if=full),
        store.append(LOG, [e.TitleSet("no")], epoch=epoch, only_if=full),
        store.take(LOG, [turn_opened()], only_if=full),
    ):
        with pytest.raises(SessionBusy):
            await write
    assert [head.last_seq for head in seen] == [2, 3, 4, 4, 4]
    assert len(opened.told) == told
    assert (await store.head(LOG)).last_seq == 4
    assert await store.wait(WaitId("w")) is None
    await store.put(LOG, [queued("k")])  # its key was not used up
    await store.append(LOG, [e.TitleSet("yes")], epoch=epoch)


async def test_of_two_who_answer_at_once_one_wins(store: EventStore) -> None:
    epoch = await born(store)
    await store.append(LOG, [turn_opened(), wait_opened("w")], epoch=epoch)
    won: list[str] = []

    def still_open(head: Head) -> None:
        if not head.waits:
            raise SessionBusy(head.id)

    async def answer(word: str) -> None:
        try:
            await store.put(LOG, [e.WaitAnswered(WaitId("w"), e.Answer(word))], only_if=still_open)
            won.append(word)
        except SessionBusy:
            pass

    async with anyio.create_task_group() as tasks:
        for count in range(6):
            tasks.start_soon(answer, f"word {count}")
    record = await store.wait(WaitId("w"))
    assert record is not None and record.answer is not None
    assert won == [record.answer.action]
    assert (await store.head(LOG)).last_seq == 4


async def test_a_condition_that_breaks_harms_nobody_else(store: EventStore) -> None:
    epoch = await born(store)

    def broken(head: Head) -> None:
        raise ZeroDivisionError

    async def write(count: int) -> None:
        await store.append(LOG, [e.TitleSet(str(count))], epoch=epoch)

    async with anyio.create_task_group() as tasks:
        for count in range(5):
            tasks.start_soon(write, count)
        with pytest.raises(ZeroDivisionError):
            await store.put(LOG, [e.TitleSet("no")], only_if=broken)
    assert (await store.head(LOG)).last_seq == 6


async def test_what_can_not_be_stored_is_refused_alone(store: EventStore) -> None:
    epoch = await born(store)
    bad = e.ToolReturned(ToolCall(CallId("c"), "t"), Result("out", meta={"x": object()}), "root")
    with pytest.raises(TypeError):
        await store.append(LOG, [e.TitleSet("t"), bad], epoch=epoch)
    committed = await store.append(LOG, [e.TitleSet("u")], epoch=epoch)
    assert committed.events[0].seq == 2


# -- idempotency keys ---------------------------------------------------------------------------


async def test_a_key_works_once(store: EventStore) -> None:
    await born(store)
    await store.put(LOG, [queued("k", "first")])
    with pytest.raises(Duplicate) as caught:
        await store.put(LOG, [queued("k", "second")], only_if=refuse)  # looked at before the condition
    assert caught.value.key == "k"
    await store.put(LOG, [queued(""), queued("")])  # no key at all can come as often as it likes
    await store.put(LogId("other"), [created(), queued("k")])  # another log has keys of its own
    with pytest.raises(Duplicate):
        await store.put(LOG, [queued("twice"), queued("twice")])
    assert (await store.head(LOG)).depth("followup") == 3


async def test_of_two_with_one_key_at_once_one_wins(store: EventStore) -> None:
    await born(store)
    won: list[int] = []

    async def send(count: int) -> None:
        try:
            await store.put(LOG, [queued("k", str(count))])
            won.append(count)
        except Duplicate:
            pass

    async with anyio.create_task_group() as tasks:
        for count in range(8):
            tasks.start_soon(send, count)
    assert len(won) == 1
    assert (await facts(store))[1:] == [queued("k", str(won[0]))]


async def test_the_newest_256_keys_are_remembered(store: EventStore) -> None:
    await born(store)
    for count in range(256):
        await store.put(LOG, [queued(f"k{count}")])
    with pytest.raises(Duplicate):
        await store.put(LOG, [queued("k0")])
    await store.put(LOG, [queued("k256")])
    await store.put(LOG, [queued("k0")])  # forgotten, and so the 258th; k1 goes for it
    with pytest.raises(Duplicate):
        await store.put(LOG, [queued("k2")])
    await store.put(LOG, [queued("k1")])


# -- the end of a session -----------------------------------------------------------------------


async def test_a_deleted_session_is_gone_for_all_but_its_owner(store: EventStore) -> None:
    epoch = await born(store, title="t")
    await store.append(LOG, [turn_opened(), wait_opened("w")], epoch=epoch)
    committed = await store.put(LOG, [e.DeleteAsked("me")])
    assert committed.head.deleted
    for write in (
        store.put(LOG, [e.TitleSet("no")]),
        store.put(LOG, [e.DeleteAsked()]),
        store.take(LOG, [turn_opened("next")]),
        store.append(LOG, [turn_opened("next")], epoch=epoch),
    ):
        with pytest.raises(SessionNotFound):
            await write
    assert await store.listing() == () and await store.waits() == ()
    assert (await store.head(LOG)).deleted
    await store.post(LOG, [text("last words")], epoch=epoch)
    await store.append(LOG, [e.TurnEnded(TURN, "canceled")], epoch=epoch)
    await store.append(LOG, [e.SessionExited()], epoch=epoch)
    assert [type(fact).__name__ for fact in await facts(store)][-4:] == [
        "DeleteAsked",
        "TextAdded",
        "TurnEnded",
        "SessionExited",
    ]


async def test_the_end_of_a_deleted_session_can_be_written_by_another(maker: Maker, store: EventStore) -> None:
    async with maker.open("b") as silent:
        await store.put(LOG, [created()])
        old = (await silent.store.take(LOG, [turn_opened()])).epoch
        await store.put(LOG, [e.DeleteAsked()])
        with pytest.raises(SessionBusy):
            await store.take(LOG)
        owned = await store.take(LOG, [e.TurnEnded(TURN, "canceled"), e.SessionExited()], force=True)
        assert owned.head.exited
        with pytest.raises(RoostError):
            await silent.store.append(LOG, [e.TurnEnded(TURN, "normal")], epoch=old)


async def test_nothing_follows_the_last_fact(store: EventStore) -> None:
    epoch = await born(store)
    await store.append(LOG, [e.SessionExited()], epoch=epoch)
    for write in (
        store.append(LOG, [e.TitleSet("t")], epoch=epoch),
        store.put(LOG, [e.TitleSet("t")]),
        store.take(LOG, force=True),
    ):
        with pytest.raises(SessionNotFound):
            await write
    await store.post(LOG, [text("t")], epoch=epoch)
    assert await facts(store) == [created(), e.SessionExited()]


async def test_sweeping_leaves_the_id_behind(store: EventStore) -> None:
    for name in ("one", "two"):
        epoch = await born(store, LogId(name))
        many = [e.Warned(str(count)) for count in range(30)]
        await store.append(LogId(name), [*many, queued("k"), wait_opened(name), e.SessionExited()], epoch=epoch)
    await store.put(LOG, [created(title="stays")])
    assert [head.id for head in await store.adrift()] == []
    assert not await store.sweep(age=3600_000_000)
    assert len(await store.page(LogId("one"), after=0, limit=100)) == 34
    rounds = 1
    while await store.sweep(slice=10):
        rounds += 1
    assert 6 <= rounds <= 9
    assert not await store.sweep()
    for name in ("one", "two"):
        for read in (store.page(LogId(name), after=0, limit=1), store.head(LogId(name)), store.messages(LogId(name))):
            with pytest.raises(SessionNotFound):
                await read
        with pytest.raises(BadValue):
            await store.put(LogId(name), [created()])
        with pytest.raises(SessionNotFound):
            await store.put(LogId(name), [e.TitleSet("t")])
        assert await store.wait(WaitId(name)) is None
    assert [listing.title for listing in await store.listing()] == ["stays"]


# -- reading ------------------------------------------------------------------------------------


async def test_pages(store: EventStore) -> None:
    epoch = await born(store)
    await store.append(LOG, [e.Warned(str(count)) for count in range(25)], epoch=epoch)
    after, pages = 0, []
    while page := await store.page(LOG, after=after, limit=10):
        pages.append([event.seq for event in page])
        after = page[-1].seq
    assert pages == [list(range(1, 11)), list(range(11, 21)), list(range(21, 27))]
    assert [event.seq for event in await store.page(LOG, after=24, limit=100)] == [25, 26]
    assert tuple(await store.page(LOG, after=999, limit=10)) == ()


async def test_messages_are_the_events_that_bear_them(store: EventStore) -> None:
    call = ToolCall(CallId("c"), "shell")
    epoch = await born(store)
    await store.append(
        LOG,
        [
            turn_opened(),
            e.MessageWritten(Message("user", "hi")),
            e.ModelAsked(ANSWER, "root", "m"),
            text("x"),
            e.MessageAdded(Message("assistant", "", calls=(call,)), answer=ANSWER),
            e.ToolCalled(call, "safe", "root"),
            e.OutputAdded(call.id, "out"),
            e.ToolReturned(call, Result("out"), "root"),
            e.MessageAdded(call=call.id),
            e.SummaryAdded("all of it"),
            e.MessageEdited(3, Message("user", "ho")),
            e.ErrorMet("oh"),
            e.SessionCreated(e.Template(), parent=SessionId(LOG), sub=SessionId("sub")),
            e.MessageWritten(Message("user", "nested"), sub=SessionId("sub")),
            queued("k"),
            e.MessageTaken(16, 0, Message("user", "hi"), 3),
        ],
        epoch=epoch,
    )
    everything = await store.page(LOG, after=0, limit=99)
    bearing = tuple(event for event in everything if isinstance(event.fact, BEARS_MESSAGES))
    assert tuple(await store.messages(LOG)) == bearing
    assert tuple(await store.messages(LOG, since=9)) == tuple(event for event in bearing if event.seq > 9)
    assert tuple(await store.messages(LOG, since=99)) == ()


async def test_the_latest_that_bear_messages_and_how_much_people_have_said(store: EventStore) -> None:
    epoch = await born(store)
    said: list[e.Fact] = [e.MessageWritten(Message("user", "hi")), e.MessageAdded(Message("assistant", "x"))]
    nested = e.MessageWritten(Message("user", "nested"), sub=SessionId("sub"))
    await store.append(LOG, [*said, text("x"), *said, queued("k"), nested], epoch=epoch)
    await store.append(LOG, [e.MessageTaken(8, 0, Message("user", "queued"), 3)], epoch=epoch)
    bearing = tuple(await store.messages(LOG))
    for before in (1, 3, 9, 99):
        older = [event for event in bearing if event.seq < before]
        for limit in (1, 3, 99):
            assert list(await store.latest(LOG, before=before, limit=limit)) == older[-limit:]
    users = [e.seq for e in bearing if getattr(getattr(e.fact, "message", None), "role", "") == "user"]
    assert len(users) == 4
    for before in (0, *users, 99):
        assert await store.said(LOG, before=before) == sum(seq < before for seq in users)


async def test_remarks_are_what_stands_between_messages(store: EventStore) -> None:
    epoch = await born(store)
    some: list[e.Fact] = [e.Warned("one"), text("x"), e.MessageWritten(Message("user", "hi")), e.StatusShown("two")]
    await store.append(LOG, [turn_opened(), *some, wait_opened("w1"), *some, e.TurnEnded(TURN, "normal")], epoch=epoch)
    everything = await store.page(LOG, after=0, limit=99)
    remarks = [event for event in everything if isinstance(event.fact, REMARKS)]
    assert [type(event.fact).__name__ for event in remarks] == [
        *("Warned", "StatusShown", "WaitOpened", "Warned", "StatusShown", "TurnEnded"),
    ]
    for after, before in ((0, 99), (3, 99), (0, 11), (5, 9), (7, 7), (0, 0)):
        between = [event for event in remarks if after < event.seq < before]
        for limit in (1, 3, 99):
            assert list(await store.remarks(LOG, after=after, before=before, limit=limit)) == between[-limit:]


async def test_definitions_are_found_by_digest(store: EventStore) -> None:
    epoch = await born(store)
    shell, read = Definition("shell", "run"), Definition("read", parameters={"type": "object"})
    await store.append(LOG, [e.ToolsShown("root", 1, definitions={"d1": shell})], epoch=epoch)
    await store.append(
        LOG,
        [e.ToolsShown("root", 2, definitions={"d2": read}, sub=SessionId("sub")), e.ToolsShown("root", 2)],
        epoch=epoch,
    )
    assert await store.definition(LOG, "d1") == shell
    assert await store.definition(LOG, "d2") == read
    assert await store.definition(LOG, "d3") is None
    await store.put(LogId("other"), [created()])
    assert await store.definition(LogId("other"), "d1") is None
    fork = LogId("fork")
    await store.put(fork, [e.SessionCreated(e.Template(), forked_from=SessionId(LOG), definitions={"d2": read})])
    assert await store.definition(fork, "d2") == read
    assert await store.definition(fork, "d1") is None


async def test_waits_are_listed_until_they_are_answered_or_voided(store: EventStore, maker: Maker) -> None:
    epoch = await born(store)
    other = await born(store, LogId("other"))
    await store.append(LOG, [turn_opened(), wait_opened("w1")], epoch=epoch)
    maker.clock.moment += 10
    await store.append(LogId("other"), [turn_opened(), wait_opened("w2", sub=SessionId("sub"))], epoch=other)
    maker.clock.moment += 10
    await store.append(LOG, [wait_opened("w3"), wait_opened("w4")], epoch=epoch)
    records = await store.waits()
    assert [record.id for record in records] == ["w1", "w2", "w3", "w4"]
    assert records[0].fact == wait_opened("w1")
    assert [(record.log, record.session, record.opened_at) for record in records[:2]] == [
        (LOG, LOG, 1_000),
        ("other", "sub", 1_010),
    ]
    answer = e.Answer("approve", word="approve-tool", content={"a": [1]})
    await store.put(LOG, [e.WaitAnswered(WaitId("w1"), answer)])
    await store.append(LOG, [e.WaitVoided(WaitId("w3"), "its server is gone")], epoch=epoch)
    assert [record.id for record in await store.waits()] == ["w2", "w4"]
    await store.put(LOG, [e.WaitAnswered(WaitId("w1"), e.Answer("reject"))])  # the first answer wins
    answered = await store.wait(WaitId("w1"))
    assert answered is not None and (answered.open, answered.answer) == (False, answer)
    await store.append(LOG, [e.TurnEnded(TURN, "canceled")], epoch=epoch)
    for wait in ("w3", "w4"):
        voided = await store.wait(WaitId(wait))
        assert voided is not None and (voided.open, voided.answer) == (False, None)
    assert [record.id for record in await store.waits()] == ["w2"]


async def test_the_end_of_a_sub_session_closes_its_own_waits(store: EventStore) -> None:
    epoch = await born(store)
    sub = SessionId("sub")
    await store.append(LOG, [turn_opened(), wait_opened("outer"), wait_opened("inner", sub=sub)], epoch=epoch)
    await store.append(LOG, [e.TurnEnded(TurnId("t2"), "error", sub=sub)], epoch=epoch)
    assert [record.id for record in await store.waits()] == ["outer"]
    assert [wait.id for wait in (await store.head(LOG)).waits] == ["outer"]


async def test_the_listing(store: EventStore, maker: Maker) -> None:
    epoch = await born(store, LogId("old"), title="Old", working_dir="/srv", attributes={"k": "v"})
    maker.clock.moment += 5
    for name in ("b", "a"):
        await store.put(LogId(name), [created(title=name)])
    await store.put(LogId("child"), [e.SessionCreated(e.Template(), parent=SessionId("old"))])
    await store.put(LogId("gone"), [created()])
    assert [listing.id for listing in await store.listing()] == ["gone", "a", "b", "old"]
    await store.put(LogId("gone"), [e.DeleteAsked()])
    await store.append(
        LogId("old"),
        [
            e.MessageWritten(Message("user", "hi")),
            e.UsageAdded(Usage(7, 8), "m", "root", cost=0.5, total_cost=0.5, input_tokens=7, output_tokens=8),
            e.StarredSet(True),
            e.TitleSet("New"),
        ],
        epoch=epoch,
    )
    listings = await store.listing()
    assert [listing.id for listing in listings] == ["a", "b", "old"]
    assert listings[-1] == Listing(
        id=SessionId("old"),
        created_at=Micros(1_000),
        title="New",
        messages=1,
        input_tokens=7,
        output_tokens=8,
        cost=0.5,
        working_dir="/srv",
        starred=True,
        attributes={"k": "v"},
    )


async def test_heads_are_those_of_all_that_is_not_deleted(store: EventStore, maker: Maker) -> None:
    epoch = await born(store, LogId("old"))
    maker.clock.moment += 5
    await store.put(LogId("b"), [created()])
    await store.put(LogId("a"), [e.SessionCreated(e.Template(), parent=SessionId("old"))])
    await store.put(LogId("gone"), [created()])
    assert [head.id for head in await store.heads()] == ["gone", "a", "b", "old"]
    await store.put(LogId("gone"), [e.DeleteAsked()])
    await store.append(LogId("old"), [turn_opened(), e.LabelSet("n")], epoch=epoch)
    await store.post(LogId("old"), [text("x")], epoch=epoch)
    await store.append(LogId("old"), [], epoch=epoch)
    heads = await store.heads()
    assert [head.id for head in heads] == ["a", "b", "old"]
    assert list(heads) == [await store.head(LogId(head.id)) for head in heads]
    assert (heads[-1].name, heads[-1].last_seq) == ("n", 4)


async def test_runs_are_listed_with_their_ends(store: EventStore, maker: Maker) -> None:
    template = e.Template(owner="ann")
    await store.put(LOG, [e.SessionCreated(template, parent=SessionId("p"))])
    epoch = (await store.take(LOG, [turn_opened()])).epoch
    one, two, other = run_started("r1"), run_started("r2"), run_started("r3")
    await store.append(LOG, [one], epoch=epoch)
    maker.clock.moment += 5
    end = e.RunEnded(RunId("r1"), 0)
    await store.append(LOG, [end, two], epoch=epoch)
    elsewhere = await born(store, LogId("other"))
    await store.append(LogId("other"), [other, e.RunEnded(RunId("r2"))], epoch=elsewhere)
    assert [record.id for record in await store.runs()] == ["r3", "r2", "r1"]
    assert [record.id for record in await store.runs(log=LOG)] == ["r2", "r1"]
    at = Micros(maker.clock.moment)
    record = RunRecord(RunId("r1"), LOG, SessionId(LOG), "ann", SessionId("p"), Micros(at - 5), one, at, end)
    assert await store.run(RunId("r1")) == record
    running = await store.run(RunId("r2"))
    assert running is not None and (running.ended_at, running.ended, running.fact) == (None, None, two)
    assert await store.run(RunId("r9")) is None
    assert await store.runs(log=LogId("nowhere")) == ()


async def test_runs_that_have_ended_can_be_forgotten(store: Any) -> None:
    epoch = await born(store)
    await store.append(LOG, [run_started("r1"), e.RunEnded(RunId("r1"), 0), run_started("r2")], epoch=epoch)
    await store.forget_runs([RunId("r1"), RunId("r2"), RunId("r9")])
    assert [record.id for record in await store.runs()] == ["r2"]
    assert await store.run(RunId("r1")) is None
    assert run_started("r1") in await facts(store)
    assert await store.rebuild() == []
    assert [record.id for record in await store.runs()] == ["r2"]


async def test_runs_of_deleted_sessions_are_not_listed_and_go_with_them(store: EventStore) -> None:
    epoch = await born(store)
    await store.append(LOG, [run_started("r1")], epoch=epoch)
    await store.put(LOG, [e.DeleteAsked()])
    assert await store.runs() == ()
    assert [record.id for record in await store.runs(log=LOG)] == ["r1"]
    await store.append(LOG, [e.SessionExited()], epoch=epoch)
    while await store.sweep():
        pass
    assert (await store.run(RunId("r1")), await store.runs(log=LOG)) == (None, ())


async def test_facts_of_a_newer_version_are_carried(store: EventStore) -> None:
    raw = b'{"type":"FactOfTomorrow","what":[1,{"a":null}]}'
    epoch = await born(store, title="t")
    await store.append(LOG, [e.Unknown("FactOfTomorrow", msgspec.Raw(raw)), e.StarredSet(True)], epoch=epoch)
    event = (await store.page(LOG, after=1, limit=1))[0]
    assert isinstance(event.fact, e.Unknown)
    assert (event.seq, event.fact.type, bytes(event.fact.raw)) == (2, "FactOfTomorrow", raw)
    assert (await store.head(LOG)).starred


# -- what is told -------------------------------------------------------------------------------


async def test_each_event_is_told_once_and_in_order_before_its_writer_goes_on(opened: Open) -> None:
    store = opened.store
    logs = [LogId(f"log {count}") for count in range(4)]

    async def live(log: LogId) -> None:
        epoch = await born(store, log)
        for count in range(20):
            await store.post(log, [text("a"), text("b")], epoch=epoch)
            committed = await store.append(log, [e.Warned(str(count))], epoch=epoch)
            told = [event.seq for told, events in opened.told if told == log for event in events]
            assert told == list(range(1, committed.head.last_seq + 1))

    async with anyio.create_task_group() as tasks:
        for log in logs:
            tasks.start_soon(live, log)
    for log in logs:
        told = [event for told, events in opened.told if told == log for event in events]
        assert told == list(await store.page(log, after=0, limit=1000))
    assert all(events for _, events in opened.told)


async def test_growth_elsewhere_is_told_without_events(maker: Maker, opened: Open) -> None:
    async with maker.open("b") as other:
        await opened.store.put(LOG, [created()])
        await other.until(lambda: (LOG, ()) in other.told)
        opened.told.clear()
        await other.store.put(LOG, [e.TitleSet("t")])
        await opened.until(lambda: (LOG, ()) in opened.told)
        assert (await opened.store.head(LOG)).title == "t"
        assert [log for log, events in other.told if events] == [LOG]


async def test_a_listener_that_breaks_stops_nobody(maker: Maker) -> None:
    async with maker.open("a") as opened:
        loop = asyncio.get_running_loop()
        caught: list[Any] = []
        loop.set_exception_handler(lambda _, context: caught.append(context["exception"]))
        opened.told = None  # the callback fails from now on
        epoch = await born(opened.store)
        committed = await opened.store.append(LOG, [e.TitleSet("t")], epoch=epoch)
        assert committed.head.title == "t"
        assert caught


# -- cancellation and closing -------------------------------------------------------------------


async def test_a_write_goes_on_when_its_caller_is_cancelled(store: EventStore) -> None:
    epoch = await born(store)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await store.append(LOG, [e.TitleSet("written")], epoch=epoch)
    assert scope.cancelled_caught
    committed = await store.append(LOG, [], epoch=epoch)
    assert (committed.head.title, committed.head.last_seq) == ("written", 2)


async def test_what_was_handed_over_is_there_after_closing(maker: Maker) -> None:
    async with maker.open("a") as opened:
        epoch = await born(opened.store)
        for count in range(100):
            await opened.store.post(LOG, [text(str(count))], epoch=epoch)
    with pytest.raises(StoreFull):
        await opened.store.append(LOG, [], epoch=epoch)
    async with maker.open("b") as again:
        assert (await again.store.head(LOG)).last_seq == 101


async def test_a_probe(store: EventStore) -> None:
    await store.probe()
    await store.probe()


# -- the head is the fold of the log ------------------------------------------------------------

_numbers = itertools.count()
_call = st.sampled_from(["c1", "c2"]).map(lambda name: ToolCall(CallId(name), "shell", "{}"))
_message = st.sampled_from(["system", "user", "assistant"]).map(lambda role: Message(role, "words"))
_sub = st.sampled_from(["", "", "", "sub"]).map(SessionId)
_wait = st.sampled_from(["w1", "w2", "w3"]).map(WaitId)
_run = st.sampled_from(["r1", "r2"]).map(RunId)


def _facts() -> st.SearchStrategy[e.Fact]:
    return st.one_of(
        st.builds(e.TextAdded, st.just(ANSWER), st.text(max_size=3), sub=_sub),
        st.builds(e.TitleSet, st.text(max_size=3)),
        st.builds(e.PolicySet, st.sampled_from(["strict", "autonomous"])),
        st.builds(e.ModelChosen, st.just("root"), st.sampled_from(["", "openai/gpt"])),
        st.builds(e.MessageWritten, _message, sub=_sub),
        st.builds(e.MessageQueued, st.sampled_from(["steer", "followup"]), st.tuples(_message)),
        st.builds(e.TurnOpened, st.just(TURN), st.just("s"), st.just("root"), st.just("/")),
        st.builds(e.ModelAsked, st.just(ANSWER), st.just("root"), st.just("m"), sub=_sub),
        st.builds(
            e.MessageAdded,
            st.builds(Message, st.just("assistant"), calls=st.lists(_call, max_size=2).map(tuple)),
            answer=st.just(ANSWER),
            partial=st.booleans(),
            sub=_sub,
        ),
        st.builds(e.ToolCalled, _call, st.sampled_from(["safe", "once", "ask"]), st.just("root")),
        st.builds(e.ToolReturned, _call, st.just(Result("out")), st.just("root")),
        st.builds(e.CallLost, _call.map(lambda call: call.id), st.just(1)),
        st.builds(e.WaitOpened, _wait, st.sampled_from(["approval", "limit"]), st.just("root"), _call, sub=_sub),
        st.builds(e.WaitAnswered, _wait, st.just(e.Answer("approve")), sub=_sub),
        st.builds(e.WaitVoided, _wait, st.just("why"), sub=_sub),
        st.builds(e.CancelAsked, st.just(TURN)),
        st.builds(e.TurnEnded, st.just(TURN), st.just("normal"), sub=_sub),
        st.builds(e.SummaryAdded, st.just("sum"), cost=st.just(0.25)),
        st.builds(e.ErrorMet, st.just("oh"), sub=_sub),
        st.builds(e.RunStarted, _run, st.just(7), st.just(8), st.just("boot"), st.just("claude")),
        st.builds(e.RunRead, _run, st.just(5), st.just(6)),
        st.builds(e.RunEnded, _run, st.just(0)),
        st.builds(e.LimitHit, st.just("i"), st.just("claude"), resume_at=st.just(Micros(9))),
        st.builds(e.LabelSet, st.just("n")),
        st.just(e.Unknown("Tomorrow", msgspec.Raw(b'{"type":"Tomorrow"}'))),
    )


def _own(log: LogId, fact: e.Fact) -> e.Fact:
    """The same with ids that no other log has."""
    if isinstance(fact, e.RunStarted | e.RunRead | e.RunEnded):
        return msgspec.structs.replace(fact, run=RunId(f"{log}.{fact.run}"))
    if isinstance(fact, e.WaitOpened | e.WaitAnswered | e.WaitVoided):
        return msgspec.structs.replace(fact, wait=WaitId(f"{log}.{fact.wait}"))
    return fact


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=st.lists(st.lists(_facts(), min_size=1, max_size=5), max_size=8))
async def test_heads_and_waits_are_what_the_log_makes_of_them(store: Any, groups: list[list[e.Fact]]) -> None:
    log = LogId(f"log{next(_numbers)}")
    epoch = await born(store, log)
    for group in groups:
        committed = await store.append(log, [_own(log, fact) for fact in group], epoch=epoch)
        assert committed.head == await store.head(log)
    events = await store.page(log, after=0, limit=1000)
    head = fold(events)
    assert head == await store.head(log)
    open_ones = {wait.id for wait in head.waits}
    opened = {event.fact.wait for event in events if isinstance(event.fact, e.WaitOpened)}
    for wait in opened:
        record = await store.wait(wait)
        assert record is not None and record.open == (wait in open_ones)
    assert {record.id for record in await store.waits() if record.log == log} == open_ones
    assert log not in await store.rebuild()
