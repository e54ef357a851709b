"""Every route of `/api`, called by an account that has no business there (D11)."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from msgspec import Struct

from roost.core.ids import LogId
from roost.doors.app import Doors, make_app
from roost.doors.routes import Route
from roost.doors.web.files import files
from roost.service.accounts import OPERATOR
from roost.testing.fakes import FakeTool, answers, call
from roost.testing.house import House, open_house
from roost.wire import tls

pytestmark = pytest.mark.anyio

S = "/api/sessions/:id"
SAID = {"message": {"agentName": "", "message": {"role": "user", "content": "hi"}}}
QUEUED = {"messages": [{"role": "user", "content": "hi"}]}

# What is asked of a session, with a body that would do: somebody else's looks as if it were not there.
SESSIONS: Mapping[str, Any] = {
    f"GET {S}": None,
    f"DELETE {S}": None,
    f"GET {S}/status": None,
    f"GET {S}/snapshot": None,
    f"POST {S}/tools/toggle": {},
    f"POST {S}/thinking/toggle": {},
    f"PATCH {S}/safety-policy": {"safety_policy": "autonomous"},
    f"PATCH {S}/permissions": {"permissions": {"allow": ["*"]}},
    f"PATCH {S}/budget": {"budget": {"max_cost": 100}, "tree_budget": None},
    f"PATCH {S}/title": {"title": "mine now"},
    f"PATCH {S}/tokens": {"input_tokens": 1, "output_tokens": 1},
    f"PATCH {S}/starred": {"starred": True},
    f"POST {S}/fork": {"user_message_index": 0},
    f"POST {S}/messages": SAID,
    f"PATCH {S}/messages/:msg_id": SAID,
    f"POST {S}/summaries": {"summary": "nothing happened"},
    f"GET {S}/recovery": None,
    f"POST {S}/agent/:agent": QUEUED,
    f"POST {S}/agent/:agent/:agent_name": QUEUED,
    f"GET {S}/events": None,
    f"POST {S}/resume": {"confirmation": "approve"},
    f"POST {S}/elicitation": {"action": "accept", "content": {}},
    f"POST {S}/steer": QUEUED,
    f"POST {S}/followup": QUEUED,
    f"GET {S}/queue": None,
    f"DELETE {S}/queue/:seq": None,
    f"POST {S}/cancel": {},
    f"POST {S}/compaction": {"instruction": "forget it all"},
    f"GET {S}/models": None,
}

# The same for waits.
WAITS: Mapping[str, Any] = {"POST /api/waits/:id": {"confirmation": "approve"}}

# What names no session in its path, or in a body that names Ann's: it answers, about the caller's own alone.
LISTS: Mapping[str, Callable[[str], Any]] = {
    "GET /api/sessions": lambda session: None,
    "GET /api/waits": lambda session: None,
    "POST /api/sessions/batch/export": lambda session: {"session_ids": [session]},
    "POST /api/sessions/batch/delete": lambda session: {"session_ids": [session]},
}

# What is the same for everybody: the server, its agent files, its pages; and a session of one's own.
SHARED = {
    "GET /health",
    "GET /ready",
    "GET /api/ping",
    "GET /api/ready",
    "GET /api/live",  # whose frames are looked at in test_live.py
    "GET /api/agents",
    "GET /api/agents/:id",
    "GET /api/agents/:id/:agent_name/tools/count",
    "POST /api/mcp-oauth/callback",
    "POST /api/sessions",
    *(f"{method} {file.path}" for file in files() for method in ("GET", "HEAD")),
    "GET /docs",
    "GET /docs/docs.js",
    "GET /docs/docs.css",
    "GET /openapi.json",
    "GET /api/jobs",
    "POST /api/tickets",
    "GET /web/session",
    "DELETE /web/session",
    "POST /web/pair",
    "POST /web/whose",
    "POST /web/login",
    "POST /web/codes",
    "GET /web/devices",
    "DELETE /web/devices/:id",
    "GET /web/health",
    "GET /web/ca.pem",
    "POST /web/push",
    "DELETE /web/push",
}


class Nothing:
    """A service that is never asked."""

    def __getattr__(self, name: str) -> Any:
        return Nothing()


def routes() -> list[Route]:
    """The routes of the door: one that is new has to find its place above."""
    app = make_app(Nothing(), closing=anyio.Event())
    assert isinstance(app, Doors)
    return [route for route in app.routes if not route.path.startswith("/api/v1")]


class Street(Struct):
    """Ann's session, in a turn that waits for her; and Bob, who is logged in too."""

    house: House
    ann: httpx2.AsyncClient
    bob: httpx2.AsyncClient
    session: str
    wait: str
    queued: str  # the number of what Ann has said meanwhile

    async def state(self) -> Any:
        """All that Bob could have changed."""
        head = await self.house.store.head(LogId(self.session))
        return head, await self.house.store.listing(), await self.house.store.waits()

    async def ask(self, key: str, body: Any, **path: str) -> tuple[int, str]:
        """What Bob is told, with the names that he has given taken out."""
        method, _, place = key.partition(" ")
        for name, value in {"msg_id": "3", "seq": self.queued, "agent": "crew", "agent_name": "root", **path}.items():
            place = "/".join(value if part == f":{name}" else part for part in place.split("/"))
        answer = await self.bob.request(method, place, json=body)
        return answer.status_code, answer.text.replace(path.get("id", "\0"), "…")


