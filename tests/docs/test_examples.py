"""The examples of the docs, run as they are written, against a real server."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from acceptance.house import House, Server, opened
from acceptance.sse import Frame, Frames
from docs.pages import API, README, ROOT, Block, blocks
from fakes import llm
from roost.config.agentfile import load
from roost.core.errors import AgentBroken

DOCUMENTED = "127.0.0.1:8080"
ASKED = "What is in this folder?"
LOOKS = r"[[tool shell {\"cmd\": \"ls\"}]] [[say It holds agent.yaml.]]"  # in JSON, in single quotes of a shell

PRELUDE = f"""
curl() {{ command curl --silent --show-error --write-out '%{{stderr}}status %{{http_code}}\\n' "$@"; }}
roost() {{ '{sys.executable}' -m roost "$@"; }}
python3() {{ '{sys.executable}' "$@"; }}
"""


class Shell:
    """A terminal in which blocks are pasted one after the other.  Only the port is another than on the page."""

    def __init__(self, house: House, server: Server) -> None:
        self._house = house
        self._address = server.address
        self._variables = {
            "NO_PROXY": "*",
            "ROOST_MODELS_GATEWAY": house.model.url,
            "DOCKER_TOKEN": "k",
            "ANTHROPIC_API_KEY": "k",
        }

    def start(self, script: str) -> subprocess.Popen[str]:
        """Begin a block; its variables are lost."""
        return subprocess.Popen(
            ["bash", "-uo", "pipefail", "-c", PRELUDE + script.replace(DOCUMENTED, self._address)],
            cwd=self._house.folder,
            env=self._house.env(**self._variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def paste(self, script: str) -> tuple[int, str, str]:
        """Run a block to its end: exit code, and both outputs.  `SID` is kept for the next."""
        keep = 'code=$?; echo "SID=${SID-}" > sid; exit $code'
        with self.start(f"{script}\n{keep}") as running:
            out, err = running.communicate(timeout=60)
        [(name, value)] = re.findall(r"(SID)=(.*)", (self._house.folder / "sid").read_text())
        self._variables[name] = value
        return running.returncode, out, err

    @property
    def session(self) -> str:
        return self._variables["SID"]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[tuple[House, Server, Shell]]:
    """The README's agent file in a folder, and a server of it, with a fake for the model."""
    with llm.serve() as model, opened(tmp_path, model) as house:
        [agent] = blocks(README, "yaml", "A first session")
        (tmp_path / "agent.yaml").write_text(agent.text)
        env = {"ROOST_MODELS_GATEWAY": model.url, "DOCKER_TOKEN": "k", "ANTHROPIC_API_KEY": "k"}
        server = house.serve(agents=tmp_path / "agent.yaml", env=env)
        yield house, server, Shell(house, server)


def events(stream: str) -> list[Frame]:
    return [f for f in Frames().feed(stream.encode() + b"\n\n") if f.id is not None]


def test_the_first_session_of_the_readme(terminal: tuple[House, Server, Shell]) -> None:
    _, server, shell = terminal
    start, ask, answer, look, alone = (block.text for block in blocks(README, "bash", "A first session"))
    assert start.splitlines() == ["export ANTHROPIC_API_KEY=…", "roost serve api agent.yaml"]  # as the fixture did

    new, run = ask.split("\n\n")
    assert shell.paste(new)[0] == 0
    with shell.start(run.replace(ASKED, LOOKS)) as running:
        server.follow(shell.session).until("tool_call_confirmation")
        code, out, err = shell.paste(answer)
        assert (code, json.loads(out), err) == (0, {"message": "session resumed"}, "status 200\n")
        shown = events(running.communicate(timeout=60)[0])
    assert "agent.yaml" in next(f.event["response"] for f in shown if f.type == "tool_call_response")
    assert shown[-1].event["reason"] == "normal"

    with shell.start(look) as looking:  # which goes on for as long as the session does
        assert looking.stdout is not None
        first = looking.stdout.readline()
        server.delete(f"/api/sessions/{shell.session}?wait=true&timeout=10s")
        seen = events(first + looking.stdout.read())
    assert [f.id for f in seen] == list(range(1, seen[-1].id + 1))
    assert seen[-1].type == "session_exited"

    code, out, err = shell.paste(alone)
    assert code == 0, err
    assert ASKED in out
    assert "agent.yaml: root" in out


STATUS = {"/resume": "409", "/cancel": "404"}  # nobody waits; the session is deleted


def test_the_pages_of_the_api_one_after_the_other(terminal: tuple[House, Server, Shell]) -> None:
    _, _, shell = terminal
    given, *commands = blocks(API, "bash")
    assert given.text == "roost serve api agent.yaml\n"
    answers = {}
    for block in commands:
        code, out, err = shell.paste(block.text)
        lasts = "--max-time" in block.text
        assert code == (28 if lasts else 0), (block, err)
        wanted = next((status for end, status in STATUS.items() if end in block.text), "20")
        assert f"status {wanted}" in err, (block, out, err)
        answers[block.text] = out
    check_stated_answers(answers)


def check_stated_answers(answers: dict[str, str]) -> None:
    """What the page shows under a command is what came."""
    before, checked = Block("", "", ""), 0
    for block in blocks(API):
        if block.language == "json":
            assert json.loads(answers[before.text]) == json.loads(block.text)
            checked += 1
        elif block.language == "text":
            came = [shape(f.event) for f in events(answers[before.text])]
            for stated in events(block.text):
                assert shape(stated.event) in came
                checked += 1
        before = block
    assert checked == 4


def shape(event: dict[str, Any]) -> list[tuple[str, Any]]:
    """An event without what is another each time."""
    varies = {"timestamp", "session_id", "content"}
    return [(key, None if key in varies else value) for key, value in event.items()]


YAML = [
    pytest.param(block.text, id=f"{page.name}-{number}")
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    for number, block in enumerate(blocks(page, "yaml"))
]


@pytest.mark.parametrize("text", YAML)
def test_agent_files_on_pages_load(text: str) -> None:
    if not re.search(r"^agents:", text, re.MULTILINE):
        assert isinstance(yaml.safe_load(text), dict)  # a piece of one
        return
    assert load("example", text.encode(), name="example.yaml").warnings == ()


EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_load_as_they_are(path: Path) -> None:
    try:
        team = load(path.stem, path.read_bytes(), name=path.name)
    except AgentBroken as error:
        pytest.fail(str(error))
    assert team.warnings == ()


def free(path: Path) -> bool:
    """Whether an example needs nothing but Roost: all its models are scripted."""
    models = (yaml.safe_load(path.read_text()).get("models") or {}).values()
    return bool(models) and all(model["provider"] == "scripted" for model in models)


@pytest.mark.parametrize("path", [path for path in EXAMPLES if free(path)], ids=lambda path: path.name)
def test_examples_that_need_nothing_run_as_they_say(path: Path, tmp_path: Path) -> None:
    """With the command that stands in the file's head."""
    [prompt] = re.findall(rf'^# +roost exec examples/{path.name} "(.+)"$', path.read_text(), re.MULTILINE)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "ROOST_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "roost", "exec", str(path), prompt], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
