"""However a run ends, nothing of it is left: no process, no descriptor, no folder."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from keepers.runs import ENV, descriptors, flood, line, lives, marked, python, said, sh, until
from roost.core.ids import RunId, SessionId
from roost.keepers.keepers import Keepers, open_keepers
from roost.ports import Exit, Input, Launch

pytestmark = pytest.mark.anyio

RUN, SESSION = RunId("run-1"), SessionId("session-1")
STUBBORN = "trap '' INT TERM; echo up; while :; do sleep 0.1; done"
DAEMON = """
import os, time
if os.fork():
    time.sleep(1000)
os.setsid()
if os.fork():
    os._exit(0)
os.setpgid(0, 0)
if os.fork() == 0:
    os.execve("/bin/sleep", ["sleep", "1000"], {})  # not even the mark is left
print(os.getpid(), flush=True)
time.sleep(1000)
"""


async def test_a_polite_program_ends_itself(keepers: Keepers) -> None:
    process = await keepers.start(
        RUN, SESSION, sh("trap 'echo bye; exit 5' INT; echo up; while :; do sleep 0.01; done")
    )
    await line(process, b"up")
    await process.stop(grace=10)
    assert not lives(process.pid)
    assert (await said(process))[0::2] == ([b"up", b"bye"], Exit(5, killed=True))


@pytest.mark.parametrize(("deaf", "number"), [("", 2), ("trap '' INT;", 15), ("trap '' INT TERM;", 9)])
async def test_each_signal_is_less_polite(keepers: Keepers, deaf: str, number: int) -> None:
    process = await keepers.start(RUN, SESSION, sh(f"{deaf} echo up; exec tail -f /dev/null"))
    await line(process, b"up")
    await process.stop(grace=0.3)
    assert (await said(process)).exit == Exit(128 + number, signal=number, killed=True)


async def test_a_second_stop_may_be_less_patient(keepers: Keepers) -> None:
    process = await keepers.start(
        RUN, SESSION, sh("trap 'echo no' INT; trap '' TERM; echo up; while :; do sleep 0.01; done")
    )
    await line(process, b"up")
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: process.stop(grace=300))
            await line(process, b"no")
            await process.stop(grace=0.2)
    assert (await said(process)).exit == Exit(137, signal=9, killed=True)


async def test_sigterm_to_the_keeper_ends_its_program(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, sh("echo up; exec sleep 1000"))
    await line(process, b"up")
    os.kill(process.pid, signal.SIGTERM)
    assert (await said(process)).exit == Exit(130, signal=2, killed=True)


async def test_a_signal_reaches_everybody_but_the_keeper(keepers: Keepers) -> None:
    script = (
        "setsid sh -c 'trap \"echo tool; exit\" USR1; echo up; while :; do sleep 0.01; done' & trap 'echo cli' USR1"
    )
    process = await keepers.start(RUN, SESSION, sh(f"{script}; while :; do sleep 0.01; done"))
    await line(process, b"up")
    await process.signal(signal.SIGUSR1)
    await line(process, b"cli")
    await line(process, b"tool")
    await process.signal(signal.SIGKILL)
    assert (await said(process)).exit == Exit(137, signal=9)


@pytest.mark.parametrize("how", ["exit", "stop", "kill"])
async def test_who_left_the_session_is_ended_too(keepers: Keepers, home: Path, how: str) -> None:
    own = {"exit": "997", "stop": "998", "kill": "999"}[how]  # the cases may run beside each other
    script = f"(setsid tail -f /dev/null & setsid nohup sleep 1000 >/dev/null 2>&1 & env -i setsid sleep {own} &)"
    process = await keepers.start(RUN, SESSION, sh(f"{script}; echo up; read go"))
    await line(process, b"up")
    await until(lambda: len(marked(home)) >= 4)
    if how == "stop":
        await process.stop(grace=5)
    elif how == "kill":
        await process.signal(signal.SIGKILL)
    else:
        await process.send(Input("end", close=True))
    await said(process)
    await until(lambda: not marked(home))
    assert not sleepers(own)


def sleepers(seconds: str) -> list[str]:
    command = f"sleep\0{seconds}\0".encode()
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if text(path) == command]


def text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_a_daemon_of_a_tool_is_ended(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, python(DAEMON))
    output = await process.read(0, 0)
    daemon = int(output.lines[0])
    children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
    assert len(children) == 1
    await process.stop(grace=2)
    assert not lives(daemon)
    assert not lives(int(children[0]))


async def test_output_of_a_child_that_outlives_its_parent_is_not_lost(keepers: Keepers) -> None:
    script = "sh -c 'trap \"echo late; exit\" TERM; echo up; while :; do sleep 0.01; done' & read go; kill -9 $$"
    process = await keepers.start(RUN, SESSION, sh(script))
    await line(process, b"up")
    await process.send(Input("go", "go"))
    out, _, end, _ = await said(process)
    assert (out, end) == ([b"up", b"late"], Exit(137, signal=9))


async def test_a_program_that_lost_its_keeper_is_read_to_its_end(keepers: Keepers, home: Path) -> None:
    process = await keepers.start(
        RUN, SESSION, sh("trap '' INT; sleep 1000 & echo up; read go; echo alone; read go <&1")
    )
    await line(process, b"up")
    os.kill(process.pid, signal.SIGKILL)
    out, _, end, _ = await said(process)
    assert (out, end) == ([b"up", b"alone"], Exit())
    assert not marked(home)
    await process.clear()
    assert keepers.spawn_log(SESSION).read_text() == "up\nalone\n"


async def test_a_program_that_lost_its_keeper_can_be_stopped(keepers: Keepers, home: Path) -> None:
    process = await keepers.start(RUN, SESSION, sh(f"setsid sleep 1000 & {STUBBORN}"))
    await line(process, b"up")
    os.kill(process.pid, signal.SIGKILL)
    await until(lambda: not lives(process.pid))
    assert len(marked(home)) >= 2
    ends: list[Exit] = []

    async def follow() -> None:
        ends.append((await said(process)).exit)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        await process.stop(grace=0.2)
        assert not marked(home)
    assert [*ends, (await said(process)).exit] == [Exit(killed=True)] * 2


async def test_a_keeper_that_hangs_is_ended_last(keepers: Keepers, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roost.keepers.kept.HEARD", 0.2)
    process = await keepers.start(RUN, SESSION, sh(f"setsid sleep 1000 & {STUBBORN}"))
    await line(process, b"up")
    os.kill(process.pid, signal.SIGSTOP)
    await process.stop(grace=0.2)
    assert not marked(home)
    assert (await said(process)).exit == Exit(killed=True)
    await process.clear()
    assert not list((home / "runs").iterdir())


@pytest.mark.parametrize("foreign", ["start", "boot"])
async def test_a_stranger_with_the_same_number_is_never_signalled(keepers: Keepers, home: Path, foreign: str) -> None:
    process = await keepers.start(RUN, SESSION, sh("echo hi; read go"))
    await line(process, b"hi")
    with subprocess.Popen(["/bin/sleep", "1000"]) as stranger:
        try:
            os.kill(process.pid, signal.SIGKILL)
            await until(lambda: not lives(process.pid))
            started, boot_id = process.started, process.boot_id
            async with open_keepers(home) as others:
                if foreign == "boot":
                    started = int(Path(f"/proc/{stranger.pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
                    boot_id = "another"
                found = await others.adopt(RUN, pid=stranger.pid, started=started, boot_id=boot_id)
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                    await found.signal(number)
                assert await said(found) == ([b"hi"], [], Exit(), False)
                await found.stop(grace=0.1)
                await found.clear()
            assert stranger.poll() is None
        finally:
            stranger.kill()


async def test_twenty_at_once_leave_nothing(keepers: Keepers, home: Path) -> None:
    before = descriptors()
    ends: dict[str, Exit] = {}

    async def one(name: str, launch: Launch) -> None:
        process = await keepers.start(RunId(name), SessionId(name), launch)
        if name in ("killed", "hung"):
            await line(process, b"up")
        if name == "killed":
            await process.signal(signal.SIGKILL)
        if name == "hung":
            await process.stop(grace=0.2)
        ends[name] = (await said(process)).exit
        await process.clear()

    odd = {"killed": sh(f"setsid sleep 1000 & {STUBBORN}"), "hung": sh(STUBBORN), "flooding": flood(1 << 16)}
    plain = {f"plain-{n}": sh(f"sleep 1000 & echo {n}; exit {n}") for n in range(17)}
    with anyio.fail_after(90):
        async with anyio.create_task_group() as tasks:
            for name, launch in {**odd, **plain}.items():
                tasks.start_soon(one, name, launch)
    assert ends.pop("killed") == Exit(137, signal=9)
    assert ends.pop("hung") == Exit(137, signal=9, killed=True)
    assert ends.pop("flooding") == Exit(137, signal=9, flooded=True)
    assert ends == {f"plain-{n}": Exit(n) for n in range(17)}
    assert not marked(home)
    assert not list((home / "runs").iterdir())
    assert descriptors() == before


async def test_no_zombie_stays_with_the_server_or_the_keeper(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, sh("for i in 1 2 3; do (setsid true &); done; echo up; read go"))
    await line(process, b"up")
    await until(lambda: len(children(process.pid)) == 1)
    await process.send(Input("end", close=True))
    await said(process)
    assert str(process.pid) not in children(os.getpid())


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap is missing: apt-get install bubblewrap")
@pytest.mark.parametrize("how", ["exit", "stop", "kill"])
async def test_nothing_is_left_in_a_sandbox(keepers: Keepers, home: Path, how: str) -> None:
    walls = ("bwrap", "--unshare-pid", "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--clearenv")
    script = "setsid sleep 998 & trap 'exit 3' INT; echo up; while :; do read -t 0.05 go; [ $? = 1 ] && exit 4; done"
    inside = ("env", "--default-signal=INT", "bash", "-c", script)
    launch = Launch(
        argv=("/bin/sh", "-c", "trap '' INT TERM HUP; exec \"$@\"", "sandbox", *walls, *inside), cwd="/", env=ENV
    )
    process = await keepers.start(RUN, SESSION, launch)
    await line(process, b"up")
    if how == "stop":
        await process.stop(grace=10)
    elif how == "kill":
        await process.signal(signal.SIGKILL)
    else:
        await process.send(Input("end", close=True))
    end = (await said(process)).exit
    if how == "kill":  # bubblewrap is hit too, unless it has had the time to pass on what became of the one inside
        assert end in (Exit(137, signal=9), Exit(137))
    else:
        assert end == {"exit": Exit(4), "stop": Exit(3, killed=True)}[how]
    await until(lambda: not sleepers("998"))


async def test_forgotten_runs_are_swept_away_and_known_ones_spared(keepers: Keepers, home: Path) -> None:
    for name in ("known", "forgotten", "ended"):
        await keepers.start(RunId(name), SESSION, sh("sleep 1000 & echo up; read go" if name != "ended" else "true"))
    (home / "runs" / "torn").mkdir()
    async with open_keepers(home) as others:
        assert await others.sweep([RunId("known")]) == 3
        assert [path.name for path in (home / "runs").iterdir()] == ["known"]
        assert await others.sweep([RunId("known")]) == 0
        assert await others.sweep([]) == 1
    assert not marked(home)
    assert not list((home / "runs").iterdir())


async def test_what_another_living_server_starts_is_spared(keepers: Keepers, home: Path) -> None:
    with subprocess.Popen([sys.executable, Path(__file__).with_name("server.py"), "hold", home], stdout=-1) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"started\n"
        assert await keepers.sweep([]) == 0
        server.kill()
        server.wait()
    assert await keepers.sweep([]) == 1
    assert not marked(home)
