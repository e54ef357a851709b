"""One client, asked from several threads and from several event loops; and asked again after a Ctrl-C."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from acceptance.house import until
from fakes.api import SID, TOKEN, FakeApi, P
from fakes.line import line
from roost import Client
from roost.client import Blocking


def test_threads_that_share_a_blocking_client_get_each_its_own_answers(api: FakeApi) -> None:
    names = [f"{n:08}-1111-4222-8333-444455566677" for n in range(8)]
    for name in names:
        api.answers[f"GET {P}/sessions/{name}/status"] = (200, {"session_id": name, "status": "running"})
    with Blocking(api.url, token=TOKEN) as client, ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(client.status, names[n % 8]) for n in range(400)]
        assert [one.result().session_id for one in asked] == [names[n % 8] for n in range(400)]


def test_a_thread_that_waits_long_holds_up_no_other(api: FakeApi) -> None:
    api.hold, api.held = threading.Event(), f"{P}/sessions/{SID}/output"
    with Blocking(api.url, token=TOKEN) as client, ThreadPoolExecutor(1) as pool:
        long = pool.submit(client.output, SID)
        assert client.status(SID).status == "running"
        assert not long.done()
        api.hold.set()
        long.result(10)


def test_of_many_lines_only_some_are_kept(api: FakeApi) -> None:
    api.hold = threading.Event()
    with line(api.url) as wire, Blocking(f"http://127.0.0.1:{wire.port}", token=TOKEN) as client:
        with ThreadPoolExecutor(20) as pool:
            asked = [pool.submit(client.status, SID) for _ in range(20)]
            until(lambda: len(api.seen) == 20)
            api.hold.set()
            assert {one.result().status for one in asked} == {"running"}
        for _ in range(12):
            assert wire.left.acquire(timeout=15)


def test_a_line_serves_one_request_after_the_other(api: FakeApi) -> None:
    with line(api.url) as wire:
        with Blocking(f"http://127.0.0.1:{wire.port}", token=TOKEN) as client:
            for _ in range(5):
                client.status(SID)
            assert wire.opened == 1
            wire.cut()
            assert client.status(SID).status == "running"
            assert wire.opened == 2
        assert wire.left.acquire(timeout=15)


def test_a_client_goes_on_in_the_next_event_loop(api: FakeApi) -> None:
    client = Client(api.url, token=TOKEN)

    async def ask() -> str:
        return (await client.status(SID)).status

    assert [asyncio.run(ask()) for _ in range(3)] == ["running"] * 3
    asyncio.run(client.aclose())


def test_event_loops_in_several_threads_share_a_client(api: FakeApi) -> None:
    client = Client(api.url, token=TOKEN)

    async def ask(_: int) -> int:
        found = [await client.status(SID) for _ in range(20)]
        await client.aclose()
        return len(found)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: asyncio.run(ask(n)), range(4))) == [20] * 4


def test_a_request_may_be_a_task(api: FakeApi) -> None:
    async def ask() -> list[str]:
        async with Client(api.url, token=TOKEN) as client, asyncio.TaskGroup() as tasks:
            found = [tasks.create_task(client.status(SID)) for _ in range(10)]
        return [one.result().status for one in found]

    assert asyncio.run(ask()) == ["running"] * 10


def test_what_a_row_says_of_itself_is_what_comes_back(api: FakeApi) -> None:
    import inspect

    with contextlib.closing(Blocking(api.url)) as client:
        assert str(inspect.signature(client.title)) == "(session: str, title: str) -> roost.client.shapes.Titled"
        assert client.title.__name__ == "title"
        assert client.title.__doc__ == "Give a session another title."


INTERRUPTED = """
import sys
from roost.client import Blocking

with Blocking(sys.argv[1], token=sys.argv[2]) as client:
    try:
        {what}
    except KeyboardInterrupt:
        print(client.status(sys.argv[3]).status)
"""


@pytest.mark.parametrize(
    ("what", "asked"),
    [
        ("client.output(sys.argv[3])", f"{P}/sessions/{SID}/output"),
        ("for _ in client.stream(sys.argv[3]): pass", f"{P}/sessions/{SID}/stream"),
        ("for _ in client.follow(sys.argv[3]): pass", f"/api/sessions/{SID}/events?detail=full"),
    ],
)
def test_ctrl_c_ends_what_is_waited_for_and_the_client_can_be_asked_again(api: FakeApi, what: str, asked: str) -> None:
    api.hold, api.held = threading.Event(), asked.partition("?")[0]
    api.frames = lambda _: []
    program = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(what=what), api.url, TOKEN, SID],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    with program:
        until(lambda: asked in [one.target for one in api.seen])
        program.send_signal(signal.SIGINT)
        said, _ = program.communicate(timeout=20)
    assert (said, program.returncode) == (b"running\n", 0)
