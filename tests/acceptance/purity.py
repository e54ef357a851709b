"""Whether frames are a function of the log alone."""

import asyncio
import json
import random
from collections.abc import Sequence
from pathlib import Path

from acceptance import stored
from acceptance.house import Client, House, Server
from acceptance.sse import Frame
from roost.core import events as e
from roost.core.ids import LogId
from roost.doors.docker_agent import renderer as docker_agent
from roost.doors.zag.renderer import Renderer
from roost.doors.zag.unified import Unified

SAMPLE = 40
Kind = type[docker_agent.Renderer] | type[docker_agent.Detailed] | type[Renderer] | type[Unified]


def check(house: House, session: str, server: Server, neighbour: Server, *, every: bool = False) -> list[Frame]:
    """The log's frames are the same bytes from the store, from another server, and from every cursor (or a sample)."""
    _check(session, server, neighbour, every=every, detail="full")
    return _check(session, server, neighbour, every=every)


def _check(session: str, server: Server, neighbour: Server, *, every: bool, detail: str = "") -> list[Frame]:
    whole = server.log(session, detail=detail)
    assert [f.id for f in whole] == list(range(1, len(whole) + 1))
    assert [f.raw for f in neighbour.log(session, detail=detail)] == [f.raw for f in whole]
    cursors = list(range(1, len(whole)))
    if not every and len(cursors) > SAMPLE:
        cursors = sorted(random.Random(1).sample(cursors, SAMPLE))
    for number, cursor in enumerate(cursors):
        asked = neighbour if number % 2 else server
        stream = asked.events(session, cursor, detail=detail)
        try:
            got = [f.raw for f in stream.until(lambda f: f.id == len(whole)) if not f.ping]
        finally:
            stream.close()
        assert got == [f.raw for f in whole[cursor:]], f"from {cursor}"
    return whole


def texts(log: Sequence[e.Event], kind: Kind, after: int = 0) -> list[tuple[int, str]]:
    """What a door shows of a log past a cursor, each with its seq."""

    async def render() -> list[tuple[int, str]]:
        if kind in (docker_agent.Renderer, docker_agent.Detailed):
            shown = kind(stored.archive(log), LogId(log[0].log))
            frames = [(ev.seq, await shown.render(ev)) for ev in log if ev.seq > after]
            return [(seq, frame.decode()) for seq, frame in frames if frame is not None]
        renderer = kind(stored.archive(log), LogId(log[0].log))
        return [(ev.seq, frame.text) for ev in log if ev.seq > after for frame in await renderer.render(ev)]

    return asyncio.run(render())


def from_cursors(log: Sequence[e.Event], cursors: Sequence[int]) -> None:
    """What is shown is the same wherever a reader begins: in both sizes of `/api`, and in both schemas of `/api/v1`."""
    for kind in (docker_agent.Renderer, docker_agent.Detailed, Renderer, Unified):
        whole = texts(log, kind)
        for cursor in cursors:
            got, wanted = texts(log, kind, cursor), [shown for shown in whole if shown[0] > cursor]
            assert got == wanted, f"{kind.__name__} from {cursor} of {log[0].log}"


def check_v1(db: Path, session: str, *servers: Client) -> None:
    """The same bytes from the facts, from each server, and from every cursor (or a sample)."""
    log = stored.facts(db, session)
    cursors = list(range(1, len(log)))
    if len(cursors) > SAMPLE:
        cursors = sorted(random.Random(1).sample(cursors, SAMPLE))
    from_cursors(log, cursors)
    for schema, kind in (("log", Renderer), ("unified", Unified)):
        whole = texts(log, kind)
        for number, cursor in enumerate([0, *cursors]):
            server = servers[number % len(servers)]
            path = f"/api/v1/sessions/{session}/events?schema={schema}&after_seq={cursor}"
            shown = [text for seq, text in whole if seq > cursor]
            assert server.get(path).body.decode() == f"[{','.join(shown)}]", f"{schema} from {cursor}"
            assert [json.loads(text)["seq"] for text in shown] == [seq for seq, _ in whole if seq > cursor]


def sweep_v1(db: Path, most: int = 12) -> None:
    """What a test leaves behind, as `/api/v1` would show it, from a few cursors each."""
    for session in stored.sessions(db)[:most] if db.exists() else ():
        if not (log := stored.facts(db, session)):
            continue  # deleted, and swept away meanwhile
        from_cursors(log, sorted({1, len(log) // 3, len(log) // 2, len(log) - 1} - {0, len(log)}))


def sweep(house: House, most: int = 12) -> None:
    """Look at what a test leaves behind: the logs of its living servers, from a few cursors each."""
    sweep_v1(house.db, most)
    for server in house.servers:
        if not server.alive or not server.address or "--auth-token" in server.process.args:
            continue
        sessions = [s["id"] for s in server.get("/api/sessions").json]
        for session in sessions[:most]:
            if server.snapshot(session)["streaming"]:
                continue
            for detail in ("", "full"):
                whole = server.log(session, detail=detail)
                assert [f.id for f in whole] == list(range(1, len(whole) + 1))
                for cursor in {1, len(whole) // 3, len(whole) - 1} - {0, len(whole)}:
                    got = server.log(session, cursor, detail=detail)
                    assert [f.raw for f in got] == [f.raw for f in whole[cursor:]], f"from {cursor}"
