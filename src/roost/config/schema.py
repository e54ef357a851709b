"""Every legal key of an agent file, of all versions: what may stand there, since when, and whether it works yet.

The order of the keys is the order in which they are shown to clients.
"""

from typing import Final

from roost.config.hooks import HOOKS
from roost.config.rag import RAG
from roost.config.shapes import (
    NEWER,
    UNRELEASED,
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
from roost.config.skills import SKILLS
from roost.config.toolsets import TOOLSET, Server

HARNESS: Final = 9  # what came with inheriting providers and harnesses

_text, _flag, _any = Text(), Flag(), Anything()
_names = Items(Text(filled=True))
_count = Number(0, whole=True)
_limit = Number(-1, whole=True)
_duration = Text(pattern=r"0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+", what="a duration such as '1m30s'")
_share = Number(0, 1, above=True)
_effort = r"none|minimal|low|medium|high|xhigh|max|adaptive(/(low|medium|high|xhigh|max))?"
_thinking = Either(
    number=Number(-1, 32768, whole=True),
    text=Text(pattern=_effort, what="none, minimal, low, medium, high, xhigh, max, adaptive or adaptive/<effort>"),
)
_task_budget = Either(
    number=_count,
    entries=Record({"type": Key(Text(words=("tokens",))), "total": Key(_count)}, required=("total",)),
)
_safety = Text(words=("strict", "balanced", "restricted", "autonomous"))
_api_type = Text(words=("openai_chatcompletions", "openai_responses"))

COMMAND = Record(
    {
        "description": Key(_text),
        "instruction": Key(_text),
        "agent": Key(Text(filled=True), since=NEWER),
        "url": Key(_text, since=NEWER),
    }
)
_commands = Either(
    entries=Entries(Either(text=_text, entries=COMMAND)),
    items=Items(Entries(Either(text=_text, entries=COMMAND))),
)

_fallback = Record(
    {"models": Key(_names), "retries": Key(_limit), "cooldown": Key(_duration)},
)
_structured = Record(
    {
        "name": Key(_text),
        "description": Key(_text),
        "strict": Key(_flag),
        "schema": Key(Entries(_any)),
        "mode": Key(Text(words=("native", "tool")), since=NEWER),
    },
    required=("name", "schema"),
)
_cache = Record(
    {
        "enabled": Key(_flag),
        "case_sensitive": Key(_flag),
        "trim_spaces": Key(_flag),
        "path": Key(_text),
    }
)
_harness = Record(
    {
        "type": Key(Text(pattern=r"[A-Za-z0-9][A-Za-z0-9_-]*", what="the name of an agent CLI")),
        "model": Key(_text),
        "effort": Key(Text(words=("low", "medium", "high", "xhigh", "max"))),
        "agent": Key(_text),
        "thinking": Key(_flag, mark="warn"),
        "args": Key(Items(Text(loose=True)), since=UNRELEASED, mark="warn"),
        "env": Key(Entries(Text(loose=True)), since=UNRELEASED),
        "config": Key(_any, since=UNRELEASED, mark="warn"),
        "add_dirs": Key(Items(Text(filled=True)), since=UNRELEASED),
        "roost_tools": Key(_flag, since=UNRELEASED),
    },
    required=("type",),
)
_old_todo = Either(flag=_flag, entries=Record({"shared": Key(_flag)}))
_old_memory = Record({"path": Key(_text)})

AGENT = Record(
    {
        "model": Key(_text),
        "fallback": Key(_fallback, since=4),
        "description": Key(_text),
        "welcome_message": Key(_text, since=2),
        "toolsets": Key(Items(TOOLSET)),
        "instruction": Key(_text),
        "sub_agents": Key(_names),
        "handoffs": Key(_names, since=2),
        "rag": Key(_names, since=2, until=7),
        "add_date": Key(_flag),
        "add_environment_info": Key(_flag),
        "code_mode_tools": Key(_flag, since=2),
        "add_description_parameter": Key(_flag, since=4),
        "max_iterations": Key(_count, since=2),
        "num_history_items": Key(_count),
        "add_prompt_files": Key(_names, since=2),
        "commands": Key(_commands),
        "structured_output": Key(_structured, since=2),
        "skills": Key(SKILLS, since=3),
        "hooks": Key(HOOKS, since=3),
        "harness": Key(_harness, since=HARNESS),
        "instruction_file": Key(Either(text=_text, items=_names), since=NEWER),
        "use_toolsets": Key(_names, since=NEWER),
        "use_commands": Key(_names, since=NEWER),
        "use_skills": Key(_names, since=NEWER),
        "force_handoff": Key(_text, since=NEWER),
        "add_prompt_files_depth": Key(_count, since=NEWER),
        "max_consecutive_tool_calls": Key(_count, since=NEWER),
        "max_old_tool_call_tokens": Key(_limit, since=NEWER),
        "max_tool_result_tokens": Key(_limit, since=NEWER),
        "session_compaction": Key(_flag, since=NEWER),
        "compaction_threshold": Key(_share, since=NEWER),
        "compaction_model": Key(_text, since=NEWER),
        "readonly": Key(_flag, since=NEWER),
        "safety": Key(_safety, since=NEWER),
        "redact_secrets": Key(_flag, since=NEWER),
        "budgets": Key(_names, since=NEWER),
        "cache": Key(_cache, since=NEWER),
        "routing": Key(
            Record({"allowed_agents": Key(_names), "default_agent": Key(_text)}), since=UNRELEASED, mark="warn"
        ),
        "inject_memories": Key(_flag, since=UNRELEASED, mark="warn"),
        "max_inject_memories": Key(_count, since=UNRELEASED, mark="quiet"),
        "inject_memories_strategy": Key(_text, since=UNRELEASED, mark="quiet"),
        "todo": Key(_old_todo, until=0),
        "think": Key(_flag, until=0),
        "memory": Key(_old_memory, until=0),
    }
)

_token = Record(
    {
        "file": Key(_text),
        "env": Key(_text),
        "command": Key(Items(_text, least=1)),
        "url": Key(_text),
        "headers": Key(Entries(Text(loose=True))),
        "response_field": Key(_text),
    }
)
_federation = Record(
    {
        "federation_rule_id": Key(_text),
        "organization_id": Key(_text),
        "service_account_id": Key(_text),
        "identity_token": Key(_token),
    },
    required=("federation_rule_id", "organization_id", "identity_token"),
)
_auth = Record(
    {"type": Key(Text(words=("workload_identity_federation",))), "workload_identity_federation": Key(_federation)}
)
_capabilities = Record(
    {
        "image": Key(_flag),
        "pdf": Key(_flag),
        "audio": Key(_flag, since=UNRELEASED),
        "video": Key(_flag, since=UNRELEASED),
    }
)
_cost = Record({name: Key(Number(0)) for name in ("input", "output", "cache_read", "cache_write")})
_patience = Number(0, 86400, above=True)  # seconds
_provider_opts = Entries(
    _any, known={"connect_timeout": _patience, "first_byte_timeout": _patience, "idle_timeout": _patience}
)
_env_gone = "set variables with --env-from-file, or in the environment"

MODEL = Record(
    {
        "provider": Key(_text),
        "model": Key(_text),
        "temperature": Key(Number(0, 2)),
        "max_tokens": Key(Number(1, whole=True)),
        "top_p": Key(Number(0, 1)),
        "frequency_penalty": Key(Number(-2, 2)),
        "presence_penalty": Key(Number(-2, 2)),
        "base_url": Key(_text),
        "parallel_tool_calls": Key(_flag),
        "token_key": Key(_text),
        "provider_opts": Key(_provider_opts),
        "track_usage": Key(_flag, since=2),
        "thinking_budget": Key(_thinking, since=2),
        "routing": Key(
            Items(Record({"model": Key(_text), "examples": Key(Items(_text))}, required=("model", "examples"))),
            since=3,
        ),
        "description": Key(_text, since=NEWER, mark="quiet"),
        "task_budget": Key(_task_budget, since=NEWER),
        "first_available": Key(Items(Text(filled=True), least=1), since=NEWER),
        "title_model": Key(_text, since=NEWER),
        "compaction_model": Key(_text, since=NEWER),
        "compaction_threshold": Key(_share, since=NEWER),
        "capabilities": Key(_capabilities, since=NEWER),
        "output_capabilities": Key(Record({"image": Key(_flag)}), since=UNRELEASED, mark="warn"),
        "cost": Key(_cost, since=NEWER),
        "bypass_models_gateway": Key(_flag, since=NEWER),
        "auth": Key(_auth, since=NEWER),
        "type": Key(_text, until=0),
        "env": Key(_any, gone=_env_gone),
    }
)

PROVIDER = Record(
    {
        "api_type": Key(_api_type),
        "base_url": Key(_text),
        "token_key": Key(_text),
        "provider": Key(_text, since=HARNESS),
        "temperature": Key(Number(0, 2), since=HARNESS),
        "max_tokens": Key(Number(1, whole=True), since=HARNESS),
        "top_p": Key(Number(0, 1), since=HARNESS),
        "frequency_penalty": Key(Number(-2, 2), since=HARNESS),
        "presence_penalty": Key(Number(-2, 2), since=HARNESS),
        "parallel_tool_calls": Key(_flag, since=HARNESS),
        "provider_opts": Key(_provider_opts, since=HARNESS),
        "track_usage": Key(_flag, since=HARNESS),
        "thinking_budget": Key(_thinking, since=HARNESS),
        "task_budget": Key(_task_budget, since=NEWER),
        "auth": Key(_auth, since=NEWER),
        "unload_api": Key(_text, since=NEWER, mark="quiet"),
        "headers": Key(Entries(Text(loose=True)), since=UNRELEASED),
        "compaction_model": Key(_text, since=NEWER),
    }
)

METADATA = Record(
    {name: Key(Text(loose=True)) for name in ("author", "license", "description", "readme", "version")}
    | {"tags": Key(Items(Text(loose=True)), since=NEWER)},
    open=True,
)
PERMISSIONS = Record({"allow": Key(_names), "ask": Key(_names, since=4), "deny": Key(_names)})
_budget = Record({"max_cost": Key(Number(0)), "max_tokens": Key(_count), "max_time": Key(_duration)})
_runtime = Record(
    {
        "sandbox": Key(_flag, mark="refuse"),
        "network_allowlist": Key(_names, mark="warn"),
        "safety": Key(_safety),
    }
)

FILE = Record(
    {
        "version": Key(Text(loose=True)),
        "agents": Key(Entries(AGENT, named=True)),
        "providers": Key(Entries(PROVIDER, named=True), since=3),
        "models": Key(Entries(MODEL, named=True)),
        "mcps": Key(Entries(Server(), named=True), since=6),
        "rag": Key(Entries(RAG, named=True), since=2),
        "metadata": Key(METADATA),
        "permissions": Key(PERMISSIONS, since=3),
        "toolsets": Key(Entries(Either(entries=TOOLSET, items=Items(TOOLSET))), since=NEWER),
        "commands": Key(Entries(_commands), since=NEWER),
        "skills": Key(Entries(SKILLS), since=NEWER),
        "runtime": Key(_runtime, since=NEWER),
        "budget": Key(_budget, since=NEWER),
        "budgets": Key(Entries(_budget, named=True), since=NEWER),
        "flavors": Key(Entries(_any), since=NEWER, mark="warn"),
        "evaluators": Key(Entries(Entries(_any)), since=UNRELEASED, mark="quiet"),
        "env": Key(_any, gone=_env_gone),
    },
    required=("agents",),
)
