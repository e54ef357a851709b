"""Whether frames are a function of the log alone."""

import random

from acceptance.house import House, Server
from acceptance.sse import Frame

SAMPLE = 40


def check(house: House, session: str, server: Server, neighbour: Server, *, every: bool = False) -> list[Frame]:
    """The log's frames are the same bytes from the store, from another server, and from every cursor (or a sample)."""
    whole = server.log(session)
    assert [f.id for f in whole] == list(range(1, len(whole) + 1))
    assert [f.raw for f in neighbour.log(session)] == [f.raw for f in whole]
    cursors = list(range(1, len(whole)))
    if not every and len(cursors) > SAMPLE:
        cursors = sorted(random.Random(1).sample(cursors, SAMPLE))
    for number, cursor in enumerate(cursors):
        asked = neighbour if number % 2 else server
        stream = asked.events(session, cursor)
        try:
            got = [f.raw for f in stream.until(lambda f: f.id == len(whole)) if not f.ping]
        finally:
            stream.close()
        assert got == [f.raw for f in whole[cursor:]], f"from {cursor}"
    return whole


def sweep(house: House, most: int = 12) -> None:
    """Look at what a test leaves behind: the logs of its living servers, from a few cursors each."""
    for server in house.servers:
        if not server.alive or not server.address or "--auth-token" in server.process.args:
            continue
        sessions = [s["id"] for s in server.get("/api/sessions").json]
        for session in sessions[:most]:
            if server.snapshot(session)["streaming"]:
                continue
            whole = server.log(session)
            assert [f.id for f in whole] == list(range(1, len(whole) + 1))
            for cursor in {1, len(whole) // 3, len(whole) - 1} - {0, len(whole)}:
                assert [f.raw for f in server.log(session, cursor)] == [f.raw for f in whole[cursor:]], f"from {cursor}"
