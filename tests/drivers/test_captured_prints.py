"""Captured output of gemini and copilot as they print it, through their drivers."""

import json

import pytest

from drivers.rehearsal import Rehearsal, ended, errand, exits, lines, text
from roost.core import events as e
from roost.drivers.catalogue import drivers

CLIS = ("gemini", "copilot")
DRIVERS = drivers(mock=False)


def fed(cli: str, case: str, *, upto: int | None = None) -> Rehearsal:
    on = Rehearsal(DRIVERS[cli], errand(auto_approve=True))
    for line in lines(cli, case)[:upto]:
        on.feed(line)
    on.complain(lines(cli, case, "stderr.txt"))
    return on


def outcome(cli: str, case: str) -> tuple[Rehearsal, str]:
    """The whole run, and why it failed; "" where it did not."""
    on = fed(cli, case)
    on.end(ended(exits(cli)[case]))
    met = on.of(e.ErrorMet)
    assert len(met) <= 1
    return on, met[0].message if met else ""


@pytest.mark.parametrize("cli", CLIS)
def test_a_run_with_tools(cli: str) -> None:
    on, trouble = outcome(cli, "tool")
    assert trouble == ""
    assert len(on.of(e.Introduced)) <= 3
    assert [part for part in text(on.facts) if part] == ["Running it.", "All done."]
    shell, write = on.of(e.ToolReturned)
    assert shell.call.name == {"gemini": "run_shell_command", "copilot": "bash"}[cli]
    assert '"command":"echo hi"' in shell.call.arguments
    assert shell.result.output.startswith("hi")
    assert not shell.result.is_error
    assert not write.result.is_error
    order = [type(fact).__name__ for fact in on.facts if isinstance(fact, e.ToolCalled | e.ToolReturned)]
    assert order == ["ToolCalled", "ToolReturned"] * 2


def test_gemini_counts_its_tokens() -> None:
    on, _ = outcome("gemini", "tool")
    (used,) = on.of(e.UsageAdded)
    assert (used.usage.input, used.usage.output, used.model) == (33, 21, "gemini-2.5-flash")
    assert [result.duration_ms for result in on.of(e.RoundResult)] == [167]


def test_copilot_shows_output_while_a_command_runs() -> None:
    on, _ = outcome("copilot", "tool")
    assert "".join(fact.text for fact in on.of(e.OutputAdded)) == "hi\n"
    assert "".join(fact.text for fact in on.of(e.CallDrafted)[:4]).startswith('{"command": "echo hi"')


@pytest.mark.parametrize("cli", CLIS)
def test_a_denied_call_is_an_error_to_the_model(cli: str) -> None:
    on, trouble = outcome(cli, "denied")
    assert trouble == ""
    (denied,) = on.of(e.ToolReturned)
    assert denied.result.is_error
    assert denied.result.output


WORDS = [
    ("gemini", "401", "gemini: fake 401 (UNAUTHENTICATED)"),
    ("gemini", "nokey", "gemini is not logged in: Please set an Auth method"),
    ("gemini", "untrusted", "gemini does not trust this folder: Gemini CLI is not running in a trusted directory"),
    ("gemini", "resume-bad", "gemini could not use what it was given: Error resuming session: Invalid session"),
    ("gemini", "500", "gemini was killed by signal 9 (SIGKILL)"),
    ("gemini", "sigint", "gemini ended without a result: it was interrupted"),
    ("gemini", "sigterm", "gemini ended without a result: it was interrupted"),
    ("gemini", "tool-sigterm-group", "gemini ended without a result: it was interrupted"),
    ("copilot", "401", "Authentication failed with provider at http://127.0.0.1:8901/v1 (HTTP 401)"),
    ("copilot", "nokey", "copilot exited with code 1: Error: No authentication information found."),
    ("copilot", "resume-bad", "copilot exited with code 1: Error: No session, task, or name matched"),
    ("copilot", "sigint-tool", "copilot was killed by signal 2 (SIGINT)"),
    ("copilot", "tool-sigterm-group", "copilot was killed by signal 15 (SIGTERM)"),
]


@pytest.mark.parametrize(("cli", "case", "words"), WORDS)
def test_what_went_wrong_is_said_in_words(cli: str, case: str, words: str) -> None:
    assert outcome(cli, case)[1].startswith(words)


@pytest.mark.parametrize(("cli", "case"), [("gemini", "429"), ("copilot", "429")])
def test_retries_that_help_are_no_error(cli: str, case: str) -> None:
    on, trouble = outcome(cli, case)
    assert trouble == ""
    assert text(on.facts) == ["ok"]
    assert not on.of(e.LimitHit)


def test_a_limit_of_gemini_ends_the_run_until_it_passes() -> None:
    on = fed("gemini", "hello", upto=2)
    said = '[API Error: {"error":{"code":429,"message":"Quota exceeded for quota metric PerDay", '
    said += '"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"30s"}]}}]'
    on.feed(_gemini_error(said))
    last = on.end(ended(173))
    (hit,) = [fact for fact in last if isinstance(fact, e.LimitHit)]
    assert (hit.provider, hit.scope) == ("gemini", "daily")
    assert hit.reset_at == 1_795_295_984_000_000 + 30_000_000  # from the moment that the line names


def _gemini_error(message: str) -> bytes:
    event = {"type": "result", "timestamp": "2026-11-21T21:19:44.000Z", "status": "error"}
    return json.dumps({**event, "error": {"type": "unknown", "message": message}}).encode()


def test_a_limit_of_copilot_ends_the_run_until_it_passes() -> None:
    on = fed("copilot", "hello", upto=5)
    data = {"errorType": "rate_limit", "code": "user_weekly_rate_limited", "message": "Slow down; again in 2 hours."}
    event = {"type": "session.error", "timestamp": "2026-11-21T21:19:44.000Z", "data": data}
    on.feed(json.dumps(event).encode())
    (hit,) = [fact for fact in on.end(ended(1)) if isinstance(fact, e.LimitHit)]
    assert (hit.scope, hit.reset_at) == ("weekly", 1_795_295_984_000_000 + 7_200_000_000)
