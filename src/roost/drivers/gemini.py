"""The Gemini CLI: the Agent Client Protocol where somebody may be asked, its own stream of events elsewhere."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from roost.core import events as e
from roost.core.capabilities import Capability
from roost.core.messages import Result
from roost.core.usage import Usage
from roost.drivers import fields, models
from roost.drivers.addresses import addresses
from roost.drivers.once import Once, needs_talk, prompt
from roost.drivers.opening import unheard
from roost.drivers.talk import Talk, hello
from roost.drivers.updates import Manners
from roost.drivers.wording import worded
from roost.ports import Dialog, Errand, Exit, Launch, Step

ENV = {
    "GEMINI_CLI_NO_RELAUNCH": "true",  # one process, not two
    "GEMINI_CLI_TRUST_WORKSPACE": "true",  # it refuses to start elsewhere, and can't ask
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
}
MANNERS = Manners(name_in_id=True, late_history=True, mode="default")

_PLACES = ("GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL", "CODE_ASSIST_ENDPOINT")
_ENDPOINTS = (
    "generativelanguage.googleapis.com:443",
    "cloudcode-pa.googleapis.com:443",
    "oauth2.googleapis.com:443",
    "www.googleapis.com:443",
    "aiplatform.googleapis.com:443",
)
_ENDS = {
    41: "gemini is not logged in",
    42: "gemini could not use what it was given",
    52: "gemini can't use its settings",
    53: "gemini has taken as many turns as it may",
    55: "gemini does not trust this folder",
}
_NOISE = re.compile(
    r"\[STARTUP\]|Ripgrep is not available|YOLO mode is enabled|Warning: (?:Basic terminal|256-color|True color)"
)
_AFTER_ITS_MINUTE = (
    'while ls "${GEMINI_CLI_HOME:-$HOME}"/.gemini/tmp/*/chats/session-"$(date -u +%Y-%m-%dT%H-%M)-$1".json* '
    '>/dev/null 2>&1; do sleep 1; done; shift; exec "$@"'
)
"""It names the file of a conversation by the minute, and one loaded in the minute of its birth overwrites itself."""


class Gemini:
    """Runs the Gemini CLI."""

    program = "gemini"
    hint = "npm install -g @google/gemini-cli"
    keeps: Sequence[str] = (".gemini",)
    needs: Sequence[str] = (
        "GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION",
        "GOOGLE_GENAI_USE_VERTEXAI",
        "GOOGLE_GENAI_USE_GCA", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL",
        "GEMINI_MODEL", "GEMINI_CLI_HOME", "GEMINI_DEFAULT_AUTH_TYPE", "CODE_ASSIST_ENDPOINT",
    )  # fmt: skip

    def __init__(self, *, open_models: bool = False, patterns: Sequence[str] = ()) -> None:
        self._capability = models.opened(models.GEMINI, open_models)
        self._patterns = patterns

    @property
    def capability(self) -> Capability:
        """What it can do."""
        return self._capability

    def endpoints(self, env: Mapping[str, str]) -> Sequence[str]:
        """Google's, unless the environment names another place."""
        return addresses(env, _PLACES, _ENDPOINTS)

    def model(self, name: str, size: str = "") -> str:
        """`auto` lets it choose."""
        return models.resolve(self._capability, name, size)

    def launch(self, errand: Errand) -> Launch:
        """As a server of the protocol, or for one prompt.

        Raises:
            BadValue: the prompt is longer than it reads.
        """
        argv = [errand.program]
        argv += ["--model", errand.model] if errand.model not in ("", "auto") else []
        argv += [word for folder in errand.add_dirs for word in ("--include-directories", folder)]
        argv += ["--acp", "--approval-mode", "default"] if needs_talk(errand) else _printed(errand)
        inputs = hello() if needs_talk(errand) else prompt(errand)
        return Launch(argv=_waiting(errand, argv), cwd=errand.working_dir, env={**ENV, **errand.env}, inputs=(inputs,))

    def open(self, errand: Errand) -> Dialog:
        """A dialog with it."""
        if needs_talk(errand):
            return Talk(errand, "gemini", MANNERS, patterns=self._patterns)
        return Printed(errand, "gemini", self._patterns)


def _printed(errand: Errand) -> list[str]:
    argv = ["--output-format", "stream-json", "--approval-mode", "yolo"]
    if errand.resume:
        return [*argv, "--resume", errand.resume]
    return [*argv, "--session-id", errand.fresh_session] if errand.fresh_session else argv


def _waiting(errand: Errand, argv: list[str]) -> tuple[str, ...]:
    if not errand.resume or not needs_talk(errand):
        return tuple(argv)
    return ("/bin/sh", "-c", _AFTER_ITS_MINUTE, "gemini", errand.resume[:8], *argv)


class Printed(Once):
    """A run that prints one JSON event a line."""

    def _facts(self, event: Mapping[str, Any]) -> list[e.Fact]:
        match event.get("type"):
            case "init":
                session, model = fields.text(event.get("session_id")), fields.text(event.get("model"))
                facts = self._record.introduced(session, model=model, working_dir=self._errand.working_dir)
                return facts + (unheard(self._errand, "gemini", *MANNERS.deaf) if facts else [])
            case "message" if event.get("role") == "assistant":
                return self._record.text(fields.text(event.get("content")))
            case "tool_use":
                return self._used(event)
            case "tool_result":
                return self._returned(event)
            case "error":
                return [e.StatusShown(fields.text(event.get("message")) or "an error", fields.data(dict(event)))]
            case "result":
                return self._ended(event)
            case _:
                return []

    def _used(self, event: Mapping[str, Any]) -> list[e.Fact]:
        key, name = fields.text(event.get("tool_id")), fields.text(event.get("tool_name"))
        if not key:
            return []
        asked = [(key, name, fields.encoded(event.get("parameters") or {}))]
        return [*self._record.message(calls=asked), *self._record.started(key)]

    def _returned(self, event: Mapping[str, Any]) -> list[e.Fact]:
        failed = event.get("status") != "success"
        said = fields.text(event.get("output"))
        said = said or fields.text(fields.mapping(event.get("error")).get("message"))
        return self._record.returned(fields.text(event.get("tool_id")), Result(said, is_error=failed))

    def _ended(self, event: Mapping[str, Any]) -> list[e.Fact]:
        stats = fields.mapping(event.get("stats"))
        success = event.get("status") == "success"
        self._result = True
        if not success:
            self._raw = fields.text(fields.mapping(event.get("error")).get("message"))
            self._failure = f"gemini: {worded(self._raw)}" if self._raw else "gemini could not answer"
        facts = self._record.message() if success and self._record.answering else []
        cached = fields.count(stats, "cached")
        usage = Usage(fields.count(stats, "input_tokens") - cached, fields.count(stats, "output_tokens"), cached)
        usage = usage if usage.input >= 0 else Usage(0, usage.output, cached)
        duration = fields.count(stats, "duration_ms")
        return facts + self._record.round(
            success=success,
            reason="end_turn" if success else "error",
            message=self._failure,
            usage=usage if stats else None,
            duration_ms=duration or None,
        )

    def complain(self, line: bytes) -> Step:
        """A line of stderr, but for what it says at every start."""
        return Step() if _NOISE.search(line[:200].decode("utf-8", "replace")) else super().complain(line)

    def _died(self, exit: Exit) -> str:
        heard = "\n".join(self._record.tail)
        if (why := _ENDS.get(exit.code or 0)) is not None:
            return f"{why}: {heard}" if heard else why
        return super()._died(exit)
