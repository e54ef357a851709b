"""Whatever is cut, and however often the server dies: of every stream, each event comes once and in order."""

import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from acceptance import front
from acceptance.front import Front, Yard
from acceptance.house import until
from client.faces import BOTH, Face, making
from client.real import TOKEN, agent_file, until_waits
from fakes.line import Line, line
from roost.client import happenings as h
from roost.client.errors import Cut, Refused
from roost.client.requests import Order
from roost.client.server import Server

pytestmark = pytest.mark.slow

FLAGS = ("--insecure-http", "--host", "127.0.0.1", "--token", TOKEN, "--enable-mock", "--agents")


class Reader:
    """Reads a stream in a thread of its own, until it has what is waited for."""

    def __init__(self, stream: Iterator[Any], done: Callable[[list[Any]], bool]) -> None:
        self.found: list[Any] = []
        self.error: BaseException | None = None
        self._stream = stream
        self._done = done
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        try:
            for one in self._stream:
                self.found.append(one)
                if self._done(self.found):
                    break
            self._stream.close()  # type: ignore[attr-defined]
        except BaseException as error:
            self.error = error

    def all(self) -> list[Any]:
        self.thread.join(60)
        assert self.error is None, repr(self.error)
        assert not self.thread.is_alive(), f"{len(self.found)} came, and the end did not"
        return self.found


@dataclass
class Scene:
    """A server that can be killed, a line to it that is cut, and clients of both kinds behind that."""

    yard: Yard
    agents: str
    wire: Line
    served: Front
    stack: ExitStack
    chance: random.Random
    kept: list[Face] = field(default_factory=list)

    @property
    def calm(self) -> Face:
        """A client of the server as it is now, by no line."""
        return self.client("blocking", self.served.address)

    def client(self, kind: str, url: str = "") -> Face:
        make = self.stack.enter_context(making(kind))
        return make(Server(url or f"http://127.0.0.1:{self.wire.port}", token=TOKEN))

    def crash(self) -> None:
        self.served.kill()
        self.served = self.yard.serve(*FLAGS, self.agents)
        self.wire.lead(self.served.address)

    def trouble(self, times: int) -> None:
        """So many of the connections to come are cut, somewhere."""
        self.wire.shorten([self.chance.choice((1, 150, 700, 3_000, 20_000)) for _ in range(times)])


@contextmanager
def staged(folder: Path, seed: int) -> Iterator[Scene]:
    with front.opened(folder) as yard, ExitStack() as stack:
        agents = str(agent_file(folder))
        served = yard.serve(*FLAGS, agents)
        wire = stack.enter_context(line(served.address))
        yield Scene(yard, agents, wire, served, stack, random.Random(seed))


def ended(times: int) -> Callable[[list[Any]], bool]:
    return lambda found: sum(isinstance(one, h.StreamStopped) for one in found) >= times


def run(client: Face, session: str, text: str, calm: Callable[[], Face]) -> Iterator[Any]:
    """A turn's events.  Where it is not known whether the turn is there, somebody starts it who knows."""
    try:
        yield from client.run(session, "heart", text)
    except Cut:
        with suppress(Refused):  # it is there by now
            if not any(one.role == "user" and one.content == text for one in calm().snapshot(session).messages):
                calm().start(session, "heart", text)
        for one in client.follow(session):
            yield one
            if isinstance(one, h.StreamStopped):
                return


