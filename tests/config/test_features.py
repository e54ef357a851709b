"""Each way in which the original's examples use agent files: it loads, says nothing, and becomes what is meant."""

from collections.abc import Callable

import pytest

from roost.config.agentfile import load
from roost.core.agents import Team
from roost.core.events import Permissions

Check = Callable[[Team], bool]

ONE = "agents:\n  root:\n    model: anthropic/claude-sonnet-4-5\n    description: d\n    instruction: i\n"


def tools(*entries: str) -> str:
    return ONE + "    toolsets:\n" + "".join(f"      - {entry}\n" for entry in entries)


def types(team: Team) -> list[str]:
    return [spec.type for spec in team.default.toolsets]


FEATURES: dict[str, tuple[str, Check]] = {
    "42: a prompt, and nothing else": (ONE, lambda team: types(team) == []),
    "airbnb: the date, and a server of Docker's catalogue": (
        tools("{type: mcp, ref: docker:openbnb-airbnb}") + "    add_date: true\n",
        lambda team: team.default.add_date and team.default.toolsets[0].options["ref"] == "docker:openbnb-airbnb",
    ),
    "alloy": (
        "agents: {root: {model: 'anthropic/claude-sonnet-4-0,openai/gpt-5-mini', description: d, instruction: i}}",
        lambda team: team.default.model == "anthropic/claude-sonnet-4-0,openai/gpt-5-mini",
    ),
    "api-tool": (
        """\
agents:
  root:
    model: google/gemini-2.5-flash
    description: d
    welcome_message: Hello
    instruction: i
    commands: {load: "Load ${args[0]}"}
    toolsets:
      - type: api
        api_config:
          name: joke
          method: GET
          endpoint: "https://x.example/jokes/${kind}?x=${n}"
          instruction: Use it for jokes
          args: {kind: {type: string, description: d}, n: {type: integer}}
          required: [kind]
          headers: {Accept: application/json}
""",
        lambda team: team.default.toolsets[0].options["api_config"]["required"] == ["kind"],
    ),
    "background_agents": (
        """\
agents:
  root:
    model: anthropic/claude-sonnet-4-5
    sub_agents: [finder, writer]
    toolsets: [{type: think}, {type: background_agents}]
  finder: {model: openai/gpt-5-mini, description: Finds, toolsets: [{type: mcp, ref: docker:duckduckgo}]}
  writer: {model: openai/gpt-5-mini, description: Writes, toolsets: [{type: filesystem}, {type: shell}]}
""",
        lambda team: (
            types(team) == ["think", "background_agents", "transfer_task"]
            and [spec.options.get("agents") for spec in team.default.toolsets]
            == [
                None,
                *[[{"name": "finder", "description": "Finds"}, {"name": "writer", "description": "Writes"}]] * 2,
            ]
        ),
    ),
    "bio: two servers beside each other": (
        tools("{type: todo}", "{type: mcp, ref: docker:duckduckgo}", "{type: mcp, ref: docker:fetch}"),
        lambda team: types(team) == ["todo", "mcp", "mcp"],
    ),
    "code_mode": (
        tools("{type: mcp, ref: docker:github-official}") + "    code_mode_tools: true\n    commands: {demo: Go}\n",
        lambda team: team.default.code_mode,
    ),
    "couchbase_agent": (
        tools("{type: mcp, ref: docker:couchbase, config: {a: b}}") + "    add_environment_info: true\n",
        lambda team: team.default.toolsets[0].options["config"] == {"a": "b"},
    ),
    "custom_provider": (
        """\
providers:
  my_gateway: {api_type: openai_chatcompletions, base_url: https://gw.example/v1, token_key: GW_KEY}
  responses_provider: {api_type: openai_responses, base_url: https://rs.example/v1, token_key: RS_KEY}
models:
  named: {provider: my_gateway, model: gpt-4o, max_tokens: 32768}
agents:
  root: {model: named, sub_agents: [other]}
  other: {model: responses_provider/gpt-5, description: d}
""",
        lambda team: (
            team.models["named"].dialect == "openai-chat"
            and team.models["responses_provider/gpt-5"].dialect == "openai-responses"
        ),
    ),
    "deferred": (
        tools("{type: filesystem, defer: true}", "{type: shell, defer: [shell]}"),
        lambda team: [spec.defer for spec in team.default.toolsets] == [True, ("shell",)],
    ),
    "dev-team": (
        """\
agents:
  root: {model: anthropic/claude-sonnet-4-5, sub_agents: [designer, engineer], toolsets: [{type: think}]}
  designer: {model: anthropic/claude-sonnet-4-5, description: d, toolsets: [{type: memory, path: dev.db}]}
  engineer: {model: anthropic/claude-sonnet-4-5, description: d, toolsets: [{type: mcp, ref: docker:context7}]}
""",
        lambda team: team.agents[1].toolsets[0].options == {"path": "dev.db"},
    ),
    "dmr": (
        """\
models:
  qwen: {provider: openai, model: ai/qwen3, max_tokens: 16384, provider_opts: {runtime_flags: ["--ngl=33"]}}
agents: {root: {model: qwen, instruction: i, commands: {demo: Go}}}
""",
        lambda team: team.models["qwen"].options == {"runtime_flags": ["--ngl=33"]},
    ),
    "echo-agent, mem: a page of the registry": (
        "{metadata: {author: a, license: MIT, description: d, readme: r, version: 1.10}, agents: {root: {}}}",
        lambda team: team.config["metadata"]["version"] == "1.10",
    ),
    "env_placeholders": (
        tools("{type: filesystem}", "{type: shell}")
        + "    commands:\n      hi: {description: 'For ${env.USER}', instruction: 'Greet ${env.USER || \"you\"}'}\n",
        lambda team: (
            team.default.commands[0].description == "For ada"
            and team.default.commands[0].instruction == 'Greet ${env.USER || "you"}'
        ),
    ),
    "fallback_models": (
        """\
models: {first: {provider: anthropic, model: claude-sonnet-4-5}}
agents:
  root: {model: first, fallback: {models: [openai/gpt-4o, first], retries: 1, cooldown: 2m}, toolsets: [{type: think}]}
""",
        lambda team: (
            (team.default.fallback.models, team.default.fallback.retries, team.default.fallback.cooldown)
            == (("openai/gpt-4o", "first"), 1, 120.0)
        ),
    ),
    "fetch_docker": (tools("{type: fetch, timeout: 10}"), lambda team: types(team) == ["fetch"]),
    "github-toon": (
        tools("{type: mcp, ref: docker:github-official, toon: 'list_.*,search_.*'}"),
        lambda team: team.default.toolsets[0].toon == ("list_.*", "search_.*"),
    ),
    "github: own guidance": (
        tools('{type: mcp, ref: docker:github-official, instruction: "Care. {ORIGINAL_INSTRUCTIONS}"}'),
        lambda team: team.default.toolsets[0].instruction == "Care. {ORIGINAL_INSTRUCTIONS}",
    ),
    "go_packages, script_shell": (
        """\
agents:
  root:
    model: openai/gpt-5-mini
    toolsets:
      - type: script
        shell:
          version:
            cmd: "curl -s https://x.example/$package/@latest"
            description: Newest version
            args: {package: {type: string, description: Its name}}
            required: [package]
          docker_images: {cmd: docker images, working_dir: ., env: {A: b}}
""",
        lambda team: list(team.default.toolsets[0].options["shell"]) == ["version", "docker_images"],
    ),
    "gopher": (
        """\
permissions: {allow: [read_file], deny: ["shell:cmd=sudo*"]}
agents:
  root:
    model: anthropic/claude-sonnet-4-5
    description: d
    instruction: i
    add_date: true
    add_environment_info: true
    add_prompt_files: [AGENTS.md]
    sub_agents: [librarian]
    skills: true
    commands: {fix: {description: Repair, instruction: "${shell({cmd: 'make'})}"}}
    toolsets: [{type: filesystem}, {type: shell}, {type: todo}, {type: user_prompt}]
  librarian:
    model: google/gemini-2.5-flash
    description: d
    toolsets:
      - {type: mcp, ref: docker:context7}
      - {type: mcp, ref: docker:brave, env: {BRAVE_API_KEY: $BRAVE_API_KEY}}
      - type: fetch
""",
        lambda team: (
            types(team)[-2:] == ["skills", "transfer_task"]
            and team.default.toolsets[-2].options == {"sources": ["local"], "names": [], "inline": []}
            and team.permissions == Permissions(("read_file",), (), ("shell:cmd=sudo*",))
        ),
    ),
    "grok, mistral, nebius: other providers": (
        "agents: {a: {model: xai/grok-4}, b: {model: mistral/m}, c: {model: nebius/moonshotai/Kimi-K2}}",
        lambda team: team.agents[2].model == "nebius/moonshotai/Kimi-K2",
    ),
    "ha, moby: a server behind an address": (
        tools("{type: mcp, remote: {url: '${env.HA}', transport_type: streamable, headers: {A: 'Bearer ${env.T}'}}}"),
        lambda team: team.default.toolsets[0].options["remote"]["url"] == "${env.HA}",
    ),
    "notion-expert: over SSE": (
        tools("{type: mcp, remote: {url: https://x.example/sse, transport_type: sse}}"),
        lambda team: team.default.toolsets[0].options["remote"]["transport_type"] == "sse",
    ),
    "handoff": (
        """\
agents:
  root: {model: openai/gpt-5-mini, handoffs: [search, files]}
  search: {model: anthropic/claude-haiku-4-5, description: s, handoffs: [root], toolsets: [{type: mcp, ref: docker:a}]}
  files: {model: openai/gpt-5-mini, description: f, handoffs: [root, search], toolsets: [{type: filesystem}]}
""",
        lambda team: (
            team.agents[2].toolsets[1].options
            == {"agents": [{"name": "root", "description": ""}, {"name": "search", "description": "s"}]}
        ),
    ),
    "hooks": (
        tools("{type: shell}")
        + """\
    hooks:
      pre_tool_use:
        - matcher: "shell|edit_file"
          hooks: [{type: command, command: ./guard.sh, timeout: 30}]
      post_tool_use: [{matcher: "*", hooks: [{type: command, command: ./log.sh}]}]
      session_start: [{type: command, command: date}]
      session_end: [{type: command, command: date}]
""",
        lambda team: list(team.default.hooks) == ["pre_tool_use", "post_tool_use", "session_start", "session_end"],
    ),
    "k8s_debugger": (
        tools(
            "{type: mcp, ref: docker:inspektor-gadget, config: {kubeconfig: /k, gadgets: [a, b]}}",
            "{type: mcp, ref: docker:kubernetes, config: {config_path: /k}, tools: [kubectl_get, kubectl_logs]}",
            "{type: memory, path: ./k8s.db}",
        ),
        lambda team: team.default.toolsets[1].tools == ("kubectl_get", "kubectl_logs"),
    ),
    "mcp-definitions": (
        """\
mcps:
  github: {remote: {url: https://x.example/mcp, transport_type: streamable}, env: {A: a}}
  context7: {ref: docker:context7}
agents:
  root: {model: anthropic/claude-sonnet-4-5, sub_agents: [dev], toolsets: [{type: mcp, ref: context7}]}
  dev: {model: anthropic/claude-sonnet-4-5, toolsets: [{type: mcp, ref: github, tools: [get_me], env: {B: b}}]}
""",
        lambda team: (
            team.default.toolsets[0].options == {"ref": "docker:context7"}
            and team.agents[1].toolsets[0].tools == ("get_me",)
            and team.agents[1].toolsets[0].options["env"] == {"A": "a", "B": "b"}
        ),
    ),
    "mcp-toolkit: a program that speaks MCP": (
        tools("{type: mcp, command: docker, args: [mcp, gateway, run]}", "{type: user_prompt}"),
        lambda team: team.default.toolsets[0].options == {"command": "docker", "args": ["mcp", "gateway", "run"]},
    ),
    "model_picker": (
        tools("{type: model_picker, models: [google/gemini-2.5-flash, openai/gpt-5], instruction: Choose well}"),
        lambda team: team.default.toolsets[0].options["models"] == ["google/gemini-2.5-flash", "openai/gpt-5"],
    ),
    "openapi-petstore": (
        tools('{type: openapi, url: "https://x.example/openapi.json", headers: {A: "${env.T}"}}'),
        lambda team: types(team) == ["openapi"],
    ),
    "per_tool_model_routing": (
        tools("{type: filesystem, model: openai/gpt-5-mini}", "{type: shell, model: fast}")
        + "models: {fast: {provider: anthropic, model: claude-haiku-4-5}}\n",
        lambda team: [spec.model for spec in team.default.toolsets] == ["openai/gpt-5-mini", "fast"],
    ),
    "pirate": ("agents: {root: {model: auto, welcome_message: Ahoy}}", lambda team: team.default.welcome == "Ahoy"),
    "podcastgenerator_githubmodel": (
        """\
models: {m: {provider: openai, model: openai/gpt-4.1, base_url: https://m.example/inference, token_key: GITHUB_TOKEN}}
agents: {root: {model: m, sub_agents: [w], toolsets: [{type: mcp, command: docker, args: [mcp]}]}, w: {model: m}}
""",
        lambda team: (team.models["m"].token_key, team.models["m"].dialect) == ("GITHUB_TOKEN", "openai-chat"),
    ),
    "post_edit": (
        tools('{type: filesystem, post_edit: [{path: "*.go", cmd: "gofmt -w $path"}]}'),
        lambda team: team.default.toolsets[0].options["post_edit"] == [{"path": "*.go", "cmd": "gofmt -w $path"}],
    ),
    "pr-reviewer-bedrock": (
        """\
models:
  big:
    provider: amazon-bedrock
    model: m
    thinking_budget: 8192
    provider_opts: {region: eu-west-1, interleaved_thinking: true}
agents: {root: {model: big, sub_agents: [a, b], toolsets: [{type: shell}]}, a: {model: big}, b: {model: big}}
""",
        lambda team: team.models["big"].options["region"] == "eu-west-1" and team.models["big"].thinking_budget == 8192,
    ),
    "rag, rag/bm25, rag/hybrid: the key of before version 8": (
        """\
rag:
  code:
    docs: [./src]
    strategies:
      - {type: bm25, database: ./bm25.db, k1: 1.5, b: 0.75, threshold: 0.3, limit: 10, chunking: {size: 500}}
      - type: chunked-embeddings
        docs: [./more]
        embedding_model: openai/text-embedding-3-small
        vector_dimensions: 1536
        similarity_metric: cosine_similarity
    results: {fusion: {strategy: rrf, k: 60}, deduplicate: true, limit: 5}
agents: {root: {model: openai/gpt-5-mini, rag: [code]}}
""",
        lambda team: (
            types(team) == ["rag"]
            and team.default.toolsets[0].name == "code"
            and [strategy["type"] for strategy in team.default.toolsets[0].options["strategies"]]
            == ["bm25", "chunked-embeddings"]
        ),
    ),
    "rule_based_routing": (
        """\
models:
  chooser:
    provider: anthropic
    model: claude-haiku-4-5
    routing:
      - {model: big, examples: [Prove this, Design that]}
      - {model: anthropic/claude-haiku-4-5, examples: [Hello]}
  big: {provider: anthropic, model: claude-opus-4-5}
agents: {root: {model: chooser}}
""",
        lambda team: (
            [(route.model, route.examples) for route in team.models["chooser"].routing]
            == [("big", ("Prove this", "Design that")), ("anthropic/claude-haiku-4-5", ("Hello",))]
        ),
    ),
    "search": (
        tools("{type: fetch}", "{type: mcp, ref: docker:brave, env: {BRAVE_API_KEY: '${env.BRAVE_API_KEY}'}}"),
        lambda team: types(team) == ["fetch", "mcp"],
    ),
    "shared-todo": (
        """\
agents:
  root: {model: openai/gpt-5-mini, sub_agents: [a], toolsets: [{type: todo, shared: true}]}
  a: {model: openai/gpt-5-mini, toolsets: [{type: todo, shared: true}]}
""",
        lambda team: team.agents[1].toolsets[0].options == {"shared": True},
    ),
    "structured-output": (
        """\
agents:
  root:
    model: openai/gpt-5-mini
    commands: {ok: Yes or no?}
    structured_output:
      name: verdict
      description: Final
      strict: true
      schema: {type: object, properties: {ok: {type: boolean}}, required: [ok], additionalProperties: false}
""",
        lambda team: team.default.structured_output is not None and team.default.structured_output.strict,
    ),
    "sub-agents-from-catalog": (
        "agents: {root: {model: openai/gpt-5-mini, sub_agents: [a, agentcatalog/pirate]}, a: {}}",
        lambda team: team.default.sub_agents == ("a", "pirate") and team.externals == {"pirate": "agentcatalog/pirate"},
    ),
    "thinking_budget": (
        """\
models:
  a: {provider: anthropic, model: x, thinking_budget: 16384, provider_opts: {interleaved_thinking: true}}
  b: {provider: google, model: gemini-2.5-flash, thinking_budget: -1}
  c: {provider: openai, model: gpt-5-mini, thinking_budget: minimal}
  d: {provider: anthropic, model: claude-opus-5, thinking_budget: adaptive/high}
agents: {root: {model: a, commands: {hi: Hi}}, b: {model: b}, c: {model: c}, d: {model: d}}
""",
        lambda team: [spec.thinking_budget for spec in team.models.values()] == [16384, -1, "minimal", "adaptive/high"],
    ),
    "tic-tac-toe": (
        """\
metadata: {readme: Plays}
agents:
  root:
    model: anthropic/claude-sonnet-4-5
    add_environment_info: true
    toolsets: [{type: a2a, url: "http://127.0.0.1:9090", name: other}, {type: shell}, {type: filesystem}]
""",
        lambda team: (
            (team.default.toolsets[0].name, team.default.toolsets[0].options)
            == ("other", {"url": "http://127.0.0.1:9090"})
        ),
    ),
    "typo": (
        tools("{type: filesystem, tools: [read_file, edit_file]}") + "    commands: [{fix: Fix}, {check: Check}]\n",
        lambda team: [command.name for command in team.default.commands] == ["fix", "check"],
    ),
    # -- newer ones
    "bypass_models_gateway, capability-overrides, task_budget": (
        """\
models:
  m:
    provider: anthropic
    model: x
    bypass_models_gateway: true
    capabilities: {image: true, pdf: false}
    task_budget: {type: tokens, total: 9000}
  n: {provider: anthropic, model: y, task_budget: 7000, title_model: m, compaction_model: m, compaction_threshold: 0.5}
agents: {root: {model: m}}
""",
        lambda team: (
            (team.models["m"].bypass_gateway, team.models["m"].images, team.models["m"].pdf) == (True, True, False)
            and [spec.task_budget for spec in team.models.values()] == [9000, 7000]
            and (team.models["n"].title_model, team.models["n"].compaction_model) == ("m", "m")
            and team.models["n"].compaction_threshold == 0.5
        ),
    ),
    "context_hooks, hooks_session_lifecycle, hooks_stop, hooks_notification, redact_secrets_hooks": (
        """\
agents:
  root:
    model: auto
    redact_secrets: false
    hooks:
      turn_start: {type: builtin, command: add_git_status}
      session_start: [{type: builtin, command: add_recent_commits, args: ["5"]}]
      stop: [{type: command, command: ./again.sh}]
      notification: [{type: command, command: ./tell.sh, on_error: ignore}]
      pre_tool_use: [{hooks: [{type: builtin, command: redact_secrets}]}]
""",
        lambda team: not team.default.redact_secrets and team.default.hooks["session_start"][0].hooks[0].args == ("5",),
    ),
    "fetch_domain_filtering, remote_mcp_allow_private_ips": (
        tools(
            "{type: fetch, allowed_domains: [x.example], allow_private_ips: true}",
            "{type: mcp, remote: {url: http://10.0.0.1/mcp}, allow_private_ips: true}",
        ),
        lambda team: team.default.toolsets[0].options["allowed_domains"] == ["x.example"],
    ),
    "first_available": (
        """\
models: {best: {first_available: [anthropic/claude-opus-4-5, openai/gpt-5], description: d}}
agents: {root: {model: best}}
""",
        lambda team: team.models["best"].candidates == ("anthropic/claude-opus-4-5", "openai/gpt-5"),
    ),
    "force_handoff": (
        "agents: {root: {model: auto, force_handoff: judge}, judge: {model: auto}}",
        lambda team: team.default.force_handoff == "judge" and types(team) == [],
    ),
    "harness-team": (
        "agents: {root: {model: auto, sub_agents: [dev]}, dev: {description: d, harness: {type: claude-code}}}",
        lambda team: team.agents[1].harness is not None and types(team) == ["transfer_task"],
    ),
    "lifecycle": (
        tools("{type: mcp, command: x, lifecycle: {profile: strict, call_timeout: 5s, backoff: {initial: 1s}}}"),
        lambda team: team.default.toolsets[0].options["lifecycle"]["call_timeout"] == "5s",
    ),
    "openai-service-tier, tool_choice_required": (
        """\
models: {m: {provider: openai, model: x, provider_opts: {service_tier: flex, tool_choice: required}}}
agents: {root: {model: m}}
""",
        lambda team: team.models["m"].options["service_tier"] == "flex",
    ),
    "shared_plan": (
        tools("{type: plan}", "{type: session_plan}", "{type: session_context}", "{type: git}", "{type: tasks}"),
        lambda team: types(team) == ["plan", "session_plan", "session_context", "git", "tasks"],
    ),
    "budgets, and a cache": (
        """\
budget: {max_cost: 5}
budgets: {small: {max_tokens: 1000, max_time: 1m30s}}
agents: {root: {model: auto, budgets: [small], cache: {enabled: true, case_sensitive: true, path: ./c.db}}}
""",
        lambda team: (
            (team.budgets[""].max_cost, team.budgets["small"].max_time) == (5.0, 90.0)
            and team.default.budgets == ("small",)
            and team.default.cache is not None
            and team.default.cache.trim_spaces
        ),
    ),
    "long sessions": (
        """\
agents:
  root:
    model: auto
    session_compaction: false
    compaction_threshold: 0.7
    compaction_model: openai/gpt-5-mini
    max_old_tool_call_tokens: -1
    max_tool_result_tokens: 5000
    max_consecutive_tool_calls: 9
    add_prompt_files: [AGENTS.md]
    add_prompt_files_depth: 2
""",
        lambda team: (
            (team.default.compaction.automatic, team.default.compaction.threshold, team.default.compaction.model)
            == (False, 0.7, "openai/gpt-5-mini")
            and (team.default.max_old_tool_call_tokens, team.default.max_tool_result_tokens) == (-1, 5000)
            and (team.default.max_consecutive_tool_calls, team.default.add_prompt_files_depth) == (9, 2)
        ),
    ),
}


