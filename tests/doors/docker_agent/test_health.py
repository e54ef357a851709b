"""Health, readiness, agent files, the login callback, and paths that are not there."""

from pathlib import Path

import anyio
import pytest

from docker_agent.test_sessions import refused
from roost.core.agents import Agent, ToolsetSpec
from roost.core.errors import AgentUnreachable
from roost.core.events import Command
from roost.testing.fakes import FakeAgents, FakeTool, answers, crew
from roost.testing.house import House, open_house
from roost.tools.mcp.lobby import Arrival, Lobby

pytestmark = pytest.mark.anyio


async def test_the_server_says_that_it_is_there(house: House) -> None:
    assert (await house.client.get("/health")).text == '{"status":"ok","version":"1.2.3"}\n'
    ping = await house.client.get("/api/ping")
    assert (ping.text, ping.headers["content-type"]) == ('{"status":"ok"}\n', "application/json")


async def test_readiness_is_that_of_the_store(house: House) -> None:
    assert (await house.client.get("/ready")).text == (
        '{"ready":true,"active_sessions":0,"store_connected":true,"toolset_health":"ok"}\n'
    )
    house.store.full = True
    answer = await house.client.get("/ready")
    assert answer.status_code == 503
    assert answer.text == (
        '{"ready":false,"active_sessions":0,"store_connected":false,"toolset_health":"unavailable",'
        '"latest_error":"store disconnected"}\n'
    )


async def test_running_sessions_are_counted(house: House) -> None:
    house.provider.script = answers(["x", anyio.Event()])
    async with house.running(await house.session(), "hi") as frames:
        await frames.until("agent_choice")
        assert (await house.client.get("/ready")).json()["active_sessions"] == 1


async def test_the_first_session_that_runs_can_be_waited_for(house: House) -> None:
    assert await refused(house, "GET", "/api/ready?timeout=10ms") == (503, "no sessions registered within timeout")
    for timeout in ("x", "0s", "-1s", "10"):
        status, said = await refused(house, "GET", f"/api/ready?timeout={timeout}")
        assert status == 400
        assert said.startswith("invalid timeout: ")
    async with anyio.create_task_group() as tasks:

        async def wait() -> None:
            assert (await house.client.get("/api/ready?timeout=20s")).text == '{"status":"ready"}\n'

        tasks.start_soon(wait)
        await house.run(await house.session(), "hi")
    assert (await house.client.get("/api/ready")).status_code == 200


async def test_the_list_of_agents(tmp_path: Path) -> None:
    commands = (Command("fix-lint", "Fix lint", "Fix it"), Command("explain"))
    agents = FakeAgents(
        crew(Agent("root", description="Reviews pull requests", commands=commands), Agent("b"), source="reviewer"),
        crew(Agent("root"), source="Triage"),
    )
    agents.broken["bent"] = "line 3: no such key\nand more"
    async with open_house(tmp_path, agents=agents) as house:
        assert (await house.client.get("/api/agents")).text == (
            '[{"name":"Triage","description":"","multi":false},'
            '{"name":"reviewer","description":"Reviews pull requests","multi":true,'
            '"commands":["explain","fix-lint"]}]\n'
        )
        assert (await house.client.get("/ready")).json()["broken_agents"] == ["bent: line 3: no such key"]
        status, said = await refused(house, "GET", "/api/agents/bent")
        assert status == 500
        assert said.startswith("failed to load agent source: load ")
        assert "line 3: no such key" in said


async def test_no_agents_are_an_empty_list(tmp_path: Path) -> None:
    async with open_house(tmp_path, agents=FakeAgents()) as house:
        assert (await house.client.get("/api/agents")).text == "[]\n"


async def test_an_agent_file_keeps_the_order_of_its_keys(tmp_path: Path) -> None:
    toolset = {"type": "filesystem", "defer": {}, "remote": {"url": ""}, "api_config": {}}
    config = {
        "version": "5",
        "agents": [{"Name": "root", "model": "b", "toolsets": [toolset], "commands": {"z": {}, "a": {}}}],
        "models": {"b": {"provider": "p", "temperature": 1.0}, "a": {"provider": "p", "temperature": 0.5}},
        "metadata": {"author": "qa"},
    }
    async with open_house(tmp_path, agents=FakeAgents(crew(config=config))) as house:
        answer = await house.client.get("/api/agents/crew")
        assert answer.text == (
            '{"version":"5","agents":[{"Name":"root","model":"b","toolsets":[{"type":"filesystem","defer":{},'
            '"remote":{"url":""},"api_config":{}}],"commands":{"a":{},"z":{}}}],"models":{"a":{"provider":"p",'
            '"temperature":0.5},"b":{"provider":"p","temperature":1}},"metadata":{"author":"qa"}}\n'
        )
        assert (await house.client.get("/api/agents/crew.yaml")).text == answer.text


class Away(FakeAgents):
    async def team(self, source: str, hash: str = ""):
        raise AgentUnreachable("connection refused")


