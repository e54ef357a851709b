"""What is kept for agent CLIs: defaults, skills, tool servers; other programs' files are written by a sync alone."""

import json
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest

from roost.core.errors import BadValue, Denied, NotKept
from roost.service.orders import Defaults
from roost.service.shelf import KEYS
from roost.service.toolservers import ToolServer
from service.fleets import BOSS, open_fleet

pytestmark = pytest.mark.anyio


# -- defaults -----------------------------------------------------------------------------------


async def test_values_are_set_shown_and_taken_out(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        shelf = world.service.shelf
        assert shelf.show(BOSS).content is None
        assert shelf.create(BOSS) and not shelf.create(BOSS)
        assert shelf.set(BOSS, "auto_approve", "1") == "true"
        assert shelf.set(BOSS, "max_turns", "9") == "9"
        assert shelf.set(BOSS, "model.claude", "opus") == "opus"
        assert shelf.set(BOSS, "ollama.model", "qwen") == "qwen"
        assert shelf.value(BOSS, "model.claude") == "opus" and shelf.value(BOSS, "provider") is None
        values = shelf.values(BOSS)
        assert set(values) == set(KEYS) and values["auto_approve"] == "true"
        assert shelf.defaults() == Defaults(auto_approve=True, max_turns=9, models={"claude": "opus", "ollama": "qwen"})
        shelf.unset(BOSS, "max_turns")
        shelf.unset(BOSS, "max_turns")
        assert shelf.defaults().max_turns == 0
        content = shelf.show(BOSS).content
        assert content is not None and content.startswith("# What agent CLIs")  # comments stay
        assert stat.S_IMODE(shelf.path.stat().st_mode) == 0o600
        shelf.reset(BOSS)
        assert shelf.defaults() == Defaults() and not shelf.path.exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("nonsense", "1"),
        ("model.nobody", "x"),
        ("auto_approve", "perhaps"),
        ("max_turns", "-1"),
        ("max_turns", "many"),
        ("listen.format", "xml"),
        ("system_prompt", "x" * 70_000),
        ("provider", "a\0b"),
    ],
)
async def test_values_that_can_not_be(tmp_path: Path, key: str, value: str) -> None:
    async with open_fleet(tmp_path) as world:
        with pytest.raises(BadValue):
            world.service.shelf.set(BOSS, key, value)
        assert not world.service.shelf.path.exists()


