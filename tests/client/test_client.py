"""Requests over a line that is kept, and what goes wrong on it."""

import socket
import threading
from pathlib import Path

import pytest

from client.faces import Face, Make
from fakes.api import OTHER, SID, TOKEN, FakeApi, P, serving
from fakes.line import line
from roost.client import requests
from roost.client.errors import Cut, Garbled, Refused, Unreachable
from roost.client.exchange import refused
from roost.client.requests import Order, Target
from roost.client.server import Server
from roost.core.errors import BadValue, RoostError


def test_answers_are_typed(client: Face) -> None:
    assert client.ask(requests.health()).version == "1.2.3"
    first, second = client.ask(requests.sessions())
    assert (first.name, first.tags, second.name) == ("indexer", ("nightly",), None)
    assert client.ask(requests.status(SID)).pid == 48213
    assert client.ask(requests.spawn(Order(prompt="hi"))).session_id == SID
    assert [event.type for event in client.ask(requests.events(SID))][-1] == "session_ended"
    assert client.ask(requests.summary(Target([SID])))[0].tool_calls == {"Bash": 2, "Edit": 1}
    assert client.ask(requests.capability("claude")).features["resume"].native


def test_a_request_carries_the_token_and_a_body_its_type(api: FakeApi, client: Face) -> None:
    client.ask(requests.health())
    client.ask(requests.cancel(SID))
    client.ask(requests.status(SID))
    health, cancel, status = api.seen
    assert "authorization" not in health.headers
    assert cancel.headers["authorization"] == f"Bearer {TOKEN}"
    assert (cancel.body, cancel.headers["content-type"]) == (b"{}", "application/json")
    assert "content-type" not in status.headers
    assert status.headers["host"] == api.url.removeprefix("http://")


def test_what_is_none_is_not_sent_and_names_are_quoted(api: FakeApi, client: Face) -> None:
    with pytest.raises(Refused):
        client.ask(requests.status("../a b/é\0"))
    client.ask(requests.sessions(tag="a&b", limit=3, everywhere=True))
    client.ask(requests.spawn(Order(prompt="hi", tags=["x"], auto_approve=True)))
    assert [one.target for one in api.seen] == [
        f"{P}/sessions/..%2Fa%20b%2F%C3%A9%00/status",
        f"{P}/sessions?tag=a%26b&limit=3&global=true",
        f"{P}/sessions/spawn",
    ]
    assert api.seen[-1].json == {"prompt": "hi", "tags": ["x"], "auto_approve": True}


def test_several_requests_share_a_line(api: FakeApi, face: Make) -> None:
    with line(api.url) as wire:
        client = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN))
        for _ in range(3):
            client.ask(requests.status(SID))
        assert wire.opened == 1


def test_a_line_that_the_server_closed_is_opened_anew(api: FakeApi, face: Make) -> None:
    with line(api.url) as wire:
        client = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN))
        client.ask(requests.status(SID))
        wire.cut()
        assert client.ask(requests.spawn(Order(prompt="once"))).session_id == SID
        assert (wire.opened, len(api.seen)) == (2, 2)


def test_a_line_cut_before_the_answer_is_no_reason_to_ask_twice(api: FakeApi, face: Make) -> None:
    api.hold = threading.Event()
    with line(api.url) as wire:
        client = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN))
        failed: list[RoostError] = []
        asking = threading.Thread(target=lambda: failed.append(caught(client)))
        asking.start()
        while not api.seen:
            asking.join(0.01)
        wire.cut()
        asking.join(10)
        api.hold.set()
    assert isinstance(failed[0], Cut)
    assert len(api.seen) == 1


def caught(client: Face) -> RoostError:
    with pytest.raises(RoostError) as error:
        client.ask(requests.spawn(Order(prompt="once")))
    return error.value


def test_who_is_silent_for_too_long_is_given_up(api: FakeApi, client: Face) -> None:
    api.hold = threading.Event()
    with pytest.raises(Unreachable, match=r"no answer within 0\.2 s") as error:
        client.ask(requests.health(), timeout=0.2)
    assert not isinstance(error.value, Cut)
    api.hold.set()


def test_nobody_there_is_said(face: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match="connection refused"):
        face(Server(f"http://127.0.0.1:{port}")).ask(requests.health())


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (404, {"error": "Session not found: 0b7e"}, "Session not found: 0b7e"),
        (409, {"message": "busy", "code": "session_busy"}, "busy"),
        (401, "Invalid token", "Invalid token"),
        (502, "<html>Bad gateway</html>", "the server answered 502"),
        (500, "", "the server answered 500"),
    ],
)
def test_a_refusal_says_what_the_server_said(
    api: FakeApi, client: Face, status: int, answer: object, says: str
) -> None:
    api.answers[f"GET {P}/sessions/{SID}/status"] = (status, answer)
    with pytest.raises(Refused) as error:
        client.ask(requests.status(SID))
    assert (error.value.status, str(error.value)) == (status, says)


def test_what_is_no_answer_is_said(api: FakeApi, client: Face) -> None:
    api.answers[f"GET {P}/sessions/{SID}/status"] = (200, "<html>Welcome</html>")
    with pytest.raises(Garbled, match="is not understood"):
        client.ask(requests.status(SID))


def test_fields_of_a_newer_server_are_left_aside_and_missing_ones_are_none(api: FakeApi, client: Face) -> None:
    api.answers[f"GET {P}/sessions/{OTHER}"] = (200, {"session_id": OTHER, "mood": {"good": True}, "model": None})
    found = client.ask(requests.session(OTHER))
    assert (found.session_id, found.provider, found.model, found.status) == (OTHER, "", None, None)


def test_a_unix_socket_of_any_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, face: Make) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    monkeypatch.chdir(folder)
    with serving(FakeApi(), path=Path("s.sock")) as fake:
        client = face(Server(f"unix://{folder}/s.sock", token=TOKEN))
        assert client.ask(requests.status(SID)).status == "running"
        assert fake.seen[0].headers["host"] == "localhost"


def test_a_path_before_the_api_is_kept(api: FakeApi, face: Make) -> None:
    client = face(Server(f"{api.url}/roost", token=TOKEN))
    with pytest.raises(Refused):
        client.ask(requests.status(SID))
    assert api.seen[0].target == f"/roost{P}/sessions/{SID}/status"


@pytest.mark.parametrize("url", ["ftp://x", "https://", "http://a:b@c", "http://x:99999", "http://x/?a=b", "unix://"])
def test_what_is_no_address_is_said(url: str, face: Make) -> None:
    with pytest.raises(BadValue, match="is no address of a server"):
        face(Server(url)).ask(requests.health())


def test_a_server_does_not_print_its_token() -> None:
    assert "secret" not in repr(Server("https://x", token="secret"))


def test_a_long_refusal_is_cut_short() -> None:
    assert len(str(refused(requests.health(), 500, b"x" * 10_000, {}.get))) == 2000
