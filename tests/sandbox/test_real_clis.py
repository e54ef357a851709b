"""Real agent CLIs in a sandbox, against a scripted model on loopback: they answer, and their tools are inside."""

from pathlib import Path

import pytest

from drivers.onstage import environment, installed
from fakes.llm import FakeLLM
from sandbox.conftest import Cell
from sandbox.keeping import finished

pytestmark = pytest.mark.clis

COMMAND = "echo made > made; ls /root /home; id -u"


def test_claude(cell: Cell, fake_llm: FakeLLM) -> None:
    argv = (installed("claude"), "-p", "--output-format", "stream-json", "--verbose", "--permission-mode")
    said = f'[[tool Bash {{"command":"{COMMAND}"}}]]'
    env = environment(cell.home, ANTHROPIC_BASE_URL=fake_llm.url, ANTHROPIC_API_KEY="dummy")
    env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] = "1"
    endpoints = (fake_llm.url.removeprefix("http://"),)
    done = finished(cell.launch(*argv, "bypassPermissions", "--", said, endpoints=endpoints, env=env), cell.run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (cell.work / "made").read_text() == "made\n"
    assert "No such file" in done.stdout


def test_codex(cell: Cell, fake_llm: FakeLLM) -> None:
    (cell.home / ".codex").mkdir()
    provider = f'name = "fake"\nbase_url = "{fake_llm.url}/v1"\nenv_key = "KEY"\nwire_api = "responses"\n'
    (cell.home / ".codex/config.toml").write_text(
        'model = "fake-model"\nmodel_provider = "fake"\ncheck_for_update_on_startup = false\n'
        f"[model_providers.fake]\n{provider}"
    )
    argv = (installed("codex"), "exec", "--json", "--skip-git-repo-check", "-s", "danger-full-access")
    said = f'[[tool exec_command {{"cmd":"{COMMAND}"}}]]'
    endpoints = (fake_llm.url.removeprefix("http://"),)
    env = environment(cell.home, KEY="dummy")
    done = finished(cell.launch(*argv, said, endpoints=endpoints, env=env), cell.run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert Path(cell.work, "made").read_text() == "made\n"
    assert "No such file" in done.stdout
