"""Agent files at http(s) addresses: asked for with the mark of what we have, and kept for when nobody answers."""

import hashlib
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from anyio import to_thread
from msgspec import Struct

from roost import private
from roost.config.references import is_near
from roost.config.transfer import Told, ask, open_client
from roost.config.yaml import LARGEST
from roost.core.errors import AgentUnreachable

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

GITHUB: Final = ("github.com", "raw.githubusercontent.com", "gist.githubusercontent.com")


class Page(Struct, frozen=True):
    """What an address led to, and the mark (ETag) by which the server knows it."""

    raw: bytes
    mark: str = ""


class Pages:
    """A folder of what was fetched: for each address a file, and its mark beside it."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder = folder
        self._env = env

    async def kept(self, address: str) -> Page | None:
        """What is here of an address."""
        return await to_thread.run_sync(self._read, address)

    async def fetch(self, address: str, kept: Page | None, told: Told) -> Page:
        """What the address leads to now; `kept` itself where the server says that it still holds.

        `told` hears of the bytes as they come.

        Raises:
            AgentUnreachable: it can't be fetched.
        """
        mark = {"if-none-match": kept.mark} if kept is not None and kept.mark else {}
        async with open_client(near=is_near(address)) as client:
            reply = await ask(client, "GET", address, most=LARGEST, headers=mark, authorize=self._authorize, told=told)
        if reply.status == 304 and kept is not None:
            return kept
        if reply.status != 200:
            raise AgentUnreachable(f"{address} can't be fetched: HTTP {reply.status}")
        page = Page(reply.body, reply.headers.get("etag", ""))
        await to_thread.run_sync(self._write, address, page)
        return page

    def _authorize(self, url: "httpx2.URL") -> Mapping[str, str]:
        token = self._env.get("GITHUB_TOKEN", "")
        if token and url.scheme == "https" and url.host in GITHUB and url.port in (None, 443):
            return {"authorization": f"Bearer {token}"}
        return {}

    def _paths(self, address: str) -> tuple[Path, Path]:
        name = hashlib.sha256(address.encode()).hexdigest()
        return self._folder / name, self._folder / f"{name}.etag"

    def _read(self, address: str) -> Page | None:
        content, mark = self._paths(address)
        try:
            raw = content.read_bytes()
        except OSError:
            return None
        with suppress(OSError, UnicodeDecodeError):
            told = mark.read_text("ascii")
            return Page(raw, told if told.isprintable() else "")
        return Page(raw)

    def _write(self, address: str, page: Page) -> None:
        """The mark goes first and comes last: one that is beside another content would hide the next change."""
        content, mark = self._paths(address)
        try:
            mark.unlink(missing_ok=True)
            private.write(content, page.raw)
            if page.mark.isascii() and page.mark:
                private.write(mark, page.mark.encode())
        except OSError as error:
            log.warning("%s can't be kept: %s", address, error, extra={"action": "cache_unwritable"})


def reject_login(address: str) -> str:
    """Why an address can't be served; "" where it can: ids are shown to every client."""
    try:
        parts = urlsplit(address)
        if not parts.hostname or parts.port == 0:
            return "it names no host"
    except ValueError as error:
        return str(error)
    return "it holds a login, which every client would be shown" if "@" in parts.netloc else ""
