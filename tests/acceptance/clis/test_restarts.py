"""A server that is killed under the four CLIs: they work on, the next one takes them over, and nobody misses a line."""

from pathlib import Path

import msgspec
import pytest

from acceptance.clis import spool
from acceptance.clis.cast import Cli
from acceptance.clis.doors import agree
from acceptance.clis.theatre import Theatre, alive, gone
from acceptance.house import until
from roost.core import events as e
from roost.keepers.kept import Who

pytestmark = pytest.mark.clis


def program(theatre: Theatre, session: str) -> int:
    """The pid of the CLI itself."""
    path = theatre.place(session) / "run.json"
    until(path.exists)
    return msgspec.json.decode(path.read_bytes(), type=Who).program


def test_a_question_and_a_stream_outlive_the_server(stage: Theatre, cli: Cli, tmp_path: Path) -> None:
    text = " ".join(f"word{number}" for number in range(40))
    session = stage.spawn(cli.name, f"{cli.run('echo made > made.txt')} [[drip 0.05]] [[say {text}]]")
    by_socket, by_events = stage.listen(session), stage.follow(session)
    wait = stage.wait(session)
    kept, pid = spool.keep(stage, session, tmp_path / "kept"), program(stage, session)
    stage.front.kill()
    assert pid in alive(session)
    stage.open()
    assert stage.wait(session)["id"] == wait["id"]
    assert program(stage, session) == pid
    assert stage.api.post(f"/api/waits/{wait['id']}", {"confirmation": "approve"}).status == 200
    by_events.until("agent_choice", timeout=60)
    stage.front.kill()
    stage.open()
    by_socket.until("session_ended")
    assert stage.completed(session) == text
    by_events.until("stream_stopped")
    agree(stage, session, by_socket, by_events)
    spool.whole(stage, session, kept)
    log = [event.fact for event in stage.facts(session)]
    assert len([fact for fact in log if isinstance(fact, e.RunStarted)]) == 1
    assert len([fact for fact in log if isinstance(fact, e.WaitOpened)]) == 1
    assert len([fact for fact in log if isinstance(fact, e.ToolReturned)]) == 1
    gone(session)
    until(lambda: not list((stage.yard.home / "runs").iterdir()))


def test_a_cli_that_ends_while_no_server_is_there_has_ended_well(stage: Theatre, cli: Cli, tmp_path: Path) -> None:
    work = stage.work()
    prompt = f"{cli.run('touch started; until [ -e go ]; do sleep 0.05; done; echo 4711')} [[say all done]]"
    session = stage.spawn(cli.name, prompt, root=str(work), auto_approve=True)
    by_socket, by_events = stage.listen(session), stage.follow(session)
    until((work / "started").exists, timeout=60)
    kept, place = spool.keep(stage, session, tmp_path / "kept"), stage.place(session)
    stage.front.kill()
    (work / "go").touch()
    if cli.name == "claude":  # it waits for more, or for the end of its input
        until(lambda: b'"result"' in (kept / "out").read_bytes(), timeout=60)
    else:
        until((place / "exit.json").exists, timeout=60)
    stage.open()
    assert stage.completed(session) == "all done"
    by_socket.until("session_ended")
    by_events.until("stream_stopped")
    agree(stage, session, by_socket, by_events)
    spool.whole(stage, session, kept)
    (called,), (result,) = by_socket.of("tool_call"), by_socket.of("tool_result")
    assert (called["tool_kind"], called["tool_id"]) == ("shell", result["tool_id"])
    assert result["success"]
    assert "4711" in result["output"]
    assert not by_socket.of("permission")
    gone(session)
