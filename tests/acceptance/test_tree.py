"""Three levels of agents over real servers: prompts, costs, cancels and kills, with a CLI at the bottom."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance import stored
from acceptance.clis.theatre import Theatre, opened
from acceptance.house import until
from acceptance.sse import Frame, Stream
from fakes import llm, relics
from roost.core import events as e

CREW = """\
providers:
  fake: {{base_url: {url}/v1}}
models:
  priced: {{provider: fake, model: fake-model, cost: {{input: 1000, output: 2000}}}}
agents:
  root:
    model: priced
    instruction: '{root}'
    sub_agents: [lead, digger, hand]
    toolsets: [{{type: shell}}, {{type: background_agents}}]
  lead:
    model: priced
    instruction: '{lead}'
    sub_agents: [coder, hand]
    toolsets: [{{type: shell}}]
  coder:
    model: priced
    instruction: '{coder}'
    toolsets: [{{type: shell}}]
  hand:
    description: A CLI.
    harness: {{type: mock}}
  digger:
    model: priced
    instruction: '{digger}'
    toolsets: [{{type: shell}}]
"""
ROUND = 11 * 1000 / 1e6 + 7 * 2000 / 1e6  # US dollars: what each answer of the fake costs here


def task(agent: str, what: str = "dig") -> str:
    """A call that hands a task on."""
    return "transfer_task " + json.dumps({"agent": agent, "task": what, "expected_output": "words"})


def shell(command: str) -> str:
    return "shell " + json.dumps({"cmd": command})


def both(*calls: str) -> str:
    return f"[[tools {' | '.join(calls)}]]"


def mock(*steps: dict[str, Any], **more: Any) -> str:
    """A task that the CLI at the bottom plays."""
    return "@mock " + json.dumps({"steps": list(steps), **more})


class Crew(Theatre):
    """A server with an agent file of three levels."""

    agents: Path

    def cast(self, **scripts: str) -> None:
        """What the agents do; those that are not named just speak."""
        plain = {name: f"[[say {name} is done]]" for name in ("root", "lead", "coder", "digger")}
        text = CREW.format(url=self.model.url, **(plain | scripts))
        (self.yard.folder / "agents" / "crew.yaml").write_text(text)

    def session(self, **template: Any) -> str:
        return self.api.create(title="t", working_dir=str(self.work()), **template)

    def run(self, session: str) -> Stream:
        return self.api.start(session, "go", "crew", detach=True)

    def waits(self, count: int) -> list[dict[str, Any]]:
        """All that waits, once there is so much of it."""
        found: list[dict[str, Any]] = until(
            lambda: (waits := self.api.get("/api/waits").json) and len(waits) == count and waits, timeout=30
        )
        return found

    def approve(self, wait: str) -> None:
        assert self.api.post(f"/api/waits/{wait}", {"confirmation": "approve"}).status == 200

    def last_words(self, session: str) -> str:
        messages = self.api.until_idle(session)["messages"]
        return str(messages[-1]["message"]["content"])

    def processes(self) -> list[str]:
        """What runs on behalf of the server, and is not the server."""
        own = {front.process.pid for front in self.yard.fronts}
        return [line for pid, line in relics.found(str(self.yard.folder)).items() if pid not in own]

    def quiet(self) -> None:
        """Wait until no process is left."""
        until(lambda: not self.processes(), timeout=20)

    def again(self) -> None:
        """Kill the server, and start it anew."""
        self.front.kill()
        self.open()

    def of(self, session: str, *kinds: type) -> list[Any]:
        """Facts of some kinds."""
        return [event.fact for event in stored.facts(self.db, session) if isinstance(event.fact, kinds)]


@pytest.fixture
def crew(tmp_path: Path, fake_llm: llm.FakeLLM) -> Iterator[Crew]:
    (tmp_path / "agents").mkdir()
    with opened(tmp_path, fake_llm, {}, "--enable-mock", "--agents", str(tmp_path / "agents"), make=Crew) as found:
        assert isinstance(found, Crew)
        found.cast()
        yield found


def asking(crew: Crew) -> None:
    """Every level asks a person before its command, while it has handed a task on."""
    crew.cast(
        root=f"{both(task('lead'), shell('echo r'))} [[say root is done]]",
        lead=f"{both(task('coder'), shell('echo l'))} [[say lead is done]]",
        coder=f"{both(shell('echo c'))} [[say coder is done]]",
    )


# -- prompts of every depth ---------------------------------------------------------------------


def test_all_prompts_stand_in_one_list_and_are_answered_by_id(crew: Crew) -> None:
    asking(crew)
    session = crew.session()
    stream = crew.run(session)
    waits = crew.waits(3)
    assert {wait["agent_name"] for wait in waits} == {"root", "lead", "coder"}
    assert len({wait["session_id"] for wait in waits}) == 3
    assert [wait["session_id"] for wait in waits if wait["agent_name"] == "root"] == [session]
    for wait in reversed(waits):
        crew.approve(wait["id"])
    frames = [frame for frame in stream if not frame.ping]
    assert frames[-1].event["reason"] == "normal"
    assert crew.last_words(session) == "root is done"
    assert not crew.api.get("/api/waits").json
    usage = crew.of(session, e.UsageAdded)
    assert len(usage) == 6
    assert crew.ask("GET", f"/sessions/{session}")["tree"]["total_cost_usd"] == pytest.approx(6 * ROUND)


def test_an_old_client_answers_one_after_the_other_without_ids(crew: Crew) -> None:
    asking(crew)
    session = crew.session()
    stream = crew.run(session)
    crew.waits(3)
    asked: list[Frame] = []
    for frame in stream:
        if frame.type == "tool_call_confirmation":
            asked.append(frame)
            word = "reject" if frame.event["agent_name"] == "lead" else "approve"
            assert crew.api.resume(session, word).status == 200
    assert len(asked) == 3
    answers = crew.of(session, e.WaitAnswered)
    opened_ = crew.of(session, e.WaitOpened)
    assert [fact.wait for fact in answers] == [frame.event["request_id"] for frame in asked]
    assert [fact.wait for fact in answers] == [fact.wait for fact in opened_]  # the oldest first
    outputs = {fact.agent: fact.result.output for fact in crew.of(session, e.ToolReturned) if fact.call.name == "shell"}
    assert outputs["lead"] == "The user rejected the tool call."
    assert outputs["root"].startswith("r") and outputs["coder"].startswith("c")
    whole = crew.api.log(session)
    for cursor in range(1, len(whole)):
        assert [frame.raw for frame in crew.api.log(session, cursor)] == [frame.raw for frame in whole[cursor:]]


def test_a_sub_session_is_answered_by_its_own_address(crew: Crew) -> None:
    asking(crew)
    session = crew.session()
    crew.run(session).close()
    inner = next(wait for wait in crew.waits(3) if wait["agent_name"] == "coder")
    assert crew.api.resume(inner["session_id"], "reject").status == 200
    crew.waits(2)
    assert crew.of(session, e.WaitAnswered)[0].wait == inner["id"]
    assert crew.api.resume(inner["session_id"], "reject").status == 404
    crew.api.post(f"/api/sessions/{session}/cancel")
    crew.api.until_idle(session)


# -- the order of frames ------------------------------------------------------------------------


def test_a_task_is_told_between_its_call_and_its_response(crew: Crew) -> None:
    crew.cast(root=f"{both(task('lead'))} [[say root is done]]", lead=f"{both(task('coder'))} [[say lead is done]]")
    session = crew.session()
    frames = [frame for frame in crew.run(session) if not frame.ping]
    told = ("tool_call", "agent_switching", "stream_started", "stream_stopped", "sub_session_completed")
    assert [frame.type for frame in frames if frame.type in (*told, "tool_call_response")] == [
        "stream_started",
        *("tool_call", "agent_switching", "stream_started"),
        *("tool_call", "agent_switching", "stream_started"),
        *("stream_stopped", "sub_session_completed", "agent_switching", "tool_call_response"),
        *("stream_stopped", "sub_session_completed", "agent_switching", "tool_call_response"),
        "stream_stopped",
    ]
    started = [frame.event for frame in frames if frame.type == "stream_started"]
    lead, coder = started[1]["session_id"], started[2]["session_id"]
    assert [frame.get("parent_session_id") for frame in started] == [None, session, lead]
    facts = {event.seq: event.fact for event in stored.facts(crew.db, session)}
    for frame in frames:
        fact = facts[frame.id or 0]
        sub = fact.sub if isinstance(fact, e.Base) else ""
        assert frame.event.get("root_session_id") == (session if sub else None)
        if sub and frame.type != "sub_session_completed":
            assert frame.event["session_id"] == sub
            assert frame.event["parent_session_id"] == {lead: session, coder: lead}[sub]
    switches = [(f.event["switching"], f.event["to_agent"]) for f in frames if f.type == "agent_switching"]
    assert switches == [(True, "lead"), (True, "coder"), (False, "lead"), (False, "root")]
    done = [f.event["sub_session"] for f in frames if f.type == "sub_session_completed"]
    assert [sub["id"] for sub in done] == [coder, lead]
    assert [sub["cost"] for sub in done] == [pytest.approx(ROUND), pytest.approx(2 * ROUND)]
    response = [f.event["response"] for f in frames if f.type == "tool_call_response"]
    assert response == ["coder is done", "lead is done"]


# -- the end of a tree --------------------------------------------------------------------------


def busy(crew: Crew) -> str:
    """A tree with a CLI at the bottom, and a command at work beside it."""
    hung = mock({"child": 991}, {"say": "on it"}, hang=True)
    crew.cast(
        root=f"{both(task('lead'), shell('sleep 992'))} [[say never]]",
        lead=f"{both(task('hand', hung), shell('sleep 993'))} [[say never]]",
    )
    session = crew.session(tools_approved=True)
    crew.run(session).close()
    until(lambda: any(isinstance(fact, e.TextAdded) and fact.text for fact in crew.of(session, e.TextAdded)))
    until(lambda: all(f"sleep {number}" in "\n".join(crew.processes()) for number in (992, 993)))
    assert crew.of(session, e.RunStarted)[0].sub
    return session


ENDS: dict[str, Callable[[Crew, str], object]] = {
    "cancel": lambda crew, session: crew.api.post(f"/api/sessions/{session}/cancel"),
    "delete": lambda crew, session: crew.api.delete(f"/api/sessions/{session}?wait=true&timeout=20s"),
    "cancel at /api/v1": lambda crew, session: crew.ask("POST", f"/sessions/{session}/cancel", {}),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_the_root_leaves_no_task_and_no_process(crew: Crew, end: str) -> None:
    session = busy(crew)
    ENDS[end](crew, session)
    crew.quiet()
    if end != "delete":
        crew.api.until_idle(session)
        ends = crew.of(session, e.TurnEnded)
        assert [fact.outcome for fact in ends] == ["canceled"] * 3
        assert not list((crew.yard.home / "runs").iterdir())
    assert crew.front.process.poll() is None


def test_a_cancel_of_a_tree_that_was_killed_leaves_nothing(crew: Crew) -> None:
    session = busy(crew)
    crew.front.kill()
    crew.open()
    crew.api.post(f"/api/sessions/{session}/cancel")
    crew.api.until_idle(session)
    crew.quiet()


# -- kills --------------------------------------------------------------------------------------


def test_a_kill_while_every_level_asks(crew: Crew) -> None:
    asking(crew)
    session = crew.session()
    crew.run(session).close()
    before = crew.waits(3)
    follower = crew.follow(session)
    crew.again()
    assert crew.waits(3) == before
    for _ in before:
        shown = follower.until(lambda f: f.type == "tool_call_confirmation", after=answered(crew, session, follower))
        assert crew.api.resume(session, "approve").status == 200
        until(lambda shown=shown: shown.event["request_id"] in [f.wait for f in crew.of(session, e.WaitAnswered)])
    assert crew.last_words(session) == "root is done"
    ran = [fact.call.name for fact in crew.of(session, e.ToolCalled)]
    assert (ran.count("shell"), ran.count("transfer_task")) == (3, 2)  # nothing ran twice
    assert not crew.of(session, e.CallLost)
    last = crew.api.snapshot(session)["last_event_seq"]
    follower.until_seq(last)
    assert [frame.raw for frame in follower.frames] == [frame.raw for frame in crew.api.log(session)]


def answered(crew: Crew, session: str, follower: Any) -> int:
    """The seq before which all prompts that a follower was shown have been answered."""
    given = {fact.wait for fact in crew.of(session, e.WaitAnswered)}
    shown = [f for f in follower.frames if f.type == "tool_call_confirmation" and f.event["request_id"] in given]
    return shown[-1].id or 0 if shown else 0


def nested(crew: Crew, *steps: dict[str, Any]) -> str:
    """A tree with a CLI at the bottom that plays these steps."""
    crew.cast(
        root=f"{both(task('lead'))} [[say root is done]]",
        lead=f"{both(task('hand', mock(*steps)))} [[say lead is done]]",
    )
    session = crew.session()
    crew.run(session).close()
    return session


def went_on(crew: Crew, session: str, run: e.RunStarted) -> list[str]:
    """What a CLI has said that was found again; the tree has ended well, and nothing of it is left."""
    assert crew.last_words(session) == "root is done"
    assert [fact.run for fact in crew.of(session, e.RunStarted)] == [run.run]
    crew.quiet()
    said = [f.message.content for f in crew.of(session, e.MessageAdded) if f.message and f.message.agent == "hand"]
    return [text for text in said if text]


def test_a_kill_while_a_nested_cli_asks(crew: Crew) -> None:
    session = nested(crew, {"say": "one"}, {"ask": {"name": "Bash", "input": {}, "ok": "ran"}}, {"say": "two"})
    (wait,) = crew.waits(1)
    (run,) = crew.of(session, e.RunStarted)
    assert wait["session_id"] == run.sub
    crew.again()
    assert [one["id"] for one in crew.waits(1)] == [wait["id"]]
    assert crew.api.resume(session, "approve").status == 200
    assert went_on(crew, session, run) == ["one", "two"]
    assert [fact.call.name for fact in crew.of(session, e.ToolCalled)] == ["transfer_task", "transfer_task", "Bash"]


def test_a_kill_while_a_nested_cli_works(crew: Crew) -> None:
    session = nested(crew, {"say": "one"}, {"sleep_s": 1.5}, {"say": "two"})
    until(lambda: any(fact.sub for fact in crew.of(session, e.TextAdded)))
    (run,) = crew.of(session, e.RunStarted)
    crew.again()
    assert went_on(crew, session, run) == ["one", "two"]
    assert [fact.call.name for fact in crew.of(session, e.ToolCalled)] == ["transfer_task", "transfer_task"]


# -- agents in the background -------------------------------------------------------------------


def test_agents_in_the_background_are_sessions_of_the_tree(crew: Crew) -> None:
    run = "[[tool run_background_agent " + json.dumps({"agent": "digger", "task": "dig"}) + "]]"
    crew.cast(root=f"{run} [[say started]]", digger=f"{both(shell('echo never'))} [[say dug]]")
    session = crew.session(permissions={"allow": ["run_background_agent"]})
    frames = [frame for frame in crew.run(session) if not frame.ping]
    assert frames[-1].event["reason"] == "normal"
    assert not [frame for frame in frames if frame.event.get("agent_name") == "digger" and frame.type == "agent_choice"]
    assert [one["id"] for one in crew.api.get("/api/sessions").json] == [session]
    heads = crew.ask("GET", "/sessions")
    (child,) = [one["session_id"] for one in heads if one.get("parent_session_id") == session]
    crew.over(child)
    assert crew.api.get(f"/api/sessions/{child}").json["title"] == "Background agent task"
    (refused,) = crew.of(child, e.ToolReturned)
    assert "requires user confirmation but the session is non-interactive" in refused.result.output
    assert crew.output(child) == "dug"
    tree = crew.ask("GET", f"/sessions/{session}")["tree"]
    assert (tree["sessions"], tree["running"]) == (2, 0)
    assert tree["total_cost_usd"] == pytest.approx(4 * ROUND)


def test_a_cli_in_the_background_has_nobody_to_ask_either(crew: Crew) -> None:
    steps = ({"say": "one"}, {"ask": {"name": "Bash", "input": {}, "ok": "ran"}}, {"sleep_s": 1.5}, {"say": "two"})
    given = {"agent": "hand", "task": mock(*steps)}
    crew.cast(root=f"[[tool run_background_agent {json.dumps(given)}]] [[say started]]")
    session = crew.session(permissions={"allow": ["run_background_agent"]})
    assert [frame.type for frame in crew.run(session)][-1] == "stream_stopped"
    (child,) = [one["session_id"] for one in crew.ask("GET", "/sessions") if one.get("parent_session_id") == session]
    until(lambda: crew.of(child, e.ToolReturned))
    crew.again()
    assert crew.completed(child) == "two"
    assert not crew.of(child, e.WaitOpened)
    (refused,) = crew.of(child, e.ToolReturned)
    assert "the session is non-interactive" in refused.result.output
    assert len(crew.of(child, e.RunStarted)) == 1
    crew.quiet()


def test_a_cancel_ends_what_works_in_the_background(crew: Crew) -> None:
    run = "[[tool run_background_agent " + json.dumps({"agent": "digger", "task": "dig"}) + "]]"
    wait = "[[tool wait_background_agents " + json.dumps({"task_ids": ["x"]}) + "]]"
    crew.cast(root=f"{run} {wait} {both(shell('sleep 994'))}", digger=both(shell("sleep 995")))
    session = crew.session(tools_approved=True)
    crew.run(session).close()
    until(lambda: all(f"sleep {number}" in "\n".join(crew.processes()) for number in (994, 995)))
    crew.api.post(f"/api/sessions/{session}/cancel")
    crew.api.until_idle(session)
    for one in crew.ask("GET", "/sessions"):
        crew.over(one["session_id"])
    crew.quiet()


# -- headers ------------------------------------------------------------------------------------

CALLING = """\
providers:
  fake: {{base_url: {url}/v1}}
agents:
  root:
    model: fake/fake-model
    toolsets:
      - type: api
        api_config:
          name: tell
          method: POST
          endpoint: {url}/_configure
          headers: {{X-Told: "${{headers.X-Person}}"}}
          allow_private_ips: true
"""


def test_headers_of_the_request_reach_a_tool_and_are_written_nowhere(crew: Crew) -> None:
    (crew.yard.folder / "agents" / "calling.yaml").write_text(CALLING.format(url=crew.model.url))
    session = crew.session(tools_approved=True)
    body = {"messages": [{"role": "user", "content": "[[tool tell {}]] [[say told]]"}]}
    for person in ("ada-secret", "eve-secret"):
        headers = {"X-Person": person}
        stream = crew.api.open("POST", f"/api/sessions/{session}/agent/calling", body, headers=headers)
        assert "told" in "".join(frame.event.get("content", "") for frame in stream)
    told = [r["headers"].get("x-told") for r in crew.model.requests if r["path"].endswith("/_configure")]
    assert told == ["ada-secret", "eve-secret"]
    crew.front.term()
    for path in crew.yard.home.rglob("*"):
        assert not (path.is_file() and b"-secret" in path.read_bytes()), path
    assert not any("-secret" in line for line in crew.front.lines)
