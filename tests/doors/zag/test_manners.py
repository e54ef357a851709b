"""The manners of `/api/v1`: tokens, bodies, errors, paths and CORS, over a small table of routes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from msgspec import Struct

from roost.core.errors import QueueFull, SessionNotFound
from roost.core.principals import Principal
from roost.doors.auth import Gate, Key
from roost.doors.door import Door, beneath
from roost.doors.routes import Answer, Call, Router, asks, tells
from roost.doors.zag.manners import MAX_BODY, Manners, said
from roost.testing.house import open_house
from roost.wire import tls

pytestmark = pytest.mark.anyio

TOKEN = {"Authorization": "Bearer t"}


class Prompt(Struct):
    prompt: str
    tags: list[str] = []


async def echo(call: Call, body: Prompt) -> Answer:
    return said(body, 201)


async def looked(call: Call) -> Answer:
    return said({"b": call.path.get("id"), "a": [call.natural("last"), call.flag("global")]})


async def fails(call: Call) -> Answer:
    match call.path["how"]:
        case "missing":
            raise SessionNotFound("x")
        case "full":
            raise QueueFull("followup")
    raise ValueError("secret")


ROUTES = [
    tells("POST", "/api/v1/spawn", Prompt, echo, "Echo"),
    tells("POST", "/api/v1/:id/cancel", dict[str, Any], lambda call, body: looked(call), "No body", optional=True),
    asks("GET", "/api/v1/s/:id", looked, "Look"),
    asks("GET", "/api/v1/fails/:how", fails, "Fail"),
    asks("GET", "/api/v1/health", looked, "Open", open=True),
]


def door(lookup: Any = None, manners: Manners | None = None, bound: str = "") -> Door:
    gate = Gate(lookup or Key("t"), MAX_BODY, bound)
    return Door(Router(ROUTES), gate, manners or Manners(), anyio.Event())


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        verify=tls.trusted(), transport=httpx2.ASGITransport(door()), base_url="http://x", headers=TOKEN
    ) as found:
        yield found


@pytest.mark.parametrize("given", ["Bearer t", "bearer t", "BEARER   t ", " Bearer t"])
async def test_the_scheme_may_be_written_as_one_likes(client: httpx2.AsyncClient, given: str) -> None:
    assert (await client.get("/api/v1/s/x", headers={"authorization": given})).status_code == 200


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (None, "Missing or invalid Authorization header"),
        ("", "Missing or invalid Authorization header"),
        ("Bearer", "Missing or invalid Authorization header"),
        ("Bearer ", "Missing or invalid Authorization header"),
        ("Basic t", "Missing or invalid Authorization header"),
        ("Bearer u", "Invalid token"),
        ("Bearer t t", "Invalid token"),
        (b"Bearer \xe9", "Invalid token"),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/s/x", "/api/v1/nowhere", "/api/v1", "//api/v1//s/x"])
async def test_d15_whoever_has_no_token_learns_nothing(
    client: httpx2.AsyncClient, given: Any, error: str, path: str
) -> None:
    del client.headers["authorization"]
    answer = await client.get(path, headers={} if given is None else {"authorization": given})
    assert (answer.status_code, answer.json()) == (401, {"error": error})
    assert answer.headers["content-type"] == "application/json"


async def test_what_is_open_asks_for_nothing(client: httpx2.AsyncClient) -> None:
    del client.headers["authorization"]
    assert (await client.get("/api/v1/health")).status_code == 200
    assert (await client.get("/api/v1/health", headers={"authorization": "Bearer wrong"})).status_code == 200


@pytest.mark.parametrize(
    ("kind", "body", "status", "begins"),
    [
        ("application/json", b'{"prompt":"hi","more":1}', 201, ""),
        ("application/json; charset=utf-8", b'{"prompt":"hi"}', 201, ""),
        ("application/merge-patch+json", b'{"prompt":"hi","tags":null}', 201, ""),
        ("text/plain", b'{"prompt":"hi"}', 415, "Expected request with "),
        (None, b'{"prompt":"hi"}', 415, "Expected request with "),
        (None, b"", 415, "Expected request with "),
        ("application/json", b"", 400, "Failed to parse the request body as JSON: "),
        ("application/json", b"{", 400, "Failed to parse the request body as JSON: "),
        ("application/json", b'{"prompt":"hi"} more', 400, "Failed to parse the request body as JSON: "),
        ("application/json", b'{"prompt":"\xff"}', 400, "Failed to parse the request body as JSON: "),
        ("application/json", b"{}", 422, "Failed to deserialize the JSON body into the target type: "),
        ("application/json", b'{"prompt":1}', 422, "Failed to deserialize the JSON body into the target type: "),
        ("application/json", b"[]", 422, "Failed to deserialize the JSON body into the target type: "),
    ],
)
async def test_bodies(client: httpx2.AsyncClient, kind: str | None, body: bytes, status: int, begins: str) -> None:
    answer = await client.post("/api/v1/spawn", content=body, headers={"content-type": kind} if kind else {})
    assert answer.status_code == status, answer.text
    if status == 201:
        assert answer.content == b'{"prompt":"hi","tags":[]}'
    else:
        assert answer.json()["error"].startswith(begins)


async def test_a_body_that_may_be_absent(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/api/v1/x/cancel")).status_code == 200
    assert (await client.post("/api/v1/x/cancel", content=b"{}")).status_code == 415
    assert (await client.post("/api/v1/x/cancel", json={})).status_code == 200


async def test_a_body_over_two_mebibytes_is_413(client: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 1_048_576

    json = {"content-type": "application/json"}
    for content in (b" " * (MAX_BODY + 1), chunks()):
        answer = await client.post("/api/v1/spawn", content=content, headers=json)
        assert (answer.status_code, list(answer.json())) == (413, ["error"])
    fits = b'{"prompt":"hi"}'.rjust(MAX_BODY)
    assert (await client.post("/api/v1/spawn", content=fits, headers=json)).status_code == 201


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [None, None]),
        ("last=0&global=true&more=1", [0, True]),
        ("last=18446744073709551615&global=false", [18446744073709551615, False]),
        ("last=x", None),
        ("last=-1", None),
        ("last=", None),
        ("last=18446744073709551616", None),
        ("global=yes", None),
        ("global=", None),
    ],
)
async def test_queries(client: httpx2.AsyncClient, query: str, found: Any) -> None:
    answer = await client.get(f"/api/v1/s/x?{query}")
    if found is None:
        assert (answer.status_code, list(answer.json())) == (400, ["error"])
    else:
        assert answer.json()["a"] == found


@pytest.mark.parametrize("path", ["//api/v1/s/x", "/api//v1///s/x", "/api/v1/s/x/", "/api/v1/s/x"])
async def test_doubled_slashes_and_one_at_the_end_do_not_count(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(f"http://x{path}")
    assert (answer.status_code, answer.content) == (200, b'{"b":"x","a":[null,null]}')


async def test_paths(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/api/v1/s/a%2Fb")).json()["b"] == "a/b"
    assert (await client.get("/api/v1/s/%ff")).status_code == 400
    answer = await client.get("/api/v1/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})
    answer = await client.delete("/api/v1/s/x")
    assert (answer.status_code, answer.json()) == (405, {"error": "Method Not Allowed"})
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_head_is_answered_where_get_is(client: httpx2.AsyncClient) -> None:
    answer = await client.head("/api/v1/s/x")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "25"
    assert (await client.head("/api/v1/spawn")).status_code == 405


@pytest.mark.parametrize(
    ("how", "status", "error"),
    [
        ("missing", 404, "Session not found: x"),
        ("full", 429, "followup queue full"),
        ("bug", 500, "internal server error"),
    ],
)
async def test_errors(client: httpx2.AsyncClient, how: str, status: int, error: str) -> None:
    answer = await client.get(f"/api/v1/fails/{how}")
    assert (answer.status_code, answer.json()) == (status, {"error": error})


@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/s/x", "/api/v1/nowhere", "/api/v1/fails/bug"])
async def test_d25_every_answer_may_be_read_by_any_page(client: httpx2.AsyncClient, path: str) -> None:
    del client.headers["authorization"]
    for headers in ({}, TOKEN):
        answer = await client.get(path, headers={**headers, "origin": "https://app.example", "host": "elsewhere"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["vary"] == "origin, access-control-request-method, access-control-request-headers"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/spawn", "/api/v1/nowhere", "/api/v1"])
async def test_d25_options_is_always_answered_and_names_the_token(client: httpx2.AsyncClient, path: str) -> None:
    del client.headers["authorization"]
    answer = await client.options(path, headers={"origin": "https://app.example"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "*"
    assert answer.headers["access-control-allow-headers"] == "authorization, content-type"


async def test_d25_the_origins_can_be_listed() -> None:
    app = door(manners=Manners(["https://app.example"]))
    async with httpx2.AsyncClient(
        verify=tls.trusted(), transport=httpx2.ASGITransport(app), base_url="http://x", headers=TOKEN
    ) as client:
        known = await client.get("/api/v1/s/x", headers={"origin": "https://app.example"})
        other = await client.get("/api/v1/s/x", headers={"origin": "https://evil.example"})
    assert known.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in other.headers


async def test_who_a_token_belongs_to_is_asked_at_every_request() -> None:
    class Accounts(Key):
        known = {"a": Principal("ann", kind="account")}

        required = True

        async def principal(self, token: str) -> Principal | None:
            return self.known.get(token)

    async def who(call: Call) -> Answer:
        return said([call.principal.name, bool(call.principal.client), call.address])

    lookup = Accounts("t")
    app = Door(Router([asks("GET", "/api/v1/who", who, "Who")]), Gate(lookup), Manners(), anyio.Event())
    bearer = {"authorization": "Bearer a"}
    async with httpx2.AsyncClient(
        verify=tls.trusted(), transport=httpx2.ASGITransport(app), base_url="http://x", headers=bearer
    ) as client:
        assert (await client.get("/api/v1/who")).json() == ["ann", True, "127.0.0.1"]
        lookup.known.clear()
        assert (await client.get("/api/v1/who")).status_code == 401


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/api/v1", True),
        ("/api/v1/", True),
        ("//api//v1//x", True),
        ("/api/v11/x", False),
        ("/api", False),
        ("/x/api/v1", False),
        ("/api/sessions/v1", False),
    ],
)
def test_which_paths_belong_to_the_door(path: str, inside: bool) -> None:
    assert beneath(path, "/api/v1") is inside


async def test_both_doors_share_a_port_and_a_token_and_keep_their_manners(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house:
        assert (await house.client.get("/api/v1/health")).json() == {"status": "ok", "version": "1.2.3"}
        assert (await house.client.get("/api/v1/nowhere")).json() == {"error": "Not Found"}
        assert (await house.client.get("/api/nowhere")).json() == {"message": "Not Found"}
        assert (await house.client.get("/api/ping", headers={"origin": "https://evil.example"})).status_code == 403
        assert "access-control-allow-origin" not in (await house.client.get("/api/ping")).headers


async def test_without_a_token_the_door_opens_for_nobody(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        assert (await house.client.get("/api/v1/health")).status_code == 200
        assert (await house.client.get("/api/ping")).status_code == 200
        for headers in ({}, {"authorization": "Bearer"}, {"authorization": "Bearer x"}):
            assert (await house.client.get("/api/v1/sessions", headers=headers)).status_code == 401
