"""A program under a keeper: what goes in, what comes out, and what is said of its end."""

import errno
import json
import os
import resource
import stat
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from keepers.runs import ENV, descriptors, flood, line, python, said, sh, until
from roost.core.errors import LaunchFailed
from roost.core.ids import RunId, SessionId
from roost.keepers import keeper
from roost.keepers import keepers as module
from roost.keepers.keepers import Keepers, open_keepers
from roost.ports import Exit, Input, Launch, Runs

pytestmark = pytest.mark.anyio

RUN, SESSION = RunId("run-1"), SessionId("session-1")
END = Input("end", close=True)


async def test_it_keeps_the_contract(keepers: Keepers) -> None:
    runs: Runs = keepers
    process = await runs.start(RUN, SESSION, sh("exit 0"))
    assert await said(process) == ([], [], Exit(0), False)
    await process.clear()


async def test_output_errors_and_the_exit_code_are_told(keepers: Keepers, tmp_path: Path) -> None:
    process = await keepers.start(RUN, SESSION, sh("pwd; echo oh >&2; exit 7", cwd=str(tmp_path)))
    assert await said(process) == ([str(tmp_path).encode()], [b"oh"], Exit(7), False)


async def test_nothing_is_inherited(keepers: Keepers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    show = python("import os; print(sorted(os.environ)); print(sorted(os.listdir('/proc/self/fd'))[:9])")
    out, _, _, _ = await said(await keepers.start(RUN, SESSION, show))
    assert set(json.loads(out[0].replace(b"'", b'"'))) - {"LC_CTYPE"} == {"PATH", "ROOST_RUN"}
    assert json.loads(out[1].replace(b"'", b'"')) == ["0", "1", "2", "3"]  # 3 is the listing itself


async def test_a_signal_is_told(keepers: Keepers) -> None:
    out = await said(await keepers.start(RUN, SESSION, sh("kill -9 $$")))
    assert out.exit == Exit(137, signal=9)


async def test_input_comes_in_order_and_each_id_once(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, sh("cat", inputs=(Input("1", "one"), Input("2", "two"))))
    await process.send(Input("3", "three", at=8), Input("1", "again"), Input("3", "twice"))
    await line(process, b"three")
    await process.send(Input("3", "thrice"), END)
    assert (await said(process)).out == [b"one", b"two", b"three"]
    assert process.sent() == (Input("1", "one"), Input("2", "two"), Input("3", "three", at=8), END)


async def test_input_that_a_crash_has_torn_harms_no_other(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, sh("cat"))
    with (keepers.folder(RUN).parent / "in.jsonl").open("ab") as file:
        file.write(b'{"id":"torn","line":"hal')
    await process.send(Input("1", "whole"), END)
    assert (await said(process)).out == [b"whole"]
    assert process.sent() == (Input("1", "whole"), END)


async def test_two_servers_may_write_at_once(keepers: Keepers, home: Path) -> None:
    process = await keepers.start(RUN, SESSION, sh("cat"))
    async with open_keepers(home) as others:
        other = await others.adopt(RUN, pid=process.pid, started=process.started, boot_id=process.boot_id)
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(process.send, Input(str(number), f"line {number}"))
                tasks.start_soon(other.send, Input(str(number), f"line {number}"))
        await other.send(END)
        out = (await said(other)).out
        assert sorted(out) == sorted(f"line {number}".encode() for number in range(20))


async def test_a_program_that_never_reads_hangs_nobody(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, sh("echo up; exec sleep 1000"))
    big = "x" * (10 << 20)
    await process.send(Input("big", big))
    await process.send(Input("small", "y"))
    await line(process, b"up")
    with anyio.fail_after(20):
        await process.stop(grace=5)
    assert (await said(process)).exit == Exit(130, signal=2, killed=True)


async def test_big_input_arrives_whole(keepers: Keepers) -> None:
    code = "import sys; time=__import__('time'); time.sleep(.1); print(sum(map(len, sys.stdin)))"
    process = await keepers.start(RUN, SESSION, python(code))
    await process.send(*(Input(str(n), "é" * (1 << 19)) for n in range(10)), END)
    assert (await said(process)).out == [str(10 * ((1 << 19) + 1)).encode()]


async def test_a_program_that_closes_its_input_goes_on(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, python("import os; os.close(0); print(1, flush=True); input"))
    await line(process, b"1")
    await process.send(Input("1", "for nobody"))
    assert (await said(process)).exit == Exit(0)


async def test_the_last_line_needs_no_newline_and_bytes_are_bytes(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, python(r"import os; os.write(1, b'a\0b\n\xff\n\r\n\nend')"))
    assert (await said(process)).out == [b"a\0b", b"\xff", b"\r", b"", b"end"]


async def test_half_a_line_waits_for_its_other_half(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, sh("printf 'a\\nhal'; read go; echo f; read go"))
    output = await process.read(0, 0)
    assert (output.lines, output.out) == ((b"a",), 2)
    await process.send(Input("go", "go"))
    output = await process.read(output.out, 0)
    assert (output.lines, output.out) == ((b"half",), 7)
    await process.send(END)
    assert (await said(process, 7)).out == []


async def test_a_line_that_is_too_long_loses_its_rest(keepers: Keepers) -> None:
    code = "import os,sys; w=sys.stdout.write; w('first\\n'); [w('x' * (1 << 20)) for _ in range(50)]; w('\\nlast')"
    process = await keepers.start(RUN, SESSION, python(code))
    out, _, end, cut = await said(process)
    assert [len(part) for part in out] == [5, 16 << 20, 4]
    assert cut
    assert end == Exit(0)


async def test_a_long_line_is_whole(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, python("print('x' * (5 << 20)); print('y', end='')"))
    out, _, _, cut = await said(process)
    assert [len(part) for part in out] == [5 << 20, 1]
    assert not cut


async def test_a_flood_is_ended(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, flood(1 << 20))
    end = (await said(process)).exit
    assert (end.flooded, end.signal, end.killed) == (True, 9, False)


@pytest.mark.parametrize(
    ("launch", "why"),
    [
        (Launch(argv=("no-such-program",), cwd="/", env=ENV), "no-such-program was not found on the PATH"),
        (Launch(argv=("/no/such/program",), cwd="/", env=ENV), "/no/such/program was not found"),
        (Launch(argv=("/etc/passwd",), cwd="/", env=ENV), "/etc/passwd is not executable"),
        (Launch(argv=("/etc",), cwd="/", env=ENV), "/etc is a directory"),
        (Launch(argv=("passwd",), cwd="/", env={"PATH": "/etc"}), "/etc/passwd is not executable"),
        (sh("true", cwd="/no/such/folder"), "the working directory /no/such/folder can't be used"),
        (sh("x" * (1 << 18)), "has 262144 bytes"),
        (sh("true\0false"), "embedded null byte"),
        (sh("true", files={"../../evil": ""}), "does not lie in the run's folder"),
        (sh("true", beside=(("no-such-proxy",),)), "no-such-proxy was not found on the PATH"),
    ],
)
async def test_what_can_not_be_started_says_why(keepers: Keepers, home: Path, launch: Launch, why: str) -> None:
    before = descriptors()
    with pytest.raises(LaunchFailed, match=why):
        await keepers.start(RUN, SESSION, launch)
    assert not list((home / "runs").iterdir())
    assert descriptors() == before


async def test_a_script_without_its_interpreter_says_so(keepers: Keepers, tmp_path: Path) -> None:
    for name, first, why in [("gone", "#!/no/such/shell", "interpreter"), ("odd", "\x7fodd", "not a program")]:
        script = tmp_path / name
        script.write_text(f"{first}\ntrue\n")
        script.chmod(0o755)
        with pytest.raises(LaunchFailed, match=why):
            await keepers.start(RUN, SESSION, Launch(argv=(str(script),), cwd="/", env=ENV))


@pytest.mark.parametrize(
    ("number", "why"), [(errno.ENOSPC, "no room left on the disk"), (errno.EMFILE, "too many open files")]
)
async def test_where_there_is_no_room_it_says_so(
    keepers: Keepers, home: Path, monkeypatch: pytest.MonkeyPatch, number: int, why: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(os, "mkfifo", refuse)
    with pytest.raises(LaunchFailed, match=why):
        await keepers.start(RUN, SESSION, sh("true"))
    assert not list((home / "runs").iterdir())


async def test_a_start_that_is_cancelled_is_known_all_the_same(keepers: Keepers) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        process = await keepers.start(RUN, SESSION, sh("exec sleep 1000"))
    await process.stop(grace=5)
    assert (await said(process)).exit.killed


async def test_a_run_starts_once(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, sh("cat"))
    with pytest.raises(LaunchFailed, match="already"):
        await keepers.start(RUN, SESSION, sh("cat"))
    await process.send(Input("1", "still there"), END)
    assert (await said(process)).out == [b"still there"]


async def test_a_server_with_many_open_files_starts_programs(keepers: Keepers) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    with ExitStack() as stack:
        for _ in range(1100):
            stack.enter_context(Path("/dev/null").open())
        process = await keepers.start(RUN, SESSION, sh("ls /proc/self/fd | wc -l"))
        assert (await said(process)).out == [b"4"]
        await process.clear()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_keeper_that_is_compiled_elsewhere_starts_from_its_source(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, text in [("absent.pyc", None), ("torn.pyc", b"\0"), ("foreign.pyc", b"\0" * 64)]:
        if text is not None:
            (tmp_path / name).write_bytes(text)
        monkeypatch.setattr(module, "cache_from_source", lambda _, name=name: str(tmp_path / name))
        process = await keepers.start(RunId(name), SESSION, sh("exec sleep 1000"))
        assert keeper.__file__ in Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")
        await process.clear()


@pytest.mark.parametrize("id", ["", "..", "a/b", ".hidden"])
async def test_ids_lead_nowhere_else(keepers: Keepers, id: str) -> None:
    with pytest.raises(LaunchFailed):
        keepers.folder(RunId(id))
    with pytest.raises(LaunchFailed):
        keepers.spawn_log(SessionId(id))


async def test_all_is_private_and_secrets_go_with_the_program(keepers: Keepers, home: Path) -> None:
    folder = keepers.folder(RUN)
    script = f"cat {folder}/deep/key; cat"
    process = await keepers.start(
        RUN, SESSION, sh(script, files={"deep/key": "secret\n"}, env={**ENV, "KEY": "hidden"})
    )
    await line(process, b"secret")
    place = folder.parent
    everything = [place, *place.rglob("*"), keepers.spawn_log(SESSION)]
    for path in everything:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        assert not path.is_file() or b"hidden" not in path.read_bytes()
    await process.send(END)
    await said(process)
    assert not (folder / "deep/key").exists()
    await process.clear()
    assert not list((home / "runs").iterdir())


async def test_the_spawn_log_is_there_from_the_start_and_in_the_end_has_all(keepers: Keepers) -> None:
    log = keepers.spawn_log(SESSION)
    process = await keepers.start(RUN, SESSION, sh("echo one; echo two >&2; cat; printf three"))
    assert log.exists()
    await until(lambda: log.read_text() == "one\ntwo\n")
    await process.send(END)
    await said(process)
    await process.clear()
    again = await keepers.start(RunId("run-2"), SESSION, sh("echo four"))
    await said(again)
    await again.clear()
    assert log.read_text() == "one\ntwo\nthree\nfour\n"


async def test_programs_beside_it_come_first_and_end_with_it(keepers: Keepers, tmp_path: Path) -> None:
    beside, after = tmp_path / "beside", tmp_path / "after"
    launch = sh(
        "cat",
        beside=(("/bin/sh", "-c", f"echo $$ > {beside}; trap '' INT; while :; do sleep 0.1; done"),),
        after=(("no-such-program",), ("/bin/sh", "-c", f"echo gone > {after}"), ("/bin/sh", "-c", "sleep 0.1")),
    )
    process = await keepers.start(RUN, SESSION, launch)
    await until(lambda: beside.exists() and beside.read_text().strip())
    pid = int(beside.read_text())
    await process.signal(15)
    assert (await said(process)).exit == Exit(143, signal=15)
    assert after.read_text() == "gone\n"
    assert not Path(f"/proc/{pid}").exists()
    assert "no-such-program" in (keepers.folder(RUN).parent / "keeper.log").read_text()


async def test_nothing_is_lost_in_many_small_lines(keepers: Keepers) -> None:
    code = "import sys\nfor n in range(200_000): sys.stdout.write(f'{n}\\n')"
    out = (await said(await keepers.start(RUN, SESSION, python(code)))).out
    assert out == [str(n).encode() for n in range(200_000)]


async def test_a_keeper_holds_few_descriptors_and_little_memory(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, sh("cat"))
    assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) <= 12
    held = {os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir()}  # noqa: PTH115
    assert not any("memfd" in path for path in held)
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    assert pages * os.sysconf("SC_PAGESIZE") < 24 << 20
    assert Path(f"/proc/{process.pid}/cwd").readlink() == Path("/")
    assert os.getsid(process.pid) == process.pid
    await process.send(END)
    await said(process)


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"])
async def test_it_works_in_the_loop_of_the_server(keepers: Keepers) -> None:
    process = await keepers.start(RUN, SESSION, sh("cat; exit 4", inputs=(Input("1", "hi"),)))
    await line(process, b"hi")
    await process.send(END)
    assert (await said(process)).exit == Exit(4)
    await process.clear()