async def test_agents_that_can_not_be_had(tmp_path: Path, house: House) -> None:
    assert await refused(house, "GET", "/api/agents/nobody") == (
        404,
        "agent source not found: agent not found: nobody",
    )
    async with open_house(tmp_path, agents=Away(crew())) as away:
        assert await refused(away, "GET", "/api/agents/crew") == (
            502,
            'failed to load agent source: agent source unavailable: load "crew": connection refused',
        )
        assert await refused(away, "GET", "/api/agents/crew/root/tools/count") == (
            502,
            "failed to get agent tool count: connection refused",
        )
        session = await away.session()
        assert (await refused(away, "POST", f"/api/sessions/{session}/agent/crew", json={}))[0] == 502


async def test_tools_are_counted(tmp_path: Path) -> None:
    broken = Agent("b", toolsets=(ToolsetSpec("broken"),))
    agents = FakeAgents(crew(Agent("root", toolsets=(ToolsetSpec("fake"),)), Agent("none"), broken))
    async with open_house(tmp_path, tools=[FakeTool("a"), FakeTool("b")], agents=agents) as house:
        at = "/api/agents/crew"
        assert (await house.client.get(at + "/root/tools/count")).text == '{"available_tools":2}\n'
        assert (await house.client.get(at + "/none/tools/count")).text == '{"available_tools":0}\n'
        assert (await refused(house, "GET", at + "/nobody/tools/count"))[0] == 404
        assert (await refused(house, "GET", "/api/agents/nobody/root/tools/count"))[0] == 404
        assert (await house.client.get(at + "/b/tools/count")).text == '{"available_tools":0}\n'


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("", 400, "missing state query parameter"),
        ("?state=", 400, "missing state query parameter"),
        ("?state=s", 400, "missing both code and error query parameters"),
        ("?state=s&code=c", 404, "no pending OAuth flow for the given state"),
        ("?state=s&error=denied&error_description=no", 404, "no pending OAuth flow for the given state"),
    ],
)
async def test_no_login_is_pending(house: House, query: str, status: int, message: str) -> None:
    assert await refused(house, "POST", f"/api/mcp-oauth/callback{query}") == (status, message)


async def test_a_login_is_delivered_once(tmp_path: Path) -> None:
    lobby, path = Lobby(), "/api/mcp-oauth/callback"
    async with open_house(tmp_path, logins=lobby) as house:
        with lobby.wait("s1") as one, lobby.wait("s2") as two:
            assert await refused(house, "POST", f"{path}?state=s3&code=c") == (
                404,
                "no pending OAuth flow for the given state",
            )
            reply = await house.client.post(f"{path}?state=s1&code=a%2Bb")
            assert (reply.status_code, reply.text) == (200, "null\n")
            assert (await one.arrival()).code == "a+b"
            assert (await refused(house, "POST", f"{path}?state=s1&code=c"))[0] == 404
            reply = await house.client.post(f"{path}?state=s2&error=access_denied&error_description=not%20now")
            assert reply.status_code == 200
            assert await two.arrival() == Arrival(error="access_denied", description="not now")
        with lobby.wait("s4"):
            pass
        assert (await refused(house, "POST", f"{path}?state=s4&code=c"))[0] == 404


NOWHERE = [
    *(f"/api/sessions/x/{name}" for name in ("tools", "skills", "compact", "pause", "snapshots", "undo", "reset")),
    "/api/sessions/x/mcp/prompts",
    "/api/sessions/x/toolsets",
    "/api/models",
    "/api/desktop/token",
    "/api/sessions/",
    "/api/sessions//status",
    "/api/Sessions",
    "/api",
    "/api/ping/",
    "//api/ping",
    "/docs/nothing.js",
]


@pytest.mark.parametrize("path", NOWHERE)
async def test_other_paths_are_not_there(house: House, path: str) -> None:
    answer = await house.client.get(house.url + path)
    assert (answer.status_code, answer.text) == (404, '{"message":"Not Found"}\n')


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/api/agents", "GET, OPTIONS"),
        ("DELETE", "/api/agents", "GET, OPTIONS"),
        ("HEAD", "/api/ping", "GET, OPTIONS"),
        ("PUT", "/api/sessions/x", "DELETE, GET, OPTIONS"),
        ("GET", "/api/sessions/x/agent/crew", "OPTIONS, POST"),
    ],
)
async def test_other_methods_are_refused_with_those_that_are_not(
    house: House, method: str, path: str, allow: str
) -> None:
    answer = await house.client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert answer.text == ("" if method == "HEAD" else '{"message":"Method Not Allowed"}\n')


@pytest.mark.parametrize("word", ["config", "import", "export", "pull", "push"])
async def test_what_clients_look_for_in_vain_is_not_there(house: House, word: str) -> None:
    for method in ("POST", "PUT"):
        answer = await house.client.request(method, f"/api/agents/{word}", json={})
        assert (answer.status_code, answer.text) == (404, '{"message":"Not Found"}\n')
    assert (await refused(house, "GET", f"/api/agents/{word}"))[1] == f"agent source not found: agent not found: {word}"


async def test_options_tell_what_a_path_takes(house: House) -> None:
    answer = await house.client.options("/api/sessions")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, "GET, OPTIONS, POST", b"")
    assert (await house.client.options("/nowhere")).status_code == 404


async def test_encoded_paths_lead_to_the_same_place(house: House) -> None:
    assert (await house.client.get(house.url + "/api/%70ing")).status_code == 200
