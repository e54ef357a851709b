"""The `mock` driver: a CLI that does what its prompt says, for tests and demos."""

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from roost.core import events as e
from roost.core.capabilities import Capability
from roost.core.ids import WaitId
from roost.core.messages import Result
from roost.core.usage import Usage
from roost.drivers import fields, models
from roost.drivers.record import Record
from roost.ports import Errand, Exit, Input, Launch, Step

PLAYER = "player.py"
SERVERS = "servers.json"  # as the player knows it


@cache
def _player() -> str:
    return Path(__file__).with_name(PLAYER).read_text()


class Mock:
    """Runs the player with the Python that runs us; there is nothing to install."""

    program = ""
    hint = ""
    keeps: Sequence[str] = ()
    needs: Sequence[str] = ()

    def __init__(self, *, open_models: bool = False, patterns: Sequence[str] = ()) -> None:
        self._capability = models.opened(models.MOCK, open_models)
        self._patterns = patterns

    @property
    def capability(self) -> Capability:
        """What it can do."""
        return self._capability

    def endpoints(self, env: Mapping[str, str]) -> Sequence[str]:
        """It reaches nothing."""
        return ()

    def model(self, name: str, size: str = "") -> str:
        """`mock-default` and three sizes."""
        return models.resolve(self._capability, name, size)

    def launch(self, errand: Errand) -> Launch:
        """The player, from a copy in the run's folder, so that a sandbox need not show ours."""
        session = errand.resume or errand.fresh_session or f"mock-{errand.run}"
        mode = "resume" if errand.resume else "new"
        asks = "free" if errand.auto_approve else "asks"
        model = errand.model or self._capability.default_model
        return Launch(
            argv=(sys.executable, "-I", "-S", f"{errand.folder}/{PLAYER}", model, session, mode, asks),
            cwd=errand.working_dir,
            env=errand.env,
            inputs=(_said("prompt", errand.prompt),) if errand.prompt else (),
            files={PLAYER: _player(), **({SERVERS: fields.encoded(errand.mcp)} if errand.mcp else {})},
        )

    def open(self, errand: Errand) -> "MockDialog":
        """A dialog with the player."""
        return MockDialog(errand, self._patterns)


def _said(id: str, text: str) -> Input:
    return Input(id, fields.encoded({"type": "user", "text": text}))


class MockDialog:
    """What the player prints, and what it is told."""

    def __init__(self, errand: Errand, patterns: Sequence[str] = ()) -> None:
        self._record = Record(errand, "mock", patterns=patterns)
        self._said = {"prompt"} if errand.prompt else set()
        self._usage: Usage | None = None
        self._cost = 0.0
        self._failed = ""
        self._interrupted = False
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether every message has had its round."""
        return len(self._said) <= self._record.rounds

    @property
    def pending(self) -> Sequence[WaitId]:
        """Its open questions."""
        return self._record.pending

    def feed(self, line: bytes) -> Step:
        """An event of the player."""
        event = fields.parse(line)
        if event is None:
            return Step(tuple(self._record.skipped(line, "not an event")))
        return Step(tuple(self._facts(event, line)))

    def _facts(self, event: dict[str, Any], line: bytes) -> list[e.Fact]:
        record, key = self._record, fields.text(event.get("id"))
        match event.get("type"):
            case "init":
                tools = fields.strings(event.get("tools"))
                model, cwd = fields.text(event.get("model")), fields.text(event.get("cwd"))
                session = fields.text(event.get("session"))
                return record.introduced(session, model=model, tools=tools, working_dir=cwd)
            case "delta":
                return record.text(fields.text(event.get("text")))
            case "message":
                return self._message(event)
            case "ask":
                call = record.call(key)
                return [] if call is None else record.ask(key, call.call)
            case "started":
                return record.started(key)
            case "output":
                return record.output(key, fields.text(event.get("text")))
            case "returned":
                result = Result(fields.text(event.get("output")), is_error=event.get("ok") is not True)
                return record.returned(key, result, ran=event.get("ran") is not False)
            case "usage":
                self._use(event)
                return []
            case "status":
                return [e.StatusShown(fields.text(event.get("message")))]
            case "result":
                return self._result(event)
            case _:
                return record.skipped(line, "an event of an unknown type")

    def _message(self, event: dict[str, Any]) -> list[e.Fact]:
        calls = [
            (fields.text(call.get("id")), fields.text(call.get("name")), fields.encoded(call.get("input")))
            for call in fields.objects(event.get("calls"))
        ]
        return self._record.message(fields.text(event.get("text")), fields.text(event.get("reasoning")), calls)

    def _use(self, event: dict[str, Any]) -> None:
        self._usage = Usage(
            fields.count(event, "input_tokens", "input"),
            fields.count(event, "output_tokens", "output"),
            fields.count(event, "cache_read_tokens", "cached_input"),
            fields.count(event, "cache_creation_tokens", "cached_write"),
            fields.count(event, "reasoning"),
        )
        self._cost = fields.money(event.get("cost") or event.get("total_cost_usd"))

    def _result(self, event: dict[str, Any]) -> list[e.Fact]:
        message, reason = fields.text(event.get("message")), fields.text(event.get("reason"))
        success = event.get("success") is True
        self._interrupted = reason == "interrupted"
        self._failed = "" if success or self._interrupted else message or "the mock agent failed"
        hit = self._record.limit(self._failed)
        usage, self._usage = self._usage, None
        cost, self._cost = self._cost, 0.0
        if hit:
            self._failed = ""
        return [
            *hit,
            *self._record.round(success=success, reason=reason, message=message, usage=usage, cost=cost),
        ]

    def complain(self, line: bytes) -> Step:
        """A line of stderr."""
        return Step(tuple(self._record.complained(line)))

    def sent(self, given: Input) -> None:
        """Keep count of what it was told."""
        self._closed = self._closed or given.close
        line = fields.parse(given.line.encode()) or {}
        match line.get("type"):
            case "user":
                self._said.add(given.id)
            case "answer":
                key = fields.text(line.get("id"))
                self._record.answered(key)
                if line.get("allow") is True:
                    self._record.started(key)

    def say(self, key: str, text: str) -> Step | None:
        """It takes messages at any time, and plays them one after the other."""
        return None if self._closed else Step(inputs=(_said(f"say-{key}", text),))

    def answer(self, wait: WaitId, answer: e.Answer) -> Step:
        """Tell it whether the call may run."""
        key = self._record.question(wait)
        if not key:
            return Step()
        allow = answer.action == "approve"
        call = self._record.call(key)
        facts = (self._record.starting(call),) if allow and call is not None and not call.started else ()
        line = {"type": "answer", "id": key, "allow": allow, "reason": answer.reason}
        return Step(facts, (Input(f"answer-{wait}", fields.encoded(line)),))

    def interrupt(self, key: str) -> Step | None:
        """End the round."""
        return Step(inputs=(Input(f"interrupt-{key}", fields.encoded({"type": "interrupt"})),))

    def close(self) -> Step:
        """The end of its input."""
        return Step(inputs=(Input("close", close=True),))

    def end(self, exit: Exit) -> Step:
        """Close what is open, and say what went wrong."""
        facts = self._record.close()
        trouble = self._failed or self._record.trouble(exit)
        if not trouble and not exit.killed and not self.ready:
            trouble = "the mock agent ended without a result"
        if trouble and not self._record.limited:  # a limit is no error of its own
            facts.append(self._record.failed(trouble))
        return Step(tuple(facts))
