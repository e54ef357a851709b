"""Agent sources: their ids, what is read anew and when, and what is not built."""

import os
import threading
from pathlib import Path

import pytest

from roost.config.sources import open_agents
from roost.core.errors import AgentBroken, AgentNotFound, BadValue, NotBuilt

pytestmark = pytest.mark.anyio

GOOD = "agents: {root: {description: one}}"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def write(path: Path, text: str, *, age: float = 10.0) -> Path:
    """A file that was written some seconds ago."""
    path.write_text(text)
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))
    return path


async def test_a_file_is_one_source_named_by_its_stem(tmp_path: Path) -> None:
    agents = open_agents([str(write(tmp_path / "my.agent.yaml", GOOD))])
    [source] = await agents.sources()
    assert source.id == "my.agent"
    assert source.error == ""
    for name in ("my.agent", "my.agent.yaml", "my.agent.yml", "root"):
        assert (await agents.team(name)).source == "my.agent"
    with pytest.raises(AgentNotFound, match=r"agent not found: my \(known: my\.agent\)"):
        await agents.team("my")


async def test_a_folder_is_every_agent_file_directly_inside(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.YML", ".hidden.yaml", "notes.txt"):
        write(tmp_path / name, GOOD)
    (tmp_path / "sub.yaml").mkdir()
    write(tmp_path / "sub.yaml" / "inner.yaml", GOOD)
    (tmp_path / "link.yaml").symlink_to(tmp_path / "b.yaml")
    agents = open_agents([str(tmp_path)])
    assert [source.id for source in await agents.sources()] == ["a", "b", "link"]
    assert (await agents.team("a.yaml")).source == "a"
    with pytest.raises(AgentNotFound):
        await agents.team("root")  # an agent's name finds a source only where there is one


async def test_of_two_files_with_one_stem_yaml_is_taken_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "x.yml", "agents: {root: {description: second}}")
    write(tmp_path / "x.yaml", GOOD)
    agents = open_agents([str(tmp_path)])
    assert (await agents.team("x")).default.description == "one"
    await agents.sources()
    assert [record.message for record in caplog.records].count(
        f"{tmp_path / 'x.yml'} is not served: x.yaml has the same id"
    ) == 1


async def test_a_broken_file_does_not_keep_others_from_being_served(tmp_path: Path) -> None:
    write(tmp_path / "bad.yaml", "agents: {root: {modle: x}}")
    write(tmp_path / "good.yaml", GOOD)
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    agents = open_agents([str(tmp_path)])
    bad, gone, good = await agents.sources()
    assert bad.team is None
    assert bad.error.startswith("bad.yaml:1:17: unknown key 'modle'")
    assert gone.error == "gone.yaml: can't be read: No such file or directory"
    assert good.team is not None
    with pytest.raises(AgentBroken, match="did you mean 'model'"):
        await agents.team("bad")


async def test_a_file_is_read_anew_when_it_has_changed_and_only_then(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", GOOD, age=60)
    agents = open_agents([str(tmp_path)])
    first = await agents.team("a")
    assert await agents.team("a") is first
    write(path, "agents: {root: {description: two}}", age=30)
    second = await agents.team("a")
    assert second.default.description == "two"
    assert second.hash != first.hash
    write(path, "agents: {", age=20)
    with pytest.raises(AgentBroken):
        await agents.team("a")
    write(path, GOOD, age=10)
    assert await agents.team("a") == first
    path.unlink()
    with pytest.raises(AgentNotFound):
        await agents.team("a")
    write(tmp_path / "new.yaml", GOOD)
    assert [source.id for source in await agents.sources()] == ["new"]


async def test_a_second_change_within_a_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("agents: {root: {description: one}}")
    when = path.stat().st_mtime_ns
    agents = open_agents([str(path)])
    assert (await agents.team("a")).default.description == "one"
    path.write_text("agents: {root: {description: two}}")
    os.utime(path, ns=(when, when))
    assert (await agents.team("a")).default.description == "two"


async def test_a_single_file_that_is_gone_stays_a_source(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", GOOD)
    agents = open_agents([str(path)])
    path.unlink()
    with pytest.raises(AgentBroken, match="can't be read"):
        await agents.team("a")


async def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "fifo"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(GOOD))
    writer.start()
    agents = open_agents([str(pipe)])
    assert (await agents.team("fifo")).default.description == "one"
    writer.join()
    assert (await agents.team("fifo")).default.description == "one"


async def test_the_default_agent_comes_before_files_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "default", GOOD)
    [source] = await open_agents(["default"]).sources()
    assert source.id == "default"
    assert source.team is not None
    assert len(source.team.default.toolsets) == 5


async def test_paths_are_those_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.yaml", GOOD)
    monkeypatch.chdir(tmp_path)
    agents = open_agents(["a.yaml"])
    monkeypatch.chdir("/")
    assert (await agents.team("a")).source == "a"


async def test_several_arguments_are_served_together(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", GOOD)
    agents = open_agents(["default", str(tmp_path / "a.yaml"), str(tmp_path)])
    assert [source.id for source in await agents.sources()] == ["a", "default"]


async def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "#" * 3_000_000)
    with pytest.raises(AgentBroken, match="larger than"):
        await open_agents([str(tmp_path)]).team("a")


@pytest.mark.parametrize("argument", ["./nope", "nope.yaml", "/nope/x", "~/nope-nope", "", "a b"])
def test_a_path_that_leads_nowhere_is_an_error(argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadValue, match=r"no (such )?agent file or folder"):
        open_agents([argument])


@pytest.mark.parametrize("argument", ["https://x.example/a.yaml", "agentcatalog/coder", "org/name:tag", "coder"])
def test_remote_sources_are_not_built(argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotBuilt, match="not built yet"):
        open_agents([argument])


def test_a_pull_interval_is_not_for_a_local_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", GOOD)
    with pytest.raises(BadValue, match="can only be used with OCI references, not local files"):
        open_agents([str(path)], pull_interval=5)
    open_agents([str(tmp_path)], pull_interval=5)
