"""What a kill at each named point of a turn leaves, and what a polite stop leaves."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance import purity, stored
from acceptance.chaos import PROGRAM, TOOLS, check_prose, check_tools, check_turns
from acceptance.house import Died, House, Server, free_port, opened, until
from acceptance.sse import BROKEN
from fakes import llm
from roost.core import events as e


class Crashing:
    """A server that is told where to die."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.seam, self.runs = house.folder / "seam.json", house.folder / "runs.txt"
        self.runs.touch()
        self.listen = f"127.0.0.1:{free_port()}"
        house.agent(extra=TOOLS)
        self.flags: tuple[str, ...] = ()
        self.server = self.start()

    def ready(self) -> "Crashing":
        """As the next test wants it: a server without flags of its own that listens, and no run of a tool."""
        self.runs.write_text("")
        if self.flags and self.server.alive:
            self.server.kill()
        if not self.server.alive:
            self.start()
        return self

    def start(self, *flags: str) -> Server:
        self.flags = flags
        env = {"ROOST_TEST_SEAM": str(self.seam), "ROOST_TEST_RUNS": str(self.runs)}
        self.server = self.house.serve(*flags, program=PROGRAM, listen=self.listen, env=env)
        return self.server

    def arm(self, point: str, nth: int = 1) -> None:
        self.seam.write_text(json.dumps({"point": point, "log": "", "nth": nth}))

    def dies(self, session: str, text: str, point: str, nth: int = 1) -> None:
        """Post a turn; the server dies at the point."""
        self.arm(point, nth)
        with contextlib.suppress(BROKEN):
            self.server.start(session, text, detach=True).close()
        assert self.server.until_dead(20) == -9

    def log(self, session: str) -> list[e.Event]:
        return stored.facts(self.house.db, session)

    def sound(self, session: str, turns: int = 1) -> None:
        check_turns(self.log(session), turns)
        check_tools(self.log(session), self.runs)
        check_prose(self.log(session))

    def kinds(self, session: str) -> list[str]:
        return [e.kind(event.fact) for event in self.log(session)]


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashing]:
    with llm.serve() as model, opened(tmp_path_factory.mktemp("crashing"), model) as house:
        yield Crashing(house)
        purity.sweep(house, most=1000)


@pytest.fixture
def crashing(harbour: Crashing) -> Crashing:
    """What was started after a test's kill is what the next test kills."""
    return harbour.ready()


SCRIPT = "[[tools safe {} | once {}]] [[say the end of it]]"
ONCE = ["after TurnOpened", "before TurnStarted", "after TurnStarted", "in once", "in safe", "before TurnEnded"]
OFTEN = ["before ModelAsked", "after ModelAsked", "before CallDrafted", "before MessageAdded", "after MessageAdded"]
OFTEN += ["before ToolCalled", "after ToolCalled", "before ToolReturned", "after ToolReturned", "after UsageAdded"]
POINTS = [(point, 1) for point in ONCE] + [(point, nth) for point in OFTEN for nth in (1, 2)]


@pytest.mark.parametrize(("point", "nth"), POINTS)
def test_a_turn_survives_a_kill(crashing: Crashing, point: str, nth: int) -> None:
    session = crashing.server.create(title="t")
    reader = crashing.server.follow(session)
    crashing.dies(session, SCRIPT, point, nth)
    server = crashing.start()
    snapshot = server.until_idle(session)
    assert snapshot["messages"][-1]["message"]["content"] == "the end of it"
    assert server.log(session)[-1].event["reason"] == "normal"
    crashing.sound(session)
    reader.until_seq(snapshot["last_event_seq"])
    reader.stop()
    assert [f.raw for f in reader.frames] == [f.raw for f in server.log(session)]
    tools = [m["message"] for m in snapshot["messages"] if m["message"]["role"] == "tool"]
    assert [m["tool_call_id"] for m in tools] == [c.id for c in asked(crashing.log(session))]  # call order


def asked(log: list[e.Event]) -> list[Any]:
    return [
        c
        for event in log
        if isinstance(event.fact, e.MessageAdded) and event.fact.message
        for c in event.fact.message.calls
    ]


