"""The mock driver: its player does what a prompt says, as a process of its own."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.onstage import OnStage, on_stage
from drivers.playback import Answering, Closing, Interrupting, Saying
from roost.core import events as e
from roost.core.events import Answer
from roost.core.usage import Usage
from roost.drivers.mock import Mock


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Any]:
    def stage(prompt: str | dict[str, Any], **more: Any) -> Any:
        said = prompt if isinstance(prompt, str) else f"@mock {json.dumps(prompt)}"
        return on_stage(Mock(), tmp_path, **{"prompt": said, "env": {}, **more})

    return stage


def whole(run: OnStage) -> int:
    run.until(lambda run: run.dialog.ready)
    run.do(Closing())
    return run.finish()


def texts(run: OnStage) -> list[str]:
    messages = [fact.message for fact in run.of(e.MessageAdded) if fact.message is not None]
    return [message.content for message in messages if message.content]


def test_it_echoes(stage: Any) -> None:
    with stage("hello\nyou") as run:
        assert whole(run) == 0
        assert texts(run) == ["hello\nyou"]
        assert not run.of(e.ErrorMet)
        run.check_adoption()


def test_what_stands_beside_a_directive_is_echoed_where_it_has_no_steps(stage: Any) -> None:
    with stage('before\n@mock {"delay_s": 0.01}\nafter') as run:
        whole(run)
        assert texts(run) == ["before\nafter"]


def test_steps_are_played_in_order(stage: Any) -> None:
    steps = [
        {"think": "hm"},
        {"say": "one two", "drip": 0},
        {"tool": "Bash", "input": {"command": "ls"}},
        {"tool_output": "a\n"},
        {"tool_ok": "a"},
        {"tool": {"name": "Read", "input": {}}, "tool_err": "gone"},
        {"sleep_s": 0.01},
        {"usage": {"input_tokens": 3, "output_tokens": 4, "cost": 0.5}},
    ]
    with stage({"steps": steps}) as run:
        whole(run)
        results = [(fact.call.name, fact.result.output, fact.result.is_error) for fact in run.of(e.ToolReturned)]
        assert results == [("Bash", "a", False), ("Read", "gone", True)]
        assert [fact.text for fact in run.of(e.TextAdded)][:2] == ["one ", "two"]
        assert [fact.text for fact in run.of(e.OutputAdded)] == ["a\n"]
        (used,) = run.of(e.UsageAdded)
        assert (used.usage, used.cost) == (Usage(3, 4), 0.5)
        run.check_adoption()


@pytest.mark.parametrize("allow", [True, False])
def test_it_asks(stage: Any, allow: bool) -> None:
    with stage({"steps": [{"ask": "Bash", "input": {"command": "rm"}, "ok": "removed"}, {"say": "done"}]}) as run:
        run.until_fact(e.WaitOpened)
        run.do(Answering(Answer("approve" if allow else "reject", reason="no")))
        whole(run)
        (returned,) = run.of(e.ToolReturned)
        assert returned.result.output == ("removed" if allow else "denied: no")
        assert len(run.of(e.ToolCalled)) == allow
        run.check_adoption()


def test_it_asks_nobody_where_all_is_approved(stage: Any) -> None:
    with stage({"steps": [{"ask": "Bash", "ok": "removed"}]}, auto_approve=True) as run:
        whole(run)
        assert not run.of(e.WaitOpened)
        assert run.of(e.ToolReturned)[0].result.output == "removed"


def test_three_messages_have_three_rounds(stage: Any) -> None:
    with stage("one", interactive=True) as run:
        run.do(Saying("2", "two"), Saying("3", "three"))
        whole(run)
        assert texts(run) == ["one", "two", "three"]
        assert [fact.index for fact in run.of(e.RoundEnded)] == [0, 1, 2]
        run.check_adoption()


def test_an_interrupt_ends_the_round(stage: Any) -> None:
    with stage({"steps": [{"tool": "Bash"}], "hang": True}) as run:
        run.until_fact(e.ToolCalled)
        run.do(Interrupting())
        run.until_fact(e.RoundEnded)
        run.do(Saying("2", "still here"))
        assert whole(run) == 0
        assert texts(run) == ["still here"]
        assert [fact.reason for fact in run.of(e.RoundEnded)] == ["interrupted", "stop"]
        assert not run.of(e.ErrorMet)


@pytest.mark.parametrize(
    ("plan", "code", "error"),
    [
        ({"fail": "it broke"}, 1, "it broke"),
        ({"fail": "it broke", "exit_code": 9}, 9, "it broke"),
        ({"exit_code": 3}, 3, "mock exited with code 3"),
    ],
)
def test_it_fails_as_it_is_told(stage: Any, plan: dict[str, Any], code: int, error: str) -> None:
    with stage(plan) as run:
        assert run.finish() == code
        assert [fact.message for fact in run.of(e.ErrorMet)] == [error]


def test_a_directive_that_can_not_be_read_fails(stage: Any) -> None:
    with stage("@mock {broken") as run:
        run.finish()
        assert "bad @mock directive" in run.of(e.ErrorMet)[0].message


def test_a_limit_is_hit(stage: Any) -> None:
    with stage({"limit": "mock usage limit reached|1800000000"}) as run:
        run.finish()
        (hit,) = run.of(e.LimitHit)
        assert hit.reset_at == 1_800_000_000_000_000
        assert not run.of(e.ErrorMet)


def test_a_hanging_one_dies_of_a_signal_unless_it_ignores_it(stage: Any) -> None:
    with stage({"hang": True}) as run:
        run.until_fact(e.Introduced)
        run.signal(signal.SIGINT)
        assert run.finish() == -signal.SIGINT
        assert "SIGINT" in run.of(e.ErrorMet)[0].message
    with stage({"ignore_signals": True, "steps": [{"say": "deaf"}], "hang": True}) as run:
        run.until_fact(e.MessageAdded)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            run.signal(number)
        run.do(Interrupting())  # it has ears for the protocol still
        run.until_fact(e.RoundEnded)
        run.signal(signal.SIGKILL)
        assert run.finish() == -signal.SIGKILL


def test_floods_garbage_and_long_lines_pass(stage: Any) -> None:
    steps: list[dict[str, Any]] = [{"flood": 100_000}, {"garbage": True}, {"garbage": "???"}, {"big_line": 300_000}]
    with stage({"steps": steps}) as run:
        whole(run)
        assert len(run.of(e.StatusShown)) >= 100
        assert [fact.raw for fact in run.of(e.LineSkipped)] == ['{"type": "mess', "???"]
        assert [len(text) for text in texts(run)] == [300_000]


def test_it_really_works_with_files_and_sees_its_own_environment_alone(stage: Any, tmp_path: Path) -> None:
    steps: list[dict[str, Any]] = [
        {"write": {"path": "a.txt", "content": "x"}},
        {"read": "a.txt"},
        {"read": "/nowhere"},
        {"env": "KEY"},
        {"env": "*"},
    ]
    with stage({"steps": steps}, env={"KEY": "value"}) as run:
        whole(run)
        assert (tmp_path / "work/a.txt").read_text() == "x"
        wrote, *said, names = texts(run)
        assert wrote == "wrote a.txt"
        assert said == ["x", "can't read /nowhere: No such file or directory", "value"]
        assert set(names.split()) <= {"KEY", "LC_CTYPE"}


def test_a_session_is_resumed_or_not_known(stage: Any) -> None:
    with stage("again", resume="mock-1") as run:
        whole(run)
        assert run.of(e.Introduced)[0].provider_session == "mock-1"
    with stage("again", resume="bad-1") as run:
        run.finish()
        assert "No conversation found" in run.of(e.ErrorMet)[0].message
