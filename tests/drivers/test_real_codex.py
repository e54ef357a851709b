"""The real Codex against a scripted model: by exec and by its app server."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from drivers.onstage import OnStage, codex_home, environment, installed, on_stage, sent_to
from drivers.playback import Answering, Closing, Interrupting, Saying
from fakes.llm import FakeLLM
from roost.core import events as e
from roost.core.events import Answer
from roost.drivers.codex import Codex

pytestmark = pytest.mark.clis
TOUCH = '[[say about to]] [[tool exec_command {"cmd":"touch made.txt; echo ok"}]] [[say done]]'
PATCH = (
    '[[tool exec_command {"cmd":"apply_patch <<X\\n*** Begin Patch\\n*** Add File: new.txt\\n+hello\\n'
    '*** End Patch\\nX"}]] [[say done]]'
)


@pytest.fixture
def stage(tmp_path: Path, fake_llm: FakeLLM) -> Any:
    codex_home(tmp_path / "home", fake_llm.url)
    (tmp_path / "tmp").mkdir()  # Codex has no sandbox where its home is below the place of temporary files
    env = environment(tmp_path / "home", FAKE_API_KEY="dummy", TMPDIR=str(tmp_path / "tmp"))
    program = installed("codex")

    def stage(prompt: str, **more: Any) -> Any:
        return on_stage(Codex(), tmp_path, **{"prompt": prompt, "program": program, "env": env, **more})

    return stage


def whole(run: OnStage) -> None:
    run.until(lambda run: run.dialog.ready or any(given.id == "close" for given in run.inputs))
    run.do(Closing())
    run.finish()


def texts(run: OnStage) -> list[str]:
    messages = [fact.message for fact in run.of(e.MessageAdded) if fact.message is not None]
    return [message.content for message in messages if message.content]


def test_exec_answers_and_uses_its_tools(stage: Any, tmp_path: Path) -> None:
    with stage(TOUCH, auto_approve=True) as run:
        assert run.finish() == 0
        assert texts(run) == ["about to", "done"]
        assert (tmp_path / "work/made.txt").exists()
        assert [fact.result.output for fact in run.of(e.ToolReturned)] == ["ok\n"]
        assert not run.of(e.ErrorMet)
        run.check_adoption()


def test_exec_resumes_and_counts_the_difference(stage: Any, fake_llm: FakeLLM) -> None:
    with stage("[[say one]] remember MARZIPAN", auto_approve=True) as run:
        run.finish()
        (first,) = [fact.usage for fact in run.of(e.UsageAdded)]
        thread = run.of(e.Introduced)[0].provider_session
    with stage("[[say two]]", auto_approve=True, resume=thread, used=first) as run:
        assert run.finish() == 0
        assert texts(run) == ["two"]
        assert "MARZIPAN" in sent_to(fake_llm.requests[-1:])
        assert [fact.usage for fact in run.of(e.UsageAdded)] == [first]


def test_the_app_server_streams_and_is_told_what_it_is(stage: Any, fake_llm: FakeLLM) -> None:
    with stage("[[think hm]] [[say hello there]]", system_prompt="You are ZORK.") as run:
        whole(run)
        assert texts(run) == ["hello there"]
        assert [fact.message.reasoning for fact in run.of(e.MessageAdded)] == ["hm"]
        assert run.of(e.Introduced)[0].provider_session
        assert run.of(e.UsageAdded)[0].context_limit
        assert "You are ZORK." in sent_to(fake_llm.requests)
        assert not run.of(e.ErrorMet)
        run.check_adoption()


@pytest.mark.parametrize("prompt", [TOUCH, PATCH], ids=["command", "file"])
@pytest.mark.parametrize("allow", [True, False])
def test_a_person_decides(stage: Any, tmp_path: Path, prompt: str, allow: bool) -> None:
    with stage(prompt) as run:
        run.until_fact(e.WaitOpened)
        run.do(Answering(Answer("approve" if allow else "reject")))
        whole(run)
        made = tmp_path / ("work/made.txt" if prompt == TOUCH else "work/new.txt")
        assert made.exists() == allow
        (returned,) = run.of(e.ToolReturned)
        assert returned.result.is_error != allow
        assert len(run.of(e.ToolCalled)) == allow
        assert texts(run)[-1] == "done"
        run.check_adoption()


def test_an_interrupt_ends_the_turn_and_not_the_process(stage: Any, tmp_path: Path) -> None:
    with stage(
        '[[tool exec_command {"cmd":"touch started; sleep 30"}]] [[say late]]', auto_approve=True, interactive=True
    ) as run:
        run.until(lambda _: (tmp_path / "work/started").exists())
        run.do(Interrupting())
        run.until_fact(e.RoundEnded)
        assert run.of(e.RoundEnded)[0].reason == "interrupted"
        run.do(Saying("2", "[[say still here]]"))
        run.until_fact(e.RoundEnded, 2)
        whole(run)
        assert texts(run)[-1] == "still here"
        assert not run.of(e.ErrorMet)
        run.check_adoption()


def test_messages_may_come_before_the_thread_and_in_the_middle_of_a_turn(stage: Any) -> None:
    with stage("", interactive=True, auto_approve=True) as run:
        run.do(Saying("1", '[[tool exec_command {"cmd":"sleep 1"}]] [[say first]]'))
        run.until_fact(e.ToolCalled)
        run.do(Saying("2", "[[say steered]]"))
        run.until(lambda run: run.dialog.ready)
        run.do(Saying("3", "[[say third]]"))
        whole(run)
        assert texts(run)[-1] == "third"
        assert not run.of(e.ErrorMet)
        run.check_adoption()


def test_the_app_server_resumes(stage: Any, fake_llm: FakeLLM) -> None:
    with stage("[[say one]] remember MARZIPAN") as run:
        whole(run)
        thread = run.of(e.Introduced)[0].provider_session
        (used,) = [fact.usage for fact in run.of(e.UsageAdded)]
    with stage("[[say two]]", resume=thread) as run:
        whole(run)
        assert texts(run) == ["two"]
        assert "MARZIPAN" in sent_to(fake_llm.requests[-1:])
        assert [fact.usage for fact in run.of(e.UsageAdded)] == [used]


@pytest.mark.parametrize("auto", [True, False])
def test_what_can_not_start_says_why(stage: Any, tmp_path: Path, auto: bool) -> None:
    with stage("hi", resume="00000000-1111-7222-8333-000000000000", auto_approve=auto) as run:
        whole(run) if not auto else run.finish()
        assert "no rollout found" in run.of(e.ErrorMet)[0].message
    with stage("hi", env=environment(tmp_path / "home"), auto_approve=auto) as run:
        whole(run) if not auto else run.finish()
        assert "FAKE_API_KEY" in run.of(e.ErrorMet)[0].message


@pytest.mark.parametrize("auto", [True, False])
def test_a_crash_closes_all(stage: Any, auto: bool) -> None:
    with stage('[[tool exec_command {"cmd":"touch started; sleep 30"}]]', auto_approve=auto) as run:
        run.until_fact(e.ToolCalled if auto else e.WaitOpened)
        run.signal(signal.SIGKILL)
        run.finish()
        assert "SIGKILL" in run.of(e.ErrorMet)[0].message
        (returned,) = run.of(e.ToolReturned)
        assert returned.result.is_error
        assert not run.dialog.pending


def test_a_review_reads_the_work_and_answers(stage: Any, tmp_path: Path, fake_llm: FakeLLM) -> None:
    work = tmp_path / "work"
    work.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=work, check=True)
    (work / "a.py").write_text("print(1)\n")
    with stage("", review={"uncommitted": "true"}) as run:
        run.finish()
        assert [fact.success for fact in run.of(e.RoundResult)] == [True]
        assert texts(run)
        assert not run.of(e.ErrorMet)
