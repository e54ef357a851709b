"""Accounts and their tokens: in a dict, and in a SQLite file."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import anyio.lowlevel
from apsw import Connection
from msgspec.structs import replace

from roost.core.accounts import Account, SessionToken, imported
from roost.core.browsers import Browser, PairingCode, Subscription
from roost.core.errors import AccountExists, AccountNotFound, RoostError
from roost.core.ids import Micros, WaitId
from roost.ports import Login, Telling
from roost.stores import queries

Q = queries.load("accounts")
BROWSERS = queries.load("browsers")
T = TypeVar("T")


@dataclass(slots=True)
class Book:
    """What several servers in one process share, as they would share a file."""

    accounts: dict[str, Account] = field(default_factory=dict)
    tokens: dict[str, SessionToken] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    version: int = 0
    browsers: dict[str, Browser] = field(default_factory=dict)
    codes: dict[str, PairingCode] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    tellings: dict[tuple[WaitId, str], Telling] = field(default_factory=dict)

    def see(self, id: str, at: Micros, expires_at: Micros) -> None:
        """A browser was here."""
        if browser := self.browsers.get(id):
            self.browsers[id] = replace(browser, seen_at=at, expires_at=expires_at)

    def forget(self, gone: Callable[[Browser], bool]) -> None:
        """Forget some browsers, and where they could be told something."""
        left = {key: one for key, one in self.browsers.items() if not gone(one)}
        if len(left) == len(self.browsers):
            return
        self.browsers = left
        kept = {endpoint: one for endpoint, one in self.subscriptions.items() if not one.browser or one.browser in left}
        self.subscriptions = kept
        self.version += 1


class MemoryAccounts:
    """`ports.Accounts` over a dict."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def all(self) -> Sequence[Account]:
        """See `Accounts.all`."""
        await anyio.lowlevel.checkpoint()
        return tuple(account for _, account in sorted(self._book.accounts.items()))

    async def find(self, name: str) -> Account | None:
        """See `Accounts.find`."""
        await anyio.lowlevel.checkpoint()
        return self._book.accounts.get(name)

    async def add(self, account: Account) -> None:
        """See `Accounts.add`."""
        if account.name in self._book.accounts:
            raise AccountExists(account.name)
        self._put(account)
        await anyio.lowlevel.checkpoint()

    async def change(self, name: str, edit: Callable[[Account], Account], *, revoke: bool = False) -> Account:
        """See `Accounts.change`."""
        account = edit(self._there(name))
        self._put(account)
        if revoke:
            self._revoke_all(name)
        await anyio.lowlevel.checkpoint()
        return account

    async def remove(self, name: str) -> None:
        """See `Accounts.remove`."""
        self._there(name)
        self._remove(name)
        await anyio.lowlevel.checkpoint()

    async def take_in(self, listed: Sequence[Account]) -> Sequence[str]:
        """See `Accounts.take_in`."""
        found = imported(listed, self._book.marks, self._book.accounts)
        for account in found.written:
            self._put(account)
            self._revoke_all(account.name)
        for name in found.removed:
            self._remove(name)
        self._book.marks = found.marks
        await anyio.lowlevel.checkpoint()
        return found.names

    async def admit(self, token: SessionToken, *, only_if: Callable[[Account], None]) -> None:
        """See `Accounts.admit`."""
        only_if(self._there(token.account))
        self._book.tokens[token.digest] = token
        await anyio.lowlevel.checkpoint()

    async def login(self, digest: str, *, at: Micros) -> Login | None:
        """See `Accounts.login`."""
        await anyio.lowlevel.checkpoint()
        token = self._book.tokens.get(digest)
        if token is None or token.expires_at <= at:
            return None
        return Login(self._book.accounts[token.account], token)

    async def revoke(self, digest: str) -> None:
        """See `Accounts.revoke`."""
        if self._book.tokens.pop(digest, None):
            self._book.version += 1
        await anyio.lowlevel.checkpoint()

    async def purge(self, *, at: Micros) -> int:
        """See `Accounts.purge`."""
        gone = [digest for digest, token in self._book.tokens.items() if token.expires_at <= at]
        for digest in gone:
            del self._book.tokens[digest]
        self._book.version += bool(gone)
        await anyio.lowlevel.checkpoint()
        return len(gone)

    async def version(self) -> int:
        """See `Accounts.version`."""
        await anyio.lowlevel.checkpoint()
        return self._book.version

    def _there(self, name: str) -> Account:
        if (account := self._book.accounts.get(name)) is None:
            raise AccountNotFound(name)
        return account

    def _put(self, account: Account) -> None:
        self._book.accounts[account.name] = account
        self._book.version += 1

    def _remove(self, name: str) -> None:
        del self._book.accounts[name]
        self._revoke_all(name)
        self._book.version += 1

    def _revoke_all(self, name: str) -> None:
        book = self._book
        book.tokens = {digest: token for digest, token in book.tokens.items() if token.account != name}
        book.codes = {digest: code for digest, code in book.codes.items() if code.account != name}
        book.subscriptions = {key: one for key, one in book.subscriptions.items() if one.account != name}
        book.forget(lambda browser: browser.account == name)


class Access(Protocol):
    """A way to the database: something is done with a connection, by a thread that may."""

    def __call__(self, do: Callable[[Connection], T], /) -> Awaitable[T]:
        """What it comes to."""
        ...


