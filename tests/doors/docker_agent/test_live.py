"""One WebSocket for a whole screen: sessions that are followed, the list as it changes, and what waits."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from roost.core import events as e
from roost.core.errors import StoreRefused
from roost.core.ids import AnswerId, LogId, RunId
from roost.core.principals import Principal
from roost.core.session import Head
from roost.doors.docker_agent import live as live_of
from roost.service import pulse
from roost.service.pulse import FEW
from roost.testing.fakes import FakeTool, answers, call
from roost.testing.house import House, open_house
from roost.wire import tls

pytestmark = pytest.mark.anyio

Item = dict[str, Any]


class Line:
    """A screen: all that it has been told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.items: list[Item] = []
        self.messages: list[int] = []  # their sizes
        self._unread: list[Item] = []

    async def say(self, **told: Any) -> None:
        await self.socket.send(json.dumps(told))

    async def until(self, holds: Callable[[Item], bool]) -> Item:
        """The next item for which something holds; those before it are still there for others to be found."""
        with anyio.fail_after(20):
            while (found := next((item for item in self._unread if holds(item)), None)) is None:
                text = await self.socket.recv()
                assert isinstance(text, str)
                self.messages.append(len(text))
                self.items += json.loads(text)
                self._unread += json.loads(text)
        self._unread.remove(found)
        return found

    async def of(self, word: str) -> Item:
        """The next item that says `word`."""
        return await self.until(lambda item: word in item)

    async def event(self, session: str, kind: str) -> Item:
        """The next event of a type."""

        def holds(item: Item) -> bool:
            return item.get("session") == session and (item["event"] or {}).get("type") == kind

        return await self.until(holds)

    def ids(self, session: str) -> list[int]:
        return [item["id"] for item in self.items if item.get("session") == session]

    def frames(self, session: str) -> list[tuple[int, Item]]:
        return [(i["id"], i["event"]) for i in self.items if i.get("session") == session and i["event"] is not None]


@contextlib.asynccontextmanager
async def opened(house: House, **headers: str) -> AsyncIterator[Line]:
    url = house.url.replace("http", "ws") + "/api/live"
    async with connect(url, additional_headers=headers, proxy=None, max_size=None, compression=None) as socket:
        yield Line(socket)


@pytest.fixture
async def asking(tmp_path: Path, anyio_backend: str) -> AsyncIterator[House]:
    """A house whose agent calls `shell`, which needs approval."""
    script = answers([call("shell", '{"cmd":"rm"}')], ["done"])
    async with open_house(tmp_path, script=script, tools=[FakeTool("shell")]) as house:
        yield house


@contextlib.asynccontextmanager
async def logged_in(house: House, name: str, home: Path) -> AsyncIterator[httpx2.AsyncClient]:
    accounts = house.service.accounts
    await accounts.add(Principal(kind="super"), name, "secret", str(home))
    token = (await accounts.login(name, "secret")).token
    async with httpx2.AsyncClient(
        verify=tls.trusted(), base_url=house.url, headers={"authorization": f"Bearer {token}"}
    ) as client:
        yield client


async def test_it_says_who_it_is_and_what_waits(house: House) -> None:
    async with opened(house) as line:
        hello, waits = await line.of("hello"), await line.of("waits")
    assert line.items[0] == hello
    assert hello["hello"]["version"] == "1.2.3"
    assert set(hello["hello"]) == {"version", "host", "server"}
    assert waits["waits"] == []


async def test_what_is_followed_is_what_the_event_stream_has(house: House) -> None:
    session = await house.session()
    async with opened(house) as line:
        await line.say(follow=session, since=0)
        await house.run(session, "hi")
        await line.event(session, "stream_stopped")
        streamed: list[tuple[int, Item]] = []
        async with house.events(session, params={"detail": "full"}) as frames:
            while not streamed or streamed[-1][1]["type"] != "stream_stopped":
                frame = await frames.next()
                streamed.append((int(frame.id), frame.data))
    assert line.frames(session) == streamed
    assert {"turn_opened", "answer_started", "session_created"} <= {event["type"] for _, event in streamed}


