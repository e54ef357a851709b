"""Agents from registries and addresses, with the real program and a real registry: push, pull, serve, refresh."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.house import House, Server, until
from fakes import registry
from fakes.pages import site

INTERVAL = 0.3  # seconds
REFRESH = ("--pull-interval", str(INTERVAL / 60))
SHELL = '[[tool shell {"cmd": "echo ran"}]] [[say done]]'

AGENT = """\
# What reviews.
providers:
  fake: {{base_url: {url}/v1}}
agents:
  root:
    model: fake/fake-model
    description: {word}
    instruction: You are the {word} one.
    toolsets: [{{type: shell}}]
"""

needs_registry = pytest.mark.skipif(not registry.installed(), reason=registry.MISSING)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with registry.serve(tmp_path / "registry") as found:
        yield found


def roost(house: House, *words: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "roost", *words],
        cwd=house.folder,
        env=house.env(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done


def text(house: House, word: str) -> str:
    return AGENT.format(url=house.model.url, word=word)


def push(house: House, word: str, reference: str) -> str:
    """Write an agent that goes by this word, and push it; the digest."""
    path = house.agent("pushed", text=text(house, word))
    digest = roost(house, "agents", "push", str(path), reference).stdout.strip()
    path.unlink()
    return digest


def described(server: Server) -> list[str]:
    return [agent["description"] for agent in server.get("/api/agents").json]


def instruction(request: Any) -> str:
    """What the model was told to be, for the word alone."""
    [word] = [word for word in ("old", "new") if f"You are the {word} one." in json.dumps(request["body"])]
    return word


def instructions(house: House) -> list[str]:
    return [instruction(request) for request in house.model.requests if "You are the" in json.dumps(request)]


def asked(server: Server, agent: str) -> str:
    """A session whose turn waits for a person."""
    session = server.create(title="t")
    server.start(session, SHELL, agent, detach=True).close()
    until(lambda: server.get("/api/waits").json and session in server.get("/api/waits").body.decode())
    return session


@needs_registry
def test_push_and_pull_keep_every_byte_but_a_line_for_the_version(house: House, address: str) -> None:
    path, reference = house.agent("a", text=text(house, "old")), f"{address}/team/a"
    pushed = roost(house, "agents", "push", str(path), reference)
    digest = pushed.stdout.strip()
    assert digest.startswith("sha256:")
    assert "has no `version`" in pushed.stderr
    out = house.folder / "out.yaml"
    assert roost(house, "agents", "pull", reference, "-o", str(out)).stdout.strip() == digest
    lines, added = path.read_text().splitlines(), out.read_text().splitlines()
    assert added == [lines[0], 'version: "15"', *lines[1:]]
    assert "is there already" in roost(house, "agents", "pull", reference, "-o", str(out), code=1).stderr
    again = roost(house, "agents", "push", str(out), f"{reference}:v2")
    assert "version" not in again.stderr
    assert roost(house, "agents", "pull", f"{reference}:v2", "-o", "-").stdout == out.read_text()
    [one, two] = json.loads(roost(house, "agents", "list", "--json").stdout)
    assert (one["reference"], one["digest"]) == (f"{reference}:latest", digest)
    assert two["reference"] == f"{reference}:v2"
    (house.agents / "a.yaml").write_text("agents: {root: {modle: x}}")
    assert "unknown key 'modle'" in roost(house, "agents", "push", str(path), reference, code=1).stderr
    assert "no such agent" in roost(house, "agents", "pull", f"{reference}:gone", code=1).stderr


@needs_registry
def test_a_new_content_reaches_new_sessions_while_a_running_turn_goes_on_with_the_old(
    house: House, address: str
) -> None:
    reference = f"{address}/team/a:stable"
    push(house, "old", reference)
    server = house.serve(*REFRESH, agents=reference)
    [agent] = [agent["name"] for agent in server.get("/api/agents").json]
    assert agent == reference.replace("/", "_").replace(":", "_") + ".yaml"
    session = asked(server, agent)
    push(house, "new", reference)
    pushed = time.monotonic()
    until(lambda: described(server) == ["new"])
    assert time.monotonic() - pushed < INTERVAL + 5  # and not only some time
    server.run(server.create(title="t"), "[[say hi]]", agent)
    assert instructions(house) == ["old", "new"]
    assert server.resume(session, "approve").status == 200
    server.until_idle(session)
    assert instructions(house) == ["old", "new", "old"]


@needs_registry
def test_a_turn_that_a_restart_cut_off_goes_on_with_the_content_it_was_opened_with(house: House, address: str) -> None:
    reference = f"{address}/team/a:stable"
    push(house, "old", reference)
    server = house.serve(agents=reference)
    [agent] = [agent["name"] for agent in server.get("/api/agents").json]
    session = asked(server, agent)
    server.kill()
    push(house, "new", reference)
    server = house.serve(agents=reference)
    until(lambda: described(server) == ["new"])
    assert server.resume(session, "approve").status == 200
    server.until_idle(session)
    server.run(server.create(title="t"), "[[say hi]]", agent)
    assert instructions(house) == ["old", "old", "new"]


@needs_registry
def test_while_the_registry_is_gone_the_copy_is_served(house: House) -> None:
    port = registry.free()
    with registry.serve(house.folder / "registry", port=port) as address:
        push(house, "old", f"{address}/team/a")
        roost(house, "agents", "pull", f"{address}/team/a")
    server = house.serve(*REFRESH, agents=f"{address}/team/a")
    assert described(server) == ["old"]
    unknown = house.serve(agents=f"{address}/team/b")
    assert unknown.get("/api/agents").json == []
    reply = unknown.get(f"/api/agents/{address.replace(':', '_')}_team_b.yaml")
    assert reply.status == 502
    assert "agent source unavailable" in reply.message
    with registry.serve(house.folder / "registry", port=port):
        push(house, "new", f"{address}/team/a")
        until(lambda: described(server) == ["new"])


@needs_registry
def test_agents_of_a_registry_join_the_files_of_a_folder_and_are_refreshed(house: House, address: str) -> None:
    push(house, "old", f"{address}/team/mate")
    house.agent(text=f"{text(house, 'lead')}    sub_agents: ['{address}/team/mate']\n")
    server = house.serve(*REFRESH)
    roster = [f.event for f in server.run(server.create(title="t"), "[[say hi]]") if f.type == "team_info"]
    assert [agent["name"] for agent in roster[0]["available_agents"]] == ["root", "mate"]
    assert roster[0]["available_agents"][1]["description"] == "old"
    push(house, "new", f"{address}/team/mate")

    def mate() -> str:
        frames = server.run(server.create(title="t"), "[[say hi]]")
        return str(next(f.event for f in frames if f.type == "team_info")["available_agents"][1]["description"])

    until(lambda: mate() == "new")


def test_a_single_local_file_has_no_pull_interval(house: House) -> None:
    path = house.agent()
    server = house.start(*REFRESH, agents=path)
    assert server.until_dead() == 1
    assert "--pull-interval flag can only be used with OCI references, not local files" in server.stderr()


def test_an_address_is_served_and_run_and_kept(house: House) -> None:
    with site(a=text(house, "old").encode()) as there:
        url = f"{there.url}/a.yaml"
        server = house.serve(*REFRESH, agents=url)
        assert [agent["name"] for agent in server.get("/api/agents").json] == [url]
        there.pages["/a.yaml"] = text(house, "new").encode()
        until(lambda: described(server) == ["new"])
        done = roost(house, "exec", url, "[[say from an address]]")
        assert "from an address" in done.stdout
    assert "from a copy" in roost(house, "exec", url, "[[say from a copy]]").stdout


def test_an_alias_names_an_agent(house: House) -> None:
    path = house.agent("mine", text=text(house, "old"))
    home = house.folder / "home" / ".roost"
    home.mkdir(exist_ok=True)
    (home / "serve.toml").write_text(f'[aliases]\nshort = "{path}"\n')
    assert "by alias" in roost(house, "exec", "short", "[[say by alias]]").stdout
    server = house.serve(agents="short")
    assert [agent["name"] for agent in server.get("/api/agents").json] == ["mine"]
    server.run(server.create(title="t"), "[[say hi]]", "short")
