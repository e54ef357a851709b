"""The hatch: what the tool server of a CLI that we run may ask, on a private Unix socket.

A connection is one question: a line of JSON with `token`, `method`, `params`, `key` and `again`, and one
with `result` or `error` comes back.  A client that leaves withdraws it.  Where the server stops first
there is no answer, and the client asks the next server, with the same `key`.
"""

import fcntl
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.abc import ByteReceiveStream, SocketListener, SocketStream
from msgspec import Struct

from roost.core.errors import BadValue, Denied, RoostError, ShuttingDown
from roost.core.ids import RunId
from roost.core.principals import Principal
from roost.doors.errors import INTERNAL
from roost.service.children import Child, Children
from roost.service.orders import Request
from roost.service.service import Service

log = logging.getLogger(__name__)

LONGEST = 24 << 20  # bytes of a question
PATIENCE = 10.0  # seconds for a question to come
WAITS = 45.0  # seconds that a wait lasts unless it says otherwise
LONGEST_WAIT = 3600.0
NEIGHBOUR = 1.0  # seconds between two looks whether another server on our database still has the socket

Whose = Callable[[str], RunId | None]


class Question(Struct):
    """A line."""

    token: str
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")
    key: str = ""
    again: bool = False  # it may have been asked before


class Spawn(Struct, forbid_unknown_fields=True):
    """Start a session."""

    prompt: str
    provider: str = ""
    model: str = ""
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    root: str = ""
    system_prompt: str | None = None
    depends_on: tuple[str, ...] = ()
    max_turns: int | None = None
    timeout: str = ""


class Some(Struct, forbid_unknown_fields=True):
    """Sessions by id; none are all."""

    ids: tuple[str, ...] = ()


class Wait(Some, forbid_unknown_fields=True):
    """Until they have ended."""

    timeout: float = WAITS
    any: bool = False


class Ask(Struct, forbid_unknown_fields=True):
    """Something of a provider, or of a session."""

    agent: str
    prompt: str
    model: str = ""
    name: str = ""
    timeout: float = WAITS


class Hatch:
    """Answers; `whose` knows the tokens."""

    def __init__(self, service: Service, whose: Whose, path: Path) -> None:
        self._children: Children = service.children
        self._whose = whose
        self._path = path

    async def serve(self) -> None:
        """Listen until cancelled; one server of several on a database does at a time."""
        async with await self._turn(), _listening(self._path) as listener:
            await listener.serve(self._attend)

    async def _turn(self) -> "_Lock":
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _Lock(self._path.with_suffix(".lock"))
        while not lock.take():  # noqa: ASYNC110  # nobody tells of it
            await anyio.sleep(NEIGHBOUR)
        return lock

    async def _attend(self, stream: SocketStream) -> None:
        async with stream:
            try:
                with anyio.fail_after(PATIENCE):
                    question = await _line(stream)
                if reply := await self._while_there(stream, question):
                    await stream.send(msgspec.json.encode(reply) + b"\n")
            except (TimeoutError, anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                return
            except Exception:
                log.exception("a question at the hatch failed", extra={"action": "hatch_failed"})

    async def _while_there(self, stream: SocketStream, question: bytes) -> dict[str, Any] | None:
        """The answer; None when nobody wants it any more, or the server stops."""
        reply: dict[str, Any] | None = None

        async def leave() -> None:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                await stream.receive()
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave)
            reply = await self._reply(question)
            tasks.cancel_scope.cancel()
        return reply

    async def _reply(self, line: bytes) -> dict[str, Any] | None:
        try:
            return {"result": await self._answer(line)}
        except ShuttingDown:
            return None
        except RoostError as error:
            return {"error": error.message}
        except msgspec.MsgspecError as error:
            return {"error": f"the arguments can't be used: {error}"}
        except Exception:
            log.exception("a question at the hatch failed", extra={"action": "hatch_failed"})
            return {"error": INTERNAL}

    async def _answer(self, line: bytes) -> Child | list[Child]:
        asked = msgspec.json.decode(line, type=Question)
        run = self._whose(asked.token)
        if run is None:
            raise Denied("this token opens nothing")
        caller = await self._children.admit(run)
        match asked.method:
            case "spawn":
                return await self._spawn(caller, asked)
            case "ask":
                return await self._ask(caller, asked)
            case "wait":
                wanted = msgspec.json.decode(asked.params, type=Wait)
                patience = _patience(wanted.timeout)
                return list(await self._children.wait(caller, wanted.ids, patience=patience, any=wanted.any))
            case "collect" | "status":
                some = msgspec.json.decode(asked.params, type=Some)
                return list(await self._children.collect(caller, some.ids, told=asked.method == "collect"))
            case unknown:
                raise BadValue(f"nothing is called {unknown[:40]!r} here")

    async def _spawn(self, caller: Principal, asked: Question) -> Child:
        wanted = msgspec.json.decode(asked.params, type=Spawn)
        request = Request(**msgspec.structs.asdict(wanted))
        return await self._children.spawn(caller, request, asked.key)

    async def _ask(self, caller: Principal, asked: Question) -> Child:
        wanted = msgspec.json.decode(asked.params, type=Ask)
        request = Request(prompt=wanted.prompt, model=wanted.model, name=wanted.name)
        patience = _patience(wanted.timeout)
        return await self._children.ask(caller, wanted.agent, request, asked.key, patience=patience, again=asked.again)


def _patience(seconds: float) -> float:
    if not 0 <= seconds <= LONGEST_WAIT:
        raise BadValue(f"a timeout is between 0 and {LONGEST_WAIT:.0f} seconds")
    return seconds


async def _line(stream: ByteReceiveStream) -> bytes:
    heard = bytearray()
    while not heard.endswith(b"\n"):
        heard += await stream.receive()
        if len(heard) > LONGEST:
            raise anyio.EndOfStream
    return bytes(heard)


class _Lock:
    """A file lock, which the kernel gives back when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self) -> bool:
        """Whether it is ours now."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    async def __aenter__(self) -> "_Lock":
        """It is ours already."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        os.close(self._file)


@asynccontextmanager
async def _listening(path: Path) -> AsyncIterator[SocketListener]:
    """A socket there, its owner's alone, however long the path is."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        async with await anyio.create_unix_listener(f"/proc/self/fd/{folder}/{path.name}", mode=0o600) as listener:
            yield listener
    finally:
        with suppress(OSError):
            path.unlink()  # noqa: ASYNC240
        os.close(folder)
