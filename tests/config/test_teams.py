"""Agents of other files: which a file names, how they join its team, and what keeps that from going on and on."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from roost.config.agentfile import load
from roost.config.externals import External, external
from roost.config.teams import DEEPEST, MOST, adopt, whole
from roost.core.agents import Team
from roost.core.errors import AgentBroken, AgentUnreachable
from roost.core.events import Permissions

pytestmark = pytest.mark.anyio

DIGEST = "sha256:" + "0a" * 32


def team(text: str, folder: Path | None = None) -> Team:
    return load("x", text.encode(), name="x.yaml", env={}, folder=folder)


class Shelf:
    """A registry that has some files, and counts how often it is asked."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.asked: list[str] = []

    async def read(self, target: str) -> Team:
        self.asked.append(target)
        if target not in self.files:
            raise AgentUnreachable(f"{target} is not there")
        return load(target, self.files[target].encode(), name=target, env={})


@pytest.mark.parametrize(
    ("text", "name", "target"),
    [
        ("org/gopher:latest", "gopher", "org/gopher:latest"),
        (f"org/gopher@{DIGEST}", "gopher", f"org/gopher@{DIGEST}"),
        (f"org/gopher:1@{DIGEST}", "gopher", f"org/gopher:1@{DIGEST}"),
        ("expert:org/gopher:2", "expert", "org/gopher:2"),
        ("registry.example:5000/a/b/c:1", "c", "registry.example:5000/a/b/c:1"),
        ("localhost:5000/c", "c", "localhost:5000/c"),
        ("mine:localhost:5000/c", "mine", "localhost:5000/c"),
        ("oci://org/c:1", "c", "oci://org/c:1"),
        ("https://x.example/agents/go%20pher.yaml?v=1", "go pher", "https://x.example/agents/go%20pher.yaml?v=1"),
        ("expert:https://x.example/a.yaml", "expert", "https://x.example/a.yaml"),
        ("./team/writer.yaml", "writer", "./team/writer.yaml"),
        ("w:../writer.yml", "w", "../writer.yml"),
    ],
)
def test_what_is_external_and_what_it_is_called(text: str, name: str, target: str) -> None:
    assert external(text) == External(name, target)


@pytest.mark.parametrize("text", ["helper", "help er", "helper:latest", "./folder", "ftp://x/y", "", "/", "a/", "a//b"])
def test_what_is_not(text: str) -> None:
    assert external(text) is None


def test_a_file_says_whom_it_needs() -> None:
    found = team(
        "agents: {root: {sub_agents: [local, org/gopher, x:org/local:2], handoffs: [org/gopher]},"
        " local: {force_handoff: org/judge}}"
    )
    assert found.externals == {"gopher": "org/gopher", "x": "org/local:2", "judge": "org/judge"}
    assert found.default.sub_agents == ("local", "gopher", "x")
    assert found.agents[1].force_handoff == "judge"


def test_an_agent_of_the_file_wins() -> None:
    found = team("agents: {root: {sub_agents: [org/gopher]}, gopher: {description: mine}}")
    assert (found.externals, found.default.sub_agents) == ({}, ("gopher",))


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(AgentBroken, match=r"org/a:1 and other/a would both be called 'a'; give one .* `other:other/a`"):
        team("agents: {root: {sub_agents: [org/a:1], handoffs: [other/a]}}")


OUTSIDE = """\
permissions: {allow: [shell], ask: [fetch], deny: ["rm*"]}
runtime: {safety: strict}
budget: {max_cost: 1}
budgets: {small: {max_tokens: 10}}
providers: {lab: {base_url: https://lab.example/v1}}
models:
  fast: {provider: lab, model: f, title_model: big, routing: [{model: big, examples: [x]}]}
  big: {provider: openai, model: b}
  mixed: {model: "fast,openai/gpt-5"}
  first: {first_available: [fast, openai/gpt-5]}
agents:
  lead:
    model: "fast, openai/gpt-5"
    description: Leads
    sub_agents: [worker]
    handoffs: [worker]
    force_handoff: worker
    fallback: {models: [big, lab/other]}
    compaction_model: big
    commands: {back: {agent: worker}}
    hooks: {stop: {type: command, command: x}}
    skills: [{name: s, description: d, instructions: i, model: fast}]
    toolsets:
      - {type: shell, model: fast}
      - {type: model_picker, models: [fast, auto]}
      - {type: rag, rag_config: {strategies: [{type: chunked-embeddings, embedding_model: big}]}}
  worker: {model: mixed, description: Works, budgets: [small]}
"""