def test_before_the_first_commit_nothing_is_left(crashing: Crashing) -> None:
    session = crashing.server.create(title="t")
    crashing.dies(session, "hi", "before TurnOpened")
    server = crashing.start()
    snapshot = server.snapshot(session)
    assert (snapshot["streaming"], snapshot["messages"]) == (False, None)
    assert server.run(session, "hi")[-1].event["reason"] == "normal"


def test_a_cut_answer_is_taken_back_and_given_anew(crashing: Crashing) -> None:
    session = crashing.server.create(title="t")
    crashing.dies(
        session, "[[drip 0.02]] [[say a number of words that come one after the other]]", "after TextAdded", 4
    )
    server = crashing.start()
    server.until_idle(session)
    frames = server.log(session)
    (warning,) = (f for f in frames if f.type == "warning")
    deltas = [(f.id, f.event["content"]) for f in frames if f.type == "agent_choice"]
    kept = [text for seq, text in deltas if seq is not None and seq > warning.id]
    assert "".join(kept) == "a number of words that come one after the other"
    dropped = [seq for seq, _ in deltas if seq is not None and seq < warning.id]
    assert dropped and warning.event["discard_since"] <= dropped[0]
    assert [f.type for f in frames].count("stream_started") == 1


def test_an_unknown_outcome_is_told_or_asked(crashing: Crashing) -> None:
    once = crashing.server.create(title="t")
    crashing.dies(once, "[[tool once {}]]", "before ToolReturned")
    server = crashing.start()
    server.until_idle(once)
    (response,) = (f.event for f in server.log(once) if f.type == "tool_call_response")
    assert response["result"]["isError"] is True and "not known" in response["response"]
    doubt = server.create(title="t")
    crashing.dies(doubt, "[[tool doubt {}]]", "before ToolReturned")
    server = crashing.start()
    reader = server.follow(doubt)
    frame = reader.until("tool_call_confirmation")
    assert "Approve to run it again" in frame.event["metadata"]["reason"]
    assert server.resume(doubt, "approve").status == 200
    reader.until("stream_stopped")
    reader.stop()
    starts = [line.split()[1:] for line in crashing.runs.read_text().splitlines() if line.startswith("start")]
    assert [(name, attempt) for name, _, attempt in starts] == [("once", "1"), ("doubt", "1"), ("doubt", "2")]
    crashing.sound(doubt)


def test_an_approval_is_answered_after_the_restart_from_another_client(crashing: Crashing) -> None:
    session = crashing.server.create(title="t")
    stream = crashing.server.start(session, "[[tool gated {}]] [[say went on]]")
    asked_at = stream.until("tool_call_confirmation")[-1].id
    crashing.server.kill()
    server = crashing.start()
    snapshot = server.snapshot(session)
    assert snapshot["streaming"] and snapshot["last_event_seq"] == asked_at  # nothing was written for it
    phone = server.events(session, asked_at, **{"User-Agent": "phone"})
    assert server.resume(session, "approve").status == 200
    frames = phone.until("stream_stopped")
    phone.close()
    types = [f.type for f in frames]
    assert types.index("tool_call") < types.index("tool_call_response") < types.index("agent_choice")
    crashing.sound(session)


def test_an_answer_that_was_written_is_acted_on(crashing: Crashing) -> None:
    session = crashing.server.create(title="t")
    stream = crashing.server.start(session, "[[tool gated {}]] [[say went on]]", detach=True)
    stream.until("tool_call_confirmation")
    crashing.arm("after WaitAnswered")
    with pytest.raises(BROKEN):
        crashing.server.resume(session, "approve")
    crashing.server.until_dead()
    server = crashing.start()
    assert server.until_idle(session)["messages"][-1]["message"]["content"] == "went on"
    crashing.sound(session)


def test_a_followup_retried_after_the_restart_is_a_duplicate(crashing: Crashing) -> None:
    server = crashing.server
    session = server.create(title="t")
    server.run(session, "hi")
    path, headers = f"/api/sessions/{session}/followup", {"Idempotency-Key": "k"}
    body = {"messages": [{"content": "Ship it"}]}
    crashing.arm("after MessageQueued")
    with pytest.raises(BROKEN):
        server.post(path, body, headers=headers)  # committed; its answer was lost
    server.until_dead()
    server = crashing.start()
    retried = server.post(path, body, headers=headers)
    assert (retried.status, retried.json) == (202, {"status": "duplicate", "duplicate": True})
    assert server.get(f"/api/sessions/{session}/queue").json["followup"]["depth"] == 1
    frames = server.run(session, "go on")
    assert [f.event["message"] for f in frames if f.type == "user_message"] == ["go on", "Ship it"]


