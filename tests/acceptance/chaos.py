"""Kills, restarts, and what must be true afterwards."""

import json
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acceptance import stored
from acceptance.house import Died, House, Server, follower, free_port, until
from acceptance.sse import BROKEN, Follower, Frame
from engine import sound
from roost.core import events as e

PROGRAM = ("-m", "acceptance.seams")
KINDS = ("delta", "commit", "tool", "approval", "recovery", "anywhere")
TOOLS = """\
    toolsets:
      - type: think
    sub_agents: [lead]
  lead:
    model: fast
    instruction: >-
      [[tools safe {} | once {} | transfer_task {"agent": "coder", "task": "code", "expected_output": "words"}]]
      [[drip 0.005]] [[say lead has it from coder]]
    sub_agents: [coder]
    toolsets:
      - type: think
  coder:
    model: fast
    instruction: >-
      [[tools gated {} | safe {} | shell {"cmd": "echo written", "cwd": "."}]] [[drip 0.005]] [[say coder did it]]
    toolsets:
      - type: think
      - type: shell
permissions:
  allow: [once, doubt]
"""


@dataclass
class Chaos:
    """A server that is killed again and again, and a client that follows one of its sessions."""

    house: House
    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    turns: Counter[str] = field(default_factory=Counter)  # by session

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.seam = self.house.folder / "seam.json"
        self.runs = self.house.folder / "runs.txt"
        self.listen = f"127.0.0.1:{free_port()}"
        self.house.agent(extra=TOOLS)
        self.server = self.start()
        self.session = self.server.create(title="followed")
        self.other = self.server.create(title="bystander")
        self.follower = self.follow(self.session)
        self.bystander = self.follow(self.other)

    # -- the server

    def follow(self, session: str) -> Follower:
        return follower(lambda: self.server, session)

    def start(self) -> Server:
        env = {"ROOST_TEST_SEAM": str(self.seam), "ROOST_TEST_RUNS": str(self.runs)}
        return self.house.serve(program=PROGRAM, listen=self.listen, env=env)

    def arm(self, point: str, nth: int = 1, *, anywhere: bool = False) -> None:
        """The server kills itself at this point of the followed session, or of any."""
        log = "" if anywhere else self.session
        new = self.seam.with_suffix(".new")
        new.write_text(json.dumps({"point": point, "log": log, "nth": nth, "at": time.monotonic()}))
        new.replace(self.seam)

    def restart(self, kind: str) -> None:
        """See the server dead, count the kill, and start another."""
        code = self.server.until_dead(30)
        assert code == -9, f"the server ended with {code}\n{self.server.stderr()}"
        assert not self.seam.exists()
        self.kills[kind] += 1
        while True:
            try:
                self.server = self.start()
            except Died:
                assert not self.seam.exists(), self.house.servers[-1].stderr()
                self.kills["recovery"] += 1
                continue
            return

    # -- turns

    def open(self, session: str, text: str) -> int:
        """Post a turn and hang up; the number after which its events come."""
        after = int(self.server.snapshot(session)["last_event_seq"])
        self.server.start(session, text, detach=True).close()
        self.turns[session] += 1
        return after

    def ended(self, who: Follower, after: int) -> Frame:
        """The end of the turn that began after that; those of tasks inside it are none."""
        sessions = (self.session, self.other)
        return who.until(
            lambda f: f.type == "stream_stopped" and f.event["session_id"] in sessions, after=after, timeout=40
        )

    def round(self, kind: str) -> None:
        """One turn of each session, with a kill of this kind in it; both end."""
        aside = self.open(self.other, f"[[tool safe {{}}]] [[drip 0.02]] [[say aside {self.random.random()}]]")
        after = getattr(self, f"_{kind}")()
        stop = self.ended(self.follower, after)
        assert stop.event["reason"] == "normal", stop.event
        assert self.ended(self.bystander, aside).event["reason"] == "normal"

    def words(self, count: int) -> str:
        return " ".join(f"w{self.random.randrange(10**6)}" for _ in range(count))

    def _delta(self) -> int:
        text = f"[[drip 0.01]] [[say {self.words(40)}]]"
        if self.random.random() < 0.5:
            self.arm("after TextAdded", self.random.randrange(1, 20))
            after = self.open(self.session, text)
        else:  # from outside, once the client has seen some of it
            after, seen = self.open(self.session, text), self.random.randrange(1, 12)
            deltas = Counter[int]()

            def enough(frame: Frame) -> bool:
                deltas[0] += frame.type == "agent_choice"
                return deltas[0] >= seen

            self.follower.until(enough, after=after)
            self.server.kill()
        self.restart("delta")
        return after

    def _commit(self) -> int:
        """Between a tool's end and its commit."""
        tool = ("once", "safe", "doubt")[self.kills["commit"] % 3]
        self.arm("before ToolReturned")
        after = self.open(self.session, f"[[tool {tool} {{}}]] [[say after {tool}]]")
        self.restart("commit")
        self._settle_doubt(tool, after)
        return after

    def _tool(self) -> int:
        """While a tool runs, alone or beside others."""
        tool = ("doubt", "once", "safe")[self.kills["tool"] % 3]
        others = self.random.choice(["", " | safe {}", ' | once {} | safe {"seconds": 0.05}'])
        self.arm(f"in {tool}")
        after = self.open(self.session, f"[[tools {tool} {{}}{others}]] [[say after {tool}]]")
        self.restart("tool")
        self._settle_doubt(tool, after)
        return after

    def _settle_doubt(self, tool: str, after: int) -> None:
        if tool == "doubt":
            self.follower.until("tool_call_confirmation", after=after)
            word = self.random.choice(["approve", "reject"])
            reply = self.server.resume(self.session, word)
            assert reply.status == 200, reply

    def _approval(self) -> int:
        """While an approval waits; it is answered after the restart, from another client."""
        after = self.open(self.session, "[[tool gated {}]] [[say after gated]]")
        self.follower.until("tool_call_confirmation", after=after)
        if self.random.random() < 0.3:  # and the answer is the last thing that is written
            self.arm("after WaitAnswered")
            with suppress(*BROKEN):
                self.server.resume(self.session, "approve")
            self.restart("approval")
        else:
            self.server.kill()
            self.restart("approval")
            assert self.server.snapshot(self.session)["streaming"]
            reply = self.server.resume(self.session, self.random.choice(["approve", "reject"]))
            assert reply.status == 200, reply
        return after

    def _recovery(self) -> int:
        """Mid-delta, and then again while the server gets over it."""
        self.arm("after TextAdded", self.random.randrange(1, 10))
        after = self.open(self.session, f"[[drip 0.01]] [[say {self.words(30)}]]")
        assert self.server.until_dead(30) == -9
        points = ["after take", "before AnswerDropped", "after AnswerDropped", "after TurnResumed", "before ModelAsked"]
        points += ["after ModelAsked", "after TextAdded"]
        self.arm(self.random.choice(points))
        self.kills["delta"] += 1
        try:
            self.server = self.start()
        except Died:
            self.kills["recovery"] += 1
            self.server = self.start()
        else:
            self.restart("recovery")
        return after

    def _anywhere(self) -> int:
        """At any write of a turn that does a little of everything."""
        tool = self.random.choice(["safe", "once"])
        text = f"[[think so]] [[say first]] [[tools {tool} {{}} | safe {{}}]] [[drip 0.005]] [[say {self.words(9)}]]"
        self.arm(f"{self.random.choice(['before', 'after'])} any", self.random.randrange(1, 22))
        after = int(self.server.snapshot(self.session)["last_event_seq"])
        with suppress(*BROKEN):
            self.server.start(self.session, text, detach=True).close()
        until(lambda: not self.server.alive or "stream_stopped" in self.follower.types(after), timeout=40)
        if self.seam.exists():  # it was over before
            self.seam.unlink()
        else:
            self.restart("anywhere")
        if self.opened() == self.turns[self.session]:  # the kill came before the turn's first commit
            self.open(self.session, text)
        else:
            self.turns[self.session] += 1
        return after

    def _team(self) -> int:
        """In a task inside a task, where people are asked at the bottom: at any write, in a tool, or while it waits."""
        task = {"agent": "lead", "task": "lead", "expected_output": "words"}
        text = f"[[tools once {{}} | transfer_task {json.dumps(task)}]] [[say it is done]]"
        point = self.random.choice(("any", "any", "any", "in", "wait"))
        if point == "any":
            self.arm(f"{self.random.choice(['before', 'after'])} any", self.random.randrange(8, 90))
        elif point == "in":
            self.arm(f"in {self.random.choice(['once', 'gated', 'safe'])}", anywhere=True)
        else:
            self.arm(f"after {self.random.choice(['WaitOpened', 'WaitAnswered'])}", self.random.randrange(1, 3))
        after = int(self.server.snapshot(self.session)["last_event_seq"])
        with suppress(*BROKEN):
            self.server.start(self.session, text, detach=True).close()
        until(lambda: self._answered(after), timeout=60)
        if self.seam.exists():  # it was over before
            self.seam.unlink()
        if self.opened() == self.turns[self.session]:  # the kill came before the turn's first commit
            return self._team()
        self.turns[self.session] += 1
        return after

    def _answered(self, after: int) -> bool:
        """Approve what waits, and start the server anew where it is dead; whether the turn is over."""
        if not self.server.alive:
            self.restart("team")
            return self.opened() == self.turns[self.session]
        with suppress(*BROKEN):
            for wait in self.server.get("/api/waits").json:
                self.server.post(f"/api/waits/{wait['id']}", {"confirmation": "approve"})
        ends = [f for f in self.follower.frames if f.id and f.id > after and f.type == "stream_stopped"]
        return any(frame.event["session_id"] == self.session for frame in ends)

    def opened(self) -> int:
        log = stored.facts(self.house.db, self.session)
        return sum(isinstance(event.fact, e.TurnOpened) and not event.fact.sub for event in log)

    def _stop(self) -> int:
        """SIGTERM in the middle of a turn."""
        text, sign = [
            (f"[[drip 0.01]] [[say {self.words(40)}]]", "agent_choice"),
            ('[[tool once {"seconds": 0.3}]]', "tool_call"),
            ("[[tool gated {}]]", "tool_call_confirmation"),
            ('[[tool safe {"seconds": 9}]]', "tool_call"),
        ][self.kills["stop"] % 4]
        after = self.open(self.session, text)
        self.follower.until(sign, after=after)
        assert self.server.term() == 0, self.server.stderr()
        self.kills["stop"] += 1
        self.server = self.start()
        if "gated" in text:
            assert self.server.resume(self.session, "approve").status == 200
        return after

    # -- what must be true

    def check(self) -> dict[str, Any]:
        """The promises, after all kills."""
        for session, who in ((self.session, self.follower), (self.other, self.bystander)):
            snapshot = self.server.until_idle(session)
            last = snapshot["last_event_seq"]
            who.until_seq(last)
            who.stop()
            assert not who.strays, who.strays[:3]
            saw = who.frames
            assert [f.id for f in saw] == list(range(1, last + 1))
            held = self.server.log(session)
            assert [f.raw for f in saw] == [f.raw for f in held]
            log = stored.facts(self.house.db, session)
            assert [event.seq for event in log] == [f.id for f in saw]
            check_turns(log, self.turns[session])
            sound.check(log, stored.head(self.house.db, session))
            check_tools(log, self.runs)
            check_prose(log)
        check_projections(self.house.db)
        return dict(self.kills)


