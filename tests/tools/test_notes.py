"""Thoughts, lists and questions: kept by agent, found again after a restart."""

import json
from typing import Any

import pytest

from fakes.calls import Session, Using, names
from roost.core.errors import ToolsetFailed
from roost.core.events import Answer
from roost.core.messages import Result
from roost.ports import Ask
from roost.tools import think
from roost.tools.builtin import Builtin

pytestmark = pytest.mark.anyio


async def todo(session: Session, toolset: Any, name: str, /, **arguments: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((await session.call(toolset, name, **arguments)).output)
    return answer


def item(number: int, description: str, status: str = "pending") -> dict[str, str]:
    return {"id": f"todo_{number}", "description": description, "status": status}


# -- todo ---------------------------------------------------------------------------------------


async def test_a_list(session: Session) -> None:
    async with session.open("todo") as toolset:
        assert await names(toolset) == ["create_todo", "create_todos", "update_todos", "list_todos"]
        assert await todo(session, toolset, "list_todos") == {"todos": []}
        one = await todo(session, toolset, "create_todo", description="a")
        assert one == {
            "created": item(1, "a"),
            "all_todos": [item(1, "a")],
            "reminder": "Still open: todo_1 (pending): a",
        }
        more = await todo(session, toolset, "create_todos", descriptions=["b", "c"])
        assert more["created"] == [item(2, "b"), item(3, "c")] and len(more["all_todos"]) == 3
        updates = [{"id": "todo_1", "status": "completed"}, {"id": "todo_9", "status": "pending"}]
        updated = await todo(session, toolset, "update_todos", updates=updates)
        assert updated["updated"] == [updates[0]] and updated["not_found"] == ["todo_9"]
        assert updated["all_todos"][0] == item(1, "a", "completed")
        assert updated["reminder"] == "Still open: todo_2 (pending): b, todo_3 (pending): c"
        listed = await todo(session, toolset, "list_todos")
        assert listed["todos"] == updated["all_todos"] == session.metas["todo"]["todos"]
        nobody = await session.call(toolset, "update_todos", updates=[{"id": "x", "status": "pending"}])
        assert nobody.is_error and json.loads(nobody.output)["not_found"] == ["x"]
        wrong = await session.call(toolset, "update_todos", updates=[{"id": "todo_1", "status": "finished"}])
        assert wrong.is_error and "updates.0.status" in wrong.output


async def test_no_reminder_when_all_is_done(session: Session) -> None:
    async with session.open("todo") as toolset:
        await todo(session, toolset, "create_todo", description="a")
        done = await todo(session, toolset, "update_todos", updates=[{"id": "todo_1", "status": "completed"}])
        assert "reminder" not in done


async def test_lists_belong_to_agents_and_survive_a_restart(session: Session) -> None:
    async with session.open("todo", agent="one") as one, session.open("todo", agent="two") as two:
        await todo(session, one, "create_todo", description="a")
        await todo(session, two, "create_todo", description="b")
    session.builtin = Builtin({})
    async with session.open("todo", agent="one") as one, session.open("todo", agent="two") as two:
        assert (await todo(session, one, "list_todos"))["todos"] == [item(1, "a")]
        assert (await todo(session, two, "list_todos"))["todos"] == [item(1, "b")]
    other = Session(session.folder, session.builtin)
    async with other.open("todo", agent="one") as one:
        assert (await todo(other, one, "list_todos"))["todos"] == []


async def test_a_shared_list_is_the_whole_trees(session: Session) -> None:
    shared = {"shared": True}
    async with (
        session.open("todo", agent="one", **shared) as one,
        session.open("todo", agent="two", session="sub", root=session.id, **shared) as two,
        session.open("todo", agent="one") as own,
    ):
        await todo(session, one, "create_todo", description="a")
        assert (await todo(session, two, "list_todos"))["todos"] == [item(1, "a")]
        assert (await todo(session, own, "list_todos"))["todos"] == []


# -- think --------------------------------------------------------------------------------------


async def test_thoughts_add_up_and_survive_a_restart(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    async with session.open("think") as toolset:
        assert (await session.call(toolset, "think", thought="one")).output == "Thoughts:\none"
    session.builtin = Builtin({})
    async with session.open("think") as toolset:
        assert (await session.call(toolset, "think", thought="two")).output == "Thoughts:\none\ntwo"
        monkeypatch.setattr(think, "MOST", 8)
        assert (await session.call(toolset, "think", thought="three")).output == "Thoughts:\ntwo\nthree"
        assert (await session.call(toolset, "think", thought="very long")).output == "Thoughts:\nvery long"


# -- user_prompt --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer("accept", content={"a": 1}), Result('{"action": "accept", "content": {"a": 1}}')),
        (Answer("accept"), Result('{"action": "accept"}')),
        (Answer("decline"), Result('{"action": "decline"}', is_error=True)),
        (Answer("cancel"), Result('{"action": "cancel"}', is_error=True)),
        (None, Result("nobody can answer: nobody is there", is_error=True)),
    ],
)
async def test_a_question(session: Session, answer: Answer | None, expected: Result) -> None:
    form = {"type": "object", "properties": {"a": {"type": "integer"}}}
    using = Using(answer)
    async with session.open("user_prompt") as toolset:
        result = await session.call(toolset, "user_prompt", using, message="How many?", title="T", schema=form)
    assert result == expected
    titles = {"cagent/title": "T", "docker-agent/title": "T"}
    assert using.asked == [Ask("How many?", schema=form, meta=titles)]


async def test_a_form_that_is_none(session: Session) -> None:
    async with session.open("user_prompt") as toolset:
        result = await session.call(toolset, "user_prompt", message="?", schema={"type": "number of sheep"})
    assert result.is_error and result.output.startswith("schema is no JSON schema")


# -- what an agent file leaves of a toolset -----------------------------------------------------


async def test_only_the_tools_that_are_named(session: Session) -> None:
    async with session.open("todo", tools=("list_todos", "create_todo", "none")) as toolset:
        assert await names(toolset) == ["create_todo", "list_todos"]
    async with session.open("filesystem", readonly=True) as toolset:
        assert set(await names(toolset)).isdisjoint({"write_file", "edit_file", "create_directory", "remove_directory"})
        assert len(await names(toolset)) == 5


async def test_guidance_is_replaced_or_wrapped(session: Session) -> None:
    async with session.open("think") as toolset:
        original = toolset.instructions
    assert original
    async with session.open("think", instruction="Don't.") as toolset:
        assert toolset.instructions == "Don't."
    twice = "<{ORIGINAL_INSTRUCTIONS}> {ORIGINAL_INSTRUCTIONS}"
    async with session.open("think", instruction=twice) as toolset:
        assert toolset.instructions == f"<{original}> {{ORIGINAL_INSTRUCTIONS}}"


async def test_a_type_that_is_not_built(session: Session) -> None:
    with pytest.raises(
        ToolsetFailed, match=r"toolset type 'webhook' is not built \(there are: .*background_jobs, .*file, "
    ):
        async with session.open("webhook"):
            pass
