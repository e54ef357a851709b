"""The `codex` driver: the app server where it may ask or be spoken to, `codex exec --json` where it need not."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from roost.core.capabilities import Capability
from roost.drivers import fields, models
from roost.drivers.addresses import address, addresses
from roost.drivers.codex_exec import ExecDialog
from roost.drivers.codex_server import INITIALIZE, INITIALIZED, THREAD, ServerDialog, notice, request
from roost.drivers.fields import mapping, text
from roost.ports import Dialog, Errand, Input, Launch

SCHEMA = "schema.json"
_CLIENT = {"name": "roost", "title": "Roost", "version": "1"}
_OWN = ("api.openai.com:443", "chatgpt.com:443", "auth.openai.com:443")
_NEEDS = (
    "CODEX_ACCESS_TOKEN",
    "CODEX_API_KEY",
    "CODEX_HOME",
    "CODEX_OSS_BASE_URL",
    "CODEX_OSS_PORT",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORGANIZATION",
    "OPENAI_PROJECT",
)


class Codex:
    """Codex; prompts, system prompts and tool servers never stand on its command line."""

    program = "codex"
    hint = "npm install -g @openai/codex"
    keeps: Sequence[str] = (".codex",)

    def __init__(
        self, *, open_models: bool = False, patterns: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> None:
        self._capability = models.opened(models.CODEX, open_models)
        self._patterns = patterns
        self._env = env or {}

    @property
    def needs(self) -> Sequence[str]:
        """Its own variables, and those that the model provider of its settings is said to want."""
        return (*_NEEDS, *_wanted(_provider(self._env)))

    @property
    def capability(self) -> Capability:
        """What it can do."""
        return self._capability

    def endpoints(self, env: Mapping[str, str]) -> Sequence[str]:
        """The model's address: that of the provider which its settings choose, or of OpenAI and its login."""
        if own := address(text(_provider(env).get("base_url"))):
            return (own,)
        local = address(env.get("CODEX_OSS_BASE_URL", ""))
        return (*addresses(env, ("OPENAI_BASE_URL",), _OWN), *((local,) if local else ()))

    def model(self, name: str, size: str = "") -> str:
        """One of OpenAI's models."""
        return models.resolve(self._capability, name, size)

    def launch(self, errand: Errand) -> Launch:
        """Exec where nothing is asked, said or kept secret; else the app server."""
        return self._exec(errand) if _by_exec(errand) else self._server(errand)

    def open(self, errand: Errand) -> Dialog:
        """A dialog with either."""
        return ExecDialog(errand, self._patterns) if _by_exec(errand) else ServerDialog(errand, self._patterns)

    def _exec(self, errand: Errand) -> Launch:
        files = {} if errand.json_schema is None else {SCHEMA: fields.encoded(errand.json_schema)}
        prompt = Input("prompt", "" if errand.review else errand.prompt, close=True)
        argv = (errand.program, *self._flags(errand), *_task(errand))
        return Launch(argv=argv, cwd=errand.working_dir, env=errand.env, inputs=(prompt,), files=files)

    def _flags(self, errand: Errand) -> Iterator[str]:
        yield from ("exec", "--json", "--skip-git-repo-check", "--cd", errand.working_dir)
        if errand.confined and not errand.review:
            yield "--dangerously-bypass-approvals-and-sandbox"
        else:
            yield from ("--sandbox", "read-only" if errand.review else "workspace-write")
        if errand.model:
            yield from ("--model", errand.model)
        if errand.effort:
            yield from ("--config", f"model_reasoning_effort={fields.encoded(errand.effort)}")
        for folder in errand.add_dirs:
            yield from ("--add-dir", folder)
        if errand.json_schema is not None:
            yield from ("--output-schema", f"{errand.folder}/{SCHEMA}")

    def _server(self, errand: Errand) -> Launch:
        how = {"threadId": errand.resume, "excludeTurns": True} if errand.resume else {}
        begin = request(THREAD, "thread/resume" if errand.resume else "thread/start", **how, **_thread(errand))
        return Launch(
            argv=(errand.program, "app-server"),
            cwd=errand.working_dir,
            env=errand.env,
            inputs=(
                request(INITIALIZE, "initialize", clientInfo=_CLIENT, capabilities=None),
                notice(INITIALIZED, "initialized"),
                begin,
            ),
        )


def _by_exec(errand: Errand) -> bool:
    if errand.review:
        return True
    return errand.auto_approve and not (errand.interactive or errand.system_prompt or errand.mcp)


def _task(errand: Errand) -> Iterator[str]:
    """What exec is to do: the prompt by stdin, or a review."""
    if not errand.review:
        yield from ("resume", errand.resume, "-") if errand.resume else ("-",)
        return
    yield "review"
    asked = errand.review
    if asked.get("base"):
        yield f"--base={asked['base']}"
    elif asked.get("commit"):
        yield f"--commit={asked['commit']}"
        if asked.get("title"):
            yield f"--title={asked['title']}"
    else:
        yield "--uncommitted"


def _thread(errand: Errand) -> dict[str, Any]:
    """How a thread is opened, by the names of the app server."""
    params: dict[str, Any] = {
        "cwd": errand.working_dir,
        "approvalPolicy": "never" if errand.auto_approve else "untrusted",
        "sandbox": "danger-full-access" if errand.confined else "workspace-write",
    }
    if errand.model:
        params["model"] = errand.model
    if errand.system_prompt:
        params["developerInstructions"] = errand.system_prompt
    config: dict[str, Any] = {}
    if errand.effort:
        config["model_reasoning_effort"] = errand.effort
    if errand.add_dirs:
        config["sandbox_workspace_write.writable_roots"] = list(errand.add_dirs)
    if errand.mcp:
        config["mcp_servers"] = {name: _tool_server(mapping(given)) for name, given in errand.mcp.items()}
    return {**params, "config": config} if config else params


def _tool_server(given: Mapping[str, Any]) -> dict[str, Any]:
    """A server as `mcpServers` describes it, in Codex's own words."""
    if url := text(given.get("url")):
        headers = mapping(given.get("headers"))
        return {"url": url, "http_headers": dict(headers)} if headers else {"url": url}
    return {name: given[name] for name in ("command", "args", "env", "cwd") if name in given}


def _wanted(provider: Mapping[str, Any]) -> Iterator[str]:
    """The variables with a provider's key and headers; ours are not for agents, whoever names them."""
    headers = mapping(provider.get("env_http_headers")).values()
    for name in (text(provider.get("env_key")), *map(text, headers)):
        if name and not name.startswith(("ROOST_", "ZAG_")):
            yield name


def _provider(env: Mapping[str, str]) -> Mapping[str, Any]:
    """The model provider that the user's settings choose; nothing where it is one that Codex knows itself."""
    home = env.get("CODEX_HOME") or f"{env.get('HOME', '')}/.codex"
    try:
        settings = tomllib.loads(Path(home, "config.toml").read_text())
    except (OSError, ValueError):
        return {}
    providers = mapping(settings.get("model_providers"))
    return mapping(providers.get(text(settings.get("model_provider"))))
