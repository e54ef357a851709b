"""Commands run and end, in the foreground and in the background, and nothing of them is left."""

import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from fakes.calls import Session, Using, names
from roost import process
from roost.core.agents import Agent, Team, ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.events import MessageQueued
from roost.core.messages import Result
from roost.process import family
from roost.tools.builtin import Builtin

pytestmark = pytest.mark.anyio


def left(session: Session) -> list[int]:
    """Processes of this session that are still there."""
    found = []
    for stat in family.processes():
        try:
            environ = Path(f"/proc/{stat.pid}/environ").read_bytes()
        except OSError:
            continue
        if f"{process.MARK}={session.id}/".encode() in environ and not stat.gone:
            found.append(stat.pid)
    return found


async def sh(session: Session, cmd: str, **more: Any) -> Result:
    async with session.open("shell") as toolset:
        return await session.call(toolset, "shell", cmd=cmd, **more)


async def until(path: Path) -> str:
    with anyio.fail_after(10):
        while not (path.exists() and path.read_text()):
            await anyio.sleep(0.005)
    return path.read_text()


async def test_names(session: Session) -> None:
    jobs = [
        "run_background_job",
        "list_background_jobs",
        "view_background_job",
        "wait_background_job",
        "stop_background_job",
    ]
    async with session.open("shell") as toolset:
        assert await names(toolset) == ["shell", *jobs]
    async with session.open("background_jobs") as toolset:
        assert await names(toolset) == jobs


@pytest.mark.parametrize(
    ("cmd", "expected"),
    [
        ("echo one; echo two >&2", Result("one\ntwo")),
        ("true", Result("<no output>")),
        ("echo; echo; cat", Result("<no output>")),
        ("echo no; exit 3", Result("Error executing command: exit status 3\nOutput: no", is_error=True)),
        ("kill -9 $$", Result("Error executing command: signal: 9\nOutput: ", is_error=True)),
        (r"printf '\377'", Result("\ufffd")),
    ],
)
async def test_a_command(session: Session, cmd: str, expected: Result) -> None:
    assert await sh(session, cmd) == expected


