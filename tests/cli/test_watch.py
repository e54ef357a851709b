"""`roost watch`: a command for each event that is waited for, and for no other."""

import json
from pathlib import Path

import pytest

from cli.there import There
from fakes.api import LOG, OTHER, SID, event
from roost.cli.watch import conditions, expanded, matches
from roost.client.frames import Frame, frame

ENDED = event(9, "session_ended", success=False, error="boom")


def framed(fields: dict[str, object]) -> Frame:
    found = frame(json.dumps(fields))
    assert found is not None
    return found


def test_it_fires_once_on_that_event_only(there: There, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = 'echo "$1|$2|$ROOST_EVENT" >> "$0"; test "$ROOST_EVENT" = "$ZAG_EVENT"; exit 7'
    there.api.frames = lambda _: [*LOG[:-1], ENDED, event(10, "session_ended", success=True), 1000]
    command = ["sh", "-c", script, str(out), "{session_id}/{seq}", "{provider} {event_type} {ts}"]
    there.run("watch", SID, "--on", "session_ended", "--once", "--", *command, code=7)
    [line] = out.read_text().splitlines()
    first, second, whole = line.split("|")
    assert first == f"{SID}/9"
    assert second == f"claude session_ended {ENDED['ts']}"
    assert json.loads(whole) == ENDED


def test_no_shell_reads_what_an_event_says(there: There, tmp_path: Path) -> None:
    there.api.frames = lambda _: [event(1, "stderr", provider_session_id=None, message="x", ts="$(touch pwned)"), 1000]
    there.run("watch", SID, "--on", "stderr", "--", "touch", str(tmp_path / "{ts}"))
    assert [one.name for one in tmp_path.iterdir() if one.name != "home"] == ["$(touch pwned)"]


def test_without_a_command_events_are_printed(there: There) -> None:
    there.api.frames = lambda _: [*LOG, 1000]
    done = there.run("watch", "--on", "usage")
    assert [json.loads(one) for one in done.stdout.splitlines()] == [LOG[6]]


def test_fields_have_to_be_so(there: There) -> None:
    there.api.frames = lambda _: [event(1, "session_ended", success=True), ENDED, 1000]
    done = there.run("watch", "--on", "session_ended", "--filter", "success=false,error=boom")
    assert [json.loads(one)["seq"] for one in done.stdout.splitlines()] == [9]


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        (["success=false"], True),
        (["success=False"], False),
        (["seq=9", "provider=claude"], True),
        (["provider_session_id=null"], True),
        (["nothing=here"], False),
        ([], True),
    ],
)
def test_a_field_is_compared_as_it_is_written(given: list[str], fits: bool) -> None:
    assert matches(framed(ENDED), "session_ended", conditions(given)) is fits
    assert not matches(framed(ENDED), "usage", {})


def test_what_looks_like_a_placeholder_and_is_none_stays() -> None:
    assert (
        expanded("{x} {seq} {session_id}", framed({**ENDED, "wrapper_session_id": OTHER}).event) == f"{{x}} 9 {OTHER}"
    )


def test_a_program_that_is_not_there_is_said(there: There) -> None:
    there.api.frames = lambda _: [ENDED, 1000]
    done = there.run("watch", "--on", "session_ended", "--once", "--", "/nowhere/at-all", code=127)
    assert "No such file" in done.stderr


def test_an_event_that_is_too_large_for_a_variable_is_left_out(there: There, tmp_path: Path) -> None:
    there.api.frames = lambda _: [event(1, "stderr", message="x" * 200_000), 1000]
    command = ["sh", "-c", 'echo "${ROOST_EVENT-none}" > "$0"', str(tmp_path / "out")]
    done = there.run("watch", SID, "--on", "stderr", "--", *command)
    assert (tmp_path / "out").read_text() == "none\n"
    assert "event 1 is too large" in done.stderr
