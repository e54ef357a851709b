"""A session's login at a tool server: a person agrees in a browser, the token is kept, and renewed before its end."""

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio

from roost.core.errors import Denied, NothingWaits, ToolsetFailed
from roost.core.events import Answer, Authorized
from roost.ports import Ask, Place
from roost.tools.mcp import guard, oauth
from roost.tools.mcp.entry import Entry, Remote
from roost.tools.mcp.failures import leaves, said
from roost.tools.mcp.lobby import Arrival, Lobby
from roost.tools.mcp.vault import Drawer, Kept, Token, Vault

if TYPE_CHECKING:
    import httpx2

OPENED = 900.0  # seconds that a browser has to come back in, once a person has said that it is open

log = logging.getLogger(__name__)


class Login:
    """The login of one toolset; the token itself is shared by all sessions of the account."""

    def __init__(self, entry: Entry, remote: Remote, place: Place, vault: Vault, lobby: Lobby, redirect: str) -> None:
        self._label = entry.label
        self._private = entry.allow_private_ips
        self._remote = remote
        self.url = remote.url
        self._place = place
        self._drawer: Drawer = vault.drawer(place.owner, remote.url)
        self._lobby = lobby
        self._redirect = remote.client.redirect_uri or redirect
        self._lock = anyio.Lock()
        self._sent = ""  # the token that the newest request had
        self._declined = False

    # -- tokens ---------------------------------------------------------------------------------

    async def access(self) -> str:
        """The token to send, renewed if it is near its end; "" where there is none."""
        kept = await self._drawer.get()
        if kept is not None and kept.token.near_its_end(time.time()):
            await self.renew(kept.token.access)
            kept = await self._drawer.get()
        self._sent = kept.token.access if kept is not None else ""
        return self._sent

    async def renew(self, stale: str) -> str:
        """Another token in place of one that is not taken any more; "" where only a person can get one."""
        async with self._drawer.lock:
            kept = await self._drawer.get()
            if kept is None or kept.token.access != stale:  # another session was first
                return kept.token.access if kept is not None else ""
            try:
                async with guard.requests(self._remote.url, private=self._private) as http:
                    renewed = await oauth.renew(http, kept)
            except Exception as error:
                log.warning("%s: the token can't be renewed: %s", self._label, _why(error))
                return ""
            if renewed is None:
                return ""
            await self._drawer.put(renewed)
            return renewed.token.access

    def auth(self) -> "httpx2.Auth | None":
        """What adds the token to requests; None where the agent file has a header of its own for that."""
        if any(name.lower() == "authorization" for name in self._remote.headers):
            return None
        return _bearer(self)

    # -- logging in -----------------------------------------------------------------------------

    async def perform(self, challenge: str) -> None:
        """Have a person log in; the question is answered from any client, or by the browser that comes back.

        Raises:
            ToolsetFailed: there is no login; the message says why.
        """
        if self.auth() is None:
            raise ToolsetFailed(f"{self._label} refuses the Authorization header that the agent file gives it")
        refused = self._sent
        async with self._lock:
            kept = await self._drawer.get()
            if kept is not None and kept.token.access not in ("", refused):
                return  # another call, or another session, has done it meanwhile
            if self._declined:
                raise ToolsetFailed(f"{self._label} wants a login, which was declined")
            if self._place.ask is None:
                raise ToolsetFailed(f"{self._label} wants a login, and nobody can be asked here")
            try:
                await self._logged_in(challenge, self._place.ask)
            except (Denied, NothingWaits) as error:
                await self._tell("decline")
                raise ToolsetFailed(f"{self._label} wants a login, and nobody can be asked: {error}") from None
            except Exception as error:
                if not isinstance(error, (oauth.Failed, guard.Forbidden, OSError, ValueError, *_http_errors())):
                    raise
                await self._tell("decline")
                raise ToolsetFailed(f"the login at {self._label} failed: {_why(error)}") from None
            await self._tell("accept")

    async def _tell(self, confirmation: str) -> None:
        if self._place.tell is not None:
            await self._place.tell(Authorized(confirmation, self._place.agent))

    async def _logged_in(self, challenge: str, ask: Callable[[Ask], Awaitable[Answer]]) -> None:
        async with guard.requests(self._remote.url, private=self._private) as http:
            found = await oauth.discover(http, self._remote.url, challenge, self._remote.client.scopes)
            client = await self._client(http, found) if self._redirect else {}
        if not self._redirect:
            await self._by_client(ask, found)
            return
        trip = oauth.trip(found, client, self._redirect)
        with self._lobby.wait(trip.state) as seat:
            came = await self._first(ask, self._question(found, trip), seat.arrival)
        if came is None:
            return
        arrival = came if isinstance(came, Arrival) else _carried(came, trip, found)
        if arrival is None:
            self._no()
            return
        if not arrival.code:
            raise oauth.Failed(f"{arrival.error}: {arrival.description}"[:300].rstrip(": "))
        await self._exchanged(found, client, arrival.code, trip.verifier)

    async def _exchanged(self, found: oauth.Found, client: dict[str, Any], code: str, verifier: str) -> None:
        try:
            async with guard.requests(self._remote.url, private=self._private) as http:
                kept = await oauth.exchange(http, found, client, self._redirect, code, verifier)
        except oauth.Refused as error:
            if "invalid_client" in str(error) or "unauthorized_client" in str(error):
                await self._drawer.put(Kept(Token("")), quietly=True)  # the next try registers anew
            raise
        await self._drawer.put(kept)

    async def _client(self, http: "httpx2.AsyncClient", found: oauth.Found) -> dict[str, Any]:
        """The client that we are at this authorization server; registered once for all sessions."""
        async with self._drawer.lock:
            kept = await self._drawer.get()
            own = bool(self._remote.client.id)
            same = kept is not None and (kept.issuer, kept.redirect_uri) == (found.issuer, self._redirect)
            if kept is not None and kept.client and same and not own:
                return kept.client
            client = await oauth.register(http, found, self._redirect, self._remote.client)
            if not own:
                token = kept.token if kept is not None else Token("")
                made = Kept(token, found.issuer, found.token, found.resource, self._redirect, client)
                await self._drawer.put(made, quietly=True)
            return client

    async def _by_client(self, ask: Callable[[Ask], Awaitable[Answer]], found: oauth.Found) -> None:
        """The client logs in by itself, and answers with a token."""
        came = await self._first(ask, self._question(found, None), None)
        if came is None:
            return
        if not isinstance(came, Answer) or came.action != "accept":
            self._no()
            return
        content = came.content or {}
        token = oauth.token_of(content)
        client = {name: str(content[name]) for name in ("client_id", "client_secret") if content.get(name)}
        await self._drawer.put(Kept(token, found.issuer, found.token, found.resource, "", client))

    def _no(self) -> None:
        self._declined = True
        raise oauth.Failed("it was declined")

    def _question(self, found: oauth.Found, trip: oauth.Trip | None) -> Ask:
        meta: dict[str, Any] = {
            "auth_server": found.issuer,
            "auth_server_metadata": found.server_metadata,
            "resource_metadata": found.resource_metadata,
        }
        for prefix in ("cagent", "docker-agent"):
            meta |= {f"{prefix}/type": "oauth_flow", f"{prefix}/server_url": self._remote.url}
            if trip is not None:
                meta |= {f"{prefix}/authorize_url": trip.url, f"{prefix}/state": trip.state}
        return Ask(f"OAuth authorization required for {self._remote.url}", meta=meta, durable=False)

    async def _first(
        self,
        ask: Callable[[Ask], Awaitable[Answer]],
        question: Ask,
        arrival: Callable[[], Awaitable[Arrival]] | None,
    ) -> Answer | Arrival | None:
        """What comes first: an answer, the browser, or (None) the login of another session."""
        came: list[Answer | Arrival | None] = []
        news = self._drawer.news

        async def until(what: Callable[[], Awaitable[Answer | Arrival | None]]) -> None:
            came.append(await what())
            tasks.cancel_scope.cancel()

        async def answered() -> Answer:
            answer = await ask(question)
            if answer.action == "accept" and not answer.content and arrival is not None:
                await anyio.sleep(OPENED)
                raise oauth.Failed(f"the browser has not come back within {OPENED / 60:g} minutes")
            return answer

        async def elsewhere() -> None:
            await news.wait()

        try:
            async with anyio.create_task_group() as tasks:
                for what in (answered, elsewhere, arrival):
                    if what is not None:
                        tasks.start_soon(until, what)
        except BaseExceptionGroup as group:
            raise next(leaves(group)) from None
        return came[0]


