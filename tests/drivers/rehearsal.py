"""A dialog on stage without a program: captured lines in, facts and inputs out, and the same again after a restart."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roost.core import events as e
from roost.core.ids import LogId, Micros, RunId, SessionId, TurnId, WaitId
from roost.core.session import Head, fold
from roost.ports import Dialog, Driver, Errand, Exit, Input, Step

CAPTURES = Path(__file__).parent / "captures"
CWD = "/tmp/demo"
AT = Micros(1_795_000_000_000_000)


def errand(prompt: str = "hello", **more: Any) -> Errand:
    """An errand in the folder of the captures."""
    given: dict[str, Any] = {
        "program": "/bin/cli",
        "model": "",
        "working_dir": CWD,
        "folder": "/tmp/demo/run",
        "env": {},
    }
    given |= {"fresh_session": "11111111-2222-4333-8444-555555555555", "started_at": AT}
    return Errand(run=RunId("run"), session=SessionId("s"), prompt=prompt, **{**given, **more})


@dataclass
class Rehearsal:
    """Feeds one dialog as a turn would, and remembers everything, so that it can be played again from the start."""

    driver: Driver
    errand: Errand
    facts: list[e.Fact] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    script: list[bytes | Input] = field(default_factory=list)  # lines and inputs in their order
    marks: list[tuple[int, int]] = field(default_factory=list)  # after each line: length of script, of facts

    def __post_init__(self) -> None:
        self.launch = self.driver.launch(self.errand)
        self.dialog: Dialog = self.driver.open(self.errand)
        self.from_lines: list[e.Fact] = []
        self._send(self.launch.inputs)

    def feed(self, line: bytes) -> Step:
        """A line of stdout, and whatever it brings about."""
        step = self.dialog.feed(line)
        self.script.append(line)
        self.facts += step.facts
        self.from_lines += step.facts
        self.marks.append((len(self.script), len(self.from_lines)))
        self._send(step.inputs)
        return step

    def complain(self, lines: Iterable[bytes]) -> None:
        """Lines of stderr."""
        for line in lines:
            self.facts += self.dialog.complain(line).facts

    def say(self, key: str, text: str) -> bool:
        """A message; whether it was taken."""
        return self.act(self.dialog.say(key, text))

    def answer(self, wait: WaitId, answer: e.Answer) -> None:
        """An answer, with its own fact before what it brings about."""
        self.facts.append(e.WaitAnswered(wait, answer))
        self.act(self.dialog.answer(wait, answer))

    def act(self, step: Step | None) -> bool:
        """A step that no line has caused."""
        if step is not None:
            self.facts += step.facts
            self._send(step.inputs)
        return step is not None

    def end(self, exit: Exit) -> list[e.Fact]:
        """It ends."""
        last = list(self.dialog.end(exit).facts)
        self.facts += last
        return last

    def _send(self, inputs: Sequence[Input]) -> None:
        known = {given.id for given in self.inputs}
        for given in inputs:
            if given.id not in known:
                self.inputs.append(given)
                self.script.append(given)
                self.dialog.sent(given)

    def relive(self, cut: int) -> Dialog:
        """A new dialog that was told all up to the cut, as a later server's would be."""
        dialog, known = self.driver.open(self.errand), set[str]()
        for said in self.script[:cut]:
            if isinstance(said, Input):
                known.add(said.id)
                dialog.sent(said)
            else:
                dialog.feed(said)
        return dialog

    def check_adoption(self) -> None:
        """After a restart behind any line the rest of the facts are the same, and nothing is said twice."""
        for length, known in self.marks:
            dialog, facts = self.relive(length), list[e.Fact]()
            for said in self.script[length:]:
                if isinstance(said, Input):
                    dialog.sent(said)
                else:
                    facts += dialog.feed(said).facts
            assert facts == self.from_lines[known:]
            assert (dialog.ready, dialog.pending) == (self.dialog.ready, self.dialog.pending)

    @property
    def sent(self) -> list[Any]:
        """What the CLI was told, decoded."""
        return [json.loads(given.line) for given in self.inputs if given.line.startswith("{")]

    def of(self, kind: type[Any]) -> list[Any]:
        """The facts of one kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


def check(facts: Sequence[e.Fact]) -> Head:
    """What holds for every run, however it went; the head of a session with these facts."""
    check_answers(facts)
    check_calls(facts)
    opened = {fact.wait for fact in facts if isinstance(fact, e.WaitOpened)}
    closed = [fact.wait for fact in facts if isinstance(fact, e.WaitAnswered | e.WaitVoided)]
    assert sorted(opened) == sorted(closed)
    for fact in facts:
        assert e.decode(e.encode(fact)) == fact
    born = e.SessionCreated(e.Template())
    began = e.TurnOpened(TurnId("t"), "s", "a", CWD, driver="x")
    log = [born, began, *facts]
    return fold(e.Event(LogId("s"), seq, AT, fact) for seq, fact in enumerate(log, 1))


def check_answers(facts: Sequence[e.Fact]) -> None:
    """Every answer begins once and ends once, and its deltas are what its message says."""
    open_answers: dict[str, str] = {}
    for fact in facts:
        match fact:
            case e.ModelAsked(answer=answer):
                assert answer not in open_answers
                open_answers[answer] = ""
            case e.TextAdded(answer=answer, text=text):
                open_answers[answer] += text
            case e.MessageAdded(answer=answer, message=message) if answer:
                assert message is not None
                streamed = open_answers.pop(answer)
                assert not streamed or message.content == streamed
            case e.AnswerDropped(answer=answer):
                open_answers.pop(answer)
    assert not open_answers


def check_calls(facts: Sequence[e.Fact]) -> None:
    """Every call of a message starts at most once, returns once, and its result enters the history."""
    listed: list[str] = []
    called: list[str] = []
    returned: list[str] = []
    entered: list[str] = []
    for fact in facts:
        match fact:
            case e.MessageAdded(message=message) if message is not None:
                listed += [call.id for call in message.calls]
            case e.MessageAdded(call=call):
                assert call in returned
                entered.append(call)
            case e.ToolCalled(call=tool):
                assert tool.id in listed
                assert tool.id not in returned
                called.append(tool.id)
            case e.ToolReturned(call=tool):
                returned.append(tool.id)
    assert len(set(listed)) == len(listed)
    assert len(set(called)) == len(called)
    assert sorted(listed) == sorted(returned) == sorted(entered)


def lines(cli: str, case: str, kind: str = "stdout.jsonl") -> list[bytes]:
    """The lines of a capture; none where there is none of this kind."""
    path = CAPTURES / cli / f"{case}.{kind}"
    return path.read_bytes().splitlines() if path.exists() else []


def exits(cli: str) -> dict[str, int]:
    """How the captured runs of a CLI ended; below zero is a signal."""
    found = {path.name.split(".")[0]: json.loads(path.read_text()) for path in (CAPTURES / cli).glob("*.meta.json")}
    return {case: meta["rc"] for case, meta in found.items()}


def ended(code: int, *, killed: bool = False) -> Exit:
    """The exit of a run that ended so."""
    return Exit(code=None, signal=-code, killed=killed) if code < 0 else Exit(code=code, killed=killed)


def text(facts: Iterable[e.Fact]) -> list[str]:
    """What the model said, message by message."""
    messages = [fact.message for fact in facts if isinstance(fact, e.MessageAdded) and fact.message is not None]
    return [message.content for message in messages]
