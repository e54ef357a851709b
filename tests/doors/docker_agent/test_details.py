"""All details: every fact has an event or is known to be silent, and what waits is shown as it waits."""

from collections.abc import Sequence
from typing import Any, get_args

import msgspec
import pytest

from roost.core import events as e
from roost.core.ids import AnswerId, CallId, LogId, Micros, RunId, ServerId, SessionId, TurnId, WaitId
from roost.core.messages import Definition, Message, ToolCall
from roost.core.usage import Usage
from roost.doors.docker_agent import details, events
from roost.doors.docker_agent.renderer import Detailed, Renderer
from roost.service.archive import Archive
from roost.service.desk import Desk
from roost.stores.memory import Memory as Store
from roost.testing.house import House

pytestmark = pytest.mark.anyio

LOG, SUB, TURN = LogId("S"), SessionId("inner"), TurnId("t")
CALL, OTHER = ToolCall(CallId("c1"), "shell", "{}"), ToolCall(CallId("c2"), "shell", "{}")
BORN = e.SessionCreated(e.Template(title="x"))


class Shelf:
    """Some facts, stored."""

    def __init__(self, facts: Sequence[e.Fact]) -> None:
        self.store = Store(lambda: Micros(10**15), ServerId("a"), lambda *_: None)
        self.facts = facts

    async def shown(self, kind: type[Detailed] | type[Renderer] = Detailed, after: int = 0) -> list[Any]:
        """The data of each fact's frame."""
        await self.store.put(LOG, self.facts)
        self.facts = ()
        archive = Archive(Desk(_Makers(self.store), *[None] * 4))  # type: ignore[arg-type]
        renderer = kind(archive, LOG)
        found = [await renderer.render(event) for event in await self.store.page(LOG, after=after, limit=999)]
        return [None if data is None else msgspec.json.decode(data) for data in found]


class _Makers:
    def __init__(self, store: Store) -> None:
        self.store = store


def test_every_fact_has_an_event_or_is_known_to_be_silent() -> None:
    for fact in (*get_args(e.Known), e.Unknown):
        shown = fact in details.DETAILS or fact in events.TABLE or fact in (e.WaitOpened, e.SessionExited)
        assert shown != (fact in details.SILENT), fact


def test_what_others_are_not_shown_is_shown_here() -> None:
    """All that is an id alone elsewhere, but for what nobody is shown."""
    assert set(details.DETAILS) >= events.SILENT - details.SILENT


def test_every_event_has_a_name_of_its_own() -> None:
    names = [kind for kind, _ in (*details.DETAILS.values(), details.VAIN)]
    assert len(set(names)) == len(names)
    assert not set(names) & {kind for kind, _ in (*events.TABLE.values(), *events.WAITS.values())} - {
        "sub_session_completed"
    }


async def test_what_waits_comes_as_it_waits_and_how_it_ends_is_said() -> None:
    waits = [e.WaitOpened(WaitId(f"w{n}"), "approval", "root", call=call) for n, call in enumerate((CALL, OTHER))]
    answer = e.Answer("approve", "approve-tool", "", "shell")
    ends = [e.WaitAnswered(WaitId("w1"), answer, "ann"), e.WaitVoided(WaitId("w0"), e.TURN_ENDED)]
    shelf = Shelf([BORN, e.TurnOpened(TURN, "crew", "root", "/"), *waits, *ends])
    _, opened, first, second, answered, voided = await shelf.shown()
    assert (opened["type"], opened["turn_id"], opened["agent_name"]) == ("turn_opened", "t", "root")
    assert [first["request_id"], second["request_id"]] == ["w0", "w1"]
    assert {first["type"], second["type"]} == {"tool_call_confirmation"}
    assert {key: answered[key] for key in ("type", "request_id", "action", "confirmation", "tool_name", "by")} == {
        "type": "wait_answered",
        "request_id": "w1",
        "action": "approve",
        "confirmation": "approve-tool",
        "tool_name": "shell",
        "by": "ann",
    }
    assert (voided["type"], voided["request_id"], voided["why"]) == ("wait_voided", "w0", e.TURN_ENDED)
    old = await shelf.shown(Renderer)
    assert [data and data["type"] for data in old] == [None, None, "tool_call_confirmation", None, None, None]


