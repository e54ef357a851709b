"""Browsers, pairing codes and subscriptions: in a dict, and in a SQLite file."""

from collections.abc import Callable, Sequence
from typing import Any

import anyio.lowlevel
from apsw import Connection

from roost.core.accounts import Account
from roost.core.browsers import Browser, PairingCode, Subscription
from roost.core.errors import AccountNotFound
from roost.core.ids import Micros
from roost.ports import Visit
from roost.stores import accounts, queries
from roost.stores.accounts import Access, Book

Q = queries.load("browsers")
MARK = queries.load("accounts")["changed"]


class MemoryBrowsers:
    """`ports.Browsers` over a dict."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def keep(self, browser: Browser, *, only_if: Callable[[Account], None]) -> None:
        """See `Browsers.keep`."""
        await anyio.lowlevel.checkpoint()
        if browser.account:
            if (account := self._book.accounts.get(browser.account)) is None:
                raise AccountNotFound(browser.account)
            only_if(account)
        self._book.browsers[browser.id] = browser

    async def find(self, digest: str, *, at: Micros) -> Visit | None:
        """See `Browsers.find`."""
        await anyio.lowlevel.checkpoint()
        for one in self._book.browsers.values():
            if one.digest == digest and one.expires_at > at:
                return Visit(one, self._book.accounts.get(one.account))
        return None

    async def all(self) -> Sequence[Browser]:
        """See `Browsers.all`."""
        await anyio.lowlevel.checkpoint()
        return tuple(sorted(self._book.browsers.values(), key=lambda one: (one.created_at, one.id)))

    async def seen(self, id: str, *, at: Micros, expires_at: Micros) -> None:
        """See `Browsers.seen`."""
        await anyio.lowlevel.checkpoint()
        self._book.see(id, at, expires_at)

    async def forget(self, id: str) -> None:
        """See `Browsers.forget`."""
        await anyio.lowlevel.checkpoint()
        self._book.forget(lambda one: one.id == id)

    async def offer(self, code: PairingCode) -> None:
        """See `Browsers.offer`."""
        await anyio.lowlevel.checkpoint()
        self._book.codes[code.digest] = code

    async def offered(self, digest: str, *, at: Micros) -> PairingCode | None:
        """See `Browsers.offered`."""
        await anyio.lowlevel.checkpoint()
        code = self._book.codes.get(digest)
        return code if code is not None and code.expires_at > at else None

    async def use(self, digest: str, *, at: Micros) -> PairingCode | None:
        """See `Browsers.use`."""
        await anyio.lowlevel.checkpoint()
        code = self._book.codes.pop(digest, None)
        return code if code is not None and code.expires_at > at else None

    async def subscribe(self, subscription: Subscription) -> None:
        """See `Browsers.subscribe`."""
        await anyio.lowlevel.checkpoint()
        self._book.subscriptions[subscription.endpoint] = subscription

    async def unsubscribe(self, endpoint: str) -> None:
        """See `Browsers.unsubscribe`."""
        await anyio.lowlevel.checkpoint()
        self._book.subscriptions.pop(endpoint, None)

    async def subscriptions(self) -> Sequence[Subscription]:
        """See `Browsers.subscriptions`."""
        await anyio.lowlevel.checkpoint()
        return tuple(sorted(self._book.subscriptions.values(), key=lambda one: (one.created_at, one.endpoint)))

    async def purge(self, *, at: Micros) -> None:
        """See `Browsers.purge`."""
        await anyio.lowlevel.checkpoint()
        self._book.forget(lambda one: one.expires_at <= at)
        self._book.codes = {key: code for key, code in self._book.codes.items() if code.expires_at > at}


class SqliteBrowsers:
    """`ports.Browsers` over a SQLite file."""

    def __init__(self, read: Access, write: Access) -> None:
        self._read = read
        self._write = write

    async def keep(self, browser: Browser, *, only_if: Callable[[Account], None]) -> None:
        """See `Browsers.keep`."""

        def keep(db: Connection) -> None:
            if browser.account:
                only_if(accounts.there(db, browser.account))
            b = browser
            row = (b.id, b.digest, b.account, b.bond, b.label, b.created_at, b.seen_at, b.expires_at)
            db.execute(Q["keep"], row)

        await accounts.within(self._write, keep)

    async def find(self, digest: str, *, at: Micros) -> Visit | None:
        """See `Browsers.find`."""

        def find(db: Connection) -> Visit | None:
            for row in queries.rows(db, Q["find"], (digest, at)):
                browser = _browser(row)
                return Visit(browser, accounts.find(db, browser.account) if browser.account else None)
            return None

        return await self._read(find)

    async def all(self) -> Sequence[Browser]:
        """See `Browsers.all`."""
        return await self._read(lambda db: tuple(_browser(row) for row in queries.rows(db, Q["all"])))

    async def seen(self, id: str, *, at: Micros, expires_at: Micros) -> None:
        """See `Browsers.seen`."""
        await self._do("seen", at, expires_at, id)

    async def forget(self, id: str) -> None:
        """See `Browsers.forget`."""
        await accounts.within(self._write, lambda db: _delete(db, "forget", id))

    async def offer(self, code: PairingCode) -> None:
        """See `Browsers.offer`."""
        await self._do("offer", code.digest, code.account, code.bond, code.expires_at)

    async def offered(self, digest: str, *, at: Micros) -> PairingCode | None:
        """See `Browsers.offered`."""
        return await self._read(lambda db: _code(db, digest, at))

    async def use(self, digest: str, *, at: Micros) -> PairingCode | None:
        """See `Browsers.use`."""

        def use(db: Connection) -> PairingCode | None:
            found = _code(db, digest, at)
            db.execute(Q["use"], (digest,))
            return found

        return await accounts.within(self._write, use)

    async def subscribe(self, subscription: Subscription) -> None:
        """See `Browsers.subscribe`."""
        s = subscription
        await self._do("subscribe", s.endpoint, s.browser, s.account, s.public, s.secret, s.created_at)

    async def unsubscribe(self, endpoint: str) -> None:
        """See `Browsers.unsubscribe`."""
        await self._do("unsubscribe", endpoint)

    async def subscriptions(self) -> Sequence[Subscription]:
        """See `Browsers.subscriptions`."""

        def read(db: Connection) -> tuple[Subscription, ...]:
            return tuple(_subscription(row) for row in queries.rows(db, Q["subscriptions"]))

        return await self._read(read)

    async def purge(self, *, at: Micros) -> None:
        """See `Browsers.purge`."""

        def purge(db: Connection) -> None:
            _delete(db, "purge", at)
            db.execute(Q["purge_codes"], (at,))

        await accounts.within(self._write, purge)

    async def _do(self, query: str, *values: Any) -> None:
        def do(db: Connection) -> None:
            db.execute(Q[query], values)

        await accounts.within(self._write, do)


def _code(db: Connection, digest: str, at: Micros) -> PairingCode | None:
    """A code that has not expired by `at`."""
    for known, account, bond, expires_at in queries.rows(db, Q["code"], (digest,)):
        return PairingCode(known, account, bond, Micros(expires_at)) if expires_at > at else None
    return None


def _delete(db: Connection, query: str, what: str | int) -> None:
    """Forget some browsers, and where they could be told something."""
    before = db.total_changes()
    db.execute(Q[query], (what,))
    if db.total_changes() > before:
        db.execute(Q["orphans"])
        db.execute(MARK)


def _browser(row: Sequence[Any]) -> Browser:
    name, digest, account, bond, label, *times = row
    return Browser(name, digest, account, bond, label, *map(Micros, times))


def _subscription(row: Sequence[Any]) -> Subscription:
    endpoint, browser, account, public, secret, created_at = row
    return Subscription(endpoint, browser, account, public, secret, Micros(created_at))
