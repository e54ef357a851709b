"""The real gemini, copilot, opencode and qwen against a scripted model, each started as its driver says.

That a conversation goes on in another process is shown in `acceptance/clis`.
"""

import json
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from drivers.onstage import OnStage, environment, installed, on_stage, sent_to
from drivers.playback import Answering, Closing, Interrupting, Saying
from fakes.llm import FakeLLM
from roost.core import events as e
from roost.core.events import Answer
from roost.drivers.catalogue import drivers

pytestmark = [pytest.mark.clis, pytest.mark.timeout(300)]

DRIVERS = drivers(mock=False)
CLIS = ("gemini", "copilot", "opencode", "qwen")
PRINTS = ("gemini", "copilot")  # the others are a row of data of the same driver
SHELLS = {"gemini": "run_shell_command", "copilot": "bash", "opencode": "bash", "qwen": "run_shell_command"}
PRICES = {"gemini": "mcp_shop_price", "copilot": "shop-price", "opencode": "shop_price", "qwen": "mcp__shop__price"}
TOOLSERVER = str(Path(__file__).parent / "toolserver.py")
SHOP = {"shop": {"command": "python3", "args": [TOOLSERVER], "env": {"PRICE": "seven"}}}
GEMINI = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "general": {"enableAutoUpdate": False},
    "model": {"name": "gemini-2.5-flash"},
}
QWEN = {**GEMINI, "security": {"auth": {"selectedType": "openai"}}, "model": {}}

Stage = Callable[..., AbstractContextManager[OnStage]]


def settings(cli: str, home: Path, url: str) -> dict[str, str]:
    """What leads a CLI to the fake model and to nobody else: files in its home, and these variables."""
    match cli:
        case "gemini":
            write(home / ".gemini/settings.json", GEMINI)
            return {"GEMINI_API_KEY": "dummy", "GOOGLE_GEMINI_BASE_URL": url}
        case "copilot":
            own = {"BASE_URL": f"{url}/v1", "TYPE": "openai", "API_KEY": "dummy"}
            provider = {f"COPILOT_PROVIDER_{name}": value for name, value in own.items()}
            return {**provider, "COPILOT_MODEL": "fake-model", "COPILOT_OFFLINE": "true"}
        case "opencode":
            write(home / ".config/opencode/opencode.json", opencode(url))
            return {"OPENCODE_DISABLE_MODELS_FETCH": "true", "OPENCODE_DISABLE_LSP_DOWNLOAD": "true"}
        case _:
            write(home / ".qwen/settings.json", QWEN)
            return {"OPENAI_API_KEY": "dummy", "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_MODEL": "fake-model"}


def opencode(url: str) -> dict[str, Any]:
    names = ("fake-model", "other-model")
    known = {name: {"name": name, "tool_call": True, "limit": {"context": 100_000, "output": 8000}} for name in names}
    options = {"baseURL": f"{url}/v1", "apiKey": "dummy"}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "fake", "options": options, "models": known}
    model = {"model": "fake/fake-model", "small_model": "fake/fake-model", "enabled_providers": ["fake"]}
    return {"autoupdate": False, "share": "disabled", **model, "provider": {"fake": provider}}


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.fixture
def stage(tmp_path: Path, fake_llm: FakeLLM, cli: str) -> Stage:
    program = installed(cli)
    home = tmp_path / "home"
    env = environment(home, **settings(cli, home, fake_llm.url))

    def stage(prompt: str, **more: Any) -> AbstractContextManager[OnStage]:
        return on_stage(DRIVERS[cli], tmp_path, **{"prompt": prompt, "program": program, "env": env, **more})

    return stage


def shell(cli: str, command: str) -> str:
    """The directive that lets the CLI run a command."""
    given: dict[str, Any] = {"command": command, "description": "d"}
    if cli == "qwen":
        given["is_background"] = False
    return f"[[tool {SHELLS[cli]} {json.dumps(given)}]]"


def price(cli: str) -> str:
    """The directive that lets the CLI ask the shop."""
    return f'[[tool {PRICES[cli]} {{"item":"pear"}}]]'


def whole(run: OnStage) -> int:
    """To the end of the round, and of the CLI."""
    run.until(lambda run: run.dialog.ready)
    run.do(Closing())
    return run.finish()


def texts(run: OnStage) -> list[str]:
    messages = [fact.message for fact in run.of(e.MessageAdded) if fact.message is not None]
    return [message.content for message in messages if message.content]


def session(run: OnStage) -> str:
    found: str = run.of(e.Introduced)[-1].provider_session
    return found


def told(fake_llm: FakeLLM, text: str) -> bool:
    return text in sent_to(fake_llm.requests)


# -- by the protocol ----------------------------------------------------------------------------