async def test_one_goes_on_from_a_cursor_and_a_cursor_that_is_beyond_the_end_is_a_gap(house: House) -> None:
    session = await house.session()
    await house.run(session, "hi")
    last = (await house.store.head(LogId(session))).last_seq
    async with opened(house) as line:
        await line.say(follow=session, since=last - 2)
        await line.until(lambda item: item.get("id") == last)
        assert line.ids(session)[0] > last - 2
        assert {"following": session, "since": last - 2} in line.items
        first = next(at for at, item in enumerate(line.items) if item.get("session") == session)
        assert "following" in line.items[first - 1]
        await line.say(follow=session, since=last + 1)
        await line.until(lambda item: item.get("following") == session and item["since"] == last + 1)
        await line.of("gap")
        line.items.clear()
        await line.until(lambda item: item.get("id") == 1)
        assert line.ids(session) == sorted(line.ids(session))


async def test_a_fact_without_a_frame_that_ends_a_batch_is_a_cursor(house: House) -> None:
    session = await house.session()
    async with opened(house) as line:
        await line.say(follow=session)
        await line.event(session, "session_created")
        await house.store.put(LogId(session), [e.RunRead(RunId("r"), 1, 1)])
        item = await line.until(lambda item: item.get("id") == 2)
    assert item["event"] is None


async def test_an_answer_from_elsewhere_is_told_at_once(asking: House, tmp_path: Path) -> None:
    session = await asking.session(working_dir=str(tmp_path))
    async with opened(asking) as line, opened(asking) as other:
        assert await line.of("waits") == await other.of("waits") == {"waits": []}
        await line.say(follow=session)
        async with asking.running(session, "hi") as frames:
            await frames.until("tool_call_confirmation")
            asked = await line.event(session, "tool_call_confirmation")
            listed = await line.until(lambda item: bool(item.get("waits")))
            row = await other.until(lambda item: item.get("row", {}).get("state") == "waiting")
            elsewhere = await other.until(lambda item: bool(item.get("waits")))
            assert listed == elsewhere
            (wait,) = listed["waits"]
            assert (wait["id"], wait["log_id"]) == (asked["event"]["request_id"], session)
            assert (row["row"]["id"], row["row"]["waits"]) == (session, 1)
            assert row["row"]["source"]
            assert wait["working_dir"] == str(tmp_path)
            shown = (await asking.client.get("/api/waits", params={"detail": "full"})).json()
            assert [one["working_dir"] for one in shown] == [str(tmp_path)]
            await asking.client.post(f"/api/waits/{wait['id']}", json={"confirmation": "reject", "reason": "no"})
            answered = (await line.event(session, "wait_answered"))["event"]
            assert (answered["request_id"], answered["action"], answered["reason"]) == (wait["id"], "reject", "no")
            assert await line.of("waits") == await other.of("waits") == {"waits": []}
            await frames.rest()
        row = await other.until(lambda item: item.get("row", {}).get("state") == "idle")
        assert row["row"]["waits"] == 0


async def test_rows_are_told_as_sessions_come_change_and_go(house: House) -> None:
    async with opened(house) as line:
        await line.of("waits")
        session = await house.session(title="new")
        row = (await line.of("row"))["row"]
        assert (row["id"], row["title"], row["state"]) == (session, "new", "new")
        await house.client.patch(f"/api/sessions/{session}/title", json={"title": "other"})
        assert (await line.of("row"))["row"]["title"] == "other"
        listed = (await house.client.get("/api/sessions", params={"detail": "full"})).json()
        assert [row for row in listed if row["id"] == session] == [line.items[-1]["row"]]
        await house.client.delete(f"/api/sessions/{session}")
        assert await line.of("gone") == {"gone": session}


async def test_a_change_that_could_not_be_read_is_told_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "AGAIN", 0.01)
    session = (await house.client.post("/api/sessions", json={"title": "one"})).json()["id"]
    looks, heads = list[int](), house.service.pulse._heads

    async def read(logs: Sequence[LogId]) -> list[Head]:
        looks.append(len(logs))
        if len(looks) == 1:
            raise StoreRefused("the disk is busy")
        return await heads(logs)

    async with opened(house) as line:
        await line.of("waits")
        monkeypatch.setattr(house.service.pulse, "_heads", read)
        await house.client.patch(f"/api/sessions/{session}/title", json={"title": "two"})
        told = await line.until(lambda item: "row" in item and item["row"]["id"] == session)
        assert told["row"]["title"] == "two"
        assert len(looks) == 2


