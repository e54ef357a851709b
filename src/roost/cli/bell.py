"""Says on stderr that a session waits for a person, while a command waits for the session."""

import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from roost.cli import approvals, show
from roost.client import talk
from roost.client.blocking import Blocking
from roost.client.server import Server
from roost.client.shapes import Waiting
from roost.core.errors import RoostError

_EVERY = 1.0


@contextmanager
def ringing(server: Server, sessions: Collection[str] = ()) -> Iterator[None]:
    """Look now and then, if somebody sits there to be told; without `sessions`, for all of them."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    looking = threading.Thread(target=_look, args=(server, sessions, over), name="bell", daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join(_EVERY)


def _look(server: Server, sessions: Collection[str], over: threading.Event) -> None:
    client, told = Blocking(server), set[str]()
    while not over.wait(_EVERY):
        try:
            waiting = client.ask(talk.waits(), timeout=_EVERY * 5)
        except RoostError:
            continue  # the command itself meets whatever is wrong
        for one in waiting:
            if one.id in told or (sessions and not any(one.session_id.startswith(name) for name in sessions)):
                continue
            told.add(one.id)
            show.aside(f"waits for you: {approvals.what(one)}\n  {_how(one)}")
    client.close()


def _how(one: Waiting) -> str:
    if one.kind == "question":
        return f"roost answer {one.id[:8]} JSON, or roost reject {one.id[:8]}"
    return f"roost approve {one.id[:8]}, or roost reject {one.id[:8]}"
