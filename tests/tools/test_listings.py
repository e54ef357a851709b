"""What directories hold and where text is found, without what git ignores."""

import json
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from fakes.calls import Session
from roost.core.messages import Result
from roost.tools import search

pytestmark = pytest.mark.anyio


async def run(session: Session, tool: str, /, options: dict[str, Any] | None = None, **arguments: Any) -> Result:
    async with session.open("filesystem", **(options or {})) as toolset:
        return await session.call(toolset, tool, **arguments)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = {
        ".git/HEAD": "needle",
        ".git/info/exclude": "private\n",
        ".gitignore": "*.log\nbuild/\n!keep.log\n[bad\n",
        "a.txt": "first\n  a needle here, needle\nlast needle",
        "a.log": "needle",
        "keep.log": "needle",
        "private": "needle",
        "build/out.txt": "needle",
        "src/.gitignore": "generated.py\n!special.log\n",
        "src/generated.py": "needle",
        "src/special.log": "needle",
        "src/main.py": "x = 1\nNeedle = 'naädle'\nneedle()",
        "src/blob": "needle\0",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "link").symlink_to("src")
    return tmp_path


async def test_a_list(session: Session, tree: Path) -> None:
    result = await run(session, "list_directory", path=".")
    assert result == Result("FILE .gitignore\nFILE a.txt\nFILE keep.log\nFILE link\nDIR  src")
    assert "DIR  .git\n" in (await run(session, "list_directory", {"ignore_vcs": False}, path=".")).output


async def test_an_empty_list_says_why(session: Session, tree: Path) -> None:
    (tree / "empty").mkdir()
    assert (await run(session, "list_directory", path="empty")).output == f"Directory is empty: {tree}/empty"
    result = await run(session, "list_directory", path="build")
    assert result.output == f"Directory has nothing to show: {tree}/build (1 entries, all hidden by ignore rules)"
    assert (await run(session, "list_directory", path="a.txt")) == Result(
        f"a.txt is not a directory, in {tree}/a.txt", is_error=True
    )
    assert (await run(session, "list_directory", path="none")) == Result(f"not found: {tree}/none", is_error=True)


async def test_a_long_list_is_cut(session: Session, tmp_path: Path) -> None:
    for n in range(103):
        (tmp_path / f"{n:03}").touch()
    lines = (await run(session, "list_directory", path=".")).output.split("\n")
    assert len(lines) == 101 and lines[-1] == "... and 3 more entries"


async def test_a_tree(session: Session, tree: Path) -> None:
    root = json.loads((await run(session, "directory_tree", path=".")).output)
    assert root["name"] == tree.name and root["type"] == "directory"
    assert [child["name"] for child in root["children"]] == [".gitignore", "a.txt", "keep.log", "link", "src"]
    assert root["children"][-1] == {
        "name": "src",
        "type": "directory",
        "children": [{"name": name, "type": "file"} for name in (".gitignore", "blob", "main.py", "special.log")],
    }


async def test_a_large_tree_is_cut_at_its_depth(session: Session, tmp_path: Path) -> None:
    for n in range(20):
        (tmp_path / f"{n:02}").mkdir()
        for m in range(20):
            (tmp_path / f"{n:02}/{m}").touch()
    root = json.loads((await run(session, "directory_tree", path=".")).output)
    assert len(root["children"]) == 20 and "truncated" in root
    assert 1 + 20 + sum(len(child["children"]) for child in root["children"]) == 100


async def test_a_search(session: Session, tree: Path) -> None:
    result = await run(session, "search_files_content", path=".", query="needle")
    assert sorted(result.output.split("\n")) == [
        "a.txt:2:5: a needle here, needle",
        "a.txt:3:6: last needle",
        "keep.log:1:1: needle",
        "src/main.py:3:1: needle()",
        "src/special.log:1:1: needle",
    ]
    result = await run(session, "search_files_content", path="src", query="needle", excludePatterns=["*.log"])
    assert result.output == "src/main.py:3:1: needle()"
    assert (await run(session, "search_files_content", path="a.txt", query="last")).output == "a.txt:3:1: last needle"
    assert (await run(session, "search_files_content", path=".", query="a.x*")).output.startswith("No matches found")


async def test_a_search_by_regular_expression(session: Session, tree: Path) -> None:
    result = await run(session, "search_files_content", path=".", query=r"(?i)^n\w+ = 'na.dle'$", is_regex=True)
    assert result.output == "src/main.py:2:1: Needle = 'naädle'"
    result = await run(session, "search_files_content", path=".", query="(", is_regex=True)
    assert result.is_error and result.output.startswith("invalid regular expression")


async def test_a_search_ends_at_its_bound(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(("x" * 1000 + "\n") * 3000)
    for is_regex in (False, True):
        lines = (await run(session, "search_files_content", path=".", query="x", is_regex=is_regex)).output.split("\n")
        assert len(lines) == 1001 and lines[-1] == "[stopped after 1000 matches: there may be more]"
        assert lines[-2] == "a:1000:1: " + "x" * 200


async def test_an_endless_expression_is_ended(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "REGEX_PATIENCE", 0.3)
    (tmp_path / "a").write_text("a" * 60 + "!")
    result = await run(session, "search_files_content", path=".", query="(a+)+$", is_regex=True)
    assert result.is_error and "takes longer than" in result.output


async def test_a_cancelled_search_leaves_no_process(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a" * 60 + "!")
    started: list[search._Matcher] = []
    running = threading.Event()
    enter = search._Matcher.__enter__

    def note(self: search._Matcher) -> search._Matcher:
        started.append(self)
        result = enter(self)
        running.set()
        return result

    search._Matcher.__enter__ = note
    try:
        async with anyio.create_task_group() as tasks:

            async def work() -> None:
                await run(session, "search_files_content", path=".", query="(a+)+$", is_regex=True)

            tasks.start_soon(work)
            with anyio.fail_after(10):
                while not running.is_set():
                    await anyio.sleep(0.005)
            tasks.cancel_scope.cancel()
    finally:
        search._Matcher.__enter__ = enter
    assert started[0]._child.returncode == -9
