"""What every toolset keeps, whatever its tools do."""

# ruff: noqa: E501, A001  (tables of names; a toolset's type is called type)

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator

from contracts import toolsets
from contracts.toolsets import FOREIGN, LISTING, listing, shown
from fakes.calls import Session, Using
from roost import process
from roost.core.events import Answer
from roost.core.messages import Result
from roost.tools.builtin import TYPES

pytestmark = pytest.mark.anyio

NAMES = {
    "filesystem": "read_file read_multiple_files write_file edit_file list_directory directory_tree search_files_content "
    "create_directory remove_directory",
    "file": "read_file write_file edit_file",
    "shell": "shell run_background_job list_background_jobs view_background_job wait_background_job stop_background_job",
    "background_jobs": "run_background_job list_background_jobs view_background_job wait_background_job "
    "stop_background_job",
    "think": "think",
    "todo": "create_todo create_todos update_todos list_todos",
    "user_prompt": "user_prompt",
    "script": "greet",
    "memory": "add_memory get_memories search_memories update_memory delete_memory",
    "tasks": "create_task get_task update_task delete_task list_tasks next_task add_dependency remove_dependency",
    "fetch": "fetch",
    "api": "weather",
    "openapi": "show_pet",
    "git": "git_status git_log git_diff git_show git_blame git_branches",
    "plan": "write_plan read_plan exit_plan_mode",
    "session_plan": "write_plan read_plan exit_plan_mode",
    "session_context": "list_sessions read_session",
    "model_picker": "change_model revert_model",
    "transfer_task": "transfer_task",
    "handoff": "handoff",
    "background_agents": "run_background_agent list_background_agents view_background_agent wait_background_agents "
    "stop_background_agent",
    "a2a": "Far_Agent_look_up_ Far_Agent_write",
    "lsp": "lsp_workspace lsp_hover lsp_definition lsp_references lsp_implementations lsp_signature_help "
    "lsp_call_hierarchy lsp_type_hierarchy lsp_document_symbols lsp_workspace_symbols lsp_diagnostics lsp_code_actions "
    "lsp_inlay_hints lsp_rename lsp_format",
    "mcp": "echo arguments",
    "rag": "ask_handbook",
    "skills": "read_skill read_skill_file run_skill",
}
_READERS = """
read_file read_multiple_files list_directory directory_tree search_files_content list_background_jobs view_background_job
wait_background_job think create_todo create_todos update_todos list_todos user_prompt get_memories search_memories
get_task list_tasks next_task weather show_pet git_status git_log git_diff git_show git_blame git_branches read_plan
list_sessions read_session change_model revert_model transfer_task handoff list_background_agents
view_background_agent wait_background_agents lsp_workspace lsp_hover lsp_definition lsp_references
lsp_implementations lsp_signature_help lsp_call_hierarchy lsp_type_hierarchy lsp_document_symbols
lsp_workspace_symbols lsp_diagnostics lsp_code_actions lsp_inlay_hints echo ask_handbook read_skill read_skill_file
"""
UNASKED = set(_READERS.split())
ONCE = {"edit_file", "add_memory", "create_task", "run_background_agent", "lsp_rename"}
ASKS = {"shell", "run_background_job", "greet", "Far_Agent_look_up_", "Far_Agent_write", "arguments"}


