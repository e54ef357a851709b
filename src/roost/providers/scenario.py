"""What a scripted model says: a YAML scenario, checked, and where in it a conversation stands.

```yaml
title: Weather in Paris          # what a request for a title gets
delay: 0.02                      # seconds before each chunk, unless a step says otherwise
chunk: 12                        # characters of a chunk
context_limit: 8000              # the window it claims to have
turns:
- when: (?i)weather              # a regular expression on what the user said; may match any number of times
  answers:                       # one for each request of the turn: the first, the one after the tools …
  - - reasoning: I should look it up.
    - call: {name: weather, arguments: {city: Paris}}
  - - text: "It is {{tool}} in Paris."
- say: Hello!                    # without `when`: these answer the user's other messages, in order
- answers: [[{fail: {status: 429, times: 1}}, {text: Here again.}]]
  repeat: true                   # the last one, for all that comes after
```

An answer is a text or a list of steps.  Steps: `text`, `reasoning` (each with `chunk`, `delay`), `call`
(`name`, `arguments` as a mapping or as raw text, `id`, `chunk`), `calls` (several in parallel, their pieces
mixed), `wait` (seconds), `usage`, `finish` (a reason), `fail` (`status`, `kind`, `message`, `retry_after`,
`times`), `cut`, `hang` (seconds until a timeout; `true` is for ever).  In texts and arguments `{{user}}` is what
the user said last, `{{tool}}` what the last tool returned.

Which answer comes next follows from the conversation alone, so a restarted server goes on where it was.  Only
`times` is counted in memory.
"""

import os
import re
import stat
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from roost.core.errors import BadModel
from roost.core.messages import Message
from roost.providers.parts import plain

MOST = 1024 * 1024  # bytes of a scenario's file


class Call(Struct, frozen=True, forbid_unknown_fields=True):
    """A tool call."""

    name: str
    arguments: dict[str, Any] | str = {}
    id: str = ""
    chunk: int | None = None


class Failure(Struct, frozen=True, forbid_unknown_fields=True):
    """A request that fails; `times` says how often, before it goes on."""

    status: int = 0
    kind: str = ""
    message: str = ""
    retry_after: float | None = None
    times: int | None = None


class Tokens(Struct, frozen=True, forbid_unknown_fields=True):
    """Usage, in the words of `core.usage.Usage`."""

    input: int = 0
    output: int = 0
    cached_input: int = 0
    cached_write: int = 0
    reasoning: int = 0


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that an answer does."""

    text: str | None = None
    reasoning: str | None = None
    call: Call | None = None
    calls: list[Call] | None = None
    wait: float | None = None
    usage: Tokens | None = None
    finish: str | None = None
    fail: Failure | None = None
    cut: bool = False
    hang: bool | float = False
    chunk: int | None = None
    delay: float | None = None


Answer = str | Step | list[Step]


class Turn(Struct, frozen=True, forbid_unknown_fields=True):
    """What answers one message of the user."""

    when: str = ""
    say: str | None = None
    answers: list[Answer] = []
    repeat: bool = False

    @property
    def all(self) -> list[list[Step]]:
        """The answers, each as steps."""
        answers = [self.say, *self.answers] if self.say is not None else self.answers
        return [_steps(answer) for answer in answers]


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """All that a scripted model has to say."""

    turns: list[Turn] = []
    title: str = ""
    delay: float = 0.0
    chunk: int = 12
    context_limit: int = 0


class Place(Struct, frozen=True):
    """Where a conversation stands: the turn that answers, how often it was asked, and what was said."""

    turn: Turn | None
    round: int  # 0 is the first request of the turn
    group: int  # which message of the user this is, from 0
    user: str
    tool: str


def parse(data: Any, name: str) -> Scenario:
    """Check a scenario.

    Raises:
        BadModel: it is none; the message says where.
    """
    try:
        scenario = msgspec.convert(data, Scenario)
        for turn in scenario.turns:
            re.compile(turn.when)
    except msgspec.ValidationError as error:
        raise BadModel(f"the scenario {name} is wrong: {error}") from error
    except re.error as error:
        raise BadModel(f"the scenario {name} has a `when` that is no regular expression: {error}") from error
    return scenario


def read(path: Path) -> Scenario:
    """The scenario in a file.

    Raises:
        BadModel: there is none.
    """
    try:
        data = yaml.load(_text(path), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise BadModel(f"the scenario {path} can't be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadModel(f"the scenario {path} is no YAML: {error}") from error
    return parse(data if data is not None else {}, str(path))


def _text(path: Path) -> str:
    """What a file holds; one without an end, or a pipe that nobody writes into, is none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BadModel(f"the scenario {path} is no regular file")
        raw = file.read(MOST + 1)
    if len(raw) > MOST:
        raise BadModel(f"the scenario {path} is larger than {MOST} bytes")
    return raw.decode("utf-8")


def find(scenario: Scenario, messages: tuple[Message, ...]) -> Place:
    """Where the conversation stands.  Neighbouring messages of the user count as one."""
    groups: list[str] = []
    rounds, tool, before = 0, "", ""
    for message in messages:
        match message.role:
            case "user" if before == "user":
                groups[-1] = f"{groups[-1]}\n{plain(message, {})}"
            case "user":
                groups.append(plain(message, {}))
                rounds = 0
            case "assistant":
                rounds += 1
            case "tool":
                tool = message.content
            case "system":
                continue
        before = message.role
    others = sum(1 for text in groups[:-1] if _matching(scenario, text) is None)
    user = groups[-1] if groups else ""
    turn = _matching(scenario, user) or _next(scenario, others)
    return Place(turn, rounds, max(len(groups) - 1, 0), user, tool)


def steps(place: Place) -> list[Step] | None:
    """The answer that is due, or None where the scenario has come to its end."""
    if place.turn is None or not (answers := place.turn.all):
        return None
    if place.round < len(answers):
        return answers[place.round]
    return answers[place.round % len(answers)] if place.turn.repeat else None


def filled(value: Any, place: Place) -> Any:
    """A text, or all texts in a value, with the words of the conversation put in."""
    if isinstance(value, str):
        return value.replace("{{user}}", place.user).replace("{{tool}}", place.tool)
    if isinstance(value, dict):
        return {key: filled(inner, place) for key, inner in value.items()}
    return [filled(inner, place) for inner in value] if isinstance(value, list) else value


def _matching(scenario: Scenario, text: str) -> Turn | None:
    return next((turn for turn in scenario.turns if turn.when and re.search(turn.when, text)), None)


def _next(scenario: Scenario, number: int) -> Turn | None:
    plain_ones = [turn for turn in scenario.turns if not turn.when]
    if number < len(plain_ones):
        return plain_ones[number]
    return plain_ones[-1] if plain_ones and plain_ones[-1].repeat else None


def _steps(answer: Answer) -> list[Step]:
    match answer:
        case str():
            return [Step(text=answer)]
        case Step():
            return [answer]
        case _:
            return answer
