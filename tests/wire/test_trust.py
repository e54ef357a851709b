"""Clients trust the certificates of this machine, which are read when the first of them is needed."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from roost.config import certificates
from roost.wire import tls

pytestmark = pytest.mark.anyio

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"


@asynccontextmanager
async def listening(context: ssl.SSLContext | None, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """A server that says `hi`; its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, host, 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def pair(tmp_path: Path) -> certificates.Pair:
    return certificates.own(tmp_path, "localhost")


async def said(url: str) -> str:
    async with httpx2.AsyncClient(verify=tls.trusted(), trust_env=False) as client:
        return (await client.get(url)).text


async def test_a_server_is_trusted_whose_certificate_the_environment_names(
    pair: certificates.Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pair.cert))
    async with listening(certificates.context(pair)) as port:
        assert await said(f"https://localhost:{port}/") == "hi"


async def test_a_server_whom_nobody_knows_is_not_trusted(
    pair: certificates.Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    async with listening(certificates.context(pair)) as port:
        with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await said(f"https://localhost:{port}/")


async def test_a_certificate_for_another_name_is_not_taken(
    pair: certificates.Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pair.cert))
    async with listening(certificates.context(pair), "127.0.0.2") as port:
        with pytest.raises(httpx2.ConnectError, match=r"127\.0\.0\.2"):
            await said(f"https://127.0.0.2:{port}/")


async def test_nothing_is_read_until_a_server_shows_its_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    monkeypatch.setattr(tls, "_read", lambda *places: read.append(places))
    async with listening(None) as port:
        assert await said(f"http://localhost:{port}/") == "hi"
    assert not read
