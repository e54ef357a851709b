"""Bad input at every endpoint: the specified status, never a 500, never a hang, and nothing stored."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.core.ids import LogId
from roost.doors.docker_agent import bodies
from roost.testing.house import House, open_house

pytestmark = [pytest.mark.anyio, pytest.mark.fuzz]

TAKERS = [
    ("POST", "/api/sessions"),
    ("POST", "/api/sessions/{}/agent/crew"),
    ("POST", "/api/sessions/{}/resume"),
    ("POST", "/api/sessions/{}/elicitation"),
    ("POST", "/api/sessions/{}/steer"),
    ("POST", "/api/sessions/{}/followup"),
    ("PATCH", "/api/sessions/{}/safety-policy"),
    ("PATCH", "/api/sessions/{}/permissions"),
    ("PATCH", "/api/sessions/{}/title"),
    ("PATCH", "/api/sessions/{}/tokens"),
    ("PATCH", "/api/sessions/{}/starred"),
    ("POST", "/api/sessions/{}/fork"),
    ("POST", "/api/sessions/{}/messages"),
    ("PATCH", "/api/sessions/{}/messages/2"),
    ("POST", "/api/sessions/{}/summaries"),
    ("POST", "/api/sessions/batch/delete"),
    ("POST", "/api/sessions/batch/export"),
    ("POST", "/api/waits/{}"),
]

DEEP = 10_000
UNREADABLE = {
    "cut": b'{"title":"x',
    "not json": b"title=x",
    "not utf-8": b'{"title":"\xff\xfe"}',
    "half a pair": b'{"title":"\\ud83d"}',
    "nul": b'{"x":"\\u0000"}',
    "deep list": b"[" * DEEP + b"]" * DEEP,
    "deep object": b'{"messages":' * DEEP + b"1" + b"}" * DEEP,
    "huge integer": b'{"max_iterations":99999999999999999999}',
    "huge float": b'{"cost":1e999}',
    "not a number": b'{"cost":NaN}',
    "text": b'"x"',
    "number": b"5",
    "blank": b" ",
}
WRONG = {
    "title": [1, {}, []],
    "messages": [1, {}, "x", [1], [[]], [{"content": {}}], [{"content": "x", "multi_content": {}}]],
    "confirmation": [1, [], {}],
    "action": [1, [], {}],
    "content": ["x", 1],
    "permissions": ["x", [], {"allow": "x"}, {"deny": [1]}],
    "safety_policy": [1, "no such policy"],
    "input_tokens": ["1", 1.5, {}],
    "cost": ["1", []],
    "starred": [1, "true", None],
    "user_message_index": ["1", 1.5, []],
    "message": ["x", [], {"message": "x"}, {"message": {"role": 1}}],
    "summary": [1, [], {}],
    "session_ids": ["x", [1], {}],
}

HEADERS = {"content-type": "application/json"}


@pytest.mark.parametrize(("method", "path"), TAKERS)
async def test_unreadable_bodies_are_400_everywhere(house: House, method: str, path: str) -> None:
    session = await house.session()
    await house.run(session, "hi")
    before = await state(house)
    for name, raw in UNREADABLE.items():
        answer = await house.client.request(method, path.format(session), content=raw, headers=HEADERS)
        assert answer.status_code == 400, f"{name}: {answer.status_code} {answer.text}"
        assert answer.json()["message"].startswith("invalid request body: "), name
    assert await state(house) == before


def wrong() -> Iterator[tuple[str, Any]]:
    for key, values in WRONG.items():
        for value in values:
            yield key, value


@pytest.mark.parametrize(("method", "path"), TAKERS)
async def test_wrong_types_are_refused_where_they_are_read(house: House, method: str, path: str) -> None:
    session = await house.session()
    await house.run(session, "hi")
    for key, value in wrong():
        answer = await house.client.request(method, path.format(session), json={key: value})
        assert answer.status_code < 500, f"{key}={value!r}: {answer.status_code} {answer.text}"


@pytest.mark.parametrize(("method", "path"), TAKERS)
async def test_a_body_over_the_limit_is_413_everywhere(tmp_path: Path, method: str, path: str) -> None:
    async with open_house(tmp_path, max_body=1000) as house:
        session = await house.session()
        before = await state(house)
        large = json.dumps({"title": "x" * 1000}).encode()
        answer = await house.client.request(method, path.format(session), content=large, headers=HEADERS)
        assert (answer.status_code, answer.text) == (413, '{"message":"Request Entity Too Large"}\n')

        async def chunks() -> Any:
            for _ in range(20):
                yield b'{"title": "' + b"x" * 100

        answer = await house.client.request(method, path.format(session), content=chunks(), headers=HEADERS)
        assert (answer.status_code, answer.text) == (413, '{"message":"Request Entity Too Large"}\n')
        assert await state(house) == before


async def test_the_limit_itself_is_no_excess(tmp_path: Path) -> None:
    body = json.dumps({"title": "x" * 500}).encode()
    async with open_house(tmp_path, max_body=len(body)) as house:
        assert (await house.client.post("/api/sessions", content=body, headers=HEADERS)).status_code == 200
        more = await house.client.post("/api/sessions", content=body + b" ", headers=HEADERS)
        assert more.status_code == 413


@pytest.mark.parametrize(
    "raw",
    [
        b"POST /api/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b'content-length: 50\r\n\r\n{"tit',
        b"POST /api/sessions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b'transfer-encoding: chunked\r\n\r\n5\r\n{"tit\r\n',
    ],
)
async def test_a_body_that_is_cut_off_stores_nothing(house: House, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", int(house.url.rpartition(":")[2]))) as connection:
        await anyio.to_thread.run_sync(connection.sendall, raw)
        connection.shutdown(socket.SHUT_WR)
        await anyio.to_thread.run_sync(connection.recv, 100)
    assert (await house.client.get("/api/sessions")).json() == []


@pytest.mark.parametrize(
    "line",
    [b"GET /%zz HTTP/1.1", b"GET /\xff HTTP/1.1", b"GET * HTTP/1.1", b"GET http://x/api/ping HTTP/1.1", b"\x00\x01"],
)
async def test_odd_request_lines_end_in_an_answer(house: House, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", int(house.url.rpartition(":")[2]))) as connection:
        connection.settimeout(10)
        await anyio.to_thread.run_sync(connection.sendall, line + b"\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        answer = await anyio.to_thread.run_sync(connection.recv, 1000)
    assert b" 500 " not in answer.split(b"\r\n")[0]


async def state(house: House) -> Any:
    """Everything that is stored."""
    sessions = [listing.id for listing in await house.store.listing()]
    return [(await house.store.head(LogId(session))) for session in sessions]


# -- what nobody thought of -----------------------------------------------------------------------

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
KEYS = st.sampled_from(
    [*sorted({field for kind in vars(bodies).values() if hasattr(kind, "__struct_fields__")
              for field in kind.__struct_fields__}), "Title", "\x00", ""]
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@given(asked=st.lists(st.tuples(st.sampled_from(TAKERS), JSON), min_size=1, max_size=6))
@settings(max_examples=80, deadline=None)
def no_500(asked: list[tuple[tuple[str, str], Any]], portal: BlockingPortal, house: House) -> None:
    portal.call(send, house, asked)


async def send(house: House, asked: list[tuple[tuple[str, str], Any]]) -> None:
    session = await house.session()
    await house.run(session, "hi")
    for (method, path), value in asked:
        raw = json.dumps(value).encode()
        async with house.stream(method, path.format(session), content=raw, headers=HEADERS) as frames:
            assert frames.response.status_code not in (500, 502), (method, path, raw)
            await frames.response.aread()
    assert (await house.client.get("/ready")).status_code == 200
    for path in ("", "/snapshot", "/recovery"):
        assert (await house.client.get(f"/api/sessions/{session}{path}")).status_code in (200, 404)


def test_no_json_is_a_500(tmp_path: Path) -> None:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(open_house(tmp_path)) as house:
        no_500(portal=portal, house=house)
