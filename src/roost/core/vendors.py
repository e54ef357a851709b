"""Which model providers there are: their dialect, address and key, as plain data."""

import re
from collections.abc import Mapping

from msgspec import Struct


class Vendor(Struct, frozen=True):
    """A provider by name.  `base_url` may hold `${VARIABLE}`; `token_key` "" sends no key.

    `dialect` is one of `core.agents.ModelSpec.dialect`; `auto` is OpenAI, where the model decides.
    A `base_url` of "" is asked of the file (`azure`), or found when it is needed (`amazon-bedrock`, `dmr`).
    `prices` is the name in the price list, where that differs.  `native` ones go through a models gateway.
    `spare_keys` are variables that do where `token_key` is not set.
    """

    name: str
    dialect: str
    base_url: str = ""
    token_key: str = ""
    headers: Mapping[str, str] = {}
    prices: str = ""
    native: bool = False
    spare_keys: tuple[str, ...] = ()


def _chat(name: str, token_key: str, base_url: str, *, prices: str = "", headers: Mapping[str, str] = {}) -> Vendor:
    return Vendor(name, "openai-chat", base_url, token_key, headers, prices)


_VENDORS = (
    Vendor("openai", "auto", "https://api.openai.com/v1", "OPENAI_API_KEY", native=True),
    Vendor("anthropic", "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", native=True),
    Vendor(
        "google",
        "google",
        "https://generativelanguage.googleapis.com",
        "GOOGLE_API_KEY",
        native=True,
        spare_keys=("GEMINI_API_KEY",),
    ),
    Vendor("amazon-bedrock", "bedrock", "", "AWS_BEARER_TOKEN_BEDROCK", prices="aws"),
    Vendor("azure", "azure", "", "AZURE_API_KEY"),
    Vendor("dmr", "dmr"),
    Vendor("local", "local"),
    Vendor("scripted", "scripted"),
    _chat("ollama", "", "http://localhost:11434/v1"),
    _chat("mistral", "MISTRAL_API_KEY", "https://api.mistral.ai/v1"),
    _chat("xai", "XAI_API_KEY", "https://api.x.ai/v1", prices="x-ai"),
    _chat("nebius", "NEBIUS_API_KEY", "https://api.studio.nebius.com/v1", prices="huggingface_nebius"),
    _chat("minimax", "MINIMAX_API_KEY", "https://api.minimax.io/v1"),
    _chat("requesty", "REQUESTY_API_KEY", "https://router.requesty.ai/v1"),
    _chat("openrouter", "OPENROUTER_API_KEY", "https://openrouter.ai/api/v1"),
    _chat("groq", "GROQ_API_KEY", "https://api.groq.com/openai/v1"),
    _chat("deepseek", "DEEPSEEK_API_KEY", "https://api.deepseek.com/v1"),
    _chat("cerebras", "CEREBRAS_API_KEY", "https://api.cerebras.ai/v1"),
    _chat("together", "TOGETHER_API_KEY", "https://api.together.xyz/v1"),
    _chat("fireworks", "FIREWORKS_API_KEY", "https://api.fireworks.ai/inference/v1"),
    _chat("huggingface", "HF_TOKEN", "https://router.huggingface.co/v1"),
    _chat("moonshot", "MOONSHOT_API_KEY", "https://api.moonshot.ai/v1", prices="moonshotai"),
    _chat("nvidia", "NVIDIA_API_KEY", "https://integrate.api.nvidia.com/v1"),
    _chat("vercel", "AI_GATEWAY_API_KEY", "https://ai-gateway.vercel.sh/v1"),
    _chat("baseten", "BASETEN_API_KEY", "https://inference.baseten.co/v1"),
    _chat("ovhcloud", "OVH_AI_ENDPOINTS_ACCESS_TOKEN", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1"),
    _chat("atlascloud", "ATLASCLOUD_API_KEY", "https://api.atlascloud.ai/v1"),
    _chat(
        "cloudflare-workers-ai",
        "CLOUDFLARE_API_TOKEN",
        "https://api.cloudflare.com/client/v4/accounts/${CLOUDFLARE_ACCOUNT_ID}/ai/v1",
        prices="cloudflare",
    ),
    _chat(
        "cloudflare-ai-gateway",
        "CLOUDFLARE_API_TOKEN",
        "https://gateway.ai.cloudflare.com/v1/${CLOUDFLARE_ACCOUNT_ID}/${CLOUDFLARE_GATEWAY_ID}/compat",
    ),
    _chat("opencode-zen", "OPENCODE_API_KEY", "https://opencode.ai/zen/v1"),
    _chat("opencode-go", "OPENCODE_API_KEY", "https://opencode.ai/zen/go/v1"),
    _chat(
        "github-copilot",
        "GITHUB_TOKEN",
        "https://api.githubcopilot.com",
        headers={"Copilot-Integration-Id": "vscode-chat"},
    ),
)

VENDORS: Mapping[str, Vendor] = {vendor.name: vendor for vendor in _VENDORS}

NOT_BUILT = frozenset({"chatgpt", "orcarouter", "daoxe"})
"""Providers of the original that this version does not speak to."""

AUTO: tuple[tuple[str, str], ...] = (
    ("anthropic", "claude-sonnet-5-5"),
    ("openai", "gpt-6-luna"),
    ("google", "gemini-3.8-flash"),
    ("mistral", "mistral-small-latest"),
    ("amazon-bedrock", "global.anthropic.claude-sonnet-5-5"),
)
"""What `auto` tries, in this order: the first whose key is there."""

RUNNER_MODEL = "ai/qwen3:latest"
"""What `auto` is where there is a Docker Model Runner and nothing before it."""

EMBEDDERS: tuple[tuple[str, str], ...] = (
    ("openai", "text-embedding-3-small"),
    ("google", "gemini-embedding-001"),
    ("mistral", "mistral-embed"),
    ("amazon-bedrock", "amazon.titan-embed-text-v2:0"),
)
"""What `auto` tries where texts are to become vectors."""

RUNNER_EMBEDDER = "ai/embeddinggemma"
"""The same, at a Docker Model Runner."""

LOCAL_MODEL = "smollm2"
"""The model of the `local` provider."""

API_TYPES: Mapping[str, str] = {"openai_chatcompletions": "openai-chat", "openai_responses": "openai-responses"}
"""`api_type`, as agent files spell it, to a dialect."""

_RESPONSES = re.compile(r"gpt-(4\.1|[5-9]|\d{2})|o[134]")


def vendor(name: str) -> Vendor | None:
    """The provider of this name, in any case."""
    return VENDORS.get(name.lower())


def openai_dialect(model: str, *, genuine: bool) -> str:
    """Which of OpenAI's two APIs a model is spoken to by; only OpenAI itself has the newer one for sure."""
    newer = bool(_RESPONSES.match(model)) or "codex" in model
    return "openai-responses" if genuine and newer else "openai-chat"