def check_turns(log: list[e.Event], turns: int) -> None:
    """Every turn that was opened has ended, once."""
    own = [event.fact for event in log if isinstance(event.fact, e.Base) and not event.fact.sub]
    opened = [fact.turn for fact in own if isinstance(fact, e.TurnOpened)]
    ended = [fact.turn for fact in own if isinstance(fact, e.TurnEnded)]
    assert len(opened) == turns
    assert ended == opened
    started = sum(isinstance(fact, e.TurnStarted) for fact in own)
    assert started == turns  # a resumed turn has no second beginning


def check_tools(log: list[e.Event], runs: Path) -> None:
    """A finished tool never ran again, a `once` tool never twice, and no run is missing from the log."""
    lines = [line.split() for line in runs.read_text().splitlines()]
    started = Counter((call, int(attempt)) for what, _, call, attempt in lines if what == "start")
    called: dict[str, list[int]] = {}
    returned: dict[str, int] = {}
    mine: dict[str, str] = {}
    for event in log:
        match event.fact:
            case e.ToolCalled(call=call, attempt=attempt):
                assert call.id not in returned, f"{call} ran again after its end"
                called.setdefault(call.id, []).append(attempt)
                mine[call.id] = call.name
            case e.ToolReturned(call=call):
                assert call.id not in returned, f"{call} returned twice"
                returned[call.id] = event.seq
    for call, attempts in called.items():
        assert attempts == list(range(1, len(attempts) + 1)), (call, attempts)
        assert call in returned
        for attempt in attempts:
            assert started[call, attempt] <= 1, f"{mine[call]} {call} started twice in one try"
        if mine[call] in ("once", "gated"):
            assert sum(n for (c, _), n in started.items() if c == call) <= 1, f"{mine[call]} {call} ran twice"
    assert {call for call, _ in started if call in mine} <= called.keys()


def check_prose(log: list[e.Event]) -> None:
    """The deltas that count are the message, word for word."""
    texts: dict[str, list[tuple[int, str]]] = {}
    for event in log:
        match event.fact:
            case e.TextAdded(answer=answer, text=text):
                texts.setdefault(answer, []).append((event.seq, text))
            case e.AnswerDropped(answer=answer, first_seq=first):
                texts[answer] = [(seq, text) for seq, text in texts.get(answer, []) if seq < first]
                assert not texts[answer]
            case e.MessageAdded(message=message, answer=answer) if message is not None and answer:
                assert "".join(text for _, text in texts.pop(answer, [])) == message.content
    assert not any(texts.values()), "an answer was begun, and neither ended nor dropped"


def check_projections(db: Path) -> None:
    """The rows say what the log says."""
    with closing(sqlite3.connect(db)) as base:
        assert base.execute("SELECT count(*) FROM sessions WHERE in_turn = 1").fetchone() == (0,)
        assert base.execute("SELECT count(*) FROM waits WHERE open = 1").fetchone() == (0,)
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