@pytest.mark.parametrize("kind", get_args(e.Kind))
async def test_all_that_waits_names_its_session_its_agent_and_its_id(kind: e.Kind) -> None:
    wait = e.WaitOpened(WaitId("w"), kind, "root", call=CALL, metadata={"used": "1", "max": "1"})
    shown = (await Shelf([BORN, wait]).shown())[1]
    assert (shown["request_id"], shown["session_id"], shown["agent_name"]) == ("w", "S", "root")


async def test_a_message_is_known_by_the_id_that_snapshots_have() -> None:
    facts: list[e.Fact] = [
        BORN,
        e.MessageWritten(Message("user", "one")),
        e.MessageWritten(Message("user", "two")),  # 3
        e.MessageWritten(Message("user", "inner"), sub=SUB),
        e.UserSaid("two", 1),
        e.MessageQueued("steer", (Message("user", "three"),)),
        e.MessageTaken(6, 0, Message("user", "three"), 2),
        e.MessageAdded(Message("assistant", "four"), answer=AnswerId("a")),
        e.MessageAdded(call=CALL.id),
        e.MessageAdded(Message("assistant", "five")),
        e.MessageWritten(Message("user", "six", implicit=True)),
        e.MessageAdded(Message("assistant", "", calls=(CALL,)), answer=AnswerId("b")),
    ]
    shelf = Shelf(facts)
    shown = await shelf.shown()
    assert "message" not in shown[7]
    (call,) = shown[11]["tool_calls"]
    assert (call["id"], call["function"]["name"]) == (CALL.id, CALL.name)
    assert shown[9]["message"]["content"] == "five"
    assert ("implicit" in shown[1], shown[10]["implicit"]) == (False, True)
    assert (shown[1]["type"], shown[1]["id"], shown[1]["message"]["content"]) == ("message_written", 2, "one")
    assert (shown[4]["type"], shown[4]["id"]) == ("user_message", 3)
    assert (shown[5]["id"], shown[5]["queue"]) == (6, "steer")
    assert shown[5]["messages"] == [{"content": "three", "role": "user"}]
    assert [shown[6][key] for key in ("type", "id", "queued", "index", "queue")] == ["user_message", 7, 6, 0, "steer"]
    assert (shown[7]["id"], shown[7]["answer"]) == (8, "a")
    assert (shown[8]["id"], shown[8]["tool_call_id"]) == (9, "c1")
    assert await shelf.shown(after=4) == shown[4:]


async def test_sub_sessions_can_be_drawn_as_a_tree() -> None:
    inner = e.SessionCreated(e.Template(title="task"), SessionId(LOG), sub=SUB, call=CALL.id)
    text = e.TextAdded(AnswerId("a"), "hi", "coder", sub=SUB)
    shelf = Shelf([BORN, inner, text, e.SubSessionEnded(SUB, "root")])
    root, created, said, ended = await shelf.shown()
    assert (root["type"], root["session_id"], root["root_session_id"]) == ("session_created", "S", "S")
    place = {"session_id": "inner", "parent_session_id": "S", "root_session_id": "S"}
    assert {key: created[key] for key in (*place, "tool_call_id", "title")} == {
        **place,
        "tool_call_id": "c1",
        "title": "task",
    }
    assert {key: said[key] for key in place} == place
    assert (ended["sub_session"], ended["parent_session_id"]) == ({"id": "inner"}, "S")
    for after in (1, 2, 3):
        assert await shelf.shown(after=after) == [root, created, said, ended][after:]


async def test_definitions_come_without_schemas_also_where_they_are_looked_up() -> None:
    known = Definition("shell", "system", "Runs it", {"type": "object"})
    drafted = e.CallDrafted(AnswerId("a"), CALL.id, "shell", "{}", "root", "d1")
    called = e.ToolCalled(CALL, "safe", "root", 2, "d1", "readonly_hint")
    shelf = Shelf([BORN, e.ToolsShown("root", 1, definitions={"d1": known}), drafted, called])
    shown = await shelf.shown()
    for data in shown[2:]:
        assert data["tool_definition"]["parameters"] is None
        assert data["tool_definition"]["description"] == "Runs it"
    assert (shown[2]["answer"], shown[3]["attempt"], shown[3]["leave"]) == ("a", 2, "readonly_hint")
    assert await shelf.shown(after=2) == shown[2:]
    assert (await shelf.shown(Renderer))[3]["tool_definition"]["parameters"] == {"type": "object"}


