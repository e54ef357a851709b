"""Messages on their way: signed, sealed, sent only where they may go, and what becomes of them."""

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import msgspec
import pytest
from anyio.abc import SocketAttribute, SocketStream

from couriers.reader import Reader
from roost.core.browsers import Subscription
from roost.core.errors import BadValue
from roost.core.ids import Micros
from roost.core.notices import Notice
from roost.couriers import couriers
from roost.couriers.couriers import open_couriers
from roost.ports import Delivery

pytestmark = pytest.mark.anyio

NOTICE = Notice(
    wait="w1",
    kind="approval",
    session="s1",
    title="Fix it",
    agent="root",
    tool="shell",
    text="root wants to run shell",
    opened_at=Micros(1_780_000_000_000_000),
    url="https://roost.example/#/inbox",
)


class Post:
    """Somebody who takes messages, and answers as he is told."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        taken, answers = self.taken, self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                taken.append((self.path, {k.lower(): v for k, v in self.headers.items()}, raw))
                status, headers = answers.pop(0) if answers else (201, {})
                self.send_response(status)
                for name, value in {"content-length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def post() -> Iterator[Post]:
    one = Post()
    thread = Thread(target=one.server.serve_forever)
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


def subscribed(url: str, reader: Reader) -> Subscription:
    return Subscription(f"{url}/send/1", "b", "", reader.public, reader.secret, Micros(1))


async def test_a_browser_is_told_who_asks_and_where_but_not_what(post: Post, tmp_path: Path) -> None:
    reader = Reader()
    async with open_couriers(keys=tmp_path / "push.pem", private=True) as couriers:
        assert couriers is not None
        assert not couriers.webhook
        told = await couriers.push(subscribed(post.url, reader), NOTICE)
        assert told.outcome == "done"
        ((path, headers, raw),) = post.taken
        assert path == "/send/1"
        assert headers["content-encoding"] == "aes128gcm"
        assert headers["ttl"] == "86400"
        assert headers["urgency"] == "high"
        assert len(headers["topic"]) == 32
        assert headers["authorization"].endswith(f"k={couriers.key}")
        assert b"Fix it" not in raw
        assert msgspec.json.decode(reader.read(raw)) == {
            "title": "Fix it",
            "body": "root wants to run shell",
            "tag": "w1",
            "go": "#/inbox",
            "session": "s1",
        }


async def test_a_webhook_is_told_and_can_check_by_whom(post: Post) -> None:
    async with open_couriers(hook=f"{post.url}/hook", secret="s3cret") as couriers:
        assert couriers is not None
        assert (couriers.webhook, couriers.key) == (f"{post.url}/hook", "")
        assert (await couriers.hook(NOTICE)).outcome == "done"
    ((_, headers, raw),) = post.taken
    fields = dict(part.split("=") for part in headers["roost-signature"].split(","))
    wanted = hmac.new(b"s3cret", f"{fields['t']}.".encode() + raw, hashlib.sha256).hexdigest()
    assert fields["v1"] == wanted
    assert headers["content-type"] == "application/json"
    assert msgspec.json.decode(raw) == {
        "type": "wait.opened",
        "id": "w1",
        "kind": "approval",
        "session_id": "s1",
        "title": "Fix it",
        "agent": "root",
        "opened_at": "2026-05-28T20:26:40Z",
        "text": "root wants to run shell (Fix it)",
        "tool": "shell",
        "url": "https://roost.example/#/inbox",
    }


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "after"),
    [
        (200, {}, "done", 0),
        (204, {}, "done", 0),
        (404, {}, "gone", 0),
        (410, {}, "gone", 0),
        (429, {"retry-after": "17"}, "again", 17),
        (503, {"retry-after": "soon"}, "again", 0),
        (400, {}, "refused", 0),
        (403, {}, "refused", 0),
        (307, {"location": "/elsewhere"}, "refused", 0),
    ],
)
async def test_what_an_answer_means(
    post: Post, tmp_path: Path, status: int, headers: dict[str, str], outcome: str, after: float
) -> None:
    post.answers.append((status, headers))
    async with open_couriers(keys=tmp_path / "push.pem", private=True) as couriers:
        assert couriers is not None
        told = await couriers.push(subscribed(post.url, Reader()), NOTICE)
        assert (told.outcome, told.after) == (outcome, after)
    assert len(post.taken) == 1


async def test_nobody_there_may_come_back(tmp_path: Path) -> None:
    async with open_couriers(hook="http://127.0.0.1:9/", secret="s") as couriers:
        assert couriers is not None
        assert (await couriers.hook(NOTICE)).outcome == "again"


async def test_who_answers_byte_by_byte_is_late_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "PATIENCE", 0.3)

    async def dawdle(stream: SocketStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
            await stream.send(b"HTTP/1.1 201 Created\r\n")
            while True:
                await stream.send(b"x-more: 1\r\n")
                await anyio.sleep(0.05)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, dawdle)
        port = listener.extra(SocketAttribute.local_port)
        async with open_couriers(hook=f"http://127.0.0.1:{port}/", secret="s") as sent:
            assert sent is not None
            with anyio.fail_after(10):
                assert await sent.hook(NOTICE) == Delivery("again", "no answer in time")
        tasks.cancel_scope.cancel()


async def test_no_browser_leads_us_to_private_addresses(post: Post, tmp_path: Path) -> None:
    async with open_couriers(keys=tmp_path / "push.pem") as couriers:
        assert couriers is not None
        for url in (post.url, "https://127.0.0.1:9", "https://localhost:9", "https://[::1]:9", "https://10.0.0.1"):
            told = await couriers.push(subscribed(url, Reader()), NOTICE)
            assert (told.outcome, "open internet" in told.why) == ("refused", True), url
    assert post.taken == []


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example/x",
        "ftp://push.example",
        "https://",
        "https://u:p@push.example",
        "nonsense",
        "https://push.example/" + "x" * 2000,
    ],
)
async def test_endpoints_that_are_none_are_refused(tmp_path: Path, endpoint: str) -> None:
    reader = Reader()
    async with open_couriers(keys=tmp_path / "push.pem") as couriers:
        assert couriers is not None
        couriers.check(Subscription("https://push.example/x", "", "", reader.public, reader.secret, Micros(1)))
        with pytest.raises(BadValue, match="endpoint"):
            couriers.check(Subscription(endpoint, "", "", reader.public, reader.secret, Micros(1)))


async def test_without_settings_there_are_none(tmp_path: Path) -> None:
    async with open_couriers() as couriers:
        assert couriers is None
