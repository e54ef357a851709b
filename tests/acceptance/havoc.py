"""Agent CLIs under a `roost serve` that is killed again and again, and what must be true afterwards."""

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from acceptance import purity, stored
from acceptance.front import Front, Yard
from acceptance.house import Client, follower, free_port, until
from acceptance.sse import BROKEN, Follower
from roost.core import events as e
from roost.keepers import keeper

PROGRAM = ("-m", "acceptance.seams")
TOKEN = "a-token-for-tests"
SETTINGS = "[usage_limits]\ndefault_fallback_secs = 0.3\njitter_secs = 0\n"
LINES = 30
V1 = "/api/v1/sessions"

KINDS = ("point", "point", "point", "moment", "start", "stop")
POINTS = (
    *("before RunStarted", "after RunStarted", "after RunRead", "before WaitOpened", "after WaitOpened"),
    *("after WaitAnswered", "before MessageTaken", "after MessageTaken", "after MessageQueued", "before ToolCalled"),
    *("after LimitHit", "before LimitResumed", "before RunEnded", "after RunEnded", "before any", "after any"),
)


class Listener:
    """Follows a session by WebSocket, at whatever server there is, from the newest `seq` that it has seen."""

    def __init__(self, address: Callable[[], str], session: str) -> None:
        self.frames: list[str] = []
        self.doubled: list[str] = []
        self.last = 0
        self._address, self._session = address, session
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(OSError, WebSocketException, TimeoutError):
                self._listen()
            self._stop.wait(0.05)

    def _listen(self) -> None:
        path = f"{V1}/{self._session}/stream?after_seq={self.last}"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with connect(f"ws://{self._address()}{path}", additional_headers=headers, max_size=None) as socket:
            while not self._stop.is_set():
                with suppress(TimeoutError):
                    self._take(str(socket.recv(timeout=0.2)))

    def _take(self, text: str) -> None:
        frame = json.loads(text)
        if frame["type"] == "heartbeat":
            return
        (self.frames if frame["seq"] > self.last else self.doubled).append(text)
        self.last = frame["seq"]

    def until(self, seq: int) -> None:
        until(lambda: self.last >= seq, timeout=30)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)


@dataclass
class Act:
    """A session, what its CLI says in the end, and who watches it."""

    name: str
    session: str
    says: Sequence[str]
    listener: Listener
    follower: Follower
    runs: int = 1
    heard: list[str] = field(default_factory=list)  # messages that the server has taken
    tried: list[str] = field(default_factory=list)


