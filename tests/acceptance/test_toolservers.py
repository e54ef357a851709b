"""Tool servers behind a real server: questions answered over HTTP, cut off by a kill, and logins by a browser."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Asking:
    """A tool that asks by a form: what it is called, what fits, and what comes of that."""

    toolset: Callable[[], dict[str, Any]]
    tool: str
    content: dict[str, Any]
    comes: str


ASKING = {
    "scripted": Asking(
        lambda: {"command": sys.executable, "args": [str(FAKES / "toolserver.py")]}, "form", {"n": 2}, '"n": 2'
    ),
    "real": Asking(
        lambda: dict(zip(("command", "args"), (everything()[0], everything()[1:]), strict=True)),
        "trigger-elicitation-request",
        {"name": "Ada", "check": True},
        "- Name: Ada",
    ),
}


@pytest.mark.parametrize("which", ASKING)
def test_a_question_that_a_kill_cut_off(house: House, which: str) -> None:
    """It is void, its call lost; the tool's effect is `ask`, so a person says whether it runs again."""
    asking = ASKING[which]
    server = serve(house, asking.toolset())
    session = server.create(title="t")
    stream = server.start(session, f"[[tool {asking.tool} {{}}]]")
    first = asked(stream)
    server.kill()
    stream.close()
    server = house.serve()
    events = server.follow(session)
    lost = events.until("tool_call_confirmation").event
    assert "may have done its work" in json.dumps(lost)
    assert first["elicitation_id"] not in [wait["id"] for wait in server.get("/api/waits").json]
    assert elicit(server, session, first, action="accept", content=asking.content).status in (404, 409, 500)
    assert server.resume(session, "approve").status == 200
    again = until(lambda: [w for w in server.get("/api/waits").json if w["kind"] == "question"])[0]
    assert again["id"] != first["elicitation_id"]
    answer = {"action": "accept", "content": asking.content}
    assert server.post(f"/api/waits/{again['id']}", answer).status == 200
    assert asking.comes in events.until("tool_call_response").event["response"]
    assert events.until("stream_stopped").event["reason"] == "normal"
    events.stop()


def test_a_lost_call_that_is_not_run_again(house: House) -> None:
    asking = ASKING["scripted"]
    server = serve(house, asking.toolset())
    session = server.create(title="t")
    stream = server.start(session, f"[[tool {asking.tool} {{}}]]")
    asked(stream)
    server.kill()
    stream.close()
    server = house.serve()
    events = server.follow(session)
    events.until("tool_call_confirmation")
    assert server.resume(session, "reject").status == 200
    assert "whether it did its work is not known" in events.until("tool_call_response").event["response"]
    assert events.until("stream_stopped").event["reason"] == "normal"
    assert server.get("/api/waits").json == []
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


def fetched(url: str, fields: dict[str, Any], kind: str) -> dict[str, Any]:
    """What is answered to a body of JSON, or to a form."""
    body = json.dumps(fields) if kind == "application/json" else urllib.parse.urlencode(fields)
    with urllib.request.urlopen(
        urllib.request.Request(url, body.encode(), {"content-type": kind}), timeout=10
    ) as reply:
        found: dict[str, Any] = json.load(reply)
        return found


def logged_in(meta: dict[str, Any]) -> dict[str, Any]:
    """What a client does that logs in by itself: it registers, sends a browser with PKCE, and exchanges the code."""
    server, resource = meta["auth_server_metadata"], meta["resource_metadata"]["resource"]
    back, verifier = "http://127.0.0.1:1/mine", "v" * 64
    wanted = {"client_name": "c", "redirect_uris": [back], "token_endpoint_auth_method": "none"}
    client = fetched(server["registration_endpoint"], wanted, "application/json")["client_id"]
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {"response_type": "code", "client_id": client, "redirect_uri": back, "resource": resource, "state": "s"}
    query |= {"code_challenge": digest, "code_challenge_method": "S256", "scope": "mcp"}
    came = dict(urllib.parse.parse_qsl(browse(f"{server['authorization_endpoint']}?{urllib.parse.urlencode(query)}")))
    given = {"grant_type": "authorization_code", "code": came["code"], "redirect_uri": back, "client_id": client}
    given |= {"code_verifier": verifier, "resource": resource}
    return fetched(server["token_endpoint"], given, "application/x-www-form-urlencoded") | {"client_id": client}


def test_a_login_that_the_client_does_by_itself(house: House) -> None:
    with protected(lifetime=3) as url:
        server = serve(house, {"remote": {"url": url}})
        session = server.create(title="t")
        stream = server.start(session, "[[tool whoami {}]]")
        event = asked(stream)
        for prefix in ("docker-agent", "cagent"):
            assert event["meta"][f"{prefix}/type"] == "oauth_flow" and event["meta"][f"{prefix}/server_url"] == url
        assert elicit(server, session, event, action="accept", content=logged_in(event["meta"])).status == 200
        frames = list(stream)
        assert [f.event["confirmation"] for f in frames if f.type == "authorization_event"] == ["accept"]
        assert "scopes=['mcp']" in response(frames)
        other = server.create(title="another")
        again = list(server.start(other, "[[sleep 3]] [[tool whoami {}]]"))  # the token is renewed
        assert "scopes=['mcp']" in response(again)
        assert not [f for f in again if f.type == "elicitation_request"]


def test_a_code_that_comes_back_as_the_answer(house: House) -> None:
    with protected(lifetime=60) as url:
        toolset = {"remote": {"url": url, "oauth": {"callbackRedirectURL": "http://127.0.0.1:1/own"}}}
        server = serve(house, toolset, "--mcp-oauth-redirect-uri", "http://127.0.0.1:1/back")
        session = server.create(title="t")
        stream = server.start(session, "[[tool whoami {}]]")
        event = asked(stream)
        address = event["meta"]["docker-agent/authorize_url"]
        assert dict(urllib.parse.parse_qsl(address))["redirect_uri"] == "http://127.0.0.1:1/own"
        came = dict(urllib.parse.parse_qsl(browse(address)))
        assert elicit(server, session, event, action="accept", content=came).status == 200
        assert "scopes=['mcp']" in response(list(stream))
        late = "/api/mcp-oauth/callback?" + urllib.parse.urlencode({"state": came["state"], "code": came["code"]})
        assert server.post(late).status == 404