class SqliteAccounts:
    """`ports.Accounts` over a SQLite file."""

    def __init__(self, read: Access, write: Access) -> None:
        self._read = read
        self._write = write

    async def all(self) -> Sequence[Account]:
        """See `Accounts.all`."""
        return await self._read(_all)

    async def find(self, name: str) -> Account | None:
        """See `Accounts.find`."""
        return await self._read(lambda db: find(db, name))

    async def add(self, account: Account) -> None:
        """See `Accounts.add`."""

        def add(db: Connection) -> None:
            if find(db, account.name) is not None:
                raise AccountExists(account.name)
            _put(db, account)

        await self._do(add)

    async def change(self, name: str, edit: Callable[[Account], Account], *, revoke: bool = False) -> Account:
        """See `Accounts.change`."""

        def change(db: Connection) -> Account:
            account = edit(there(db, name))
            _put(db, account)
            if revoke:
                _revoke_all(db, name)
            return account

        return await self._do(change)

    async def remove(self, name: str) -> None:
        """See `Accounts.remove`."""

        def remove(db: Connection) -> None:
            there(db, name)
            _remove(db, name)

        await self._do(remove)

    async def take_in(self, listed: Sequence[Account]) -> Sequence[str]:
        """See `Accounts.take_in`."""
        return await self._do(lambda db: _take_in(db, listed))

    async def admit(self, token: SessionToken, *, only_if: Callable[[Account], None]) -> None:
        """See `Accounts.admit`."""

        def admit(db: Connection) -> None:
            only_if(there(db, token.account))
            db.execute(Q["admit"], (token.digest, token.account, token.created_at, token.expires_at))

        await self._do(admit)

    async def login(self, digest: str, *, at: Micros) -> Login | None:
        """See `Accounts.login`."""
        return await self._read(lambda db: _login(db, digest, at))

    async def revoke(self, digest: str) -> None:
        """See `Accounts.revoke`."""
        await self._do(lambda db: _delete(db, "revoke", digest))

    async def purge(self, *, at: Micros) -> int:
        """See `Accounts.purge`."""
        return await self._do(lambda db: _delete(db, "purge", at))

    async def version(self) -> int:
        """See `Accounts.version`."""
        return await self._read(_version)

    async def _do(self, work: Callable[[Connection], T]) -> T:
        return await within(self._write, work)


async def within(write: Access, work: Callable[[Connection], T]) -> T:
    """Do something in a transaction that is shared with others: what it refuses harms nobody else's."""

    def run(db: Connection) -> tuple[T | None, RoostError | None]:
        try:
            return _whole(db, work), None
        except RoostError as error:
            return None, error

    outcome, error = await write(run)
    if error is not None:
        raise error
    return outcome  # type: ignore[return-value]


def _whole(db: Connection, work: Callable[[Connection], T]) -> T:
    """All of some work, or nothing of it."""
    db.execute("SAVEPOINT accounts")
    try:
        outcome = work(db)
    except BaseException:
        db.execute("ROLLBACK TO accounts")
        db.execute("RELEASE accounts")
        raise
    db.execute("RELEASE accounts")
    return outcome


def _all(db: Connection) -> tuple[Account, ...]:
    return tuple(_account(row) for row in queries.rows(db, Q["all"]))


def find(db: Connection, name: str) -> Account | None:
    """The account of this name."""
    rows = queries.rows(db, Q["find"], (name,))
    return _account(rows[0]) if rows else None


def there(db: Connection, name: str) -> Account:
    """The account of this name.

    Raises:
        AccountNotFound: there is none.
    """
    if (account := find(db, name)) is None:
        raise AccountNotFound(name)
    return account


def _put(db: Connection, account: Account) -> None:
    a = account
    db.execute(Q["put"], (a.name, a.password, a.home, a.created_at, a.enabled, a.force_sandbox))
    db.execute(Q["changed"])


def _remove(db: Connection, name: str) -> None:
    db.execute(Q["remove"], (name,))
    _revoke_all(db, name)
    db.execute(Q["changed"])


def _revoke_all(db: Connection, name: str) -> None:
    """Whoever is in by this account is out: its tokens, its browsers, what these are told, and codes for more."""
    db.execute(Q["revoke_all"], (name,))
    db.execute(BROWSERS["withdraw"], (name,))
    db.execute(BROWSERS["forget_of"], (name,))
    db.execute(BROWSERS["unsubscribe_of"], (name,))


def _take_in(db: Connection, listed: Sequence[Account]) -> Sequence[str]:
    marks: dict[str, str] = dict(queries.rows(db, Q["marks"]))
    found = imported(listed, marks, {account.name: account for account in _all(db)})
    for account in found.written:
        _put(db, account)
        _revoke_all(db, account.name)
    for name in found.removed:
        _remove(db, name)
    if found.marks != marks:
        db.execute(Q["forget_marks"])
        db.executemany(Q["mark"], tuple(found.marks.items()))
    return found.names


def _login(db: Connection, digest: str, at: Micros) -> Login | None:
    for row in queries.rows(db, Q["login"], (digest, at)):
        return Login(_account(row[:6]), SessionToken(row[6], row[7], Micros(row[8]), Micros(row[9])))
    return None


def _delete(db: Connection, query: str, what: str | int) -> int:
    before = db.total_changes()
    db.execute(Q[query], (what,))
    if gone := db.total_changes() - before:
        db.execute(Q["changed"])
    return gone


def _version(db: Connection) -> int:
    ((count,),) = queries.rows(db, Q["version"])
    return int(count)


def _account(row: Sequence[Any]) -> Account:
    name, password, home, created_at, enabled, force_sandbox = row
    return Account(name, password, home, Micros(created_at), bool(enabled), bool(force_sandbox))
