"""Logs of real sessions: a server with a scripted model plays them, and what its store then holds is handed out."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio

from acceptance.house import House, Server, opened, until
from fakes import llm
from roost.core import events as e
from roost.core.ids import LogId, Micros, ServerId
from roost.stores.sqlite import open_sqlite

CREW = """\
providers:
  fake: {{base_url: {url}/v1}}
models:
  priced: {{provider: fake, model: fake-model, cost: {{input: 1000, output: 2000}}}}
agents:
  root:
    model: priced
    description: Leads the work
    instruction: Help.
    sub_agents: [coder, tester]
    toolsets: [{{type: shell}}, {{type: filesystem}}, {{type: user_prompt}}, {{type: think}}]
    commands: {{review: {{description: Look at the changes, instruction: Review.}}}}
  coder:
    model: priced
    description: Writes code
    instruction: '{coder}'
    sub_agents: [tester]
    toolsets: [{{type: shell}}]
  tester:
    model: priced
    description: Tests it
    instruction: '[[say All **green**: 12 passed.]]'
"""
CODER = "[[think Who tests it?]][[say I hand it on.]][[tool transfer_task {task}]][[say Done, and tested.]]"


def task(agent: str, what: str) -> str:
    return json.dumps({"agent": agent, "task": what, "expected_output": "words"})


def shell(command: str) -> str:
    return f"[[tool shell {json.dumps({'cmd': command})}]]"


@dataclass(frozen=True)
class Log:
    """A session, and its facts."""

    name: str
    session: str
    events: tuple[e.Event, ...]


def _talk(server: Server) -> str:
    session = server.create(title="", safety_policy="autonomous")
    server.run(session, f"[[think Let me see.\nTwo lines.]]{shell('echo one; echo two >&2')}[[say It says *one*.]]")
    server.run(session, ["first", "[[say second answer]]"])
    return session


def _approvals(server: Server) -> str:
    session = server.create(title="Approvals")
    for answer in ("approve", "reject"):
        stream = server.start(session, shell(f"echo {answer}") + "[[say so]]")
        stream.until("tool_call_confirmation")
        more = {"reason": "not on my machine"} if answer == "reject" else {}
        assert server.resume(session, answer, **more).status == 200
        list(stream)
    return session


def _question(server: Server) -> str:
    session = server.create(title="Question", safety_policy="autonomous")
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    asked = json.dumps({"message": "Who are you?", "schema": schema})
    stream = server.start(session, f"[[tool user_prompt {asked}]][[say Hello!]]")
    stream.until("elicitation_request")
    body = {"action": "accept", "content": {"name": "Ada"}}
    assert server.post(f"/api/sessions/{session}/elicitation", body).status == 200
    list(stream)
    return session


def _team(server: Server) -> str:
    session = server.create(title="Team", safety_policy="autonomous")
    server.run(session, f"[[say On it.]][[tool transfer_task {task('coder', 'fix the parser')}]][[say All is well.]]")
    both = f"[[tools transfer_task {task('coder', 'one')} | transfer_task {task('tester', 'two')}]][[say Both done.]]"
    server.run(session, both)
    return session


def _drops(server: Server) -> str:
    session = server.create(title="Drops", safety_policy="autonomous")
    server.run(session, "[[cut 1]][[say an answer that is cut off the first time and comes whole the second]]")
    server.run(session, "[[status 400]]")
    server.run(session, "[[say after an error]]")
    return session


def _queue(server: Server) -> str:
    session = server.create(title="Queue", safety_policy="autonomous")
    stream = server.start(session, shell("sleep 0.3") + "[[say first]]")
    stream.until("tool_call")
    steer = {"messages": [{"role": "user", "content": "[[say steered]]"}]}
    assert server.post(f"/api/sessions/{session}/steer", steer).status in (200, 202)
    later = {"messages": [{"role": "user", "content": "[[say later]]"}, {"role": "user", "content": "[[say last]]"}]}
    assert server.post(f"/api/sessions/{session}/followup", later).status in (200, 202)
    list(stream)
    return session


def _canceled(server: Server) -> str:
    session = server.create(title="Canceled", safety_policy="autonomous")
    stream = server.start(session, "[[drip 0.05]][[say one two three four five six seven eight nine ten]][[hang]]")
    stream.until("agent_choice")
    assert server.post(f"/api/sessions/{session}/cancel").status in (200, 202)
    list(stream)
    stream = server.start(session, shell("sleep 20"))
    stream.until("tool_call")
    assert server.post(f"/api/sessions/{session}/cancel").status in (200, 202)
    list(stream)
    return session


SCENES: Sequence[Callable[[Server], str]] = (_talk, _approvals, _question, _team, _drops, _queue, _canceled)


def facts(db: Path, session: str) -> tuple[e.Event, ...]:
    """All events of a log in a database."""

    async def read() -> tuple[e.Event, ...]:
        async with open_sqlite(
            db, server=ServerId("reader"), now=lambda: Micros(0), grown=lambda *_: None, fatal=lambda _: None
        ) as store:
            return tuple(await store.page(LogId(session), after=0, limit=100_000))

    return anyio.run(read)


def crew(house: House) -> Path:
    coder = CODER.format(task=task("tester", "test the parser"))
    return house.agent(text=CREW.format(url=house.model.url, coder=coder))


@contextmanager
def recorded(folder: Path) -> Iterator[list[Log]]:
    """Every scene, played."""
    with llm.serve() as model, opened(folder, model) as house:
        crew(house)
        server = house.serve()
        sessions = {play.__name__.strip("_"): play(server) for play in SCENES}
        for session in sessions.values():
            until(lambda session=session: not server.snapshot(session)["streaming"])  # type: ignore[misc]
        assert server.term() == 0
        yield [Log(name, session, facts(house.db, session)) for name, session in sessions.items()]
