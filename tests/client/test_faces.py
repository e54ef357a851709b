"""What both faces make of servers that are busy, garbled, elsewhere or not there, and how each of them is come by."""

import datetime
import itertools
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

import roost
from client.faces import BOTH, Face, Make, making
from fakes.api import SID, TOKEN, FakeApi, P, serving
from fakes.line import line
from roost.cli.inprocess import InProcess
from roost.client import Blocking, connection, exchange, requests, shapes
from roost.client import happenings as h
from roost.client.client import Client
from roost.client.errors import (
    Conflict,
    Cut,
    Forbidden,
    Garbled,
    Missing,
    Nowhere,
    Overloaded,
    Refused,
    Unreachable,
    Untrusted,
)
from roost.client.requests import Order
from roost.client.server import Server
from roost.client.shapes import Waiting
from roost.core.errors import BadValue
from roost.wire.sse import Parser

STATUS = f"GET {P}/sessions/{SID}/status"
SPAWN = f"POST {P}/sessions/spawn"


class Busy(FakeApi):
    """Refuses some requests, and says when to come again."""

    def __init__(self, times: int, after: str, status: int = 429) -> None:
        super().__init__()
        self.left = times
        self.after = after.encode()
        self.status = status

    async def _http(self, scope: Any, receive: Any, send: Any) -> None:
        async def busily(message: Any) -> None:
            if message["type"] == "http.response.start" and self.left:
                self.left -= 1
                message = {**message, "status": self.status}
                message["headers"] = [*message["headers"], (b"retry-after", self.after)]
            await send(message)

        await super()._http(scope, receive, busily)


@pytest.fixture
def busy(request: pytest.FixtureRequest) -> Iterator[FakeApi]:
    with serving(Busy(*request.param)) as fake:
        yield fake


@pytest.mark.parametrize(
    "busy", [(2, "0", 429), (1, "0.1", 503), (1, "Wed, 21 Oct 2015 07:28:00 GMT", 503)], indirect=True
)
def test_a_busy_server_is_asked_again_when_it_says(busy: FakeApi, face: Make) -> None:
    assert face(Server(busy.url, token=TOKEN)).ask(requests.status(SID)).status == "running"
    assert len(busy.seen) > 1


@pytest.mark.parametrize("busy", [(99, "3600", 429)], indirect=True)
def test_not_so_long_though(busy: FakeApi, face: Make) -> None:
    with pytest.raises(Refused) as error:
        face(Server(busy.url, token=TOKEN)).ask(requests.status(SID))
    assert error.value.retry_after == 3600
    assert len(busy.seen) == 1


@pytest.mark.parametrize("busy", [(1, "0", 429)], indirect=True)
def test_what_may_not_be_done_twice_is_asked_once(busy: FakeApi, face: Make) -> None:
    with pytest.raises(Refused) as error:
        face(Server(busy.url, token=TOKEN)).spawn(Order(prompt="once"))
    assert error.value.status == 429
    assert len(busy.seen) == 1


@pytest.mark.parametrize("busy", [(1, "0", 429)], indirect=True)
def test_but_a_follow_up_that_has_a_key_may(busy: FakeApi, face: Make) -> None:
    busy.answers[f"POST /api/sessions/{SID}/followup"] = (202, {"status": "queued", "duplicate": False})
    client = face(Server(busy.url, token=TOKEN))
    assert client.followup(SID, "and then?", key="k1").status == "queued"
    assert [one.headers["idempotency-key"] for one in busy.seen] == ["k1", "k1"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, Forbidden),
        (403, Forbidden),
        (404, Missing),
        (410, Missing),
        (409, Conflict),
        (429, Overloaded),
        (503, Overloaded),
    ],
)
def test_each_refusal_has_its_type_and_says_what_was_asked(
    api: FakeApi, client: Face, status: int, kind: type[Refused]
) -> None:
    api.answers[STATUS] = (status, {"error": "no", "code": "because"})
    with pytest.raises(Refused) as error:
        client.status(SID)
    assert type(error.value) is kind
    assert (error.value.status, error.value.code, str(error.value)) == (status, "because", "no")
    assert error.value.__notes__ == [f"{STATUS}: {status} because"]


