"""The real Claude Code against a scripted model: every way in which its driver speaks with it."""

import signal
from pathlib import Path
from typing import Any

import pytest

from drivers.onstage import OnStage, environment, installed, on_stage, sent_to
from drivers.playback import Answering, Closing, Interrupting, Saying
from fakes.llm import FakeLLM
from roost.core import events as e
from roost.core.events import Answer
from roost.drivers.claude import Claude
from roost.ports import Exit

pytestmark = pytest.mark.clis
WRITE = '[[tool Write {"file_path":"%s","content":"x"}]] [[say finished]]'


@pytest.fixture
def stage(tmp_path: Path, fake_llm: FakeLLM) -> Any:
    home = tmp_path / "home"
    home.mkdir()
    env = environment(home, ANTHROPIC_BASE_URL=fake_llm.url, ANTHROPIC_API_KEY="dummy", CLAUDE_CODE_MAX_RETRIES="1")
    program = installed("claude")

    def stage(prompt: str, **more: Any) -> Any:
        return on_stage(
            Claude(), tmp_path, **{"prompt": prompt, "program": program, "env": env, "model": "sonnet", **more}
        )

    return stage


def whole(run: OnStage) -> None:
    """To the natural end of a run that takes one message."""
    run.until(lambda run: run.dialog.ready or bool(run.of(e.ErrorMet)))
    run.do(Closing())
    run.finish()


def texts(run: OnStage) -> list[str]:
    messages = [fact.message for fact in run.of(e.MessageAdded) if fact.message is not None]
    return [message.content for message in messages if message.content]


def test_a_text_turn_streams(stage: Any, fake_llm: FakeLLM) -> None:
    with stage("[[think hm]] [[say hello there]]", system_prompt="You are ZORK.") as run:
        whole(run)
        assert texts(run) == ["hello there"]
        assert "".join(fact.text for fact in run.of(e.TextAdded)) == "hello there"
        assert [fact.message.reasoning for fact in run.of(e.MessageAdded)] == ["hm"]
        (introduced,) = run.of(e.Introduced)
        assert introduced.provider_session == run.errand.fresh_session
        assert "Bash" in introduced.tools
        assert [fact.success for fact in run.of(e.RoundResult)] == [True]
        assert run.of(e.UsageAdded)[0].usage.output == 7
        assert "You are ZORK." in sent_to(fake_llm.requests)
        assert not run.of(e.ErrorMet)
        run.check_adoption()


def test_an_approved_run_uses_its_tools_as_root_too(stage: Any, tmp_path: Path) -> None:
    target = tmp_path / "work/a.txt"
    calls = f'Bash {{"command":"echo one","description":"d"}} | Write {{"file_path":"{target}","content":"x"}}'
    prompt = f"[[tools {calls}]] [[say done]]"
    with stage(prompt, auto_approve=True) as run:
        whole(run)
        assert target.read_text() == "x"
        assert not run.of(e.WaitOpened)
        assert {fact.call.name: fact.result.is_error for fact in run.of(e.ToolReturned)} == {
            "Bash": False,
            "Write": False,
        }
        assert len(run.of(e.ToolCalled)) == 2
        run.check_adoption()


@pytest.mark.parametrize(("answer", "there"), [(Answer("approve"), True), (Answer("reject", reason="not that"), False)])
def test_a_person_decides(stage: Any, tmp_path: Path, answer: Answer, there: bool) -> None:
    target = tmp_path / "work/perm.txt"
    with stage(WRITE % target) as run:
        run.until_fact(e.WaitOpened)
        assert run.dialog.pending
        run.do(Answering(answer))
        assert not run.dialog.pending
        whole(run)
        assert target.exists() == there
        (returned,) = run.of(e.ToolReturned)
        assert returned.result.is_error != there
        assert there or "not that" in returned.result.output
        assert len(run.of(e.ToolCalled)) == there
        assert texts(run) == ["finished"]
        run.check_adoption()


def test_an_interrupt_ends_the_round_and_not_the_process(stage: Any, tmp_path: Path) -> None:
    with stage(
        '[[tool Bash {"command":"touch started; sleep 30","description":"d"}]] [[say late]]', auto_approve=True
    ) as run:
        run.until(lambda _: (tmp_path / "work/started").exists())
        run.do(Interrupting())
        run.until_fact(e.RoundEnded)
        assert run.of(e.RoundEnded)[0].reason == "interrupted"
        run.until(lambda run: run.dialog.ready)
        run.do(Saying("2", "[[say still here]]"))
        run.until_fact(e.RoundEnded, 2)
        run.do(Closing())
        assert run.finish() == 0
        assert texts(run) == ["still here"]
        assert not run.of(e.ErrorMet)
        run.check_adoption()


def test_messages_said_meanwhile_are_all_answered(stage: Any) -> None:
    with stage('[[tool Bash {"command":"sleep 1","description":"d"}]] [[say first]]', auto_approve=True) as run:
        run.until_fact(e.ToolCalled)
        run.do(Saying("2", "[[say second]]"))
        run.until(lambda run: run.dialog.ready)
        run.do(Saying("3", "[[say third]]"))
        whole(run)
        assert texts(run)[-1] == "third"
        assert not run.of(e.ErrorMet)
        run.check_adoption()


def test_a_session_is_resumed(stage: Any, fake_llm: FakeLLM) -> None:
    with stage("[[say one]] remember MARZIPAN") as run:
        whole(run)
        (cost,) = [fact.cost for fact in run.of(e.UsageAdded)]
        session = run.of(e.Introduced)[0].provider_session
    fake_llm.reset()
    with stage("[[say two]]", resume=session, spent=cost) as run:
        whole(run)
        assert texts(run) == ["two"]
        assert run.of(e.Introduced)[0].provider_session == session
        assert "MARZIPAN" in sent_to(fake_llm.requests)
        assert run.of(e.UsageAdded)[0].cost == pytest.approx(cost)


def test_what_can_not_start_says_why(stage: Any, tmp_path: Path) -> None:
    with stage("hi", resume="99999999-2222-4333-8444-555555555555") as run:
        assert run.finish() == 1
        assert "No conversation found" in run.of(e.ErrorMet)[0].message
    with stage("hi", env=environment(tmp_path / "nobody")) as run:
        whole(run)
        assert "ANTHROPIC_API_KEY" in run.of(e.ErrorMet)[0].message


def test_a_crash_closes_all(stage: Any) -> None:
    with stage(
        '[[say first]] [[tool Bash {"command":"touch started; sleep 30","description":"d"}]]', auto_approve=True
    ) as run:
        run.until_fact(e.ToolCalled)
        run.signal(signal.SIGKILL)
        assert run.finish() == -9
        assert "SIGKILL" in run.of(e.ErrorMet)[0].message
        (returned,) = run.of(e.ToolReturned)
        assert returned.result.is_error
        assert isinstance(run.acts[-1], Exit)


def test_structured_output_is_the_answer(stage: Any) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    with stage('[[tool StructuredOutput {"name":"x"}]]', json_schema=schema, auto_approve=True) as run:
        whole(run)
        assert texts(run)[-1] == '{"name":"x"}'
