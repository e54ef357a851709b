"""Tool servers behind a real server: questions answered over HTTP, cut off by a kill, and logins by a browser."""

import json
import os
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from acceptance.house import House, Server, free_port, until
from acceptance.sse import Frame, Stream

FAKES = Path(__file__).parents[1] / "fakes"
FILE = """\
providers:
  fake: {{base_url: {url}/v1}}
agents:
  root:
    model: fake/fake-model
    toolsets: [{toolset}]
permissions:
  allow: ["*"]
"""


def serve(house: House, toolset: dict[str, Any], *flags: str) -> Server:
    house.agent(text=FILE.format(url=house.model.url, toolset=json.dumps({"type": "mcp", **toolset})))
    return house.serve(*flags)


def elicit(server: Server, session: str, event: dict[str, Any], **answer: Any) -> Any:
    return server.post(f"/api/sessions/{session}/elicitation", {**answer, "elicitation_id": event["elicitation_id"]})


def asked(stream: Stream) -> dict[str, Any]:
    return stream.until("elicitation_request")[-1].event


def response(frames: list[Frame]) -> str:
    (found,) = (f.event for f in frames if f.type == "tool_call_response")
    return str(found["response"])


def everything() -> list[str]:
    """The command of the real server; the test is skipped where it is not installed."""
    folder = os.environ.get("AGENT_CLI_DIR", "")
    program = Path(folder).parent / "@modelcontextprotocol/server-everything/dist/index.js"
    node = shutil.which("node", path=f"{os.environ.get('AGENT_NODE_DIR', '')}:{os.environ.get('PATH', '')}")
    if not folder or not program.exists() or node is None:
        pytest.skip("no server-everything: `make clis` brings it (and `make clis-env` says where)")
    return [node, str(program)]


def test_the_questions_of_a_real_server(house: House) -> None:
    node, program = everything()
    server = serve(house, {"command": node, "args": [program], "name": "all"})
    session = server.create(title="t")
    stream = server.start(session, "[[tool all_trigger-elicitation-request {}]]")
    event = asked(stream)
    assert event["mode"] == "form" and event["schema"]["properties"]["name"]["type"] == "string"
    assert elicit(server, session, event, action="accept", content={"name": "Ada", "check": True}).status == 200
    assert "- Name: Ada" in response(list(stream))
    url = "https://example.com/verify"
    call = json.dumps({"url": url, "message": "Open it"})
    stream = server.start(session, f"[[tool all_trigger-url-elicitation {call}]]")
    event = asked(stream)
    assert (event["mode"], event["url"], event["message"]) == ("url", url, "Open it")
    assert elicit(server, session, event, action="accept").status == 200
    assert "accept" in response(list(stream))


def test_a_question_that_a_kill_cut_off(house: House) -> None:
    """It is void, its call lost; the tool's effect is `ask`, so a person says whether it runs again."""
    toolset = {"command": sys.executable, "args": [str(FAKES / "toolserver.py")]}
    server = serve(house, toolset)
    session = server.create(title="t")
    stream = server.start(session, "[[tool form {}]]")
    first = asked(stream)
    server.kill()
    stream.close()
    server = house.serve()
    events = server.follow(session)
    lost = events.until("tool_call_confirmation").event
    assert "may have done its work" in json.dumps(lost)
    assert elicit(server, session, first, action="accept", content={"n": 1}).status in (404, 409, 500)
    assert server.resume(session, "approve").status == 200
    again = until(lambda: [w for w in server.get("/api/waits").json if w["kind"] == "question"])[0]
    assert again["id"] != first["elicitation_id"]
    answer = {"action": "accept", "content": {"n": 2}}
    assert server.post(f"/api/waits/{again['id']}", answer).status == 200
    assert json.loads(events.until("tool_call_response").event["response"]) == answer
    events.stop()


# -- logins -------------------------------------------------------------------------------------


@contextmanager
def protected(lifetime: int) -> Iterator[str]:
    port = free_port()
    running = subprocess.Popen([sys.executable, str(FAKES / "oauth.py"), str(port), str(lifetime)])
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/.well-known/oauth-authorization-server"))
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        running.terminate()
        running.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *told: Any) -> None:
        return None


def browse(url: str) -> str:
    """The query with which a browser would come back."""
    try:
        urllib.request.build_opener(_Stay).open(url, timeout=10)
    except urllib.error.HTTPError as reply:
        assert reply.code == 302
        return urllib.parse.urlsplit(reply.headers["location"]).query
    raise AssertionError("it was not sent back")


def test_a_login_through_the_callback(house: House) -> None:
    with protected(lifetime=3) as url:
        server = serve(house, {"remote": {"url": url}}, "--mcp-oauth-redirect-uri", "http://127.0.0.1:1/back")
        session = server.create(title="t")
        stream = server.start(session, "[[tool whoami {}]]")
        event = asked(stream)
        assert event["message"] == f"OAuth authorization required for {url}"
        assert [w["kind"] for w in server.get("/api/waits").json] == ["question"]
        came = dict(urllib.parse.parse_qsl(browse(event["meta"]["docker-agent/authorize_url"])))
        assert came["state"] == event["meta"]["docker-agent/state"]
        path = "/api/mcp-oauth/callback?" + urllib.parse.urlencode({"state": came["state"], "code": came["code"]})
        assert server.post("/api/mcp-oauth/callback?state=wrong&code=c").status == 404
        assert server.post(f"/api/mcp-oauth/callback?state={came['state']}").status == 400
        delivered = server.post(path)
        assert (delivered.status, delivered.body) == (200, b"null\n")
        assert server.post(path).status == 404  # each state is taken once
        frames = list(stream)
        (confirmed,) = [f.event for f in frames if f.type == "authorization_event"]
        assert confirmed["confirmation"] == "accept"
        assert "scopes=['mcp']" in response(frames)
        assert server.get("/api/waits").json == []
        again = list(server.start(session, "[[sleep 3]] [[tool whoami {}]]"))  # the token has ended meanwhile
        assert "scopes=['mcp']" in response(again)
        assert not [f for f in again if f.type == "elicitation_request"]


def test_a_login_that_is_declined_leaves_the_agent_without_its_tools(house: House) -> None:
    with protected(lifetime=60) as url:
        server = serve(house, {"remote": {"url": url}})
        session = server.create(title="t")
        stream = server.start(session, "[[say hello]]")
        event = asked(stream)
        assert "docker-agent/authorize_url" not in event["meta"]
        assert elicit(server, session, event, action="decline").status == 200
        frames = list(stream)
        assert [f.event["confirmation"] for f in frames if f.type == "authorization_event"] == ["decline"]
        assert any("declined" in f.event["message"] for f in frames if f.type == "warning")
        assert any(f.type == "agent_choice" for f in frames)
