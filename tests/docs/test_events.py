"""The page of events has a row for each that the door sends: where it comes from, and what it holds."""

import json
import re
from collections.abc import Iterator

from msgspec.structs import replace

from docs.pages import ROOT
from roost.core import events as e
from roost.core.errors import StoreFull
from roost.core.ids import LogId, Micros, WaitId
from roost.core.messages import Text
from roost.doors.docker_agent import details
from roost.doors.docker_agent.events import SILENT, TABLE, WAITS, Here
from roost.doors.docker_agent.frames import GAP, NAMELESS, broken, render, stream_end
from roost.doors.docker_agent.memory import Memory

WHOLE = (ROOT / "docs/events.md").read_text()
BEFORE, _, REST = WHOLE.partition("## With all details")
DETAILED, _, AFTER = REST.partition("## What is no fact")
PAGE = f"{BEFORE}## What is no fact{AFTER}"
COMMON = {"type", "timestamp", "agent_name", "agent"}
PLACE = {"parent_session_id", "root_session_id"}  # what events of sub-sessions have besides
FACTS = [e.decode(line) for line in (ROOT / "tests/fixtures/facts-0.1.jsonl").read_bytes().splitlines()]
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*?) \| .+ \|$", re.MULTILINE)

BREACH = {"budget": "tree", "limit": "cost", "used": "1.02", "max": "1", "config_path": "session.tree_budget"}

Row = tuple[str, str, frozenset[str]]  # event, fact, its own fields


def examples() -> Iterator[e.Fact]:
    """Every fact with all its fields; waits of every kind."""
    for fact in FACTS:
        match fact:
            case e.WaitOpened():
                for kind in WAITS:
                    yield replace(fact, kind=kind, metadata=BREACH if kind == "budget" else fact.metadata)
            case e.IndexingShown():
                for stage in ("started", "progress", "completed"):
                    yield replace(fact, stage=stage)
            case e.UsageAdded():
                yield replace(fact, why="answer")
            case e.MessageTaken():
                yield replace(fact, message=replace(fact.message, parts=(Text("x"),)))
            case _:
                yield fact


def sent() -> Iterator[Row]:
    """A row for every fact that is shown, from the examples of all facts with all their fields."""
    for fact in examples():
        data = render(e.Event(LogId("log"), 1, Micros(0), fact), Memory())
        if data is not None:
            shown = json.loads(data)
            kind = f" ({fact.kind})" if isinstance(fact, e.WaitOpened) else ""
            kind = f" ({fact.stage})" if isinstance(fact, e.IndexingShown) else kind
            yield shown["type"], e.kind(fact) + kind, frozenset(shown) - COMMON - (PLACE if fact.sub else set())
    for kind in WAITS.keys() - {"question"}:
        yield from let_out(kind)


def let_out(kind: e.Kind) -> Iterator[Row]:
    """A row for each fact that lets out a prompt of a kind which has waited behind another."""
    (asked,) = [fact for fact in FACTS if isinstance(fact, e.WaitOpened)]
    second = replace(asked, wait=WaitId("w-2"), kind=kind, metadata=BREACH if kind == "budget" else asked.metadata)
    for over in [fact for fact in FACTS if isinstance(fact, e.WaitAnswered | e.WaitVoided)]:
        memory, data = Memory(), None
        for seq, fact in enumerate((replace(asked, kind="approval"), second, over), 1):
            data = render(e.Event(LogId("log"), seq, Micros(0), fact), memory)
        shown = json.loads(data or b"")
        yield shown["type"], e.kind(over), frozenset(shown) - COMMON


def detailed() -> Iterator[Row]:
    """A row for every fact that only `detail=full` shows, or shows otherwise."""
    vain = [replace(fact, why="title") for fact in FACTS if isinstance(fact, e.UsageAdded)]
    for fact in (*FACTS, *vain):
        if type(fact) in details.DETAILS or fact in vain:
            shown = json.loads(details.render(e.Event(LogId("log"), 1, Micros(0), fact), Memory()) or b"")
            place = PLACE if getattr(fact, "sub", "") and not isinstance(fact, e.SubSessionEnded) else set()
            yield shown["type"], e.kind(fact), frozenset(shown) - COMMON - {"session_id"} - place


