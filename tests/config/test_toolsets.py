"""Toolsets: what they refer to is followed, what belongs together is one, and options keep their names."""

from pathlib import Path

import pytest

from roost.config.agentfile import load
from roost.core.agents import Team, ToolsetSpec
from roost.core.errors import AgentBroken


def team(text: str, folder: Path | None = None) -> Team:
    return load("x", text.encode(), name="x.yaml", folder=folder)


def only(text: str, folder: Path | None = None) -> ToolsetSpec:
    loaded = team(text, folder)
    assert loaded.warnings == ()
    [spec] = loaded.default.toolsets
    return spec


def test_a_server_of_mcps_stands_where_it_is_referred_to_and_own_values_win() -> None:
    spec = only(
        """\
mcps:
  time:
    command: time-server
    args: [--utc]
    env: {A: theirs, B: theirs}
    tools: [now, later]
    instruction: Theirs
    lifecycle: {profile: strict}
agents:
  root: {toolsets: [{type: mcp, ref: time, name: clock, tools: [now], env: {B: mine, C: mine}, protocol: legacy}]}
"""
    )
    assert spec == ToolsetSpec(
        "mcp",
        tools=("now",),
        instruction="Theirs",
        name="clock",
        options={
            "command": "time-server",
            "args": ["--utc"],
            "env": {"A": "theirs", "B": "mine", "C": "mine"},
            "lifecycle": {"profile": "strict"},
            "protocol": "legacy",
        },
    )


def test_a_reference_to_docker_stays() -> None:
    spec = only("{mcps: {c: {ref: 'docker:context7', config: [1]}}, agents: {r: {toolsets: [{type: mcp, ref: c}]}}}")
    assert spec.options == {"ref": "docker:context7", "config": [1]}


def test_groups_refer_to_servers_too() -> None:
    loaded = team(
        "{mcps: {c: {command: x}}, toolsets: {g: [{type: mcp, ref: c}]},"
        " agents: {r: {use_toolsets: [g], readonly: true}}}"
    )
    assert loaded.default.toolsets[0].options == {"command": "x", "readonly": True}


def test_a_source_of_documents_is_whole_and_its_paths_lead_somewhere(tmp_path: Path) -> None:
    text = """\
rag:
  handbook:
    tool: {name: ask, description: d, instruction: Cite}
    docs: [./handbook, /etc/rules, "${env.DOCS}/x", ~/notes]
    respect_vcs: false
    instruction: Guidance
    strategies:
      - {type: bm25, database: ./bm25.db, limit: 8}
      - {type: semantic-embeddings, embedding_model: auto}
      - {type: chunked-embeddings, model: auto, docs: [more/*.md], chunking: {size: 10, code_aware: true}}
    results: {limit: 5, reranking: {model: auto}, include_score: true}
agents: {root: {toolsets: [{type: rag, ref: handbook, tools: [ask]}]}}
"""
    loaded = team(text, tmp_path)
    [spec] = loaded.default.toolsets
    assert (spec.type, spec.name, spec.tools, spec.instruction) == ("rag", "handbook", ("ask",), "Guidance")
    assert spec.options == {
        "name": "handbook",
        "tool": {"name": "ask", "description": "d", "instruction": "Cite"},
        "docs": [f"{tmp_path}/handbook", "/etc/rules", "${env.DOCS}/x", "~/notes"],
        "respect_vcs": False,
        "strategies": [
            {"type": "bm25", "database": f"{tmp_path}/bm25.db", "limit": 8},
            {
                "type": "chunked-embeddings",
                "docs": [f"{tmp_path}/more/*.md"],
                "embedding_model": "auto",
                "chunking": {"size": 10},
            },
        ],
        "results": {"limit": 5, "include_score": True},
    }
    assert [line.split(": ", 2)[1].split(" ")[0] for line in loaded.warnings] == [
        "rag.handbook.strategies[1]",
        "rag.handbook.strategies[2].chunking.code_aware",
        "rag.handbook.results.reranking",
    ]


def test_the_name_of_a_source() -> None:
    inline = "agents: {root: {toolsets: [{type: rag, rag_config: {docs: [a], %s}%s}]}}"
    assert only(inline % ("tool: {name: ask}", "")).name == "ask"
    assert only(inline % ("name: b, tool: {name: ask}", "")).name == "b"
    assert only(inline % ("name: b", ", name: c")).options["name"] == "c"
    assert only(inline % ("respect_vcs: true", "")).options == {
        "docs": ["a"],
        "respect_vcs": True,
        "name": "rag",
        "strategies": [{"type": "bm25"}],
    }


