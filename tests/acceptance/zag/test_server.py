"""Health, tokens, errors of the framework, CORS, logins and accounts (sections 2, 3.1, 3.2 and 3.26)."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from acceptance import front
from acceptance.zag.remote import SECRET, Remote, Site

VARY = "origin, access-control-request-method, access-control-request-headers"


# -- 3.1 ------------------------------------------------------------------------------------------


def test_health_is_open_and_says_the_version(op: Remote) -> None:
    answer = op.as_("").ask("GET", "/health")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["status", "version"]
    assert answer.json()["status"] == "ok"
    assert answer.json()["version"].split(".")[0].isdigit()
    assert op.as_("wrong").ask("GET", "/health").status_code == 200


# -- 2.2 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (None, "Missing or invalid Authorization header"),
        ("Basic abc", "Missing or invalid Authorization header"),
        ("Bearer", "Missing or invalid Authorization header"),
        ("Bearer nobody", "Invalid token"),
        (f"Bearer {SECRET}x", "Invalid token"),
    ],
)
@pytest.mark.parametrize("path", ["/sessions", "/nowhere", "/users", "/sessions/x/stream"])
def test_without_a_token_every_path_is_401(op: Remote, path: str, header: str | None, error: str) -> None:
    headers = {} if header is None else {"authorization": header}
    assert op.as_("").refused("GET", path, 401, headers=headers) == error


@pytest.mark.parametrize("path", ["/sessions/x/stream", "/subscribe"])
def test_so_is_every_websocket_before_its_upgrade(op: Remote, path: str) -> None:
    assert op.as_("").turned_away(path) == (401, "Missing or invalid Authorization header")
    assert op.as_("nobody").turned_away(path) == (401, "Invalid token")


def test_the_scheme_is_read_kindly(op: Remote) -> None:
    for header in (f"bearer {SECRET}", f"BEARER  {SECRET}"):
        assert op.as_("").ask("GET", "/sessions", headers={"authorization": header}).status_code == 200


# -- 2.1, 2.3 -------------------------------------------------------------------------------------


def test_paths_may_have_slashes_too_many(op: Remote) -> None:
    for path in ("//sessions", "/sessions/", "/sessions//"):
        answer = op.http.request("GET", f"{op.url}//api//v1{path}", headers={"authorization": f"Bearer {SECRET}"})
        assert (answer.status_code, answer.json()) == (200, op.get("/sessions"))


def test_unknown_paths_and_wrong_methods(op: Remote) -> None:
    op.refused("GET", "/nowhere", 404)
    answer = op.ask("PUT", "/sessions")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    assert list(answer.json()) == ["error"]


def test_where_there_is_get_there_is_head(op: Remote) -> None:
    answer = op.ask("HEAD", "/sessions")
    assert (answer.status_code, answer.content) == (200, b"")
    assert op.as_("").ask("HEAD", "/sessions").status_code == 401


@pytest.mark.parametrize(
    ("body", "kind", "status", "begins"),
    [
        (b"{}", "text/plain", 415, "Expected request with "),
        (b"{}", "", 415, "Expected request with "),
        (b"{", "application/json", 400, "Failed to parse the request body as JSON: "),
        (b"", "application/json", 400, "Failed to parse the request body as JSON: "),
        (b"{}", "application/json", 422, "Failed to deserialize the JSON body into the target type: "),
        (b'{"message": 1}', "application/json", 422, "Failed to deserialize the JSON body into the target type: "),
        (b"[]", "application/json", 422, "Failed to deserialize the JSON body into the target type: "),
        (b" " * 2_097_153, "application/json", 413, ""),
    ],
)
def test_bodies_that_can_not_be(op: Remote, body: bytes, kind: str, status: int, begins: str) -> None:
    headers = {"content-type": kind} if kind else {}
    error = op.refused("POST", "/sessions/x/input", status, body, headers=headers)
    assert error.startswith(begins)


def test_other_kinds_of_json_are_taken_and_unknown_fields_left_alone(op: Remote) -> None:
    body = b'{"prompt": "hi", "provider": "mock", "unheard": {"of": []}, "tags": null, "env_vars": null}'
    answer = op.ask("POST", "/sessions/spawn", body, headers={"content-type": "application/vnd.x+json; charset=utf-8"})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "global=yes"])
def test_queries_that_can_not_be(op: Remote, query: str) -> None:
    op.refused("GET", f"/sessions?{query}", 400)


def test_queries_nobody_knows_are_left_alone(op: Remote) -> None:
    assert op.ask("GET", "/sessions?unheard=of").status_code == 200


# -- 2.4 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/health", "/sessions", "/nowhere", "/subscribe"])
def test_d25_options_is_answered_for_everybody_and_everything(op: Remote, path: str) -> None:
    answer = op.as_("").ask("OPTIONS", path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["access-control-allow-methods"] == "*"
    assert answer.headers["access-control-allow-headers"] == "authorization, content-type"
    assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == ("*", VARY)


def test_d25_every_answer_may_be_read(op: Remote) -> None:
    for answer in (op.ask("GET", "/sessions"), op.as_("").ask("GET", "/sessions"), op.ask("GET", "/nowhere")):
        assert (answer.headers["access-control-allow-origin"], answer.headers["vary"]) == ("*", VARY)
        assert "access-control-allow-credentials" not in answer.headers


# -- 3.2, 3.26 ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with accounts, of a module of its own: the first one changes how it answers."""
    with front.opened(tmp_path_factory.mktemp("town")) as yard:
        served = yard.serve("--host", "127.0.0.1", "--enable-mock", "--token", SECRET)
        yield Site(yard, served, Remote.at(yard, served))


