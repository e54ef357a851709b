"""A server is killed and another one goes on: the program lives, and no line is lost or told twice."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from keepers import server
from keepers.runs import line, lives, marked, said, sh
from roost.core.errors import LaunchFailed
from roost.core.ids import RunId, SessionId
from roost.keepers.keepers import Keepers, open_keepers
from roost.ports import Exit, Input

pytestmark = pytest.mark.anyio

RUN, SESSION = RunId("run-1"), SessionId("session-1")
SERVER = str(Path(server.__file__))


async def test_a_program_outlives_its_server_and_its_group(keepers: Keepers, home: Path) -> None:
    journal = home.parent / "journal"
    with subprocess.Popen([sys.executable, SERVER, "rounds", home, journal, "1"], start_new_session=True) as first:
        assert first.wait() == 0
    (pid,) = {fact["pid"] for fact in server.committed(journal) if "pid" in fact}
    assert lives(int(str(pid)))
    assert len(marked(home)) == 2
    process = await keepers.adopt(server.RUN, **server.committed(journal)[0])
    assert (await said(process)).exit == Exit(0)


@pytest.mark.slow
async def test_however_often_the_server_is_killed_each_line_is_told_once(home: Path) -> None:
    journal = home.parent / "journal"
    await anyio.run_process([sys.executable, SERVER, "rounds", str(home), str(journal), "30"], stderr=None)
    await server.serve(home, journal)
    _, *facts = server.committed(journal)
    lines = [line for fact in facts for line in fact["lines"]]
    errors = [line for fact in facts for line in fact["errors"]]
    assert lines == [f"line {n} {'x' * (n % 300)}" for n in range(server.COUNT)]
    assert errors == [f"odd {n}" for n in range(0, server.COUNT, 50)]
    assert facts[-1]["end"]


@pytest.mark.slow
async def test_whenever_a_start_is_cut_off_a_sweep_leaves_nothing(home: Path) -> None:
    await anyio.run_process([sys.executable, SERVER, "starts", str(home), "15"], stderr=None)
    for place in list(home.iterdir()) if home.exists() else []:
        async with open_keepers(place) as keepers:
            await keepers.sweep([])
        assert not list((place / "runs").glob("*"))
    assert not marked(home)


async def test_an_adopted_program_takes_input_and_knows_what_it_had(keepers: Keepers, home: Path) -> None:
    process = await keepers.start(RUN, SESSION, sh("cat", inputs=(Input("1", "one"),)))
    after = await line(process, b"one")
    keepers.close()
    async with open_keepers(home) as others:
        found = await others.adopt(RUN, pid=process.pid, started=process.started, boot_id=process.boot_id)
        assert (found.pid, found.started, found.boot_id) == (process.pid, process.started, process.boot_id)
        assert found.sent() == (Input("1", "one"),)
        await found.send(Input("1", "one"), Input("2", "two"), Input("end", close=True))
        assert (await said(found, after)).out == [b"two"]
        assert (await said(found)).out == [b"one", b"two"]
        assert others.spawn_log(SESSION).read_text() == "one\ntwo\n"
        await found.clear()


async def test_a_program_that_ended_meanwhile_is_found(keepers: Keepers, home: Path) -> None:
    process = await keepers.start(RUN, SESSION, sh("echo hi; exit 9"))
    await said(process)
    async with open_keepers(home) as others:
        found = await others.adopt(RUN, pid=process.pid, started=process.started, boot_id=process.boot_id)
        assert await said(found) == ([b"hi"], [], Exit(9), False)
        await found.stop()
        await found.signal(2)


async def test_what_was_cleared_can_not_be_adopted(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, sh("true"))
    await said(process)
    await process.clear()
    with pytest.raises(LaunchFailed, match="nothing is left"):
        await keepers.adopt(RUN, pid=process.pid, started=process.started, boot_id=process.boot_id)


async def test_the_same_server_adopts_what_it_has(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, sh("true"))
    again = await keepers.adopt(RUN, pid=process.pid, started=process.started, boot_id=process.boot_id)
    assert again is process
    await said(again)
