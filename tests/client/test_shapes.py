"""What the server answers has a field here for each of its own, all the way down."""

from typing import Any

import msgspec
import pytest
from msgspec.inspect import StructType, type_info

from client.test_happenings import struct
from roost.client import fleet, shapes
from roost.doors.docker_agent import agents, batch, health, jobs, rows, sessions, snapshots, turns, waits
from roost.doors.zag import shapes as zag

TWICE = frozenset({"agentName", "discovery_source", "result"})  # for older clients

PAIRS: list[tuple[Any, Any]] = [
    (rows.RowShape, shapes.Row),
    (snapshots.ScreenShape, shapes.Snapshot),
    (sessions.ShownShape, shapes.Shown),
    (sessions.StatusShape, shapes.State),
    (sessions.TitleShape, shapes.Titled),
    (waits.OpenWaitShape, shapes.Waiting),
    (turns.Models, shapes.Models),
    (turns.Queues, shapes.Queues),
    (turns.Queued, shapes.Followed),
    (batch.RecoveryShape, shapes.Recovery),
    (batch.Exported, shapes.Exported),
    (batch.Deleted, shapes.Removed),
    (agents.Count, shapes.Count),
    (jobs.JobShape, shapes.Job),
    (health.Ready, shapes.Ready),
    (zag.User, fleet.User),
    (zag.LoggedIn, fleet.Login),
    (zag.SessionEntry, fleet.Session),
    (zag.Spawned, fleet.Spawned),
    (zag.Status, fleet.Status),
    (zag.Output, fleet.Output),
    (zag.Collected, fleet.Collected),
    (zag.Waited, fleet.WaitResult),
    (zag.ProcessEntry, fleet.Process),
]


@pytest.mark.parametrize(
    ("sent", "read"), PAIRS, ids=lambda kind: f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"
)
def test_nothing_that_is_sent_is_lost(sent: type[msgspec.Struct], read: type[msgspec.Struct]) -> None:
    lost(sent, read, set())


def lost(sent: type, read: type, seen: set[tuple[type, type]]) -> None:
    """Raise if a type has a field that the other lacks."""
    if (sent, read) in seen:
        return
    seen.add((sent, read))
    ours, theirs = type_info(read), type_info(sent)
    assert isinstance(ours, StructType)
    assert isinstance(theirs, StructType)
    known = {one.encode_name: one.type for one in ours.fields}
    for one in theirs.fields:
        if one.encode_name in TWICE:
            continue
        assert one.encode_name in known, (read.__name__, one.encode_name)
        inside, below = struct(one.type), struct(known[one.encode_name])
        if inside is not None and below is not None:
            lost(inside, below, seen)


@pytest.mark.parametrize("kind", [shapes.Made, shapes.Shown, shapes.Snapshot, shapes.Recovery])
def test_where_there_are_no_messages_there_is_an_empty_list_of_them(kind: Any) -> None:
    for text in ('{"id":"s","messages":null}', '{"id":"s","messages":[]}', '{"id":"s"}'):
        assert msgspec.json.decode(text, type=kind).messages == ()