async def test_what_a_title_costs_is_told_and_leaves_the_context_alone() -> None:
    used = e.UsageAdded(Usage(5, 1), "m", "root", 0.5, 1.5, 5, 1, why="title")
    shown = (await Shelf([BORN, used]).shown())[1]
    assert (shown["type"], shown["why"], shown["cost"], shown["total_cost"]) == ("cost_added", "title", 0.5, 1.5)


async def test_runs_of_clis_are_shown() -> None:
    run = e.RunStarted(RunId("r"), 7, 1, "b", "claude", model="opus", prompt="hi")
    ended = [e.RunEnded(RunId("r"), None, 9, True), e.RunEnded(RunId("r"), 0)]
    shown = await Shelf([BORN, run, e.StderrAdded("oh"), *ended, e.UserNoted("warn", "x", False)]).shown()
    assert (shown[1]["provider"], shown[1]["pid"], shown[1]["model"]) == ("claude", 7, "opus")
    assert shown[2]["text"] == "oh"
    assert [(data["exit_code"], data.get("signal"), data.get("killed")) for data in shown[3:5]] == [
        (None, 9, True),
        (0, None, None),
    ]
    assert (shown[5]["type"], shown[5]["level"], shown[5]["data"]) == ("note", "warn", False)


# -- over HTTP ------------------------------------------------------------------------------------


async def test_both_sizes_have_the_same_ids_and_one_is_as_it_was(house: House) -> None:
    session = await house.session()
    await house.run(session, "hi")
    last = (await house.store.head(LogId(session))).last_seq
    for params in ({}, {"detail": "full"}, {"since": "3", "detail": "full"}):
        async with house.events(session, params=params) as frames:
            while frames.cursor != str(last):
                await frames.more()
            ids = [int(line[4:]) for line in frames.raw.split(b"\n") if line.startswith(b"id: ")]
            assert ids == list(range(int(params.get("since", 0)) + 1, last + 1))


@pytest.mark.parametrize("path", ["", "/{id}/events", "/{id}/snapshot"])
async def test_a_detail_that_does_not_exist_is_refused(house: House, path: str) -> None:
    session = await house.session()
    answer = await house.client.get(f"/api/sessions{path.format(id=session)}", params={"detail": "fuller"})
    assert answer.status_code == 400
    assert "fuller" in answer.json()["message"]


async def test_a_screen_is_bounded(house: House) -> None:
    session = await house.session()
    url = f"/api/sessions/{session}/snapshot"
    for params in ({"last": "1001"}, {"last": "-1"}, {"last": "x"}, {"before": "x"}):
        assert (await house.client.get(url, params={"detail": "full", **params})).status_code == 400
    assert (await house.client.get(url, params={"last": "x"})).status_code == 200  # it means nothing to others
    assert (await house.client.get("/api/sessions/nobody/snapshot", params={"detail": "full"})).status_code == 404


async def test_a_screen_shows_a_session_as_it_is(house: House) -> None:
    session = await house.session(title="t")
    await house.run(session, "hi")
    shown = (await house.client.get(f"/api/sessions/{session}/snapshot", params={"detail": "full"})).json()
    plain = (await house.client.get(f"/api/sessions/{session}/snapshot")).json()
    same = plain.keys() & shown.keys() - {"messages"}
    assert {key: shown[key] for key in same} == {key: plain[key] for key in same}
    assert [m["id"] for m in shown["messages"]] == [m["id"] for m in plain["messages"]]
    assert [m.get("ordinal") for m in shown["messages"]] == [0, None]
    assert (shown["state"], shown["more"], shown["waits"], shown["queue"]) == ("idle", False, [], [])
    assert shown["tail_from"] == shown["last_event_seq"]
    assert [mate["name"] for mate in shown["team"]] == ["root"]
    (row,) = (await house.client.get("/api/sessions", params={"detail": "full"})).json()
    (listed,) = (await house.client.get("/api/sessions")).json()
    assert {key: row[key] for key in listed} == listed
    assert (row["state"], row["agent"], row["turns"], row["waits"], row["root_id"]) == ("idle", "root", 1, 0, session)
    assert row["model"] == shown["model"] != ""
