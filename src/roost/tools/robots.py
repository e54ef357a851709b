"""What a site's robots.txt lets us fetch."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from roost.tools.tool import Refused
from roost.tools.web import AGENT, Request, Web

_MOST = 500 * 1024  # bytes of a robots.txt
_PATIENCE = 10.0


if TYPE_CHECKING:
    from urllib.robotparser import RobotFileParser


class Robots:
    """The rules of the sites that one call meets, each read once."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._agent = web.headers.get("user-agent", AGENT)
        self._rules: dict[str, RobotFileParser] = {}
        self._reading: dict[str, anyio.Lock] = {}

    async def permit(self, url: str) -> None:
        """See that a page may be fetched.

        Raises:
            Refused: it may not, or its site does not say.
        """
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        async with self._reading.setdefault(site, anyio.Lock()):
            if site not in self._rules:
                self._rules[site] = await self._read(f"{site}/robots.txt")
        if not self._rules[site].can_fetch(self._agent, url):
            raise Refused("the robots.txt of the site does not allow it")

    async def _read(self, url: str) -> "RobotFileParser":
        """Without a robots.txt all is allowed; where the server fails, nothing is."""
        from urllib.robotparser import RobotFileParser  # it brings much of urllib, for few

        rules = RobotFileParser()
        reply = await self._web.ask(Request(url), most=_MOST, timeout=min(self._web.timeout, _PATIENCE))
        if reply.status >= 500:
            raise Refused(f"the robots.txt of the site can't be read (HTTP {reply.words})")
        rules.parse(reply.text().splitlines() if reply.good else [])
        return rules