@dataclass
class Havoc:
    """A home, a server on it that dies often, and sessions that go on all the while."""

    yard: Yard
    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    acts: list[Act] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.yard.home.mkdir(mode=0o700)
        (self.yard.home / "agents.toml").write_text(SETTINGS)
        self.seam = self.yard.folder / "seam.json"
        self.port = free_port()
        self.db = self.yard.home / "roost.db"
        self.client = Client(f"127.0.0.1:{self.port}", token=TOKEN)
        self.front = self.start()

    # -- the server

    def start(self) -> Front:
        flags = ("--insecure-http", "--host", "127.0.0.1", "--port", str(self.port), "--token", TOKEN, "--enable-mock")
        while True:
            front = self.yard.start(*flags, env={"ROOST_TEST_SEAM": str(self.seam)}, program=PROGRAM)
            if front.up.wait(30) and front.address:
                return front
            assert front.until_dead() == -9, front.lines
            self.kills["recovery"] += 1

    def arm(self, point: str, nth: int = 1) -> None:
        new = self.seam.with_suffix(".new")
        new.write_text(json.dumps({"point": point, "log": "", "nth": nth, "at": time.monotonic()}))
        new.replace(self.seam)

    def kill(self) -> None:
        """Kill it at some point of some session, or at some moment, and start another."""
        what = self.random.choice(KINDS)
        if what == "point":
            self.arm(self.random.choice(POINTS), self.random.randrange(1, 4))
            with suppress(AssertionError):
                until(lambda: self.front.process.poll() is not None, timeout=0.7)
        else:
            time.sleep(self.random.random() * 0.4)
        self.seam.unlink(missing_ok=True)
        if what == "stop" and self.front.process.poll() is None:
            assert self.front.term() == 0, self.front.lines
        with suppress(ProcessLookupError):
            os.kill(self.front.process.pid, 9)
        self.front.until_dead()
        self.kills[what] += 1
        if what == "start":
            self.arm("after take", self.random.randrange(1, 4))
        self.front = self.start()
        if what == "start":
            with suppress(AssertionError):
                until(lambda: self.front.process.poll() is not None, timeout=0.3)
            self.seam.unlink(missing_ok=True)
            if self.front.process.poll() is not None:
                self.kills["recovery"] += 1
                self.front = self.start()

    def ask(self, method: str, path: str, body: Any = None, *, timeout: float = 20.0) -> Any:
        """Ask until a server answers; only for what can be asked twice."""
        while True:
            try:
                return self.client.ask(method, path, body, timeout=timeout)
            except BROKEN:
                if self.front.process.poll() is not None:
                    self.front = self.start()
                time.sleep(0.02)

    # -- the sessions

    def spawn(self, name: str, *steps: Any, says: Sequence[str], runs: int = 1, **more: Any) -> Act:
        prompt = more.pop("prompt", None)
        if prompt is None:
            prompt = "@mock " + json.dumps({"steps": list(steps), **more.pop("plan", {})})
        reply = self.client.post(f"{V1}/spawn", {"prompt": prompt, "provider": "mock", **more})
        assert reply.status == 201, reply
        session = reply.json["session_id"]
        listener = Listener(lambda: self.client.address, session)
        act = Act(name, session, says, listener, follower(lambda: self.client, session), runs)
        self.acts.append(act)
        return act

    def wave(self) -> list[Act]:
        """A session of each kind."""
        tag = f"{len(self.acts)}"
        lines = [f"{tag} line {n}" for n in range(LINES)]
        slowly = [step for line in lines for step in ({"sleep_s": 0.04}, {"say": line, "drip": 0.001})]
        tools = [step for n in range(4) for step in ({"tool": "Bash"}, {"sleep_s": 0.1}, {"tool_ok": f"{tag} did {n}"})]
        asks = [step for n in range(3) for step in ({"ask": {"name": "Bash", "ok": f"{n}"}}, {"say": f"{tag} ok {n}"})]
        first = self.spawn("says", *slowly, says=lines)
        return [
            first,
            self.spawn("calls", *tools, {"say": f"{tag} done"}, says=[f"{tag} done"]),
            self.spawn("asks", *asks, says=[f"{tag} ok {n}" for n in range(3)]),
            self.spawn("sleeps", says=["Continue"], runs=2, plan={"limit": "You have hit your usage limit."}),
            self.spawn("waits", prompt=f"{tag} after", depends_on=[first.session], says=[f"{tag} after"]),
            self.spawn("listens", prompt="", interactive=True, says=[]),
            self.spawn("hangs", {"say": f"{tag} on it"}, says=[f"{tag} on it"], plan={"hang": True}),
        ]

    def attend(self, acts: Sequence[Act]) -> None:
        """Do what people do meanwhile: answer, and send messages."""
        with suppress(*BROKEN):
            for wait in self.client.get("/api/waits").json:
                self._answer(wait)
            for act in acts:
                if act.name == "listens" and len(act.tried) < 12:
                    self._say(act)
                if act.name == "hangs" and self.random.random() < 0.3 and said(self.log(act)):
                    self.client.post(f"{V1}/{act.session}/cancel", {})

    def _answer(self, wait: dict[str, Any]) -> None:
        path, yes = f"/api/waits/{wait['id']}", {"confirmation": "approve"}
        assert self.client.post(path, yes).status == 200
        assert self.client.post(path, yes).status == 200  # the same again is harmless
        assert self.client.post(path, {"confirmation": "reject"}).status == 409

    def _say(self, act: Act) -> None:
        text = f"message {len(act.tried)} of {act.session[:8]}"
        act.tried.append(text)
        if self.random.random() < 0.25:  # as a local tool does, who is told nothing
            with suppress(OSError), (self.yard.home / "fifos" / act.session).open("r+b", buffering=0) as pipe:
                pipe.write(f"{text}\n".encode())
            return
        reply = self.client.post(f"{V1}/{act.session}/input", {"message": text})
        assert reply.status == 200, reply
        act.heard.append(text)

    def running(self, act: Act) -> bool:
        return self.ask("GET", f"{V1}/{act.session}/status").json["status"] in ("running", "idle")

    def play(self, kills: int) -> None:
        """A wave, with so many kills in it; then all of it comes to its end."""
        acts = self.wave()
        for _ in range(kills):
            self.attend(acts)
            self.kill()
        deadline = time.monotonic() + 90
        while left := [act for act in acts if act.name != "listens" and self.running(act)]:
            assert time.monotonic() < deadline, [(act.name, act.session) for act in left]
            self.attend(acts)
            time.sleep(0.05)
        for act in acts:
            if act.name == "listens":
                until(lambda act=act: set(act.heard) <= set(said(self.log(act))), timeout=30)
                self.ask("POST", f"{V1}/{act.session}/cancel", {})
        for act in acts:
            until(lambda act=act: not self.running(act), timeout=30)
        self.check(acts)

    # -- what must be true

    def log(self, act: Act) -> list[e.Event]:
        return stored.facts(self.db, act.session)

    def check(self, acts: Sequence[Act]) -> None:
        """The promises, for sessions that have ended; their followers are let go."""
        for act in acts:
            log = self.log(act)
            assert [event.seq for event in log] == list(range(1, len(log) + 1))
            check_ends(act, log)
            check_calls(log)
            self._check_readers(act, log)
        until(lambda: not list((self.yard.home / "runs").iterdir()), timeout=20)
        assert not alive(self.yard.home)

    def check_purity(self) -> None:
        """What was shown is a function of the log alone: any server shows the same, from any cursor."""
        port = self.port
        self.port = free_port()
        neighbour, self.port = self.start(), port
        other = Client(f"127.0.0.1:{neighbour.port}", token=TOKEN)
        for act in self.acts[-7:]:
            purity.check_v1(self.db, act.session, self.client, other)
        assert neighbour.term() == 0

    def _check_readers(self, act: Act, log: Sequence[e.Event]) -> None:
        """Whoever has followed by cursor has seen what there is, once."""
        events = self.ask("GET", f"{V1}/{act.session}/events").body
        shown = json.loads(events)
        assert shown[-1]["type"] == "session_ended"
        act.listener.until(shown[-1]["seq"])
        act.listener.stop()
        assert not act.listener.doubled
        assert f"[{','.join(act.listener.frames)}]".encode() == events, act.name
        act.follower.until_seq(log[-1].seq)
        act.follower.stop()
        assert not act.follower.strays, act.follower.strays[:3]
        assert [frame.id for frame in act.follower.frames] == list(range(1, len(log) + 1))


