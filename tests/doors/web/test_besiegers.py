"""Pages elsewhere, with a browser that has come in: what they can make it ask, route by route."""

from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from doors.test_auth import OPEN, routes
from doors.web.browsing import browser, code, paired
from roost.service.tickets import KEPT, SHARE, Tickets
from roost.testing.clock import HandClock
from roost.testing.house import House, open_house

pytestmark = pytest.mark.anyio

PORT = "{port}"
FORGED: list[dict[str, str]] = [
    {},
    {"x-roost-csrf": ""},
    {"x-roost-csrf": "0" * 64},
    {"x-roost-csrf": "{other}"},
    {"x-roost-csrf": "{mine}, {mine}"},
    {"origin": "{url}"},
    {"origin": "null"},
    {"origin": "null", "x-roost-csrf": "{mine}"},
    {"origin": "http://127.0.0.1:1", "x-roost-csrf": "{mine}"},
    {"origin": "http://127.0.0.1", "x-roost-csrf": "{mine}"},
    {"origin": "https://127.0.0.1:{port}.evil.test", "x-roost-csrf": "{mine}"},
    {"origin": "http://localhost:{port}", "x-roost-csrf": "{mine}"},
    {"origin": "http://127.0.0.1:{port}@evil.test", "x-roost-csrf": "{mine}"},
    {"origin": "file://127.0.0.1:{port}", "x-roost-csrf": "{mine}"},
    {"origin": "{url}/", "x-roost-csrf": "{mine}"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "same-site", "x-roost-csrf": "{mine}"},
    {"sec-fetch-site": "cross-site", "x-roost-csrf": "{mine}"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "origin": "{url}"},
    {"sec-fetch-site": "SAME-ORIGIN", "origin": "https://evil.test"},
    {"host": "evil.test", "x-roost-csrf": "{mine}"},
    {"host": "evil.test:{port}", "origin": "http://evil.test:{port}", "x-roost-csrf": "{mine}"},
]


def filled(given: dict[str, str], house: House, mine: str, other: str) -> dict[str, str]:
    known = {"url": house.url, "port": house.url.rpartition(":")[2], "mine": mine, "other": other}
    return {name: value.format(**known) for name, value in given.items()}


async def test_no_route_that_changes_something_is_open_to_pages_elsewhere(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone, paired(house) as other:
        for route in routes():
            if route.method in ("GET", "HEAD", "OPTIONS") or route.path in OPEN - {"/web/session"}:
                continue
            path = "/".join("x" if part.startswith(":") else part for part in route.path.split("/"))
            for given in FORGED:
                headers = filled(given, house, phone.csrf, other.csrf)
                answer = await phone.client.request(route.method, path, headers=headers, content=b"{}")
                refused = (401, 403) if "host" in given else (403,)  # a cookie is for the port that it came from
                assert answer.status_code in refused, (route.method, path, given, answer.text)
                assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert (await phone.ask("GET", "/web/session")).json()["paired"]


async def test_no_route_is_read_by_pages_elsewhere(tmp_path: Path) -> None:
    foreign: list[dict[str, str]] = [
        {},
        {"origin": "null"},
        {"origin": "https://evil.test"},
        {"origin": "http://localhost:{port}"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"host": "evil.test:{port}", "sec-fetch-site": "same-origin"},
    ]
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        for route in routes():
            if route.method != "GET" or route.path in OPEN:
                continue
            path = "/".join("x" if part.startswith(":") else part for part in route.path.split("/"))
            for given in foreign:
                answer = await phone.client.get(path, headers=filled(given, house, "", ""))
                assert answer.status_code in (400, 403, 405), (path, given, answer.status_code)
                assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/api/live", "/api/v1/subscribe"])
async def test_no_web_socket_is_opened_by_pages_elsewhere(tmp_path: Path, path: str) -> None:
    origins = [
        None,
        "null",
        "https://evil.test",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:{port}",
        "http://127.0.0.1:{port}.evil.test",
        "http://evil.test/127.0.0.1:{port}",
        "ws://127.0.0.1:{port}",
        "",
    ]
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        where, cookie = f"ws{house.url[4:]}{path}", {"cookie": f"{phone.name}={phone.cookie}"}
        for origin in origins:
            given = {} if origin is None else filled({"origin": origin}, house, "", "")
            with pytest.raises(InvalidStatus) as refused:
                await connect(where, additional_headers=cookie | given, proxy=None)
            assert refused.value.response.status_code == 403, origin
        ours = cookie | {"origin": house.url}
        for more in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}):
            with pytest.raises(InvalidStatus) as refused:
                await connect(where, additional_headers=ours | more, proxy=None)
            assert refused.value.response.status_code == 403
        async with connect(where, additional_headers=ours, proxy=None):
            pass