@asynccontextmanager
async def logged_in(house: House, name: str, home: Path) -> AsyncIterator[httpx2.AsyncClient]:
    accounts = house.service.accounts
    await accounts.add(OPERATOR, name, "secret", str(home))
    token = (await accounts.login(name, "secret")).token
    async with httpx2.AsyncClient(
        verify=tls.trusted(), base_url=house.url, headers={"authorization": f"Bearer {token}"}
    ) as client:
        yield client


@pytest.fixture
async def street(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Street]:
    script = answers([call("shell")])
    async with (
        open_house(tmp_path, token="t", tools=[FakeTool("shell")], script=script) as house,
        logged_in(house, "ann", tmp_path / "ann") as ann,
        logged_in(house, "bob", tmp_path / "bob") as bob,
    ):
        session = (await ann.post("/api/sessions", json={"title": "Ann's secret"})).json()["id"]
        run = f"/api/sessions/{session}/agent/crew?detach=true"
        async with ann.stream("POST", run, json={"messages": [{"role": "user", "content": "go"}]}) as response:
            assert response.status_code == 200
            await house.until(session, lambda head: head.waits)
        await ann.post(f"/api/sessions/{session}/followup", json=QUEUED)
        head = await house.until(session, lambda head: head.queue)
        yield Street(house, ann, bob, session, head.waits[0].id, str(head.queue[0].seq))


def test_every_route_has_its_place_here() -> None:
    known = [*SESSIONS, *WAITS, *LISTS, *SHARED]
    assert sorted(known) == sorted(f"{route.method} {route.path}" for route in routes())


@pytest.mark.parametrize("key", SESSIONS)
async def test_d11_a_foreign_session_looks_as_if_it_were_not_there(street: Street, key: str) -> None:
    before = await street.state()
    told = await street.ask(key, SESSIONS[key], id=street.session)
    unknown = await street.ask(key, SESSIONS[key], id="c0ffee00-0000-4000-8000-000000000000")
    assert told == unknown
    assert told[0] in (403, 404) or (told[0] == 409 and "not found" in told[1])
    assert await street.state() == before


@pytest.mark.parametrize("key", SESSIONS)
async def test_those_requests_would_have_worked_for_its_owner(street: Street, key: str) -> None:
    """What was refused above was so for the caller alone."""
    method, _, place = key.partition(" ")
    place = place.replace(":id", street.session).replace(":msg_id", "3").replace(":seq", street.queued)
    place = place.replace(":agent_name", "root").replace(":agent", "crew")
    with anyio.move_on_after(10) as late:
        async with street.ann.stream(method, place, json=SESSIONS[key]) as answer:
            text = "" if answer.headers.get("content-type") == "text/event-stream" else await answer.aread()
    assert not late.cancelled_caught
    assert answer.status_code < 300 or (answer.status_code in (400, 409) and b"not found" not in text), text


@pytest.mark.parametrize("key", WAITS)
async def test_d11_nor_do_foreign_waits(street: Street, key: str) -> None:
    before = await street.state()
    told = await street.ask(key, WAITS[key], id=street.wait)
    assert told == await street.ask(key, WAITS[key], id="nobody")
    assert told[0] == 404
    assert await street.state() == before


