"""A program is run to its end, and nothing of it is left when it is stopped."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from roost import process
from roost.process import Ended, Output, family

pytestmark = pytest.mark.anyio

ENV = dict(os.environ)
SOURCE = str(Path(process.__file__).parents[2])


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> str:
    return process.mark(f"test-{os.getpid()}", request.node.name)


def alive(mark: str) -> list[int]:
    with family._family(0, family.bearing({mark}), set()) as found:
        return [pid for pid, _ in found]


def dead(pid: str) -> bool:
    """Whether it has ended; whose child it was decides when it is buried."""
    stat = family._stat(int(pid))
    return stat is None or stat.gone


async def sh(command: str, mark: str, tmp_path: Path, **more: object) -> tuple[Ended, Output]:
    output = Output()
    ended = await process.run(["/bin/sh", "-c", command], cwd=str(tmp_path), env=ENV, mark=mark, output=output, **more)
    return ended, output


async def until(path: Path) -> str:
    """What stands in a file, once something does."""
    with anyio.fail_after(10):
        while not (path.exists() and path.read_text().strip()):
            await anyio.sleep(0.005)
    return path.read_text().strip()


async def test_output_and_errors_come_together_in_order(mark: str, tmp_path: Path) -> None:
    ended, output = await sh("echo one; echo two >&2; pwd; exit 3", mark, tmp_path)
    assert ended == Ended(3)
    assert output.text() == f"one\ntwo\n{tmp_path}\n"


async def test_it_has_no_input_or_what_it_is_fed(mark: str, tmp_path: Path) -> None:
    assert (await sh("cat; echo end", mark, tmp_path))[1].text() == "end\n"
    assert (await sh("cat; echo end", mark, tmp_path, feed=b"food\n"))[1].text() == "food\nend\n"


async def test_invalid_text_is_replaced(mark: str, tmp_path: Path) -> None:
    _, output = await sh(r"printf 'a\377b\303'", mark, tmp_path)
    assert output.text() == "a\ufffdb\ufffd"


async def test_a_signal_is_a_negative_code(mark: str, tmp_path: Path) -> None:
    assert (await sh("kill -9 $$", mark, tmp_path))[0] == Ended(-9)


async def test_a_vanished_folder_is_an_oserror(mark: str, tmp_path: Path) -> None:
    with pytest.raises(OSError):
        await sh("true", mark, tmp_path / "gone")


async def test_a_timeout_ends_it_and_keeps_what_it_said(mark: str, tmp_path: Path) -> None:
    ended, output = await sh("echo before; exec tail -f /dev/null", mark, tmp_path, timeout=0.3)
    assert ended == Ended(None, timed_out=True)
    assert output.text() == "before\n"
    assert alive(mark) == []


async def test_a_grandchild_that_ignores_sigterm_dies_too(mark: str, tmp_path: Path) -> None:
    command = "sh -c 'trap \"\" TERM; echo $$ > pid; while :; do sleep 100; done' & wait"
    ended, _ = await sh(command, mark, tmp_path, timeout=0.5)
    assert ended.timed_out
    assert dead(await until(tmp_path / "pid"))
    assert alive(mark) == []


DAEMON = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(1000)
"""


async def test_a_daemon_that_left_its_session_dies_on_cancel(mark: str, tmp_path: Path) -> None:
    (tmp_path / "daemon.py").write_text(DAEMON)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sh, f"{sys.executable} daemon.py pid; tail -f /dev/null", mark, tmp_path)
        pid = await until(tmp_path / "pid")
        assert Path(f"/proc/{pid}").exists()
        tasks.cancel_scope.cancel()
    assert alive(mark) == []
    assert dead(pid)


async def test_a_child_with_an_empty_environment_dies_on_cancel(mark: str, tmp_path: Path) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sh, "env -i setsid sh -c 'echo $$ > pid; exec sleep 1000'", mark, tmp_path)
        pid = await until(tmp_path / "pid")
        tasks.cancel_scope.cancel()
    assert dead(pid)