async def test_the_agents_of_a_file_join_under_new_names() -> None:
    mine = "{permissions: {allow: [think]}, agents: {root: {sub_agents: [a, boss:org/team:1]}, a: {description: A}}}"
    shelf = Shelf({"org/team:1": OUTSIDE})
    found = await whole(team(mine), shelf.read)
    assert [agent.name for agent in found.agents] == ["root", "a", "boss", "boss/worker"]
    assert found.default.toolsets[-1].options["agents"] == [
        {"name": "a", "description": "A"},
        {"name": "boss", "description": "Leads"},
    ]
    boss, worker = found.agents[2:]
    assert (boss.model, worker.model) == ("boss/fast,openai/gpt-5", "boss/mixed")
    assert (boss.sub_agents, boss.handoffs, boss.force_handoff) == (("boss/worker",),) * 2 + ("boss/worker",)
    assert boss.fallback.models == ("boss/big", "boss/lab/other")
    assert (boss.compaction.model, boss.commands[0].agent) == ("boss/big", "boss/worker")
    assert (boss.budgets, worker.budgets) == (("boss",), ("boss", "boss/small"))
    assert boss.safety == "strict"
    shell, picker, search, skills, *_ = boss.toolsets
    assert (shell.model, picker.options["models"]) == ("boss/fast", ["boss/fast", "auto"])
    assert search.options["strategies"][0]["embedding_model"] == "boss/big"
    assert skills.options["inline"][0]["model"] == "boss/fast"
    assert [spec.type for spec in boss.toolsets[-2:]] == ["transfer_task", "handoff"]
    assert all(
        spec.options == {"agents": [{"name": "boss/worker", "description": "Works"}]} for spec in boss.toolsets[-2:]
    )
    assert set(found.models) == {f"boss/{name}" for name in ("fast", "big", "mixed", "first", "lab/other")}
    fast = found.models["boss/fast"]
    assert (fast.name, fast.provider, fast.base_url) == ("boss/fast", "lab", "https://lab.example/v1")
    assert (fast.title_model, fast.routing[0].model) == ("boss/big", "boss/big")
    assert found.models["boss/mixed"].model == "boss/fast,openai/gpt-5"
    assert found.models["boss/first"].candidates == ("boss/fast", "openai/gpt-5")
    assert set(found.providers) == {"boss/lab"}
    assert found.permissions == Permissions(("think",), ("fetch",), ("rm*",))
    assert {name: budget.name for name, budget in found.budgets.items()} == {"boss": "boss", "boss/small": "boss/small"}
    assert found.externals == {}
    assert found.hash != team(mine).hash


async def test_the_hash_tells_of_a_change_in_another_file() -> None:
    mine = team("agents: {root: {sub_agents: [org/a]}}")
    first, same, second = [
        (await whole(mine, Shelf({"org/a": text}).read)).hash
        for text in ("agents: {r: {}}", "agents: {r: {}}", "agents: {r: {description: d}}")
    ]
    assert first == same != second


async def test_files_name_further_files_and_each_is_read_once() -> None:
    shelf = Shelf(
        {
            "org/a": "agents: {root: {sub_agents: [org/c]}}",
            "org/b": "agents: {root: {sub_agents: [see:org/c]}}",
            "org/c": "agents: {root: {description: C}}",
        }
    )
    found = await whole(team("agents: {root: {sub_agents: [org/a, org/b]}}"), shelf.read)
    assert [agent.name for agent in found.agents] == ["root", "a", "a/c", "b", "b/see"]
    assert shelf.asked == ["org/a", "org/c", "org/b"]


async def test_files_that_name_each_other_are_refused() -> None:
    shelf = Shelf({"org/a": "agents: {r: {handoffs: [org/b]}}", "org/b": "agents: {r: {sub_agents: [org/a]}}"})
    with pytest.raises(AgentBroken, match="without end: org/a → org/b → org/a"):
        await whole(team("agents: {root: {sub_agents: [org/a]}}"), shelf.read)


async def test_how_deep_and_how_many_files_is_bounded() -> None:
    chain = Shelf({f"org/a{n}": f"agents: {{r: {{sub_agents: [org/a{n + 1}]}}}}" for n in range(DEEPEST + 2)})
    with pytest.raises(AgentBroken, match=f"deeper than {DEEPEST} files"):
        await whole(team("agents: {root: {sub_agents: [org/a0]}}"), chain.read)
    assert len(chain.asked) == DEEPEST
    many = Shelf({f"org/a{n}": "agents: {r: {}}" for n in range(MOST + 2)})
    with pytest.raises(AgentBroken, match=f"more than {MOST} files"):
        await whole(team(f"agents: {{root: {{sub_agents: {list(many.files)}}}}}"), many.read)
    assert len(many.asked) == MOST


async def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(AgentUnreachable, match="org/a is not there"):
        await whole(team("agents: {root: {sub_agents: [org/a]}}"), Shelf({}).read)


async def test_files_nearby_are_read_from_the_folder_of_the_one_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "team/writer.yaml").write_text("agents: {w: {sub_agents: [./critic.yaml], instruction_file: w.md}}")
    (tmp_path / "team/critic.yaml").write_text("agents: {c: {description: C}}")
    (tmp_path / "team/w.md").write_text("Write.")
    mine = team("agents: {root: {sub_agents: [./team/writer.yaml]}}", tmp_path)
    found = await whole(mine, Shelf({}).read)
    assert [agent.name for agent in found.agents] == ["root", "writer", "writer/critic"]
    assert found.agents[1].instruction == "Write."
    assert found.files == (str(tmp_path / "team/w.md"),)


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"agents: {r: {modle: x}}", b"x" * (3 * 1024 * 1024)])
async def test_a_file_nearby_that_does_not_load(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "a.yaml").write_bytes(raw)
    with pytest.raises(AgentBroken, match=r"a\.yaml"):
        await whole(team("agents: {root: {sub_agents: [./a.yaml]}}", tmp_path), Shelf({}).read)


async def test_a_file_nearby_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AgentBroken, match=r"a\.yaml: can't be read: No such file"):
        await whole(team("agents: {root: {sub_agents: [./a.yaml]}}", tmp_path), Shelf({}).read)


def test_a_team_that_needs_nobody_stays_as_it_is() -> None:
    mine = team("agents: {root: {}}")
    assert adopt(mine, {}) is mine


def test_an_agent_that_a_cli_plays_gets_no_tools_of_ours() -> None:
    found = adopt(
        team("agents: {root: {sub_agents: [org/a]}}"), {"org/a": team("agents: {r: {harness: {type: codex}}}")}
    )
    assert found.agents[1].toolsets == ()
    assert replace(found.agents[1], name="r") == team("agents: {r: {harness: {type: codex}}}").default