async def test_a_session_that_is_followed_is_gone_after_its_last_event(house: House) -> None:
    session = await house.session()
    async with opened(house) as line:
        await line.say(follow=session)
        await line.event(session, "session_created")
        await house.client.delete(f"/api/sessions/{session}")
        await line.of("gone")
        told = [item["event"]["type"] for item in line.items if item.get("event")]
        assert told[-1] == "session_exited"
        assert [item for item in line.items if "gone" in item] == [line.items[-1]]
        await line.say(follow=session)
        refused = await line.of("refused")
        assert (refused["refused"], refused["code"]) == (session, "unknown_session")


async def test_what_is_no_longer_followed_is_not_told(house: House) -> None:
    one, two = await house.session(), await house.session()
    async with opened(house) as line:
        for session in (one, two):
            await line.say(follow=session)
            await line.event(session, "session_created")
        await line.say(unfollow=one)
        await line.say(unfollow="never-followed")
        await line.say(follow=two)
        await line.event(two, "session_created")  # what was said before is heard
        for session in (one, two):
            await house.client.patch(f"/api/sessions/{session}/title", json={"title": "x"})
        await line.event(two, "session_title")
        assert line.ids(one) == [1]


async def test_too_many_are_refused_and_one_that_is_let_go_makes_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_of, "MANY", 2)
    sessions = [await house.session() for _ in range(3)]
    async with opened(house) as line:
        for session in (*sessions, sessions[0]):
            await line.say(follow=session)
        refused = await line.of("refused")
        assert (refused["refused"], refused["code"]) == (sessions[2], "too_many_followed")
        await line.say(unfollow=sessions[0])
        await line.say(follow=sessions[2])
        await line.event(sessions[2], "session_created")


MALFORMED = [
    *("", "{", "[]", "null", "7", "{}", '{"follow": 7}', b"\xff\xfe", '{"follow":"\\ud800"}'),
    *('{"follow":"a","since":-1}', '{"follow":"a","since":"x"}', '{"follow":"a","unfollow":"a"}'),
]


@pytest.mark.parametrize("said", MALFORMED)
async def test_what_is_not_understood_is_refused_and_the_line_goes_on(house: House, said: str | bytes) -> None:
    session = await house.session()
    async with opened(house) as line:
        await line.socket.send(said)
        refused = await line.of("refused")
        assert refused["refused"] == ""
        assert refused["message"]
        await line.say(follow=session)
        await line.event(session, "session_created")


@pytest.mark.parametrize("session", ["", "../..", "x" * 60_000, "ü\n", "00000000-0000-4000-8000-000000000000"])
async def test_odd_ids_are_unknown_sessions(house: House, session: str) -> None:
    async with opened(house) as line:
        await line.say(follow=session)
        refused = await line.of("refused")
    assert refused["refused"] == session[:128]
    assert refused["code"] == "unknown_session"


async def closed(line: Line) -> int:
    """How the line ends."""
    with anyio.fail_after(20), pytest.raises(ConnectionClosed) as end:
        while True:
            await line.socket.recv()
    assert end.value.rcvd is not None
    return end.value.rcvd.code


async def test_a_message_that_is_too_large_ends_the_line(house: House) -> None:
    async with opened(house) as line:
        await line.say(follow="x" * 65536)
        assert await closed(line) == 1009


async def test_nor_is_one_kept_that_comes_in_pieces_and_never_ends(house: House) -> None:
    async def pieces() -> AsyncIterator[str]:
        for _ in range(64):
            yield "x" * 65536
        await anyio.sleep_forever()

    async with opened(house) as line, anyio.create_task_group() as tasks:

        async def send() -> None:
            with contextlib.suppress(ConnectionClosed):
                await line.socket.send(pieces())

        tasks.start_soon(send)
        assert await closed(line) == 1009
        tasks.cancel_scope.cancel()


