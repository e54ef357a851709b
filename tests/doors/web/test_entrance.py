"""How a browser comes in, what its cookie opens, and what it does not."""

import logging
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from roost.core.accounts import digest
from roost.core.ids import LogId
from roost.service import browsers as b
from roost.service.accounts import OPERATOR
from roost.stores.memory import Shelf
from roost.testing.clock import HandClock
from roost.testing.house import open_house
from roost.wire import tls
from web.browsing import browser, code, paired

pytestmark = pytest.mark.anyio

QUIET = logging.getLogger("client")
QUIET.disabled = True


# -- coming in ----------------------------------------------------------------------------------


async def test_a_code_lets_one_browser_in_and_the_cookie_is_for_it_alone(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, browser(house) as phone:
        before = (await phone.ask("GET", "/web/session")).json()
        assert (before["paired"], before["asks"], before["csrf"], before["v1"]) == (False, True, "", False)
        assert (await phone.ask("GET", "/api/sessions")).status_code == 401
        answer = await phone.pair(await code(house))
        assert answer.json()["paired"] is True
        assert answer.json()["v1"] is True
        (cookie,) = answer.headers.get_list("set-cookie")
        value, *marks = cookie.split("; ")
        assert len(value.removeprefix(f"{phone.name}=")) >= 43
        assert marks == ["Path=/", "Max-Age=2592000", "HttpOnly", "SameSite=Strict"]
        assert (await phone.ask("GET", "/api/sessions")).status_code == 200
        assert (await phone.ask("GET", "/api/v1/sessions")).status_code == 200
        again = await phone.ask("GET", "/web/session")
        assert again.json()["csrf"] == phone.csrf
        assert again.headers["set-cookie"].startswith(f"{phone.name}={phone.cookie}; ")
        assert again.headers["cache-control"] == "no-store"


async def test_a_code_is_used_once(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, browser(house) as one, browser(house) as other:
        told = await code(house)
        assert (await one.pair(told)).status_code == 200
        refused = await other.pair(told)
        assert refused.status_code == 410
        assert refused.json()["code"] == "pairing_refused"
        assert "set-cookie" not in refused.headers
        assert (await one.ask("GET", "/api/ping")).status_code == 200


async def test_of_many_that_race_for_a_code_one_gets_it(tmp_path: Path) -> None:
    found = []
    async with open_house(tmp_path, token="t") as house, browser(house) as one:
        told = await code(house)

        async def race() -> None:
            found.append((await one.ask("POST", "/web/pair", json={"code": told})).status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(race)
    assert sorted(found) == [200, *[410] * 7]


async def test_a_code_is_good_for_ten_minutes(tmp_path: Path) -> None:
    clock = HandClock()
    async with open_house(tmp_path, token="t", clock=clock) as house, browser(house) as one, browser(house) as other:
        early, late = await code(house), await code(house)
        clock.wind(599)
        assert (await one.pair(early)).status_code == 200
        clock.wind(2)
        assert (await other.pair(late)).status_code == 410


async def test_a_code_is_long_and_kept_nowhere(tmp_path: Path) -> None:
    shelf = Shelf()
    async with open_house(tmp_path, token="t", shelf=shelf) as house:
        told = await house.client.post("/web/codes")
        found = told.json()
        assert found["url"] == f"{house.url}/#pair={found['code']}"
        assert len(found["code"]) >= 22  # of 64 letters: 128 bits
        assert list(shelf.book.codes) == [digest(found["code"])]
        assert found["code"] not in repr(shelf.book)
        assert found["expires_at"].endswith("Z")


async def test_wrong_codes_are_slowed_down(tmp_path: Path) -> None:
    clock = HandClock()
    async with open_house(tmp_path, token="t", clock=clock) as house, browser(house) as one:
        for _ in range(10):
            assert (await one.pair("wrong")).status_code == 410
        slowed = await one.pair(await code(house))
        assert slowed.status_code == 429
        assert slowed.json()["code"] == "too_many_logins"
        assert int(slowed.headers["retry-after"]) > 0
        assert (await house.client.get("/api/ping")).status_code == 200
        clock.wind(301)
        assert (await one.pair(await code(house))).status_code == 200


async def test_the_token_lets_in_too(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="s3cret") as house, browser(house) as one:
        wrong = await one.ask("POST", "/web/login", json={"token": "guess"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "login_refused")
        assert (await one.ask("POST", "/web/login", json={})).status_code == 400
        assert (await one.ask("POST", "/web/login", json={"token": "x" * 1001})).status_code == 400
        entered = await one.ask("POST", "/web/login", json={"token": "s3cret"})
        assert entered.json()["paired"] is True
        assert "s3cret" not in entered.text + str(entered.headers)
        assert (await one.ask("GET", "/api/sessions")).status_code == 200


async def test_a_page_elsewhere_lets_nobody_in(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, browser(house) as one:
        for path, body in (("/web/pair", {"code": await code(house)}), ("/web/login", {"token": "t"})):
            refused = await one.ask("POST", path, json=body, headers={"origin": "https://evil.example"})
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
            plain = await one.ask("POST", path, content=b"{}", headers={"content-type": "text/plain"})
            assert plain.status_code == 400
        assert not one.client.cookies


async def test_where_nobody_asks_the_page_just_works(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, browser(house) as one:
        found = (await one.ask("GET", "/web/session")).json()
        assert (found["asks"], found["paired"], found["v1"], found["csrf"]) == (False, True, False, "")
        assert (await one.ask("POST", "/api/sessions", json={})).status_code == 200
        for path, body in (("/web/codes", {}), ("/web/pair", {"code": "x"}), ("/web/login", {"token": "x"})):
            refused = await one.ask("POST", path, json=body)
            assert (refused.status_code, refused.json()["code"]) == (400, "bad_value"), path
        elsewhere = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
        assert (await one.ask("POST", "/api/sessions", json={}, headers=elsewhere)).status_code == 403
        embedded = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
        assert (await one.ask("GET", "/api/sessions", headers=embedded)).status_code == 403
        followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        assert (await one.ask("GET", "/", headers=followed)).status_code == 200


# -- what the cookie opens ----------------------------------------------------------------------

SAME: dict[str, Any] = {}
MATRIX = [
    # what is sent, and whether a GET and a POST come through
    ({"sec-fetch-site": "same-origin", "csrf": True}, 200, 200),
    ({"sec-fetch-site": "same-origin"}, 200, 403),
    ({"sec-fetch-site": "same-origin", "csrf": "wrong"}, 200, 403),
    ({"origin": "{url}"}, 200, 403),
    ({"origin": "{url}", "csrf": True}, 200, 200),
    ({"csrf": True}, 200, 200),
    ({}, 403, 403),
    ({"csrf": "wrong"}, 403, 403),
    ({"sec-fetch-site": "none"}, 403, 403),
    ({"sec-fetch-site": "same-site", "csrf": True}, 403, 403),
    ({"sec-fetch-site": "cross-site", "csrf": True}, 403, 403),
    ({"origin": "https://evil.example", "csrf": True}, 403, 403),
    ({"origin": "null", "csrf": True}, 403, 403),
]


@pytest.mark.parametrize(("sent", "read", "written"), MATRIX)
@pytest.mark.parametrize(
    ("getting", "posting"),
    [("/api/sessions", "/api/sessions"), ("/api/v1/sessions", "/api/v1/cleanup"), ("/web/devices", "/web/codes")],
)
async def test_only_our_own_page_comes_in_by_the_cookie(
    tmp_path: Path, getting: str, posting: str, sent: dict[str, Any], read: int, written: int
) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        csrf = {True: phone.csrf, "wrong": "0" * 64}.get(sent.get("csrf", ""))
        given = {name: value.format(url=house.url) for name, value in sent.items() if name != "csrf"}
        headers = given | ({"x-roost-csrf": csrf} if csrf else {})
        got = await phone.client.get(getting, headers=headers)
        assert got.status_code == read
        posted = await phone.client.post(posting, headers=headers, json={})
        assert (posted.status_code < 400 or posted.status_code == 404) == (written == 200), posted.text
        if written == 403:
            assert posted.status_code == 403
        for answer in (got, posted):
            assert "access-control-allow-origin" not in answer.headers


async def test_a_bearer_token_wins_over_the_cookie(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        wrong = await phone.client.get("/api/sessions", headers={"authorization": "Bearer wrong"})
        assert wrong.status_code == 401
        elsewhere = {"authorization": "Bearer t", "origin": "https://app.example"}
        answer = await phone.client.get("/api/v1/sessions", headers=elsewhere)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert (await phone.client.post("/api/sessions", headers={"authorization": "Bearer t"})).status_code == 200


async def test_the_csrf_token_of_another_browser_is_of_no_use(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as one, paired(house) as other:
        assert one.csrf != other.csrf
        one.csrf = other.csrf
        assert (await one.ask("POST", "/api/sessions", json={})).status_code == 403


async def test_what_an_agent_is_told_of_a_request_has_no_cookie_of_ours(tmp_path: Path) -> None:
    seen = []
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        listing = house.service.sessions.listing

        async def look(principal: Any, *given: Any, **how: Any) -> Any:
            seen.append(principal)
            return await listing(principal, *given, **how)

        object.__setattr__(house.service.sessions, "listing", look)
        await phone.ask(
            "GET", "/api/sessions", headers={"cookie": f"{phone.name}={phone.cookie}; roost_session_1=x; theme=dark"}
        )
    (principal,) = seen
    assert principal.headers["cookie"] == "theme=dark"
    assert "x-roost-csrf" not in principal.headers
    assert principal.kind == "super"


async def test_the_log_knows_no_cookie_code_nor_ticket(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with open_house(tmp_path, token="t") as house, browser(house) as phone:
        told = await code(house)
        await phone.pair(told)
        ticket = (await phone.ask("POST", "/api/tickets")).json()["ticket"]
        await phone.ask("GET", f"/api/sessions/none/events?ticket={ticket}")
        other = (await phone.ask("POST", "/api/tickets")).json()["ticket"]
        async with connect(f"ws{house.url[4:]}/api/v1/subscribe?ticket={other}", proxy=None, logger=QUIET):
            pass
        for secret in (told, phone.cookie, phone.csrf, ticket, other):
            assert secret not in served(caplog)
        assert "/api/sessions/none/events" in served(caplog)
        assert "/api/v1/subscribe" in served(caplog)


def served(caplog: pytest.LogCaptureFixture) -> str:
    """What was logged, but for what the client says."""
    return "\n".join(one.getMessage() for one in caplog.records if not one.name.startswith(("http", "client")))


# -- staying in ---------------------------------------------------------------------------------


async def test_a_restart_keeps_the_cookie_and_another_token_does_not(tmp_path: Path) -> None:
    shelf = Shelf()
    async with open_house(tmp_path, token="t", shelf=shelf) as house, paired(house) as phone:
        cookie = phone.cookie
        assert phone.cookie not in repr(shelf.book)
    for token, status in (("t", 200), ("another", 401), ("t", 200)):
        async with open_house(tmp_path, token=token, shelf=shelf) as house, browser(house) as phone:
            phone.client.cookies.set(phone.name, cookie)
            assert (await phone.ask("GET", "/api/sessions")).status_code == status
            assert len((await house.client.get("/web/devices")).json()) == (status == 200)


async def test_of_too_many_browsers_the_one_that_was_away_for_longest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(b, "DEVICES", 3)
    clock = HandClock()
    async with open_house(tmp_path, token="t", clock=clock) as house, paired(house) as first, paired(house) as second:
        clock.wind(120)
        assert (await first.ask("GET", "/api/ping")).status_code == 200
        async with paired(house), paired(house) as last:
            assert (await first.ask("GET", "/api/ping")).status_code == 200
            assert (await second.ask("GET", "/api/ping")).status_code == 401
            assert (await last.ask("GET", "/api/ping")).status_code == 200
            assert len((await house.client.get("/web/devices")).json()) == 3


async def test_codes_without_end_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b, "CODES", 2)
    clock = HandClock()
    async with open_house(tmp_path, token="t", clock=clock) as house:
        for _ in range(2):
            await code(house)
        refused = await house.client.post("/web/codes")
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_value")
        clock.wind(b.CODE_LIFETIME + 1)
        await code(house)


async def test_servers_beside_each_other_let_one_browser_in_each(tmp_path: Path) -> None:
    """A browser sends the cookies of a host to each of its ports."""
    async with (
        open_house(tmp_path / "one", token="t") as one,
        open_house(tmp_path / "two", token="t") as two,
        paired(one) as here,
        browser(two) as there,
    ):
        there.client.cookies = here.client.cookies
        assert (await there.pair(await code(two))).status_code == 200
        for page in (here, there):
            assert (await page.ask("GET", "/web/session")).json()["paired"]
        assert (await there.ask("DELETE", "/web/session")).status_code == 200
        assert not (await there.ask("GET", "/web/session")).json()["paired"]
        assert (await here.ask("GET", "/web/session")).json()["paired"]


async def test_a_browser_that_comes_back_may_stay(tmp_path: Path) -> None:
    clock = HandClock()
    async with open_house(tmp_path, token="t", clock=clock) as house, paired(house) as phone:
        for _ in range(3):
            clock.wind(29 * 86400)
            assert (await phone.ask("GET", "/api/ping")).status_code == 200
        clock.wind(30 * 86400 + 1)
        assert (await phone.ask("GET", "/api/ping")).status_code == 401
        assert (await phone.ask("GET", "/web/session")).json()["paired"] is False


async def test_devices_are_listed_as_people_know_them(tmp_path: Path) -> None:
    clock = HandClock()
    desktop = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
    async with open_house(tmp_path, token="t", clock=clock) as house, paired(house) as phone:
        clock.wind(100)
        async with paired(house, desktop) as desk:
            clock.wind(100)
            found = (await desk.ask("GET", "/web/devices")).json()
            assert [(one["label"], one["current"]) for one in found] == [
                ("Chrome on Linux", True),
                ("Safari on iPhone", False),
            ]
            assert (await phone.ask("GET", "/web/devices")).json()[0]["current"] is True
            assert all(set(one) == {"id", "label", "user", "created_at", "last_seen_at", "expires_at", "current"}
                       for one in found)  # fmt: skip


# -- going --------------------------------------------------------------------------------------


async def test_leaving_ends_the_session_here_and_there(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        kept = phone.cookie
        left = await phone.ask("DELETE", "/web/session")
        assert left.json()["paired"] is False
        assert "Max-Age=0" in left.headers["set-cookie"]
        assert not phone.client.cookies
        phone.client.cookies.set(phone.name, kept)
        assert (await phone.ask("GET", "/api/ping")).status_code == 401
        assert (await phone.ask("DELETE", "/web/session")).status_code == 401


async def test_the_logout_of_the_other_door_ends_it_too(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        assert (await phone.ask("POST", "/api/v1/logout")).status_code == 200
        assert (await phone.ask("GET", "/api/ping")).status_code == 401


async def test_a_device_that_is_sent_away_is_out_at_once_and_its_streams_end(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone, paired(house) as other:
        session = await house.session()
        headers = {"sec-fetch-site": "same-origin"}
        ours = [one for one in (await phone.ask("GET", "/web/devices")).json() if one["current"]]
        async with phone.client.stream("GET", f"/api/sessions/{session}/events", headers=headers) as stream:
            assert stream.status_code == 200
            gone = await other.ask("DELETE", f"/web/devices/{ours[0]['id']}")
            assert gone.status_code == 200
            with anyio.fail_after(10):
                async for _ in stream.aiter_raw():
                    pass
        assert (await phone.ask("GET", "/api/ping")).status_code == 401
        assert (await other.ask("GET", "/api/ping")).status_code == 200
        again = await other.ask("DELETE", f"/web/devices/{ours[0]['id']}")
        assert (again.status_code, again.json()["code"]) == (404, "device_not_found")


# -- accounts -----------------------------------------------------------------------------------


@pytest.fixture
def ann(tmp_path: Path) -> dict[str, str]:
    return {"username": "ann", "password": "correct horse"}


async def test_an_account_comes_in_by_its_password_and_sees_its_own(tmp_path: Path, ann: dict[str, str]) -> None:
    async with open_house(tmp_path, token="t") as house, browser(house) as phone, paired(house) as keeper:
        await house.service.accounts.add(OPERATOR, "ann", ann["password"], str(tmp_path / "ann"))
        theirs = await house.session()
        wrong = await phone.ask("POST", "/web/login", json=ann | {"password": "guess"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "login_refused")
        entered = await phone.ask("POST", "/web/login", json=ann)
        assert (entered.json()["user"], entered.json()["paired"]) == ("ann", True)
        phone.csrf = entered.json()["csrf"]
        assert (await phone.ask("GET", "/api/sessions")).json() == []
        assert (await phone.ask("GET", f"/api/sessions/{theirs}")).status_code == 404
        own = (await phone.ask("POST", "/api/sessions", json={})).json()["id"]
        assert (await house.store.head(LogId(own))).owner == "ann"
        assert [one["user"] for one in (await phone.ask("GET", "/web/devices")).json()] == ["ann"]
        assert {one["user"] for one in (await keeper.ask("GET", "/web/devices")).json()} == {"", "ann"}
        (mine,) = [one for one in (await keeper.ask("GET", "/web/devices")).json() if one["current"]]
        assert (await phone.ask("DELETE", f"/web/devices/{mine['id']}")).status_code == 404


async def test_a_code_of_an_account_lets_in_as_that_account(tmp_path: Path, ann: dict[str, str]) -> None:
    async with open_house(tmp_path, token="t") as house, browser(house) as phone:
        await house.service.accounts.add(OPERATOR, "ann", ann["password"], str(tmp_path / "ann"))
        token = (await house.client.post("/api/v1/login", json=ann)).json()["token"]
        told = await code(house, authorization=f"Bearer {token}")
        assert (await phone.pair(told)).json()["user"] == "ann"


async def test_a_code_says_whose_it_is_before_it_is_used(tmp_path: Path, ann: dict[str, str]) -> None:
    async with open_house(tmp_path, token="t") as house, browser(house) as phone:
        assert (await phone.ask("GET", "/web/session")).json()["accounts"] is False
        await house.service.accounts.add(OPERATOR, "ann", ann["password"], str(tmp_path / "ann"))
        shown = (await phone.ask("GET", "/web/session")).json()
        assert shown["accounts"] is True
        token = (await house.client.post("/api/v1/login", json=ann)).json()["token"]
        hers, ours = await code(house, authorization=f"Bearer {token}"), await code(house)
        for told, user in ((hers, "ann"), (ours, "")):
            answer = await phone.ask("POST", "/web/whose", json={"code": told})
            assert (answer.status_code, answer.json()["user"], answer.json()["host"]) == (200, user, shown["host"])
            assert "set-cookie" not in answer.headers
        assert (await phone.pair(hers)).json()["user"] == "ann"
        gone = await phone.ask("POST", "/web/whose", json={"code": hers})
        assert (gone.status_code, gone.json()["code"]) == (410, "pairing_refused")


async def test_to_ask_whose_a_code_is_is_no_way_to_guess_more(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, browser(house) as phone:
        told = await code(house)
        tried = [(await phone.ask("POST", "/web/whose", json={"code": told if n % 2 else "x"})) for n in range(11)]
        assert [answer.status_code for answer in tried] == [410, 200] * 5 + [429]
        assert (await phone.pair(told)).status_code == 429


@pytest.mark.parametrize("change", ["password", "disable", "remove"])
async def test_what_ends_an_account_ends_its_browsers_and_codes(
    tmp_path: Path, ann: dict[str, str], change: str
) -> None:
    async with open_house(tmp_path, token="t") as house, browser(house) as phone, browser(house) as later:
        accounts = house.service.accounts
        await accounts.add(OPERATOR, "ann", ann["password"], str(tmp_path / "ann"))
        token = (await house.client.post("/api/v1/login", json=ann)).json()["token"]
        await phone.pair(await code(house, authorization=f"Bearer {token}"))
        told = await code(house, authorization=f"Bearer {token}")
        own = (await phone.ask("POST", "/api/sessions", json={})).json()["id"]
        headers = {"sec-fetch-site": "same-origin"}
        async with phone.client.stream("GET", f"/api/sessions/{own}/events", headers=headers) as stream:
            if change == "password":
                await accounts.set_password(OPERATOR, "ann", "another one")
            elif change == "disable":
                await accounts.enable(OPERATOR, "ann", False)
            else:
                await accounts.remove(OPERATOR, "ann")
            with anyio.fail_after(10):
                async for _ in stream.aiter_raw():
                    pass
        assert (await phone.ask("GET", "/api/sessions")).status_code == 401
        assert (await later.pair(told)).status_code == 410


# -- tickets ------------------------------------------------------------------------------------


async def test_a_ticket_opens_one_stream(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house:
        session = await house.session()
        path = f"/api/sessions/{session}/events"
        async with httpx2.AsyncClient(verify=tls.trusted(), base_url=house.url, trust_env=False) as stranger:
            made = await house.client.post("/api/tickets")
            assert made.headers["cache-control"] == "no-store"
            ticket = made.json()["ticket"]
            assert (await stranger.get(f"/api/sessions?ticket={ticket}")).status_code == 401  # no stream
            async with stranger.stream("GET", f"{path}?ticket={ticket}&since=0") as stream:
                assert stream.status_code == 200
            assert (await stranger.get(f"{path}?ticket={ticket}")).status_code == 401
            assert (await stranger.get(f"{path}?ticket=")).status_code == 401
            assert (await stranger.get(f"{path}?ticket=guess")).status_code == 401


async def test_a_ticket_is_good_for_half_a_minute(tmp_path: Path) -> None:
    clock = HandClock()
    async with open_house(tmp_path, token="t", clock=clock) as house:
        session = await house.session()
        ticket = (await house.client.post("/api/tickets")).json()["ticket"]
        clock.wind(31)
        async with httpx2.AsyncClient(verify=tls.trusted(), base_url=house.url, trust_env=False) as stranger:
            late = await stranger.get(f"/api/sessions/{session}/events?ticket={ticket}")
            assert late.status_code == 401


async def test_what_a_ticket_opened_ends_with_the_browser_that_asked_for_it(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        session = await house.session()
        ticket = (await phone.ask("POST", "/api/tickets")).json()["ticket"]
        async with httpx2.AsyncClient(verify=tls.trusted(), base_url=house.url, trust_env=False, timeout=20) as bare:
            path = f"/api/sessions/{session}/events?ticket={ticket}"
            async with bare.stream("GET", path) as stream:
                assert stream.status_code == 200
                await phone.ask("DELETE", "/web/session")
                with anyio.fail_after(10):
                    async for _ in stream.aiter_raw():
                        pass


# -- WebSockets ---------------------------------------------------------------------------------


async def test_a_web_socket_of_our_page_is_opened_by_the_cookie_and_ends_with_it(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        where = f"ws{house.url[4:]}/api/v1/subscribe"
        cookie = {"cookie": f"{phone.name}={phone.cookie}"}
        for headers in (cookie, {**cookie, "origin": "https://evil.example"}, {"origin": house.url}):
            with pytest.raises(InvalidStatus) as refused:
                await connect(where, additional_headers=headers, proxy=None)
            assert refused.value.response.status_code == (401 if "cookie" not in headers else 403)
        async with connect(where, additional_headers=cookie | {"origin": house.url}, proxy=None) as socket:
            await phone.ask("DELETE", "/web/session")
            with anyio.fail_after(10), pytest.raises(ConnectionClosed) as closed:
                while True:
                    await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


async def test_a_web_socket_is_opened_by_a_ticket_once(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        ticket = (await phone.ask("POST", "/api/tickets")).json()["ticket"]
        where = f"ws{house.url[4:]}/api/v1/subscribe?ticket={ticket}"
        async with connect(where, proxy=None):
            pass
        with pytest.raises(InvalidStatus) as refused:
            await connect(where, proxy=None)
        assert refused.value.response.status_code == 401


def test_codes_and_cookies_are_not_shorter_than_they_should_be() -> None:
    assert b.CODE_LIFETIME == 600
    assert b.LIFETIME == 30 * 86400
