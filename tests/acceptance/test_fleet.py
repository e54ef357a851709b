"""Twenty sessions at once: whatever becomes of some, all end rightly, and nothing of them stays."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acceptance.clis.theatre import Theatre, alive, gone, opened
from acceptance.house import until
from fakes import llm
from roost.keepers import keeper
from roost.keepers.kept import Who

FLOOD = 1 << 21


@pytest.fixture
def theatre(tmp_path: Path, fake_llm: llm.FakeLLM) -> Iterator[Theatre]:
    with opened(tmp_path, fake_llm, {}, "--enable-mock") as found:
        yield found


def play(*steps: dict[str, Any], **more: Any) -> str:
    return "@mock " + json.dumps({"steps": list(steps), **more})


def descriptors(theatre: Theatre) -> list[str]:
    """Where those of the server lead, but for the database's, of which readers open more as they are needed."""
    found = []
    for path in Path(f"/proc/{theatre.front.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return sorted(name for name in found if not name.startswith(str(theatre.db)))


def test_one_killed_one_hung_one_flooding_and_seventeen_more(theatre: Theatre) -> None:
    theatre.completed(theatre.spawn("mock", "hello", auto_approve=True))
    until(lambda: not list((theatre.yard.home / "runs").iterdir()))
    before = descriptors(theatre)
    plain = [theatre.spawn("mock", play({"sleep_s": 0.3}, {"say": f"plain {number}"})) for number in range(17)]
    killed = theatre.spawn("mock", play({"child": 991}, {"say": "on it"}, hang=True))
    hung = theatre.spawn("mock", play({"say": "on it"}, hang=True, ignore_signals=True))
    flooding = theatre.spawn("mock", play({"flood": FLOOD}, {"say": "was much"}))
    by_socket = {session: theatre.listen(session) for session in (killed, hung, flooding)}
    for session in (killed, hung):
        by_socket[session].until("assistant_message")
    who = msgspec.json.decode((theatre.place(killed) / "run.json").read_bytes(), type=Who)
    os.kill(who.program, signal.SIGKILL)
    theatre.ask("POST", f"/sessions/{hung}/cancel", {"reason": "enough"})
    assert "SIGKILL" in theatre.failed(killed)
    assert theatre.failed(hung) == "cancelled: enough"
    assert theatre.completed(flooding) == "was much"
    for number, session in enumerate(plain):
        assert theatre.completed(session) == f"plain {number}"
    for session in (*plain, killed, hung, flooding):
        gone(session)
        by_socket.get(session) and by_socket[session].stop()
    until(lambda: not list((theatre.yard.home / "runs").iterdir()))
    assert not [pid for pid in keeper.processes() if str(theatre.yard.home) in keeper.mark_of(pid)]
    assert not alive(killed)
    assert until(lambda: len(descriptors(theatre)) <= len(before)), (before, descriptors(theatre))
    shown = theatre.ask("GET", "/processes?limit=50")
    assert len(shown) == 21
    assert not [entry for entry in shown if entry["status"] == "running"]