async def test_where_it_runs(session: Session, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert (await sh(session, "pwd")).output == str(tmp_path)
    assert (await sh(session, "pwd", cwd="sub")).output == str(tmp_path / "sub")
    assert (await sh(session, "pwd", cwd="~/sub")).output == str(tmp_path / "sub")
    gone = await sh(session, "pwd", cwd="gone")
    assert gone == Result(f"the working directory does not exist: {tmp_path}/gone", is_error=True)


async def test_a_session_whose_folder_vanished(session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    async with session.open("shell", folder=folder) as toolset:
        folder.rmdir()
        for tool in ("shell", "run_background_job"):
            result = await session.call(toolset, tool, cmd="pwd")
            assert result == Result(f"the working directory does not exist: {folder}", is_error=True)


async def test_its_variables(tmp_path: Path) -> None:
    session = Session(tmp_path, Builtin({"PATH": os.environ["PATH"], "A": "a", "B": "b"}))
    async with session.open("shell", env={"A": "own", "C": "${B}$A ${env.NONE || 'd'}"}) as toolset:
        assert (await session.call(toolset, "shell", cmd="echo $A $B $C")).output == "own b ba d"
    odd = {"A": "${env.B ? 'yes' : 'no'} ${env.NONE}. ${nonsense( ${B} 5$"}
    async with session.open("shell", env=odd) as toolset:
        assert (await session.call(toolset, "shell", cmd='echo "$A"')).output == "yes . ${nonsense( b 5$"
    with pytest.raises(ToolsetFailed, match=r"env\.A: the environment variable NONE is not set"):
        async with session.open("shell", env={"A": "$NONE"}):
            pass


async def test_what_is_not_built_says_so(session: Session) -> None:
    with pytest.raises(ToolsetFailed, match=r"`sudo_askpass` .* not built"):
        async with session.open("shell", sudo_askpass=True):
            pass
    async with session.open("shell", safer=True) as toolset:
        assert "shell" in await names(toolset)


async def test_much_output_keeps_its_ends(session: Session) -> None:
    result = await sh(session, "echo first; head -c 10000000 /dev/zero | tr '\\0' x; echo; echo last")
    assert len(result.output) < 30_100
    assert result.output.startswith("first\nxx") and result.output.endswith("xx\nlast")
    assert "bytes left out" in result.output


async def test_output_is_shown_while_it_runs(session: Session, tmp_path: Path) -> None:
    using = Using(hears=lambda text: (tmp_path / "go").touch())
    async with session.open("shell") as toolset:
        await session.call(toolset, "shell", using, cmd="echo one; until test -e go; do sleep 0.01; done; echo two")
    assert using.shown == ["one\n", "two\n"]


async def test_a_timeout(session: Session) -> None:
    result = await sh(session, "echo before; sleep 1000 & sleep 1000", timeout=0.3)
    assert result.is_error
    assert result.output.startswith("Command timed out after 0.3s\nOutput: before")  # a shell may add that it was ended
    assert left(session) == []


async def test_a_child_that_holds_the_output_holds_nobody_up(session: Session) -> None:
    async with session.open("shell") as toolset:
        with anyio.fail_after(5):
            assert (await session.call(toolset, "shell", cmd="sleep 1000 & echo on")).output == "on"
        assert len(left(session)) == 1  # a server started with & lives on
    assert left(session) == []  # and ends with the toolset


async def test_cancelled(session: Session, tmp_path: Path) -> None:
    async with session.open("shell") as toolset, anyio.create_task_group() as tasks:

        async def work() -> None:
            await session.call(toolset, "shell", cmd="setsid sh -c 'echo $$ > pid; sleep 1000' & wait", timeout=500)

        tasks.start_soon(work)
        await until(tmp_path / "pid")
        assert left(session)
        tasks.cancel_scope.cancel()
    assert left(session) == []


# -- jobs ---------------------------------------------------------------------------------------


async def start(session: Session, toolset: Any, cmd: str) -> str:
    result = await session.call(toolset, "run_background_job", cmd=cmd)
    assert not result.is_error and result.meta is not None
    job: str = result.meta["job_id"]
    assert (
        result.output == f"Background job started with ID: {job}\nCommand: {cmd}\nWorking Directory: {session.folder}"
    )
    return job


async def test_a_job_runs_on_its_own(session: Session, tmp_path: Path) -> None:
    async with session.open("shell") as toolset:
        job = await start(session, toolset, "echo begun; until test -e go; do sleep 0.01; done; echo done; exit 2")
        assert "Status: running" in (await session.call(toolset, "list_background_jobs")).output
        waited = await session.call(toolset, "wait_background_job", job_id=job, timeout=0)
        assert waited.output.endswith(f"Job {job} is still running after 0s.")
        (tmp_path / "go").touch()
        waited = await session.call(toolset, "wait_background_job", job_id=job)
        assert waited.output.startswith(f"ID: {job}\nCommand: echo begun;")
        assert "Status: failed\n" in waited.output and "Exit Code: 2" in waited.output
        assert waited.output.endswith("--- Output ---\nbegun\ndone")
        viewed = await session.call(toolset, "view_background_job", job_id=job)
        assert viewed.output == waited.output
        stopped = await session.call(toolset, "stop_background_job", job_id=job)
        assert stopped == Result(f"Job {job} is not running: failed", is_error=True)


async def test_a_job_is_stopped_with_its_children(session: Session, tmp_path: Path) -> None:
    async with session.open("shell") as toolset:
        job = await start(session, toolset, "setsid sleep 1000 & echo $! > pid; wait")
        await until(tmp_path / "pid")
        assert left(session)
        stopped = await session.call(toolset, "stop_background_job", job_id=job)
        assert stopped == Result(f"Job {job} stopped successfully")
        assert left(session) == []
        assert "Status: stopped" in (await session.call(toolset, "view_background_job", job_id=job)).output
        at_once = await start(session, toolset, "sleep 1000")
        stopped = await session.call(toolset, "stop_background_job", job_id=at_once)
        assert stopped == Result(f"Job {at_once} stopped successfully")


async def test_jobs_end_with_their_toolset(session: Session, tmp_path: Path) -> None:
    async with session.open("shell") as toolset:
        await start(session, toolset, "echo x > one; sleep 1000")
        await start(session, toolset, "trap '' TERM; echo x > two; while :; do sleep 1000; done")
        await until(tmp_path / "one")
        await until(tmp_path / "two")
    assert left(session) == []


async def test_a_job_nobody_knows(session: Session) -> None:
    async with session.open("shell") as toolset:
        for tool in ("view_background_job", "wait_background_job", "stop_background_job"):
            assert await session.call(toolset, tool, job_id="job_1_1") == Result(
                "Job not found: job_1_1", is_error=True
            )
        assert (await session.call(toolset, "list_background_jobs")).output == "No background jobs."


# -- jobs that tell of their end ----------------------------------------------------------------


async def told(session: Session) -> str:
    with anyio.fail_after(10):
        while not session.told:
            await anyio.sleep(0.005)
    (fact,) = session.told
    assert isinstance(fact, MessageQueued) and fact.queue == "steer"
    (message,) = fact.messages
    assert message.role == "user" and message.implicit
    return message.content


async def test_the_agent_is_told_when_a_job_has_ended(session: Session) -> None:
    async with session.open("background_jobs", recall=True) as toolset:
        assert "told when a background job has ended" in toolset.instructions
        job = await start(session, toolset, "echo result; head -c 100000 /dev/zero | tr '\\0' x; exit 3")
        assert toolset.busy
        text = await told(session)
        assert f"ID: {job}\n" in text and "Exit Code: 3" in text and "result\n" in text
        assert len(text) < 5000


async def test_nobody_is_told_what_they_know_already(session: Session, tmp_path: Path) -> None:
    async with session.open("background_jobs", recall=True) as toolset:
        job = await start(session, toolset, "until test -e go; do sleep 0.01; done")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: session.call(toolset, "wait_background_job", job_id=job))
            await anyio.wait_all_tasks_blocked()
            (tmp_path / "go").touch()
        stopped = await start(session, toolset, "sleep 1000")
        await session.call(toolset, "stop_background_job", job_id=stopped)
        await start(session, toolset, "sleep 1000")
    assert session.told == []
    async with session.open("background_jobs") as toolset:
        await session.call(toolset, "wait_background_job", job_id=await start(session, toolset, "true"))
        await start(session, toolset, "true")
        with anyio.fail_after(10):
            while toolset.busy:
                await anyio.sleep(0.005)
    assert session.told == []


async def test_jobs_are_a_toolset_of_their_own_where_there_is_one(session: Session) -> None:
    both = (ToolsetSpec("shell"), ToolsetSpec("background_jobs"))
    session.team = Team("a", "", (Agent("root", toolsets=both), Agent("other")))
    async with session.open("shell") as toolset, session.open("shell", agent="other") as other:
        assert await names(toolset) == ["shell"]
        assert len(await names(other)) == 6