@pytest.mark.parametrize("crashes", [0, 2])
@pytest.mark.parametrize("seed", [1, 2])
def test_each_event_comes_once_to_everyone(tmp_path: Path, seed: int, crashes: int) -> None:
    with staged(tmp_path, seed) as scene:
        scene.trouble(60)
        asker = scene.calm
        sessions = [str(asker.create(tools_approved=True).id) for _ in range(2)]
        followers = [
            (session, Reader(scene.client(kind).follow(session), ended(2))) for session in sessions for kind in BOTH
        ]
        runners = []
        for session, kind in zip(sessions, scene.chance.sample(BOTH, 2), strict=True):
            runners.append((session, Reader(run(scene.client(kind), session, "long", lambda: scene.calm), ended(1))))
        for _ in range(crashes):
            heard = followers[0][1].found
            more = len(heard) + scene.chance.randrange(1, 60)
            until(lambda heard=heard, more=more: len(heard) >= more or ended(1)(heard))  # type: ignore[misc]
            scene.crash()
        ran = [(session, one.all()) for session, one in runners]
        for session in sessions:
            assert scene.calm.say(session, "heart", "hello").ok
        told = {session: whole(scene.calm, session) for session in sessions}
        for session, reader in followers:
            assert reader.all() == told[session]
        for session, found in ran:
            numbers = [one.seq for one in found if one.seq]
            assert found == [one for one in told[session] if one.seq in set(numbers)]
            assert sum(isinstance(one, h.UserMessage) for one in told[session]) == 2  # posted once


@pytest.mark.parametrize("crashes", [0, 2])
def test_each_log_event_comes_once_to_everyone(tmp_path: Path, crashes: int) -> None:
    with staged(tmp_path, 3) as scene:
        bell = scene.calm.spawn(Order(prompt="hello", provider="mock")).session_id
        scene.calm.wait([bell])
        last: dict[str, int] = {}
        full = threading.Event()
        heard = [
            Reader(scene.client(kind).subscribe(), lambda found: full.is_set() and has(found, last)) for kind in BOTH
        ]
        for one in heard:  # each listens, once it has heard a note
            until(lambda one=one: scene.calm.note(bell, "listen") and one.found)  # type: ignore[misc]
        scene.trouble(24)
        scene.wire.cut()
        readers = []
        for n in range(6):
            session = scene.calm.spawn(Order(prompt=f"number {n}", provider="mock")).session_id
            readers += [(session, Reader(scene.client(kind).stream(session), lambda _: False)) for kind in BOTH]
            if n < crashes:
                scene.crash()
            elif scene.chance.random() < 0.5:
                scene.wire.cut()
        sessions = sorted({session for session, _ in readers})
        scene.calm.wait(sessions)
        told = {session: scene.calm.log(session) for session in sessions}
        for session, reader in readers:
            assert [one for one in reader.all() if one.type != "heartbeat"] == told[session]
        last |= {session: log[-1].seq for session, log in told.items()}
        full.set()
        for one in heard:
            until(lambda one=one: (scene.calm.note(bell, "look"), not one.thread.is_alive())[1], timeout=50)  # type: ignore[misc]
            by_session = defaultdict(list)
            for event in one.all():
                by_session[event.session].append(event)
            for session in sessions:
                assert by_session[session] == told[session]
            numbers = [event.seq for event in by_session[bell]]
            assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("crashes", [0, 2])
def test_each_question_comes_once_to_everyone(tmp_path: Path, crashes: int) -> None:
    with staged(tmp_path, 4) as scene:
        scene.trouble(24)
        wanted: set[str] = set()
        full = threading.Event()
        asked = [
            Reader(scene.client(kind).asks(), lambda found: full.is_set() and {one.id for one in found} >= wanted)
            for kind in BOTH
        ]
        for n in range(4):
            session = scene.calm.create().id
            scene.calm.start(session, "heart", "run it")
            wanted.add(until_waits(scene.calm, session).id)
            if n < crashes:
                scene.crash()
            else:
                scene.wire.cut()
        full.set()
        last = scene.calm.create().id  # so that something comes, by which each sees that it has all
        scene.calm.start(last, "heart", "run it")
        for one in asked:
            numbers = [waiting.id for waiting in one.all()]
            assert len(numbers) == len(set(numbers))
            assert set(numbers) >= wanted
        for waiting in scene.calm.waits():
            scene.calm.cancel(waiting.session_id)


def has(found: list[Any], last: dict[str, int]) -> bool:
    """Whether it holds the last event of each."""
    there = {(one.session, one.seq) for one in found}
    return all(one in there for one in last.items())


def whole(client: Face, session: str) -> list[Any]:
    """All there is of a session up to the second end of a turn, over a line that holds."""
    return Reader(client.follow(session), ended(2)).all()
