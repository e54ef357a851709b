"""The four CLIs through `roost serve`: what is spawned at one door is seen, answered and ended at both."""

import os
import signal
import time

import msgspec
import pytest

from acceptance.clis.cast import CAST, Cli
from acceptance.clis.doors import agree
from acceptance.clis.theatre import Theatre, alive, gone
from acceptance.house import until
from roost.keepers.kept import Who

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
    assert "4711" in result["output"] or cli.name == "gemini", "which tells the client of no output in this mode"
    assert [frame["granted"] for frame in by_socket.of("permission")] == [True]
    gone(session)


@pytest.mark.parametrize("auto", [False, True], ids=["asking", "approved"])
def test_an_ended_session_goes_on_and_knows_what_was_said(theatre: Theatre, cli: Cli, auto: bool) -> None:
    session = theatre.spawn(cli.name, "[[think hm]] [[say hello there]] MARZIPAN", auto_approve=auto)
    by_socket = theatre.listen(session)
    assert theatre.completed(session) == "hello there"
    before = len(theatre.model.requests)
    theatre.age(theatre.yard.folder)
    theatre.ask("POST", f"/sessions/{session}/input", {"message": "[[say and two]]"})
    by_socket.until("session_ended", times=2)
    assert theatre.completed(session) == "and two"
    assert "MARZIPAN" in str([request["body"] for request in theatre.model.requests[before:]])
    assert [frame["resumed"] for frame in by_socket.of("session_started")] == [False, True]
    assert [frame["content"] for frame in by_socket.of("assistant_message")] == ["hello there", "and two"]
    assert len({frame["provider_session_id"] for frame in by_socket.of("session_ended")}) == 1
    gone(session)


def test_a_call_that_is_rejected_does_not_run(theatre: Theatre, cli: Cli) -> None:
    work = theatre.work()
    prompt = f"{cli.run('echo made > made.txt; echo 4711')} [[say then not]]"
    session = theatre.spawn(cli.name, prompt, root=str(work))
    wait = theatre.wait(session)
    answer = {"confirmation": "reject", "reason": "the KEY is in there"}
    assert theatre.api.post(f"/api/waits/{wait['id']}", answer).status == 200
    theatre.over(session)
    assert not (work / "made.txt").exists()
    events = theatre.events(session)
    (result,) = [event for event in events if event["type"] == "tool_result"]
    (permission,) = [event for event in events if event["type"] == "permission"]
    assert not result["success"]
    assert not [event for event in events if event["type"] == "tool_call"]
    assert permission == {**permission, "granted": False, "description": "the KEY is in there"}
    if cli.name == "claude":
        assert "the KEY" in str(theatre.model.requests[-1]["body"])
    assert theatre.api.post(f"/api/waits/{wait['id']}", {"confirmation": "approve"}).status == 409
    gone(session)


def test_a_cancel_in_mid_turn_leaves_nothing(theatre: Theatre, cli: Cli) -> None:
    work = theatre.work()
    prompt = f"{cli.run('touch started; tail -f /dev/null')} [[say late]]"
    session = theatre.spawn(cli.name, prompt, root=str(work), auto_approve=True)
    until((work / "started").exists, timeout=60)
    place = theatre.place(session)
    until(lambda: any("tail -f" in command for command in alive(session).values()))
    theatre.listen(session).until("tool_call")  # a CLI may say so later than it does so
    start = time.monotonic()
    theatre.ask("POST", f"/sessions/{session}/cancel", {"reason": "enough"})
    assert "cancelled" in theatre.failed(session)
    gone(session)
    assert time.monotonic() - start < 20
    until(lambda: not place.exists())
    assert len([event for event in theatre.events(session) if event["type"] == "tool_result"]) == 1


def test_a_cancel_by_the_other_door_withdraws_what_was_asked(theatre: Theatre, cli: Cli) -> None:
    session = theatre.spawn(cli.name, f"{cli.run('touch started')} [[say late]]")
    by_socket, wait = theatre.listen(session), theatre.wait(session)
    assert theatre.api.post(f"/api/sessions/{session}/cancel").status == 200
    by_socket.until("session_ended")
    assert "cancelled" in theatre.failed(session)
    assert theatre.api.post(f"/api/waits/{wait['id']}", {"confirmation": "approve"}).status == 409
    (result,) = by_socket.of("tool_result")
    assert not result["success"]
    gone(session)


def test_a_cli_that_crashes_fails_its_session(theatre: Theatre, cli: Cli) -> None:
    session = theatre.spawn(cli.name, f"[[drip 0.3]] [[say {'word ' * 200}]]")
    by_events = theatre.follow(session)
    by_events.until("agent_choice", timeout=60)
    who = msgspec.json.decode((theatre.place(session) / "run.json").read_bytes(), type=Who)
    os.kill(who.program, signal.SIGKILL)
    error = theatre.failed(session)
    assert error.startswith(f"{cli.name} was killed by signal 9 (SIGKILL)"), error
    gone(session)


def test_a_model_that_refuses_is_told_in_words_and_in_time(theatre: Theatre, cli: Cli) -> None:
    refused = theatre.spawn(cli.name, "[[status 401]] hello", auto_approve=True, timeout="40s")
    limited = theatre.spawn(cli.name, "[[status 429]] hello", auto_approve=True, timeout="40s")
    error = theatre.failed(refused)
    assert "401" in error or "logged in" in error, error
    gone(refused)
    until(lambda: theatre.status(limited)["status"] != "running", timeout=60)
    gone(limited)
    status, hits = theatre.status(limited), [f for f in theatre.events(limited) if f["type"] == "usage_limit_hit"]
    if hits:  # it sleeps until the limit is over
        assert hits[0]["scheduled_resume_at"]
        assert status["status"] == "idle"
    said = hits[0]["raw"] if hits else status["error"]
    assert "429" in said or "limit" in said.lower()
    if hits:
        theatre.ask("POST", f"/sessions/{limited}/cancel")
        assert "cancelled" in theatre.failed(limited)


def test_a_cli_that_is_not_installed_is_a_sentence(bare: Theatre) -> None:
    for name in CAST:
        session = bare.spawn(name, "hello")
        error = bare.failed(session)
        assert error.startswith(f"{name} is not installed"), error
        assert "npm install -g" in error
        assert not alive(session)