@pytest.mark.parametrize("key", LISTS)
async def test_d11_lists_hold_the_callers_own_alone(street: Street, key: str) -> None:
    before = await street.state()
    status, text = await street.ask(key, LISTS[key](street.session))
    assert status == 200
    for secret in (street.wait, "Ann's secret", *(() if "delete" in key else (street.session,))):
        assert secret not in text
    assert await street.state() == before


async def test_own_sessions_are_listed_with_their_waits(street: Street) -> None:
    assert [one["id"] for one in (await street.ann.get("/api/sessions")).json()] == [street.session]
    assert [one["id"] for one in (await street.ann.get("/api/waits")).json()] == [street.wait]
    everything = await street.house.client.get("/api/sessions")
    assert [one["id"] for one in everything.json()] == [street.session]


async def test_the_server_token_sees_all(street: Street) -> None:
    shown = await street.house.client.get(f"/api/sessions/{street.session}")
    assert shown.json()["title"] == "Ann's secret"
    waits = await street.house.client.get("/api/waits")
    assert [one["id"] for one in waits.json()] == [street.wait]


async def test_d11_names_of_forks_tell_nothing_of_others(street: Street) -> None:
    await street.house.client.post("/api/sessions", json={"title": "plan (fork 1)"})
    own = (await street.bob.post("/api/sessions", json={"title": "plan"})).json()["id"]
    assert (await street.bob.post(f"/api/sessions/{own}/messages", json=SAID)).status_code == 201
    forked = (await street.bob.post(f"/api/sessions/{own}/fork", json={"user_message_index": 0})).json()
    assert forked["title"] == "plan (fork 1)"
    head = await street.house.store.head(LogId(forked["id"]))
    assert (head.owner, head.working_dir) == ("bob", (await street.house.store.head(LogId(own))).working_dir)


async def test_a_fork_by_the_operator_stays_its_owners(street: Street) -> None:
    own = (await street.bob.post("/api/sessions", json={"title": "plan"})).json()["id"]
    assert (await street.bob.post(f"/api/sessions/{own}/messages", json=SAID)).status_code == 201
    forked = await street.house.client.post(f"/api/sessions/{own}/fork", json={"user_message_index": 0})
    assert (await street.bob.get(f"/api/sessions/{forked.json()['id']}")).status_code == 200


# -- paths --------------------------------------------------------------------------------------


async def test_a_session_works_at_home(street: Street, tmp_path: Path) -> None:
    made = (await street.bob.post("/api/sessions", json={})).json()
    assert made["working_dir"] == str(tmp_path / "bob")
    (tmp_path / "bob" / "work").mkdir()
    made = (await street.bob.post("/api/sessions", json={"working_dir": "work"})).json()
    assert made["working_dir"] == str(tmp_path / "bob" / "work")


@pytest.mark.parametrize("path", ["..", "../ann", "/", "/etc", "nowhere/../../ann", "link"])
async def test_d12_no_session_works_elsewhere(street: Street, tmp_path: Path, path: str) -> None:
    (tmp_path / "bob" / "link").symlink_to(tmp_path / "ann")
    refused = await street.bob.post("/api/sessions", json={"working_dir": path})
    assert refused.status_code == 403
    assert f"Path '{path}' is outside your home directory: {tmp_path}/bob" in refused.json()["message"]
    assert (await street.bob.get("/api/sessions")).json() == []


@pytest.mark.parametrize("route", ["messages", "agent/crew"])
async def test_d12_no_file_is_shown_from_elsewhere(street: Street, tmp_path: Path, route: str) -> None:
    (tmp_path / "ann" / "diary.txt").write_text("dear diary")
    own = (await street.bob.post("/api/sessions", json={})).json()["id"]
    file = {"type": "file", "file": {"path": "../ann/diary.txt", "mime_type": "text/plain"}}
    message = {"role": "user", "content": "read", "multi_content": [file]}
    body = {"message": {"agentName": "", "message": message}} if route == "messages" else {"messages": [message]}
    refused = await street.bob.post(f"/api/sessions/{own}/{route}", json=body)
    assert refused.status_code == 403
    assert "outside your home directory" in refused.json()["message"]
    assert (await street.house.store.head(LogId(own))).messages == 0
