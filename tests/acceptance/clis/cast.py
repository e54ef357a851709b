"""The agent CLIs: where they are, and the settings that lead each of them to the fake model and to nobody else."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roost" / "clis"
"""Where `make clis` puts them."""

CLIS = os.environ.get("AGENT_CLI_DIR") or str(CACHE / "node_modules" / ".bin")
NODE = os.environ.get("AGENT_NODE_DIR") or str(CACHE / "node")
PATH = os.pathsep.join(folder for folder in (NODE, CLIS, os.environ.get("PATH", os.defpath)) if folder)

Env = dict[str, str]


@dataclass(frozen=True)
class Cli:
    """One of them."""

    name: str
    dress: Callable[[Path, str], Env]  # writes its settings into a HOME; its variables
    tool: str  # its shell, as models know it
    word: str = "command"  # and that tool's argument

    def run(self, command: str) -> str:
        """A directive that has it run a command."""
        more = {"description": "d"} if self.word == "command" else {}
        return f"[[tool {self.tool} {json.dumps({self.word: command, **more})}]]"

    def need(self) -> None:
        """Skip the test where it is not installed."""
        if shutil.which(self.name, path=PATH) is None:
            pytest.skip(f"no {self.name}: `make clis` brings it")


def _write(home: Path, name: str, content: object) -> None:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def _claude(home: Path, url: str) -> Env:
    return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "dummy", "CLAUDE_CODE_MAX_RETRIES": "1"}


CODEX = """\
model = "fake-model"
model_provider = "fake"
check_for_update_on_startup = false
[analytics]
enabled = false
[features]
apps = false
plugins = false
remote_plugin = false
plugin_sharing = false
[model_providers.fake]
name = "fake"
base_url = "{url}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
"""


def _codex(home: Path, url: str) -> Env:
    _write(home, ".codex/config.toml", CODEX.format(url=url))
    return {"OPENAI_API_KEY": "dummy"}


def _gemini(home: Path, url: str) -> Env:
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "model": {"name": "gemini-2.5-flash"}}
    quiet = {"privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False}}
    _write(
        home, ".gemini/settings.json", {**settings, **quiet, "general": {"enableAutoUpdate": False, "maxAttempts": 1}}
    )
    return {"GEMINI_API_KEY": "dummy", "GOOGLE_GEMINI_BASE_URL": url}


def _copilot(home: Path, url: str) -> Env:
    provider = {"BASE_URL": f"{url}/v1", "TYPE": "openai", "API_KEY": "dummy"}
    env = {f"COPILOT_PROVIDER_{name}": value for name, value in provider.items()}
    return {**env, "COPILOT_MODEL": "fake-model", "COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false"}


def _opencode(home: Path, url: str) -> Env:
    models = {"fake-model": {"name": "fake-model", "tool_call": True, "limit": {"context": 100000, "output": 8000}}}
    options = {"baseURL": f"{url}/v1", "apiKey": "dummy"}
    fake = {"npm": "@ai-sdk/openai-compatible", "name": "fake", "options": options, "models": models}
    chosen = {"model": "fake/fake-model", "small_model": "fake/fake-model", "enabled_providers": ["fake"]}
    settings = {"autoupdate": False, "share": "disabled", **chosen, "provider": {"fake": fake}}
    _write(home, ".config/opencode/opencode.json", settings)
    return {"OPENCODE_DISABLE_MODELS_FETCH": "true", "OPENCODE_DISABLE_LSP_DOWNLOAD": "true"}


def _qwen(home: Path, url: str) -> Env:
    quiet = {"privacy": {"usageStatisticsEnabled": False}, "general": {"enableAutoUpdate": False}}
    _write(home, ".qwen/settings.json", {**quiet, "security": {"auth": {"selectedType": "openai"}}})
    return {"OPENAI_API_KEY": "dummy", "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_MODEL": "fake-model"}


CAST = {
    cli.name: cli
    for cli in (
        Cli("claude", _claude, "Bash"),
        Cli("codex", _codex, "exec_command", "cmd"),
        Cli("gemini", _gemini, "run_shell_command"),
        Cli("copilot", _copilot, "bash"),
    )
}
"""The four that most people have."""

ACP = {cli.name: cli for cli in (Cli("opencode", _opencode, "bash"), Cli("qwen", _qwen, "run_shell_command"))}
"""Two more, by the Agent Client Protocol."""
