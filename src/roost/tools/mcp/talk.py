"""One call and what its server asks meanwhile: the questions are put from inside the call, one at a time."""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

import anyio

from roost.core.errors import NotOwner, RoostError, StoreFull
from roost.core.events import Answer
from roost.ports import Ask, Use

T = TypeVar("T")


class Allowance:
    """The time of a call.  It stands still while a person is asked, and begins anew with each sign of progress."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds or math.inf
        self.scope = anyio.CancelScope()
        self._pauses = 0
        self._left = self.seconds

    def begin(self) -> anyio.CancelScope:
        """The block that has to end in time."""
        self.scope = anyio.CancelScope(deadline=anyio.current_time() + self.seconds)
        return self.scope

    def renew(self) -> None:
        """There was progress."""
        self._left = self.seconds
        if not self._pauses:
            self.scope.deadline = anyio.current_time() + self.seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A person is asked."""
        if not self._pauses:
            self._left = self.scope.deadline - anyio.current_time()
            self.scope.deadline = math.inf
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses:
                self.scope.deadline = anyio.current_time() + self._left


class Over(Exception):
    """The call is over: nobody needs the answer any more."""


class _Job:
    def __init__(self, work: Callable[[Use], Awaitable[Any]]) -> None:
        self.work = work
        self.done = anyio.Event()
        self.value: Any = None
        self.error: Exception | None = Over()


class Talk:
    """A call that is under way."""

    def __init__(self, use: Use, seconds: float) -> None:
        self._use = use
        self.allowance = Allowance(seconds)
        self.urls: set[str] = set()  # ids of the addresses that a person was asked to open
        self._into, self._jobs = anyio.create_memory_object_stream[_Job](math.inf)

    async def run(self, work: Callable[[Use], Awaitable[T]]) -> T:
        """Do something in the name of the call, in its own task, once what came before is done.

        Raises:
            Over: the call ended before.
            RoostError: what the work raised.
        """
        job = _Job(work)
        try:
            self._into.send_nowait(job)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise Over from None
        await job.done.wait()
        if job.error is not None:
            raise job.error
        value: T = job.value
        return value

    async def serve(self) -> None:
        """Do what the server wants, until the call is over."""
        async for job in self._jobs:
            with self.allowance.paused():
                await self._do(job)

    def close(self) -> None:
        """The call is over: whoever still waits for something learns it."""
        self._into.close()
        with suppress(anyio.WouldBlock, anyio.EndOfStream):
            while True:
                self._jobs.receive_nowait().done.set()
        self._jobs.close()

    async def _do(self, job: _Job) -> None:
        try:
            job.value, job.error = await job.work(self._use), None
        except (NotOwner, StoreFull):
            raise
        except RoostError as error:
            job.error = error
        finally:
            job.done.set()

    async def note(self, text: str) -> None:
        """Show a line while the call is under way."""
        await self._use.output(text)


current: ContextVar[Talk | None] = ContextVar("talk", default=None)
"""The call in whose name something happens, where that can be told."""


class Talks:
    """The calls of one toolset that are under way."""

    def __init__(self, ask: Callable[[Ask], Awaitable[Answer]] | None) -> None:
        self.ask = ask  # where there is no call
        self._open: list[Talk] = []

    @contextmanager
    def open(self, talk: Talk) -> Iterator[Talk]:
        """A call begins; it ends with the block."""
        self._open.append(talk)
        token = current.set(talk)
        try:
            yield talk
        finally:
            current.reset(token)
            self._open.remove(talk)
            talk.close()

    def now(self) -> Talk | None:
        """The call that a server's question belongs to: the newest, where the transport does not tell."""
        talk = current.get()
        if talk in self._open:
            return talk
        return self._open[-1] if self._open else None

    def about(self, url_id: str) -> Talk | None:
        """The call in which a person was asked to open an address."""
        return next((talk for talk in self._open if url_id in talk.urls), None)
