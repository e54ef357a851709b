"""Agent CLIs in a team: an agent file that is played by one, and one that starts agents of its own."""

import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from drivers.onstage import codex_home, environment, installed
from fakes.llm import FakeLLM
from roost.cli.inprocess import InProcess
from roost.compose import Running, open_server
from roost.config.front import Front
from roost.config.settings import resolve
from roost.core import events as e
from roost.core.errors import AgentBroken, BadModel, RoostError
from roost.core.ids import LogId
from roost.core.messages import Message
from roost.core.principals import Principal
from roost.core.session import Head
from roost.service.orders import Request

pytestmark = pytest.mark.anyio
BOSS = Principal(client="laptop", kind="super")

CREW = """\
version: "15"
permissions:
  allow: [Read]
  deny: [Bash]
agents:
  root:
    description: Codes.
    instruction: Be brief.
    add_prompt_files: [NOTES.md]
    welcome_message: Hello!
    harness:
      type: mock
      model: mock-large
"""
LEAD = """\
agents:
  lead:
    instruction: You lead.
    harness: {type: mock, roost_tools: true, add_dirs: [more], env: {KEY: "${env.SECRET}"}}
"""
CODER = """\
agents:
  coder:
    instruction: You are ZORK.
    harness: {type: claude-code, model: sonnet, effort: low, roost_tools: true}
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def play(*steps: dict[str, Any], **more: Any) -> str:
    return "@mock " + json.dumps({"steps": list(steps), **more})


def tool(name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"mcp": {"tool": name, "arguments": arguments}}


class Team:
    """A server in process, its doors included."""

    def __init__(self, running: Running, work: Path) -> None:
        self.running = running
        self.service = running.service
        self.store = running.service.desk.store
        self.work = work
        self.client = httpx2.AsyncClient(
            transport=InProcess(running.app),
            base_url="http://localhost",
            headers={"Authorization": "Bearer tok"},
            timeout=30,
        )

    async def session(self, **template: Any) -> str:
        given = {"working_dir": str(self.work)} | template
        return (await self.service.sessions.create(BOSS, e.Template(**given))).id

    async def run(self, session: str, text: str, source: str = "crew", **how: Any) -> None:
        await self.service.turns.run(BOSS, session, source, [Message("user", text)], detach=True, **how)

    async def play(self, session: str, text: str, source: str = "crew", **how: Any) -> Head:
        await self.run(session, text, source, **how)
        return await self.ended(session)

    async def spawn(self, prompt: str, **asked: Any) -> str:
        asked = {"provider": "mock", "root": str(self.work)} | asked
        return (await self.service.spawns.spawn(BOSS, Request(prompt=prompt, **asked))).head.id

    async def until(self, session: str, holds: Callable[[Head], object]) -> Head:
        with anyio.fail_after(30):
            while True:
                bell = self.service.desk.hub.bell(LogId(session))
                head = await self.store.head(LogId(session))
                if holds(head):
                    return head
                await bell.wait()

    async def ended(self, session: str) -> Head:
        return await self.until(session, lambda head: head.turn is None and head.outcome)

    async def facts(self, session: str, *kinds: type) -> list[Any]:
        events = await self.store.page(LogId(session), after=0, limit=10_000)
        return [event.fact for event in events if not kinds or isinstance(event.fact, kinds)]

    async def returned(self, session: str) -> list[Any]:
        """What the tools of a session have returned, decoded."""
        results = [fact.result for fact in await self.facts(session, e.ToolReturned)]
        assert not any(result.is_error for result in results), results
        return [json.loads(result.output) for result in results]

    async def children(self, session: str) -> Sequence[Head]:
        return [head for head in reversed(await self.store.heads()) if head.parent == session]

    async def calm(self) -> None:
        """End all that runs."""
        for head in [head for head in await self.store.heads() if head.turn is not None]:
            await self.service.fleet.cancel(BOSS, head.id)
            await self.ended(head.id)


@asynccontextmanager
async def serving(place: Path, *, leave: bool = False, **more: str) -> AsyncIterator[Team]:
    agents, work = place / "agents", place / "work"
    for folder in (agents, work, work / "more"):
        folder.mkdir(exist_ok=True)
    (agents / "crew.yaml").write_text(CREW)
    (agents / "lead.yaml").write_text(LEAD)
    (agents / "pi.yaml").write_text("agents: {root: {harness: {type: pi}}}")
    (agents / "coder.yaml").write_text(CODER)
    (work / "NOTES.md").write_text("Mind the gap.")
    home = place / "home"
    flags = {"agents": str(agents), "session_db": str(place / "roost.db"), "auth_token": "tok"}
    settings = resolve(flags, {"ROOST_HOME": str(home), "HOME": str(place)}, None)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(place), "SECRET": "s3cret"} | more
    async with open_server(settings, env, front=Front(home=home, zag=home, enable_mock=True)) as running:
        await running.settle()
        await running.resume()
        team = Team(running, work)
        try:
            yield team
        finally:
            await team.client.aclose()
            if not leave:
                with anyio.CancelScope(shield=True):
                    await team.calm()
            running.stop()


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[Team]:
    async with serving(tmp_path) as team:
        yield team


# -- an agent file that a CLI plays -------------------------------------------------------------


async def test_the_cli_plays_the_agent_of_the_file(team: Team) -> None:
    session = await team.session()
    head = await team.play(session, play({"say": "hello"}))
    assert head.outcome == "normal"
    (opened,) = await team.facts(session, e.TurnOpened)
    assert (opened.driver, opened.source, opened.agent) == ("mock", "crew", "root")
    assert opened.order.model == "mock-large"
    assert opened.order.system_prompt == "Be brief.\n\nMind the gap."
    added = [fact for fact in await team.facts(session, e.MessageAdded) if fact.message]
    assert [(fact.agent, fact.message.agent, fact.message.content) for fact in added] == [("root", "root", "hello")]
    assert head.title  # a CLI makes none: it is how the prompt begins


async def test_frames_come_as_from_a_model(team: Team) -> None:
    session = await team.session(title="t")
    body = [{"role": "user", "content": play({"say": "hi"}, {"usage": {"input_tokens": 5, "output_tokens": 2}})}]
    async with team.client.stream("POST", f"/api/sessions/{session}/agent/crew", json=body) as stream:
        text = "".join([chunk async for chunk in stream.aiter_text()])
    frames = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]
    kinds = [frame["type"] for frame in frames]
    assert kinds[:6] == [
        "session_title",
        "agent_info",
        "team_info",
        "toolset_info",
        "user_message",
        "stream_started",
    ]
    assert kinds[-2:] == ["stream_stopped", "stream_end"]
    middle = [kind for kind in kinds if kind in ("message_added", "token_usage")]
    assert middle == ["message_added", "token_usage"]
    info = frames[kinds.index("agent_info")]
    assert (info["model"], info["description"], info["welcome_message"]) == ("mock/mock-large", "Codes.", "Hello!")
    mates = frames[kinds.index("team_info")]["available_agents"]
    assert [(mate["name"], mate["provider"], mate["model"]) for mate in mates] == [("root", "mock", "mock-large")]
    assert {frame["agent_name"] for frame in frames if "agent_name" in frame} == {"root"}


async def test_agents_are_listed_and_shown(team: Team) -> None:
    listed = (await team.client.get("/api/agents")).json()
    assert [(entry["name"], entry["description"]) for entry in listed] == [
        ("coder", ""),
        ("crew", "Codes."),
        ("lead", ""),
        ("pi", ""),
    ]
    shown = (await team.client.get("/api/agents/crew")).json()
    assert shown["agents"][0]["harness"] == {"type": "mock", "model": "mock-large"}


async def test_a_harness_without_a_driver_is_refused(team: Team) -> None:
    session = await team.session()
    with pytest.raises(AgentBroken, match=r"wants the harness 'pi'.*\(known: .*claude.*mock"):
        await team.run(session, "hi", "pi")
    assert not (await team.store.head(LogId(session))).turns
    reply = await team.client.post(f"/api/sessions/{session}/agent/pi", json=[{"role": "user", "content": "hi"}])
    assert reply.status_code == 500
    assert "wants the harness 'pi'" in reply.text


async def test_the_rules_of_the_file_and_of_the_session_answer(team: Team) -> None:
    asks = [{"ask": {"name": name, "input": {}, "ok": "ran"}} for name in ("Read", "Bash")]
    session = await team.session(permissions=e.Permissions(deny=("Read",)))
    await team.play(session, play(*asks))
    first, _ = await team.facts(session, e.ToolReturned)
    assert first.result.output.startswith("denied")
    other = await team.session()
    await team.play(other, play(*asks))
    assert not await team.facts(other, e.WaitOpened)
    outputs = [fact.result.output for fact in await team.facts(other, e.ToolReturned)]
    assert outputs[0] == "ran"
    assert outputs[1].startswith("denied: Tool 'Bash' is denied by permissions configuration.")


async def test_an_approval_is_answered_through_api(team: Team) -> None:
    session = await team.session()
    await team.run(session, play({"ask": {"name": "Write", "input": {"path": "x"}, "ok": "written"}}, {"say": "done"}))
    await team.until(session, lambda head: head.waits)
    reply = await team.client.post(f"/api/sessions/{session}/resume", json={"confirmation": "approve"})
    assert reply.status_code == 200
    assert (await team.ended(session)).outcome == "normal"
    assert [fact.result.output for fact in await team.facts(session, e.ToolReturned)] == ["written"]


async def test_steer_follow_up_and_cancel(team: Team) -> None:
    session = await team.session()
    await team.run(session, play({"say": "one"}, {"sleep_s": 1}))
    await team.until(session, lambda head: head.spoke)
    await team.service.queues.steer(BOSS, session, [Message("user", play({"say": "two"}))])
    await team.service.queues.followup(BOSS, session, [Message("user", play({"say": "three"}, hang=True))])
    await team.until(session, lambda head: not head.queue and head.turn)
    first = (await team.store.head(LogId(session))).spoke
    await team.until(session, lambda head: head.spoke > first or len(head.queue) == 0)
    reply = await team.client.post(f"/api/sessions/{session}/cancel")
    assert reply.status_code == 200
    head = await team.ended(session)
    assert head.outcome == "canceled"
    taken = await team.facts(session, e.MessageTaken)
    assert [fact.queue for fact in taken] == ["steer", "followup"]


async def test_a_model_can_be_chosen_and_must_be_one(team: Team) -> None:
    session = await team.session()
    await team.play(session, "hi", model="mock/mock-small")
    assert [fact.order.model for fact in await team.facts(session, e.TurnOpened)] == ["mock-small"]
    await team.play(session, "hi")  # the choice lasts
    assert [fact.order.model for fact in await team.facts(session, e.TurnOpened)][1:] == ["mock-small"]
    with pytest.raises(BadModel):
        await team.run(session, "hi", model="gpt-9")
    models = (await team.client.get(f"/api/sessions/{session}/models")).json()
    assert "mock/mock-small" in json.dumps(models)


async def test_the_next_turn_goes_on_with_the_conversation_of_the_cli(team: Team) -> None:
    session = await team.session()
    await team.play(session, "one")
    await team.play(session, "two")
    first, second = await team.facts(session, e.RunStarted)
    assert not first.resumed
    assert second.resumed


async def test_a_conversation_of_others_is_told_to_the_cli(team: Team) -> None:
    session = await team.session()
    await team.service.sessions.add_message(BOSS, session, Message("user", "I am Ada."))
    await team.service.sessions.add_message(BOSS, session, Message("assistant", "Hello, Ada."))
    await team.play(session, "Who am I?")
    (said,) = [fact.message.content for fact in await team.facts(session, e.MessageAdded) if fact.message]
    assert said.index("I am Ada.") < said.index("Hello, Ada.") < said.index("Who am I?")  # the mock echoes


async def test_the_file_is_pinned_when_the_turn_opens(tmp_path: Path) -> None:
    async with serving(tmp_path, leave=True) as team:
        session = await team.session()
        await team.run(session, play({"say": "before"}, {"sleep_s": 2}, {"ask": {"name": "Read", "ok": "ran"}}))
        await team.until(session, lambda head: head.spoke)
    async with serving(tmp_path) as team:
        (tmp_path / "agents" / "crew.yaml").write_text(CREW.replace("allow: [Read]", "deny: [Read]"))
        assert (await team.ended(session)).outcome == "normal"
        assert [fact.result.output for fact in await team.facts(session, e.ToolReturned)] == ["ran"]
        assert len(await team.facts(session, e.RunStarted)) == 1


async def test_spawned_by_the_id_of_its_file(team: Team) -> None:
    session = await team.spawn(
        play({"env": "KEY"}), provider="lead", system_prompt="And be kind.", env={"OWN": "${env.SECRET}"}
    )
    head = await team.ended(session)
    assert (head.provider, head.source, head.agent) == ("lead", "lead", "lead")
    said = [fact.message.content for fact in await team.facts(session, e.MessageAdded) if fact.message]
    assert said == ["s3cret"]
    (opened,) = await team.facts(session, e.TurnOpened)
    assert opened.order.add_dirs == (str(team.work / "more"),)
    assert opened.order.env == {"KEY": "${env.SECRET}"}  # facts hold no secrets of the server's
    again = await team.spawn(play({"env": "OWN"}), provider="lead", env={"OWN": "${env.SECRET}"})
    await team.ended(again)
    said = [fact.message.content for fact in await team.facts(again, e.MessageAdded) if fact.message]
    assert said == ["${env.SECRET}"]  # only the file may name variables of the server


# -- a CLI that starts agents -------------------------------------------------------------------


async def test_spawn_and_wait_make_one_tree(team: Team) -> None:
    child = play({"say": "the child's result"}, {"usage": {"input_tokens": 5, "output_tokens": 2, "cost": 0.25}})
    session = await team.spawn(
        play(tool("spawn", provider="mock", prompt=child, name="kid", tags=["t"]), tool("wait"), {"say": "done"}),
        roost_tools=True,
        name="boss",
    )
    assert (await team.ended(session)).outcome == "normal"
    started, ended = await team.returned(session)
    (kid,) = await team.children(session)
    assert started == {"session_id": kid.id, "provider": "mock", "status": "running", "name": "kid"}
    assert ended == [{**started, "status": "completed", "result": "the child's result"}]
    assert (kid.parent, kid.root, kid.name, kid.tags) == (session, session, "kid", ("t",))
    assert kid.working_dir == str(team.work)
    tree = await team.service.fleet.tree(await team.store.head(LogId(session)))
    assert (tree.sessions, tree.running, tree.cost) == (2, 0, 0.25)
    called = [fact.call.name for fact in await team.facts(session, e.ToolCalled)]
    assert called == ["mcp__roost__spawn", "mcp__roost__wait"]


async def test_the_tools_and_the_tree_at_api_v1(team: Team) -> None:
    hung = play({"say": "x"}, hang=True)
    prompt = play(tool("spawn", provider="mock", prompt=hung), {"say": "on"}, hang=True)
    body = {"provider": "mock", "root": str(team.work), "prompt": prompt, "roost_tools": True}
    spawned = await team.client.post("/api/v1/sessions/spawn", json=body)
    assert spawned.status_code == 201, spawned.text
    session = spawned.json()["session_id"]
    await team.until(session, lambda head: head.spoke)
    (kid,) = await team.children(session)
    await team.until(kid.id, lambda head: head.spoke)
    shown = (await team.client.get(f"/api/v1/sessions/{session}")).json()
    assert shown["tree"]["sessions"] == shown["tree"]["running"] == 2
    assert "tree" not in (await team.client.get(f"/api/v1/sessions/{kid.id}")).json()
    await team.client.post(f"/api/v1/sessions/{session}/cancel", json={})
    assert (await team.ended(kid.id)).outcome == "canceled"
    assert (await team.ended(session)).outcome == "canceled"


async def test_ask_status_and_collect(team: Team) -> None:
    steps = [tool("ask", agent="mock", prompt="ping"), tool("status"), tool("collect")]
    session = await team.spawn(play(*steps), roost_tools=True)
    await team.ended(session)
    asked, (status,), (collected,) = await team.returned(session)
    assert (asked["status"], asked["result"]) == ("completed", "ping")
    assert status == {key: value for key, value in asked.items() if key != "result"}
    assert collected == asked
    again = await team.spawn(play(tool("ask", agent=asked["session_id"], prompt="x")), roost_tools=True)
    await team.ended(again)
    (refused,) = await team.facts(again, e.ToolReturned)
    assert "neither a provider nor a session that you have started" in refused.result.output


async def test_a_session_of_its_own_can_be_asked_again(team: Team) -> None:
    session = await team.spawn(play(tool("ask", agent="mock", prompt="one", name="kid")), roost_tools=True)
    await team.ended(session)
    (kid,) = await team.children(session)
    await team.play(session, play(tool("ask", agent=kid.id, prompt="two")), "mock")
    assert [answer["result"] for answer in await team.returned(session)] == ["one", "two"]
    assert len(await team.children(session)) == 1


async def test_it_has_no_more_rights_than_its_session(team: Team, tmp_path: Path) -> None:
    stranger = await team.spawn("mine")
    await team.ended(stranger)
    outside = tmp_path / "outside"
    outside.mkdir()
    inner = [
        tool("collect", ids=[stranger]),
        tool("wait", ids=[stranger]),
        tool("spawn", provider="mock", prompt="x", root=str(outside)),
        tool("spawn", provider="mock", prompt="x", depends_on=[stranger]),
        tool("spawn", provider="nobody", prompt="x"),
        tool("spawn", provider="mock", prompt="x", auto_approve=True),
        tool("spawn", provider="mock", prompt=""),
        tool("wait"),
        tool("wait", timeout=-1),
    ]
    session = await team.spawn(play(*inner), roost_tools=True)
    await team.ended(session)
    results = [fact.result for fact in await team.facts(session, e.ToolReturned)]
    assert all(result.is_error for result in results), results
    said = [result.output for result in results]
    for text, words in zip(
        said,
        (
            "you have started no session",
            "you have started no session",
            "outside your home directory",
            "no session is called",
            "unknown provider 'nobody'",
            "unknown field `auto_approve`",
            "a prompt is required",
            "you have started no session yet",
            "between 0 and",
        ),
        strict=True,
    ):
        assert words in text
    assert not await team.children(session)


async def test_a_child_asks_for_what_its_parent_asks_for(team: Team) -> None:
    child = play({"ask": {"name": "Write", "ok": "ran"}}, {"ask": {"name": "Bash", "ok": "ran"}})
    parent = play(tool("spawn", provider="mock", prompt=child), tool("wait", timeout=20))
    session = await team.spawn(parent, roost_tools=True, auto_approve=True)
    await team.service.sessions.set_permissions(BOSS, session, e.Permissions(deny=("Bash",)))
    await team.ended(session)
    (kid,) = await team.children(session)
    assert (kid.safety, kid.owner) == ("autonomous", "")
    ordinary = await team.spawn(play(tool("spawn", provider="mock", prompt=child), {"sleep_s": 0}), roost_tools=True)
    await team.ended(ordinary)
    (waiting,) = await team.children(ordinary)
    head = await team.until(waiting.id, lambda head: head.waits)
    assert head.safety == ""
    shown = await team.service.children.collect(
        Principal(kind="session", session=ordinary, home=str(team.work)), [waiting.id]
    )
    assert shown[0].waits_for_a_person


async def test_a_confined_parent_has_confined_children(team: Team) -> None:
    session = await team.spawn(play({"say": "x"}, hang=True), roost_tools=True)
    head = await team.until(session, lambda head: head.spoke)
    caller = team.service.desk.policy.inside(head)
    confined = Principal(**{**{f: getattr(caller, f) for f in caller.__struct_fields__}, "must_sandbox": True})
    child = await team.service.children.spawn(confined, Request(prompt="x", provider="mock"), "k")
    assert (await team.store.head(LogId(child.session_id))).confined
    same = await team.service.children.spawn(confined, Request(prompt="x", provider="mock"), "k")
    assert same.session_id == child.session_id
    assert len(await team.children(session)) == 1


async def test_cancel_reaches_the_whole_tree(team: Team) -> None:
    grandchild = play({"say": "deep"}, hang=True)
    child = play(tool("spawn", provider="mock", prompt=grandchild, name="deep"), hang=True)
    boss = play(tool("spawn", provider="lead", prompt=child, name="kid"), hang=True)
    session = await team.spawn(boss, roost_tools=True)
    with anyio.fail_after(30):
        while not (heads := [head for head in await team.store.heads() if head.name == "deep" and head.spoke]):
            await anyio.sleep(0.02)
    (deep,) = heads
    assert deep.root == session
    await team.service.fleet.cancel(BOSS, session)
    for head in await team.store.heads():
        assert (await team.ended(head.id)).outcome == "canceled"
    left = await team.service.fleet.tree(await team.store.head(LogId(session)))
    assert (left.sessions, left.running) == (3, 0)


async def test_a_run_that_has_ended_opens_nothing(team: Team) -> None:
    session = await team.spawn("hi", roost_tools=True)
    await team.ended(session)
    (run,) = await team.facts(session, e.RunStarted)
    with pytest.raises(RoostError, match="has ended"):
        await team.service.children.admit(run.run)


async def test_without_being_asked_for_there_are_no_tools(team: Team) -> None:
    session = await team.spawn(play({"say": "x"}, hang=True))
    await team.until(session, lambda head: head.spoke)
    (run,) = await team.facts(session, e.RunStarted)
    folder = team.service.desk.makers.runs.folder(run.run)  # type: ignore[union-attr]
    assert not list(folder.glob("roost-tools*"))


async def test_a_wait_goes_on_over_a_restart(tmp_path: Path) -> None:
    child = play({"say": "slow"}, {"sleep_s": 3}, {"say": "late"})
    boss = play(tool("spawn", provider="mock", prompt=child), {"say": "waiting"}, tool("wait", timeout=30))
    async with serving(tmp_path, leave=True) as team:
        session = await team.spawn(boss, roost_tools=True)
        await team.until(session, lambda head: head.turn and any(c.name.endswith("wait") for c in head.turn.calls))
    async with serving(tmp_path) as team:
        assert (await team.ended(session)).outcome == "normal"
        _, ended = await team.returned(session)
        assert [(one["status"], one["result"]) for one in ended] == [("completed", "late")]
        assert len(await team.children(session)) == 1


# -- the real thing -----------------------------------------------------------------------------


@pytest.fixture
async def real(tmp_path: Path, fake_llm: FakeLLM) -> AsyncIterator[Team]:
    installed("claude")
    home = tmp_path / "user"
    home.mkdir()
    env = environment(home, ANTHROPIC_BASE_URL=fake_llm.url, ANTHROPIC_API_KEY="dummy")
    async with serving(tmp_path, **env) as team:
        yield team


def call(name: str, /, **arguments: Any) -> str:
    return f"[[tool {name} {json.dumps(arguments)}]]"


@pytest.mark.clis
async def test_claude_plays_the_agent_of_a_file(real: Team, fake_llm: FakeLLM) -> None:
    session = await real.session()
    body = [{"role": "user", "content": "[[say hello there]]"}]
    async with real.client.stream("POST", f"/api/sessions/{session}/agent/coder", json=body) as stream:
        text = "".join([chunk async for chunk in stream.aiter_text()])
    frames = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]
    said = "".join(frame["content"] for frame in frames if frame["type"] == "agent_choice")
    assert said == "hello there"
    kinds = [frame["type"] for frame in frames]
    assert kinds[-2:] == ["stream_stopped", "stream_end"]
    assert kinds.index("stream_started") < kinds.index("agent_choice") < kinds.index("message_added")
    assert "You are ZORK." in json.dumps([request.get("body") for request in fake_llm.requests])
    snapshot = (await real.client.get(f"/api/sessions/{session}/snapshot")).json()
    assert "hello there" in json.dumps(snapshot["messages"])
    counted = [frame["available_tools"] for frame in frames if frame["type"] == "toolset_info"]
    assert counted[-1] > 5


@pytest.mark.clis
async def test_an_approval_of_claude_is_answered_through_api(real: Team) -> None:
    session = await real.session()
    path = real.work / "written.txt"
    prompt = call("Write", file_path=str(path), content="x") + " [[say finished]]"
    await real.run(session, prompt, "coder")
    head = await real.until(session, lambda head: head.waits)
    assert head.waits[0].tool == "Write"
    assert not path.exists()
    reply = await real.client.post(f"/api/sessions/{session}/resume", json={"confirmation": "approve"})
    assert reply.status_code == 200
    assert (await real.ended(session)).outcome == "normal"
    assert path.read_text() == "x"


@pytest.mark.clis
async def test_claude_starts_an_agent_and_reads_its_result(real: Team) -> None:
    child = play({"say": "42 it is"})
    prompt = " ".join(
        [call("mcp__roost__spawn", provider="mock", prompt=child, name="kid"), call("mcp__roost__wait", timeout=20)]
    )
    session = await real.session(permissions=e.Permissions(allow=("mcp__roost__*",)))
    head = await real.play(session, prompt, "coder")
    assert head.outcome == "normal", head.error
    (kid,) = await real.children(session)
    assert (kid.parent, kid.root, kid.outcome) == (session, session, "normal")
    results = await real.facts(session, e.ToolReturned)
    assert [fact.call.name for fact in results] == ["mcp__roost__spawn", "mcp__roost__wait"]
    assert "42 it is" in results[1].result.output
    assert not await real.facts(session, e.WaitOpened)


@pytest.mark.clis
async def test_claude_has_the_tools_where_a_spawn_says_so(real: Team) -> None:
    prompt = call("mcp__roost__ask", agent="mock", prompt="ping", timeout=20)
    session = await real.spawn(prompt, provider="claude", model="sonnet", roost_tools=True, auto_approve=True)
    head = await real.ended(session)
    assert head.outcome == "normal", head.error
    (returned,) = await real.facts(session, e.ToolReturned)
    assert '"result": "ping"' in returned.result.output
    assert len(await real.children(session)) == 1


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for that of a socket."""
    with tempfile.TemporaryDirectory(prefix="roost-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is missing: apt-get install bubblewrap")
