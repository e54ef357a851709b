"""The first ten minutes of a new user, as the page tells them: typed, clicked, and looked at."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from acceptance import tmux
from acceptance.clis.cast import CAST, PATH
from acceptance.front import Yard
from acceptance.front import opened as yard_of
from acceptance.house import free_port
from docs.pages import ROOT, blocks
from fakes import llm
from page.tabs import CHROMIUM, NARROW

TUTORIAL = ROOT / "docs/tutorial.md"
ASKED = "What is in this folder?"
LOOKS = '[[tool shell {"cmd": "ls"}]] [[say It holds agent.yaml.]]'
ANSWERED = re.compile(r"^ +It holds agent.yaml.$", re.MULTILINE)
SERVE = "roost serve --insecure-http --host 127.0.0.1 --agents agent.yaml"


def written(language: str, step: str) -> list[str]:
    """The blocks of a step."""
    return [block.text for block in blocks(TUTORIAL, language) if block.heading.startswith(step)]


@dataclass
class Desk:
    """A new user's folder, the programs that are installed, and a fake in the place of the models."""

    yard: Yard
    model: llm.FakeLLM

    @property
    def env(self) -> dict[str, str]:
        bin_ = self.yard.folder / "bin"
        bin_.mkdir(exist_ok=True)
        for name, words in (("roost", f"'{sys.executable}' -m roost"), ("python3", f"'{sys.executable}'")):
            (bin_ / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            (bin_ / name).chmod(0o755)
        claude = CAST["claude"].dress(self.yard.folder, self.model.url)
        path = f"{bin_}{os.pathsep}{PATH}"
        return self.yard.env({**claude, "ROOST_MODELS_GATEWAY": self.model.url, "DOCKER_TOKEN": "k", "PATH": path})

    def paste(self, script: str) -> str:
        """Run a block to its end; what it has printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.yard.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The folder, with the agent file of the second step in it."""
    with llm.serve() as model, yard_of(tmp_path) as yard:
        [agent] = written("yaml", "2.")
        (tmp_path / "agent.yaml").write_text(agent)
        yield Desk(yard, model)


def test_it_is_installed_and_answers() -> None:
    command, path = written("bash", "1.")
    assert command.strip() == "DEMO=once make demo"
    assert path.strip() == 'export PATH="$PWD/.venv/bin:$PATH"'
    venv = Path(sys.prefix)
    if venv == ROOT / ".venv":
        line = ["make", "demo", "DEMO=once"]
    else:  # another environment that is complete: what `make demo` runs in the end
        pytest.importorskip("xllamacpp", reason="no small model: `make demo` brings it")
        line = [sys.executable, "-m", "roost", "demo", "--once"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\bsea\b", done.stdout.lower()), done.stdout


def test_an_agent_is_talked_to_at_the_terminal(desk: Desk, tmp_path: Path) -> None:
    given, run = written("bash", "2.")
    assert "agent.yaml: root" in desk.paste(given)
    bash = ["env", f"PATH={desk.env['PATH']}", "bash", "-c"]  # tmux passes on its own
    command = [*bash, run.strip().replace(f'"{ASKED}"', f"'{LOOKS}'")]
    with tmux.opened(tmp_path, command, cwd=tmp_path, env=desk.env) as terminal:
        terminal.until("May shell run?")
        terminal.still(quiet=0.6)  # a card takes no key that was meant for the prompt before it came
        terminal.press("y").until("ready")
        terminal.until(ANSWERED)
        assert terminal.type("/quit").press("Enter").ended() == 0
    command = [*bash, "roost run agent.yaml --continue"]
    with tmux.opened(tmp_path, command, cwd=tmp_path, env=desk.env) as terminal:
        terminal.until(ANSWERED)
        assert terminal.type("/quit").press("Enter").ended() == 0


@pytest.fixture
def page() -> Iterator[Page]:
    """A new user's browser."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium: apt install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        expect.set_options(timeout=15_000)
        yield browser.new_page(viewport={"width": NARROW[0], "height": NARROW[1]})
        browser.close()


def test_the_page_a_cli_and_a_script(desk: Desk, page: Page) -> None:
    CAST["claude"].need()
    serve, pair = written("bash", "3.")
    assert serve.strip() == SERVE
    flags = SERVE.removeprefix("roost serve ").split()
    desk.yard.serve(*flags, "--port", str(free_port()), env=desk.env)

    [link] = re.findall(r"http://\S+#pair=\S+", desk.paste(pair))
    page.goto(link)
    page.get_by_role("link", name="New").first.click()
    page.get_by_label("Agent", exact=True).select_option(label="agent")
    page.get_by_label("Prompt").fill(LOOKS)
    page.get_by_role("button", name="Start").click()
    page.get_by_role("button", name="Approve once").click()
    expect(page.get_by_text("It holds agent.yaml.", exact=True)).to_be_visible()

    claude, listing = written("bash", "4.")
    assert desk.paste(claude.replace("Say hello", "[[say Hello.]]")).strip() == "Hello."
    listed = desk.paste(listing)
    assert "claude" in listed
    assert "agent" in listed
    page.get_by_role("link", name="Sessions").first.click()
    expect(page.get_by_text("claude").first).to_be_visible()

    [script] = written("python", "5.")
    (desk.yard.folder / "ask.py").write_text(script.replace(f'"{ASKED}"', repr(LOOKS)))
    [ask] = written("bash", "5.")
    said = desk.paste(ask)
    assert "It may run shell" in said
    assert "It holds agent.yaml." in said


def test_every_step_is_tried_here() -> None:
    steps = {block.heading for block in blocks(TUTORIAL)}
    assert {step[:2] for step in steps} == {"1.", "2.", "3.", "4.", "5."}
    assert shutil.which("bash")
