"""The `claude` driver: Claude Code with stream-json both ways, its flags, environment and files."""

import os
from collections.abc import Iterator, Mapping, Sequence

from roost.core.capabilities import Capability
from roost.drivers import fields, models
from roost.drivers.addresses import addresses
from roost.drivers.claude_dialog import INITIALIZE, ClaudeDialog, said
from roost.ports import Errand, Input, Launch

SYSTEM = "system.txt"
MCP = "mcp.json"
_QUIET = {
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
}
_OWN = ("api.anthropic.com:443", "console.anthropic.com:443", "platform.claude.com:443")
_NEEDS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_BEDROCK_BASE_URL",
    "ANTHROPIC_VERTEX_BASE_URL",
    "ANTHROPIC_VERTEX_PROJECT_ID",
    "API_TIMEOUT_MS",
    "AWS_ACCESS_KEY_ID",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "BASH_DEFAULT_TIMEOUT_MS",
    "BASH_MAX_TIMEOUT_MS",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
    "CLAUDE_CODE_MAX_RETRIES",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CONFIG_DIR",
    "CLOUD_ML_REGION",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "MAX_THINKING_TOKENS",
    *_QUIET,
)


class Claude:
    """Claude Code, told everything on stdin."""

    program = "claude"
    hint = "npm install -g @anthropic-ai/claude-code"
    keeps: Sequence[str] = (".claude", ".claude.json")
    needs: Sequence[str] = _NEEDS

    def __init__(self, *, open_models: bool = False, patterns: Sequence[str] = (), root: bool | None = None) -> None:
        """`root` is whether we run as root, which Claude Code lets skip permissions in a sandbox alone."""
        self._capability = models.opened(models.CLAUDE, open_models)
        self._patterns = patterns
        self._root = os.geteuid() == 0 if root is None else root

    @property
    def capability(self) -> Capability:
        """What it can do."""
        return self._capability

    def endpoints(self, env: Mapping[str, str]) -> Sequence[str]:
        """The model's address, and where a login is renewed."""
        if env.get("CLAUDE_CODE_USE_BEDROCK", "0") not in ("", "0"):
            region = env.get("AWS_REGION") or "us-east-1"
            bedrock = f"bedrock-runtime.{region}.amazonaws.com:443"
            return addresses(env, ("ANTHROPIC_BEDROCK_BASE_URL",), (bedrock,))
        if env.get("CLAUDE_CODE_USE_VERTEX", "0") not in ("", "0"):
            region = env.get("CLOUD_ML_REGION") or "us-east5"
            vertex = "aiplatform.googleapis.com" if region == "global" else f"{region}-aiplatform.googleapis.com"
            token = "oauth2.googleapis.com:443"  # noqa: S105  # an address
            return (*addresses(env, ("ANTHROPIC_VERTEX_BASE_URL",), (f"{vertex}:443",)), token)
        return addresses(env, ("ANTHROPIC_BASE_URL",), _OWN)

    def model(self, name: str, size: str = "") -> str:
        """Haiku, Sonnet, Opus or the account's default."""
        return models.resolve(self._capability, name, size)

    def launch(self, errand: Errand) -> Launch:
        """Everything that may be long or secret goes by file or stdin."""
        files = {}
        if errand.system_prompt:
            files[SYSTEM] = errand.system_prompt
        if errand.mcp:
            files[MCP] = fields.encoded({"mcpServers": errand.mcp})
        env = {**_QUIET, **errand.env}
        if errand.confined:
            env["IS_SANDBOX"] = "1"
        prompt = (said(errand, "prompt", errand.prompt),) if errand.prompt else ()
        return Launch(
            argv=(errand.program, *self._flags(errand)),
            cwd=errand.working_dir,
            env=env,
            inputs=(Input("initialize", INITIALIZE), *prompt),
            files=files,
        )

    def _flags(self, errand: Errand) -> Iterator[str]:
        yield from ("--print", "--verbose", "--output-format", "stream-json", "--input-format", "stream-json")
        yield from ("--include-partial-messages", "--replay-user-messages", "--permission-prompt-tool", "stdio")
        if errand.auto_approve and (errand.confined or not self._root):
            yield "--dangerously-skip-permissions"  # elsewhere the dialog itself says yes to all
        if errand.model:
            yield from ("--model", errand.model)
        if errand.effort:
            yield f"--effort={errand.effort}"
        if errand.agent:
            yield f"--agent={errand.agent}"
        if errand.resume:
            yield f"--resume={errand.resume}"
        elif errand.fresh_session:
            yield from ("--session-id", errand.fresh_session)
        for folder in errand.add_dirs:
            yield from ("--add-dir", folder)
        if errand.system_prompt:
            yield from ("--append-system-prompt-file", f"{errand.folder}/{SYSTEM}")
        if errand.mcp:
            yield from ("--mcp-config", f"{errand.folder}/{MCP}")
        if errand.json_schema is not None:
            yield from ("--json-schema", fields.encoded(errand.json_schema))
        if errand.max_turns:
            yield from ("--max-turns", str(errand.max_turns))

    def open(self, errand: Errand) -> ClaudeDialog:
        """A dialog by stream-json and the control protocol."""
        return ClaudeDialog(errand, self._patterns)