async def test_a_file_that_is_broken_is_told_and_kept(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        shelf = world.service.shelf
        shelf.path.write_text("[defaults\n")
        with pytest.raises(BadValue, match="can't be read"):
            await world.spawn("hi")
        with pytest.raises(BadValue):
            shelf.set(BOSS, "provider", "mock")
        assert shelf.path.read_text() == "[defaults\n"


async def test_accounts_may_look_at_none_of_it(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        ann, service = world.account("ann"), world.service
        server = ToolServer("x", command="x")
        for refused in (
            lambda: service.shelf.show(ann),
            lambda: service.shelf.values(ann),
            lambda: service.shelf.set(ann, "provider", "mock"),
            lambda: service.shelf.unset(ann, "provider"),
            lambda: service.shelf.reset(ann),
            lambda: service.skills.listing(ann),
            lambda: service.skills.add(ann, "x"),
            lambda: service.skills.sync(ann),
            lambda: service.skills.take_over(ann),
            lambda: service.toolservers.listing(ann),
            lambda: service.toolservers.add(ann, server),
            lambda: service.toolservers.sync(ann),
            lambda: service.toolservers.take_over(ann),
        ):
            with pytest.raises(Denied):
                refused()


# -- skills -------------------------------------------------------------------------------------


async def test_skills_are_kept_linked_and_removed(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        skills, user = world.service.skills, tmp_path / "user"
        path = skills.add(BOSS, "deploy", "How to\ndeploy")
        assert Path(path) == world.home / "skills/deploy/SKILL.md"
        [skill] = skills.listing(BOSS)
        assert skill == skills.show(BOSS, "deploy")
        assert (skill.name, skill.description) == ("deploy", "How to deploy") and skill.body.startswith("# deploy")
        assert skills.sync(BOSS, "claude") == 1
        assert skills.sync(BOSS) == 3 and skills.sync(BOSS) == 0
        link = user / ".claude/skills/roost-deploy"
        assert (link / "SKILL.md").read_text() == Path(path).read_text()
        with pytest.raises(BadValue, match="already"):
            skills.add(BOSS, "deploy")
        skills.remove(BOSS, "deploy")
        assert not link.is_symlink() and skills.listing(BOSS) == []
        with pytest.raises(NotKept):
            skills.show(BOSS, "deploy")


async def test_a_clis_own_skills_are_copied_once(tmp_path: Path) -> None:
    theirs = tmp_path / "user/.claude/skills/review"
    theirs.mkdir(parents=True)
    (theirs / "SKILL.md").write_text("---\nname: 'review'\ndescription: Look closely\n---\nBody")
    (theirs / "helper.py").write_text("x")
    async with open_fleet(tmp_path) as world:
        skills = world.service.skills
        assert skills.take_over(BOSS) == ["review"] and skills.take_over(BOSS) == []
        skill = skills.show(BOSS, "review")
        assert (skill.name, skill.description, skill.body) == ("review", "Look closely", "Body")
        assert (Path(skill.dir) / "helper.py").exists()
        assert skills.sync(BOSS, "claude") == 1
        assert (tmp_path / "user/.claude/skills/review/SKILL.md").exists()


@pytest.mark.parametrize("name", ["", "..", "../x", "/etc", "a/b", ".x", "x" * 65, "a\0"])
async def test_d12_names_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "x"
    victim.mkdir()
    (victim / "SKILL.md").write_text("mine")
    async with open_fleet(tmp_path) as world:
        skills, servers = world.service.skills, world.service.toolservers
        for refused in (
            lambda: skills.add(BOSS, name),
            lambda: skills.show(BOSS, name),
            lambda: skills.remove(BOSS, name),
            lambda: servers.add(BOSS, ToolServer(name, command="x")),
            lambda: servers.show(BOSS, name),
            lambda: servers.remove(BOSS, name),
        ):
            with pytest.raises(BadValue):
                refused()
    assert (victim / "SKILL.md").read_text() == "mine"


@pytest.mark.parametrize("use", ["sync", "take_over"])
async def test_providers_that_have_none(tmp_path: Path, use: str) -> None:
    async with open_fleet(tmp_path) as world:
        for subject in (world.service.skills, world.service.toolservers):
            with pytest.raises(BadValue):
                getattr(subject, use)(BOSS, "ollama")


# -- tool servers -------------------------------------------------------------------------------

FILES = ToolServer("files", "Files", command="npx", args=("files", "/srv"), env={"A": "b"})
WEB = ToolServer("web", transport="http", url="https://example.org/mcp", bearer_token_env_var="WEB_TOKEN")


async def test_d21_tool_servers_are_kept_for_all_or_for_a_project(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        servers = world.service.toolservers
        assert servers.add(BOSS, FILES) == str(world.home / "mcp/files.toml")
        own = ToolServer("files", command="mine")
        path = servers.add(BOSS, own, everywhere=False, root="/srv/app")
        assert path == str(world.home / "projects/srv-app/mcp/files.toml")
        assert servers.show(BOSS, "files") == FILES and servers.show(BOSS, "files", "/srv/app") == own
        assert [server.name for server in servers.listing(BOSS)] == ["files"]
        servers.remove(BOSS, "files", "/srv/app")
        assert servers.show(BOSS, "files", "/srv/app") == FILES
        with pytest.raises(NotKept):
            servers.remove(BOSS, "nothing")


@pytest.mark.parametrize(
    "server",
    [
        ToolServer("x"),
        ToolServer("x", transport="http", url="ftp://example.org"),
        ToolServer("x", command="x", args=("a\0",)),
        ToolServer("x", command="x", args=("y",) * 300),
    ],
)
async def test_tool_servers_that_can_not_be(tmp_path: Path, server: ToolServer) -> None:
    async with open_fleet(tmp_path) as world:
        with pytest.raises(BadValue):
            world.service.toolservers.add(BOSS, server)


async def test_a_sync_writes_our_entries_and_leaves_others_alone(tmp_path: Path) -> None:
    user = tmp_path / "user"
    (user / ".codex").mkdir(parents=True)
    (user / ".claude.json").write_text('{"theme": "dark", "mcpServers": {"own": {"command": "x"}}}')
    (user / ".codex/config.toml").write_text('# mine\nmodel = "gpt"\n[mcp_servers.own]\ncommand = "x"\n')
    async with open_fleet(tmp_path) as world:
        servers = world.service.toolservers
        servers.add(BOSS, FILES)
        servers.add(BOSS, WEB)
        assert servers.sync(BOSS) == 8
        claude = json.loads((user / ".claude.json").read_text())
        assert claude["theme"] == "dark" and set(claude["mcpServers"]) == {"own", "roost-files", "roost-web"}
        assert claude["mcpServers"]["roost-web"]["headers"] == {"Authorization": "Bearer ${WEB_TOKEN}"}
        codex = tomllib.loads((user / ".codex/config.toml").read_text())
        assert codex["model"] == "gpt" and codex["mcp_servers"]["own"] == {"command": "x"}
        assert codex["mcp_servers"]["roost-files"]["args"] == ["files", "/srv"]
        gemini = json.loads((user / ".gemini/settings.json").read_text())
        assert gemini["mcpServers"]["roost-web"]["httpUrl"] == WEB.url
        servers.remove(BOSS, "web")
        servers.sync(BOSS)
        assert "roost-web" not in json.loads((user / ".claude.json").read_text())["mcpServers"]
        assert "roost-web" not in tomllib.loads((user / ".codex/config.toml").read_text())["mcp_servers"]
        assert "# mine" in (user / ".codex/config.toml").read_text()


async def test_a_clis_own_tool_servers_are_kept_once(tmp_path: Path) -> None:
    user = tmp_path / "user"
    user.mkdir()
    own: dict[str, Any] = {
        "own": {"command": "x", "args": ["y"]},
        "far": {"type": "http", "url": "https://example.org"},
    }
    (user / ".claude.json").write_text(json.dumps({"mcpServers": own | {"odd": 7}}))
    async with open_fleet(tmp_path) as world:
        servers = world.service.toolservers
        assert servers.take_over(BOSS) == ["own", "far"] and servers.take_over(BOSS) == []
        assert servers.show(BOSS, "own") == ToolServer("own", command="x", args=("y",))
        (user / ".claude.json").write_text("{broken")
        for use in (servers.take_over, servers.sync):
            with pytest.raises(BadValue, match="can't be read"):
                use(BOSS, "claude")
        assert (user / ".claude.json").read_text() == "{broken"