def _carried(answer: Answer, trip: oauth.Trip, found: oauth.Found) -> Arrival | None:
    """What a person's answer brings from the browser; None where it is a no.

    Raises:
        oauth.Failed: it belongs to another login.
    """
    if answer.action != "accept":
        return None
    content = {name: str(value) for name, value in (answer.content or {}).items() if value is not None}
    if content.get("state", "") != trip.state:
        raise oauth.Failed("the answer's state is that of another login, or an old one")
    if content.get("iss") and content["iss"] != found.issuer:
        raise oauth.Failed(f"the answer comes from {content['iss'][:200]}, not from {found.issuer}")
    return Arrival(content.get("code", ""), content.get("error", "no code"), content.get("error_description", ""))


def _http_errors() -> tuple[type[Exception], ...]:
    import httpx2

    return (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL)


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, oauth.Failed | guard.Forbidden) else said(error)


def _bearer(login: Login) -> "httpx2.Auth":
    """Adds the token to each request; where it is not taken any more, a new one."""
    import httpx2

    class Bearer(httpx2.Auth):
        async def async_auth_flow(
            self, request: "httpx2.Request"
        ) -> AsyncGenerator["httpx2.Request", "httpx2.Response"]:
            sent = await login.access()
            if sent:
                request.headers["Authorization"] = f"Bearer {sent}"
            response = yield request
            if response.status_code == 401 and sent and (fresh := await login.renew(sent)):
                request.headers["Authorization"] = f"Bearer {fresh}"
                yield request

    return Bearer()
