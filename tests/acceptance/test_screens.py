"""Screens of a real server: the live line agrees with the event stream, also through crashes; long lists."""

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from acceptance.house import House, Server, until
from acceptance.sse import Frame

FILE = """\
providers:
  fake: {{base_url: {url}/v1}}
agents:
  root:
    model: fake/fake-model
    toolsets: [{{type: shell}}]
"""
SHELL = '[[tool shell {"cmd": "echo ran"}]] [[say done]]'
DRIP = "[[drip 0.01]] [[say " + "many little words " * 60 + "]]"

Event = dict[str, Any]


class Line:
    """A client of the live line that comes back after each break, with the cursors of what it follows."""

    def __init__(self, server: Callable[[], Server], *sessions: str) -> None:
        self.events: dict[str, list[tuple[int, Event | None]]] = {session: [] for session in sessions}
        self.rows: dict[str, Event] = {}
        self.waits: list[list[Event]] = []
        self.odd: list[Event] = []  # gaps and refusals
        self.opened = 0
        self._server = server
        self._over = threading.Event()
        self._socket: ClientConnection | None = None
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            with suppress(OSError, WebSocketException, EOFError):
                url = f"ws://{self._server().address}/api/live"
                with connect(url, max_size=None, compression=None, proxy=None, open_timeout=2) as self._socket:
                    self.opened += 1
                    for session in self.events:
                        self._socket.send(json.dumps({"follow": session, "since": self.cursor(session)}))
                    for message in self._socket:
                        assert len(message) <= 256 * 1024
                        for item in json.loads(message):
                            self._take(item)
            self._over.wait(0.02)

    def _take(self, item: Event) -> None:
        match item:
            case {"session": session, "id": number, "event": event}:
                self.events[session].append((number, event))
            case {"row": row}:
                self.rows[row["id"]] = row
            case {"waits": waits}:
                self.waits.append(waits)
            case {"gap": _} | {"refused": _}:
                self.odd.append(item)

    def until(self, session: str, kind: str, *, past: int = 0) -> Event:
        """The first event of a type past a number."""

        def found() -> Event | None:
            seen = self.events[session]
            return next((event for seq, event in tuple(seen) if seq > past and event and event["type"] == kind), None)

        event: Event = until(found, timeout=30.0)
        return event

    def cursor(self, session: str) -> int:
        """The newest number that was seen."""
        return self.events[session][-1][0] if self.events[session] else 0

    def reached(self, session: str, seq: int) -> bool:
        return self.cursor(session) >= seq

    def reopened(self, before: int) -> bool:
        return self.opened > before

    def shown(self, session: str) -> list[tuple[int, Event]]:
        return [(seq, event) for seq, event in self.events[session] if event is not None]

    def close(self) -> None:
        self._over.set()
        if self._socket is not None:
            self._socket.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def closing() -> Iterator[Callable[[Line], Line]]:
    lines: list[Line] = []

    def keep(line: Line) -> Line:
        lines.append(line)
        return line

    yield keep
    for line in lines:
        line.close()


def shown(frames: list[Frame]) -> list[tuple[int | None, Event]]:
    return [(frame.id, frame.event) for frame in frames if frame.data]


def test_two_followers_and_two_lines_agree_whichever_server_they_ask(
    house: House, closing: Callable[[Line], Line]
) -> None:
    house.agent()
    server, neighbour = house.serve(), house.serve()
    session = server.create(title="t")
    lines = [closing(Line(lambda: server, session)), closing(Line(lambda: neighbour, session))]
    streams = [server.events(session, detail="full"), neighbour.events(session, detail="full")]
    run = server.start(session, DRIP)
    followed = [stream.until("stream_stopped") for stream in streams]
    for line in lines:
        line.until(session, "stream_stopped")
    assert list(run)
    whole = shown(server.log(session, detail="full"))
    last = next(seq for seq, event in whole if event["type"] == "stream_stopped")
    for frames in followed:
        assert [f.id for f in frames if not f.ping] == list(range(1, (last or 0) + 1))
        assert shown(frames) == [pair for pair in whole if (pair[0] or 0) <= (last or 0)]
    for line in lines:
        assert line.shown(session)[: len(shown(followed[0]))] == shown(followed[0])
        assert not line.odd
        until(lambda line=line: line.rows.get(session, {}).get("state") == "idle")
    for stream in streams:
        stream.close()


