"""Who comes in: tokens, Host, Origin and size, asked of every route there is."""

from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from starlette.datastructures import Headers

from roost.doors.app import Doors, make_app
from roost.doors.auth import Gate, is_loopback, principal
from roost.doors.errors import Refused
from roost.doors.routes import Route
from roost.doors.web.files import files
from roost.testing.house import open_house
from roost.wire import tls

pytestmark = pytest.mark.anyio

OPEN = {
    "/health",
    "/ready",
    "/",
    "/docs",
    "/docs/docs.js",
    "/docs/docs.css",
    "/openapi.json",
    "/api/v1/health",
    "/api/v1/login",
    "/web/session",
    "/web/pair",
    "/web/whose",
    "/web/login",
    "/web/ca.pem",
    *(file.path for file in files()),
}


class Nothing:
    """A service that is never asked."""

    def __getattr__(self, name: str) -> Any:
        return Nothing()


def routes() -> list[Route]:
    app = make_app(Nothing(), closing=anyio.Event())
    assert isinstance(app, Doors)
    return list(app.routes)


def test_the_open_routes_are_these_and_no_others() -> None:
    assert {route.path for route in routes() if route.open} == OPEN


async def test_every_route_but_the_open_ones_asks_for_the_token(tmp_path: Path) -> None:
    async with (
        open_house(tmp_path, token="s3cret") as house,
        httpx2.AsyncClient(verify=tls.trusted(), base_url=house.url) as stranger,
    ):
        for route in (route for route in routes() if not route.path.startswith("/api/v1/")):
            path = "/".join("x" if part.startswith(":") else part for part in route.path.split("/"))
            for given, message in (
                ({}, "missing Authorization header"),
                ({"authorization": "Basic s3cret"}, "invalid Authorization header format"),
                ({"authorization": "bearer s3cret"}, "invalid Authorization header format"),
                ({"authorization": "Bearer wrong"}, "invalid token"),
                ({"authorization": "Bearer"}, "invalid Authorization header format"),
                ({"authorization": "Bearer s3cret s3cret"}, "invalid token"),
                ({"authorization": b"Bearer s3cr\xe9t"}, "invalid token"),
            ):
                answer = await stranger.request(route.method, path, headers=given)
                if route.path == "/web/ca.pem":
                    assert answer.status_code == 404  # this server has none
                elif route.open:
                    assert answer.status_code == (200 if route.method in ("GET", "HEAD") else 400), path
                else:
                    assert answer.status_code == 401, path
                    if path.startswith("/web/"):
                        assert answer.json() == {"code": "not_paired", "message": message}
                    elif route.method != "HEAD":
                        assert answer.text == f'{{"message":"{message}"}}\n'
            assert (await stranger.options(path)).status_code == 204
        assert (await stranger.get("/nowhere")).status_code == 401
        assert (await stranger.options("/nowhere")).status_code == 401
        assert (await stranger.put("/api/ping")).status_code == 401
        assert (await house.client.get("/nowhere")).status_code == 404
        assert (await house.client.put("/api/ping")).status_code == 405
        assert (await house.client.get("/api/ping")).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("localhost.", 200),
        ("127.0.0.1", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:99", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:80", 403),
        ("10.0.0.1", 403),
        ("", 403),
    ],
)
async def test_on_loopback_other_names_are_not_served(tmp_path: Path, host: str, status: int) -> None:
    async with open_house(tmp_path, token="t") as house:
        assert (await house.client.get("/health", headers={"host": host})).status_code == status


async def test_elsewhere_every_name_is(tmp_path: Path) -> None:
    async with open_house(tmp_path, bound="0.0.0.0") as house:
        assert (await house.client.get("/health", headers={"host": "my.example"})).status_code == 200


async def test_other_origins_are_not_served(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house:
        host = house.url.removeprefix("http://")
        for origin, status in (
            (f"http://{host}", 200),
            (f"http://{host.upper()}", 200),
            ("http://127.0.0.1", 403),
            ("http://127.0.0.1:1", 403),
            (f"http://localhost:{host.partition(':')[2]}", 403),
            ("https://evil.example", 403),
            ("null", 403),
            ("", 403),
        ):
            for path in ("/api/ping", "/health", "/nowhere"):
                answer = await house.client.get(path, headers={"origin": origin})
                assert answer.status_code == (404 if path == "/nowhere" and status == 200 else status), origin
            assert "access-control-allow-origin" not in answer.headers


def test_standard_ports_need_not_be_said() -> None:
    gate = Gate(bound="0.0.0.0")
    scope = {"server": ("10.0.0.1", 80)}
    gate.check_origin(scope, Headers({"host": "my.example", "origin": "http://my.example:80"}))
    gate.check_origin(scope, Headers({"host": "my.example:443", "origin": "https://my.example"}))


def test_a_plain_page_of_our_name_is_not_ours_where_we_encrypt() -> None:
    gate, scope = Gate(bound="0.0.0.0"), {"server": ("10.0.0.1", 443)}
    for scheme in ("https", "wss"):
        gate.check_origin(scope | {"scheme": scheme}, Headers({"host": "my.example", "origin": "https://my.example"}))
        with pytest.raises(Refused):
            gate.check_origin(
                scope | {"scheme": scheme}, Headers({"host": "my.example", "origin": "http://my.example"})
            )


def test_a_name_that_means_loopback_is_guarded_like_its_number() -> None:
    """Debian's own name for a machine leads to 127.0.1.1."""
    gate = Gate(bound="my-machine")
    gate.check_origin({"server": ("127.0.1.1", 80)}, Headers({"host": "my-machine:80"}))
    gate.check_origin({"server": ("10.0.0.1", 80)}, Headers({"host": "anything"}))
    with pytest.raises(Refused):
        gate.check_origin({"server": ("127.0.1.1", 80)}, Headers({"host": "evil.example"}))


def test_a_unix_socket_has_no_host_to_check() -> None:
    Gate(bound="127.0.0.1").check_origin({"server": ("/run/roost.sock", None)}, Headers({"host": "anything"}))


def test_loopback_is_known_by_name_and_number() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]")))
    assert not any(map(is_loopback, ("", "0.0.0.0", "10.0.0.1", "my.example")))


def test_programs_are_told_apart() -> None:
    def client(address: str, **headers: str) -> str:
        return principal({"client": (address, 5)}, Headers(headers)).client

    assert client("1.1.1.1", **{"user-agent": "a"}) == client("1.1.1.1", **{"user-agent": "a", "accept": "x"})
    different = {
        client("1.1.1.1", **{"user-agent": "a"}),
        client("1.1.1.1", **{"user-agent": "b"}),
        client("1.1.1.2", **{"user-agent": "a"}),
        client("1.1.1.1", **{"user-agent": "a", "authorization": "Bearer t"}),
        principal({"client": None}, Headers({})).client,
    }
    assert len(different) == 5
    assert "" not in different


async def test_the_order_is_host_size_token_route(tmp_path: Path) -> None:
    async with (
        open_house(tmp_path, token="t", max_body=10) as house,
        httpx2.AsyncClient(verify=tls.trusted(), base_url=house.url) as stranger,
    ):
        large = {"content": b"x" * 11}
        assert (await stranger.post("/nowhere", headers={"origin": "null"}, **large)).status_code == 403
        assert (await stranger.post("/nowhere", **large)).status_code == 413
        assert (await stranger.post("/nowhere")).status_code == 401
        assert (await house.client.post("/nowhere")).status_code == 404
