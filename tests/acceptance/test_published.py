"""The commands of the published API page, run as they are written there, against a real server."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from acceptance.house import House, Server, until
from acceptance.sse import Frame, Frames

FILE = """\
providers:
  fake: {{base_url: {url}/v1}}
  openai: {{base_url: {url}/v1, token_key: FAKE_KEY}}
agents:
  root:
    model: fake/fake-model
    description: A helpful assistant
    toolsets: [{{type: shell}}]
"""
TEAM = """\
providers:
  fake: {url: {url}/v1}
agents:
  root: {model: fake/fake-model, description: Leads, instruction: I am the root., sub_agents: [coder, reviewer]}
  coder: {model: fake/fake-model, description: Writes, instruction: I am the coder.}
  reviewer: {model: fake/fake-model, description: Reads, instruction: I am the reviewer.}
"""


@pytest.fixture(scope="module")
def served(shared: House) -> Server:
    for name in ("my-agent", "my-assistant"):
        shared.agent(name, text=FILE.format(url=shared.model.url))
    shared.agent("team", text=TEAM.replace("url: {url}", f"base_url: {shared.model.url}"))
    return shared.serve(env={"FAKE_KEY": "k", "OPENAI_API_KEY": "k"})


@pytest.fixture
def alone(house: House) -> Server:
    """One file, started by its name."""
    return house.serve(agents=house.agent("agent"))


class Shell:
    """A terminal in which the page's commands are typed; only the port is another."""

    def __init__(self, server: Server, **variables: str) -> None:
        self._port = server.port
        self.variables = variables

    def _command(self, script: str) -> list[str]:
        for host in ("localhost", "127.0.0.1"):
            script = script.replace(f"http://{host}:8080", f"http://{host}:{self._port}")
        return ["bash", "-euo", "pipefail", "-c", script]

    def _env(self) -> dict[str, str]:
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "NO_PROXY": "*", **self.variables}

    def __call__(self, script: str) -> str:
        done = subprocess.run(self._command(script), env=self._env(), capture_output=True, timeout=30)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def json(self, script: str) -> Any:
        return json.loads(self(script))

    def frames(self, script: str) -> list[Frame]:
        return Frames().feed(self(script).encode())

    def tail(self, script: str) -> Iterator[Frame]:
        """Frames of a command that does not end by itself."""
        with subprocess.Popen(self._command(script), env=self._env(), stdout=subprocess.PIPE) as running:
            frames = Frames()
            try:
                while chunk := running.stdout.read1(65536):
                    yield from frames.feed(chunk)
            finally:
                running.kill()


def said(frames: list[Frame]) -> str:
    return "".join(f.event["content"] for f in frames if f.type == "agent_choice")


def test_the_typical_workflow(served: Server) -> None:
    shell = Shell(served)
    agents = shell.json("curl http://localhost:8080/api/agents")
    assert {"name": "my-agent", "multi": False, "description": "A helpful assistant"} in agents
    session = shell.json("""curl -X POST http://localhost:8080/api/sessions \\
  -H "Content-Type: application/json" -d '{}'""")
    assert session["title"] == "" and session["created_at"]
    shell.variables["SID"] = session["id"]
    frames = shell.frames("""curl -N -X POST http://localhost:8080/api/sessions/$SID/agent/my-agent \\
  -H "Content-Type: application/json" \\
  -d '{"messages":[{"role":"user","content":"What files are in the current directory?"}]}'""")
    types = [f.type for f in frames]
    assert types.index("stream_started") < types.index("agent_choice") < types.index("stream_stopped")
    assert types[-1] == "stream_stopped"
    assert "What files are in the current directory?" in said(frames)
    assert {f.event["session_id"] for f in frames if f.type == "agent_choice"} == {session["id"]}
    again = shell.frames("""curl -N -X POST http://localhost:8080/api/sessions/$SID/agent/my-agent \\
  -H "Content-Type: application/json" \\
  -d '{"messages":[{"role":"user","content":"And then?"}]}'""")
    assert said(again).endswith("And then?")


