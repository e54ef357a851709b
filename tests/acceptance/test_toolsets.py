"""What an agent file says of its toolsets, behind a real server: an agent for each thing, all sessions at once."""

import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance.house import House, Server
from acceptance.sse import Frame
from fakes.site import Site, open_site

TOOLSERVER = Path(__file__).parents[1] / "fakes/toolserver.py"
FILE = """\
providers:
  fake: {{base_url: {url}/v1}}
models:
  strong: {{provider: fake, model: {name}-strong}}
agents:
  root:
    model: fake/{name}
    instruction: Be brief.
    {more}
permissions:
  allow: ["*"]
"""
SKILL = "---\nname: tidy\ndescription: Put a room in order\n---\n\nBegin with the floor.\n"
JAVASCRIPT = (
    "const found = JSON.parse(list_rows({})); return found.rows.length + read_file({path: 'notes.txt'}).trim();"
)
ROWS = {"cmd": 'echo \'{"rows": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]}\'', "description": "Rows"}
LIST = {"type": "script", "shell": {"list_rows": ROWS, "other_rows": ROWS}}
READ = ["read_file", "read_multiple_files", "list_directory", "directory_tree", "search_files_content"]


def server(*args: str, **more: Any) -> dict[str, Any]:
    return {"type": "mcp", "command": sys.executable, "args": [str(TOOLSERVER), *args], **more}


def tool(name: str, /, **arguments: Any) -> str:
    return f"[[tool {name} {json.dumps(arguments)}]]"


SEARCH = tool("search_tool", query="read file")
FILES = {"type": "filesystem"}

FEATURES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "readonly": ("hi", {"toolsets": [{**FILES, "readonly": True}]}),
    "chosen": ("hi", {"toolsets": [{**FILES, "tools": ["write_file", "read_file"]}, {"type": "think"}]}),
    "told": ("hi", {"toolsets": [{"type": "think", "instruction": "Before. {ORIGINAL_INSTRUCTIONS} After."}]}),
    "doubled": ("hi", {"toolsets": [{"type": "file"}, {**FILES, "tools": ["read_file", "list_directory"]}]}),
    "toon": (tool("list_rows") + tool("other_rows"), {"toolsets": [{**LIST, "toon": "list_.*, nothing"}]}),
    "deferred": (
        SEARCH + tool("add_tool", name="read_file") + tool("read_file", path="notes.txt"),
        {"toolsets": [{**FILES, "defer": True}]},
    ),
    "some-deferred": (SEARCH, {"toolsets": [{"type": "file", "defer": ["write_file"]}]}),
    "model": (
        tool("list_rows") + tool("think", thought="so"),
        {"toolsets": [{**LIST, "model": "strong"}, {"type": "think"}]},
    ),
    "described": (
        tool("shell", cmd="echo it ran", description="To see it run"),
        {"add_description_parameter": True, "toolsets": [{"type": "shell"}, {"type": "think"}]},
    ),
    "code": (
        tool("run_tools_with_javascript", script=JAVASCRIPT),
        {"code_mode_tools": True, "toolsets": [LIST, FILES, {"type": "todo"}]},
    ),
    "formed": (
        tool("__structured_output__", ok=True),
        {
            "toolsets": [{"type": "think"}],
            "structured_output": {
                "name": "verdict",
                "mode": "tool",
                "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]},
            },
        },
    ),
    "skill": ("/tidy the kitchen", {"skills": ["local"]}),
    "prompt": ("/crm:greet Ada", {"toolsets": [server(name="crm")]}),
    "no-prompt": ("/greet", {"toolsets": [server(tools=["echo"])]}),
    "changing": (tool("change", name="more") + tool("more"), {"toolsets": [server()]}),
    "broken": ("hi", {"toolsets": [server("dies"), {"type": "think"}]}),
}


@dataclass(frozen=True)
class Played:
    """What came of one session: its frames, and what its model was asked."""

    frames: list[Frame]
    requests: list[dict[str, Any]]
    counted: int

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [frame.event for frame in self.frames if frame.type == kind]

    @property
    def offered(self) -> list[list[str]]:
        """The names of the tools in each request."""
        return [[t["function"]["name"] for t in request.get("tools", ())] for request in self.requests]

    @property
    def counts(self) -> list[int]:
        return [event["available_tools"] for event in self.of("toolset_info")]

    @property
    def results(self) -> list[str]:
        return [event["response"] for event in self.of("tool_call_response")]

    def said(self, role: str) -> list[str]:
        """The messages of the first request."""
        return [message["content"] for message in self.requests[0]["messages"] if message["role"] == role]


