"""An event as the data of its frame, and the frames of a stream that are no events."""

from collections.abc import Callable, Mapping
from typing import Any

from roost.core import events as e
from roost.core.errors import RoostError
from roost.core.ids import LogId, Micros
from roost.doors.docker_agent.events import SILENT, TABLE, WAITS, Body, Here
from roost.doors.docker_agent.memory import Memory
from roost.doors.docker_agent.shapes import Wire
from roost.wire.json import encode, encode_ordered, encode_raw, escaped, moment
from roost.wire.sse import frame

NAMELESS = frozenset({"error", "session_title", "max_iterations_reached", "user_message", "budget_exceeded"})
"""Events that never name an agent."""


def render(event: e.Event, memory: Memory) -> bytes | None:
    """The data of an event's frame; None for a fact that clients are shown nothing of.

    The event, and what `memory` has of earlier ones, are all that counts.
    """
    fact = event.fact
    if isinstance(fact, e.SessionExited):
        return left(fact)
    if isinstance(fact, e.SessionCreated):
        memory.born(fact, event.log)
    unseen = memory.prompts.hides(fact)
    prompt = memory.prompts.take(fact)
    if prompt is not None:
        return framed(event, prompt, *WAITS[prompt.kind], memory)
    if unseen or isinstance(fact, e.Unknown) or type(fact) in SILENT or isinstance(fact, e.WaitAnswered):
        return None
    if not isinstance(fact, e.WaitOpened):
        return framed(event, fact, *TABLE[type(fact)], memory)
    return framed(event, fact, *WAITS["question"], memory) if fact.kind == "question" else None


def left(fact: e.SessionExited) -> bytes:
    """The last event of a log."""
    return encode_ordered({"type": "session_exited"} | ({"reason": fact.reason} if fact.reason else {}))


def framed(
    event: e.Event,
    fact: e.Known,
    kind: str,
    make: Callable[[Any, Here], Body],
    memory: Memory,
    *,
    more: Callable[[Any, Here], Mapping[str, Any]] | None = None,
    nameless: frozenset[str] = NAMELESS,
) -> bytes | None:
    """A frame at an event's time: of its fact, or of the prompt that the fact lets out.

    What `more` makes of it stands behind its own fields; events that are `nameless` name no agent.
    """
    if isinstance(fact, e.IndexingShown):
        kind = f"{kind}_{fact.stage}"
    here = Here(fact.sub or event.log, event.at, event.seq, memory)
    body = make(fact, here)
    if body is None:
        return None
    agent = fact.current if isinstance(fact, e.TeamShown) else getattr(fact, "agent", "")
    place: Mapping[str, Any] = _place(fact, event.log, memory)
    if more is not None:
        place = {**more(fact, here), **place}
    return event_data(kind, event.at, body, "" if kind in nameless else agent, place)


def _place(fact: e.Known, log: LogId, memory: Memory) -> Mapping[str, str]:
    """Which session of a tree it is about, where that is a sub-session."""
    if not fact.sub:
        return {}
    parent = memory.parents.get(fact.sub) or log
    place = {"session_id": fact.sub, "parent_session_id": parent, "root_session_id": memory.root or log}
    if isinstance(fact, e.SubSessionEnded):  # that is about a session below it, whose parent it is
        del place["session_id"]
    return place


def event_data(
    kind: str, at: Micros, body: Wire | dict[str, Any], agent: str = "", place: Mapping[str, Any] = {}
) -> bytes:
    """`agent_name?`, `timestamp`, `type`, the event's own fields, what of `place` is not among them, and `agent` once
    more for clients that look there.
    """
    text = b'"timestamp":"%b","type":"%b"' % (moment(at).encode(), kind.encode())
    if isinstance(body, dict):
        for key, value in body.items():
            text += b',"%b":%b' % (key.encode(), encode_raw(value))
    else:
        text += b"," + encode_raw(body)[1:-1]
    own = body if isinstance(body, dict) else body.__struct_fields__
    for key, value in place.items():
        if key not in own:
            text += b',"%b":%b' % (key.encode(), encode_raw(value))
    if agent:
        name = encode_raw(agent)
        text = b'"agent_name":%b,%b,"agent":%b' % (name, text, name)
    return escaped(b"{%b}" % text)


# -- what is no fact ----------------------------------------------------------------------------

GAP = frame(encode({"type": "gap"}))


def stream_end(session: str) -> bytes:
    """The frame that the oldest clients wait for."""
    return frame(encode_ordered({"type": "stream_end", "session_id": session}))


def broken(session: str, error: RoostError, at: Micros) -> bytes:
    """The last words of a stream whose log can't be written: no facts, and without numbers."""
    failed = event_data("error", at, {"session_id": session, "error": error.message, "code": error.code})
    stopped = event_data("stream_stopped", at, {"session_id": session, "reason": "error"})
    return frame(failed) + frame(stopped)
