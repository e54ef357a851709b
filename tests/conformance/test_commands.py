"""Connecting, exec, following, interactive sessions and names that lead astray, with the real CLI (8.5.2 to 8.5.8)."""

import json
import os
import time
from pathlib import Path

import pytest

from acceptance.house import free_port, until
from acceptance.zag.remote import SECRET, Site, events_of, played, talk
from conformance.zag import Zag

SILENCE = float(os.environ.get("ROOST_SILENCE", "12"))  # seconds; ten minutes are 600
HANG = played(hang=True)


# -- 8.5.2, 8.5.6 ----------------------------------------------------------------------------------


def test_connecting_with_the_servers_token(alone: Zag, site: Site) -> None:
    alone.type("connect", f"{site.op.url}/", "--token", SECRET)
    assert alone.connection == {"url": site.op.url, "token": SECRET}
    assert alone.json("whoami")["status"] == "ok"
    alone.type("disconnect")
    assert alone.connection is None
    alone.type("connect", site.op.url.removeprefix("https://"), ZAG_CONNECT_TOKEN=SECRET)
    assert alone.connection["url"] == site.op.url
    assert isinstance(alone.json("session", "list"), list)


def test_connecting_to_nobody_and_with_nothing(alone: Zag, site: Site) -> None:
    alone.type("connect", f"https://127.0.0.1:{free_port()}", "--token", SECRET, code=1)
    alone.type("connect", site.op.url, code=1)
    assert alone.connection is None


def test_a_wrong_token_is_401(alone: Zag, site: Site, plain: Site) -> None:
    alone.connected(site.op.url, "wrong")
    assert "Invalid token" in alone.type("session", "list", code=1)
    assert alone.type("session", "list", code=1).count("401") == 1
    alone.connected(plain.op.url, "wrong")
    assert "401" in alone.type("subscribe", code=1)


def test_a_health_check_keeps_the_connection(alone: Zag, site: Site) -> None:
    alone.connected(site.op.url, SECRET)
    del alone.env["ZAG_NO_HEALTH_CHECK"]
    sessions = [site.op.spawn(HANG) for _ in range(10)]
    assert set(sessions) <= {one["session_id"] for one in alone.json("session", "list")}
    assert (alone.home / ".zag/health_cache").exists()
    assert alone.connection is not None
    for session in sessions:
        site.op.post(f"/sessions/{session}/cancel")
    site.op.ended(*sessions)


def test_logging_in(alone: Zag, plain: Site) -> None:
    site, home = plain, plain.folder / "ann"
    keeper = Zag(alone.home / "keeper", alone._program).connected(site.op.url, SECRET)
    keeper.type("user", "add", "-u", "ann", "--home-dir", str(home), "--password", "secret")
    assert [one["username"] for one in keeper.json("user", "list")] == ["ann"]
    assert "401" in alone.type("connect", site.op.url, "-u", "ann", "--password", "wrong", code=1)
    assert alone.connection is None
    alone.type("connect", site.op.url, "-u", "ann", "--password", "secret")
    assert alone.connection["username"] == "ann"
    session = alone.json("spawn", "hello", "-p", "mock")["session_id"]
    alone.type("wait", session)
    assert alone.json("session", "show", session)["worktree_path"] == str(home)
    assert "403" in alone.type("user", "list", code=1)
    assert "403" in alone.type("spawn", "x", "-p", "mock", "-r", "/etc", code=1)
    foreign = site.op.done()
    assert "404" in alone.type("session", "show", foreign, code=1)
    keeper.type("user", "remove", "ann")
    assert "401" in alone.type("session", "list", code=1)


# -- 8.5.3 -----------------------------------------------------------------------------------------


def test_exec_from_end_to_end(zag: Zag) -> None:
    assert zag.type("exec", talk("There are 128 tests."), "-p", "mock") == "There are 128 tests.\n"
    whole = json.loads(zag.type("exec", talk("x"), "-p", "mock", "-o", "json"))
    assert (whole["result"], set(whole)) == ("x", {"session_id", "result"})


def test_exec_with_a_long_silence(zag: Zag) -> None:
    began = time.monotonic()
    assert zag.type("exec", played({"sleep_s": SILENCE}, {"say": "at last"}), "-p", "mock") == "at last\n"
    assert time.monotonic() - began >= SILENCE


def test_exec_of_what_fails(zag: Zag) -> None:
    assert "no way" in zag.type("exec", played(fail="no way"), "-p", "mock", code=1)
    assert "404" in zag.type("exec", played(steps=[], exit_code=3), "-p", "mock", code=1)


# -- 8.5.4, 8.5.5 ----------------------------------------------------------------------------------


def lines(text: str) -> list[dict[str, object]]:
    return [one for one in map(json.loads, text.splitlines()) if one["type"] != "heartbeat"]


