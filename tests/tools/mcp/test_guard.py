"""Where a server may lead us to: its own origin, and public addresses; never further inside."""

import socket

import pytest

from fakes.remote import served
from roost.tools.mcp import guard, oauth

pytestmark = pytest.mark.anyio


async def app(scope: object, receive: object, send: object) -> None:
    body = b"x" * (2 << 20) if scope["path"] == "/large" else b"{}"  # type: ignore[index]
    status = 302 if scope["path"] == "/away" else 200  # type: ignore[index]
    headers = [(b"location", b"http://127.0.0.1:1/")]
    await send({"type": "http.response.start", "status": status, "headers": headers})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": body})  # type: ignore[operator]


async def test_its_own_origin_and_no_other_inside() -> None:
    async with served(app) as one, served(app) as other:
        async with guard.requests(f"{one}/mcp", private=False) as http:
            assert (await http.get(f"{one}/x")).json() == {}
            assert (await http.get(f"{one}/away")).status_code == 302
            for inside in (other, other.replace("127.0.0.1", "localhost")):
                with pytest.raises(guard.Forbidden, match="is a private address"):
                    await http.get(inside)
            with pytest.raises(Exception, match="longer than 1 MiB"):
                await http.get(f"{one}/large")
        async with guard.requests(f"{one}/mcp", private=True) as http:
            assert (await http.get(other)).json() == {}


async def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that was looked at is the one that is connected to: no name can lead elsewhere a moment later."""
    connected: list[str] = []

    class Inner:
        async def connect_tcp(self, host: str, port: int, **told: object) -> None:
            connected.append(host)

    async def found(*told: object, **more: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 443))]

    monkeypatch.setattr("anyio.getaddrinfo", found)
    await guard.Guarded(Inner(), trusted=("x", 1), private=False).connect_tcp("example.com", 443)
    assert connected == ["93.184.216.34"]


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"access_token": ""},
        {"access_token": 1},
        {"access_token": "a\nb"},
        {"access_token": "x", "token_type": "mac"},
    ],
)
def test_tokens_that_are_none(told: dict[str, object]) -> None:
    with pytest.raises(oauth.Failed):
        oauth.token_of(told)


@pytest.mark.parametrize("lifetime", [None, "x", -5, 0])
def test_tokens_of_which_nobody_knows_the_end(lifetime: object) -> None:
    token = oauth.token_of({"access_token": "x", "expires_in": lifetime})
    assert token.expires_at == 0 and not token.near_its_end(1e12)
