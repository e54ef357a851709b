"""A look inside the running process, for `go tool pprof`: CPU, heap and tasks."""

import asyncio
import gc
import linecache
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from roost.doors.auth import Gate
from roost.doors.errors import Refused
from roost.wire.profile import Frame, Kind, Sample, encode

HERTZ = 100
LONGEST = 600.0  # seconds
DEEPEST = 200  # frames of a stack

INDEX = """<!doctype html><title>/debug/pprof/</title><h1>/debug/pprof/</h1>
<ul>
<li><a href="profile?seconds=10">profile</a>: where the CPU's time goes (pprof; <code>seconds</code>, 30 unless told)
<li><a href="heap">heap</a>: what lives in memory (pprof; by call where PYTHONTRACEMALLOC is set, else by type)
<li><a href="tasks">tasks</a>: every task and thread with its stack (text; <a href="goroutine?debug=0">as pprof</a>)
</ul>
"""


def make_app(bound: str = "") -> ASGIApp:
    """The profiling server; `bound` is the host that it listens on."""
    gate = Gate(bound=bound)
    app = Starlette(
        routes=[
            Route("/debug/pprof/", _index),
            Route("/debug/pprof/profile", _profile),
            Route("/debug/pprof/heap", _heap),
            Route("/debug/pprof/tasks", _tasks),
            Route("/debug/pprof/goroutine", _tasks),
        ]
    )

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            gate.check_origin(scope, Headers(scope=scope))
        except Refused as refused:
            await PlainTextResponse(f"{refused}\n", refused.status)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return guarded


async def _index(_: Request) -> Response:
    return HTMLResponse(INDEX)


