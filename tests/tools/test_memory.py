"""Memories outlast sessions, are shared by them, and stay where they belong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

from fakes.calls import Session, names
from roost.core.agents import Agent, Team
from roost.core.errors import ToolsetFailed
from roost.core.messages import Result
from roost.tools import memory
from roost.tools.builtin import Builtin

pytestmark = pytest.mark.anyio


async def add(session: Session, toolset: Any, text: str, **more: str) -> str:
    result = await session.call(toolset, "add_memory", memory=text, **more)
    assert result.output.startswith("Memory added successfully with ID: ")
    return result.output.rpartition(" ")[2]


async def texts(session: Session, toolset: Any, tool: str = "get_memories", **arguments: str) -> list[str]:
    return [row["memory"] for row in json.loads((await session.call(toolset, tool, **arguments)).output)]


async def test_the_tools(session: Session) -> None:
    async with session.open("memory") as toolset:
        assert await names(toolset) == [
            "add_memory",
            "get_memories",
            "search_memories",
            "update_memory",
            "delete_memory",
        ]
        assert await session.call(toolset, "get_memories") == Result("[]")
        one = await add(session, toolset, "The user likes Green Tea", category="taste")
        two = await add(session, toolset, "The tea is on the shelf")
        (row, other) = json.loads((await session.call(toolset, "get_memories")).output)
        assert row.keys() == {"id", "created_at", "memory", "category"} and other.keys() == row.keys() - {"category"}
        assert row["id"] == one and row["category"] == "taste"
        assert await texts(session, toolset, "search_memories", query="TEA green") == ["The user likes Green Tea"]
        assert len(await texts(session, toolset, "search_memories", query="tea")) == 2
        assert len(await texts(session, toolset, "search_memories", category="TASTE")) == 1
        assert await texts(session, toolset, "search_memories", category="taste", query="shelf") == []
        assert len(await texts(session, toolset, "search_memories")) == 2
        updated = await session.call(toolset, "update_memory", id=one, memory="The user likes coffee")
        assert updated == Result(f"Memory {one} updated successfully")
        (row, _) = json.loads((await session.call(toolset, "get_memories")).output)
        assert (row["memory"], row["category"]) == ("The user likes coffee", "taste")
        assert await session.call(toolset, "delete_memory", id=two) == Result(f"Memory {two} deleted successfully")
        gone = await session.call(toolset, "delete_memory", id=two)
        assert gone == Result(f"there is no memory with the ID {two}", is_error=True)
        assert (await session.call(toolset, "update_memory", id="x", memory="y")).is_error


async def test_it_is_the_agent_files_and_the_accounts(session: Session) -> None:
    async def one(source: str, owner: str, text: str) -> list[str]:
        session.team, session.owner = Team(source, "", (Agent("root"),)), owner
        async with session.open("memory") as toolset:
            await add(session, toolset, text)
            return await texts(session, toolset)

    assert await one("../../a/b.yaml", "", "1") == ["1"]
    assert await one("../../a/b.yaml", "ann", "2") == ["2"]
    assert await one("../../a/b.yaml", "..", "3") == ["3"]
    assert await one("..", "ann", "4") == ["4"]
    assert await one("../../a/b.yaml", "ann", "5") == ["2", "5"]
    files = {str(path.relative_to(session.home)) for path in session.home.rglob("memory.db")}
    name = "%2E%2E%2F%2E%2E%2Fa%2Fb%2Eyaml"
    assert files == {f"memory/{path}/memory.db" for path in (name, f"{name}/ann", f"{name}/%2E%2E", "%2E%2E/ann")}


async def test_a_path_of_ones_own(session: Session, tmp_path: Path) -> None:
    for path in ("notes/deep/m.db", "~/home.db", "${env.HOME}/env.db", str(tmp_path / "abs.db")):
        async with session.open("memory", path=path) as toolset:
            await add(session, toolset, "x")
    assert all((tmp_path / name).exists() for name in ("notes/deep/m.db", "home.db", "env.db", "abs.db"))
    with pytest.raises(ToolsetFailed, match="leads out of the working directory"):
        async with session.open("memory", path="../m.db"):
            pass
    session.confined = True
    with pytest.raises(ToolsetFailed, match="not allowed"):
        async with session.open("memory", path="/tmp/m.db"):
            pass


async def test_sessions_of_several_servers_at_once(session: Session, tmp_path: Path) -> None:
    """Two processes and many calls begin on the same new file."""
    program = (
        "import anyio, sys; from pathlib import Path; from fakes.calls import Session\n"
        "async def main():\n"
        "    s = Session(Path(sys.argv[1]).parent)\n"
        "    async with s.open('memory', path=sys.argv[1]) as m:\n"
        "        for n in range(20):\n"
        "            r = await s.call(m, 'add_memory', memory=f'child {n}')\n"
        "            assert not r.is_error, r\n"
        "anyio.run(main)"
    )
    path = tmp_path / "m.db"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    children = [subprocess.Popen([sys.executable, "-c", program, str(path)], env=env) for _ in range(2)]
    async with session.open("memory", path=str(path)) as one, session.open("memory", path="m.db", agent="b") as two:
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(add, session, one, f"one {number}")
                tasks.start_soon(add, session, two, f"two {number}")
        assert [await anyio.to_thread.run_sync(child.wait) for child in children] == [0, 0]
        assert len(await texts(session, one)) == len(await texts(session, two)) == 60


async def test_files_that_are_no_memory(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "junk.db").write_bytes(b"\xff" * 8192)
    (tmp_path / "folder.db").mkdir()
    db = apsw.Connection(str(tmp_path / "other.db"))
    db.execute("CREATE TABLE memories (x)")
    db.close()
    for path in ("junk.db", "folder.db", "other.db"):
        async with session.open("memory", path=path) as toolset:
            result = await session.call(toolset, "get_memories")
            assert result.is_error and result.output.startswith("the memory can't be used: "), path
    async with session.open("memory", path="swap.db") as toolset:
        (tmp_path / "target.db").touch()
        (tmp_path / "swap.db").symlink_to(tmp_path / "target.db")
        assert (await session.call(toolset, "add_memory", memory="x")).is_error
        assert (tmp_path / "target.db").read_bytes() == b""


async def test_a_file_that_stays_locked(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PATIENCE", 100)
    async with session.open("memory", path="m.db") as toolset:
        await add(session, toolset, "x")
        holder = apsw.Connection(str(tmp_path / "m.db"))
        holder.execute("BEGIN IMMEDIATE")
        result = await session.call(toolset, "add_memory", memory="y")
        assert result.is_error and "locked" in result.output
        assert await texts(session, toolset) == ["x"]
        holder.execute("ROLLBACK")
        holder.close()
        assert not (await session.call(toolset, "add_memory", memory="y")).is_error


async def test_much_is_cut_at_its_old_end(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SHOWN", 1000)
    async with session.open("memory") as toolset:
        for number in range(10):
            await add(session, toolset, f"{number} " + "x" * 200)
        output = (await session.call(toolset, "get_memories")).output
        listed, _, note = output.partition("\n")
        assert [row["memory"][0] for row in json.loads(listed)] == ["7", "8", "9"]
        assert note == "[7 older memories left out: search for them]"
        assert (await session.call(toolset, "add_memory", memory="x" * 40_000)).is_error


async def test_a_file_that_was_taken_away(session: Session, tmp_path: Path) -> None:
    async with session.open("memory", path="m.db") as toolset:
        await add(session, toolset, "x")
        for name in ("m.db", "m.db-wal", "m.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        assert await texts(session, toolset) == []
        await add(session, toolset, "y")
    async with session.open("memory", path="m.db") as toolset:
        assert await texts(session, toolset) == ["y"]


async def test_it_is_found_again_by_another_server(session: Session) -> None:
    async with session.open("memory") as toolset:
        await add(session, toolset, "x")
    session.builtin = Builtin({}, state=session.home)
    async with session.open("memory") as toolset:
        assert await texts(session, toolset) == ["x"]
