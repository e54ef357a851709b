"""Messages on their way: to the push services of browsers, and to a webhook."""

import hashlib
import ipaddress
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import msgspec
from msgspec import Struct

from roost.addresses import public
from roost.core.browsers import Subscription
from roost.core.errors import BadValue
from roost.core.notices import Notice
from roost.couriers import webhook
from roost.ports import Delivery
from roost.wire import tls
from roost.wire.json import moment

if TYPE_CHECKING:
    import httpx2

    from roost.couriers.push import Sender

log = logging.getLogger(__name__)

PATIENCE = 15.0  # seconds for an answer
KEPT = 24 * 3600  # seconds that a push service may keep a message for a browser that sleeps
LONGEST = 2000  # characters of an endpoint
CUT = 1000  # characters of a text that is pushed


class Told(Struct, frozen=True, omit_defaults=True):
    """A webhook's message.  `text` alone is what chats show."""

    type: str
    id: str
    kind: str
    session_id: str
    title: str
    agent: str
    opened_at: str
    text: str
    tool: str = ""
    url: str = ""
    message: str = ""
    arguments: str = ""


class Forbidden(Exception):
    """An address that no browser may lead us to."""


class Couriers:
    """`ports.Couriers` over HTTP.  A `sender` pushes; a `hook` has a secret; `private` push services will do.

    `hooks` is a client that goes where it is sent; `pushes` one that goes where browsers may send it.
    """

    def __init__(
        self,
        hooks: "httpx2.AsyncClient",
        pushes: "httpx2.AsyncClient",
        sender: "Sender | None",
        *,
        hook: str,
        secret: str,
        private: bool,
    ) -> None:
        self._hooks = hooks
        self._pushes = pushes
        self._sender = sender
        self._hook = hook
        self._secret = secret
        self._private = private

    @property
    def key(self) -> str:
        """See `Couriers.key`."""
        return self._sender.public if self._sender is not None else ""

    @property
    def webhook(self) -> str:
        """See `Couriers.webhook`."""
        return self._hook

    def check(self, subscription: Subscription) -> None:
        """See `Couriers.check`."""
        parts = urlsplit(subscription.endpoint)
        schemes = ("https", "http") if self._private else ("https",)
        if parts.scheme not in schemes or not parts.hostname or len(subscription.endpoint) > LONGEST:
            raise BadValue("the endpoint has to be an https address")
        if "@" in parts.netloc or not subscription.endpoint.isascii():
            raise BadValue("the endpoint can't be an address of a push service")
        # Cryptography takes long to load, and most servers push nothing.
        from roost.couriers import push

        push.checked(subscription.public, subscription.secret)

    async def push(self, to: Subscription, notice: Notice) -> Delivery:
        """See `Couriers.push`."""
        # See above.
        from roost.couriers import push

        assert self._sender is not None
        title, said = notice.title or "Roost", notice.text
        if more := notice.message or notice.arguments:
            said = f"{said}\n{more}"
        shown = {"title": title, "body": said[:CUT], "tag": notice.wait, "go": "#/inbox", "session": notice.session}
        try:
            raw = push.sealed(msgspec.json.encode(shown), to.public, to.secret)
        except BadValue as error:
            return Delivery("refused", str(error))
        headers = {
            "authorization": self._sender.authorization(to.endpoint),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(KEPT),
            "urgency": "high",
            "topic": push.encoded(hashlib.sha256(notice.wait.encode()).digest()[:24]),  # a second one replaces it
        }
        return await _post(self._pushes, to.endpoint, raw, headers)

    async def hook(self, notice: Notice) -> Delivery:
        """See `Couriers.hook`."""
        told = Told(
            type="wait.opened",
            id=notice.wait,
            kind=notice.kind,
            session_id=notice.session,
            title=notice.title,
            agent=notice.agent,
            opened_at=moment(notice.opened_at),
            text=f"{notice.text} ({notice.title})" if notice.title else notice.text,
            tool=notice.tool,
            url=notice.url,
            message=notice.message,
            arguments=notice.arguments,
        )
        raw = msgspec.json.encode(told)
        signed = webhook.signature(self._secret, raw, int(time.time()))
        headers = {"content-type": "application/json", "user-agent": "roost", webhook.HEADER: signed}
        return await _post(self._hooks, self._hook, raw, headers)


async def _post(client: "httpx2.AsyncClient", url: str, raw: bytes, headers: dict[str, str]) -> Delivery:
    # It takes long to load, and most servers tell nobody anything.
    import httpx2

    try:
        with anyio.fail_after(PATIENCE):  # whoever answers byte by byte is late as well
            async with client.stream("POST", url, content=raw, headers=headers) as answer:
                return _outcome(answer.status_code, answer.headers.get("retry-after", ""))
    except TimeoutError:
        return Delivery("again", "no answer in time")
    except (Forbidden, httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
        return Delivery("refused", str(error))
    except (httpx2.HTTPError, OSError) as error:
        return Delivery("again", str(error) or type(error).__name__)


def _outcome(status: int, after: str) -> Delivery:
    if 200 <= status < 300:
        return Delivery("done")
    if status in (404, 410):
        return Delivery("gone", f"HTTP {status}")
    if status in (408, 425, 429) or status >= 500:
        return Delivery("again", f"HTTP {status}", float(after) if after.isdecimal() and len(after) < 6 else 0.0)
    return Delivery("refused", f"HTTP {status}")


class _Public:
    """Opens connections as `inner` does, to public addresses alone: to the one that was looked at, never by name."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def connect_tcp(self, host: str, port: int, **told: Any) -> Any:
        """Connect, if that may be."""
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(public(ipaddress.ip_address(one.partition("%")[0])) for one in addresses):
            raise Forbidden(f"{host} is not on the open internet (`private = true` in [notify] permits it)")
        return await self._inner.connect_tcp(addresses[0], port, **told)

    async def connect_unix_socket(self, path: str, **told: Any) -> Any:
        """Never."""
        raise Forbidden(f"{path} is a socket")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)


@asynccontextmanager
async def open_couriers(
    *, hook: str = "", secret: str = "", keys: Path | None = None, contact: str = "", private: bool = False
) -> AsyncIterator[Couriers | None]:
    """Those that were asked for; None where nobody is to be told.  `keys` is the file of the key that pushes.

    Raises:
        BadValue: the key can't be used.
    """
    if not (hook or keys):
        yield None
        return
    # See above.
    import httpx2

    from roost.couriers import push

    sender = push.sender(keys, contact) if keys is not None else None
    transport = httpx2.AsyncHTTPTransport(verify=tls.trusted(env=False), trust_env=False)
    pool: Any = transport._pool  # it takes no other way to connect as an argument
    if not private:
        pool._network_backend = _Public(pool._network_backend)
    async with (
        httpx2.AsyncClient(verify=tls.trusted(), timeout=PATIENCE, follow_redirects=False) as hooks,
        httpx2.AsyncClient(transport=transport, timeout=PATIENCE, follow_redirects=False) as pushes,
    ):
        yield Couriers(hooks, pushes, sender, hook=hook, secret=secret, private=private)
