"""Files are read within bounds, written in one step, and edited only where it is clear what is meant."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from anyio import create_task_group as open_tasks

from fakes.calls import Session, names
from roost.core.messages import Result
from roost.ports import Toolset
from roost.tools import files
from roost.tools.paths import Paths
from roost.tools.tool import Refused

pytestmark = pytest.mark.anyio


async def run(session: Session, tool: str, /, options: dict[str, Any] | None = None, **arguments: Any) -> Result:
    async with session.open("filesystem", **(options or {})) as toolset:
        return await session.call(toolset, tool, **arguments)


async def test_names_are_those_of_the_specification(session: Session) -> None:
    async with session.open("filesystem") as toolset:
        assert sorted(await names(toolset)) == [
            "create_directory", "directory_tree", "edit_file", "list_directory", "read_file", "read_multiple_files",
            "remove_directory", "search_files_content", "write_file",
        ]  # fmt: skip
    async with session.open("file") as toolset:
        assert sorted(await names(toolset)) == ["edit_file", "read_file", "write_file"]


# -- reading ------------------------------------------------------------------------------------


async def test_a_file_is_read_whole(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("zwei\r\nWörter\xff".encode("latin-1"))
    assert await run(session, "read_file", path="a.txt") == Result("zwei\r\nW\ufffdrter\ufffd")
    assert (await run(session, "read_file", path=str(tmp_path / "a.txt"))).output.startswith("zwei")
    assert (await run(session, "read_file", path="~/a.txt")).output.startswith("zwei")
    assert (await run(session, "read_file", path="x/../a.txt")).output.startswith("zwei")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"offset": 2}, "2\n3\n4"),
        ({"limit": 2}, "1\n2\n[lines 1 to 2 of a file of 7 bytes; to read on, use offset=3]"),
        ({"offset": 2, "limit": 1}, "2\n[lines 2 to 2 of a file of 7 bytes; to read on, use offset=3]"),
        ({"offset": 4}, "4"),
        ({"offset": 3, "limit": 9}, "3\n4"),
    ],
)
async def test_lines_of_a_file(session: Session, tmp_path: Path, arguments: dict[str, int], expected: str) -> None:
    (tmp_path / "a").write_text("1\n2\n3\n4")
    assert await run(session, "read_file", path="a", **arguments) == Result(expected)


async def test_a_large_file_is_cut_at_a_line(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("0123456789\n" * 100_000)
    output = (await run(session, "read_file", path="a")).output
    lines = files.MOST // 11
    assert output.startswith("0123456789\n")
    assert output.endswith(f"[lines 1 to {lines} of a file of 1100000 bytes; to read on, use offset={lines + 1}]")
    assert len(output) < files.MOST + 100


async def test_a_line_without_end_is_cut(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x" * 1_000_000)
    output = (await run(session, "read_file", path="a")).output
    assert output.count("x") == files.MOST
    assert output.endswith("[line 1 is cut: it is too long to be read whole; the file has 1000000 bytes]")


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("none.txt", "not found: {folder}/none.txt"),
        ("none/deep.txt", "not found: {folder}/none/deep.txt"),
        ("folder", "{folder}/folder is a directory"),
        ("binary", "binary is a binary file (4 bytes)"),
        ("pipe", "{folder}/pipe is not a regular file"),
        ("binary/x", "binary is not a directory"),
        ("loop", "symbolic link"),
        ("", "the path is empty"),
        ("a\0b", "NUL"),
        ("C:\\windows", "another operating system"),
        ("\\\\server\\share", "another operating system"),
        ("\ud800", "read_file failed"),
    ],
)
async def test_what_cannot_be_read(session: Session, tmp_path: Path, path: str, complaint: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"a\0b\n")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    result = await run(session, "read_file", path=path)
    assert result.is_error
    assert complaint.format(folder=tmp_path) in result.output


async def test_a_line_past_the_end(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n")
    result = await run(session, "read_file", path="a", offset=5)
    assert result == Result("a has no line 5: it ends with line 2", is_error=True)


PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def test_a_picture_is_shown(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(PNG)
    result = await run(session, "read_file", path="a.bin")
    assert result.output == f"Read image file a.bin [image/png] ({len(PNG)} bytes)"
    assert [(base64.b64decode(image.data), image.mime_type) for image in result.images] == [(PNG, "image/png")]


async def test_a_huge_picture_is_not(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG + bytes(5_000_000))
    result = await run(session, "read_file", path="a.png")
    assert result.is_error and "too large" in result.output and not result.images


async def test_several_files(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("A")
    (tmp_path / "b").write_text("B")
    result = await run(session, "read_multiple_files", paths=["a", "none", "b"])
    assert result == Result(f"=== a ===\nA\n\n=== none ===\nError: not found: {tmp_path}/none\n\n=== b ===\nB")
    result = await run(session, "read_multiple_files", paths=["a", "b"], json=True)
    assert json.loads(result.output) == [{"path": "a", "content": "A"}, {"path": "b", "content": "B"}]
    assert (await run(session, "read_multiple_files", paths=["none"])).is_error


# -- writing ------------------------------------------------------------------------------------


async def test_a_file_is_written_with_its_folders(session: Session, tmp_path: Path) -> None:
    result = await run(session, "write_file", path="x/y/a.txt", content="grün\n")
    assert result == Result("File written successfully: x/y/a.txt (6 bytes)")
    assert (tmp_path / "x/y/a.txt").read_text() == "grün\n"
    assert [file.name for file in (tmp_path / "x/y").iterdir()] == ["a.txt"]


async def test_an_old_file_keeps_its_mode_its_links_and_its_other_names(session: Session, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("old")
    script.chmod(0o750)
    (tmp_path / "link").symlink_to("script")
    await run(session, "write_file", path="link", content="new")
    assert (tmp_path / "link").is_symlink() and script.read_text() == "new" and script.stat().st_mode & 0o777 == 0o750
    os.link(script, tmp_path / "other")
    await run(session, "write_file", path="script", content="newer")
    assert (tmp_path / "other").read_text() == "newer"


@pytest.mark.parametrize("path", ["folder", "pipe", "/"])
async def test_what_cannot_be_written(session: Session, tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert (await run(session, "write_file", path=path, content="x")).is_error


async def test_folders_are_made_and_removed(session: Session, tmp_path: Path) -> None:
    result = await run(session, "create_directory", paths=["a/b", "c"])
    assert result == Result("Directory created successfully: a/b\nDirectory created successfully: c")
    result = await run(session, "remove_directory", paths=["a", "c"])
    assert result == Result(f"Error: directory is not empty: {tmp_path}/a\nDirectory removed successfully: c")
    assert (tmp_path / "a/b").is_dir() and not (tmp_path / "c").exists()
    assert (await run(session, "remove_directory", paths=["none"])).is_error


# -- editing ------------------------------------------------------------------------------------


def edit(old: str, new: str) -> dict[str, str]:
    return {"oldText": old, "newText": new}


async def test_edits_are_applied_in_order(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one two\xff three")
    result = await run(session, "edit_file", path="a", edits=[edit("one", "1"), edit("1 two", "2")])
    assert result == Result("File edited successfully. 2 edits applied to a")
    assert (tmp_path / "a").read_bytes() == b"2\xff three"


@pytest.mark.parametrize(
    ("text", "edits", "complaint"),
    [
        ("abc", [edit("x", "y")], "Edit 1 failed: old text not found"),
        ("abc", [edit("a", "y"), edit("a", "y")], "Edit 2 failed: old text not found"),
        ("a b a", [edit("a", "y")], "Edit 1 failed: old text found 2 times, it must be there exactly once"),
        ("aaa", [edit("aa", "y")], "Edit 1 failed: old text found 2 times, it must be there exactly once"),
        ("abc", [edit("", "y")], "Invalid arguments for edit_file: edits.0.oldText"),
        ("abc", [], "Invalid arguments for edit_file: edits"),
    ],
)
async def test_an_edit_that_is_not_clear_changes_nothing(
    session: Session, tmp_path: Path, text: str, edits: list[dict[str, str]], complaint: str
) -> None:
    (tmp_path / "a").write_text(text)
    result = await run(session, "edit_file", path="a", edits=edits)
    assert result.is_error and result.output.startswith(complaint)
    assert (tmp_path / "a").read_text() == text


async def test_line_ends_stay_as_they_are(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    await run(session, "edit_file", path="a", edits=[edit("one\ntwo", "1\n2\n2")])
    assert (tmp_path / "a").read_bytes() == b"1\r\n2\r\n2\r\nthree\r\n"


async def test_edits_of_one_file_at_once_are_all_kept(session: Session, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(" ".join(f"<{n}>" for n in range(20)))
    async with session.open("filesystem") as one, session.open("file", agent="other") as two, open_tasks() as tasks:

        async def work(n: int, toolset: Toolset) -> None:
            result = await session.call(toolset, "edit_file", path="a", edits=[edit(f"<{n}>", f"({n})")])
            assert not result.is_error

        for n in range(20):
            tasks.start_soon(work, n, one if n % 2 else two)
    assert (tmp_path / "a").read_text() == " ".join(f"({n})" for n in range(20))


async def test_a_command_follows_an_edit(session: Session, tmp_path: Path) -> None:
    rules = [
        {"path": "*.py", "cmd": "printf '%s' \"${file}\" > ran; printf '%s' \"$path\" > ran2"},
        {"path": "src/**", "cmd": "false"},
    ]
    options = {"post_edit": rules}
    result = await run(session, "write_file", options, path="lib/a b.py", content="")
    assert result == Result("File written successfully: lib/a b.py (0 bytes)")
    assert (tmp_path / "ran").read_text() == (tmp_path / "ran2").read_text() == str(tmp_path / "lib/a b.py")
    result = await run(session, "write_file", options, path="src/x/a.txt", content="")
    assert not result.is_error and "Warning: post-edit command failed: exit status 1" in result.output


# -- limits of where ----------------------------------------------------------------------------


@pytest.fixture
def walls(tmp_path: Path) -> Path:
    """A working directory with things in it, beside it, and links between them."""
    work = tmp_path / "work"
    (work / "secrets").mkdir(parents=True)
    (work / "secrets/key").write_text("key")
    (work / "a").write_text("a")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/b").write_text("b")
    (work / "out").symlink_to(tmp_path / "outside")
    (work / "hidden").symlink_to("secrets/key")
    return work


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("a", True),
        (".", True),
        ("secrets/key", False),
        ("secrets", False),
        ("hidden", False),
        ("secrets/../a", True),
        ("../outside/b", False),
        ("out/b", False),
        ("out/new/c", False),
        ("new/c", True),
        ("../work2", False),
        ("/etc/passwd", False),
        ("~/outside/b", False),
        ("$TMP/x", True),  # no variable is expanded in what a model says
    ],
)
async def test_lists_hold_for_every_tool(session: Session, walls: Path, path: str, allowed: bool) -> None:
    async with session.open(
        "filesystem", folder=walls, allow_list=["."], deny_list=["${env.NOT_SET || 'secrets'}"]
    ) as toolset:
        for tool, arguments in {
            "read_file": {"path": path},
            "list_directory": {"path": path},
            "directory_tree": {"path": path},
            "search_files_content": {"path": path, "query": "key"},
            "read_multiple_files": {"paths": [path]},
            "remove_directory": {"paths": [path]},
            "edit_file": {"path": path, "edits": [edit("x", "y")]},
            "write_file": {"path": path, "content": "a"},
        }.items():
            result = await session.call(toolset, tool, **arguments)
            assert ("is not allowed" in result.output) is not allowed, (tool, result)
            assert allowed or result.is_error
    assert (walls / "secrets/key").read_text() == "key" and (walls.parent / "outside/b").read_text() == "b"
    assert not (walls.parent / "outside/new").exists()


async def test_denied_places_do_not_show_in_what_contains_them(session: Session, walls: Path) -> None:
    async with session.open("filesystem", folder=walls, deny_list=["secrets"]) as toolset:
        assert "secrets" not in (await session.call(toolset, "list_directory", path=".")).output
        assert "secrets" not in (await session.call(toolset, "directory_tree", path=".")).output
        assert (await session.call(toolset, "search_files_content", path=".", query="key")).output.startswith(
            "No matches"
        )


async def test_a_link_swapped_in_is_not_followed(session: Session, walls: Path) -> None:
    (walls / "sub").mkdir()
    (walls / "sub/f").write_text("mine")
    paths = Paths(str(walls), {}, allow=["."])
    file, folder, new = paths.find("sub/f"), paths.find("sub"), paths.find("sub/new")
    (walls / "sub").rename(walls / "was")
    (walls / "sub").symlink_to(walls.parent / "outside")
    (walls.parent / "outside/f").write_text("theirs")
    with pytest.raises(Refused):
        paths.open(file)
    with pytest.raises(Refused):
        paths.scan(folder)
    with pytest.raises(Refused):
        paths.write(new, b"x")
    with pytest.raises(Refused):
        paths.write(file, b"x")
    assert sorted(file.name for file in (walls.parent / "outside").iterdir()) == ["b", "f"]
    assert (walls.parent / "outside/f").read_text() == "theirs"
    link = paths.find("a")
    (walls / "a").unlink()
    (walls / "a").symlink_to(walls.parent / "outside/b")
    with pytest.raises(Refused):
        paths.open(link)
    with pytest.raises(Refused):
        paths.write(link, b"x")
    assert (walls.parent / "outside/b").read_text() == "b"