def test_a_client_waits_as_long_as_it_was_told(face: Make, api: FakeApi) -> None:
    import threading

    api.hold = threading.Event()
    client = face(Server(api.url, token=TOKEN), timeout=0.1)
    with pytest.raises(Unreachable, match=r"no answer within 0\.1 s"):
        client.status(SID)
    api.hold.set()
    assert client.ask(requests.status(SID), timeout=10).status == "running"


@pytest.mark.parametrize(
    "error",
    [
        Missing(404, "no", "unknown_session"),
        Overloaded(503, "later", retry_after=2.0),
        Unreachable("http://h", "connection refused"),
        Cut("http://h", "it closed the connection"),
        Untrusted("https://h", "self-signed certificate", "ab" * 32),
    ],
)
def test_an_error_reaches_another_process_as_it_is(error: Exception) -> None:
    error.add_note("GET /api/sessions/s")
    found = pickle.loads(pickle.dumps(error))
    assert (type(found), str(found), vars(found)) == (type(error), str(error), vars(error))


def test_a_session_is_meant_by_its_id(client: Face) -> None:
    with pytest.raises(BadValue, match="an id is a text, and Made is none"):
        client.snapshot(shapes.Made(SID))


def test_a_client_says_where_it_goes_and_not_with_which_token(api: FakeApi) -> None:
    for kind in (Client, Blocking):
        assert repr(kind(api.url, token=TOKEN)) == f"{kind.__name__}({api.url!r})"


# -- streams that are none ----------------------------------------------------------------------