@pytest.mark.parametrize("cli", CLIS)
def test_one_that_asks_is_answered_interrupted_and_goes_on(
    stage: Stage, fake_llm: FakeLLM, tmp_path: Path, cli: str
) -> None:
    """All in one process, since a CLI takes seconds to start."""
    model = {"opencode": "other-model"}.get(cli, "")
    prompt = f"[[think hm]] [[say try]] {shell(cli, 'echo hi > made.txt')} [[say went on]]"
    made = tmp_path / "work/made.txt"
    with stage(prompt, interactive=True, system_prompt="Speak MARZIPAN only.", model=model) as run:
        run.until_fact(e.WaitOpened)
        assert "made.txt" in run.of(e.WaitOpened)[0].call.arguments
        run.do(Answering(Answer("reject", "reject")))
        run.until(lambda run: run.dialog.ready)
        assert not made.exists()
        assert not run.of(e.ToolCalled)

        run.do(Saying("1.0", f"{shell(cli, 'echo ho > made.txt')} [[say done]]"))
        assert not run.dialog.ready
        run.until_fact(e.WaitOpened, 2)
        assert not made.exists()
        run.do(Answering(Answer("approve", "approve")))
        run.until(lambda run: run.dialog.ready)
        assert made.read_text() == "ho\n"
        assert len(run.of(e.ToolCalled)) == 1
        assert [fact.result.is_error for fact in run.of(e.ToolReturned)] == [True, False]
        assert (texts(run)[0], texts(run)[-1]) == ("try", "done")

        run.do(Saying("2.0", "[[say working]] [[hang]]"))
        run.until(lambda run: any("working" in fact.text for fact in run.of(e.TextAdded)))
        run.do(Interrupting())
        run.until(lambda run: run.dialog.ready)
        run.do(Saying("3.0", "[[say alive]]"))
        assert whole(run) == 0
        assert texts(run)[-1] == "alive"
        assert run.of(e.UsageAdded)[-1].usage.output == 7
        assert [result.success for result in run.of(e.RoundResult)] == [True, True, False, True]
        assert not run.of(e.ErrorMet)
        assert told(fake_llm, "MARZIPAN")
        asked = [request["body"].get("model") for request in fake_llm.requests if "went on" in str(request)]
        assert model in asked or not model, "its model is chosen by the protocol"
        run.check_adoption()


@pytest.mark.parametrize("cli", CLIS)
def test_one_that_may_do_all_uses_its_tools_and_is_refused(
    stage: Stage, fake_llm: FakeLLM, tmp_path: Path, cli: str
) -> None:
    prompt = f"[[say try]] {shell(cli, 'echo hi > made.txt')} {price(cli)} [[say done]]"
    with stage(prompt, auto_approve=True, mcp=SHOP, interactive=True) as run:
        run.until(lambda run: run.dialog.ready)
        assert (tmp_path / "work/made.txt").read_text() == "hi\n"
        assert "seven for a pear" in sent_to(fake_llm.requests)
        assert not run.of(e.WaitOpened)
        assert not run.of(e.ErrorMet)
        assert texts(run) == ["try", "done"]
        run.check_adoption()
        run.do(Saying("1.0", "[[status 401]] x"))
        run.until(lambda run: run.dialog.ready or run.inputs[-1].close)
        run.do(Closing())
        if cli == "gemini":  # which waits for its servers, and they for it
            run.signal(signal.SIGTERM)
        run.finish()
        assert "401" in run.of(e.ErrorMet)[0].message
        assert [result.success for result in run.of(e.RoundResult)] == [True, False]


@pytest.mark.parametrize("cli", PRINTS)
def test_a_crash_is_told_and_leaves_nothing_open(stage: Stage, cli: str) -> None:
    with stage("[[say half]] [[hang]]") as run:
        run.until_fact(e.TextAdded)
        run.signal(signal.SIGKILL)
        assert run.finish() == -signal.SIGKILL
        assert "SIGKILL" in run.of(e.ErrorMet)[0].message
        assert [fact.partial for fact in run.of(e.MessageAdded)] == [True]


@pytest.mark.parametrize("cli", ["opencode"])
def test_opencode_says_which_model_it_has_not(stage: Stage, cli: str) -> None:
    with stage("[[say hi]]", model="no-such-model") as run:
        run.until(lambda run: run.inputs[-1].close)
        run.finish()
        assert "can't use the model 'no-such-model'" in run.of(e.ErrorMet)[0].message


# -- by what they print -------------------------------------------------------------------------


@pytest.mark.parametrize("cli", PRINTS)
def test_a_printed_run_uses_its_tools(stage: Stage, fake_llm: FakeLLM, tmp_path: Path, cli: str) -> None:
    prompt = f"[[say try]] {shell(cli, 'echo hi > made.txt; echo ok')} [[say done]]"
    with stage(prompt, auto_approve=True, system_prompt="Speak MARZIPAN only.") as run:
        assert run.finish() == 0
        assert (tmp_path / "work/made.txt").read_text() == "hi\n"
        assert texts(run) == ["try", "done"]
        assert [fact.result.output.split()[0] for fact in run.of(e.ToolReturned)] == ["ok"]
        assert not run.of(e.ErrorMet)
        assert told(fake_llm, "MARZIPAN")
        assert session(run) == run.errand.fresh_session
        run.check_adoption()


@pytest.mark.parametrize("cli", PRINTS)
def test_a_printed_run_is_interrupted_by_a_signal(stage: Stage, cli: str) -> None:
    with stage("[[say half]] [[hang]]", auto_approve=True) as run:
        run.until_fact(e.TextAdded)
        run.signal(signal.SIGINT)
        run.finish()
        assert run.of(e.ErrorMet)
        assert [fact.partial for fact in run.of(e.MessageAdded)] == [True]


@pytest.mark.parametrize("cli", PRINTS)
def test_a_printed_run_that_can_not_resume_says_why(stage: Stage, cli: str) -> None:
    with stage("hi", auto_approve=True, resume="99999999-2222-4333-8444-777777777777") as run:
        assert run.finish() != 0
        assert any(word in run.of(e.ErrorMet)[0].message for word in ("99999999", "No previous sessions"))


@pytest.mark.parametrize("cli", PRINTS)
def test_a_prompt_longer_than_an_argument_is_read(stage: Stage, fake_llm: FakeLLM, cli: str) -> None:
    with stage("x" * 300_000 + " [[say read]]", auto_approve=True) as run:
        assert run.finish() == 0
        assert told(fake_llm, "x" * 300_000)
