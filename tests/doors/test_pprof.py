"""The profiling server: what it says is what `go tool pprof` reads."""

import asyncio
import hashlib
import shutil
import subprocess
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from roost.doors import pprof

pytestmark = pytest.mark.anyio

GO = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
needs_go = pytest.mark.skipif(GO is None, reason="there is no go on this machine")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(pprof.make_app()), base_url="http://x/debug/pprof")


def burn(stop: threading.Event) -> None:
    while not stop.is_set():
        hashlib.sha256(b"x" * 1000).digest()


@pytest.fixture
def burner() -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=burn, args=[stop], name="burner")
    thread.start()
    yield
    stop.set()
    thread.join()


def go_pprof(path: Path, *flags: str) -> str:
    assert GO is not None
    command = [GO, "tool", "pprof", *flags, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_the_index_names_what_there_is(client: httpx2.AsyncClient) -> None:
    text = (await client.get("/")).text
    for name in ("profile", "heap", "tasks"):
        assert name in text


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "601", "nan"])
async def test_a_time_that_is_none_is_refused(client: httpx2.AsyncClient, seconds: str) -> None:
    assert (await client.get("/profile", params={"seconds": seconds})).status_code == 400


@needs_go
@pytest.mark.usefixtures("burner")
async def test_pprof_shows_who_burns_cpu(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    answer = await client.get("/profile", params={"seconds": "0.5"})
    (tmp_path / "cpu").write_bytes(answer.content)
    top = go_pprof(tmp_path / "cpu", "-top")
    assert "Type: cpu" in top
    columns = [line.split() for line in top.splitlines() if line.count("%") == 3 and line.split()[0].endswith("s")]
    shares = {row[-1]: float(row[4].rstrip("%")) for row in columns}
    assert shares["burn"] > 0  # how much depends on what else the machine does
    raw = go_pprof(tmp_path / "cpu", "-raw")
    assert "samples/count cpu/nanoseconds" in raw
    assert "thread:[burner]" in raw
    assert "test_pprof.py" in raw


@needs_go
@pytest.mark.usefixtures("burner")
async def test_a_thread_that_waits_costs_nothing(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    idle = threading.Event()
    waiter = threading.Thread(target=idle.wait, name="idler")
    waiter.start()
    try:
        answer = await client.get("/profile", params={"seconds": "0.3"})
    finally:
        idle.set()
        waiter.join()
    (tmp_path / "cpu").write_bytes(answer.content)
    assert "thread:[idler]" not in go_pprof(tmp_path / "cpu", "-raw")


@needs_go
async def test_pprof_shows_the_heap_by_type(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "heap").write_bytes((await client.get("/heap", params={"gc": "1"})).content)
    top = go_pprof(tmp_path / "heap", "-top")
    assert "Type: inuse_space" in top
    assert "builtins.dict" in top


@needs_go
async def test_pprof_shows_the_heap_by_call(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    tracemalloc.start(5)
    try:
        kept = [bytes(1000) for _ in range(3000)]
        (tmp_path / "heap").write_bytes((await client.get("/heap")).content)
    finally:
        tracemalloc.stop()
    assert len(kept) == 3000
    assert "test_pprof.py" in go_pprof(tmp_path / "heap", "-top")


async def asleep(bell: asyncio.Event) -> None:
    await bell.wait()


async def outer(bell: asyncio.Event) -> None:
    await asleep(bell)


@pytest.mark.parametrize("path", ["/tasks", "/goroutine"])
async def test_tasks_show_what_they_wait_for(client: httpx2.AsyncClient, path: str) -> None:
    bell = asyncio.Event()
    task = asyncio.create_task(outer(bell), name="the sleeper")
    await asyncio.sleep(0)
    text = (await client.get(path)).text
    bell.set()
    await task
    section = text.split("task the sleeper: waiting\n")[1].split("\n\n")[0]
    names = [line.split()[0] for line in section.splitlines()]
    assert names == ["Event.wait", "asleep", "outer"]
    assert "thread MainThread" in text


@needs_go
async def test_tasks_can_be_had_as_a_profile(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "tasks").write_bytes((await client.get("/goroutine", params={"debug": "0"})).content)
    assert "goroutine/count" in go_pprof(tmp_path / "tasks", "-raw")