def test_an_approval_by_curl(served: Server) -> None:
    """Steps 3 to 6 with a tool call that has to be approved."""
    shell = Shell(served, SID=served.create())
    run = """curl -s -N -X POST http://localhost:8080/api/sessions/$SID/agent/my-agent \\
  -H "Content-Type: application/json" \\
  -d '{"messages":[{"role":"user","content":"[[tool shell {\\"cmd\\": \\"echo from-the-tool\\"}]] [[say done]]"}]}'"""
    seen = list[Frame]()
    for frame in shell.tail(run):
        seen.append(frame)
        if frame.type == "tool_call_confirmation":
            answer = shell.json("""curl -s -X POST http://localhost:8080/api/sessions/$SID/resume \\
  -H "Content-Type: application/json" -d '{"confirmation":"approve"}'""")
            assert answer == {"message": "session resumed"}
    types = [f.type for f in seen]
    assert types.index("tool_call_confirmation") < types.index("tool_call") < types.index("tool_call_response")
    (response,) = (f.event for f in seen if f.type == "tool_call_response")
    assert "from-the-tool" in response["response"]
    assert types[-1] == "stream_stopped"


def test_auto_approve_by_curl(served: Server) -> None:
    shell = Shell(served, SID=served.create())
    assert shell("curl -s -X POST http://localhost:8080/api/sessions/$SID/tools/toggle") == "null\n"
    frames = shell.frames("""curl -N -X POST http://localhost:8080/api/sessions/$SID/agent/my-agent \\
  -H "Content-Type: application/json" \\
  -d '{"messages":[{"role":"user","content":"[[tool shell {\\"cmd\\": \\"echo unasked\\"}]]"}]}'""")
    types = [f.type for f in frames]
    assert "tool_call_confirmation" not in types
    assert "tool_call_response" in types


def test_a_title_given_at_creation(served: Server) -> None:
    shell = Shell(served)
    session = shell.json("""curl -X POST http://localhost:8080/api/sessions \\
  -H "Content-Type: application/json" -d '{"title":"deploy check"}'""")
    assert session["title"] == "deploy check"
    shell.variables["SID"] = session["id"]
    shell("""curl -N -X POST http://localhost:8080/api/sessions/$SID/agent/my-assistant \\
  -H "Content-Type: application/json" \\
  -d '{"messages":[{"role": "user", "content": "Hello!"}]}'""")
    listed = shell.json("curl -s http://localhost:8080/api/sessions")
    assert next(s["title"] for s in listed if s["id"] == session["id"]) == "deploy check"


def test_root_and_named_agents(served: Server, shared: House) -> None:
    shell = Shell(served, SID=served.create(title="t"))
    hello = shell.frames("""curl -N -X POST http://localhost:8080/api/sessions/$SID/agent/my-assistant \\
  -H "Content-Type: application/json" \\
  -d '{"messages":[{"role": "user", "content": "Hello!"}]}'""")
    assert said(hello) == "fake reply to: Hello!"
    shell.variables["SID"] = served.create(title="t")
    for path, name in (("team", "root"), ("team/reviewer", "reviewer")):
        shared.model.reset()
        frames = shell.frames(f"""curl -N -X POST http://localhost:8080/api/sessions/$SID/agent/{path} \\
  -H "Content-Type: application/json" \\
  -d '{{"messages":[{{"role": "user", "content": "Review this PR"}}]}}'""")
        (started,) = (f.event for f in frames if f.type == "stream_started")
        assert started["agent"] == started["agent_name"] == name
        assert f"I am the {name}." in json.dumps(shared.model.requests[-1]["body"])


def test_another_model_for_a_turn_and_all_after_it(served: Server, shared: House) -> None:
    shell = Shell(served, SID=served.create(title="t"))
    shared.model.reset()
    shell("""curl -N -X POST http://localhost:8080/api/sessions/$SID/agent/my-agent \\
  -H "Content-Type: application/json" \\
  -d '{"messages":[{"role":"user","content":"Hello!"}],"model":"openai/gpt-4o"}'""")
    shell("""curl -N -X POST http://localhost:8080/api/sessions/$SID/agent/my-agent \\
  -H "Content-Type: application/json" \\
  -d '{"messages":[{"role":"user","content":"Hello again!"}]}'""")
    assert [r["body"]["model"] for r in shared.model.requests] == ["gpt-4o", "gpt-4o"]
    models = shell.json("curl -s http://localhost:8080/api/sessions/$SID/models")
    assert models["current_model_ref"] == "openai/gpt-4o"