def test_listening_from_the_spawns_answer_to_the_end(wire: Zag, plain: Site) -> None:
    for _ in range(5):
        session = plain.op.spawn(played({"say": "one"}, {"tool": "Bash"}, {"tool_ok": "x"}))
        heard = lines(wire.type("listen", session))
        assert heard == plain.op.events(session)
        assert (events_of(heard)[0], events_of(heard)[-1]) == ("session_started", "session_ended")


def test_listening_to_what_has_ended_and_to_what_is_not_there(wire: Zag, plain: Site) -> None:
    session = plain.op.done()
    assert lines(wire.type("listen", session)) == plain.op.events(session)
    assert "404" in wire.type("listen", "c0ffee00-0000-4000-8000-000000000000", code=1)


def test_two_listeners_and_one_that_vanishes(wire: Zag, plain: Site) -> None:
    barrier = plain.barrier("listened")
    session = plain.op.spawn(played({"say": "one"}, barrier.step, {"say": "three"}))
    with (
        wire.start("listen", session) as first,
        wire.start("listen", session) as gone,
        wire.start("listen", session) as last,
    ):
        for one in (first, gone, last):
            assert one.stdout is not None
            assert json.loads(one.stdout.readline())["type"] == "session_started"
        gone.kill()
        gone.communicate(timeout=30)
        barrier.lift("two")
        rests = [one.stdout.read() for one in (first, last) if one.stdout is not None]  # what was read ahead included
    assert (first.returncode, last.returncode) == (0, 0)
    assert [lines(rest) for rest in rests] == [plain.op.events(session)[1:]] * 2


def test_watching_fires_once_and_on_that_event_only(wire: Zag, plain: Site, tmp_path: Path) -> None:
    session = plain.op.spawn(played({"say": "one"}, {"say": "two"}))
    fired = tmp_path / "fired"
    command = ["sh", "-c", f'printf "%s\\n" "$ZAG_EVENT" >> {fired}']
    wire.type("watch", session, "--on", "session_ended", "--once", "--", *command)
    [event] = lines(fired.read_text())
    assert (event["type"], event["wrapper_session_id"]) == ("session_ended", session)


def test_subscribing_hears_of_a_session_that_is_born_later(wire: Zag, plain: Site) -> None:
    with wire.start("subscribe", "--tag", "born", "--filter", "session_ended") as listening:
        assert listening.stdout is not None
        found: list[str] = []
        session = ""
        while not found:  # it hears only of what comes after it has connected
            session = plain.op.done(tags=["born"])
            found = until_line(listening.stdout.fileno())
        listening.kill()
        listening.communicate(timeout=30)
    event = json.loads(found[0])
    assert event["type"] == "session_ended"
    assert event["wrapper_session_id"] == session or plain.op.get(f"/sessions/{event['wrapper_session_id']}")


def until_line(descriptor: int) -> list[str]:
    os.set_blocking(descriptor, False)
    try:
        return os.read(descriptor, 1 << 16).decode().splitlines()
    except BlockingIOError:
        return []


# -- 8.5.7 -----------------------------------------------------------------------------------------


def test_an_interactive_session_with_three_inputs(zag: Zag, site: Site) -> None:
    session = zag.json("spawn", "-I", "-p", "mock")["session_id"]
    for text in ("one", "two", "three"):
        assert zag.json("input", "--session", session, talk(text)) == {"status": "sent", "interactive": True}
    said = site.op.until(session, "assistant_message", 3)
    assert [one["content"] for one in said] == ["one", "two", "three"]
    zag.type("cancel", session)
    assert zag.json("wait", session)[0]["error"] == "cancelled: cancelled by user"
    asked = [one["content"] for one in json.loads(zag.type("events", session, "--type", "user_message"))]
    assert asked == [talk(text) for text in ("one", "two", "three")]


# -- 8.5.8 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["..%2F..%2Fserve.toml", "%2Fetc%2Fpasswd", "a%00b", "x" * 300, ".hidden"])
def test_names_that_lead_astray(zag: Zag, site: Site, name: str) -> None:
    for words in (
        ["session", "show", name],
        ["session", "delete", name],
        ["session", "update", name, "--name", "x"],
        ["status", name],
        ["events", name],
        ["output", name],
        ["env", name],
        ["input", "--session", name, "x"],
        ["log", "x", "--session", name],
        ["wait", name],
        ["ps", "show", name],
        ["ps", "kill", name],
        ["skills", "remove", name],
        ["mcp", "remove", name],
        ["user", "add", "-u", name, "--home-dir", str(site.folder / "x"), "--password", "x"],
    ):
        out = zag.type(*words, code=1)
        assert "Server error (400" in out or "Server error (404" in out, (words, out)
    assert until(lambda: site.op.ask("GET", "/health").status_code == 200)
    assert site.op.get("/users") == []