async def _profile(request: Request) -> Response:
    try:
        seconds = float(request.query_params.get("seconds", "30"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST:
        return PlainTextResponse(f"seconds: a number above 0, at most {LONGEST:g}\n", 400)
    sampler = Sampler()
    sampler.start()
    gone = asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait([gone], timeout=seconds)
    finally:
        gone.cancel()
        sampler.stop()
    return _pprof("profile", await asyncio.to_thread(sampler.encode))


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _heap(request: Request) -> Response:
    if request.query_params.get("gc", "0") != "0":
        gc.collect()
    return _pprof("heap", await asyncio.to_thread(heap))


async def _tasks(request: Request) -> Response:
    if request.query_params.get("debug") == "0":
        return _pprof("goroutine", encode([Kind("goroutine", "count")], _waiting(), at_ns=time.time_ns()))
    return PlainTextResponse(tasks())


def _pprof(name: str, body: bytes) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}.pb.gz"'}
    return Response(body, media_type="application/octet-stream", headers=headers)


# -- CPU ----------------------------------------------------------------------------------------

_Stack = tuple[tuple[CodeType, int], ...]


class Sampler(threading.Thread):
    """Looks at all stacks a hundred times a second, and charges each thread's CPU time to where it is.

    Where the kernel does not say what a thread has used (no /proc), time that passes is charged instead.
    """

    def __init__(self) -> None:
        super().__init__(name="pprof sampler", daemon=True)
        self._over = threading.Event()
        self._seen: Counter[tuple[str, _Stack]] = Counter()
        self._used: Counter[tuple[str, _Stack]] = Counter()
        self._clocks: dict[int, int] = {}
        self._began = time.time_ns()
        self._lasted = 0

    def run(self) -> None:
        """Sample until told to stop."""
        start = last = time.perf_counter_ns()
        while not self._over.wait(1 / HERTZ):
            now = time.perf_counter_ns()
            self._look(now - last)
            last = now
        self._lasted = time.perf_counter_ns() - start

    def stop(self) -> None:
        """End it, and wait for its end."""
        self._over.set()
        self.join()

    def encode(self) -> bytes:
        """What was seen, as pprof reads it."""
        samples = [
            Sample(_frames(stack), (count, self._used[thread, stack]), {"thread": thread})
            for (thread, stack), count in self._seen.items()
        ]
        kinds = [Kind("samples", "count"), Kind("cpu", "nanoseconds")]
        return encode(
            kinds,
            samples,
            at_ns=self._began,
            duration_ns=self._lasted,
            period=1_000_000_000 // HERTZ,
            period_kind=kinds[1],
        )

    def _look(self, passed: int) -> None:
        threads = {thread.ident: thread for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            thread = threads.get(ident)
            if thread is self:
                continue
            used = passed if thread is None else self._charge(thread.native_id or 0, passed)
            if used > 0:
                key = (thread.name if thread else str(ident), _stack(frame))
                self._seen[key] += 1
                self._used[key] += used

    def _charge(self, native: int, passed: int) -> int:
        now = _cpu_ns(native)
        if now is None:
            return passed
        before = self._clocks.get(native)
        self._clocks[native] = now
        return 0 if before is None else now - before


def _cpu_ns(native: int) -> int | None:
    """The CPU time a thread has used, as the kernel counts it."""
    try:
        return int(Path(f"/proc/self/task/{native}/schedstat").read_bytes().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _stack(frame: FrameType | None) -> _Stack:
    found: list[tuple[CodeType, int]] = []
    while frame is not None and len(found) < DEEPEST:
        found.append((frame.f_code, frame.f_lineno or 0))
        frame = frame.f_back
    return tuple(found)


def _frames(stack: _Stack) -> tuple[Frame, ...]:
    return tuple(Frame(code.co_qualname, code.co_filename, line) for code, line in stack)


# -- memory -------------------------------------------------------------------------------------


def heap() -> bytes:
    """What lives in memory, as pprof reads it: by call where tracemalloc runs, else by type."""
    kinds = [Kind("inuse_objects", "count"), Kind("inuse_space", "bytes")]
    samples = _by_call() if tracemalloc.is_tracing() else _by_type()
    return encode(kinds, samples, at_ns=time.time_ns())


def _by_call() -> Iterator[Sample]:
    for found in tracemalloc.take_snapshot().statistics("traceback"):
        stack = tuple(
            Frame(f"{Path(place.filename).name}:{place.lineno}", place.filename, place.lineno)
            for place in reversed(found.traceback)
        )
        yield Sample(stack, (found.count, found.size))


def _by_type() -> Iterator[Sample]:
    count: Counter[type] = Counter()
    size: Counter[type] = Counter()
    for thing in gc.get_objects():
        count[type(thing)] += 1
        size[type(thing)] += sys.getsizeof(thing, 0)
    for kind, number in count.items():
        frame = Frame(f"{kind.__module__}.{kind.__qualname__}", str(kind.__module__))
        yield Sample((frame,), (number, size[kind]))


# -- tasks --------------------------------------------------------------------------------------


def tasks() -> str:
    """Every task of the running loop and every thread, each with its stack, innermost call first."""
    lines: list[str] = []
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name()):
        lines.append(f"task {task.get_name()}: {'running' if task is asyncio.current_task() else 'waiting'}")
        lines += _shown(_await_chain(task))
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        lines.append(f"thread {names.get(ident, ident)}")
        lines += _shown(_stack(frame))
    return "\n".join(lines) + "\n"


def _shown(stack: _Stack) -> list[str]:
    lines = []
    for code, line in stack:
        text = linecache.getline(code.co_filename, line).strip()
        lines.append(f"    {code.co_qualname}  {code.co_filename}:{line}  {text}")
    return [*lines, ""]


def _waiting() -> Iterator[Sample]:
    for task in asyncio.all_tasks():
        yield Sample(_frames(_await_chain(task)), (1,), {"task": task.get_name()})


def _await_chain(task: asyncio.Task[Any]) -> _Stack:
    """Where a task is: what it awaits, and who awaits that, out to its own coroutine."""
    chain: list[tuple[CodeType, int]] = []
    waiter: Any = task.get_coro()
    while waiter is not None and len(chain) < DEEPEST:
        frame, waiter = _step(waiter)
        if frame is None:
            break
        chain.append((frame.f_code, frame.f_lineno or 0))
    return tuple(reversed(chain))


def _step(waiter: Any) -> tuple[FrameType | None, Any]:
    for prefix, awaits in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
        if hasattr(waiter, awaits):
            return getattr(waiter, f"{prefix}_frame"), getattr(waiter, awaits)
    return None, None
