"""A client of `/api/v1` that hides nothing: requests as they are, answers as they come."""

import asyncio
import json
import os
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from acceptance.front import Front, Yard
from acceptance.house import until

R = TypeVar("R")

PATIENCE = 30.0
SECRET = "s3cret-" + "0" * 57


def played(*steps: Any, **more: Any) -> str:
    """A prompt that tells the mock what to do."""
    plan = {"steps": list(steps), **more} if steps else more
    return f"@mock {json.dumps(plan)}"


def talk(text: str) -> str:
    """A prompt that is answered with a text."""
    return played({"say": text})


def events_of(frames: Sequence[Any]) -> list[str]:
    """The types of events."""
    return [one["type"] for one in frames]


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Where sockets live.  The plain client of websockets has two threads at one TLS connection, which now and then
    loses what it was to send."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="sockets", daemon=True).start()
    return loop


def _do(what: Coroutine[Any, Any, R], patience: float = PATIENCE) -> R:
    async def soon() -> R:
        return await asyncio.wait_for(what, patience)

    return asyncio.run_coroutine_threadsafe(soon(), _loop()).result()


class Socket:
    """A WebSocket, for whoever waits."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def recv(self, timeout: float = PATIENCE) -> str | bytes:
        """The next message."""
        return _do(self.connection.recv(), timeout)

    def send(self, message: str | bytes) -> None:
        """Say something."""
        _do(self.connection.send(message))

    def pinged(self) -> None:
        """Ask whether anybody is there, and wait for the answer."""

        async def ping() -> None:
            await (await self.connection.ping())

        _do(ping())

    def close(self) -> None:
        """Say good-bye."""
        _do(self.connection.close())

    def vanish(self) -> None:
        """Be gone without a word."""
        _loop().call_soon_threadsafe(self.connection.transport.abort)


@dataclass
class Feed:
    """What comes over a WebSocket, up to its close frame."""

    socket: Socket
    seen: list[Any] = field(default_factory=list)
    code: int | None = None

    def next(self) -> Any:
        """The next event that is no heartbeat; None at the end."""
        while self.code is None:
            try:
                frame = self.socket.recv()
            except ConnectionClosed as closed:
                assert closed.rcvd is not None, "the connection was cut without a close frame"
                self.code = closed.rcvd.code
                return None
            assert isinstance(frame, str), "events are text"
            event = json.loads(frame)
            if event["type"] != "heartbeat":
                self.seen.append(event)
                return event
        return None

    def until(self, kind: str, fits: Callable[[Any], bool] = lambda event: True) -> Any:
        """Read on to an event of a type."""
        while (event := self.next()) is not None:
            if event["type"] == kind and fits(event):
                return event
        raise AssertionError(f"no {kind}, but {events_of(self.seen)} and {self.code}")

    def rest(self) -> list[Any]:
        """All that comes until the close frame."""
        found = []
        while (event := self.next()) is not None:
            found.append(event)
        return found


class Remote:
    """Somebody with a token, at a server."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None, token: str = SECRET) -> None:
        self.url = url
        self.tls = tls
        self.token = token
        self.http = httpx2.Client(
            base_url=f"{url}/api/v1", verify=tls if tls is not None else True, timeout=PATIENCE, trust_env=False
        )

    @classmethod
    def at(cls, yard: Yard, front: Front, token: str = SECRET) -> "Remote":
        """A client of one of a yard's servers."""
        if front.address.startswith("https"):
            return cls(f"https://localhost:{front.port}", yard.trust(), token)
        return cls(f"http://127.0.0.1:{front.port}", None, token)

    def as_(self, token: str) -> "Remote":
        """Somebody else."""
        return Remote(self.url, self.tls, token)

    def login(self, name: str, password: str) -> "Remote":
        """Somebody with an account."""
        answer = self.ask("POST", "/login", {"username": name, "password": password})
        assert answer.status_code == 200, answer.text
        return self.as_(answer.json()["token"])

    def ask(self, method: str, path: str, body: Any = None, **how: Any) -> httpx2.Response:
        """One request; a body is JSON, unless it is bytes."""
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= how.pop("headers", {})
        if isinstance(body, bytes):
            how["content"] = body
        elif body is not None:
            how["json"] = body
        return self.http.request(method, path, headers=headers, **how)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a path, which is there."""
        return self.good(self.ask("GET", path, params=query or None))

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        """What a request does, which goes well."""
        return self.good(self.ask("POST", path, {} if body is None else body), status)

    def refused(self, method: str, path: str, status: int, body: Any = None, **how: Any) -> str:
        """Why a request is refused."""
        answer = self.ask(method, path, body, **how)
        assert answer.status_code == status, (answer.status_code, answer.text)
        assert answer.headers["content-type"] == "application/json"
        assert list(answer.json()) == ["error"]
        return str(answer.json()["error"])

    @staticmethod
    def good(answer: httpx2.Response, status: int = 200) -> Any:
        """The JSON of an answer, which went well."""
        assert answer.status_code == status, (answer.status_code, answer.text)
        assert answer.headers["content-type"] == "application/json"
        return answer.json()

    # -- sessions -------------------------------------------------------------------------------

    def spawn(self, prompt: str = "hello", **fields: Any) -> str:
        """A new session of the mock."""
        body = {"provider": "mock", "prompt": prompt, "auto_approve": True, **fields}
        return str(self.post("/sessions/spawn", body, 201)["session_id"])

    def ended(self, *sessions: str) -> list[Any]:
        """How sessions have ended, once they have."""
        found = self.post("/sessions/wait", {"session_ids": list(sessions)})
        assert isinstance(found, list)
        return found

    def done(self, prompt: str = "hello", **fields: Any) -> str:
        """A session that has ended."""
        session = self.spawn(prompt, **fields)
        self.ended(session)
        return session

    def events(self, session: str, **query: Any) -> list[Any]:
        """The log of a session."""
        found = self.get(f"/sessions/{session}/events", **query)
        assert isinstance(found, list)
        return found

    def until(self, session: str, kind: str, count: int = 1) -> list[Any]:
        """So many events of a type, once they are there."""
        return until(lambda: found if len(found := self.events(session, type=kind)) >= count else None)

    def status(self, session: str) -> str:
        """How a session is doing."""
        return str(self.get(f"/sessions/{session}/status")["status"])

    # -- streams --------------------------------------------------------------------------------

    @contextmanager
    def feed(self, path: str) -> Iterator[Feed]:
        """A WebSocket."""
        socket = self.connect(path)
        try:
            yield Feed(socket)
        finally:
            socket.close()

    def connect(self, path: str, **how: Any) -> Socket:
        """Dial."""

        async def dial() -> ClientConnection:
            return await connect(
                f"ws{self.url.removeprefix('http')}/api/v1{path}",
                additional_headers={"Authorization": f"Bearer {self.token}"} if self.token else {},
                ssl=self.tls,
                proxy=None,
                open_timeout=PATIENCE,
                **how,
            )

        return Socket(_do(dial()))

    def heard(self, path: str) -> tuple[list[Any], int | None]:
        """All events of a WebSocket that ends, and the code that it ends with."""
        with self.feed(path) as feed:
            return feed.rest(), feed.code

    def turned_away(self, path: str) -> tuple[int, str]:
        """How a WebSocket is refused before its upgrade."""
        try:
            self.connect(path).close()
        except InvalidStatus as refused:
            return refused.response.status_code, json.loads(refused.response.body or b"{}")["error"]
        raise AssertionError("it was accepted")


class Barrier:
    """A named pipe: an agent that reads it goes on when somebody lets it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self.step = {"read": str(path)}

    def lift(self, text: str = "") -> None:
        """Let the agent go on; it says the text."""
        threading.Thread(target=lambda: self._path.write_text(text), daemon=True).start()


@dataclass
class Site:
    """A server with accounts to come, and its operator."""

    yard: Yard
    front: Front
    op: Remote

    @property
    def folder(self) -> Path:
        """Where it works."""
        return self.yard.folder

    def barrier(self, name: str) -> Barrier:
        """Something that an agent waits for."""
        return Barrier(self.folder / name)

    def account(self, name: str, **more: Any) -> Remote:
        """Somebody with a home of their own."""
        home = self.folder / name
        body = {"username": name, "password": "secret", "home_dir": str(home), **more}
        assert self.op.ask("POST", "/users/add", body).status_code in (201, 409)
        return self.op.login(name, "secret")
