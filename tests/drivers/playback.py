"""Captured output of the CLIs, played to their drivers as a turn would play it."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roost.core import events as e
from roost.core.ids import Micros, RunId, SessionId, WaitId
from roost.drivers.acp import OPENCODE, QWEN, Acp
from roost.drivers.claude import Claude
from roost.drivers.codex import Codex
from roost.drivers.copilot import Copilot
from roost.drivers.gemini import Gemini
from roost.drivers.mock import Mock
from roost.drivers.ollama import Ollama
from roost.ports import Dialog, Driver, Errand, Exit, Input

CAPTURES = Path(__file__).parent / "captures"
DRIVERS: dict[str, Callable[[], Driver]] = {
    "claude": lambda: Claude(root=False),
    "codex": Codex,
    "copilot": Copilot,
    "gemini": Gemini,
    "mock": Mock,
    "ollama": Ollama,
    "opencode": lambda: Acp(OPENCODE),
    "qwen": lambda: Acp(QWEN),
}


def errand(**more: Any) -> Errand:
    """An errand for a run that is not started."""
    given: dict[str, Any] = {
        "run": RunId("run"),
        "session": SessionId("s"),
        "program": "cli",
        "prompt": "hello",
        "model": "",
        "working_dir": "/tmp/demo",
        "folder": "/run/folder",
        "env": {"HOME": "/tmp/demo/home"},
        "fresh_session": "11111111-2222-4333-8444-555555555555",
        "started_at": Micros(1_795_000_000_000_000),
    }
    return Errand(**{**given, **more})


@dataclass(frozen=True)
class Case:
    """One captured run."""

    cli: str
    name: str
    lines: tuple[bytes, ...]
    errors: tuple[bytes, ...]
    exit: Exit
    command: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.cli}/{self.name}"

    @property
    def errand(self) -> Errand:
        """What it was for: without questions, since none could be asked."""
        resumed = next((word for word in self.command if word in ("resume", "--resume")), "")
        auto = self.cli != "claude" or "--dangerously-skip-permissions" in self.command
        return errand(auto_approve=auto, resume="11111111-2222-4333-8444-555555555555" if resumed else "")


def cases(cli: str) -> list[Case]:
    """All captured runs of a CLI that printed lines."""
    return [_case(cli, path) for path in sorted((CAPTURES / cli).glob("*.meta.json"))]


def _case(cli: str, path: Path) -> Case:
    meta = json.loads(path.read_text())
    name = path.name.removesuffix(".meta.json")
    code: int = meta["rc"]
    return Case(
        cli=cli,
        name=name,
        lines=_lines(path.with_name(f"{name}.stdout.jsonl")),
        errors=_lines(path.with_name(f"{name}.stderr.txt")),
        exit=Exit(code=None if code < 0 else code, signal=max(0, -code)),
        command=tuple(meta["cmd"]),
    )


def _lines(path: Path) -> tuple[bytes, ...]:
    return tuple(path.read_bytes().splitlines()) if path.exists() else ()


def dialog(cli: str, name: str) -> list[tuple[str, bytes]]:
    """A captured dialog: `>` what the host said, `<` what the CLI did."""
    lines = (CAPTURES / cli / f"{name}.dialog.jsonl").read_bytes().splitlines()
    return [(line[:1].decode(), line[2:]) for line in lines]


def spoken(cli: str) -> list[bytes]:
    """All lines that a CLI has printed in captured dialogs."""
    names = [path.name.removesuffix(".dialog.jsonl") for path in sorted((CAPTURES / cli).glob("*.dialog.jsonl"))]
    return [line for name in names for direction, line in dialog(cli, name) if direction == "<"]


@dataclass(frozen=True)
class Answering:
    """A person answers the newest question."""

    answer: e.Answer


@dataclass(frozen=True)
class Saying:
    """A message for the CLI."""

    key: str
    text: str


@dataclass(frozen=True)
class Interrupting:
    """The round is to end."""

    key: str = "k"


@dataclass(frozen=True)
class Closing:
    """No more messages."""


Act = bytes | Input | Answering | Saying | Interrupting | Closing | Exit


@dataclass
class Playback:
    """One dialog, what was done to it in order, and what it made of each act.

    `acts` can be played again from any cut: lines and written inputs are fed anew, what people did is not.
    """

    driver: Driver
    errand: Errand
    acts: list[Act] = field(default_factory=list)
    made: list[tuple[e.Fact, ...]] = field(default_factory=list)  # by each act
    waits: list[WaitId] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dialog: Dialog = self.driver.open(self.errand)
        self.inputs: list[Input] = []
        self._written: set[str] = set()
        self._write(self.driver.launch(self.errand).inputs)

    @property
    def facts(self) -> list[e.Fact]:
        """Everything it made."""
        return [fact for facts in self.made for fact in facts]

    def do(self, *acts: Act) -> None:
        """Play, as a turn would."""
        for act in acts:
            facts, inputs = perform(self.dialog, act, self.waits)
            self.acts.append(act)
            self.made.append(facts)
            self.waits += [fact.wait for fact in facts if isinstance(fact, e.WaitOpened)]
            self._write(inputs)

    def _write(self, inputs: Iterable[Input]) -> None:
        for given in inputs:
            if given.id not in self._written:
                self._written.add(given.id)
                self.inputs.append(given)
                self.dialog.sent(given)
                self.acts.append(given)
                self.made.append(())


def perform(dialog: Dialog, act: Act, waits: Sequence[WaitId]) -> tuple[tuple[e.Fact, ...], tuple[Input, ...]]:
    """One act, and what comes of it."""
    match act:
        case bytes():
            step = dialog.feed(act)
        case Input():
            dialog.sent(act)
            return (), ()
        case Answering(answer):
            step = dialog.answer(waits[-1], answer)
        case Saying(key, text):
            said = dialog.say(key, text)
            assert said is not None
            step = said
        case Interrupting(key):
            asked = dialog.interrupt(key)
            assert asked is not None
            step = asked
        case Closing():
            step = dialog.close()
        case Exit():
            step = dialog.end(act)
    return step.facts, step.inputs


def replay(played: Playback, cut: int) -> list[e.Fact]:
    """What a new dialog makes of the acts from `cut` on, having been fed lines and inputs up to there."""
    dialog = played.driver.open(played.errand)
    for act in played.acts[:cut]:
        if isinstance(act, bytes | Input):
            perform(dialog, act, ())
    facts: list[e.Fact] = []
    for number, act in enumerate(played.acts[cut:], cut):
        asked = [fact.wait for made in played.made[:number] for fact in made if isinstance(fact, e.WaitOpened)]
        facts += perform(dialog, act, asked)[0]
    return facts


def play(case: Case) -> Playback:
    """A captured run from its first line to its end."""
    played = Playback(DRIVERS[case.cli](), case.errand)
    played.do(*case.lines)
    for line in case.errors:
        played.made.append(played.dialog.complain(line).facts)
        played.acts.append(b"")  # an empty line: so that acts and what they made stay side by side
    played.do(case.exit)
    return played