def test_where_only_semantic_search_is_wanted_words_are_looked_for() -> None:
    loaded = team(
        "{rag: {h: {strategies: [{type: semantic-embeddings, embedding_model: auto, docs: [a], limit: 3}]}},"
        " agents: {root: {toolsets: [{type: rag, ref: h}]}}}"
    )
    assert loaded.default.toolsets[0].options["strategies"] == [{"type": "bm25", "docs": ["a"], "limit": 3}]


def test_all_language_servers_of_an_agent_are_one_toolset() -> None:
    loaded = team(
        """\
agents:
  root:
    toolsets:
      - type: think
      - {type: lsp, command: gopls, args: [serve], file_types: [.go], tools: [lsp_hover], defer: [lsp_rename]}
      - type: todo
      - {type: lsp, command: pyls, env: {A: b}, working_dir: py, tools: [lsp_format], readonly: true, toon: lsp_.*}
"""
    )
    assert [spec.type for spec in loaded.default.toolsets] == ["think", "lsp", "todo"]
    assert loaded.default.toolsets[1] == ToolsetSpec(
        "lsp",
        tools=("lsp_hover", "lsp_format"),
        options={
            "servers": [
                {"command": "gopls", "args": ["serve"], "file_types": [".go"]},
                {"command": "pyls", "env": {"A": "b"}, "working_dir": "py"},
            ],
            "readonly": True,
        },
        toon=("lsp_.*",),
        defer=("lsp_rename",),
    )
    assert only("agents: {root: {toolsets: [{type: lsp, command: x}]}}").options == {"servers": [{"command": "x"}]}


def test_skills_of_all_forms_are_one_toolset() -> None:
    loaded = team(
        """\
skills:
  house: [local, "https://x.example", {name: a, description: theirs, instructions: i}]
  all: true
agents:
  root:
    use_skills: [house, all]
    skills:
      - pdf
      - {name: a, description: mine, instructions: i, context: fork, model: auto, allowed_tools: [shell]}
  named: {skills: [pdf]}
  none: {skills: false}
  empty: {skills: []}
"""
    )
    assert loaded.warnings == ()
    assert [[spec.options for spec in agent.toolsets] for agent in loaded.agents] == [
        [
            {
                "sources": ["local", "https://x.example"],
                "names": ["pdf"],
                "inline": [
                    {
                        "name": "a",
                        "description": "mine",
                        "instructions": "i",
                        "context": "fork",
                        "model": "auto",
                        "allowed_tools": ["shell"],
                    }
                ],
            }
        ],
        [{"sources": ["local"], "names": ["pdf"], "inline": []}],
        [],
        [],
    ]


def test_all_that_a_type_has_of_its_own_is_an_option_under_the_name_of_the_file() -> None:
    loaded = team(
        """\
agents:
  root:
    toolsets:
      - {type: background_jobs, recall: true}
      - {type: openapi, url: https://x.example, headers: {A: b}, timeout: 5, allow_private_ips: true}
      - {type: mcp, command: x, version: "false", sampling: allow, defer: true, toon: "a, b", model: openai/gpt-5}
"""
    )
    assert loaded.warnings == ()
    jobs, openapi, mcp = loaded.default.toolsets
    assert jobs.options == {"recall": True}
    assert openapi.options == {
        "url": "https://x.example",
        "headers": {"A": "b"},
        "timeout": 5,
        "allow_private_ips": True,
    }
    assert mcp == ToolsetSpec(
        "mcp", options={"command": "x", "sampling": "allow"}, toon=("a", "b"), defer=True, model="openai/gpt-5"
    )


SKILLED = """
agents:
  root:
    skills: [{name: tidy, description: d, instructions: i, context: fork, toolsets: [shelf]}]
toolsets:
  shelf: [{type: filesystem}, {type: mcp, ref: clock}]
  other: [{type: shell}]
mcps:
  clock: {command: clock-server}
"""


def test_groups_that_skills_run_with() -> None:
    team = load("x", SKILLED.encode(), name="x.yaml")
    assert team.warnings == ()
    assert {name: [spec.type for spec in specs] for name, specs in team.groups.items()} == {
        "shelf": ["filesystem", "mcp"]
    }
    assert team.groups["shelf"][1].options["command"] == "clock-server"
    with pytest.raises(AgentBroken, match=r"'shelf' is not in `toolsets`"):
        load("x", SKILLED.replace("  shelf:", "  shell:").encode(), name="x.yaml")