@pytest.fixture(params=sorted(TYPES))
def type(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def options(tmp_path: Path) -> Iterator[Mapping[str, Mapping[str, Any]]]:
    with toolsets.needs(tmp_path) as found:
        yield found


@pytest.fixture
def needs(type: str, options: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """The options without which there is no toolset of this type."""
    return options.get(type, {})


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


async def test_what_is_published_stays(session: Session, options: Mapping[str, Mapping[str, Any]]) -> None:
    """Names, schemas, annotations and effects: whoever changes one renews the listing, and says so in the changelog."""
    assert shown(await listing(session, options)) == LISTING.read_text(), "see contracts/toolsets.py"


async def test_its_tools_are_those_of_the_specification(type: str, session: Session, needs: Mapping[str, Any]) -> None:
    category = {"file": "filesystem", "background_jobs": "shell"}.get(type, type)
    async with session.open(type, **needs) as toolset:
        definitions = [tool.definition for tool in await toolset.tools()]
        assert {definition.name for definition in definitions} == set(NAMES[type].split())
        assert len(definitions) == len(NAMES[type].split())
        assert {definition.category for definition in definitions} == {category}
        assert toolset.instructions.strip()


async def test_definitions_are_valid_and_honest(type: str, session: Session, needs: Mapping[str, Any]) -> None:
    async with session.open(type, **needs) as toolset:
        assert [tool.definition for tool in await toolset.tools()] == [t.definition for t in await toolset.tools()]
        for tool in await toolset.tools():
            definition = tool.definition
            assert definition.parameters is not None and definition.parameters["type"] == "object"
            Draft202012Validator.check_schema(definition.parameters)
            assert definition.description and (definition.annotations.title or type in FOREIGN)
            assert definition.annotations.read_only is (definition.name in UNASKED)
            expected = "once" if definition.name in ONCE else "ask" if definition.name in ASKS else "safe"
            assert definition.effect == expected
            assert not (definition.annotations.read_only and definition.effect != "safe")


def broken(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Arguments that do not fit: each one of the wrong type, each required one missing."""
    right: dict[str, Any] = {name: _example(schema) for name, schema in parameters["properties"].items()}
    wrong = [{**right, name: object_of_no_type()} for name in right]
    return wrong + [{n: v for n, v in right.items() if n != name} for name in parameters["required"]]


def object_of_no_type() -> object:
    return [[{"neither": "text nor number"}]]


def _example(schema: dict[str, Any]) -> Any:
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "array":
            return [_example(schema["items"])]
        case "object":
            return {name: _example(inner) for name, inner in schema.get("properties", {}).items()}
        case kind:
            return {"string": "x", "integer": 1, "number": 1, "boolean": True}[kind]


@pytest.mark.parametrize("type", sorted(TYPES.keys() - FOREIGN), indirect=True)
async def test_arguments_that_do_not_fit_are_an_error_result(
    type: str, session: Session, tmp_path: Path, needs: Mapping[str, Any]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    async with session.open(type, **needs) as toolset:
        for tool in await toolset.tools():
            assert tool.definition.parameters is not None
            for arguments in broken(tool.definition.parameters):
                result = await tool.run(arguments, Using())
                assert result.is_error
                assert result.output.startswith(f"Invalid arguments for {tool.definition.name}: ")
    assert sorted(tmp_path.rglob("*")) == before


async def test_what_is_null_is_left_out(type: str, session: Session, needs: Mapping[str, Any]) -> None:
    async with session.open(type, **needs) as toolset:
        for tool in await toolset.tools():
            parameters = tool.definition.parameters or {}
            known, required = parameters.get("properties", {}), parameters.get("required", ())
            arguments = dict.fromkeys(set(known) - set(required))
            arguments |= {name: _example(known[name]) for name in required}
            result = await tool.run(arguments, Using(Answer("accept")))
            assert isinstance(result, Result) and not result.output.startswith("Invalid arguments")


async def test_it_opens_twice_and_again(type: str, session: Session, needs: Mapping[str, Any]) -> None:
    async with session.open(type, **needs) as one, session.open(type, agent="other", **needs) as two:
        assert len(await one.tools()) == len(await two.tools())
    async with session.open(type, **needs) as three:
        assert await three.tools()


async def test_a_cancelled_call_leaves_no_process(
    type: str, session: Session, tmp_path: Path, needs: Mapping[str, Any]
) -> None:
    calls: dict[str, dict[str, Any]] = {
        "shell": {
            "cmd": "trap '' TERM; echo > begun; (setsid sleep 1000 &) ; while :; do sleep 1000; done",
            "timeout": 999,
        },
        "run_background_job": {"cmd": "echo > begun; sleep 1000"},
        "write_file": {"path": "x", "content": "y"},
        "greet": {"who": "you"},
    }
    slow = {"post_edit": [{"path": "*", "cmd": "echo > begun; sleep 1000"}]}
    script = {"shell": {"greet": {"cmd": "echo > begun; sleep 1000", "args": {"who": {}}}}}
    more = {"file": slow, "filesystem": slow, "script": script}.get(type, needs)
    marks = []
    async with session.open(type, **more) as toolset:
        for tool in await toolset.tools():
            if tool.definition.name not in calls:
                continue
            using = Using()
            marks.append(process.mark(session.id, using.call))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(tool.run, calls[tool.definition.name], using)
                with anyio.fail_after(10):
                    while not (tmp_path / "begun").exists():
                        await anyio.sleep(0.005)
                tasks.cancel_scope.cancel()
            (tmp_path / "begun").unlink()
            if tool.definition.name != "run_background_job":
                assert process.sweep(marks[-1]) == 0
    assert process.sweep(*marks) == 0