async def test_from_inside_a_sandbox(short: Path) -> None:
    async with serving(short) as team:
        session = await team.spawn(play(tool("ask", agent="mock", prompt="ping")), roost_tools=True, sandbox="box")
        head = await team.ended(session)
        assert head.outcome == "normal", head.error
        (answer,) = await team.returned(session)
        assert answer["result"] == "ping"
        (kid,) = await team.children(session)
        runs = [*await team.facts(session, e.RunStarted), *await team.facts(kid.id, e.RunStarted)]
        assert [run.sandbox.partition(":")[0] for run in runs] == ["bubblewrap"] * 2


@pytest.mark.clis
async def test_codex_is_given_the_tools(tmp_path: Path, fake_llm: FakeLLM) -> None:
    installed("codex")
    home = tmp_path / "user"
    codex_home(home, fake_llm.url)
    async with serving(tmp_path, **environment(home)) as real:
        key = {"FAKE_API_KEY": "x"}
        session = await real.spawn("[[say hi]]", provider="codex", roost_tools=True, auto_approve=True, env=key)
        head = await real.ended(session)
        assert head.outcome == "normal", head.error
    offered = [tool for request in fake_llm.requests for tool in (request.get("body") or {}).get("tools", ())]
    ours = next(tool for tool in offered if tool.get("name") == "mcp__roost")
    assert {tool["name"] for tool in ours["tools"]} == {"spawn", "wait", "collect", "ask", "status"}
