"""Accounts: who may log in, who has, and what becomes of those who no longer may."""

import hmac
import logging
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import anyio
from msgspec import Struct
from msgspec.structs import replace

from roost import ports
from roost.core.accounts import Account, SessionToken, digest
from roost.core.errors import AccountExists, AccountNotFound, BadValue, LoginRefused, NoAccounts
from roost.core.ids import Micros
from roost.core.principals import Principal
from roost.service.passwords import Passwords, is_bcrypt
from roost.service.policy import Policy
from roost.service.throttle import Throttle

log = logging.getLogger(__name__)

LIFETIME = 24 * 3600  # seconds that a token is good
LOOK = 0.25  # seconds between two looks at what neighbours have changed
PURGE = 3600.0  # seconds between two looks for tokens that have expired

OPERATOR = Principal(kind="super")
"""Whoever has the server's own token, or the database itself."""


class Roll(Protocol):
    """A list of accounts that somebody else keeps."""

    def news(self) -> Sequence[Account] | None:
        """What it says, if it is new or has changed since the last look; else None."""
        ...

    def forget(self) -> None:
        """What was read could not be used: read it again at the next look."""
        ...


class Login(Struct, frozen=True):
    """A login that went well.  The token is told this once."""

    token: str
    account: Account


class Accounts:
    """Looks after accounts.  A door asks `principal` at each request, and `revoked` beside what takes long.

    `token` is the server's own; `roll` a list that is imported whenever it changes.
    """

    def __init__(self, store: ports.Accounts, clock: ports.Clock, *, token: str = "", roll: Roll | None = None) -> None:
        self._store = store
        self._clock = clock
        self._key = digest(token) if token else ""
        self._roll = roll
        self._passwords = Passwords()
        self._throttle = Throttle(clock.monotonic)
        self._version = -1
        self._enabled = False
        self._bcrypt = False  # whether some account still has such a hash
        self._bell = anyio.Event()  # rings when an account has changed, here or at a neighbour's

    @property
    def enabled(self) -> bool:
        """Whether there are accounts."""
        return self._enabled

    @property
    def required(self) -> bool:
        """Whether callers have to say who they are."""
        return self._enabled or bool(self._key)

    @property
    def bell(self) -> anyio.Event:
        """What rings when an account changes, or a token or a browser goes."""
        return self._bell

    # -- what doors ask -------------------------------------------------------------------------

    async def principal(self, token: str) -> Principal | None:
        """Whose token this is, as things stand at this moment; None for one that opens nothing."""
        if self._is_ours(token):
            return OPERATOR
        await self.look()
        login = await self._good(token)
        return None if login is None else acting(login.account)

    async def revoked(self, token: str) -> None:
        """Return as soon as a token is good no more: logged out, expired, its account removed, disabled or changed."""
        if self._is_ours(token):
            await anyio.sleep_forever()
        while True:
            bell = self._bell
            if (login := await self._good(token)) is None:
                return
            with anyio.move_on_after((login.token.expires_at - self._clock.now()) / 1e6):
                await bell.wait()

    def _is_ours(self, token: str) -> bool:
        return bool(self._key) and hmac.compare_digest(digest(token), self._key)

    async def _good(self, token: str) -> ports.Login | None:
        login = await self._store.login(digest(token), at=self._clock.now())
        return login if login is not None and login.account.enabled else None

    # -- coming in, going out -------------------------------------------------------------------

    async def login(self, name: str, password: str, *, address: str = "") -> Login:
        """A new token, good for a day.

        Raises:
            NoAccounts: there are none.
            TooManyLogins: too many have failed for this name, or from this `address`.
            LoginRefused: wrong name, wrong password, or the account is disabled.
        """
        account = await self.prove(name, password, address=address)
        return Login(await self._admit(account), account)

    async def prove(self, name: str, password: str, *, address: str = "") -> Account:
        """The account of somebody who knows its password.

        Raises:
            NoAccounts, TooManyLogins, LoginRefused: as `login` does.
        """
        await self.refresh()
        if not self._enabled:
            raise NoAccounts
        name = name if _can_be(name) else ""
        self._throttle.attempt(name, address)
        account = await self._store.find(name)
        fits = await self._passwords.fits(password, account.password if account else "", bcrypt=self._bcrypt)
        if account is None or not fits or not account.enabled:
            log.warning("a login as %r from %s was refused", name, address or "here", extra={"action": "login_refused"})
            raise LoginRefused
        self._throttle.forgive(name, address)
        if is_bcrypt(account.password):
            account = await self._renew(account, password)
        await anyio.to_thread.run_sync(_make_home, account.home)
        return account

    async def logout(self, token: str) -> bool:
        """Forget a token; whether it was one that a login gave."""
        if self._is_ours(token):
            return False
        await self._store.revoke(digest(token))
        await self.refresh()
        return True

    async def _renew(self, account: Account, password: str) -> Account:
        """Replace a bcrypt hash, now that the password is known.

        Raises:
            LoginRefused: it was changed meanwhile.
        """
        hashed = await self._passwords.hash(password)

        def renewed(was: Account) -> Account:
            return replace(was, password=hashed) if was.password == account.password else was

        try:
            now = await self._store.change(account.name, renewed)
        except AccountNotFound:
            raise LoginRefused from None
        if now.password != hashed and not await self._passwords.fits(password, now.password, bcrypt=False):
            raise LoginRefused
        return now

    async def _admit(self, account: Account) -> str:
        def same(now: Account) -> None:
            if now.password != account.password or not now.enabled:
                raise LoginRefused

        token, now = secrets.token_hex(32), self._clock.now()
        kept = SessionToken(digest(token), account.name, now, Micros(now + LIFETIME * 1_000_000))
        try:
            await self._store.admit(kept, only_if=same)
        except AccountNotFound:
            raise LoginRefused from None
        return token

    # -- looking after them ---------------------------------------------------------------------

    async def listing(self, principal: Principal) -> Sequence[Account]:
        """Every account, by name.

        Raises:
            Denied: the caller is one of them.
        """
        Policy.admin(principal)
        await self.refresh()
        return await self._store.all()

    async def add(
        self, principal: Principal, name: str, password: str, home: str, *, force_sandbox: bool = False
    ) -> Account:
        """A new account; its home is made if it is not there.

        Raises:
            Denied: the caller is an account.
            BadValue: the name, the password or the home can't be.
            AccountExists: the name is taken.
        """
        Policy.admin(principal)
        name, home = Policy.name(name, "user name"), _normal(home)
        await self.refresh()
        if await self._store.find(name) is not None:
            raise AccountExists(name)
        hashed = await self._passwords.hash(password)
        if not await anyio.to_thread.run_sync(_make_home, home):
            raise BadValue(f"the home directory {home!r} can't be made")
        account = Account(name, hashed, home, self._clock.now(), force_sandbox=force_sandbox)
        await self._store.add(account)
        await self._changed(f"{name} was added", "account_added")
        return account

    async def remove(self, principal: Principal, name: str) -> None:
        """Remove an account; whoever is logged in with it is out at once.  Its home and its sessions stay.

        Raises:
            Denied: the caller is an account.
            AccountNotFound: there is none.
        """
        Policy.admin(principal)
        await self._store.remove(name)
        await self._changed(f"{name} was removed", "account_removed")

    async def set_password(self, principal: Principal, name: str, password: str) -> None:
        """Another password; whoever is logged in with the old one is out at once.

        Raises:
            Denied: the caller is an account.
            BadValue: the password can't be.
            AccountNotFound: there is none of this name.
        """
        Policy.admin(principal)
        hashed = await self._passwords.hash(password)
        await self._change(name, lambda was: replace(was, password=hashed), "has another password", revoke=True)

    async def enable(self, principal: Principal, name: str, enabled: bool) -> Account:
        """Let somebody log in again, or no longer: then whoever is logged in is out at once.

        Raises:
            Denied: the caller is an account.
            AccountNotFound: there is none of this name.
        """
        Policy.admin(principal)
        said = "is enabled" if enabled else "is disabled"
        return await self._change(name, lambda was: replace(was, enabled=enabled), said, revoke=not enabled)

    async def force_sandbox(self, principal: Principal, name: str, force: bool) -> Account:
        """Whether all that this account runs has to be in a sandbox, from the next run on.

        Raises:
            Denied: the caller is an account.
            AccountNotFound: there is none of this name.
        """
        Policy.admin(principal)
        said = "has to use a sandbox" if force else "need not use a sandbox"
        return await self._change(name, lambda was: replace(was, force_sandbox=force), said)

    async def _change(
        self, name: str, edit: Callable[[Account], Account], said: str, *, revoke: bool = False
    ) -> Account:
        account = await self._store.change(name, edit, revoke=revoke)
        await self._changed(f"{name} {said}", "account_changed")
        return account

    async def _changed(self, said: str, action: str) -> None:
        log.info("account %s", said, extra={"action": action})
        await self.refresh()

    # -- keeping up -----------------------------------------------------------------------------

    async def refresh(self) -> None:
        """See what has changed, here, at a neighbour's or in the list, and ring for whoever waits."""
        await self.look()
        version = await self._store.version()
        if version == self._version:
            return
        accounts = await self._store.all()
        self._version = version
        self._enabled = bool(accounts)
        self._bcrypt = any(is_bcrypt(account.password) for account in accounts)
        self._bell.set()
        self._bell = anyio.Event()

    async def watch(self) -> None:
        """Keep up with neighbours and the list, and forget expired tokens, for as long as the server runs."""
        due = self._clock.monotonic()
        while True:
            try:
                await self.refresh()
                if self._clock.monotonic() >= due:
                    await self._store.purge(at=self._clock.now())
                    due = self._clock.monotonic() + PURGE
            except Exception:
                log.exception("accounts can't be looked at", extra={"action": "accounts_failed"})
            await self._clock.sleep(LOOK)

    async def look(self) -> None:
        """Import the list, if it has changed."""
        listed = self._roll.news() if self._roll is not None else None
        if self._roll is None or listed is None:
            return
        try:
            names = await self._store.take_in(list(_fit(listed).values()))
        except BaseException:
            self._roll.forget()
            raise
        if names:
            log.info("accounts imported: %s", ", ".join(names), extra={"action": "accounts_imported"})
            await self.refresh()


def acting(account: Account) -> Principal:
    """Somebody who is in by an account."""
    return Principal(account.name, kind="account", home=account.home, must_sandbox=account.force_sandbox)


def _fit(listed: Sequence[Account]) -> dict[str, Account]:
    """Those of a list that can be accounts here."""
    found = {}
    for account in listed:
        try:
            found[Policy.name(account.name, "user name")] = replace(account, home=_normal(account.home))
        except BadValue as error:
            log.warning("an account is not imported: %s", error, extra={"action": "account_skipped"})
    return found


def _can_be(name: str) -> bool:
    try:
        return bool(Policy.name(name))
    except BadValue:
        return False


def _normal(home: str) -> str:
    """A home directory as it is kept.

    Raises:
        BadValue: it is not absolute, or goes up.
    """
    if not home.startswith("/") or "\0" in home or ".." in Path(home).parts:
        raise BadValue(f"a home directory must be absolute, without '..', and {home[:100]!r} is not")
    return "/" + os.path.normpath(home).lstrip("/")


def _make_home(home: str) -> bool:
    """Make a home where there is none; whether it is there now."""
    try:
        Path(home).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return True