def test_a_cancel_that_was_written_ends_the_turn(crashing: Crashing) -> None:
    session = crashing.server.create(title="t")
    stream = crashing.server.start(session, "[[drip 0.05]] [[say " + "and so on " * 100 + "]]", detach=True)
    stream.until("agent_choice")
    crashing.arm("after CancelAsked")
    with pytest.raises(BROKEN):
        crashing.server.post(f"/api/sessions/{session}/cancel")
    crashing.server.until_dead()
    server = crashing.start()
    snapshot = server.until_idle(session)
    assert server.log(session)[-1].event["reason"] == "canceled"
    assert snapshot["messages"][-1]["message"]["content"].startswith("and so on")


def test_three_crashes_without_progress_end_a_turn(crashing: Crashing) -> None:
    session = crashing.server.create(title="t")
    crashing.dies(session, "[[drip 0.05]] [[say slow, slow, slow]]", "after ModelAsked")
    for _ in range(2):
        crashing.arm("after ModelAsked")
        try:
            crashing.start()
        except Died:
            continue
        assert crashing.server.until_dead() == -9
    server = crashing.start()
    server.until_idle(session)
    frames = server.log(session)
    assert [f.type for f in frames[-2:]] == ["error", "stream_stopped"]
    assert frames[-1].event["reason"] == "error"
    assert server.run(session, "better now")[-1].event["reason"] == "normal"


def test_a_delete_that_was_written_is_finished(crashing: Crashing) -> None:
    session = crashing.server.create(title="t")
    crashing.server.start(session, "[[drip 0.05]] [[say " + "and so on " * 100 + "]]").until("agent_choice")
    crashing.arm("after DeleteAsked")
    with pytest.raises(BROKEN):
        crashing.server.delete(f"/api/sessions/{session}")
    crashing.server.until_dead()
    server = crashing.start()
    assert server.get(f"/api/sessions/{session}").status == 404
    until(lambda: not crashing.log(session) or crashing.kinds(session)[-1] == "SessionExited")


@pytest.mark.parametrize(("policy", "ends"), [("fail", "error"), ("ask", "normal")])
def test_the_other_policies(crashing: Crashing, policy: str, ends: str) -> None:
    session = crashing.server.create(title="t")
    crashing.dies(session, "[[say well]]", "after ModelAsked")
    server = crashing.start("--resume", policy)
    if policy == "ask":
        asking = server.follow(session)
        asking.until("elicitation_request")
        assert server.snapshot(session)["streaming"]
        assert server.post(f"/api/sessions/{session}/elicitation", {"action": "accept", "content": {}}).status == 200
        asking.until("stream_stopped")
        asking.stop()
    server.until_idle(session)
    assert server.log(session)[-1].event["reason"] == ends


@pytest.mark.parametrize(
    "text",
    [
        "[[drip 0.05]] [[say " + "and so on " * 12 + "]]",
        '[[tool safe {"seconds": 30}]] [[say all of it]]',
        '[[tool once {"seconds": 0.5}]] [[say all of it]]',
        "[[tool gated {}]] [[say all of it]]",
    ],
)
def test_a_polite_stop_is_no_worse_than_a_crash(crashing: Crashing, text: str) -> None:
    session = crashing.server.create(title="t")
    reader = crashing.server.follow(session)
    stream = crashing.server.start(session, text)
    first = "agent_choice" if "drip" in text else "tool_call_confirmation" if "gated" in text else "tool_call"
    stream.until(first)
    assert crashing.server.term() == 0
    assert "session_exited" not in [f.type for f in reader.frames]
    assert "TurnEnded" not in crashing.kinds(session)
    server = crashing.start()
    if "gated" in text:
        assert server.resume(session, "approve").status == 200
    assert server.until_idle(session)["messages"][-1]["message"]["content"] == (
        "all of it" if "all of it" in text else ("and so on " * 12).strip()
    )
    assert server.log(session)[-1].event["reason"] == "normal"
    crashing.sound(session)
    reader.until_seq(server.snapshot(session)["last_event_seq"])
    reader.stop()
    assert [f.raw for f in reader.frames] == [f.raw for f in server.log(session)]
    if "0.5" in text:  # it had the time to end
        assert "end once" in crashing.runs.read_text() and "CallLost" not in crashing.kinds(session)


