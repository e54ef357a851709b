"""Tasks in a file: what depends on what, what comes next, and files that are broken."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from fakes.calls import Session
from roost.core.errors import ToolsetFailed
from roost.core.messages import Result
from roost.tools import tasks

pytestmark = pytest.mark.anyio


async def do(session: Session, toolset: Any, name: str, /, **arguments: Any) -> Any:
    result = await session.call(toolset, name, **arguments)
    assert not result.is_error, result.output
    return json.loads(result.output)


async def refused(session: Session, toolset: Any, name: str, /, **arguments: Any) -> str:
    result = await session.call(toolset, name, **arguments)
    assert result.is_error
    return result.output


async def test_a_life(session: Session, tmp_path: Path) -> None:
    async with session.open("tasks") as toolset:
        assert await do(session, toolset, "list_tasks") == []
        assert "Nothing can be worked on" in (await session.call(toolset, "next_task")).output
        a = await do(session, toolset, "create_task", title="A", description="do a")
        assert a["status"] == a["effectiveStatus"] == "pending" and a["priority"] == "medium"
        b = await do(session, toolset, "create_task", title="B", priority="critical", dependencies=[a["id"], a["id"]])
        assert b["dependencies"] == [a["id"]] and b["effectiveStatus"] == "blocked"
        assert (await do(session, toolset, "next_task"))["id"] == a["id"]
        assert [task["title"] for task in await do(session, toolset, "list_tasks")] == ["B", "A"]
        assert [t["title"] for t in await do(session, toolset, "list_tasks", status="blocked")] == ["B"]
        assert await do(session, toolset, "list_tasks", status="pending", priority="low") == []
        c = await do(session, toolset, "create_task", title="C", priority="high")
        assert (await do(session, toolset, "update_task", id=a["id"], status="in_progress"))["status"] == "in_progress"
        assert (await do(session, toolset, "next_task"))["id"] == a["id"]
        done = await do(session, toolset, "update_task", id=a["id"], status="done", title="AA")
        assert (done["effectiveStatus"], done["title"], done["description"]) == ("done", "AA", "do a")
        assert (await do(session, toolset, "get_task", id=b["id"]))["effectiveStatus"] == "pending"
        assert (await do(session, toolset, "next_task"))["id"] == b["id"]
        assert await do(session, toolset, "delete_task", id=a["id"]) == {"deleted": a["id"]}
        assert (await do(session, toolset, "get_task", id=b["id"]))["dependencies"] == []
    async with session.open("tasks", path="tasks.json", agent="other") as toolset:
        assert [task["id"] for task in await do(session, toolset, "list_tasks")] == [b["id"], c["id"]]
    assert len(json.loads((tmp_path / "tasks.json").read_text())["tasks"]) == 2


async def test_dependencies(session: Session) -> None:
    async with session.open("tasks") as toolset:
        a, b, c = [(await do(session, toolset, "create_task", title=title))["id"] for title in "abc"]
        await do(session, toolset, "add_dependency", taskId=b, dependsOnId=a)
        linked = await do(session, toolset, "add_dependency", taskId=c, dependsOnId=b)
        assert linked["dependencies"] == [b]
        assert await do(session, toolset, "add_dependency", taskId=c, dependsOnId=b) == {
            **linked,
            "updatedAt": linked["updatedAt"],
        }
        for task, other in ((a, c), (a, a), (b, c)):
            text = await refused(session, toolset, "add_dependency", taskId=task, dependsOnId=other)
            assert text == f"the task {task} would wait for itself"
        text = await refused(session, toolset, "update_task", id=a, dependencies=[c])
        assert text == f"the task {a} would wait for itself"
        assert (await do(session, toolset, "get_task", id=a))["dependencies"] == []
        for name, arguments in (
            ("get_task", {"id": "x"}),
            ("delete_task", {"id": "x"}),
            ("update_task", {"id": "x"}),
            ("create_task", {"title": "t", "dependencies": ["x"]}),
            ("add_dependency", {"taskId": a, "dependsOnId": "x"}),
        ):
            assert await refused(session, toolset, name, **arguments) == "there is no task with the ID x"
        freed = await do(session, toolset, "remove_dependency", taskId=c, dependsOnId=b)
        assert freed["dependencies"] == [] and freed["effectiveStatus"] == "pending"


async def test_a_description_from_a_file(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spec.md").write_bytes(b"# Do\n\xff")
    async with session.open("tasks") as toolset:
        task = await do(session, toolset, "create_task", title="t", path="spec.md")
        assert task["description"] == "# Do\n\ufffd"
        outside = tmp_path.parent / f"{tmp_path.name}.md"
        outside.write_text("secret")
        (tmp_path / "link.md").symlink_to(outside)
        for path in (str(outside), f"../{outside.name}", "link.md", "gone.md", "."):
            assert "secret" not in await refused(session, toolset, "create_task", title="t", path=path)
        monkeypatch.setattr(tasks, "LONGEST", 3)
        assert "longer than 3 bytes" in await refused(session, toolset, "update_task", id=task["id"], path="spec.md")


async def test_many_at_once_lose_nothing(session: Session) -> None:
    async with session.open("tasks") as one, session.open("tasks", agent="b") as two:
        async with anyio.create_task_group() as group:
            for number in range(20):
                toolset = (one, two)[number % 2]
                group.start_soon(lambda t, n: session.call(t, "create_task", title=str(n)), toolset, number)
        assert len(await do(session, one, "list_tasks")) == 20


async def test_files_that_are_none(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tasks.json"
    for text in ("{", "7", "[1]", '{"tasks": [{}]}', "[" * 100_000, "\xff"):
        file.write_text(text)
        async with session.open("tasks") as toolset:
            assert "is no file of tasks" in await refused(session, toolset, "list_tasks")
            assert (await session.call(toolset, "create_task", title="x")).is_error
        assert file.read_text() == text
    file.write_text('[{"id": 1, "title": "bare", "priority": "odd", "dependencies": ["gone"]}]')
    async with session.open("tasks") as toolset:
        (task,) = await do(session, toolset, "list_tasks")
        assert (task["id"], task["priority"], task["effectiveStatus"]) == ("1", "medium", "pending")
        monkeypatch.setattr(tasks, "LARGEST", 300)
        assert "too many tasks" in await refused(session, toolset, "create_task", title="x" * 400)


async def test_its_file_stays_inside(session: Session, tmp_path: Path) -> None:
    for path in ("../tasks.json", "/tmp/tasks.json"):
        with pytest.raises(ToolsetFailed, match="leads out of the working directory"):
            async with session.open("tasks", path=path):
                pass
    async with session.open("tasks", path="deep/er/t.json") as toolset:
        assert (await session.call(toolset, "create_task", title="x")) != Result("")
    assert (tmp_path / "deep/er/t.json").exists()
