"""A browser, as far as a server sees it: its cookies, its origin, and the headers that it adds by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from roost.testing.house import PATIENCE, House
from roost.wire import tls

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)


class Browser:
    """A page of ours, open in a browser."""

    def __init__(self, client: httpx2.AsyncClient, url: str) -> None:
        self.client = client
        self.url = url
        self.csrf = ""

    async def ask(self, method: str, path: str, **how: Any) -> httpx2.Response:
        """As `fetch` in a page of ours does it."""
        headers = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", **how.pop("headers", {})}
        if method not in ("GET", "HEAD"):
            headers = {"origin": self.url, "x-roost-csrf": self.csrf, **headers}
        headers = {name: value for name, value in headers.items() if value is not None}
        return await self.client.request(method, path, headers=headers, **how)

    async def pair(self, code: str) -> httpx2.Response:
        """Come in."""
        answer = await self.ask("POST", "/web/pair", json={"code": code})
        if answer.status_code == 200:
            self.csrf = answer.json()["csrf"]
        return answer

    @property
    def cookie(self) -> str:
        """What it is known by."""
        return str(self.client.cookies[self.name])

    @property
    def name(self) -> str:
        """What that is called at this server."""
        return f"roost_session_{self.url.rpartition(':')[2]}"


@asynccontextmanager
async def browser(house: House, agent: str = PHONE) -> AsyncIterator[Browser]:
    """One that nobody knows yet."""
    headers = {"user-agent": agent}
    async with httpx2.AsyncClient(
        verify=tls.trusted(), base_url=house.url, headers=headers, timeout=PATIENCE, trust_env=False
    ) as client:
        yield Browser(client, house.url)


async def code(house: House, **headers: str) -> str:
    """A pairing code, by the client of the house or with another token."""
    answer = await house.client.post("/web/codes", headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["code"])


@asynccontextmanager
async def paired(house: House, agent: str = PHONE, **headers: str) -> AsyncIterator[Browser]:
    """One that has been let in."""
    async with browser(house, agent) as one:
        answer = await one.pair(await code(house, **headers))
        assert answer.status_code == 200, answer.text
        yield one
