"""A real server in a process of its own, with an agent that plays by heart and the mock CLI."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from acceptance import front
from acceptance.front import Front, Yard
from acceptance.house import until
from client.faces import Face
from roost.client import happenings as h
from roost.client.server import Server

T = TypeVar("T")

TOKEN = "5ecret" + "0" * 58

AGENT = """\
agents:
  root:
    model: heart
    description: Knows its lines
    instruction: Say them.
    toolsets: [{type: shell}, {type: user_prompt}, {type: think}]
    commands:
      greet: Say hello
  slowpoke:
    model: heart
    description: Takes long to begin
    instruction: Take your time.
    toolsets: [{type: mcp, command: sleep, args: ["30"]}]
models:
  heart:
    provider: scripted
    model: heart
    provider_opts:
      scenario:
        title: Lines
        delay: 0.001
        turns:
          - when: (?i)run
            answers:
              - - text: "Let me see. "
                - call: {name: shell, arguments: {cmd: echo hello}}
              - - text: It says hello.
          - when: (?i)ask
            answers:
              - - call: {name: user_prompt, arguments: {message: Which one?}}
              - - text: Thank you.
          - when: (?i)slow
            answers:
              - - text: "Wait"
                - wait: 30
                - text: " a moment."
          - when: (?i)long
            answers:
              - LONG
          - answers: ["You said: {{user}}"]
            repeat: true
"""


@dataclass
class Place:
    """A server, and where it stands."""

    yard: Yard
    server: Server
    front: Front

    @property
    def folder(self) -> Path:
        return self.yard.folder


def agent_file(folder: Path) -> Path:
    """The agent, whose long answer has a thousand words."""
    path = folder / "heart.yaml"
    path.write_text(AGENT.replace("LONG", " ".join(f"word{n}" for n in range(1000))))
    return path


@contextmanager
def standing(folder: Path, *flags: str) -> Iterator[Place]:
    """The server, on loopback."""
    with front.opened(folder) as yard:
        agent = agent_file(folder)
        common = ("--host", "127.0.0.1", "--enable-mock", "--token", TOKEN, "--agents", str(agent))
        served = yard.serve(*common, *flags)
        yield Place(yard, Server(served.address, token=TOKEN), served)


def until_waits(face: Face, session: str) -> Any:
    """What waits in a session, as soon as something does."""
    return until(lambda: next((one for one in face.waits() if one.session_id == session), None))


def until_idle(face: Face, session: str) -> Any:
    """A session, once no turn runs in it."""
    return until(lambda: (found := face.snapshot(session)) and not found.streaming and found)


def kinds(found: Iterator[Any]) -> list[type]:
    return [type(one) for one in found]


def first(found: Iterator[Any], wanted: Callable[[Any], bool]) -> Any:
    """The first that is wanted, of a stream that is then left."""
    try:
        return next(one for one in found if wanted(one))
    finally:
        found.close()  # type: ignore[attr-defined]


def text_of(found: list[h.Happening]) -> str:
    """The words of the answers among them."""
    return "".join(one.content for one in found if isinstance(one, h.AgentChoice))
