"""Agent files: what loads, what it becomes, and every complaint with its line and column."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roost.config.agentfile import load
from roost.config.hooks import HOOKS, TOOLS
from roost.config.schema import FILE
from roost.config.shapes import (
    Anything,
    Either,
    Entries,
    Flag,
    Items,
    Key,
    Number,
    Record,
    Text,
)
from roost.config.toolsets import BUILT, KEYS, TYPES, Server, Toolset
from roost.core.agents import Harness, Team
from roost.core.errors import AgentBroken
from roost.core.events import Command, Permissions
from roost.core.usage import Price

ROOT = Path(__file__).parents[2]


def team(text: str) -> Team:
    return load("x", text.encode(), name="x.yaml")


def complaints(text: str) -> list[str]:
    """The headings of all complaints, without their source lines."""
    with pytest.raises(AgentBroken) as caught:
        team(text)
    return [line for line in caught.value.message.splitlines() if line.startswith("x.yaml:")]


def refused(text: str, *words: str) -> None:
    """The file has exactly these complaints."""
    found = complaints(text)
    assert len(found) == len(words), found
    for line, word in zip(found, words, strict=True):
        assert word in line


MISTAKES = """\
version: "5"
agnts: {}
agents:
  root:
    instrution: Be brief
    model: openi/gpt-5
    max_iterations: -2
    add_date: maybe
    safety: strict
    sub_agents: [helpr]
    toolsets:
      - type: shel
      - type: think
        ignore_vcs: true
      - {tools: [shell]}
      - type: filesystem
        post_edit: [{path: "*.py"}]
        envfiles: [x]
    commands:
      "a b": hi
  helper: [1]
models:
  hot: {provider: openai, model: gpt-5, temperature: 2.5}
  lost: {provider: openai}
  thinking: {provider: openai, model: o3, thinking_budget: hihg}
  hasty: {provider: openai, model: o3, provider_opts: {idle_timeout: 0, anything: goes}}
