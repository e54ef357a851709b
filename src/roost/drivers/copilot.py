"""The Copilot CLI: the Agent Client Protocol where somebody may be asked, its own stream of events elsewhere."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from roost.core import events as e
from roost.core.capabilities import Capability
from roost.core.messages import Result
from roost.core.usage import Usage, plus
from roost.drivers import fields, models
from roost.drivers.addresses import addresses
from roost.drivers.once import Once, needs_talk, prompt
from roost.drivers.talk import Talk, hello
from roost.drivers.updates import Manners
from roost.ports import Dialog, Errand, Launch

ENV = {"COPILOT_AUTO_UPDATE": "false"}
MANNERS = Manners(notices=True, counts="process", deaf=())
INSTRUCTIONS = "roost.instructions.md"
MCP = "mcp.json"

_QUIET = ("--no-color", "--log-level", "none")
_PLACES = ("COPILOT_PROVIDER_BASE_URL",)
_ENDPOINTS = (
    "api.github.com:443",
    "github.com:443",
    "api.githubcopilot.com:443",
    "api.individual.githubcopilot.com:443",
    "api.business.githubcopilot.com:443",
    "api.enterprise.githubcopilot.com:443",
)


class Copilot:
    """Runs the Copilot CLI."""

    program = "copilot"
    hint = "npm install -g @github/copilot"
    keeps: Sequence[str] = (".copilot", ".cache/copilot", ".config/gh")
    needs: Sequence[str] = (
        "COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN", "GH_HOST", "COPILOT_GH_HOST", "COPILOT_HOME",
        "COPILOT_MODEL", "COPILOT_OFFLINE", "COPILOT_AUTO_UPDATE", "COPILOT_CUSTOM_INSTRUCTIONS_DIRS",
        "COPILOT_PROVIDER_BASE_URL", "COPILOT_PROVIDER_TYPE", "COPILOT_PROVIDER_API_KEY",
        "COPILOT_PROVIDER_API_KEY_COMMAND", "COPILOT_PROVIDER_BEARER_TOKEN", "COPILOT_PROVIDER_WIRE_API",
        "COPILOT_PROVIDER_TRANSPORT", "COPILOT_PROVIDER_AZURE_API_VERSION", "COPILOT_PROVIDER_MODEL_ID",
        "COPILOT_PROVIDER_WIRE_MODEL", "COPILOT_PROVIDER_MAX_PROMPT_TOKENS", "COPILOT_PROVIDER_MAX_OUTPUT_TOKENS",
        "COPILOT_PROVIDER_HEADERS",
    )  # fmt: skip

    def __init__(self, *, open_models: bool = False, patterns: Sequence[str] = ()) -> None:
        self._capability = models.opened(models.COPILOT, open_models)
        self._patterns = patterns

    @property
    def capability(self) -> Capability:
        """What it can do."""
        return self._capability

    def endpoints(self, env: Mapping[str, str]) -> Sequence[str]:
        """GitHub's, unless the environment names a provider of one's own."""
        return addresses(env, _PLACES, _ENDPOINTS)

    def model(self, name: str, size: str = "") -> str:
        """A name of its list."""
        return models.resolve(self._capability, name, size)

    def launch(self, errand: Errand) -> Launch:
        """As a server of the protocol, or for one prompt.

        Raises:
            BadValue: the prompt is longer than it reads.
        """
        argv = [errand.program, *_QUIET]
        argv += ["--model", errand.model] if errand.model else []
        argv += [f"--reasoning-effort={errand.effort}"] if errand.effort else []
        argv += [f"--agent={errand.agent}"] if errand.agent else []
        argv += [word for folder in errand.add_dirs for word in ("--add-dir", folder)]
        argv += ["--additional-mcp-config", f"@{errand.folder}/{MCP}"] if errand.mcp else []
        talks = needs_talk(_lightened(errand))
        argv += ["--acp"] if talks else _printed(errand)
        env, files = {**ENV, **errand.env}, _servers(errand)
        if errand.system_prompt:
            files[INSTRUCTIONS] = f'---\napplyTo: "**"\n---\n{errand.system_prompt}\n'
            known = env.get("COPILOT_CUSTOM_INSTRUCTIONS_DIRS", "")
            env["COPILOT_CUSTOM_INSTRUCTIONS_DIRS"] = f"{known},{errand.folder}" if known else errand.folder
        first = hello() if talks else prompt(_lightened(errand))
        return Launch(argv=tuple(argv), cwd=errand.working_dir, env=env, inputs=(first,), files=files)

    def open(self, errand: Errand) -> Dialog:
        """A dialog with it."""
        light = _lightened(errand)
        if needs_talk(light):
            return Talk(light, "copilot", MANNERS, patterns=self._patterns)
        return Printed(light, "copilot", self._patterns)


def _lightened(errand: Errand) -> Errand:
    """The errand without what a run is told by files: its system prompt, and its tool servers."""
    return replace(errand, system_prompt="", mcp={})


def _servers(errand: Errand) -> dict[str, str]:
    """The tool servers as its own file of them; by the protocol it takes none that it would have to start."""
    listed = fields.mapping(errand.mcp.get("mcpServers")) or errand.mcp
    servers = {name: {"tools": ["*"], **fields.mapping(entry)} for name, entry in listed.items()}
    return {MCP: fields.encoded({"mcpServers": servers})} if servers else {}


def _printed(errand: Errand) -> list[str]:
    argv = ["--output-format", "json", "--allow-all", "--no-ask-user"]
    if errand.resume:
        return [*argv, f"--resume={errand.resume}"]
    return [*argv, f"--session-id={errand.fresh_session}"] if errand.fresh_session else argv


class Printed(Once):
    """A run that prints one JSON event a line."""

    def __init__(self, errand: Errand, agent: str, patterns: Sequence[str] = ()) -> None:
        super().__init__(errand, agent, patterns)
        self._usage: Usage | None = None
        self._aborted = False
        self._seen: dict[str, str] = {}  # output of calls, as it was shown

    def _facts(self, event: Mapping[str, Any]) -> list[e.Fact]:
        kind, data = fields.text(event.get("type")), fields.mapping(event.get("data"))
        if kind == "result":
            return self._ended(event)
        known = self._errand.resume or self._errand.fresh_session
        facts = self._introduced(known, fields.text(data.get("model"))) if known else []
        if kind.startswith("tool."):
            return facts + self._worked(kind, data)
        if kind.startswith("assistant."):
            return facts + self._said(kind, data)
        return facts + self._reported(kind, data)

    def _introduced(self, session: str, model: str) -> list[e.Fact]:
        known = model or self._record.model
        return self._record.introduced(session, model=known, working_dir=self._errand.working_dir)

    # -- answers ----------------------------------------------------------------------------

    def _said(self, kind: str, data: Mapping[str, Any]) -> list[e.Fact]:
        record = self._record
        match kind:
            case "assistant.message_delta":
                return record.text(fields.text(data.get("deltaContent")))
            case "assistant.reasoning_delta":
                return record.reasoning(fields.text(data.get("deltaContent")))
            case "assistant.tool_call_delta" if key := fields.text(data.get("toolCallId")):
                return record.draft(key, fields.text(data.get("toolName")), fields.text(data.get("inputDelta")))
            case "assistant.message":
                return self._message(data)
            case "assistant.usage":
                self._usage = plus(self._usage or Usage(), _tokens(data))
                return []
            case "assistant.turn_retry":
                reason = fields.text(data.get("reason")) or "the request failed"
                return [*record.drop(reason), e.StatusShown(f"The model is asked again: {reason}")]
            case _:
                return []

    def _message(self, data: Mapping[str, Any]) -> list[e.Fact]:
        calls = [
            (fields.text(call.get("toolCallId")), fields.text(call.get("name")), _arguments(call.get("arguments")))
            for call in fields.objects(data.get("toolRequests"))
        ]
        reasoning = fields.text(data.get("reasoningText")) or None
        return self._record.message(fields.text(data.get("content")), reasoning, [call for call in calls if call[0]])

    # -- calls ------------------------------------------------------------------------------

    def _worked(self, kind: str, data: Mapping[str, Any]) -> list[e.Fact]:
        record, key = self._record, fields.text(data.get("toolCallId"))
        match kind:
            case "tool.execution_start":
                return record.started(key)
            case "tool.shell_output":
                text = fields.text(data.get("text"))
                self._seen[key] = self._seen.get(key, "") + text
                return record.output(key, text)
            case "tool.execution_partial_result":
                return self._partial(key, fields.text(data.get("partialOutput")))
            case "tool.execution_complete":
                self._seen.pop(key, None)
                return record.returned(key, _result(data))
            case _:
                return []

    def _partial(self, key: str, whole: str) -> list[e.Fact]:
        """Output so far: shown where it has not been shown in pieces."""
        seen = self._seen.get(key, "")
        if not whole.startswith(seen):
            return []
        self._seen[key] = whole
        return self._record.output(key, whole[len(seen) :])

    # -- the rest ---------------------------------------------------------------------------

    def _reported(self, kind: str, data: Mapping[str, Any]) -> list[e.Fact]:
        message = fields.text(data.get("message"))
        match kind:
            case "session.error":
                self._raw = fields.encoded(data)
                self._failure = message or fields.text(data.get("errorType")) or "copilot could not answer"
                return []
            case "session.info" | "session.warning" if message:
                return [e.StatusShown(message)]
            case "abort":
                self._aborted = True
                return []
            case _:
                return []

    def _ended(self, event: Mapping[str, Any]) -> list[e.Fact]:
        session = fields.text(event.get("sessionId"))
        facts = self._introduced(session, "") if session and session != self._errand.resume else []
        if event.get("exitCode") != 0 and not self._failure:
            self._failure = f"copilot ended with code {event.get('exitCode')}"
        self._result = not self._aborted
        success = self._result and not self._failure
        usage = fields.mapping(event.get("usage"))
        reason = "end_turn" if success else "cancelled" if self._aborted else "error"
        return facts + self._record.round(
            success=success,
            reason=reason,
            message=self._failure or ("" if success else "interrupted"),
            usage=self._usage,
            duration_ms=fields.count(usage, "sessionDurationMs") or None,
        )


def _arguments(given: Any) -> str:
    return given if isinstance(given, str) else fields.encoded(given if given is not None else {})


def _tokens(data: Mapping[str, Any]) -> Usage:
    cached, written = fields.count(data, "cacheReadTokens"), fields.count(data, "cacheWriteTokens")
    read = max(fields.count(data, "inputTokens") - cached - written, 0)
    return Usage(read, fields.count(data, "outputTokens"), cached, written)


def _result(data: Mapping[str, Any]) -> Result:
    result, error = fields.mapping(data.get("result")), fields.mapping(data.get("error"))
    if data.get("success") is True:
        return Result(fields.text(result.get("content")) or fields.text(result.get("detailedContent")))
    return Result(fields.text(error.get("message")) or fields.text(result.get("content")), is_error=True)
