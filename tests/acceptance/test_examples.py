"""Every example loads, and every agent in it runs to an answer, having used a tool of each of its toolsets."""

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
AT_ONCE = 8


def team_of(path: Path) -> Team:
    return load(path.stem, path.read_bytes(), name=path.name, env={}, folder=FOLDER)


TEAMS = {path.stem: team_of(path) for path in FILES}
PLAYERS = [(name, agent.name) for name, team in TEAMS.items() for agent in team.agents]
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
    return house.serve(agents=FOLDER, env=env, program=("-m", "acceptance.vendors"))


def play(server: Server, folder: Path, example: str, agent: str, script: str) -> Played:
    """Run one agent, answering whatever it asks."""
    folder.mkdir()
    session = server.create(title="t", working_dir=str(plays.furnish(folder)), tools_approved=True)
    frames = []
    for frame in server.start(session, script, f"{example}/{agent}"):
        if frame.type == "elicitation_request":
            server.post(f"/api/sessions/{session}/elicitation", {"action": "accept", "content": {"answer": "yes"}})
        if not frame.ping:
            frames.append(frame)
    return Played(frames)


@pytest.fixture(scope="module")
def played(server: Server, house: House, env: dict[str, str], site: Site) -> dict[tuple[str, str], Any]:
    """All agents of all examples, several at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {
            (name, agent.name): pool.submit(
                play,
                server,
                house.folder / f"{name}-{agent.name}",
                name,
                agent.name,
                plays.script(TEAMS[name], agent, site.url),
            )
            for name, team in TEAMS.items()
            for agent in team.agents
            if name != "scripted"
        }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_loads_without_a_word(path: Path) -> None:
    assert team_of(path).warnings == ()


@pytest.mark.parametrize(("example", "agent"), [p for p in PLAYERS if p[0] != "scripted"])
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