async def test_sweep_finds_what_an_ordinary_end_left(mark: str, tmp_path: Path) -> None:
    with anyio.fail_after(10):
        ended, output = await sh("sleep 1000 & setsid sleep 1000 & echo started", mark, tmp_path)
    assert ended == Ended(0)
    assert output.text() == "started\n"
    assert len(alive(mark)) == 2
    assert await to_thread.run_sync(process.sweep, mark) == 2
    assert alive(mark) == []
    assert process.sweep(mark) == 0
    assert process.sweep() == 0


async def test_sweep_spares_the_calls_of_others(mark: str, tmp_path: Path) -> None:
    await sh("sleep 1000 >/dev/null 2>&1 &", mark, tmp_path)
    assert process.sweep(mark + "x", mark[:-1]) == 0
    assert len(alive(mark)) == 1
    assert process.sweep(mark) == 1


SERVER = """
import anyio, os, sys
from roost import process
async def main():
    await process.run(["/bin/sh", "-c", "echo $$ > pid; exec sleep 1000"], cwd=".", env=dict(os.environ),
                      mark=process.mark("s", sys.argv[1]), output=process.Output())
anyio.run(main)
"""


async def test_what_a_dead_server_left_is_found_by_the_calls_id(mark: str, tmp_path: Path) -> None:
    call = f"call_{os.getpid()}"
    server = subprocess.Popen([sys.executable, "-c", SERVER, call], cwd=tmp_path, env={**ENV, "PYTHONPATH": SOURCE})
    pid = await until(tmp_path / "pid")
    assert process.sweep_lost(call) == 0  # its server lives
    server.kill()
    server.wait()
    assert process.sweep_lost("x" + call) == 0
    assert not dead(pid)
    assert process.sweep_lost(call) == 1
    assert dead(pid)


async def test_a_flood_takes_little_memory(mark: str, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, output = await sh("echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo; echo last", mark, tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    text = output.text(1000)
    assert text.startswith("first\nxxx") and text.endswith("xxx\nlast\n")
    assert len(text) < 1100
    left_out = 100_000_012 - 1000
    assert f"[... {left_out} bytes left out ...]" in text


async def test_output_is_shown_while_it_runs(mark: str, tmp_path: Path) -> None:
    shown: list[str] = []

    async def show(text: str) -> None:
        shown.append(text)
        (tmp_path / "go").touch()

    with anyio.fail_after(10):
        await sh("echo one; until test -e go; do sleep 0.01; done; echo two", mark, tmp_path, show=show)
    assert shown == ["one\n", "two\n"]


async def test_only_the_beginning_of_a_flood_is_shown(mark: str, tmp_path: Path) -> None:
    shown: list[str] = []

    async def show(text: str) -> None:
        shown.append(text)

    await sh("head -c 1000000 /dev/zero | tr '\\0' x", mark, tmp_path, show=show)
    assert "".join(shown).count("x") == process.SHOWN
    assert "".join(shown).endswith("[more output follows; the result holds its end]\n")


async def test_a_failing_listener_ends_the_program(mark: str, tmp_path: Path) -> None:
    async def show(text: str) -> None:
        raise RuntimeError("the log is gone")

    with pytest.raises(RuntimeError, match="the log is gone"):
        await sh("echo one; tail -f /dev/null", mark, tmp_path, show=show)
    assert alive(mark) == []


@pytest.mark.parametrize("limit", range(2, 20))
def test_a_bound_cuts_no_character(limit: int) -> None:
    output = Output(limit)
    for byte in "äöü€😀äöü€😀".encode():
        output.add(bytes([byte]))
    assert "\ufffd" not in output.text()


def test_output_of_exactly_the_bound_is_whole() -> None:
    output = Output(10)
    output.add(b"0123456789")
    assert output.text() == "0123456789"
    output.add(b"x")
    assert output.text() == "01234\n[... 1 bytes left out ...]\n6789x"