async def test_the_server_s_end_is_said(house: House) -> None:
    async with opened(house) as line:
        await line.of("waits")
        house.closing.set()
        assert await closed(line) == 1001


async def test_a_board_that_fails_ends_the_line_and_not_the_server(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(house.service.waits, "open", broken)
    async with opened(house) as line:
        assert await closed(line) == 1011
    assert (await house.client.get("/api/ping")).status_code == 200


async def test_strangers_are_turned_away_and_accounts_see_their_own(tmp_path: Path) -> None:
    async with (
        open_house(tmp_path, token="t") as house,
        logged_in(house, "ann", tmp_path / "ann") as ann,
        logged_in(house, "bob", tmp_path / "bob") as bob,
    ):
        for headers in ({}, {"authorization": "Bearer wrong"}):
            with pytest.raises(InvalidStatus) as refusal:
                async with opened(house, **headers):
                    pass
            assert refusal.value.response.status_code == 401
        with pytest.raises(InvalidStatus) as refusal:
            async with opened(house, authorization="Bearer t", origin="https://elsewhere.example"):
                pass
        assert refusal.value.response.status_code == 403
        async with (
            opened(house, authorization=ann.headers["authorization"]) as hers,
            opened(house, authorization=bob.headers["authorization"]) as his,
            opened(house, authorization="Bearer t") as all_of_them,
        ):
            for line in (hers, his, all_of_them):
                await line.of("waits")
            session = (await ann.post("/api/sessions", json={"title": "Ann's secret"})).json()["id"]
            assert (await hers.of("row"))["row"]["id"] == session
            assert (await all_of_them.of("row"))["row"]["id"] == session
            await his.say(follow=session)
            assert (await his.of("refused"))["code"] == "unknown_session"
            await ann.delete(f"/api/sessions/{session}")
            await hers.of("gone")
            own = (await bob.post("/api/sessions", json={"title": "Bob's"})).json()["id"]
            assert (await his.of("row"))["row"]["id"] == own
            assert not [item for item in his.items if session in json.dumps(item) and "refused" not in item]


async def test_one_that_lags_does_not_hold_up_the_others(house: House) -> None:
    """A long log and a short one, followed in this order: the short one is there before the long one's end."""
    long, short = await house.session(), await house.session()
    text = "x" * 2000
    for _ in range(4):
        await house.store.put(LogId(long), [e.UserNoted("info", text) for _ in range(500)])
    async with opened(house) as line:
        await line.say(follow=long)
        await line.say(follow=short)
        await line.event(short, "session_created")
        before = len(line.ids(long))
        await line.until(lambda item: item.get("id") == 2001)
    assert before < 1500
    assert line.ids(long) == list(range(1, 2002))
    assert max(line.messages) <= 256 * 1024


async def test_many_that_change_at_once_are_all_told(house: House) -> None:
    async with opened(house) as line:
        await line.of("waits")
        sessions = {await house.session() for _ in range(3 * FEW)}
        while {item["row"]["id"] for item in line.items if "row" in item} != sessions:
            await line.of("row")
        for session in sessions:
            await house.store.put(LogId(session), [e.DeleteAsked()])
        while {item["gone"] for item in line.items if "gone" in item} != sessions:
            await line.of("gone")


async def test_what_changes_often_is_told_now_and_then_and_pieces_of_an_answer_are_no_change(house: House) -> None:
    session = await house.session()
    async with opened(house) as line:
        await line.of("waits")
        for number in range(40):
            await house.store.put(LogId(session), [e.TitleSet(str(number))])
        await line.until(lambda item: item.get("row", {}).get("title") == "39")
        assert sum("row" in item for item in line.items) < 10
        line.items.clear()
        owned = await house.store.take(LogId(session))
        for number in range(5):
            await house.store.post(LogId(session), [e.TextAdded(AnswerId("a"), str(number))], epoch=owned.epoch)
        await house.client.patch(f"/api/sessions/{session}/title", json={"title": "last"})
        await line.until(lambda item: item.get("row", {}).get("title") == "last")
        assert sum("row" in item for item in line.items) == 1