def test_without_accounts_there_is_no_login(op: Remote) -> None:
    assert "account" in op.as_("").refused("POST", "/login", 404, {"username": "ann", "password": "x"}).lower()
    assert op.post("/logout")["message"]
    assert op.ask("POST", "/logout").status_code == 200  # without a body, too
    op.as_("").refused("POST", "/logout", 401)
    assert op.get("/users") == []


def test_a_login_needs_both_its_fields(op: Remote) -> None:
    op.as_("").refused("POST", "/login", 422, {"username": "ann"})


def test_an_account_from_its_making_to_its_end(town: Site) -> None:
    op, home = town.op, town.folder / "ann"
    body = {"username": "ann", "password": "secret", "home_dir": str(home)}
    assert list(op.post("/users/add", body, 201)) == ["message"]
    assert home.is_dir()
    [user] = op.get("/users")
    assert (user["username"], user["home_dir"], user["enabled"]) == ("ann", str(home), True)
    assert user["created_at"].endswith("+00:00")
    op.refused("POST", "/users/add", 409, body)
    for wrong in ({"password": ""}, {"home_dir": "not/absolute"}, {"username": "../x"}, {"username": ".x"}):
        op.refused("POST", "/users/add", 400, {**body, "username": "bob", **wrong})

    login = op.as_("").post("/login", {"username": "ann", "password": "secret"})
    assert list(login) == ["token", "username", "home_dir"]
    assert (login["username"], login["home_dir"]) == ("ann", str(home))
    assert len(login["token"]) == 64
    ann = op.as_(login["token"])
    assert ann.get("/sessions") == []
    refusals = [
        op.as_("").refused("POST", "/login", 401, {"username": name, "password": word})
        for name, word in (("ann", "wrong"), ("nobody", "secret"))
    ]
    assert refusals[0] == refusals[1]

    for method, path, given in (
        ("GET", "/users", None),
        ("POST", "/users/add", {**body, "username": "eve"}),
        ("POST", "/users/remove", {"username": "ann"}),
        ("POST", "/users/passwd", {"username": "ann", "password": "mine"}),
    ):
        ann.refused(method, path, 403, given)

    op.refused("POST", "/users/passwd", 400, {"username": "ann", "password": ""})
    op.refused("POST", "/users/passwd", 404, {"username": "nobody", "password": "x"})
    assert op.post("/users/passwd", {"username": "ann", "password": "fresh"})["message"]
    assert ann.refused("GET", "/sessions", 401) == "Invalid token"
    ann = op.login("ann", "fresh")
    assert ann.post("/logout")["message"]
    assert ann.refused("GET", "/sessions", 401) == "Invalid token"
    ann = op.login("ann", "fresh")
    op.refused("POST", "/users/remove", 404, {"username": "nobody"})
    assert op.post("/users/remove", {"username": "ann"})["message"]
    assert ann.refused("GET", "/sessions", 401) == "Invalid token"
    op.as_("").refused("POST", "/login", 401 if op.get("/users") else 404, {"username": "ann", "password": "fresh"})
    assert home.is_dir()


def test_d9_an_account_that_is_removed_while_connected_hears_no_more(town: Site) -> None:
    carl = town.account("carl")
    dora = town.account("dora")
    session = carl.spawn(json_hang())
    with carl.feed(f"/sessions/{session}/stream") as stream, carl.feed("/subscribe") as all_:
        stream.until("user_message")
        town.op.post("/users/remove", {"username": "carl"})
        assert (stream.rest(), stream.code) == ([], 1008)
        assert (all_.rest(), all_.code) == ([], 1008)
    assert carl.refused("GET", f"/sessions/{session}", 401) == "Invalid token"
    assert town.op.status(session) == "running"
    assert dora.get("/sessions") == []
    town.op.post(f"/sessions/{session}/cancel")
    assert town.op.ended(session)[0]["success"] is False


def json_hang() -> str:
    return f"@mock {json.dumps({'hang': True})}"


# -- 8.5.2 ----------------------------------------------------------------------------------------


def test_health_is_quick_while_many_sessions_run(site: Site) -> None:
    sessions: list[Any] = [site.op.spawn(json_hang(), tags=["crowd"]) for _ in range(12)]
    slowest = 0.0
    for _ in range(20):
        began = time.perf_counter()
        assert site.op.as_("").ask("GET", "/health").status_code == 200
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 2
    for session in sessions:
        site.op.post(f"/sessions/{session}/cancel")
    assert {one["success"] for one in site.op.ended(*sessions)} == {False}
