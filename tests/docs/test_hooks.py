"""The pages of hooks and approval: their example runs, and their tables list what there is."""

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from docs.pages import ROOT, blocks
from roost.clock import SystemClock
from roost.config import agentfile
from roost.core import approvals, hooks, loops
from roost.core.agents import Hook
from roost.core.hooks import EVENTS, Verdict, chosen, merge, read, verdicts
from roost.core.ids import SessionId
from roost.ports import Place, Ran
from roost.tools.cell import Cells
from roost.tools.hooks import Runner
from roost.tools.surroundings import LocalSurroundings

PAGE, APPROVAL = ROOT / "docs/hooks.md", ROOT / "docs/approval.md"
EXAMPLE = "A guard for the shell"


def table(heading: str) -> dict[str, list[str]]:
    """The rows of a table, by what stands in code in their first cell."""
    part = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in rows}


@pytest.mark.anyio
async def test_the_guard_guards(tmp_path: Path) -> None:
    (file,) = blocks(PAGE, "yaml", EXAMPLE)
    (script,) = blocks(PAGE, "python", EXAMPLE)
    (given,) = blocks(PAGE, "json", EXAMPLE)
    (tmp_path / "guard.py").write_text(script.text)
    agent = agentfile.load("a", file.text.encode(), name="a.yaml").default
    place = Place(SessionId("s1"), "root", str(tmp_path), lambda _: None)
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    runner = Runner(env, Cells(None, tmp_path), LocalSurroundings(tmp_path), SystemClock())

    async def verdict(command: str) -> Verdict:
        asked = json.loads(given.text) | {"tool_input": {"cmd": command}}
        found = chosen(agent.hooks, "pre_tool_use", tool="shell", preempt=True)
        return merge("pre_tool_use", [read("pre_tool_use", h, await runner.run(h, asked, place)) for h in found])

    refused = approvals.preempted(await verdict(json.loads(given.text)["tool_input"]["cmd"]), approvals.Said())
    assert isinstance(refused, approvals.Deny)
    assert f"`{refused.message}`" in PAGE.read_text()
    asked = approvals.preempted(await verdict("npm install left-pad"), approvals.Said())
    assert asked == approvals.Ask("pre_tool_use_hook_ask", {"reason": "this changes what is installed"})
    assert await verdict("ls") == Verdict()
    first = chosen(agent.hooks, "session_start")[0]
    context = read("session_start", first, await runner.run(first, {}, place)).context
    assert context == f"The project is called {tmp_path.name}."


def test_every_event_stands_in_the_table() -> None:
    rows = table("Events")
    assert list(rows) == list(EVENTS)
    words = {"input": "`updated_input`", "response": "`updated_tool_response`", "messages": "`updated_messages`"}
    for event, (_, _, effect) in rows.items():
        moment = EVENTS[event]
        assert moment.blocks == ("block" in effect), event
        assert moment.adds_context == ("context" in effect), event
        assert moment.decides == ("ask" in effect or "allow" in effect), event
        assert moment.ends_run == ("the run ends" in effect), event
        assert moment.looks_on == (not effect), event
        assert not moment.rewrites or words.get(moment.rewrites, "`summary`") in effect, event


def test_texts_that_are_context() -> None:
    line = next(line for line in PAGE.read_text().splitlines() if line.startswith("| exit code 0, other text"))
    assert set(re.findall(r"`(\w+)`", line)) == {event for event, moment in EVENTS.items() if moment.takes_text}


def test_the_answer_is_one() -> None:
    answer = json.loads(blocks(PAGE, "json", "Answers")[0].text)
    output = read("pre_tool_use", Hook("command", "x"), printed(json.dumps(answer)))
    assert (output.decision, output.reason, output.message, output.error) == ("deny", "why", "for people", "")
    known = {field.encode_name for field in msgspec.structs.fields(verdicts._Answer)}
    assert set(answer) == known
    own = {field.encode_name for field in msgspec.structs.fields(verdicts._Specific)}
    assert set(answer["hook_specific_output"]) == own | {"hook_event_name"}


def printed(stdout: str) -> Ran:

    return Ran(code=0, stdout=stdout)


def test_every_field_and_builtin_stands_in_a_table() -> None:
    fields = set(Hook.__struct_fields__) - {"model", "prompt", "schema"} | {"preempt_yolo"}
    assert set(table("Where hooks stand")) == fields
    assert set(table("Hooks of the house")) == hooks.BUILTINS


def test_every_source_and_every_poll_is_named() -> None:
    text = APPROVAL.read_text()
    part = text.partition("\n## Who decided\n")[2].partition("\n## ")[0].replace("\n", " ")
    stems = "session_permissions", "team_permissions", "user_permissions", "tool_guard_hook"
    stems += "pre_tool_use_hook", "permission_request_hook"
    for source in get_args(approvals.Source):
        stem = next((stem for stem in stems if source.startswith(stem)), source)
        assert f"`{stem}" in part, source
    assert all(f"`{name}`" in text for name in loops.POLLING)


def test_permissions_of_the_page_load() -> None:
    (lists,) = blocks(APPROVAL, "yaml", "Permissions")
    file = f"agents:\n  root: {{model: openai/gpt-4o}}\n{lists.text}"
    team = agentfile.load("a", file.encode(), name="a.yaml")
    assert team.permissions.deny == ("shell:cmd=sudo*", "github_delete_*")