def stated(page: str = PAGE) -> Iterator[Row]:
    for event, facts, fields in ROW.findall(page):
        for fact in re.findall(r"`(\w+)`((?: \(\w+\))?)", facts):
            yield event, "".join(fact), frozenset(re.findall(r"`(\w+)`", fields))


def merged(rows: Iterator[Row]) -> dict[tuple[str, str], frozenset[str]]:
    """Rows by event and fact; several examples of one have their fields together."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for event, fact, fields in rows:
        found[event, fact] = found.get((event, fact), frozenset()) | fields
    return found


def test_every_event_has_its_row_with_its_fields() -> None:
    assert merged(stated()) == merged(sent())


def test_every_event_with_all_details_has_its_row_with_its_fields() -> None:
    assert merged(stated(DETAILED)) == merged(detailed())
    assert {fact for _, fact in merged(detailed())} >= {kind.__name__ for kind in details.DETAILS}


def test_what_events_have_besides_is_said() -> None:
    told = DETAILED.partition("| event | besides |")[2].partition("\n\n")[0]
    for fact in FACTS:
        if (make := details.MORE.get(type(fact))) is not None:
            memory = Memory()
            memory.said["log"] = memory.said["sub"] = 7
            besides = make(fact, Here(getattr(fact, "sub", "") or "log", Micros(0), 1, memory))
            event, _ = details.row(fact) or ("", None)
            rows = [line for line in told.splitlines() if f"`{event}`" in line or isinstance(fact, e.WaitOpened)]
            assert all(any(f"`{name}`" in row for row in rows) for name in besides), event


def test_facts_that_nobody_is_shown_are_named() -> None:
    [listed] = re.findall(r"Shown to nobody, .*?: (.*?)\.\n", DETAILED, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", listed)) == {kind.__name__ for kind in details.SILENT - {e.Unknown}}


def test_the_examples_reach_the_whole_table() -> None:
    """So that no event can be missing from the page for want of an example."""
    reached = {event for event, _ in merged(sent())}
    table = {event for event, _ in [*TABLE.values(), *WAITS.values()] if event}
    table.remove("rag_indexing")  # it has three names
    assert table | {"session_exited"} <= reached
    assert {event for event in reached if event.startswith("rag_indexing_")} >= {"rag_indexing_progress"}


def test_events_of_sub_sessions_say_where_they_hang() -> None:
    told = PAGE.partition("Of a [sub-session]")[2].partition("##")[0]
    assert all(f"`{name}`" in told for name in PLACE)
    subs = [replace(fact, sub="sub") for fact in FACTS if isinstance(fact, e.TextAdded | e.AgentShown)]
    for fact in subs:
        shown = json.loads(render(e.Event(LogId("log"), 1, Micros(0), fact), Memory()) or b"")
        assert shown["session_id"] == "sub"
        assert shown.keys() >= PLACE


def test_facts_that_are_not_shown_are_named() -> None:
    [listed] = re.findall(r"Not shown: (.*?)\.\n", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", listed)) == {kind.__name__ for kind in SILENT - {e.Unknown}} | {"ModelAsked"}


def test_events_that_are_no_facts_are_named() -> None:
    data = [line for raw in (GAP, stream_end("s")) for line in raw.splitlines() if line.startswith(b"data: ")]
    for line in data:
        assert f"`{json.loads(line[6:])['type']}`" in PAGE.partition("## What is no fact")[2]
    assert b'"code"' in broken("s", StoreFull("no room"), Micros(0))


def test_events_without_an_agent_are_named() -> None:
    [listed] = re.findall(r"never\s+name\s+an\s+agent: (.*?)\.\n", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", listed)) == set(NAMELESS)
