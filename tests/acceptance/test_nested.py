"""A log with sub-sessions, put into the database by another hand, outlives the server (checklist 22, 27)."""

from collections.abc import Sequence
from pathlib import Path

import anyio

from acceptance import purity
from acceptance.house import House
from fakes import logs
from roost.core import events as e
from roost.core.ids import LogId, Micros, ServerId
from roost.stores.sqlite import open_sqlite


def seed(db: Path, session: str, facts: Sequence[e.Fact]) -> None:
    """Write facts into a session's log, as a neighbour would."""

    async def put() -> None:
        server, now = ServerId("seed"), 1_780_384_447_000_000
        async with open_sqlite(
            db, server=server, now=lambda: Micros(now), grown=lambda *_: None, fatal=lambda _: None
        ) as store:
            await store.put(LogId(session), facts)

    anyio.run(put)


def test_sub_sessions_outlive_the_server(house: House) -> None:
    house.agent()
    first = house.serve()
    session = first.create(title="T")
    reader = first.events(session)
    seed(house.db, session, logs.handed_over(session))
    live = reader.until(lambda f: f.type == "stream_stopped" and f.event["session_id"] == session)
    reader.close()
    paths = ("", "/snapshot", "/recovery", "/status", "/queue", "/models")
    before = {path: first.get(f"/api/sessions/{session}{path}").json for path in paths}
    assert [f.event["sub_session"]["id"] for f in live if f.type == "sub_session_completed"] == [logs.DEEP, logs.SUB]
    assert [m["message"]["content"] for m in before[""]["messages"]][-2:] == ["Fixed it", "It is fixed."]
    whole = [f.raw for f in first.log(session)]
    assert [f.raw for f in live if not f.ping] == whole
    assert first.term() == 0

    second, third = house.serve(), house.serve()
    assert {path: second.get(f"/api/sessions/{session}{path}").json for path in paths} == before
    assert [f.raw for f in purity.check(house, session, second, third, every=True)] == whole
    inside = second.post(f"/api/sessions/{session}/fork", {"user_message_index": 1})
    assert (inside.status, inside.message) == (400, "fork user-message index falls inside a sub-session at ordinal 1")
    assert second.run(session, "and now?")[-1].event["session_id"] == session
    asked = house.model.requests[-1]["body"]["messages"]
    assert [m["content"] for m in asked if m["role"] == "user"] == ["Find the bug", "and now?"]
    forked = second.post(f"/api/sessions/{session}/fork", {"user_message_index": 3})
    assert len(forked.json["messages"]) == len(before[""]["messages"])
