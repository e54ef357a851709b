"""What each agent CLI can do, and the models it is known to have: data, for `model()` and `GET /api/v1/capability`."""

from collections.abc import Mapping

from msgspec.structs import replace

from roost.core.capabilities import Capability, Feature
from roost.core.errors import BadModel

_NATIVE = Feature(supported=True, native=True)
_OURS = Feature(supported=True)
_NOT = Feature()
_FULL = Feature(supported=True, native=True, completeness="full")
_PARTIAL = Feature(supported=True, native=True, completeness="partial")
_QUEUE = Feature(supported=True, native=True, semantics="queue")
_BETWEEN = Feature(supported=True, semantics="between-turns-only")

SIZES = ("small", "medium", "large")

_ALIASES = {
    "s": "small",
    "small": "small",
    "m": "medium",
    "medium": "medium",
    "default": "medium",
    "l": "large",
    "large": "large",
    "max": "large",
}

_COMMON = {
    "interactive": _NATIVE,
    "non_interactive": _NATIVE,
    "resume": _NATIVE,
    "resume_with_prompt": _NATIVE,
    "session_logs": _FULL,
    "json_output": _OURS,
    "stream_json": _OURS,
    "input_format": _NOT,
    "json_schema": _OURS,
    "streaming_input": _BETWEEN,
    "worktree": _OURS,
    "sandbox": _OURS,
    "system_prompt": _OURS,
    "auto_approve": _NATIVE,
    "review": _NOT,
    "add_dirs": _NATIVE,
    "max_turns": _NOT,
}


def _sizes(small: str, medium: str, large: str) -> dict[str, str]:
    return {"small": small, "medium": medium, "large": large}


CLAUDE = Capability(
    provider="claude",
    default_model="default",
    available_models=("default", "haiku", "sonnet", "opus"),
    size_mappings=_sizes("haiku", "sonnet", "default"),
    features={
        **_COMMON,
        "json_output": _NATIVE,
        "stream_json": _NATIVE,
        "input_format": _NATIVE,
        "json_schema": _NATIVE,
        "streaming_input": _QUEUE,
        "system_prompt": _NATIVE,
        "max_turns": _NATIVE,
    },
)

CODEX = Capability(
    provider="codex",
    default_model="gpt-5.4",
    available_models=(
        "gpt-5.4",
        "gpt-5.4-mini",
        "gpt-5.3-codex",
        "gpt-5.3-codex-spark",
        "gpt-5-codex",
        "gpt-5.2-codex",
        "gpt-5.2",
        "o4-mini",
        "gpt-5.1-codex-max",
        "gpt-5.1-codex-mini",
    ),
    size_mappings=_sizes("gpt-5.4-mini", "gpt-5.3-codex", "gpt-5.4"),
    features={
        **_COMMON,
        "session_logs": _PARTIAL,
        "json_output": _NATIVE,
        "stream_json": _NATIVE,
        "json_schema": _NATIVE,
        "streaming_input": _QUEUE,
        "system_prompt": _NATIVE,
        "review": _NATIVE,
    },
)

GEMINI = Capability(
    provider="gemini",
    default_model="auto",
    available_models=(
        "auto",
        "gemini-3.1-flash-lite-preview",
        "gemini-2.5-flash",
        "gemini-3.1-pro-preview",
        "gemini-3-pro-preview",
        "gemini-3-flash-preview",
        "gemini-2.5-pro",
        "gemini-2.5-flash-lite",
    ),
    size_mappings=_sizes("gemini-3.1-flash-lite-preview", "gemini-2.5-flash", "gemini-3.1-pro-preview"),
    features={**_COMMON, "max_turns": _OURS},
)

COPILOT = Capability(
    provider="copilot",
    default_model="claude-sonnet-4.6",
    available_models=(
        "claude-sonnet-4.6",
        "claude-haiku-4.5",
        "claude-opus-4.6",
        "claude-sonnet-4.5",
        "claude-opus-4.5",
        "gpt-5.4",
        "gpt-5.4-mini",
        "gpt-5.3-codex",
        "gpt-5.2-codex",
        "gpt-5.2",
        "gpt-5.1-codex-max",
        "gpt-5.1-codex",
        "gpt-5.1",
        "gpt-5",
        "gpt-5.1-codex-mini",
        "gpt-5-mini",
        "gpt-4.1",
        "gemini-3.1-pro-preview",
        "gemini-3-pro-preview",
    ),
    size_mappings=_sizes("claude-haiku-4.5", "claude-sonnet-4.6", "claude-opus-4.6"),
    features={**_COMMON, "max_turns": _OURS},
)

OLLAMA = Capability(
    provider="ollama",
    default_model="qwen3.5",
    available_models=("qwen3.5",),
    size_mappings=_sizes("2b", "9b", "35b"),
    features={
        **_COMMON,
        "resume": _NOT,
        "resume_with_prompt": _NOT,
        "session_logs": _NOT,
        "streaming_input": _NOT,
        "add_dirs": _NOT,
    },
    open_models=True,
)

OPENCODE = Capability(
    provider="opencode",
    default_model="",
    available_models=(),
    size_mappings=_sizes("", "", ""),  # it knows best
    features={**_COMMON, "add_dirs": _NOT, "max_turns": _OURS},
    open_models=True,
)

QWEN = Capability(
    provider="qwen",
    default_model="",
    available_models=("qwen3-coder-plus", "qwen3-coder-flash"),
    size_mappings=_sizes("qwen3-coder-flash", "qwen3-coder-plus", "qwen3-coder-plus"),
    features={**_COMMON, "max_turns": _OURS},
    open_models=True,
)

CUSTOM = Capability(
    provider="acp",
    default_model="",
    available_models=(),
    size_mappings=_sizes("", "", ""),
    features={**_COMMON, "max_turns": _OURS},
    open_models=True,
)
"""Of a CLI that the settings add, until they say more."""

MOCK = Capability(
    provider="mock",
    default_model="mock-default",
    available_models=("mock-default", "mock-small", "mock-medium", "mock-large"),
    size_mappings=_sizes("mock-small", "mock-medium", "mock-large"),
    features={**_COMMON, "streaming_input": _QUEUE},
)

CAPABILITIES: Mapping[str, Capability] = {
    capability.provider: capability for capability in (CLAUDE, CODEX, GEMINI, COPILOT, OLLAMA, OPENCODE, QWEN, MOCK)
}


def opened(capability: Capability, open_models: bool) -> Capability:
    """The capability of a CLI that may be given names which the table does not know."""
    return replace(capability, open_models=True) if open_models else capability


def alias(name: str) -> str:
    """`small`, `medium` or `large` for a size alias in any case; "" for anything else."""
    return _ALIASES.get(name.strip().lower(), "")


def resolve(capability: Capability, name: str, size: str = "") -> str:
    """The model that a name or a size alias means; the CLI's default where both are empty.

    Raises:
        BadModel: the CLI has no such model; the message lists those that it has.
    """
    wanted = name.strip() or size.strip()
    if not wanted:
        return capability.default_model
    if mapped := alias(wanted):
        return capability.size_mappings[mapped]
    known = {model.lower(): model for model in capability.available_models}
    if found := known.get(wanted.lower()):
        return found
    if capability.open_models and not wanted.startswith("-"):
        return wanted
    listed = ", ".join(capability.available_models)
    raise BadModel(f"{capability.provider} has no model {wanted!r}; it has: {listed} (or small, medium, large)")