def test_fork(served: Server) -> None:
    session = served.create(title="Parent")
    served.run(session, "one")
    served.run(session, "two")
    fork = Shell(served, SID=session).json("""curl -X POST http://localhost:8080/api/sessions/$SID/fork \\
  -H 'Content-Type: application/json' \\
  -d '{"user_message_index": 1}'""")
    assert fork["title"] == "Parent (fork 1)"
    assert [m["message"]["content"] for m in fork["messages"]] == ["one", "fake reply to: one"]


def test_idempotent_followups(served: Server) -> None:
    session = served.create(title="t")
    shell = Shell(served, SID=session)
    followup = """curl -X POST http://127.0.0.1:8080/api/sessions/$SID/followup \\
    -H 'Content-Type: application/json' \\
    -H 'Idempotency-Key: 7f3a-...' \\
    -d '{"messages":[{"content":"Ship it"}]}'"""
    stream = served.start(session, "[[drip 0.2]] [[say a long answer that takes its time]]")
    stream.until("agent_choice")
    assert shell.json(followup) == {"status": "queued_streaming", "duplicate": False}
    assert shell.json(followup) == {"status": "duplicate", "duplicate": True}
    rest = list(stream)
    assert [f.event["message"] for f in rest if f.type == "user_message"] == ["Ship it"]
    assert shell.json(followup.replace("7f3a-...", "7f3b")) == {"status": "queued_idle", "duplicate": False}
    tests = shell.json("""curl -X POST http://127.0.0.1:8080/api/sessions/$SID/followup \\
    -H 'Content-Type: application/json' \\
    -d '{"messages":[{"content":"Now add tests"}]}'""")
    assert tests["status"] == "queued_idle"
    more = served.run(session, "go on")
    assert [f.event["message"] for f in more if f.type == "user_message"] == ["go on", "Ship it", "Now add tests"]


def test_snapshot_then_tail(served: Server) -> None:
    session = served.create(title="t")
    served.run(session, "before")
    tail = Shell(served, SID=session).tail("""
SEQ=$(curl -s http://127.0.0.1:8080/api/sessions/$SID/snapshot | jq .last_event_seq)
echo ": $SEQ"; echo
curl -s -N "http://127.0.0.1:8080/api/sessions/$SID/events?since=$SEQ"
""")
    after = int(next(tail).raw.removeprefix(b": "))
    stream = served.start(session, "later")
    seen = list[Frame]()
    for frame in tail:
        seen.append(frame)
        if frame.type == "stream_stopped":
            break
    tail.close()
    list(stream)
    assert [f.id for f in seen] == list(range(after + 1, after + 1 + len(seen)))
    assert said(seen) == "fake reply to: later"
    assert until(lambda: not served.snapshot(session)["streaming"])


def test_the_older_page(alone: Server) -> None:
    """Its array body, its agent called `root` on a server of one file, and its `stream_end`."""
    shell = Shell(alone)
    shell.variables["SID"] = shell("""SID=$(curl -s -X POST http://localhost:8080/api/sessions \\
  -H "Content-Type: application/json" \\
  -d '{"agent": "root"}' | jq -r '.id'); echo $SID""").strip()
    frames = shell.frames("""curl -N -X POST http://localhost:8080/api/sessions/$SID/agent/root \\
  -H "Content-Type: application/json" \\
  -d '[{"role": "user", "content": "Hello!"}]'""")
    assert said(frames) == "fake reply to: Hello!"
    assert [f.type for f in frames][-2:] == ["stream_stopped", "stream_end"]
    assert frames[-1].event == {"type": "stream_end", "session_id": shell.variables["SID"]}
    assert frames[-1].id is None


def test_health_and_readiness(served: Server) -> None:
    shell = Shell(served)
    assert shell("curl -s http://localhost:8080/api/ping") == '{"status":"ok"}\n'
    shell.variables["SID"] = served.create(title="t")
    served.run(shell.variables["SID"], "hi")
    status = shell.json('curl -s "http://localhost:8080/api/sessions/$SID/status?wait=10s"')
    assert status["id"] == shell.variables["SID"] and not status["streaming"]