def said(log: Sequence[e.Event]) -> list[str]:
    messages = [event.fact.message for event in log if isinstance(event.fact, e.MessageAdded)]
    return [message.content for message in messages if message is not None and message.content]


def count(log: Sequence[e.Event], kind: type[e.Fact]) -> int:
    return sum(isinstance(event.fact, kind) for event in log)


def check_ends(act: Act, log: Sequence[e.Event]) -> None:
    """What was said stands there once, in order; all that was begun has ended, once."""
    texts = said(log)
    if act.name == "listens":
        assert len(set(texts)) == len(texts) and set(texts) <= set(act.tried)
        assert [text for text in texts if text in act.heard] == act.heard
        assert count(log, e.MessageTaken) == len(texts)
    else:
        assert texts == list(act.says), act.name
    assert count(log, e.TurnOpened) == count(log, e.TurnEnded) == 1
    assert isinstance(log[-1].fact, e.TurnEnded)
    assert log[-1].fact.outcome == ("canceled" if act.name in ("listens", "hangs") else "normal"), log[-1].fact
    started = [event.fact.run for event in log if isinstance(event.fact, e.RunStarted)]
    ended = [event.fact.run for event in log if isinstance(event.fact, e.RunEnded)]
    assert started == ended and len(started) == act.runs, act.name
    assert count(log, e.LimitHit) == count(log, e.LimitResumed) == act.runs - 1


def check_calls(log: Sequence[e.Event]) -> None:
    """Each call has started once, returned once, and was asked about at most once."""
    asked = [event.fact.wait for event in log if isinstance(event.fact, e.WaitOpened)]
    assert asked == [event.fact.wait for event in log if isinstance(event.fact, e.WaitAnswered)]
    added = [event.fact for event in log if isinstance(event.fact, e.MessageAdded)]
    calls = [call.id for fact in added if fact.message is not None for call in fact.message.calls]
    assert calls == [event.fact.call.id for event in log if isinstance(event.fact, e.ToolCalled)]
    assert calls == [event.fact.call.id for event in log if isinstance(event.fact, e.ToolReturned)]
    assert calls == [fact.call for fact in added if fact.call]


def alive(home: Path) -> list[int]:
    """The processes of all runs of a home."""
    below = str(home.resolve() / "runs")
    return [pid for pid, stat in keeper.processes().items() if keeper.mark_of(pid).startswith(below) and not stat.gone]