def play(house: House, served: Server, name: str) -> Played:
    session = served.create(title="t")
    counted = served.get(f"/api/agents/{name}/root/tools/count")
    assert counted.status == 200, counted
    frames = served.run(session, FEATURES[name][0], agent=name)
    asked = [r["body"] for r in house.model.requests if r["body"].get("model") in (name, f"{name}-strong")]
    return Played(frames, asked, counted.json["available_tools"])


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


@pytest.fixture(scope="module")
def served(shared: House, site: Site) -> Server:
    work = shared.folder
    (work / ".agents/skills/tidy").mkdir(parents=True)
    (work / ".agents/skills/tidy/SKILL.md").write_text(SKILL)
    (work / "notes.txt").write_text(" notes\n")
    site.page("/whoami", "you")
    own = {"name": "whoami", "method": "GET", "endpoint": f"{site.url}/whoami", "allow_private_ips": True}
    asking = {"type": "api", "api_config": {**own, "headers": {"X-Tenant": "${headers.x_tenant}"}}}
    late = {"type": "openapi", "url": f"{site.url}/late.json", "allow_private_ips": True}
    others = {"headers": {"toolsets": [asking]}, "late": {"toolsets": [late, {"type": "think"}]}}
    for name, more in [*((name, more) for name, (_, more) in FEATURES.items()), *others.items()]:
        lines = "\n    ".join(f"{key}: {json.dumps(value)}" for key, value in more.items())
        shared.agent(name, text=FILE.format(url=shared.model.url, name=name, more=lines))
    return shared.serve()


@pytest.fixture(scope="module")
def played(shared: House, served: Server) -> Mapping[str, Played]:
    with ThreadPoolExecutor(len(FEATURES)) as threads:
        return dict(zip(FEATURES, threads.map(lambda name: play(shared, served, name), FEATURES), strict=True))


@pytest.mark.parametrize("name", FEATURES)
def test_every_turn_ends_well_and_the_count_is_that_of_its_beginning(played: Mapping[str, Played], name: str) -> None:
    one = played[name]
    assert one.of("error") == []
    assert one.of("stream_stopped")[-1]["reason"] == "normal"
    assert one.counts[0] == one.counted
    assert one.requests == [] or len(one.offered[0]) == one.counted


def test_tools_that_only_read(played: Mapping[str, Played]) -> None:
    assert played["readonly"].offered == [READ]


def test_tools_that_were_chosen(played: Mapping[str, Played]) -> None:
    assert played["chosen"].offered == [["read_file", "write_file", "think"]]


def test_guidance_that_is_the_files(played: Mapping[str, Played]) -> None:
    told = "\n".join(played["told"].said("system"))
    before, _, after = told.partition("Before. ")
    assert before and after.endswith(" After.") and len(after) > 40


def test_of_two_tools_the_first_is_used(played: Mapping[str, Played]) -> None:
    assert played["doubled"].offered == [["read_file", "write_file", "edit_file", "list_directory"]]
    (warning,) = played["doubled"].of("warning")
    assert "'read_file' is there twice" in warning["message"]


def test_results_as_toon(played: Mapping[str, Played]) -> None:
    shown, as_it_is = played["toon"].results
    assert shown == "rows[2]{id,name}:\n  1,a\n  2,b"
    assert json.loads(as_it_is)["rows"][1] == {"id": 2, "name": "b"}


def test_tools_that_are_looked_for(played: Mapping[str, Played]) -> None:
    one = played["deferred"]
    assert one.offered == [["search_tool", "add_tool"]] * 2 + [["read_file", "search_tool", "add_tool"]] * 2
    assert one.results[2].strip() == "notes"
    assert one.counts[0] == 2 and one.counts[-1] == 3
    some = played["some-deferred"]
    assert some.offered[0] == ["read_file", "edit_file", "search_tool", "add_tool"]
    assert [found["name"] for found in json.loads(some.results[0])["tools"]] == ["write_file"]


def test_a_model_for_what_tools_return(played: Mapping[str, Played]) -> None:
    one = played["model"]
    assert [request["model"] for request in one.requests] == ["model", "model-strong", "model"]
    assert [event["model"] for event in one.of("agent_info")] == ["fake/model", "fake/model-strong", "fake/model"]


