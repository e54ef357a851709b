"""Every event that a server sends has a type here, with a field for each of its own."""

import json
from typing import Any

import msgspec
import pytest
from msgspec.inspect import Metadata, StructType, UnionType, type_info

from docs.test_events import examples
from roost.client import happenings as h
from roost.client.errors import Garbled
from roost.core import events as e
from roost.core.ids import LogId, Micros, SessionId
from roost.doors.docker_agent import details, frames
from roost.doors.docker_agent.memory import Memory

TWICE = "agent"  # beside `agent_name`, for clients that look there
FREE = frozenset({"sub_session", "budgets", "schema", "meta", "data", "content", "parameters", "outputSchema"})


def sent(fact: e.Fact) -> list[bytes]:
    """What clients of either kind are sent for a fact, in a session and in a sub-session."""
    found = []
    for render in (frames.render, details.render):
        for sub in ("", "sub"):
            memory = Memory()
            placed = fact if isinstance(fact, e.Unknown) else msgspec.structs.replace(fact, sub=SessionId(sub))
            found.append(render(e.Event(LogId("log"), 7, Micros(0), placed), memory))
    return [data for data in found if data is not None]


FACTS = list(examples())


@pytest.mark.parametrize("fact", FACTS, ids=[f"{n}-{e.kind(fact)}" for n, fact in enumerate(FACTS)])
def test_what_is_sent_of_a_fact_has_a_type_and_nothing_of_it_is_lost(fact: e.Fact) -> None:
    for data in sent(fact):
        found = h.decode(data, 7)
        assert not isinstance(found, h.Other), data
        assert (found.type, found.seq) == (json.loads(data)["type"], 7)
        lost(json.loads(data), type(found))


def lost(value: dict[str, Any], kind: type) -> None:
    """Raise if an object has a key that its type does not."""
    info = type_info(kind)
    assert isinstance(info, StructType)
    known = {one.encode_name: one.type for one in info.fields}
    for key, inside in value.items():
        if (key == "type" and key not in known) or (key == TWICE and key not in known):
            continue
        assert key in known, (kind.__name__, key)
        below = struct(known[key])
        if below is not None and key not in FREE:
            for one in inside if isinstance(inside, list) else [inside]:
                if isinstance(one, dict):
                    lost(one, below)


def struct(info: Any) -> type | None:
    """The struct that a field holds: itself, or in a list."""
    if isinstance(info, Metadata):
        return struct(info.type)
    if isinstance(info, UnionType):
        return next((found for one in info.types if (found := struct(one))), None)
    if isinstance(info, StructType):
        return info.cls
    return struct(info.item_type) if hasattr(info, "item_type") else None


def test_all_types_are_told_apart() -> None:
    tags = [one.__struct_config__.tag for one in h.Known.__args__]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b'"x"', b"{", b"\xff", b"{}x"])
def test_what_is_no_object_is_no_event(data: bytes) -> None:
    with pytest.raises(Garbled):
        h.decode(data)


def test_an_object_without_a_type_is_of_none() -> None:
    assert h.decode(b'{"a": 1}', 3) == h.Other(type="", raw=b'{"a": 1}', seq=3)


def test_a_question_is_answered_by_its_id_in_streams_of_any_age() -> None:
    assert h.ElicitationRequest(elicitation_id="old").request_id == "old"
    assert h.decode(b'{"type":"elicitation_request","elicitation_id":"a","request_id":"b"}').request_id == "b"  # type: ignore[union-attr]


def test_what_waits_has_an_id_to_answer_by() -> None:
    for kind in h.WAITS:
        assert hasattr(kind(), "request_id")