def test_an_answer_by_one_client_is_told_on_the_line_at_once(house: House, closing: Callable[[Line], Line]) -> None:
    house.agent(text=FILE.format(url=house.model.url))
    server, neighbour = house.serve(), house.serve()
    session = server.create(title="t")
    line, elsewhere = closing(Line(lambda: server, session)), closing(Line(lambda: neighbour, session))
    run = server.start(session, SHELL)
    asked = line.until(session, "tool_call_confirmation")
    assert elsewhere.until(session, "tool_call_confirmation") == asked
    until(lambda: line.rows.get(session, {}).get("state") == "waiting" and line.waits[-1])
    assert [wait["id"] for wait in line.waits[-1]] == [asked["request_id"]]
    answer = neighbour.post(f"/api/waits/{asked['request_id']}", {"confirmation": "approve"})
    assert answer.status == 200, answer
    before = time.monotonic()
    answered = line.until(session, "wait_answered")
    assert time.monotonic() - before < 5
    assert (answered["request_id"], answered["action"]) == (asked["request_id"], "approve")
    assert elsewhere.until(session, "wait_answered") == answered
    assert "tool_call_response" in [frame.type for frame in run]
    for screen in (line, elsewhere):
        until(lambda screen=screen: screen.waits[-1] == [] and screen.rows[session]["state"] == "idle")


def test_a_line_goes_on_after_a_kill_with_nothing_lost_or_doubled(
    house: House, closing: Callable[[Line], Line]
) -> None:
    house.agent()
    servers = [house.serve()]
    session, other = servers[0].create(title="t"), servers[0].create(title="other")
    line = closing(Line(lambda: servers[-1], session, other))
    for more in (30, 50, 70):
        past = line.cursor(session)
        servers[-1].start(session, DRIP, detach=True)
        line.until(session, "agent_choice", past=past)
        until(partial(line.reached, session, past + more))
        opened = line.opened
        servers[-1].kill()
        servers.append(house.serve())
        until(partial(line.reopened, opened))
        servers[-1].until_idle(session)
        stopped = [frame.id or 0 for frame in servers[-1].log(session) if frame.type == "stream_stopped"]
        until(partial(line.reached, session, stopped[-1]))
    whole = shown(servers[-1].log(session, detail="full"))
    until(partial(line.reached, session, whole[-1][0] or 0))
    numbers = [seq for seq, _ in line.events[session]]
    assert numbers == sorted(set(numbers))
    assert line.shown(session)[: len(whole)] == whole
    assert not line.odd
    assert [event["type"] for _, event in line.shown(other)] == ["session_created"]
    assert "turn_resumed" in {event["type"] for _, event in line.shown(session)}


def test_a_session_is_gone_for_a_line_after_its_last_event(house: House, closing: Callable[[Line], Line]) -> None:
    house.agent()
    server = house.serve()
    session = server.create(title="t")
    line = closing(Line(lambda: server, session))
    line.until(session, "session_created")
    assert server.delete(f"/api/sessions/{session}").status == 200
    line.until(session, "session_exited")
    assert line.shown(session)[-1][1]["type"] == "session_exited"


def test_a_thousand_sessions_are_listed_in_full_without_a_pause(house: House) -> None:
    house.agent()
    server = house.serve()
    sessions = [server.create(title=f"session {number}") for number in range(1000)]
    server.run(sessions[0], "[[say hi]]")
    took = []
    for number in range(40):
        server.patch(f"/api/sessions/{sessions[number]}/title", {"title": f"changed {number}"})
        begun = time.perf_counter()
        reply = server.get("/api/sessions?detail=full")
        took.append(time.perf_counter() - begun)
        assert reply.status == 200
    rows = reply.json
    assert [row["id"] for row in rows] == sessions[::-1]
    assert {row["state"] for row in rows} == {"new", "idle"}
    p95 = statistics.quantiles(took, n=20)[-1]
    assert p95 < 0.25, f"95 % within {p95 * 1000:.0f} ms"
