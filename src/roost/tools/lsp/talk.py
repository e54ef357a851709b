"""One run of a language server: requests and their answers, over its stdin and stdout."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import Mapping
from itertools import count
from typing import Any

import anyio

from roost.process import Output
from roost.wire import jsonrpc
from roost.wire.frames import BadFrame, Frames, frame

CHUNK = 64 * 1024
MOST_UNREAD = 64 * 1024 * 1024  # bytes that may wait for a server that does not read
MOST_FILES = 2000  # files whose diagnostics are kept
COMPLAINTS = 2000  # characters of stderr that an error shows


class Ended(Exception):
    """The server runs no longer; the text says why."""


class Silent(Exception):
    """The server has not answered in time."""


class Declined(Exception):
    """The server has answered with an error."""


class Diagnosed:
    """What a server has said of the files by itself; `bell` rings when it says more."""

    def __init__(self) -> None:
        self.bell = anyio.Event()
        self._files: dict[str, tuple[int, list[Any]]] = {}

    def put(self, params: Any) -> None:
        """A publishDiagnostics."""
        if not isinstance(params, Mapping) or not isinstance(params.get("diagnostics"), list):
            return
        uri, version = str(params.get("uri")), params.get("version")
        self._files.pop(uri, None)
        self._files[uri] = (version if isinstance(version, int) else 1 << 62, params["diagnostics"])
        while len(self._files) > MOST_FILES:
            del self._files[next(iter(self._files))]
        self.bell.set()
        self.bell = anyio.Event()

    def of(self, uri: str, version: int) -> list[Any] | None:
        """What stands against a file, in this version of it or a later one; None where nothing was said yet."""
        at, found = self._files.get(uri, (-1, []))
        return found if at >= version else None

    def forget(self, uri: str) -> None:
        """The file has changed: what was said without naming a version does not hold any more."""
        self._files.pop(uri, None)


class Talk:
    """Requests to a server that runs.  `listen` has to run beside them."""

    def __init__(self, process: Process, complaints: Output, folders: list[dict[str, str]]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.diagnosed = Diagnosed()
        self.over = anyio.Event()
        self.capabilities: Mapping[str, Any] = {}
        self._writer, self._reader = process.stdin, process.stdout
        self._process = process
        self._complaints = complaints
        self._folders = folders
        self._ids = count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._why = ""

    async def listen(self) -> str:
        """Take what comes until the server ends, or can't be understood; returns why."""
        frames, why = Frames(), "it was stopped"
        try:
            while chunk := await self._reader.read(CHUNK):
                for body in frames.feed(chunk):
                    self._take(body)
            with anyio.move_on_after(1):  # its end of the pipe is closed: it is about to go
                await self._process.wait()
            code = self._process.returncode
            why = "it has closed its output" if code is None else f"it has ended with status {code}"
        except (BadFrame, Ended, OSError) as error:
            why = f"it can't be understood: {error}"
        finally:
            self._end(why)
        return self._why

    def _end(self, why: str) -> None:
        told = self._complaints.text(COMPLAINTS).strip()
        self._why = f"{why}{': ' + told if told else ''}"
        self.over.set()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Ended(self._why))

    async def request(self, method: str, params: Any, patience: float) -> Any:
        """Ask, and wait for the answer.

        Raises:
            Ended: the server does not run any more.
            Silent: nothing came in time; the server is told that nobody waits.
            Declined: it answered with an error.
        """
        if self.over.is_set():
            raise Ended(self._why)
        number = next(self._ids)
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(jsonrpc.Request(number, method, params))
            with anyio.move_on_after(patience):
                return await future
            raise Silent(f"{method} was not answered within {patience:g} s")
        except BaseException as error:
            if not isinstance(error, Ended | Declined):
                self._forget(number)
            raise
        finally:
            del self._asked[number]
            if not future.cancel() and not future.cancelled():
                future.exception()  # looked at, though perhaps nobody waited for it any more

    def _forget(self, number: int) -> None:
        if not self.over.is_set():
            self._send(jsonrpc.Notification("$/cancelRequest", {"id": number}))

    def notify(self, method: str, params: Any) -> None:
        """Say something that is not answered.

        Raises:
            Ended
        """
        if self.over.is_set():
            raise Ended(self._why)
        self._send(jsonrpc.Notification(method, params))

    def _send(self, message: jsonrpc.Message) -> None:
        if self._writer.transport.get_write_buffer_size() > MOST_UNREAD:
            raise Ended("it does not read what it is sent")
        self._writer.write(frame(jsonrpc.line(message).encode()))

    def _take(self, body: bytes) -> None:
        try:
            message = jsonrpc.parse(body)
        except jsonrpc.Malformed:
            return
        match message:
            case jsonrpc.Reply(id=id, result=result) if (future := self._waiting(id)) is not None:
                future.set_result(result)
            case jsonrpc.Failure(id=id, message=text, code=code) if (future := self._waiting(id)) is not None:
                future.set_exception(Declined(text[:COMPLAINTS] or f"error {code}"))
            case jsonrpc.Notification(method="textDocument/publishDiagnostics", params=params):
                self.diagnosed.put(params)
            case jsonrpc.Request():
                self._send(self._answer(message))
            case _:
                pass

    def _waiting(self, id: jsonrpc.Id) -> asyncio.Future[Any] | None:
        future = self._asked.get(id) if isinstance(id, int) else None
        return future if future is not None and not future.done() else None

    def _answer(self, request: jsonrpc.Request) -> jsonrpc.Message:
        """What servers ask of their editor.  They may not edit by themselves."""
        params = request.params if isinstance(request.params, Mapping) else {}
        match request.method:
            case "workspace/configuration":
                items = params.get("items")
                return jsonrpc.Reply(request.id, [None] * len(items) if isinstance(items, list) else [])
            case "workspace/workspaceFolders":
                return jsonrpc.Reply(request.id, self._folders)
            case "workspace/applyEdit":
                return jsonrpc.Reply(request.id, {"applied": False, "failureReason": "nobody asked for it"})
            case (
                "client/registerCapability"
                | "client/unregisterCapability"
                | "window/workDoneProgress/create"
                | "window/showMessageRequest"
            ):
                return jsonrpc.Reply(request.id)
            case method:
                return jsonrpc.Failure(request.id, jsonrpc.METHOD_NOT_FOUND, f"{method[:200]} is not there")
