"""What a run has printed, kept past its end, and told to a new dialog from the first line on."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from acceptance.clis.theatre import Theatre
from roost.core import events as e
from roost.core.messages import Message
from roost.drivers.catalogue import drivers
from roost.engine.launch import recalled
from roost.ports import Exit, Input

PARTS = ("out", "err", "in.jsonl", "note")
ADDED = (e.RunRead, e.RunStarted, e.RunEnded, e.WaitAnswered, e.WaitVoided, e.TurnResumed, e.MessageQueued, e.ErrorMet)
"""What the engine itself writes while a run is on, or moves to the end of the turn."""


def keep(theatre: Theatre, session: str, folder: Path) -> Path:
    """Hold on to the files of the session's run: they grow on, and stay when it is cleared."""
    place = theatre.place(session)
    folder.mkdir()
    for name in PARTS:
        os.link(place / name, folder / name)
    return folder


def whole(theatre: Theatre, session: str, kept: Path) -> None:
    """Nothing that the spool has is missing in the log, doubled, or in another order."""
    log = [event.fact for event in theatre.facts(session)]
    (started,) = [fact for fact in log if isinstance(fact, e.RunStarted)]
    (ended,) = [fact for fact in log if isinstance(fact, e.RunEnded)]
    written = log[log.index(started) : log.index(ended)]
    told = _told(kept, started, Exit(code=ended.code, signal=ended.signal, killed=ended.killed))
    for kind in (e.StderrAdded, None):
        assert _bare(written, kind) == _bare(told, kind)
    called = [fact.call.id for fact in written if isinstance(fact, e.ToolCalled)]
    assert len(called) == len(set(called))
    assert {fact.call.id for fact in told if isinstance(fact, e.ToolCalled)} <= set(called)


def _told(kept: Path, started: e.RunStarted, exit: Exit) -> list[e.Fact]:
    dialog = drivers(mock=True)[started.provider].open(recalled((kept / "note").read_text(), {}))
    given = [msgspec.json.decode(line, type=Input) for line in (kept / "in.jsonl").read_bytes().splitlines()]
    facts: list[e.Fact] = []
    at = 0
    for line in (kept / "out").read_bytes().split(b"\n")[:-1]:
        while given and given[0].at <= at:
            dialog.sent(given.pop(0))
        facts += dialog.feed(line).facts
        at += len(line) + 1
    for line in (kept / "err").read_bytes().split(b"\n")[:-1]:
        facts += dialog.complain(line).facts
    return [*facts, *dialog.end(exit).facts]


def _bare(facts: Iterable[e.Fact], kind: type[e.Fact] | None) -> Sequence[Any]:
    """Facts without what only the present adds; calls are looked at apart, for some begin with an answer."""
    if kind is not None:
        return [fact for fact in facts if isinstance(fact, kind)]
    left = (*ADDED, e.StderrAdded, e.ToolCalled)
    return [_plain(fact) for fact in facts if not isinstance(fact, left)]


def _plain(fact: e.Fact) -> e.Fact:
    match fact:
        case e.MessageAdded(message=Message() as message):
            return replace(fact, message=replace(message, at=0))
        case e.UsageAdded():
            return replace(fact, total_cost=0.0, input_tokens=0, output_tokens=0, unpriced=False)
        case _:
            return fact
