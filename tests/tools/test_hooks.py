"""Commands of hooks run in the session's place, end with their time, and answer; so do those of the house."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import anyio
import pytest

from roost import process
from roost.clock import SystemClock
from roost.core import hooks as rules
from roost.core.agents import Hook
from roost.core.ids import SessionId
from roost.ports import Place, Ran
from roost.tools import stock
from roost.tools.cell import Cells
from roost.tools.hooks import LARGEST, Runner
from roost.tools.surroundings import LocalSurroundings

pytestmark = pytest.mark.anyio

SECRET = "hush-hush-1234"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (folder := tmp_path / "work").mkdir()
    return folder


class Here:
    """A runner, and a place for it."""

    def __init__(self, tmp_path: Path, work: Path) -> None:
        self.env = {**os.environ, "HOME": str(tmp_path / "home"), "MY_API_KEY": SECRET}
        self.place = Place(SessionId(f"hooks-{os.getpid()}-{work.parent.name}"), "root", str(work), lambda _: None)
        self.runner = Runner(self.env, Cells(None, tmp_path), LocalSurroundings(tmp_path / "home"), SystemClock())

    async def command(self, line: str, given: dict[str, Any] | None = None, **more: Any) -> Ran:
        return await self.runner.run(Hook("command", line, **more), given or {}, self.place)

    async def builtin(self, name: str, *args: str, event: str = "session_start", **special: Any) -> rules.Output:
        given = rules.given(event, session=self.place.session, cwd=self.place.working_dir, agent="root", **special)
        hook = Hook("builtin", name, args=args)
        return rules.read(event, hook, await self.runner.run(hook, given, self.place))

    def left(self) -> list[int]:
        marked = f"{process.MARK}={self.place.session}/".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                found += [int(path.parent.name)] if marked in path.read_bytes() else []
            except OSError:
                continue
        return found


@pytest.fixture
def here(tmp_path: Path, work: Path) -> Here:
    return Here(tmp_path, work)


# -- commands -----------------------------------------------------------------------------------


async def test_a_command_gets_its_input_and_answers(here: Here) -> None:
    ran = await here.command("cat; echo oh >&2; exit 3", {"tool_input": {"cmd": "ls", "ü": "\ud800"}})
    assert json.loads(ran.stdout) == {"tool_input": {"cmd": "ls", "ü": "?"}}
    assert (ran.code, ran.stderr, ran.error) == (3, "oh\n", "")
    assert ran.duration > 0


async def test_input_that_nobody_reads(here: Here) -> None:
    assert (await here.command("exec true", {"messages": ["x" * 1_000_000]})).code == 0


async def test_where_a_command_runs(here: Here, work: Path) -> None:
    (work / "sub").mkdir()
    assert (await here.command("pwd")).stdout == f"{work}\n"
    assert (await here.command("pwd", working_dir="sub")).stdout == f"{work}/sub\n"
    ran = await here.command("pwd", working_dir="nowhere")
    assert ran.code is None
    assert "the working directory does not exist" in ran.error


async def test_what_a_command_finds_in_its_environment(here: Here) -> None:
    ran = await here.command('echo "$MY_API_KEY $MINE $ROOST_CALL"', env={"MINE": "yes", "ROOST_CALL": "x"})
    assert ran.stdout.startswith(f"{SECRET} yes {here.place.session}/hook-")


async def test_output_that_is_no_text(here: Here) -> None:
    assert (await here.command(r"printf '\377\376'; printf '\377' >&2")).stdout == "\ufffd\ufffd"


async def test_output_without_end_is_cut_off(here: Here) -> None:
    ran = await here.command(f"head -c {3 * LARGEST} /dev/zero; head -c {9 * LARGEST} /dev/zero >&2")
    assert (ran.code, ran.stdout) == (None, "")
    assert "printed more than" in ran.error
    assert len(ran.stderr) <= LARGEST + 100
    whole = await here.command(f"head -c {LARGEST} /dev/zero")
    assert (whole.code, len(whole.stdout)) == (0, LARGEST)


async def test_a_command_that_never_ends_is_ended_with_all_that_it_started(here: Here) -> None:
    ran = await here.command("(trap '' TERM; sleep 1000) & setsid sleep 1000 & sleep 1000", timeout=0.3)
    assert ran.code is None
    assert "did not end within 0.3s" in ran.error
    assert here.left() == []


async def test_what_a_command_leaves_running_ends_too(here: Here) -> None:
    ran = await here.command("sleep 1000 >/dev/null 2>&1 & echo done")
    assert (ran.code, ran.stdout) == (0, "done\n")
    assert here.left() == []


async def test_a_command_that_is_cancelled(here: Here, work: Path) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(here.command, "touch started; sleep 1000")
        with anyio.fail_after(20):
            while not (work / "started").exists():
                await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
    assert here.left() == []


@pytest.mark.parametrize(
    ("line", "why"),
    [("kill -9 $$", "a signal ended it: 9"), ("echo a\0b", "NUL byte")],
)
async def test_a_command_that_dies(here: Here, line: str, why: str) -> None:
    ran = await here.command(line)
    assert ran.code is None
    assert why in ran.error


async def test_a_confined_session_without_a_sandbox_runs_no_hooks(here: Here) -> None:
    confined = Place(here.place.session, "root", here.place.working_dir, lambda _: None, confined=True)
    ran = await here.runner.run(Hook("command", "true"), {}, confined)
    assert ran.code is None
    assert "no sandbox works" in ran.error


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        (Hook("command", "true", env={"A": "x\0y"}), "null byte"),
        (Hook("model", model="m", prompt="p"), "type 'model' are not built"),
        (Hook("builtin", "unload"), "'unload' is not built"),
        (Hook("builtin", "add_dates"), "no builtin hook 'add_dates'; there are: add_date,"),
        (Hook("builtin", "add_recent_commits", args=("-1",)), "takes a number above 0, not '-1'"),
        (Hook("builtin", "max_iterations"), "takes a number above 0"),
        (Hook("builtin", "max_iterations", args=("3",)), "belongs to before_llm_call, not to session_start"),
        (Hook("builtin", "redact_secrets"), "nothing to rewrite at session_start"),
        (Hook("builtin", "elide_repeated_tool_results"), "belongs to before_llm_call"),
        (Hook("builtin", "add_prompt_files"), "needs the names of files"),
        (Hook("builtin", "add_prompt_files", args=("A.md", "--depth=x")), "--depth=N"),
    ],
)
async def test_what_cannot_be_run_says_why(here: Here, hook: Hook, why: str) -> None:
    given = rules.given("session_start", session="s", cwd="/", agent="root")
    ran = await here.runner.run(hook, given, here.place)
    assert ran.code is None
    assert why in ran.error


def test_all_builtins_are_known_and_there() -> None:
    assert set(stock.BUILTINS) == rules.BUILTINS
    assert not rules.BUILTINS & rules.NOT_BUILT


# -- builtins -----------------------------------------------------------------------------------


async def test_the_day_and_the_place(here: Here, work: Path) -> None:
    assert (await here.builtin("add_date")).context.startswith("Today's date: 2")
    assert f"Working directory: {work}" in (await here.builtin("add_environment_info")).context
    assert (await here.builtin("safer_shell", event="pre_tool_use")) == rules.Output("safer_shell")


async def test_a_listing(here: Here, work: Path) -> None:
    assert (await here.builtin("add_directory_listing")).context.endswith("(nothing)")
    (work / "sub").mkdir()
    for name in ("b.txt", ".hidden", "a\nb"):
        (work / name).touch()
    (work / os.fsdecode(b"\xff")).touch()
    text = (await here.builtin("add_directory_listing")).context
    assert text == f"The working directory {work} holds:\n'a\\nb'\nb.txt\nsub/\n'\\udcff'"
    for number in range(300):
        (work / f"z{number}").touch()
    assert (await here.builtin("add_directory_listing")).context.endswith("\n… and 104 more")


async def test_files_of_guidance(here: Here, work: Path) -> None:
    (work / "AGENTS.md").write_text('{"continue": false}')
    (work / "sub").mkdir()
    (work / "sub" / "AGENTS.md").write_text("below\n")
    assert (await here.builtin("add_prompt_files", "AGENTS.md")).context == '{"continue": false}'
    deep = await here.builtin("add_prompt_files", "AGENTS.md", "--depth=2", event="turn_start")
    assert deep.context == '{"continue": false}\n\nbelow'


async def test_who_the_user_is(here: Here, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"whose home is {Path.home()}" in (await here.builtin("add_user_info")).context
    monkeypatch.setattr(stock.os, "getuid", lambda: 4_000_000)
    assert (await here.builtin("add_user_info")).context.startswith("The user is number 4000000, whose home is ")
    for confined in (False, True):
        here.place = Place(SessionId("s"), "root", str(work), lambda _: None, owner="bob", confined=confined)
        assert (await here.builtin("add_user_info")).context == "The user is bob."


def git(work: Path, *args: str) -> None:
    names = ("-c", "user.name=Bob", "-c", "user.email=bob@example.com")
    subprocess.run(["git", *names, *args], cwd=work, check=True, capture_output=True)


async def test_the_repository(here: Here, work: Path) -> None:
    for name in ("add_git_status", "add_git_diff", "add_recent_commits"):
        assert await here.builtin(name) == rules.Output(name)
    git(work, "init", "-b", "main")
    (work / "a").write_text("one\n")
    git(work, "add", "a")
    assert (await here.builtin("add_git_diff")).context == ""
    for message in ("first", "second"):
        git(work, "commit", "--allow-empty", "-m", message)
    (work / "a").write_text("two\n")
    assert (await here.builtin("add_git_status")).context.endswith("## main\n M a")
    assert "1 file changed" in (await here.builtin("add_git_diff")).context
    assert "+two" in (await here.builtin("add_git_diff", "full")).context
    assert (await here.builtin("add_recent_commits", "1")).context.endswith(" second")
    assert (await here.builtin("add_recent_commits")).context.endswith(" first")


async def test_a_repository_starts_no_programs(here: Here, work: Path) -> None:
    git(work, "init", "-b", "main")
    (work / "a").write_text("one\n")
    git(work, "add", "a")
    git(work, "commit", "-m", "first")
    (work / "a").write_text("two\n")
    (work / ".gitattributes").write_text("a diff=evil\n")
    for key in ("core.fsmonitor", "diff.external", "diff.evil.textconv", "core.pager", "diff.evil.command"):
        git(work, "config", key, f"touch {work}/started;")
    for name, args in (("add_git_status", ()), ("add_git_diff", ("full",)), ("add_recent_commits", ())):
        assert (await here.builtin(name, *args)).context
    assert not (work / "started").exists()


async def test_so_many_iterations(here: Here) -> None:
    async def asked(iteration: int) -> rules.Verdict:
        output = await here.builtin("max_iterations", "3", event="before_llm_call", iteration=iteration)
        return rules.merge("before_llm_call", [output])

    assert await asked(3) == rules.Verdict()
    assert (await asked(4)).stop_reason == "Execution stopped by a hook after 3 iterations."


async def test_secrets_go(here: Here) -> None:
    response = await here.builtin("redact_secrets", event="tool_response_transform", tool_response=f"key: {SECRET}")
    assert response.updated_response == "key: [REDACTED]"
    clean = await here.builtin("redact_secrets", event="tool_response_transform", tool_response="fine")
    assert clean == rules.Output("redact_secrets")
    arguments = await here.builtin("redact_secrets", event="pre_tool_use", tool_input={"cmd": f"echo {SECRET}"})
    assert arguments.updated_input == {"cmd": "echo [REDACTED]"}
    messages = [{"role": "user", "content": SECRET}, {"role": "assistant", "content": "ok"}]
    told = await here.builtin("redact_secrets", event="before_llm_call", messages=messages)
    assert told.updated_messages == ({"role": "user", "content": "[REDACTED]"}, messages[1])


async def test_large_results_give_way_in_their_middle(here: Here) -> None:
    cut = await here.builtin(
        "limit_large_tool_results", "10", event="tool_response_transform", tool_response="a" * 50 + "b" * 50
    )
    assert cut.updated_response == "aaaaa\n[... 90 characters left out ...]\nbbbbb"
    whole = await here.builtin("limit_large_tool_results", event="tool_response_transform", tool_response="x" * 9999)
    assert whole.updated_response is None


async def test_what_was_returned_twice_is_kept_once(here: Here) -> None:
    long = {"role": "tool", "content": "x" * 500, "tool_call_id": "1"}
    messages = [long, {"role": "user", "content": "x" * 500}, {**long, "tool_call_id": "2"}]
    told = await here.builtin("elide_repeated_tool_results", event="before_llm_call", messages=messages)
    assert told.updated_messages == (
        {**long, "content": "[the same result as that of a later call]"},
        *messages[1:],
    )
    assert await here.builtin("elide_repeated_tool_results", event="before_llm_call", messages=messages[1:]) == (
        rules.Output("elide_repeated_tool_results")
    )
