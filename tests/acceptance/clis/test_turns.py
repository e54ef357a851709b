"""The four CLIs through `roost serve`: what is spawned at one door is seen, answered and ended at both."""

import os
import signal
from typing import Any

import pytest

from acceptance.clis.cast import Cli
from acceptance.clis.doors import agree
from acceptance.clis.theatre import Theatre, alive, gone
from acceptance.house import until

pytestmark = pytest.mark.clis


def test_what_one_door_spawns_both_show_and_the_other_answers(theatre: Theatre, cli: Cli) -> None:
    work = theatre.work()
    prompt = f"[[think hm]] [[say first]] {cli.run('echo made > made.txt; echo 4711')} [[say all is done]]"
    session = theatre.spawn(cli.name, prompt, root=str(work))
    by_socket, by_events = theatre.listen(session), theatre.follow(session)
    asked = by_events.until("tool_call_confirmation", timeout=60)
    assert "made.txt" in asked.event["tool_call"]["function"]["arguments"]
    assert theatre.status(session)["waits"] == 1
    assert not (work / "made.txt").exists()
    assert theatre.api.resume(session, "approve").status == 200
    by_socket.until("session_ended")
    assert theatre.completed(session) == "all is done"
    assert (work / "made.txt").read_text() == "made\n"
    by_events.until("stream_stopped")
    agree(theatre, session, by_socket, by_events)
    (result,) = by_socket.of("tool_result")
    assert result["success"]
    assert "4711" in result["output"]
    assert [frame["granted"] for frame in by_socket.of("permission")] == [True]
    gone(session)
