"""Agent sources: their ids, what is read anew and when, what joins, and what stays."""

import os
import threading
from pathlib import Path

import anyio
import pytest

from fakes.pages import site
from roost.config import remotes, sources
from roost.config.aliases import known
from roost.config.bundle import outside
from roost.config.places import BUILT_IN
from roost.config.sources import Files, open_agents
from roost.core.errors import AgentBroken, AgentNotFound, AgentUnreachable, BadValue, NotBuilt

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


@pytest.mark.parametrize("argument", ["coder", "agnet", "name:tag", "x.hcl"])
def test_a_bare_word_is_never_asked_of_a_registry(
    argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if argument == "coder":
        assert isinstance(open_agents([argument]), Files)
        return
    with pytest.raises((BadValue, NotBuilt), match=r"no such agent file or folder|HCL"):
        open_agents([argument])


def test_an_address_with_a_login_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="every client would be shown") as caught:
        open_agents(["https://ann:secret@x.example/a.yaml"])
    assert "secret" not in str(caught.value)


def test_a_pull_interval_is_not_for_local_files_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", GOOD)
    with pytest.raises(BadValue, match="can only be used with OCI references, not local files"):
        open_agents([str(path)], pull_interval=5)
    open_agents([str(tmp_path)], pull_interval=5)
    open_agents([str(path), "org/name"], pull_interval=5)


@pytest.mark.parametrize("name", BUILT_IN)
async def test_built_in_agents_load(name: str) -> None:
    team = await open_agents([name]).team(name)
    assert team.default.description
    assert {"filesystem", "shell"} <= {toolset.type for toolset in team.default.toolsets}


# -- aliases ------------------------------------------------------------------------------------


async def test_an_alias_comes_before_everything_and_finds_its_agent(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.yaml", GOOD)
    agents = open_agents(["default"], aliases={"default": str(path)})
    assert [source.id for source in await agents.sources()] == ["mine"]
    assert (await agents.team("default")).source == "mine"
    assert [one.id for one in await open_agents([""], aliases={"default": str(path)}).sources()] == ["mine"]


def test_aliases_of_the_other_program_are_read_where_ours_has_none(tmp_path: Path) -> None:
    theirs = tmp_path / ".config/cagent/config.yaml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text(
        "aliases: {a: {path: org/a, yolo: true}, b: /x/b.yaml, c: {model: x}, d: 3}\nsettings: {YOLO: true}\n"
    )
    before = theirs.read_bytes()
    env = {"HOME": str(tmp_path)}
    assert known({"a": "org/mine"}, tmp_path / "none", env) == {"a": "org/mine", "b": "/x/b.yaml"}
    assert theirs.read_bytes() == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.yaml").write_text("aliases: {z: org/z}")
    assert known({}, other, env) == {"z": "org/z"}


@pytest.mark.parametrize("text", ["{", "7", "aliases: 3", "aliases: [1]", "", "a: 1\na: 2"])
def test_a_file_of_aliases_that_makes_no_sense_has_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    assert known({"a": "b"}, tmp_path, {"HOME": str(tmp_path)}) == {"a": "b"}


# -- from elsewhere -----------------------------------------------------------------------------


def remote(tmp_path: Path, *arguments: str, interval: float = 0) -> Files:
    return open_agents(arguments, data_dir=str(tmp_path / "data"), pull_interval=interval)


async def test_an_address_is_its_own_id_and_is_found_with_other_signatures(tmp_path: Path) -> None:
    with site(a=GOOD.encode()) as there:
        url = f"{there.url}/a.yaml?ref=x&token=1"
        agents = remote(tmp_path, url)
        assert [source.id for source in await agents.sources()] == [url]
        for name in (url, f"{there.url}/a.yaml?token=2&ref=x", "root"):
            assert (await agents.team(name)).source == url
        with pytest.raises(AgentNotFound):
            await agents.team(f"{there.url}/a.yaml?ref=y")
        assert len(there.seen) == 1  # it is read once, and kept


async def test_what_can_not_be_fetched_carries_its_error_and_is_asked_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(a=GOOD.encode()) as there:
        there.down = 503
        agents = remote(tmp_path, f"{there.url}/a.yaml")
        [source] = await agents.sources()
        assert source.error == f"{there.url}/a.yaml can't be fetched: HTTP 503"
        with pytest.raises(AgentUnreachable, match="HTTP 503"):
            await agents.team(source.id)
        assert len(there.seen) == 1  # nobody is asked again at once
        there.down = 0
        monkeypatch.setattr(remotes, "RETRY", 0.0)
        assert (await agents.team(source.id)).default.description == "one"