async def test_of_many_that_race_with_a_ticket_one_comes_in(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        ticket = (await phone.ask("POST", "/api/tickets")).json()["ticket"]
        came: list[int] = []

        async def race() -> None:
            try:
                async with connect(f"ws{house.url[4:]}/api/live?ticket={ticket}", proxy=None):
                    came.append(101)
            except InvalidStatus as refused:
                came.append(refused.response.status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(race)
        assert sorted(came) == [101] + [401] * 11


def test_whoever_asks_for_tickets_without_end_loses_his_own() -> None:
    issued: Tickets[str] = Tickets(HandClock())
    mine, _ = issued.issue("ann", owner="ann")
    theirs = [issued.issue("bob", owner="bob")[0] for _ in range(KEPT)]
    assert issued.redeem(mine) == "ann"
    assert [issued.redeem(one) for one in theirs] == [None] * (KEPT - SHARE) + ["bob"] * SHARE


async def test_a_ticket_opens_streams_and_nothing_else(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone, browser(house) as stranger:
        for method, path in (("GET", "/api/sessions"), ("POST", "/api/sessions"), ("GET", "/web/devices")):
            ticket = (await phone.ask("POST", "/api/tickets")).json()["ticket"]
            answer = await stranger.client.request(method, f"{path}?ticket={ticket}")
            assert answer.status_code == 401, path


async def test_who_says_to_come_from_elsewhere_is_slowed_down_all_the_same(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, browser(house) as stranger:
        seen = []
        for number in range(40):
            claims = dict.fromkeys(("x-forwarded-for", "x-real-ip", "forwarded"), f"10.0.0.{number}")
            path, body = [("/web/pair", {"code": f"x{number}"}), ("/web/login", {"token": f"x{number}"})][number % 2]
            seen.append((await stranger.ask("POST", path, json=body, headers=claims)).status_code)
        assert seen[-1] == 429
        assert seen.index(429) <= 20


async def test_a_cookie_of_ones_own_choice_is_never_taken_over(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, browser(house) as victim:
        planted = "A" * 43
        victim.client.cookies.set(victim.name, planted)
        answer = await victim.pair(await code(house))
        assert answer.status_code == 200
        assert f"{victim.name}={planted}" not in answer.headers["set-cookie"]
        async with httpx2.AsyncClient(base_url=house.url, cookies={victim.name: planted}) as attacker:
            shown = await attacker.get("/web/session", headers={"sec-fetch-site": "same-origin"})
            assert not shown.json()["paired"]


async def test_a_cookie_is_for_no_script_and_no_other_site(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, browser(house) as phone:
        parts = [part.strip() for part in (await phone.pair(await code(house))).headers["set-cookie"].split(";")]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(parts)
        assert not any(part.lower().startswith("domain") for part in parts)


async def test_two_cookies_of_the_same_name_are_no_way_in(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        good, headers = phone.cookie, {"sec-fetch-site": "same-origin"}
        async with httpx2.AsyncClient(base_url=house.url) as client:
            ask: Any = lambda cookie: client.get("/api/sessions", headers={**headers, "cookie": cookie})  # noqa: E731
            assert (await ask(f"{phone.name}=x; {phone.name}={good}")).status_code == 401
            assert (await ask(f'{phone.name}="{good}"')).status_code == 401
            assert (await ask(f"{phone.name}={good[:-1]}")).status_code == 401