providers:
  my/lab: {base_url: ftp://x, token_key: sk-12345}
permissions: {allow: shell}
mcps: {x: {command: y}}
"""


def test_all_mistakes_of_a_file_are_named_with_their_place() -> None:
    found = complaints(MISTAKES)
    places = [tuple(map(int, line.split(":")[1:3])) for line in found]
    assert places == sorted(places)
    expected = [
        ((2, 1), "unknown key 'agnts' in the file; did you mean 'agents'?"),
        ((5, 5), "unknown key 'instrution' in agents.root; did you mean 'instruction'?"),
        ((6, 12), "unknown provider 'openi'; did you mean 'openai'?"),
        ((7, 21), "agents.root.max_iterations: must be at least 0, is -2"),
        ((8, 15), "agents.root.add_date: expected true or false, got the text 'maybe'"),
        ((9, 5), "key 'safety' in agents.root needs version 11 or newer (the file says 5)"),
        ((10, 18), "agent 'root' references non-existent sub-agent 'helpr'; did you mean 'helper'?"),
        ((12, 15), "unknown toolset type 'shel'; did you mean 'shell'?"),
        ((14, 9), "agents.root.toolsets[1]: ignore_vcs can only be used with type 'filesystem'"),
        ((15, 9), "agents.root.toolsets[2]: type is missing"),
        ((17, 21), "agents.root.toolsets[3].post_edit[0]: cmd is missing"),
        ((18, 9), "key 'envfiles' in agents.root.toolsets[3] is no longer accepted"),
        ((20, 7), "'a b' is not a name for a command"),
        ((21, 11), "agents.helper: expected a mapping, got a list"),
        ((23, 54), "models.hot.temperature: must be at most 2, is 2.5"),
        ((24, 9), "models.lost: model is missing"),
        ((25, 60), "models.thinking.thinking_budget: expected none, minimal, low"),
        ((26, 70), "models.hasty.provider_opts.idle_timeout: must be more than 0, is 0"),
        ((28, 3), "provider name 'my/lab' must not be empty"),
        ((28, 22), "'ftp://x' is not an http(s) address"),
        ((28, 31), "token_key: must be the name of an environment variable"),
        ((29, 22), "permissions.allow: expected a list, got the text 'shell'"),
        ((30, 1), "key 'mcps' in the file needs version 6 or newer"),
    ]
    assert places == [place for place, _ in expected], found
    for line, (_, words) in zip(found, expected, strict=True):
        assert words in line


TWENTY = """\
agents:
  root:
    model: anthropic/claude-sonnet-4-5
    modle: x
    sub_agents: [reviewr]
    fallback: {cooldown: 2 minutes}
    structured_output: {name: verdict}
    compaction_threshold: 1.5
    budgets: [cheap]
    hooks:
      pre_tool_use: [{matcher: "shell(", hooks: [{type: command}]}]
      turn_start: [{type: builtin, command: add_dat}]
    toolsets:
      - {type: mcp, command: npx, ref: docker:time}
      - {type: mcp, ref: githb}
      - {type: filesystem, toon: "list_[", defer: sometimes}
      - {type: fetch, allowed_domains: [a.example], blocked_domains: [b.example]}
      - {type: script, shell: {build: {cmd: make, required: [target]}}}
    commands:
      - {fix: Fix, build: Build}
  reviewer: {force_handoff: reviewer}
models:
  fast: {provider: openai, model: gpt-5-mini}
  chosen: {first_available: [fast, slow]}
mcps:
  github: {ref: github}
rag:
  docs: {strategies: [{type: chunked-embeddings}]}
"""


def test_twenty_mistakes_are_twenty_complaints() -> None:
    expected = [
        ((4, 5), "unknown key 'modle' in agents.root; did you mean 'model'?"),
        ((5, 18), "agent 'root' references non-existent sub-agent 'reviewr'; did you mean 'reviewer'?"),
        ((6, 26), "agents.root.fallback.cooldown: expected a duration such as '1m30s'"),
        ((7, 24), "agents.root.structured_output: schema is missing"),
        ((8, 27), "agents.root.compaction_threshold: must be at most 1, is 1.5"),
        ((9, 15), "agents.root.budgets[0]: 'cheap' is not in `budgets`"),
        ((11, 32), "agents.root.hooks.pre_tool_use[0].matcher: 'shell(' is no regular expression"),
        ((11, 50), "agents.root.hooks.pre_tool_use[0].hooks[0]: a hook of type 'command' needs command"),
        ((12, 45), "agents.root.hooks.turn_start[0]: unknown builtin hook 'add_dat'; did you mean 'add_date'?"),
        ((14, 9), "agents.root.toolsets[0]: needs exactly one of command, remote and ref, has command and ref"),
        ((15, 26), "agents.root.toolsets[1].ref: 'githb' is not in `mcps`; did you mean 'github'?"),
        ((16, 34), "agents.root.toolsets[2].toon: 'list_[' is no regular expression"),
        ((16, 51), "agents.root.toolsets[2].defer: expected true or false or a list, got the text 'sometimes'"),
        ((17, 53), "agents.root.toolsets[3]: allowed_domains and blocked_domains exclude each other"),
        ((18, 62), "tool 'build' requires 'target', which is not in its args"),
        ((20, 9), "agents.root.commands[0]: a command of a list has one name, this 2"),
        ((21, 29), "agents.reviewer: force_handoff never ends: reviewer → reviewer"),
        ((24, 36), "models.chosen.first_available[1]: model 'slow' is neither in `models`"),
        ((26, 17), "mcps.github: ref must start with 'docker:'"),
        ((28, 23), "rag.docs.strategies[0]: a strategy of type 'chunked-embeddings' needs embedding_model"),
    ]
    found = complaints(TWENTY)
    assert len(expected) == 20
    assert [tuple(map(int, line.split(":")[1:3])) for line in found] == [place for place, _ in expected], found
    for line, (_, words) in zip(found, expected, strict=True):
        assert words in line


def test_a_complaint_shows_its_line_and_a_caret_but_no_values_beside_keys() -> None:
    with pytest.raises(AgentBroken) as caught:
        team("agents:\n  root:\n    modle: secret-thing\n")
    assert caught.value.message.splitlines() == [
        "x.yaml:3:5: unknown key 'modle' in agents.root; did you mean 'model'?",
        "        modle: …",
        "        ^",
    ]


def test_complaints_about_headers_and_variables_do_not_show_them() -> None:
    with pytest.raises(AgentBroken) as caught:
        team("agents:\n  root:\n    toolsets:\n      - type: shell\n        env:\n          KEY: [hunter2]\n")
    assert "hunter2" not in caught.value.message
    assert "x.yaml:6:16: " in caught.value.message


def test_the_number_of_complaints_is_bounded() -> None:
    text = "agents:\n  root: {}\n" + "".join(f"wrong{index}: 1\n" for index in range(300))
    assert len([line for line in complaints(text) if "unknown key" in line]) == 100
    with pytest.raises(AgentBroken, match="and 200 more"):
        team(text)


# -- every key loads ----------------------------------------------------------------------------


def sample(shape: Any) -> Any:
    """A value that a shape accepts, with each of its keys."""
    match shape:
        case Text(words=words) if words:
            return words[0]
        case Text(pattern=pattern):
            named = {"ms|s": "1m30s", "https": "https://x.example/y", "none": "high"}
            return next((value for start, value in named.items() if start in pattern), "word") if pattern else "word"
        case Flag():
            return True
        case Number(low=low, high=high):
            return 1 if low is None or low < 1 or high is None else low
        case Items(item=item):
            return [sample(item)]
        case Entries(value=value):
            return {"name": sample(value)}
        case Anything():
            return "anything"
        case Either() as either:
            choice = next(s for s in (either.entries, either.items, either.text, either.flag, either.number) if s)
            return sample(choice)
        case Record(keys=keys):
            return {name: sample(key.shape) for name, key in keys.items() if key.legal(None) and key.mark != "refuse"}
        case Toolset():
            return {"type": "think"}
        case Server():
            return {name: value for name, value in toolset_with_every_key("mcp").items() if name != "type"}
    raise AssertionError(shape)


def toolset_with_every_key(kind: str) -> dict[str, Any]:
    entry = {
        name: sample(key.shape)
        for name, key in KEYS.items()
        if (not key.types or kind in key.types) and key.legal(None) and key.mark != "refuse"
    }
    entry["type"] = kind
    if kind == "fetch":
        del entry["blocked_domains"]
    if kind == "mcp":
        entry = {name: value for name, value in entry.items() if name not in ("remote", "ref")}
    if kind == "rag":
        entry["ref"] = "name"
        entry["rag_config"]["strategies"][0] |= {"embedding_model": "auto", "model": "auto"}
    for name in ("model", "models"):
        if name in entry:
            entry[name] = "auto" if name == "model" else ["auto"]
    if "shell" in entry:
        entry["shell"]["name"] |= {"cmd": "echo $word", "args": {"word": {"type": "string"}}}
    return entry


def hooks_of_every_kind() -> dict[str, Any]:
    hook = {"type": "command", "command": "x", "args": ["y"], "timeout": 5, "env": {"A": 1}, "on_error": "block"}
    under = [{"matcher": "shell", "hooks": [hook], "preempt_yolo": True}]
    return {event: under if event in TOOLS else [hook] for event in HOOKS.keys}


def big() -> dict[str, Any]:
    """A file with every legal key of all versions."""
    data: dict[str, Any] = sample(FILE)
    data["version"] = ""
    agent = data["agents"]["name"]
    agent["toolsets"] = [toolset_with_every_key(kind) for kind in TYPES]
    agent |= {"sub_agents": ["other"], "handoffs": ["org/thing"], "force_handoff": "other"}
    agent |= {f"use_{group}": ["name"] for group in ("toolsets", "commands", "skills")}
    agent |= {"model": "name,auto", "compaction_model": "auto", "rag": ["name"], "budgets": ["name"]}
    agent["fallback"]["models"] = ["openai/gpt-5"]
    agent["skills"][0]["model"] = data["skills"]["name"][0]["model"] = data["mcps"]["name"]["model"] = "auto"
    agent["skills"][0]["toolsets"] = data["skills"]["name"][0]["toolsets"] = ["name"]
    agent["hooks"] = hooks_of_every_kind()
    agent["commands"] = {"go": {"description": "d", "instruction": "i", "agent": "other", "url": "https://x"}}
    del agent["instruction_file"]
    data["agents"]["other"] = {"harness": agent.pop("harness")}
    data["commands"] = {"name": [{"stop": "Stop"}]}
    model = data["models"]["name"]
    del model["first_available"], model["type"]
    url = "https://x.example/v1"
    model |= {"provider": "name", "base_url": url, "title_model": "auto", "compaction_model": "auto"}
    model["routing"] = [{"model": "openai/gpt-5", "examples": ["hi"]}]
    data["models"]["chosen"] = {"first_available": ["name", "auto"], "description": "d"}
    data["models"]["old"] = {"type": "openai", "model": "gpt-5"}
    data["rag"]["name"]["strategies"] = [{"type": "chunked-embeddings", "embedding_model": "auto"}]
    data["providers"]["name"] |= {"base_url": url, "provider": "openai", "compaction_model": "auto"}
    return data


def test_every_legal_key_loads_in_a_file_without_version() -> None:
    loaded = load("x", json.dumps(big()).encode(), name="x.yaml")
    assert {toolset.type for toolset in loaded.agents[0].toolsets} == BUILT | {"transfer_task", "handoff", "skills"}
    assert loaded.warnings
    assert msgspec.json.decode(msgspec.json.encode(loaded), type=Team) == loaded


def test_every_key_that_is_not_built_is_warned_of() -> None:
    warnings = "\n".join(load("x", json.dumps(big()).encode(), name="x.yaml").warnings)
    for name, key in FILE.keys["agents"].shape.value.keys.items():
        if key.mark == "warn":
            assert f"agents.name.{name} " in warnings, name
    for kind in TYPES.keys() - BUILT:
        assert f"toolset type {kind!r} is not supported yet" in warnings


def refusals(keys: dict[str, Key], path: str = "") -> list[str]:
    found = []
    for name, key in keys.items():
        if key.mark == "refuse":
            found.append(f"{path}{name}")
        inner = key.shape
        while isinstance(inner, Items | Entries | Either):
            inner = (
                inner.item if isinstance(inner, Items) else inner.value if isinstance(inner, Entries) else inner.entries
            )
        if isinstance(inner, Record):
            found += refusals(dict(inner.keys), f"{path}{name}.")
    return found


def test_the_list_of_keys_that_refuse_a_file() -> None:
    assert sorted(refusals(dict(FILE.keys)) + refusals(dict(KEYS), "toolset.")) == [
        "runtime.sandbox",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{runtime: {sandbox: true}, agents: {root: {}}}",
        "agents: {root: {hooks: {pre_tool_use: [{hooks: [{type: model, model: auto, prompt: x}]}]}}}",
        "agents: {root: {hooks: {tool_guard: {matcher: shell, hooks: {type: evaluator, evaluator: x}}}}}",
        "agents: {root: {hooks: {pre_tool_use: [{hooks: [{type: builtin, command: inject_memories}]}]}}}",
    ],
)
def test_what_would_be_less_safe_when_ignored_refuses_the_file(text: str) -> None:
    refused(text, "so the file is refused")


@pytest.mark.parametrize("none", ["[]", "{}", "null"])
def test_no_commands_in_any_spelling(none: str) -> None:
    assert team(f"agents: {{root: {{commands: {none}}}}}").default.commands == ()


def test_safety_modes_are_read() -> None:
    read = team("{runtime: {safety: restricted}, agents: {root: {safety: strict}}}")
    assert (read.safety, read.default.safety) == ("restricted", "strict")


@pytest.mark.parametrize(
    "text",
    [
        "agents: {root: {hooks: {pre_tool_use: []}}}",
        "{runtime: {sandbox: false}, agents: {root: {}}}",
        "agents: {root: {code_mode_tools: false, redact_secrets: false, sub_agents: [], fallback: {}}}",
        "agents: {root: {max_old_tool_call_tokens: -1, toolsets: [{type: shell, toon: ''}]}}",
    ],
)
def test_what_changes_nothing_when_ignored_is_not_mentioned(text: str) -> None:
    assert team(text).warnings == ()


# -- versions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0", "7", "15", "4.0", '"2"', '"15"', '"3.0"', "''", "~"])
def test_known_versions_load(version: str) -> None:
    assert team(f"version: {version}\nagents: {{root: {{model: auto}}}}").agents


@pytest.mark.parametrize("version", ["16", "4.5", "latest", "-1", '"1e1"', "[1]"])
def test_unknown_versions_do_not(version: str) -> None:
    found = complaints(f"version: {version}\nagents: {{root: {{model: auto}}}}")
    assert any(f"x.yaml:1:{9 + 1}: " in line and "version" in line for line in found), found


@pytest.mark.parametrize(
    ("version", "key", "words"),
    [
        (1, "welcome_message: hi", "needs version 2"),
        (2, "hooks: {}", "needs version 3"),
        (3, "fallback: {}", "needs version 4"),
        (10, "use_commands: []", "needs version 11"),
        (15, "inject_memories: true", "newer than version 15"),
        (8, "rag: [x]", "is gone since version 8"),
        (1, "think: true", "is gone since version 1"),
        (5, "toolsets: [{type: model_picker, models: [auto]}]", "needs version 6"),
        (6, "toolsets: [{type: shell, sandbox: {}}]", "gone since version 6"),
        (3, "toolsets: [{type: filesystem, deny_list: [x]}]", "needs version 11"),
        (3, "skills: [name]", "a skill source is"),
    ],
)
def test_a_version_knows_its_own_keys_only(version: int, key: str, words: str) -> None:
    refused(f"version: {version}\nagents:\n  root:\n    {key}\n", words)


def test_old_spellings_are_brought_to_todays() -> None:
    loaded = team(
        """\
agents:
  root:
    memory: {path: m.db}
    think: true
    todo: {shared: true}
    toolsets: [{type: shell}]
    rag: [handbook]
    model: old
models:
  old: {type: openai, model: gpt-4o}
rag:
  handbook: {docs: [x]}
"""
    )
    assert [toolset["type"] for toolset in loaded.config["agents"][0]["toolsets"]] == [
        "todo",
        "think",
        "memory",
        "shell",
        "rag",
    ]
    assert loaded.agents[0].toolsets[0].options == {"shared": True}
    assert loaded.models["old"].provider == "openai"
    assert [line.split(": ", 1)[0] for line in loaded.warnings] == [
        "x.yaml:3:5",
        "x.yaml:4:5",
        "x.yaml:5:5",
        "x.yaml:7:5",
        "x.yaml:10:9",
    ]


def test_a_file_that_names_its_version_has_that_ones_spelling() -> None:
    loaded = team("version: 7\nrag: {handbook: {docs: [x]}}\nagents: {root: {rag: [handbook]}}")
    assert [toolset.type for toolset in loaded.agents[0].toolsets] == ["rag"]
    assert loaded.warnings == ()


def test_a_file_of_version_0_loads_strictly() -> None:
    text = "version: 0\nagents: {root: {model: m, todo: true, think: false}}\nmodels: {m: {type: openai, model: x}}"
    assert [toolset.type for toolset in team(text).agents[0].toolsets] == ["todo"]


@pytest.mark.parametrize(
    "text",
    ["{env: {A: b}, agents: {root: {}}}", "{models: {m: {provider: openai, model: x, env: {}}}, agents: {r: {}}}"],
)
def test_env_of_version_1_is_refused_in_every_version(text: str) -> None:
    refused(text, "no longer accepted: set variables with --env-from-file")


# -- what must fit together ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("agents: {}", "at least one agent"),
        ("agents:", "agents is missing"),
        ("models: {}", "agents is missing"),
        ("[1]", "expected a mapping, got a list"),
        ("hello", "expected a mapping, got the text 'hello'"),
        ("agents: {root: {model: fats}}\nmodels: {fast: {provider: openai, model: x}}", "did you mean 'fast'"),
        ("agents: {root: {model: 'auto, nope'}}", "'nope' is neither in `models`"),
        ("agents: {root: {fallback: {models: [x/y]}}}", "unknown provider 'x'"),
        ("agents: {root: {fallback: {retries: -2}}}", "at least -1"),
        ("agents: {root: {fallback: {cooldown: soon}}}", "a duration such as"),
        ("agents: {root: {handoffs: [x]}}", "agent 'root' references non-existent handoff 'x'"),
        ("agents: {root: {toolsets: [{type: mcp}]}}", "exactly one of command, remote and ref, has none"),
        ("agents: {root: {toolsets: [{type: mcp, command: a, ref: docker:b}]}}", "has command and ref"),
        ("agents: {root: {toolsets: [{type: mcp, ref: x}]}}", "'x' is not in `mcps`"),
        ("{mcps: {x: {ref: y}}, agents: {root: {}}}", "ref must start with 'docker:'"),
        ("agents: {root: {toolsets: [{type: lsp}]}}", "a toolset of type 'lsp' needs command"),
        ("agents: {root: {toolsets: [{type: think, shared: true}]}}", "shared can only be used with type 'todo'"),
        ("agents: {root: {toolsets: [{type: todo, args: []}]}}", "args can only be used with type 'mcp' or 'lsp'"),
        (
            "agents: {root: {toolsets: [{type: script, shell: {t: {cmd: 'x $nam', args: {name: {}}}}}]}}",
            "tool 't' uses undefined args: ['nam']",
        ),
        (
            "agents: {root: {toolsets: [{type: script, shell: {t: {cmd: x, args: {a: {}}, required: [b]}}}]}}",
            "requires 'b', which is not in its args",
        ),
        ("agents: {root: {toolsets: [{type: api, api_config: {name: a, endpoint: ftp://x, method: GET}}]}}", "http(s)"),
        ("agents: {root: {commands: [{a: x, b: y}]}}", "a command of a list has one name, this 2"),
        ("agents: {root: {commands: {a: {agent: b}}}}", "'b' is not in `agents`"),
        ("agents: {root: {use_commands: [x]}}", "'x' is not in `commands`"),
        ("agents: {root: {budgets: [x]}}", "'x' is not in `budgets`"),
        ("agents: {root: {force_handoff: root}}", "force_handoff never ends: root → root"),
        ("agents: {root: {instruction: a, instruction_file: b}}", "exclude each other"),
        ("agents: {root: {hooks: {stop: [{type: command}]}}}", "a hook of type 'command' needs command"),
        ("agents: {root: {hooks: {stop: {type: build}}}}", "did you mean 'builtin'"),
        ("agents: {' ': {}}", "the name of an agent must not be empty"),
        (
            "{models: {m: {first_available: [auto], model: x}}, agents: {root: {}}}",
            "can't stand beside first_available",
        ),
        ("{models: {m: {first_available: [m]}}, agents: {root: {}}}", "leads back to itself"),
        ("{models: {m: {model: x}}, agents: {root: {}}}", "provider is missing"),
        ("{models: {m: {provider: opnai, model: x}}, agents: {root: {}}}", "did you mean 'openai'"),
        (
            "{models: {a: {provider: openai, model: x, routing: [{model: a, examples: [y]}]}}, agents: {root: {}}}",
            "which has routing itself",
        ),
        ("{providers: {lab: {token_key: KEY}}, agents: {root: {}}}", "base_url is missing"),
        ("{permissions: {alow: [x]}, agents: {root: {}}}", "did you mean 'allow'"),
    ],
)
def test_what_does_not_fit_together_is_refused(text: str, words: str) -> None:
    refused(text, words)


def test_an_entry_that_is_bad_does_not_move_the_places_of_the_others() -> None:
    text = "agents:\n  root:\n    toolsets:\n      - type: shel\n      - type: mcp\n        ref: nowhere\n"
    refused(text, "x.yaml:4:15", "x.yaml:6:14: agents.root.toolsets[1].ref")


# -- what it becomes ----------------------------------------------------------------------------


def test_an_agent_has_what_its_file_says() -> None:
    loaded = team(
        """\
agents:
  helper:
  root:
    model: anthropic/claude-sonnet-4-5
    description: d
    instruction: "i ${env.X}"
    welcome_message: w
    add_date: true
    add_environment_info: true
    add_prompt_files: [AGENTS.md]
    max_iterations: 7
    num_history_items: 3
    add_description_parameter: true
    toolsets:
      - {type: filesystem, tools: [read_file], instruction: x, ignore_vcs: false, deny_list: [~/.ssh]}
      - {type: shell, env: {PORT: 8080, RATE: 1.10, ON: true}}
      - {type: webhook, webhook_config: {url: https://x.example}}
    commands:
      plan: Write a plan
      fix: {description: Repair, instruction: Repair it}
permissions: {allow: ["read_*"], ask: [fetch], deny: ["shell:cmd=sudo*"]}
"""
    )
    assert [agent.name for agent in loaded.agents] == ["helper", "root"]
    assert loaded.default.name == "root"
    assert loaded.agent("helper").model == "auto"
    root = loaded.default
    assert (root.description, root.instruction, root.welcome) == ("d", "i ${env.X}", "w")
    assert (root.add_date, root.add_environment_info, root.add_description_parameter) == (True, True, True)
    assert (root.add_prompt_files, root.max_iterations, root.num_history_items) == (("AGENTS.md",), 7, 3)
    files, shell = root.toolsets
    assert (files.tools, files.instruction) == (("read_file",), "x")
    assert files.options == {"ignore_vcs": False, "deny_list": ["~/.ssh"]}
    assert shell.options == {"env": {"PORT": "8080", "RATE": "1.10", "ON": "true"}}
    assert root.commands == (Command("plan", "Write a plan", "Write a plan"), Command("fix", "Repair", "Repair it"))
    assert loaded.permissions == Permissions(("read_*",), ("fetch",), ("shell:cmd=sudo*",))
    assert loaded.warnings == (
        "x.yaml:17:10: agents.root.toolsets[2]: toolset type 'webhook' is not supported yet and is left out",
    )


def work(text: str) -> int:
    """How many calls it takes to read a file; whatever is wrong with it is told in little room."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        team(text)
    except AgentBroken as error:
        assert len(error.message) < 100_000
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    "lines",
    [
        lambda n: ["agents: {root: {}}", *(f"instruction{i}: 1" for i in range(n))],
        lambda n: ["agents:", *(f"  agent{i}: {{force_handoff: agent{i + 1}}}" for i in range(n)), f"  agent{n}: {{}}"],
        lambda n: ["agents:", *(f"  agent{i}: {{sub_agents: [agnt{i}]}}" for i in range(n))],
        lambda n: [
            "agents: {root: {}}",
            "models:",
            f"  m{n}: {{provider: openai, model: x}}",
            *(f"  m{i}: {{first_available: [m{i + 1}]}}" for i in range(n)),
        ],
    ],
    ids=["keys", "chain", "names", "selectors"],
)
def test_a_file_twice_as_long_is_twice_the_work(lines: Callable[[int], list[str]]) -> None:
    few, many = (work("\n".join(lines(n)) + "\n") for n in (250, 500))
    assert many < 2.5 * few


def test_a_ring_of_handoffs_is_named_once() -> None:
    text = "agents: {a: {force_handoff: b}, b: {force_handoff: c}, c: {force_handoff: b}}"
    refused(text, "agents.b: force_handoff never ends: b → c → b")


def test_readonly_holds_for_one_toolset_or_for_all_of_an_agent() -> None:
    loaded = team(
        "agents: {a: {toolsets: [{type: shell}, {type: file, readonly: true}]},"
        " b: {readonly: true, toolsets: [{type: shell}, {type: todo, shared: true}]}}"
    )
    assert [toolset.options for toolset in loaded.agents[0].toolsets] == [{}, {"readonly": True}]
    assert [toolset.options for toolset in loaded.agents[1].toolsets] == [
        {"readonly": True},
        {"shared": True, "readonly": True},
    ]


def test_without_root_the_first_agent_is_the_default() -> None:
    assert team("agents: {b: {}, a: {}}").default.name == "b"


def test_groups_are_put_where_they_are_used() -> None:
    loaded = team(
        """\
toolsets:
  base: [{type: think}, {type: todo}]
  one: {type: shell}
commands:
  shared: [{plan: Plan}, {fix: Theirs}]
agents:
  root:
    use_toolsets: [base, one]
    use_commands: [shared]
    toolsets: [{type: filesystem}]
    commands: {fix: Mine}
"""
    )
    assert [toolset.type for toolset in loaded.default.toolsets] == ["filesystem", "think", "todo", "shell"]
    assert [(command.name, command.instruction) for command in loaded.default.commands] == [
        ("plan", "Plan"),
        ("fix", "Mine"),
    ]


def test_models_inherit_from_their_provider() -> None:
    loaded = team(
        """\
providers:
  lab:
    base_url: http://127.0.0.1:9000/v1
    token_key: LAB_KEY
    temperature: 0.3
    max_tokens: 100
    provider_opts: {http_headers: {X-A: a}, top_k: 1, context_size: 8192}
  claude: {provider: anthropic, token_key: MY_KEY}
  newer: {base_url: https://x.example/v1, api_type: openai_responses, headers: {X-B: "${B}"}}
models:
  coder: {provider: lab, model: qwen3, max_tokens: 5, provider_opts: {top_k: 2}}
  sonnet: {provider: claude, model: claude-sonnet-4-5, thinking_budget: high}
  gpt: {provider: openai, model: gpt-5-mini}
  chat: {provider: openai, model: gpt-4o, cost: {input: 1, output: 2}, capabilities: {image: false}}
  proxied: {provider: openai, model: gpt-5, base_url: "${env.PROXY}"}
  mixed: {model: "gpt, chat"}
  first: {first_available: [coder, gpt]}
  gemini: {provider: google, model: gemini-2.5-flash}
  login: {provider: chatgpt, model: x}
agents:
  root: {model: "lab/other, coder"}
  two: {model: newer/x}
"""
    )
    coder = loaded.models["coder"]
    assert (coder.base_url, coder.token_key, coder.dialect) == ("http://127.0.0.1:9000/v1", "LAB_KEY", "openai-chat")
    assert (coder.temperature, coder.max_tokens, coder.context_limit) == (0.3, 5, 8192)
    assert coder.headers == {"X-A": "a"}
    assert coder.options["top_k"] == 2
    sonnet = loaded.models["sonnet"]
    assert (sonnet.dialect, sonnet.base_url, sonnet.token_key) == ("anthropic", "https://api.anthropic.com", "MY_KEY")
    assert sonnet.thinking_budget == "high"
    gpt = loaded.models["gpt"]
    assert (gpt.dialect, gpt.token_key, gpt.base_url) == (
        "openai-responses",
        "OPENAI_API_KEY",
        "https://api.openai.com/v1",
    )
    chat = loaded.models["chat"]
    assert (chat.dialect, chat.price, chat.images) == ("openai-chat", Price(1.0, 2.0, 0.0, 0.0), False)
    assert loaded.models["proxied"].dialect == "openai-chat"
    assert loaded.models["mixed"].dialect == "auto"
    assert msgspec.structs.replace(loaded.models["first"], name="coder", candidates=()) == coder
    assert loaded.models["first"].candidates == ("coder", "gpt")
    assert loaded.models["gemini"].dialect == "google"
    assert loaded.models["lab/other"].base_url == "http://127.0.0.1:9000/v1"
    assert loaded.models["newer/x"].dialect == "openai-responses"
    assert loaded.models["newer/x"].token_key == ""
    assert loaded.models["newer/x"].headers == {"X-B": "${B}"}
    assert loaded.providers["lab"].token_key == "LAB_KEY"
    assert any("provider 'chatgpt' is not supported yet" in line for line in loaded.warnings)


# -- what clients are shown ---------------------------------------------------------------------


def test_clients_are_shown_the_file_after_defaults_in_the_order_of_the_api() -> None:
    loaded = team(
        """\
version: "5"
metadata: {author: qa}
models:
  fast: {model: gpt-4o-mini, provider: openai}
agents:
  root:
    instruction: Review carefully.
    description: Reviews pull requests
    model: fast
    toolsets: [{type: filesystem}]
    sub_agents: [linter]
    commands: {fix-lint: {instruction: Fix what the linter reports, description: Fix lint}}
  linter: {model: fast, description: Runs linters, instruction: Lint.}
"""
    )
    assert msgspec.json.encode(loaded.config).decode() == (
        '{"version":"5","agents":[{"Name":"root","model":"fast","description":"Reviews pull requests",'
        '"toolsets":[{"type":"filesystem","defer":{},"remote":{"url":""},"api_config":{}}],'
        '"instruction":"Review carefully.","sub_agents":["linter"],'
        '"commands":{"fix-lint":{"description":"Fix lint","instruction":"Fix what the linter reports"}}},'
        '{"Name":"linter","model":"fast","description":"Runs linters","instruction":"Lint."}],'
        '"models":{"fast":{"provider":"openai","model":"gpt-4o-mini","parallel_tool_calls":true}},'
        '"metadata":{"author":"qa"}}'
    )


def test_metadata_stands_there_also_when_there_is_none() -> None:
    assert team("agents: {root: {model: auto}}").config == {
        "agents": [{"Name": "root", "model": "auto"}],
        "metadata": {},
    }


def test_metadata_takes_any_key_with_a_warning() -> None:
    loaded = team("{metadata: {name: x, version: 1.10}, agents: {root: {}}}")
    assert loaded.config["metadata"] == {"version": "1.10"}
    assert "unknown key 'name' in metadata is ignored" in loaded.warnings[0]


def test_secrets_are_not_shown() -> None:
    loaded = team(
        """\
models:
  m: {provider: openai, model: x, provider_opts: {http_headers: {A: hunter2}}}
agents:
  root:
    toolsets:
      - type: shell
        env: {A: hunter2, B: "${env.B}", C: $C, D: "${D}", E: "a${env.E}", F: 5}
      - type: mcp
        remote:
          url: https://x.example
          headers: {Authorization: "Bearer ${env.T}", X: "Bearer hunter2"}
          oauth: {clientId: me, clientSecret: hunter2}
"""
    )
    shell, mcp = loaded.config["agents"][0]["toolsets"]
    assert shell["env"] == {"A": "***", "B": "${env.B}", "C": "$C", "D": "${D}", "E": "***", "F": "***"}
    assert mcp["remote"]["headers"] == {"Authorization": "Bearer ${env.T}", "X": "***"}
    assert mcp["remote"]["oauth"] == {"clientId": "me", "clientSecret": "***"}
    assert "hunter2" not in str(loaded.config)
    assert loaded.models["m"].headers == {"A": "hunter2"}
    assert loaded.default.toolsets[0].options["env"]["A"] == "hunter2"


def test_groups_servers_and_hooks_are_shown_in_order_and_without_secrets() -> None:
    loaded = team(
        """\
mcps:
  time: {env: {KEY: hunter2}, args: [x], command: time-server}
toolsets:
  web: [{url: https://x.example, headers: {Authorization: hunter2}, type: openapi}]
  one: {webhook_config: {url: https://hooks.example/hunter2, provider: slack}, type: webhook}
models:
  m: {model: x, provider: openai, task_budget: 5, routing: [{examples: [a], model: auto}]}
budgets: {small: {max_tokens: 5, max_cost: 1}}
agents:
  root:
    hooks: {stop: [{command: x, type: command, env: {KEY: hunter2}}], pre_tool_use: [{hooks: [], matcher: a}]}
    structured_output: {schema: {type: object}, name: n}
    fallback: {retries: 1, models: [m]}
    force_handoff: other
    code_mode_tools: true
  other: {}
"""
    )
    assert "hunter2" not in str(loaded.config)
    assert json.dumps(loaded.config) == json.dumps(
        {
            "agents": [
                {
                    "Name": "root",
                    "fallback": {"models": ["m"], "retries": 1},
                    "code_mode_tools": True,
                    "structured_output": {"name": "n", "schema": {"type": "object"}},
                    "hooks": {
                        "pre_tool_use": [{"matcher": "a", "hooks": []}],
                        "stop": [{"type": "command", "command": "x", "env": {"KEY": "***"}}],
                    },
                    "force_handoff": "other",
                },
                {"Name": "other"},
            ],
            "models": {
                "m": {
                    "provider": "openai",
                    "model": "x",
                    "parallel_tool_calls": True,
                    "routing": [{"model": "auto", "examples": ["a"]}],
                    "task_budget": 5,
                }
            },
            "mcps": {"time": {"command": "time-server", "args": ["x"], "env": {"KEY": "***"}}},
            "metadata": {},
            "toolsets": {
                "web": [{"type": "openapi", "url": "https://x.example", "headers": {"Authorization": "***"}}],
                "one": {"type": "webhook", "webhook_config": {"provider": "slack", "url": "***"}},
            },
            "budgets": {"small": {"max_cost": 1, "max_tokens": 5}},
        }
    )
    assert loaded.raw.startswith(b"mcps:")


# -- files that ship ----------------------------------------------------------------------------


def test_the_default_agent() -> None:
    path = ROOT / "src/roost/config/default.yaml"
    loaded = load("default", path.read_bytes(), name=path.name)
    assert loaded.warnings == ()
    assert [agent.name for agent in loaded.agents] == ["root"]
    assert loaded.default.model == "auto"
    types = [toolset.type for toolset in loaded.default.toolsets]
    assert types == ["filesystem", "shell", "think", "todo", "user_prompt"]
    assert loaded.default.description
    assert loaded.default.instruction


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_load_without_a_warning(path: Path) -> None:
    assert load(path.stem, path.read_bytes(), name=path.name).warnings == ()


# -- agents that a CLI plays --------------------------------------------------------------------


def test_a_harness_is_what_the_file_says() -> None:
    one = team(
        """\
agents:
  root:
    harness:
      type: claude-code
      model: opus
      effort: high
      agent: reviewer
      env: {KEY: "${env.KEY}"}
      add_dirs: [../lib]
      roost_tools: true
"""
    )
    assert one.agents[0].harness == Harness(
        "claude", "opus", "high", "reviewer", {"KEY": "${env.KEY}"}, ("../lib",), True
    )
    assert not one.warnings
    assert one.config["agents"][0]["harness"]["type"] == "claude-code"
    assert team("agents: {root: {model: auto}}").agents[0].harness is None


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("{harness: {type: pi}}", "'pi' is no agent CLI that Roost knows"),
        ("{harness: {type: claude-cod}}", "claude-code"),
        ("{harness: {type: gemini, effort: high}}", "effort can't be told to gemini"),
        ("{harness: {type: codex, agent: x}}", "agent can't be told to codex"),
        ("{harness: {type: codex}, toolsets: [{type: think}]}", "toolsets are ignored: codex has tools of its own"),
        ("{harness: {type: codex}, model: auto}", "model is ignored: codex plays this agent"),
        ("{harness: {type: codex, thinking: true}}", "thinking is not supported yet"),
        (
            "{harness: {type: codex}, hooks: {session_start: {type: command, command: x}}}",
            "hooks.session_start is ignored: codex plays this agent",
        ),
    ],
)
def test_what_a_harness_makes_vain_is_said(agent: str, words: str) -> None:
    loaded = team(f"agents: {{root: {agent}}}")
    (warning,) = loaded.warnings
    assert words in warning
    assert not loaded.agents[0].toolsets


def test_a_harness_that_can_not_be() -> None:
    refused("agents: {root: {harness: {model: x}}}", "type")
    refused("agents: {root: {harness: {type: ../x}}}", "the name of an agent CLI")
    refused("agents: {root: {harness: {type: codex, effort: huge}}}", "'huge' is none of")
    refused('{version: "7", agents: {root: {harness: {type: codex}}}}', "needs version 9")
    guard = "{pre_tool_use: [{hooks: [{type: command, command: x}]}]}"
    refused(f"agents: {{root: {{harness: {{type: codex}}, hooks: {guard}}}}}", "would guard nothing")