async def test_a_list_says_again_what_was_wrong_and_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remotes, "RETRY", 0.0)
    path = tmp_path / "a.yaml"
    with site(a=GOOD.encode()) as there:
        there.down = 500
        write(path, f"agents: {{root: {{sub_agents: ['{there.url}/a.yaml']}}}}", age=60)
        agents = remote(tmp_path, str(path), f"{there.url}/a.yaml")
        first = await agents.sources()
        asked = len(there.seen)
        assert all(source.error.endswith("HTTP 500") for source in first)
        assert await agents.sources() == first
        assert len(there.seen) == asked
        write(path, GOOD, age=30)
        near, far = await agents.sources()
        assert near.error == "" and far.error


async def test_what_could_not_be_had_is_tried_again_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remotes, "RETRY", 0.0)
    monkeypatch.setattr(sources, "MENDING", 0.05)
    with site(a=GOOD.encode()) as there:
        there.down = 500
        agents = remote(tmp_path, f"{there.url}/a.yaml")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agents.keep)
            with anyio.fail_after(10):
                while not (await agents.sources())[0].error:
                    await anyio.sleep(0.01)
                there.down = 0
                while (await agents.sources())[0].error:
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()


async def test_a_list_does_not_wait_for_a_slow_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LISTING", 1.0)
    write(tmp_path / "near.yaml", GOOD)
    with site(a=GOOD.encode()) as there:
        there.hold = threading.Event()
        agents = remote(tmp_path, str(tmp_path / "near.yaml"), f"{there.url}/a.yaml")
        far, near = await agents.sources()
        assert (far.team, far.error) == (None, "it is still being fetched")
        assert near.team is not None
        there.hold.set()
        assert (await agents.team(far.id)).default.description == "one"


async def test_a_refresh_takes_what_is_new_and_keeps_what_was_where_that_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with site(a=GOOD.encode()) as there:
        agents = remote(tmp_path, f"{there.url}/a.yaml")
        first = await agents.team(f"{there.url}/a.yaml")
        there.pages["/a.yaml"] = b"agents: {root: {description: two}}"
        assert await agents.team(first.source) is first
        await agents.refresh()
        second = await agents.team(first.source)
        assert second.default.description == "two"
        caplog.clear()
        there.pages["/a.yaml"] = b"agents: {"
        for _ in range(3):
            await agents.refresh()
            assert await agents.team(first.source) is second
        assert [record.action for record in caplog.records] == ["agent_kept"]  # type: ignore[attr-defined]
        there.down = 500
        await agents.refresh()
        assert await agents.team(first.source) is second
        assert await agents.team(first.source, first.hash) is first


async def test_it_is_refreshed_each_interval(tmp_path: Path) -> None:
    with site(a=GOOD.encode()) as there:
        agents = remote(tmp_path, f"{there.url}/a.yaml", interval=0.1 / 60)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(agents.keep)
            assert (await agents.team(f"{there.url}/a.yaml")).default.description == "one"
            there.pages["/a.yaml"] = b"agents: {root: {description: two}}"
            with anyio.fail_after(10):
                while (await agents.team(f"{there.url}/a.yaml")).default.description == "one":
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()


async def test_agents_of_addresses_join_a_local_team_and_are_refreshed_with_a_folder(tmp_path: Path) -> None:
    with site(helper=b"agents: {root: {description: helps}}") as there:
        folder = tmp_path / "agents"
        folder.mkdir()
        write(folder / "a.yaml", f"agents: {{root: {{sub_agents: ['{there.url}/helper.yaml']}}}}")
        agents = remote(tmp_path, str(folder), interval=5)
        team = await agents.team("a")
        mate = team.agent("helper")
        assert mate is not None
        assert mate.description == "helps"
        there.pages["/helper.yaml"] = b"agents: {root: {description: helps more}}"
        await agents.refresh()
        newer = await agents.team("a")
        assert newer.hash != team.hash
        there.down = 404
        await agents.refresh()
        assert await agents.team("a") == newer
        assert await agents.team("a", team.hash) is team