def test_calls_say_what_they_are_for(played: Mapping[str, Played]) -> None:
    one = played["described"]
    asked = {t["function"]["name"]: t["function"]["parameters"]["properties"] for t in one.requests[0]["tools"]}
    assert "description" in asked["shell"] and "description" not in asked["think"]
    assert one.results[0].strip() == "it ran"
    (call,) = one.of("tool_call")
    assert json.loads(call["tool_call"]["function"]["arguments"])["description"] == "To see it run"


def test_one_tool_for_all(played: Mapping[str, Played]) -> None:
    one = played["code"]
    assert one.offered[0][0] == "run_tools_with_javascript" and "read_file" not in one.offered[0]
    assert one.offered[0][1:] == ["create_todo", "create_todos", "update_todos", "list_todos"]
    assert json.loads(one.results[0])["value"] == "2notes"


def test_an_answer_that_is_handed_in(played: Mapping[str, Played]) -> None:
    one = played["formed"]
    assert one.offered[0] == ["think", "__structured_output__"]
    assert [event["content"] for event in one.of("agent_choice")] == ['{"ok":true}']


def test_a_skill_by_its_name(played: Mapping[str, Played]) -> None:
    one = played["skill"]
    (said,) = one.said("user")
    assert said == "Read the skill tidy with read_skill, and do what it says.\n\nthe kitchen"
    assert any("- tidy: Put a room in order" in text for text in one.said("system"))
    commands = one.of("team_info")[0]["available_agents"][0]["commands"]
    assert set(commands) == {"tidy"}


def test_prompts_of_a_tool_server_by_their_names(played: Mapping[str, Played]) -> None:
    one = played["prompt"]
    assert one.said("user") == ["Greet Ada\nGreet Ada"]
    assert any(text.endswith("Mind.") for text in one.said("system"))
    assert [set(team["available_agents"][0].get("commands") or ()) for team in one.of("team_info")] == [
        set(),
        {"crm:greet"},
    ]
    none = played["no-prompt"]
    assert none.requests == []
    assert [event["content"] for event in none.of("agent_choice")] == ["/greet: missing: who. Write /greet who=…"]


def test_tools_that_come_in_mid_turn(played: Mapping[str, Played]) -> None:
    one = played["changing"]
    assert one.results == ["changed", "more was called"]
    assert "more" not in one.offered[0] and "more" in one.offered[1]
    assert one.counts[-1] == one.counts[0] + 1
    types = [frame.type for frame in one.frames]
    first, last = types.index("tool_call_response"), len(types) - 1 - types[::-1].index("tool_call")
    told = [f.event["available_tools"] for f in one.frames[first:last] if f.type == "toolset_info"]
    assert told[-1] == one.counts[0] + 1  # before the model calls it


def test_a_server_that_dies_costs_its_tools_and_a_warning(played: Mapping[str, Played]) -> None:
    one = played["broken"]
    assert one.offered == [["think"]]
    (warning,) = one.of("warning")
    assert "a key is missing" in warning["message"]


def test_headers_of_each_run(served: Server, site: Site) -> None:
    """Toolsets whose entry names a header are opened anew when another one comes."""
    session = served.create()
    for tenant in ("a", "b", "b", ""):
        body = {"messages": [{"role": "user", "content": tool("whoami")}]}
        sent = {"X-Tenant": tenant} if tenant else {}
        stream = served.open("POST", f"/api/sessions/{session}/agent/headers", body, headers=sent)
        assert [f.event["response"] for f in stream if f.type == "tool_call_response"] == ["you"]
    asked = [request.headers.get("x-tenant", "") for request in site.asked if request.path == "/whoami"]
    assert asked == ["a", "b", "b", ""]


def test_what_could_not_be_opened_is_tried_again_at_each_turn(served: Server, site: Site) -> None:
    session = served.create()

    def turn() -> tuple[list[str], int]:
        frames = served.run(session, "hi", agent="late")
        warnings = [f.event["message"] for f in frames if f.type == "warning"]
        return warnings, [f.event["available_tools"] for f in frames if f.type == "toolset_info"][-1]

    for _ in range(2):
        (warning,), count = turn()
        assert "404" in warning and count == 1
    paths = {"/pets": {"get": {"operationId": "list_pets"}}}
    site.page("/late.json", json.dumps({"openapi": "3.1.0", "paths": paths}), "application/json")
    assert turn() == ([], 2)
    assert served.get("/api/agents/late/root/tools/count").json == {"available_tools": 2}
