"""Every row of the table is asked of a real server, by both faces, and its answer is of the type that it promises."""

import re
import subprocess
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from acceptance.house import until
from acceptance.zag.remote import played
from client.faces import BOTH, Face, making
from client.real import Place, standing, until_idle, until_waits
from engine.fakes import Floor, open_world
from roost.client import shapes
from roost.client.errors import Refused
from roost.client.request import Request
from roost.client.requests import Order, Query
from roost.client.table import ROWS, Table
from roost.doors.docker_agent import routes as docker_agent
from roost.doors.zag import routes as zag

HANG = played(hang=True)
STREAMS = {
    ("GET", "/api/sessions/:id/events"),  # follow, frames
    ("POST", "/api/sessions/:id/agent/:agent"),  # start, run, say
    ("POST", "/api/sessions/:id/agent/:agent/:agent_name"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with standing(tmp_path_factory.mktemp("rows"), "--insecure-http") as found:
        yield found


@dataclass
class Stage:
    """Who asks, and what there is to ask about."""

    face: Face
    folder: Path
    asked: list[str] = field(default_factory=list)

    def session(self, **template: Any) -> str:
        return str(self.face.create(**template).id)

    def talked(self) -> str:
        """A session in which something was said."""
        session = self.session()
        assert self.face.say(session, "heart", "hello").ok
        return session

    def slow(self) -> str:
        """A session whose turn goes on until it is cancelled."""
        session = self.session()
        self.face.start(session, "heart", "slow, please")
        return session

    def asking(self, what: str) -> tuple[str, str]:
        """A session in which something waits, and the id of that."""
        session = self.session()
        self.face.start(session, "heart", what)
        return session, until_waits(self.face, session).id

    def spawned(self, prompt: str = "hello", **more: Any) -> str:
        return str(self.face.spawn(Order(prompt=prompt, provider="mock", **more)).session_id)

    def done(self, prompt: str = "hello", **more: Any) -> str:
        """A spawned session that has ended."""
        session = self.spawned(prompt, **more)
        assert self.face.wait([session])[0].success
        return session

    def process(self) -> str:
        """One that runs."""
        session = self.spawned(HANG)
        return str(until(lambda: next((p for p in self.face.processes() if p.session_id == session), None)).id)


@pytest.fixture(params=BOTH)
def stage(request: pytest.FixtureRequest, place: Place, tmp_path: Path) -> Iterator[Stage]:
    with making(request.param) as make:
        yield Stage(make(place.server), tmp_path)


Case = Callable[[Stage], Any]
MESSAGE = shapes.Message(agent_name="root", message=shapes.Chat(role="assistant", content="once"))


def repository(folder: Path) -> str:
    """A folder with a change in it that is not committed."""
    git = ["git", "-c", "user.name=ann", "-c", "user.email=ann@example.com", "-C", str(folder)]
    (folder / "a.txt").write_text("one\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    (folder / "a.txt").write_text("two\n")
    return str(folder)


def withdrawn(stage: Stage) -> Any:
    session = stage.talked()
    stage.face.followup(session, "never mind")
    (waiting,) = stage.face.snapshot(session).queue
    return stage.face.withdraw(session, waiting.id)


def edited(stage: Stage) -> Any:
    session = stage.talked()
    old = stage.face.snapshot(session).messages[-1]
    return stage.face.edit_message(session, old.id, MESSAGE)


def account(stage: Stage, name: str) -> str:
    stage.face.add_user(name, "correct horse", str(stage.folder))
    return name


def logged_in(stage: Stage) -> None:
    with pytest.raises(Refused) as error:
        stage.face.logged_in("nobody-waits", code="c")
    assert error.value.status == 404


def logout(stage: Stage) -> Any:
    account(stage, "zoe")
    token = stage.face.login("zoe", "correct horse").token
    stage.face.remove_user("zoe")
    assert token
    return stage.face.logout()


def answered(stage: Stage, what: str, *words: Any, **more: Any) -> Any:
    session, wait = stage.asking(what)
    found = stage.face.answer(wait, *words, **more)
    until_idle(stage.face, session)
    return found


def resumed(stage: Stage) -> Any:
    session, _ = stage.asking("run it")
    found = stage.face.resume(session, "approve")
    assert until_idle(stage.face, session).messages[-1].content == "It says hello."
    return found


def elicited(stage: Stage) -> Any:
    session, _ = stage.asking("ask me")
    found = stage.face.elicit(session, "accept", {"response": "this"})
    until_idle(stage.face, session)
    return found


def ended(stage: Stage, session: str) -> str:
    stage.face.cancel(session)
    return session


def under_way(stage: Stage) -> Any:
    session = stage.session()
    stage.face.start(session, "heart", "hello", agent_name="slowpoke")
    found = until(stage.face.jobs)
    stage.face.cancel(session)
    assert found[0].what == "tools"
    return found


CASES: dict[str, Case] = {
    "ping": lambda s: s.face.ping(),
    "alive": lambda s: s.face.alive(),
    "ready": lambda s: s.face.ready(),
    "first": lambda s: (s.talked(), s.face.first(timeout="5s"))[-1],
    "health": lambda s: s.face.health(),
    "jobs": under_way,
    "agents": lambda s: s.face.agents(),
    "agent": lambda s: s.face.agent("heart"),
    "tools": lambda s: s.face.tools("heart", "root"),
    "logged_in": logged_in,
    "login": lambda s: (s.face.login(account(s, "ann"), "correct horse"), s.face.remove_user("ann"))[0],
    "logout": logout,
    "users": lambda s: (account(s, "una"), s.face.users(), s.face.remove_user("una"))[1],
    "add_user": lambda s: (s.face.add_user("bo", "correct horse", str(s.folder)), s.face.remove_user("bo"))[0],
    "remove_user": lambda s: s.face.remove_user(account(s, "cy")),
    "set_password": lambda s: (s.face.set_password(account(s, "di"), "battery staple"), s.face.remove_user("di"))[0],
    "list_sessions": lambda s: (s.talked(), s.face.list_sessions(limit=5))[-1],
    "create": lambda s: s.face.create(
        title="One",
        working_dir=str(s.folder),
        safety_policy="strict",
        permissions=shapes.Permissions(allow=("think",)),
        budget=shapes.Budget(max_cost=1.5),
        attributes={"a": "b"},
        more={"max_consecutive_tool_calls": 3},
    ),
    "show": lambda s: s.face.show(s.talked()),
    "snapshot": lambda s: s.face.snapshot(s.talked(), last=1),
    "state": lambda s: s.face.state(s.talked(), wait="5s"),
    "delete": lambda s: s.face.delete(s.talked(), wait=True),
    "fork": lambda s: s.face.fork(s.talked(), 0),
    "recovery": lambda s: s.face.recovery(s.talked()),
    "delete_all": lambda s: s.face.delete_all([s.session(), "nobody"]),
    "export": lambda s: s.face.export([s.talked()]),
    "title": lambda s: s.face.title(s.session(), "Another"),
    "safety": lambda s: s.face.safety(s.session(), "balanced"),
    "permit": lambda s: s.face.permit(s.session(), shapes.Permissions(deny=("shell",))),
    "budget": lambda s: s.face.budget(s.session(), shapes.Budget(max_tokens=1000), tree=True),
    "tokens": lambda s: s.face.tokens(s.session(), input=3, output=4, cost=0.5),
    "star": lambda s: s.face.star(s.session()),
    "toggle_tools": lambda s: s.face.toggle_tools(s.session()),
    "toggle_thinking": lambda s: s.face.toggle_thinking(s.session()),
    "add_message": lambda s: s.face.add_message(s.session(), MESSAGE),
    "edit_message": edited,
    "add_summary": lambda s: s.face.add_summary(s.talked(), "They said hello.", model="heart"),
    "compact": lambda s: s.face.compact(s.talked(), "be short"),
    "steer": lambda s: (found := s.slow(), s.face.steer(found, "quicker"), s.face.cancel(found))[1],
    "followup": lambda s: (found := s.slow(), s.face.followup(found, "and then?", key="k1"), s.face.cancel(found))[1],
    "queue": lambda s: s.face.queue(s.talked()),
    "withdraw": withdrawn,
    "cancel": lambda s: s.face.cancel(s.slow()),
    "models": lambda s: s.face.models(s.talked()),
    "waits": lambda s: (found := s.asking("run it"), s.face.waits(), s.face.cancel(found[0]))[1],
    "answer": lambda s: answered(s, "run it", confirmation="reject", reason="not now"),
    "resume": resumed,
    "elicit": elicited,
    "sessions": lambda s: (s.done(), s.face.sessions(provider="mock", limit=3))[-1],
    "session": lambda s: s.face.session(s.done()),
    "update": lambda s: s.face.update(s.done(), name="n", description="d", tags=["t"]),
    "remove": lambda s: s.face.remove(s.done()),
    "status": lambda s: s.face.status(s.done()),
    "log": lambda s: s.face.log(s.done(), last=3),
    "output": lambda s: s.face.output(s.done()),
    "send": lambda s: s.face.send(s.done(), "and more"),
    "end": lambda s: s.face.end(s.spawned(HANG), "enough"),
    "note": lambda s: s.face.note(s.done(), "noted", level="warn", data='{"a": 1}'),
    "variables": lambda s: s.face.variables(s.done()),
    "import_histories": lambda s: s.face.import_histories(),
    "spawn": lambda s: s.face.spawn(Order(prompt="hello", provider="mock", tags=["x"])),
    "wait": lambda s: s.face.wait([s.spawned(), s.spawned()], timeout="30s"),
    "collect": lambda s: s.face.collect([s.done()]),
    "summary": lambda s: s.face.summary([s.done()], stats=True),
    "retry": lambda s: s.face.retry([s.done()]),
    "pipe": lambda s: s.face.pipe([s.done()], Order(prompt="sum up", provider="mock")),
    "broadcast": lambda s: (s.done(tags=[s.folder.name]), s.face.broadcast("all of you", tag=s.folder.name))[-1],
    "processes": lambda s: (s.done(), s.face.processes(limit=2))[-1],
    "process": lambda s: (found := s.process(), s.face.process(found), s.face.kill(found))[1],
    "stop": lambda s: s.face.stop(s.process()),
    "kill": lambda s: s.face.kill(s.process(), result="as it is"),
    "search": lambda s: (s.done("a needle"), s.face.search(Query(query="needle")))[-1],
    "sweep": lambda s: s.face.sweep(),
    "review": lambda s: s.face.review(Order(provider="mock", root=repository(s.folder)), uncommitted=True),
    "config": lambda s: s.face.config(["provider"]),
    "capability": lambda s: s.face.capability("mock"),
    "discover": lambda s: s.face.discover(provider="mock"),
    "skills": lambda s: s.face.skills("list"),
    "mcp": lambda s: s.face.mcp("list"),
}


def test_every_row_has_a_case() -> None:
    assert set(CASES) == set(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_asked_and_its_answer_read(stage: Stage, row: str) -> None:
    found = CASES[row](stage)
    assert fits(found, promised(row)), found


def promised(row: str) -> Any:
    """The type that a row's function says its answer has."""
    make = getattr(Table, row)
    [answer] = typing.get_args(typing.get_type_hints(make)["return"])
    return answer


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, all the way down."""
    if kind is Any:
        return value is not None
    if kind is type(None):
        return value is None
    origin = typing.get_origin(kind)
    if origin in (list, tuple):
        return isinstance(value, origin) and bool(value) and all(fits(one, typing.get_args(kind)[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict)
    return isinstance(value, kind) and (
        msgspec.json.encode(value) not in (b"{}", b"") or isinstance(kind, types.UnionType)
    )


@pytest.mark.anyio
async def test_every_endpoint_of_both_doors_has_a_row(tmp_path: Path) -> None:
    async with open_world(Floor("memory", tmp_path)) as world:
        doors = [
            *docker_agent.routes(world.service, closing=anyio.Event(), version="", quiet=1.0),
            *zag.routes(world.service, closing=anyio.Event(), version=""),
        ]
    there = {(route.method, route.path) for route in doors}
    streams = {(method, path) for method, path in there if path.endswith(("/stream", "/subscribe", "/live"))}
    assert {shape(made) for made in made_by_all()} >= {shape(one) for one in there - STREAMS - streams}


def shape(one: Request[Any] | tuple[str, str]) -> tuple[str, str]:
    """Method and path, with a star for whatever stands for a name."""
    method, path = (one.method, one.path) if isinstance(one, Request) else one
    return method, re.sub(r":\w+|NAME", "*", path)


def made_by_all() -> Iterator[Request[Any]]:
    """A request of each row, with NAME for every name."""
    given: dict[str, Any] = {
        "target": ["a"],
        "order": Order(),
        "query": Query(),
        "permissions": None,
        "limits": None,
        "message": MESSAGE,
        "message_id": "NAME",
        "user_message_index": 0,
        "sessions": ["a"],
        "messages": "hi",
        "args": [],
        "input": 1,
        "output": 1,
    }
    for row in ROWS:
        make = getattr(Table, row)
        code = make.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        optional = {
            *names[code.co_argcount - len(make.__defaults__ or ()) : code.co_argcount],
            *(make.__kwdefaults__ or ()),
        }
        text = {"message": "hi"} if row in ("note", "send", "broadcast") else {}
        yield make(**{name: {**given, **text}.get(name, "NAME") for name in names if name not in optional})