def test_messages_that_wait_survive(crashing: Crashing) -> None:
    session = crashing.server.create(title="t")
    stream = crashing.server.start(session, "[[drip 0.05]] [[say " + "and so on " * 20 + "]]", detach=True)
    stream.until("agent_choice")
    for kind, text in (("followup", "[[say then this]]"), ("steer", "[[say first this]]")):
        path = f"/api/sessions/{session}/{kind}"
        assert crashing.server.post(path, {"messages": [{"content": text}]}).status == 202
    crashing.server.kill()
    server = crashing.start()
    said = [m["message"] for m in server.until_idle(session)["messages"]]
    assert [m["content"] for m in said if m["role"] == "user"][1:] == ["[[say first this]]", "[[say then this]]"]
    assert [m["content"] for m in said if m["role"] == "assistant"][-2:] == ["first this", "then this"]
    crashing.sound(session)


ASKING = """\
providers:
  fake: {{base_url: {url}/v1}}
agents:
  root:
    model: fake/fake-model
    toolsets: [{{type: user_prompt}}, {{type: shell}}]
"""


def test_a_question_is_answered_after_the_restart(house: House) -> None:
    house.agent(text=ASKING.format(url=house.model.url))
    first = house.serve()
    session = first.create(title="t")
    stream = first.start(session, '[[tool user_prompt {"message": "Which account?"}]]')
    event = stream.until("elicitation_request")[-1].event
    first.kill()
    second = house.serve()
    assert second.snapshot(session)["streaming"]
    answer = {"action": "accept", "content": {"username": "ada"}, "elicitation_id": event["elicitation_id"]}
    reader = second.follow(session)
    assert second.post(f"/api/sessions/{session}/elicitation", answer).status == 200
    response = reader.until("tool_call_response").event["response"]
    assert json.loads(response) == {"action": "accept", "content": {"username": "ada"}}
    reader.until("stream_stopped")
    reader.stop()
    assert reader.types().count("elicitation_request") == 1


def test_a_lost_command_leaves_no_process(house: House) -> None:
    house.agent(text=ASKING.format(url=house.model.url))
    first = house.serve()
    session = first.create(title="t", tools_approved=True, working_dir=str(house.folder))
    pid = house.folder / "pid"
    command = "sleep 300 & echo $! > pid.new && mv pid.new pid && wait"
    first.start(session, f'[[tool shell {{"cmd": "{command}"}}]] [[say over]]', detach=True)
    number = int(until(lambda: pid.exists() and pid.read_text()))
    first.kill()
    assert Path(f"/proc/{number}").exists()
    second = house.serve()
    until(lambda: not running(number))
    reader = second.follow(session)
    reader.until("tool_call_confirmation")  # nobody knows what it did
    assert second.resume(session, "reject").status == 200
    reader.until("stream_stopped")
    reader.stop()


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_frames_of_a_log_with_crashes_are_pure(crashing: Crashing) -> None:
    session = crashing.server.create()
    crashing.dies(session, SCRIPT, "in once")
    crashing.start()
    crashing.server.until_idle(session)
    crashing.dies(session, "[[drip 0.01]] [[think so]] [[say some words that come slowly]]", "after TextAdded", 3)
    crashing.start()
    crashing.server.until_idle(session)
    neighbour = crashing.house.serve()
    try:
        purity.check(crashing.house, session, crashing.server, neighbour, every=True)
    finally:
        neighbour.kill()


def test_a_kept_log_of_runs(crashing: Crashing) -> None:
    """The counting tools count: without this the rest would prove nothing."""
    session = crashing.server.create(title="t")
    crashing.server.run(session, "[[tools safe {} | once {} | doubt {}]]")
    lines = [line.split() for line in crashing.runs.read_text().splitlines()]
    assert sorted((what, name, attempt) for what, name, _, attempt in lines) == sorted(
        (what, name, "1") for what in ("start", "end") for name in ("safe", "once", "doubt")
    )
