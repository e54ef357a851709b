"""Every example loads, its agents run to an answer with a tool of each of their toolsets, and recorded runs replay."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from acceptance import plays, purity
from acceptance.house import House, Server, opened
from acceptance.sse import Frame
from fakes import llm
from fakes.site import Site, open_site
from roost.config.agentfile import load
from roost.core.agents import Team

pytestmark = pytest.mark.xdist_group("examples")

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples"
FILES = sorted(FOLDER.glob("*.yaml"))
PROGRAM = ("-m", "acceptance.vendors")
AT_ONCE = 8


def team_of(path: Path) -> Team:
    return load(path.stem, path.read_bytes(), name=path.name, env={}, folder=FOLDER)


TEAMS = {path.stem: team_of(path) for path in FILES}
SCRIPTED = "scripted"  # has its own script, and a test of it
PLAYERS = [(name, agent.name) for name, team in TEAMS.items() if name != SCRIPTED for agent in team.agents]
DEFAULTS = [(name, team.default.name) for name, team in TEAMS.items() if name != SCRIPTED]
CATEGORY = {"background_jobs": "shell", "file": "filesystem"}


class Played:
    """A run of an agent, as its client saw it."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [frame.event for frame in self.frames if frame.type == kind]

    @property
    def words(self) -> str:
        return "".join(event["content"] for event in self.of("agent_choice"))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as site:
        yield site


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with llm.serve() as model, opened(tmp_path_factory.mktemp("examples"), model) as house:
        yield house
        purity.sweep(house)


@pytest.fixture(scope="module")
def env(house: House, site: Site) -> dict[str, str]:
    return plays.build(house.folder, house.folder / "state", house.model.url, site)


@pytest.fixture(scope="module")
def server(house: House, env: dict[str, str]) -> Server:
    """It records all that the models say."""
    return house.serve("--record", str(tape(house)), agents=FOLDER, env=env, program=PROGRAM)


def tape(house: House) -> Path:
    return house.folder / "tape.yaml"


def play(server: Server, folder: Path, example: str, agent: str, script: str) -> Played:
    """Run one agent in a folder that is new, answering whatever it asks."""
    shutil.rmtree(folder, ignore_errors=True)
    session = server.create(title="t", working_dir=str(plays.furnish(folder)), tools_approved=True)
    frames = []
    for frame in server.start(session, script, f"{example}/{agent}"):
        if frame.type == "elicitation_request":
            server.post(f"/api/sessions/{session}/elicitation", {"action": "accept", "content": {"answer": "yes"}})
        if not frame.ping:
            frames.append(frame)
    return Played(frames)


def play_all(server: Server, house: House, site: Site, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    """Several at once; what became of each."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {}
        for name, agent in wanted:
            script = plays.script(TEAMS[name], TEAMS[name].agent(agent), site.url)
            runs[name, agent] = pool.submit(play, server, house.folder / f"{name}-{agent}", name, agent, script)
        return runs


@pytest.fixture(scope="module")
def played(server: Server, house: House, site: Site) -> dict[tuple[str, str], Any]:
    return play_all(server, house, site, PLAYERS)


@pytest.fixture(scope="module")
def replayed(
    played: dict[tuple[str, str], Any], server: Server, house: House, env: dict[str, str], site: Site
) -> dict[tuple[str, str], Any]:
    """The default agents once more, on a server that has no model but what was recorded."""
    server.term()
    for name in ("ROOST_MODELS_GATEWAY", "ROOST_TEST_MODELS", "MODEL_RUNNER_HOST"):
        assert env[name] == house.model.url
    asked = len(house.model.requests)
    again = house.serve(
        "--fake", str(tape(house)), agents=FOLDER, db=house.folder / "again.db", env=env, program=PROGRAM
    )
    runs = play_all(again, house, site, DEFAULTS)
    assert len(house.model.requests) == asked
    return runs


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_loads_without_a_word(path: Path) -> None:
    assert team_of(path).warnings == ()


@pytest.mark.parametrize(("example", "agent"), PLAYERS)
def test_it_runs_to_an_answer(played: dict[tuple[str, str], Any], example: str, agent: str) -> None:
    run = played[example, agent].result(60)
    assert [event["error"] for event in run.of("error")] == []
    assert [event["message"] for event in run.of("warning")] == []
    failed = [event["response"] for event in run.of("tool_call_response") if (event.get("result") or {}).get("isError")]
    assert failed == []
    assert not [event["response"] for event in run.of("tool_call_response") if "did not work" in event["response"]]
    assert run.words.endswith(f"{agent} has spoken")
    assert run.frames[-1].event["reason"] == "normal"
    specs = TEAMS[example].agent(agent).toolsets
    used = {event["tool_definition"].get("category") for event in run.of("tool_call")}
    if not TEAMS[example].agent(agent).code_mode:
        assert {CATEGORY.get(spec.type, spec.type) for spec in specs} <= used


VARIES = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"  # an id
    r"|\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d:\d\d|Z)?)?"  # a time
    r"|\b\d{10,}\b"  # a time in seconds or less
    r"|(?<=added successfully with ID: )\w+|(?<=\"duration_ms\": )\d+"
)
BESIDE = ("rag_indexing_", "tool_call_output", "partial_tool_call")
"""Frames that come while others wait for them: how many there are, and between which, is a matter of time."""


def timeless(run: Played) -> list[str]:
    """The frames without ids and times."""
    return [VARIES.sub("…", json.dumps(frame.event)) for frame in run.frames if not frame.type.startswith(BESIDE)]


@pytest.mark.parametrize(("example", "agent"), DEFAULTS)
def test_a_recorded_run_replays_byte_for_byte(
    played: dict[tuple[str, str], Any], replayed: dict[tuple[str, str], Any], example: str, agent: str
) -> None:
    assert timeless(replayed[example, agent].result(60)) == timeless(played[example, agent].result(60))


def test_doctor_finds_nothing_but_keys_to_set(house: House, env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "roost", "doctor", "--json", str(FOLDER)]
    keys = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY"), "k")
    done = subprocess.run(
        command, cwd=house.folder, env=house.env(**env, **keys), capture_output=True, text=True, timeout=60
    )
    findings = [found for found in json.loads(done.stdout) if found["check"] == "agents"]
    assert len(findings) == len(FILES)
    assert [found for found in findings if found["state"] != "ok"] == []
