"""The tools of a confined session: whatever they start is in the sandbox, and files outside are out of reach."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from fakes import languageserver
from fakes.calls import Session, Using
from roost.core.ids import CallId
from roost.sandbox.bubblewrap import Bubblewrap
from roost.sandbox.choice import Choice
from roost.sandbox.view import Kept
from roost.tools.builtin import Builtin

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="apt-get install bubblewrap brings it"),
]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """Confined, in a folder beside which lies a secret."""
    (tmp_path / "secret").write_text("secret")
    (work := tmp_path / "work").mkdir()
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "owner"), "API_KEY": "secret", "LANG": "C.UTF-8"}
    kept = Kept(str(tmp_path / "owner"), str(tmp_path / "state"))
    found = Session(work, Builtin(env, Bubblewrap(kept), tmp_path / "state"))
    found.confined = True
    yield found
    assert not list((tmp_path / "state").glob("cells/*")), "what was made for a program stayed behind"


async def test_a_command_sees_the_working_directory_and_no_more(session: Session, tmp_path: Path) -> None:
    async with session.open("shell") as toolset:
        result = await session.call(toolset, "shell", cmd="echo hi > made; pwd; cat ../secret; env; ls /root /home")
    assert (session.folder / "made").read_text() == "hi\n"
    assert result.output.splitlines()[1] == str(session.folder) or str(session.folder) in result.output
    assert "API_KEY" not in result.output
    assert f"HOME={tmp_path / 'state/homes' / session.id}" in result.output
    assert "cat: ../secret: No such file" in result.output


async def test_its_exit_code_and_its_output_while_it_runs_are_told(session: Session) -> None:
    using = Using()
    async with session.open("shell") as toolset:
        result = await session.call(toolset, "shell", using, cmd="echo out; echo err >&2; exit 3")
    assert result.is_error
    assert "exit status 3" in result.output
    assert "".join(using.shown) == "out\nerr\n"


async def test_it_has_no_network(session: Session) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with session.open("shell") as toolset:
            result = await session.call(toolset, "shell", cmd=f"bash -c 'echo > /dev/tcp/127.0.0.1/{port}'")
    assert "refused" in result.output


async def test_a_command_that_takes_too_long_is_ended_with_all_it_started(session: Session) -> None:
    async with session.open("shell") as toolset:
        cmd = "setsid sh -c 'trap \"\" TERM; while :; do sleep 1; echo on >> ticks; done' & tail -f /dev/null"
        result = await session.call(toolset, "shell", cmd=cmd, timeout=1.5)
        assert "timed out" in result.output
        ticks = session.folder / "ticks"
        before = ticks.read_text() if ticks.exists() else ""
        await anyio.sleep(1.2)  # longer than between two of its signs of life
        assert (ticks.read_text() if ticks.exists() else "") == before


async def test_a_background_job_is_confined_too(session: Session) -> None:
    async with session.open("background_jobs") as toolset:
        started = await session.call(toolset, "run_background_job", cmd="cat ../secret; echo done")
        assert started.meta is not None
        job = started.meta["job_id"]
        result = await session.call(toolset, "wait_background_job", job_id=job)
    assert "No such file" in result.output
    assert "done" in result.output


async def test_a_command_after_an_edit_is_confined_too(session: Session) -> None:
    rules = [{"path": "*.txt", "cmd": "cat ../secret > copied 2>&1; exit 1"}]
    async with session.open("filesystem", post_edit=rules) as toolset:
        result = await session.call(toolset, "write_file", path="a.txt", content="x")
    assert "post-edit command failed" in result.output
    assert "No such file" in (session.folder / "copied").read_text()


@pytest.mark.parametrize("options", [{}, {"allow_list": ["/"]}])
async def test_files_outside_are_out_of_reach(session: Session, tmp_path: Path, options: dict[str, object]) -> None:
    (session.folder / "link").symlink_to(tmp_path / "secret")
    async with session.open("filesystem", **options) as toolset:
        for path in (str(tmp_path / "secret"), "../secret", "link", "/etc/passwd", "~/x"):
            read = await session.call(toolset, "read_file", path=path)
            assert read.is_error
            assert "outside" in read.output
            written = await session.call(toolset, "write_file", path=path + "x", content="x")
            assert written.is_error or path == "link"
        assert (await session.call(toolset, "list_directory", path="..")).is_error
    assert (tmp_path / "secret").read_text() == "secret"


async def test_a_folder_outside_can_not_be_run_in(session: Session) -> None:
    async with session.open("shell") as toolset:
        result = await session.call(toolset, "shell", cmd="true", cwd="..")
    assert "outside" in result.output


@pytest.mark.parametrize("sandbox", [None, Choice((), why_none="it is switched off")])
async def test_without_a_sandbox_nothing_is_run(tmp_path: Path, sandbox: Choice | None) -> None:
    session = Session(tmp_path, Builtin({"PATH": os.environ["PATH"]}, sandbox, tmp_path / "state"))
    session.confined = True
    async with session.open("shell") as toolset:
        for name in ("shell", "run_background_job"):
            result = await session.call(toolset, name, cmd="touch made")
            if name == "shell":
                assert result.is_error
                assert "nothing outside of a sandbox" in result.output
            else:
                job = (result.meta or {})["job_id"]
                told = await session.call(toolset, "wait_background_job", job_id=job)
                assert "nothing outside of a sandbox" in told.output
    assert not (tmp_path / "made").exists()


async def test_what_a_dead_server_left_is_removed_and_what_a_living_one_has_is_not(
    session: Session, tmp_path: Path
) -> None:
    call = CallId("call_1")
    dead = tmp_path / "state/cells/roost-call-call_1-999999999-5-abc"
    dead.mkdir(parents=True)
    async with session.open("shell") as toolset, anyio.create_task_group() as tasks:
        using = Using()
        using.call = call
        tasks.start_soon(lambda: session.call(toolset, "shell", using, cmd="echo up; tail -f /dev/null"))
        while not using.shown:
            await anyio.sleep(0.01)
        await session.builtin.end(call)
        assert not dead.exists()
        assert len(list((tmp_path / "state/cells").iterdir())) == 1
        tasks.cancel_scope.cancel()


async def test_a_language_server_is_inside(session: Session, tmp_path: Path) -> None:
    script = shutil.copy(languageserver.__file__, session.folder / "server.py")
    table = session.folder / "table.json"
    table.write_text(json.dumps({"textDocument/hover": {"contents": "from inside"}}))
    (session.folder / "a.py").write_text("x = 1\n")
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    server = {"command": python, "args": [str(script), "good", str(table)]}
    async with session.open("lsp", servers=[server]) as toolset:
        for _ in range(2):
            result = await session.call(toolset, "lsp_hover", file="a.py", line=1, character=1)
            assert result.output == "from inside"
        outside = await session.call(toolset, "lsp_hover", file="../secret", line=1, character=1)
        assert outside.is_error and "not allowed" in outside.output
    first = json.loads((session.folder / "table.json.log").read_text().splitlines()[0])
    assert first["params"]["processId"] is None  # our own number means nothing in there


async def test_scripts_and_repositories_are_confined_too(session: Session, tmp_path: Path) -> None:
    work = session.folder
    if shutil.which("git") is None:
        pytest.skip("apt-get install git brings it")
    run = ("git", "-c", "user.name=A", "-c", "user.email=a@a.test")
    for words in (("init", "-q"), ("commit", "-qm", "First", "--allow-empty")):
        subprocess.run((*run, *words), cwd=work, check=True)
    async with session.open(
        "script", shell={"look": {"cmd": "cat ../secret; echo $API_KEY $who", "args": {"who": {}}}}
    ) as tools:
        result = await session.call(tools, "look", who="me")
        assert "No such file" in result.output and "secret" not in result.output.replace("../secret", "")
        assert result.output.endswith("\nme")
    async with session.open("git") as tools:
        assert "First" in (await session.call(tools, "git_log")).output
        outside = await session.call(tools, "git_log", repository=str(tmp_path))
        assert outside.is_error and "not allowed" in outside.output


async def test_nothing_is_asked_over_http(session: Session) -> None:
    async with session.open("fetch", allow_private_ips=True) as tools:
        result = await session.call(tools, "fetch", urls=["http://127.0.0.1:1/"], format="text")
        assert result.is_error and "confined to a sandbox" in result.output