class Streaming:
    """Answers every request with the same bytes, as a stream of events or what claims to be one."""

    def __init__(self, *bodies: bytes, kind: str = "text/event-stream", status: int = 200) -> None:
        self.bodies = iter(bodies)
        self.kind = kind
        self.status = status
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.asked.append(scope["query_string"].decode())
        head = [(b"content-type", self.kind.encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        await send({"type": "http.response.body", "body": next(self.bodies)})


@pytest.fixture
def streaming(face: Make) -> Iterator[Callable[..., tuple[Face, Streaming]]]:
    from contextlib import ExitStack

    with ExitStack() as stack:

        def make(*bodies: bytes, **how: Any) -> tuple[Face, Streaming]:
            fake = Streaming(*bodies, **how)
            served: Any = fake
            served = stack.enter_context(serving(served))
            return face(Server(served.url)), fake

        yield make


def frame(seq: int | None, **event: Any) -> bytes:
    return (b"" if seq is None else b"id: %d\n" % seq) + b"data: " + json.dumps(event).encode() + b"\n\n"


END = frame(99, type="session_exited")


def test_a_page_is_no_stream(streaming: Any) -> None:
    client, _ = streaming(b"<html>Welcome</html>", kind="text/html")
    with pytest.raises(Garbled, match="no stream of events came, but text/html"):
        list(client.follow("s"))


def test_what_is_no_json_is_no_event(streaming: Any) -> None:
    client, _ = streaming(b"id: 1\ndata: <html>\n\n")
    with pytest.raises(Garbled, match="an event of the server is not understood"):
        list(client.follow("s"))


def test_an_event_without_end_is_refused(streaming: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from roost.client import following

    monkeypatch.setattr(following, "Parser", lambda: Parser(1000))
    client, _ = streaming(b"data: " + b"x" * 2000)
    with pytest.raises(Garbled, match="is too long"):
        list(client.follow("s"))


def test_an_event_of_a_newer_server_is_passed_on_as_it_came(streaming: Any) -> None:
    client, _ = streaming(frame(1, type="mood", session_id="s", how={"good": True}) + END)
    found = list(client.follow("s"))
    assert found[0] == h.Other(
        type="mood", raw=b'{"type": "mood", "session_id": "s", "how": {"good": true}}', seq=1, session_id="s"
    )


def test_one_that_is_not_what_its_type_says_is_passed_on_too(streaming: Any) -> None:
    client, _ = streaming(frame(1, type="agent_choice", content={"no": "text"}) + END)
    assert isinstance(next(iter(client.follow("s"))), h.Other)


def test_events_without_a_number_have_none_and_are_not_taken_for_old_ones(streaming: Any) -> None:
    client, _ = streaming(
        frame(5, type="warning", message="a") + b"id: 6\n\n" + frame(None, type="error", error="b") + END
    )
    assert [(one.type, one.seq) for one in client.follow("s")] == [("warning", 5), ("error", 0), ("session_exited", 99)]


def test_ids_alone_move_the_cursor(streaming: Any) -> None:
    client, fake = streaming(b": ping\n\nid: 7\n\n", frame(8, type="warning", message="a") + END)
    assert [one.seq for one in client.follow("s", 3)] == [8, 99]
    assert fake.asked == ["detail=full&since=3", "detail=full&since=7"]


def test_a_server_that_sends_all_again_is_read_once(streaming: Any) -> None:
    events = [frame(n, type="warning", message=str(n)) for n in range(1, 5)]
    client, _ = streaming(b"".join(events[:3]), b"".join(events) + END)
    assert [one.seq for one in client.follow("s")] == [1, 2, 3, 4, 99]


def test_a_server_that_is_starting_is_waited_for(streaming: Any) -> None:
    said: list[str] = []
    client, fake = streaming(b"", b"", kind="text/plain", status=503)
    with pytest.raises(Refused) as error:
        list(client.follow("s", told=said.append, patience=0.04))
    assert error.value.status == 503
    assert len(fake.asked) == 2


def test_an_answer_whose_head_was_cut_is_no_answer(api: FakeApi, face: Make) -> None:
    """Wherever that was: a header that lost its end must not be taken for a shorter one."""
    with line(api.url) as wire:
        client = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN))
        for length in range(1, 150, 3):
            wire.shorten([length, length])
            with pytest.raises(Cut):
                client.spawn(Order(prompt="once"))


# -- where the server is ------------------------------------------------------------------------


def home(tmp_path: Path, **env: str) -> dict[str, str]:
    return {"ROOST_HOME": str(tmp_path), **env}


@pytest.mark.parametrize("kind", [Client, Blocking])
def test_here_is_nobody(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(Nowhere, match="no server runs here: `roost serve` starts one"):
        kind.here(home(tmp_path))


@pytest.mark.parametrize("kind", [Client, Blocking])
def test_here_is_where_commands_go(tmp_path: Path, kind: Any) -> None:
    import os

    record = {"pid": os.getpid(), "address": "http://127.0.0.1:2100", "token": "t1"}
    (tmp_path / "serve.json").write_text(json.dumps(record))
    assert kind.here(home(tmp_path)).server == Server("http://127.0.0.1:2100", token="t1")
    connection.write(tmp_path, Server("https://build.example:2100", token="t2"))
    assert kind.here(home(tmp_path)).server.url == "https://build.example:2100"
    inside = home(tmp_path, ROOST_SESSION_ID="s", ROOST_URL="http://127.0.0.1:9", ROOST_TOKEN="t3")
    assert kind.here(inside).server == Server("http://127.0.0.1:9", token="t3")


@pytest.mark.parametrize("kind", [Client, Blocking])
def test_a_session_talks_to_no_other_server(tmp_path: Path, kind: Any) -> None:
    connection.write(tmp_path, Server("https://build.example:2100", token="t2"))
    with pytest.raises(Nowhere, match="a session talks to no other"):
        kind.here(home(tmp_path, ROOST_SESSION_ID="s"))


# -- the asynchronous one -----------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_transport_of_ones_own(api: FakeApi) -> None:
    async with Client(transport=InProcess(api), token=TOKEN) as client:
        assert (await client.status(SID)).status == "running"
        [found] = await client.waits()
        assert isinstance(found, Waiting)
        assert found.tool_call is not None
        assert found.tool_call.name == "Bash"
        with pytest.raises(BadValue, match="needs a server's address"):
            await anext(client.stream(SID))


@pytest.mark.anyio
async def test_many_at_once_on_one_client(api: FakeApi) -> None:
    async with Client(api.url, token=TOKEN) as client, anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(client.status, SID)
    assert len(api.seen) == 50


@pytest.mark.anyio
async def test_a_request_that_is_cancelled_leaves_the_client_whole(api: FakeApi) -> None:
    import threading

    api.hold, api.held = threading.Event(), f"{P}/sessions/{SID}/output"
    async with Client(api.url, token=TOKEN) as client:
        with anyio.move_on_after(0.1) as scope:
            await client.output(SID)
        assert scope.cancelled_caught
        assert (await client.status(SID)).status == "running"
        api.hold.set()


@pytest.mark.anyio
async def test_a_watcher_is_told_of_each_request(api: FakeApi) -> None:
    told: list[tuple[str, str, int]] = []
    async with Client(api.url, token=TOKEN, watch=lambda *seen: told.append(seen[:3])) as client:
        await client.status(SID)
        with pytest.raises(Refused):
            await client.status("nobody")
    assert told == [
        ("GET", f"{P}/sessions/{SID}/status", 200),
        ("GET", f"{P}/sessions/nobody/status", 404),
    ]


def test_a_certificate_that_is_pinned_may_be_out_of_date(face: Make) -> None:
    authority = trustme.CA()
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)

    class Old(trustme.CA):
        def issue_cert(self, *names: str, **how: Any) -> trustme.LeafCert:
            return authority.issue_cert(*names, **how, not_before=past, not_after=past + datetime.timedelta(1))

    with serving(FakeApi(), tls=Old()) as fake:
        assert face(Server(fake.url, token=TOKEN, fingerprint=fake.fingerprint)).status(SID).status == "running"


def test_another_certificate_behind_the_same_address_is_not_shown_the_token(face: Make) -> None:
    with serving(FakeApi(), tls=trustme.CA()) as one, serving(FakeApi(), tls=trustme.CA()) as other:
        with line(one.url) as wire:
            there = f"https://127.0.0.1:{wire.port}"
            client = face(Server(there, token=TOKEN, fingerprint=one.fingerprint))
            assert client.status(SID).status == "running"
            wire.lead(other.url)
            wire.cut()
            with pytest.raises(Untrusted) as error:
                client.status(SID)
            assert error.value.fingerprint == other.fingerprint
            with pytest.raises(Untrusted):
                next(iter(client.follow(SID)))
            with pytest.raises(Untrusted):
                next(iter(client.stream(SID)))
        assert other.seen == []


# -- how they are loaded ------------------------------------------------------------------------


def loaded(code: str) -> set[str]:
    """The modules that a program has loaded in the end."""
    source = str(Path(roost.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_blocking_face_needs_the_standard_library_alone() -> None:
    heavy = {"asyncio", "anyio", "httpx2", "websockets"}
    assert not loaded("from roost.client import Blocking; Blocking('http://x').close()") & heavy
    assert not loaded("import roost, roost.client.talk, roost.client.happenings") & heavy
    assert {"httpx2", "anyio"} <= loaded("from roost import Client")


def test_what_is_loaded_when_it_is_named_is_offered_before() -> None:
    assert "Client" in dir(roost)
    assert {"Client", "Blocking"} <= set(dir(roost.client))


def test_a_name_that_is_not_there_is_said() -> None:
    with pytest.raises(ImportError):
        exec("from roost import Nothing")
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = roost.client.Nothing  # type: ignore[attr-defined]


def test_both_faces_offer_the_same() -> None:
    def names(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert names(Client) - names(Blocking) == {"aclose"}
    assert names(Blocking) - names(Client) == {"close", "open", "read"}


@pytest.mark.parametrize("kind", BOTH)
def test_a_slow_line_is_waited_for_as_long_as_was_said(kind: str) -> None:
    import threading

    with making(kind) as make, serving(FakeApi()) as fake:
        fake.hold = threading.Event()
        client = make(Server(fake.url, token=TOKEN))
        with pytest.raises(Unreachable, match=r"no answer within 0\.1 s"):
            client.ask(requests.status(SID), timeout=0.1)
        fake.hold.set()


def test_tries_come_to_an_end() -> None:
    tries = exchange.Tries(requests.status(SID), 1.0)
    waited = itertools.count()
    with pytest.raises(Refused):
        while True:
            next(waited)
            tries.again(Refused(429, "busy", retry_after=2.0))
    assert next(waited) == 1
