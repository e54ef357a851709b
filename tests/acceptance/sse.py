"""What a client sees on a stream: frames, and a follower that comes back after each break."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

BROKEN = (OSError, http.client.HTTPException, ValueError)


@dataclass(frozen=True)
class Frame:
    """One frame as it came: `raw` has its bytes without the blank line that ends it."""

    raw: bytes

    @cached_property
    def id(self) -> int | None:
        return next((int(line[4:]) for line in self.raw.split(b"\n") if line.startswith(b"id: ")), None)

    @cached_property
    def data(self) -> bytes | None:
        return next((line[6:] for line in self.raw.split(b"\n") if line.startswith(b"data: ")), None)

    @cached_property
    def event(self) -> dict[str, Any]:
        """The event; {} for a frame that only moves the cursor, or a comment."""
        found: dict[str, Any] = json.loads(self.data) if self.data else {}
        return found

    @property
    def type(self) -> str:
        return str(self.event.get("type", ""))

    @property
    def ping(self) -> bool:
        return self.raw.startswith(b":")


class Frames:
    """Feed it bytes as they come; get back the frames that are complete."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> list[Frame]:
        *frames, self.rest = (self.rest + chunk).split(b"\n\n")
        return [Frame(raw) for raw in frames]


class Stream:
    """An answer that is read as it comes."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self._connection = connection
        self._socket = connection.sock
        self._response = response
        self._frames = Frames()
        self._waiting = deque[Frame]()

    def __iter__(self) -> Iterator[Frame]:
        """Every frame until the server closes the stream; whoever stops and comes back misses none.

        Raises:
            OSError, http.client.HTTPException: the line was cut.
        """
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            chunk = self._response.read1(1 << 16)
            if not chunk:
                return
            self._waiting += self._frames.feed(chunk)

    def read(self) -> bytes:
        return self._response.read()

    def patience(self, seconds: float) -> None:
        """How long a read waits for bytes."""
        (self._connection.sock or self._socket).settimeout(seconds)

    def until(self, wanted: Callable[[Frame], bool] | str, *, timeout: float = 20.0) -> list[Frame]:
        """The frames up to the wanted one (a type, or a test), which is the last."""
        deadline, seen = time.monotonic() + timeout, list[Frame]()
        self.patience(timeout)
        for frame in self:
            seen.append(frame)
            if frame.type == wanted if isinstance(wanted, str) else wanted(frame):
                return seen
            assert time.monotonic() < deadline, f"no {wanted} among {[f.type for f in seen]}"
        raise AssertionError(f"the stream ended without {wanted}: {[f.event for f in seen[-5:]]}")

    def hang_up(self) -> None:
        """Cut the line, also under a thread that reads from it."""
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up, as a client that goes away does."""
        self._response.close()
        self._connection.close()


class Follower:
    """A client that follows a session, and comes back with its cursor after each break."""

    def __init__(self, opened: Callable[[int], Stream], *, since: int = 0) -> None:
        self.frames: list[Frame] = []  # those with an id, in the order in which they came
        self.strays: list[Frame] = []  # those without: gap, error …
        self.exited = False
        self.last = since
        self._opened = opened
        self._grown = threading.Condition()
        self._stop = threading.Event()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(BROKEN):
                self._listen()
            if self.exited:
                return
            self._stop.wait(0.02)

    def _listen(self) -> None:
        stream = self._stream = self._opened(self.last)
        try:
            if stream.status != 200:
                self.strays.append(Frame(b"data: " + json.dumps({"status": stream.status}).encode()))
                return
            stream.patience(40.0)
            for frame in stream:
                self._take(frame)
        finally:
            stream.close()

    def _take(self, frame: Frame) -> None:
        if frame.ping:
            return
        with self._grown:
            if frame.id is None:
                self.strays.append(frame)
            else:
                self.frames.append(frame)
                self.last = frame.id
                self.exited = frame.type == "session_exited"
            self._grown.notify_all()

    def until(self, wanted: Callable[[Frame], bool] | str, *, after: int = 0, timeout: float = 30.0) -> Frame:
        """The first frame past `after` that is wanted: a type, or a test.

        Raises:
            AssertionError: it did not come in time.
        """

        def found() -> Frame | None:
            past = (f for f in self.frames if f.id is not None and f.id > after)
            return next((f for f in past if (f.type == wanted if isinstance(wanted, str) else wanted(f))), None)

        with self._grown:
            self._grown.wait_for(lambda: found() is not None, timeout)
            frame = found()
        assert frame is not None, f"no {wanted} past {after}: {self.types(after)[-20:]}"
        return frame

    def until_seq(self, seq: int, *, timeout: float = 30.0) -> None:
        """Wait until the cursor stands at `seq`."""
        with self._grown:
            assert self._grown.wait_for(lambda: self.last >= seq, timeout), f"stands at {self.last}, not {seq}"

    def types(self, after: int = 0) -> list[str]:
        """The types of the events past `after`."""
        return [f.type for f in self.frames if f.id is not None and f.id > after and f.type]

    def stop(self) -> None:
        self._stop.set()
        if self._stream is not None:
            with contextlib.suppress(BROKEN):
                self._stream.hang_up()
        self._thread.join(5)


def follow_plainly(client: Any, session: str, since: int) -> Follower:
    """A follower that names its cursor in the query, as the Go client does."""

    def opened(last: int) -> Stream:
        found: Stream = client.open("GET", f"/api/sessions/{session}/events?since={last}", timeout=5.0)
        return found

    return Follower(opened, since=since)