async def test_a_team_whose_agent_can_not_be_had_says_which(tmp_path: Path) -> None:
    with site(broken=b"agents: {root: {modle: x}}") as there:
        folder = tmp_path / "agents"
        folder.mkdir()
        write(folder / "a.yaml", f"agents: {{root: {{sub_agents: ['{there.url}/gone.yaml']}}}}")
        write(folder / "b.yaml", f"agents: {{root: {{sub_agents: ['{there.url}/broken.yaml']}}}}")
        agents = remote(tmp_path, str(folder))
        with pytest.raises(AgentUnreachable, match=r"gone\.yaml can't be fetched: HTTP 404"):
            await agents.team("a")
        with pytest.raises(AgentBroken, match=r"broken\.yaml:1:17: unknown key 'modle'"):
            await agents.team("b")
        there.pages = {"/gone.yaml": GOOD.encode(), "/broken.yaml": GOOD.encode()}
        await agents.refresh()
        assert all(source.error == "" for source in await agents.sources())


@pytest.mark.parametrize("target", ["./near.yaml", "../x/near.yml"])
async def test_a_file_from_elsewhere_can_not_name_files_of_this_machine(tmp_path: Path, target: str) -> None:
    with site(a=f"agents: {{root: {{sub_agents: ['{target}']}}}}".encode()) as there:
        agents = remote(tmp_path, f"{there.url}/a.yaml")
        with pytest.raises(AgentBroken, match="can't name files of this machine"):
            await agents.team(f"{there.url}/a.yaml")


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/x.yaml", "localhost:5000/a/b", "http://x.example/a.yaml"])
def test_a_file_from_the_network_can_not_name_what_only_this_machine_can_reach(target: str) -> None:
    raw = f"agents: {{root: {{sub_agents: ['{target}']}}}}".encode()
    with pytest.raises(AgentBroken, match="can't name addresses without TLS"):
        outside("x", "https://x.example/a.yaml", raw, {})
    assert outside("x", "http://127.0.0.1:1/a.yaml", raw, {}).externals


# -- contents of earlier ------------------------------------------------------------------------


async def test_a_team_is_found_by_its_hash_after_a_restart(tmp_path: Path) -> None:
    with site(helper=b"agents: {root: {description: helps}}") as there:
        path = tmp_path / "a.yaml"
        write(path, f"agents: {{root: {{sub_agents: ['{there.url}/helper.yaml']}}}}", age=60)
        then = await remote(tmp_path, str(path)).team("a")
        write(path, GOOD, age=30)
        there.down = 500
        agents = remote(tmp_path, str(path))
        assert (await agents.team("a")).default.description == "one"
        assert await agents.team("a", then.hash) == then
        write(path, "agents: {", age=20)
        assert await agents.team("a", then.hash) == then
        with pytest.raises(AgentBroken):
            await agents.team("a")


async def test_what_is_no_longer_known_is_the_one_of_now(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.yaml", GOOD)
    now = await remote(tmp_path, str(path)).team("a", "0" * 64)
    assert now.default.description == "one"
    assert [record.action for record in caplog.records] == ["pin_lost"]  # type: ignore[attr-defined]
    [folder] = (tmp_path / "data/store/pins").iterdir()
    [kept] = folder.iterdir()
    kept.write_text("{")
    write(path, "agents: {root: {description: two}}", age=5)
    assert (await remote(tmp_path, str(path)).team("a", now.hash)).default.description == "two"
    assert (await remote(tmp_path, str(path)).team("a", "../../x")).default.description == "two"


async def test_of_many_contents_the_newest_are_kept(tmp_path: Path) -> None:
    path, hashes = tmp_path / "a.yaml", []
    for number in range(12):
        write(path, f"agents: {{root: {{description: d{number}}}}}", age=100 - number)
        hashes.append((await remote(tmp_path, str(path)).team("a")).hash)
    agents = remote(tmp_path, str(path))
    assert (await agents.team("a", hashes[-5])).hash == hashes[-5]
    assert (await agents.team("a", hashes[0])).hash == hashes[-1]


async def test_a_source_that_is_served_no_more_is_not_found_by_its_hash(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", GOOD)
    other = write(tmp_path / "b.yaml", GOOD)
    then = await remote(tmp_path, str(path)).team("a")
    with pytest.raises(AgentNotFound):
        await remote(tmp_path, str(other)).team("a", then.hash)