def loaded(text: str) -> Team:
    return load("x", text.encode(), name="x.yaml", env={"USER": "ada"})


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_loads_without_a_word_and_is_what_was_meant(name: str) -> None:
    text, right = FEATURES[name]
    team = loaded(text)
    assert [line for line in team.warnings if "rag is an old spelling" not in line] == []
    assert right(team)


LATER = {
    "elicitation/demo, finance, modernize-go-tests: programs that would be installed": (
        tools("{type: mcp, command: gopls, args: [mcp], version: golang/tools@v0.21.0}"),
        "toolsets[0].version is not supported yet",
    ),
    "rag/reranking": (
        """\
rag: {r: {docs: [x], strategies: [{type: bm25}], results: {reranking: {model: auto, top_k: 3, threshold: 0.3}}}}
agents: {root: {toolsets: [{type: rag, ref: r}]}}
""",
        "rag.r.results.reranking is not supported yet",
    ),
    "rag/semantic_embeddings": (
        """\
rag: {r: {docs: [x], strategies: [{type: semantic-embeddings, embedding_model: auto, chat_model: auto}]}}
agents: {root: {toolsets: [{type: rag, ref: r}]}}
""",
        "'semantic-embeddings' is not supported yet; bm25 takes its place",
    ),
    "chunks by syntax": (
        """\
rag: {r: {docs: [x], strategies: [{type: bm25, chunking: {size: 9, code_aware: true}}]}}
agents: {root: {toolsets: [{type: rag, ref: r}]}}
""",
        "code_aware is not supported yet",
    ),
    "evaluators-openai": (
        """\
evaluators: {e: {provider: openai, model: m, type: boolean, instructions: x}}
agents: {root: {hooks: {user_prompt_submit: [{type: evaluator, evaluator: e}]}}}
""",
        "a hook of type 'evaluator' is not supported yet",
    ),
    "hooks by a model": (
        "agents: {root: {hooks: {post_tool_use: [{hooks: [{type: model, model: auto, prompt: x}]}]}}}",
        "a hook of type 'model' is not supported yet",
    ),
    "inject_memories": ("agents: {root: {inject_memories: true, max_inject_memories: 5}}", "inject_memories is not"),
    "flavors": ("{flavors: {fast: {agents: {}}}, agents: {root: {}}}", "flavors is not supported yet"),
    "gemini_image_output": (
        "{models: {m: {provider: openai, model: x, output_capabilities: {image: true}}}, agents: {root: {}}}",
        "output_capabilities is not supported yet",
    ),
    "shell_safer": (tools("{type: shell, safer: true}"), "safer is not supported yet"),
    "sudo": (tools("{type: shell, sudo_askpass: true}"), "sudo_askpass is not supported yet"),
    **{
        kind: (tools(f"{{type: {kind}{more}}}"), f"toolset type '{kind}' is not supported yet")
        for kind, more in {
            "mcp_catalog": ", allowed_servers: [a]",
            "open_url": ", url: https://x.example",
            "scheduler": "",
            "webhook": ", webhook_config: {provider: slack, url: https://x.example}",
            "environment": "",
        }.items()
    },
}


@pytest.mark.parametrize("name", LATER)
def test_what_comes_later_loads_with_one_warning(name: str) -> None:
    text, words = LATER[name]
    [warning] = loaded(text).warnings
    assert words in warning
