"""What a screen shows of a session: the newest messages, numbered as forks know them, and what is under way."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fakes.logs import handed_over, summed_up
from roost.core import events as e
from roost.core.errors import BadValue
from roost.core.history import History
from roost.core.ids import AnswerId, CallId, LogId, Micros, ServerId, SessionId, TurnId, WaitId
from roost.core.messages import Message, Result, ToolCall
from roost.core.principals import Principal
from roost.core.session import Head
from roost.ports import EventStore
from roost.service.desk import Desk
from roost.service.forks import fork_facts
from roost.service.windows import Window, Windows
from roost.stores.memory import Memory
from roost.stores.sqlite import open_sqlite

pytestmark = pytest.mark.anyio

LOG, SUB = LogId("s-1"), SessionId("sub")
TURN, CALL, OTHER = TurnId("t"), ToolCall(CallId("c1"), "shell"), ToolCall(CallId("c2"), "shell")


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[EventStore]:
    def now() -> Micros:
        return Micros(10**15)

    if request.param == "memory":
        yield Memory(now, ServerId("a"), lambda *_: None)
        return
    async with open_sqlite(tmp_path / "x.db", server=ServerId("a"), now=now, grown=lambda *_: None) as found:
        yield found


def windows(store: EventStore) -> Windows:
    async def head(_: Principal, session: str) -> Head:
        return await store.head(LogId(session))

    return Windows(cast(Desk, SimpleNamespace(store=store, head=head)))


async def born(store: EventStore, *facts: e.Fact) -> None:
    await store.put(LOG, [e.SessionCreated(e.Template()), *facts])


async def opened(store: EventStore, **how: Any) -> Window:
    return await windows(store).open(Principal(), LOG, **{"last": 200, **how})


def rounds(count: int, start: int = 0) -> list[e.Fact]:
    """Questions, each with an answer that calls a tool and one in words."""
    facts: list[e.Fact] = []
    for number in range(start, start + count):
        call = ToolCall(CallId(f"call{number}"), "shell")
        facts += [e.MessageWritten(Message("user", f"q{number}"))]
        facts += [e.MessageAdded(Message("assistant", "", calls=(call,)), answer=AnswerId(f"a{number}"))]
        facts += [e.ToolReturned(call, Result(f"r{number}"), "root"), e.MessageAdded(call=call.id)]
        facts += [e.MessageAdded(Message("assistant", f"w{number}"), answer=AnswerId(f"b{number}"))]
    return facts


async def whole(store: EventStore) -> Sequence[tuple[int, Message]]:
    """All messages, in the order of the log, as the old view has them."""
    return sorted(History(SessionId(LOG)).extend(await store.messages(LOG)).messages(), key=lambda pair: pair[0])


@pytest.mark.parametrize("last", [1, 2, 3, 7, 200])
async def test_page_by_page_it_is_the_whole_history(store: EventStore, last: int) -> None:
    await born(store, *rounds(12), *handed_over(LOG), *rounds(9), *summed_up())
    found: list[tuple[int, Message]] = []
    before = None
    while True:
        window = await opened(store, last=last, before=before)
        assert len(window.messages) <= last
        found[:0] = [(said.seq, said.message) for said in window.messages]
        if not window.more:
            break
        before = window.messages[0].seq
    assert found == await whole(store)


async def test_ordinals_are_those_that_a_fork_takes(store: EventStore) -> None:
    await born(store, *rounds(3), *handed_over(LOG), *rounds(3, start=3))
    head = await store.head(LOG)
    history = History(SessionId(LOG)).extend(await store.messages(LOG))
    for last in (4, 9, 200):
        window = await opened(store, last=last)
        numbered = [said for said in window.messages if said.ordinal is not None]
        assert numbered
        for said in numbered:
            assert said.ordinal is not None
            copied = fork_facts(SessionId("f"), head, history, said.ordinal, (), {})
            kept = [fact.message for fact in copied if isinstance(fact, e.MessageWritten)]
            assert said.message not in kept
            older = [old for old in window.messages if old.seq < said.seq and not old.sub]
            assert not older or older[-1].message in kept
        inside = [said for said in window.messages if said.sub and said.message.role == "user"]
        assert all(said.ordinal is None for said in inside)
        with pytest.raises(BadValue):
            fork_facts(SessionId("f"), head, history, 99, (), {})


async def test_a_message_that_was_replaced_is_the_new_one_however_old_it_is(store: EventStore) -> None:
    await born(store, *rounds(30), e.MessageEdited(2, Message("assistant", "never asked")), e.ErrorMet("late"))
    window = await opened(store, last=3, before=8)
    assert [said.seq for said in window.messages] == [5, 6, 7]
    window = await opened(store)
    assert window.messages[0].message.content == "never asked"
    assert [said.ordinal for said in window.messages if said.message.role == "user"] == list(range(29))
    assert [mark.seq for mark in window.marks] == [153]


async def test_a_result_that_lies_far_before_its_message_is_found(store: EventStore) -> None:
    between: list[e.Fact] = [e.MessageAdded(Message("assistant", f"w{n}"), answer=AnswerId(str(n))) for n in range(40)]
    await born(store, e.ToolReturned(CALL, Result("far"), "root"), *between, e.MessageAdded(call=CALL.id))
    window = await opened(store, last=2)
    assert [said.message.content for said in window.messages] == ["w39", "far"]


async def test_nothing_is_no_messages(store: EventStore) -> None:
    await born(store, e.MessageWritten(Message("system", "unseen")))
    window = await opened(store)
    assert (window.messages, window.more, window.tail_from) == ([], False, 2)
    await store.put(LOG, rounds(1))
    window = await opened(store, last=0)
    assert (window.messages, window.more) == ([], True)


async def test_what_is_under_way_is_read_from_where_it_begins(store: EventStore) -> None:
    sub = e.SessionCreated(e.Template(title="task"), SessionId(LOG), sub=SUB, call=CALL.id)
    ask = Message("assistant", "", calls=(CALL, OTHER))
    facts: list[e.Fact] = [
        e.TurnOpened(TURN, "crew", "root", "/"),
        e.MessageAdded(ask, answer=AnswerId("a")),
        e.ToolCalled(CALL, "safe", "root"),  # 4
        e.ToolCalled(OTHER, "safe", "root"),
        e.ToolReturned(OTHER, Result("done"), "root"),
        e.MessageAdded(call=OTHER.id),
        sub,
        e.TurnOpened(TURN, "crew", "coder", "/", sub=SUB),
        e.ModelAsked(AnswerId("b"), "coder", "m", sub=SUB),  # 10
        e.TextAdded(AnswerId("b"), "half", sub=SUB),
    ]
    await born(store, *facts)
    window = await opened(store)
    assert window.tail_from == 3
    assert [(head.id, head.call) for head in window.head.below_all()] == [(SUB, CALL.id)]
    await store.put(LOG, [e.TurnEnded(TURN, "normal", sub=SUB), e.ToolReturned(CALL, Result("x"), "root")])
    await store.put(LOG, [e.MessageAdded(call=CALL.id), e.ModelAsked(AnswerId("c"), "root", "m")])  # 14, 15
    assert (await opened(store)).tail_from == 14
    await store.put(LOG, [e.TurnEnded(TURN, "normal")])
    assert (await opened(store)).tail_from == 16


async def test_what_is_under_way_is_there_from_its_beginning_however_few_are_wanted(store: EventStore) -> None:
    """Events past `tail_from` bring no message that is older than all that a screen has."""
    task = ToolCall(CallId("task"), "transfer_task")
    await born(store, *rounds(30), e.TurnOpened(TURN, "crew", "root", "/"))
    await store.put(LOG, [e.MessageAdded(Message("assistant", "", calls=(task,)), answer=AnswerId("ask"))])
    asked = (await store.head(LOG)).last_seq
    made = e.SessionCreated(e.Template(), SessionId(LOG), sub=SUB, call=task.id)
    await store.put(LOG, [e.ToolCalled(task, "safe", "root"), made, e.TurnOpened(TURN, "crew", "coder", "/", sub=SUB)])
    for number in range(40):
        said = e.MessageAdded(Message("assistant", f"s{number}"), answer=AnswerId(f"s{number}"), sub=SUB)
        await store.put(LOG, [said])
    for last in (1, 5, 40, 41):
        window = await opened(store, last=last)
        assert window.tail_from == asked
        assert window.messages[0].seq <= asked
        assert [said.message.content for said in window.messages][-40:] == [f"s{number}" for number in range(40)]
        assert window.more
        older = await opened(store, last=5, before=window.messages[0].seq)
        assert len(older.messages) == 5
    assert len((await opened(store, last=100)).messages) == 100


async def test_what_waits_and_what_is_queued_is_there(store: EventStore) -> None:
    wait = e.WaitOpened(WaitId("w"), "approval", "root", call=CALL)
    texts = (Message("user", "one"), Message("user", "two"))
    team = e.TeamShown((e.Teammate("root"),), "root")
    await born(store, e.TurnOpened(TURN, "crew", "root", "/"), team, wait, e.MessageQueued("followup", texts))
    await store.put(LOG, [e.MessageTaken(5, 0, texts[0], 0)])
    await store.put(LOG, [e.TeamShown((e.Teammate("other"),), "other", sub=SUB)])
    window = await opened(store)
    assert [record.id for record in window.waits] == ["w"]
    assert [(waiting.seq, waiting.queue, waiting.messages) for waiting in window.queue] == [
        (5, "followup", ((1, texts[1]),))
    ]
    assert window.team == team


async def test_what_happened_between_the_messages_comes_with_them(store: EventStore) -> None:
    wait, open_ = (e.WaitOpened(WaitId(name), "approval", "root", call=OTHER) for name in ("answered", "open"))
    below = e.SessionCreated(e.Template(), parent=SessionId(LOG), sub=SUB)
    answer = e.WaitAnswered(WaitId("answered"), e.Answer("approve"))
    await born(store, e.Warned("old"), *rounds(2), wait, answer, below, e.StatusShown("deep", sub=SUB), open_)
    window = await opened(store)
    assert [event.fact for event in window.remarks] == [e.Warned("old"), wait, answer, e.StatusShown("deep", sub=SUB)]
    assert [fact.sub for fact in window.born] == [SUB]
    newest = await opened(store, last=1)
    assert newest.more and e.Warned("old") not in [event.fact for event in newest.remarks]
    older = await opened(store, last=200, before=newest.messages[0].seq)
    assert [event.fact for event in older.remarks] == [e.Warned("old")]


async def test_why_a_round_failed_stands_between_the_messages(store: EventStore) -> None:
    asked, short = e.MessageWritten(Message("user", "hi")), e.RoundResult(False, "Not logged in")
    ended = e.ErrorMet("Not logged in", "cli_failed")
    await born(store, asked, e.RoundResult(True, "done"), asked, short, asked, short, ended)
    window = await opened(store)
    assert [event.fact for event in window.remarks] == [short, short]
    assert [mark.fact for mark in window.marks] == [ended]
