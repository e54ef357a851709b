"""Who comes in: every route asks for the token, and pages from elsewhere are refused."""

import re
from typing import Any

import pytest

from acceptance.house import House, Server

OPEN = {"/health", "/ready", "/", "/docs", "/openapi.json", "/api/v1/health", "/api/v1/login"}
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def guarded(shared: House) -> Server:
    shared.agent()
    return shared.serve("--auth-token", "s3cret", db=shared.folder / "guarded.db")


@pytest.fixture(scope="module")
def served(shared: House) -> Server:
    shared.agent()
    return shared.serve()


def routes(server: Server) -> list[tuple[str, str]]:
    """All operations that the server says it has."""
    document: dict[str, Any] = server.get("/openapi.json").json
    return [(m.upper(), path) for path, item in document["paths"].items() for m in item if m in METHODS]


def test_every_route_asks_for_the_token(guarded: Server) -> None:
    found = routes(guarded)
    assert len(found) > 35
    closed = [(method, path) for method, path in found if path not in OPEN]
    assert len(closed) > 33
    for method, path in closed:
        url = re.sub(r"\{[^}]*\}", "x", path)
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic czNjcmV0"}):
            reply = guarded.ask(method, url, headers=headers)
            assert reply.status == 401, (method, path, headers, reply)
            assert reply.message
    for method, path in set(found) - set(closed):
        reply = guarded.ask(method, path)
        assert reply.status != 401 or path == "/api/v1/login", (method, path)


def test_what_is_not_there_asks_too(guarded: Server) -> None:
    for path in ("/nothing", "/api/nothing", "/api/v1/sessions", "/api/sessions/"):
        assert guarded.get(path).status == 401, path
    assert guarded.get("/api/nothing", headers={"Authorization": "Bearer s3cret"}).status == 404


def test_a_token_in_the_wrong_place_is_none(guarded: Server) -> None:
    assert guarded.get("/api/ping?token=s3cret&access_token=s3cret").status == 401
    assert guarded.get("/api/ping", headers={"Cookie": "token=s3cret"}).status == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "10.0.0.1:{port}"]
)
def test_rebinding(served: Server, host: str) -> None:
    for path in ("/api/ping", "/api/sessions", "/", "/openapi.json"):
        reply = served.get(path, headers={"Host": host.format(port=served.port)})
        assert reply.status in (400, 403, 421), (path, reply)


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_hosts_that_are_this_machine(served: Server, host: str) -> None:
    assert served.get("/api/ping", headers={"Host": host.format(port=served.port)}).status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://localhost:1"]
)
def test_pages_from_elsewhere(served: Server, origin: str) -> None:
    headers = {"Origin": origin}
    for method, path in (("POST", "/api/sessions"), ("GET", "/api/sessions")):
        reply = served.ask(method, path, headers=headers)
        assert reply.status == 403, (method, reply)
        assert "access-control-allow-origin" not in reply.headers
    assert served.get("/api/sessions").json == []


def test_pages_of_its_own(served: Server) -> None:
    for host in ("127.0.0.1", "localhost"):
        headers = {"Origin": f"http://{host}:{served.port}", "Host": f"{host}:{served.port}"}
        assert served.get("/api/sessions", headers=headers).status == 200


def test_a_form_post_makes_nothing(served: Server) -> None:
    """What a page elsewhere can send without asking first."""
    before = served.get("/api/sessions").json
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        headers = {"Content-Type": kind, "Origin": "https://evil.example"}
        assert served.post("/api/sessions", '{"title":"made"}', headers=headers).status == 403
        reply = served.post("/api/sessions", '{"title":"made"}', headers={"Content-Type": kind})
        assert reply.status == 400 and reply.message.startswith("invalid request body: code=415")
    assert served.get("/api/sessions").json == before


def test_secrets_stay_inside(guarded: Server) -> None:
    headers = {"Authorization": "Bearer s3cret"}
    for method, path in routes(guarded):
        url = re.sub(r"\{[^}]*\}", "x", path)
        if "wait" in path or "events" in path or path == "/api/ready":
            continue
        assert b"s3cret" not in guarded.ask(method, url, headers=headers).body
    assert "s3cret" not in guarded.stderr()
