"""Browsers: how one is let in, what its cookie opens, and how it is sent away."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Sequence

import anyio
from msgspec import Struct

from roost import ports
from roost.core.accounts import Account, digest
from roost.core.browsers import Browser, PairingCode
from roost.core.errors import AccountNotFound, BadValue, Denied, DeviceNotFound, LoginRefused, PairingRefused
from roost.core.ids import Micros, fresh
from roost.core.principals import Principal
from roost.service.accounts import OPERATOR, Accounts, acting
from roost.service.labels import label
from roost.service.throttle import Throttle

log = logging.getLogger(__name__)

LIFETIME = 30 * 24 * 3600  # seconds that a browser may stay away
CODE_LIFETIME = 600  # seconds that a code is good
CODES = 100  # of one account within that time
DEVICES = 200  # of one account; whoever comes on top takes the place of the one that was away for longest
SEEN = 60  # seconds between two notes that a browser was here
PURGE = 3600.0  # seconds between two looks for what has expired


class Offer(Struct, frozen=True):
    """A code, told this once."""

    code: str
    expires_at: Micros


class Asked(Struct, frozen=True):
    """Whose a code is: an account's, or the operator's, who has no name."""

    account: str
    expires_at: Micros


class Entry(Struct, frozen=True):
    """A browser that was let in.  The cookie is told this once."""

    cookie: str
    browser: Browser


class Browsers:
    """Looks after browsers.  A door asks `visitor` at each request, and `left` beside what takes long.

    `token` is the server's own: an operator's browser is let in by it, and out with it.
    """

    def __init__(self, store: ports.Browsers, accounts: Accounts, clock: ports.Clock, *, token: str = "") -> None:
        self.store = store
        self._accounts = accounts
        self._clock = clock
        self._bond = digest(f"browsers of {digest(token)}") if token else ""
        self._throttle = Throttle(clock.monotonic)
        self._offered: dict[str, list[Micros]] = {}  # by account: when codes that were told here expire

    @property
    def free(self) -> bool:
        """Whether no browser has to be let in."""
        return not self._accounts.required

    @property
    def shared(self) -> bool:
        """Whether several people come in here, each by an account."""
        return self._accounts.enabled

    # -- what doors ask -------------------------------------------------------------------------

    async def visitor(self, cookie: str) -> Principal | None:
        """Whose browser this is, as things stand at this moment; None for one that may not come in."""
        await self._accounts.look()
        if (visit := await self._good(cookie)) is None:
            return None
        now = self._clock.now()
        if now - visit.browser.seen_at >= SEEN * 1_000_000:
            await self.store.seen(visit.browser.id, at=now, expires_at=_until(now))
        return acting(visit.account) if visit.account is not None else OPERATOR

    async def left(self, cookie: str) -> None:
        """Return as soon as a browser may not come in any more."""
        while True:
            bell = self._accounts.bell
            if (visit := await self._good(cookie)) is None:
                return
            with anyio.move_on_after((visit.browser.expires_at - self._clock.now()) / 1e6):
                await bell.wait()

    async def known(self, cookie: str) -> Browser | None:
        """The browser with this cookie."""
        visit = await self._good(cookie)
        return visit.browser if visit is not None else None

    @staticmethod
    def csrf(cookie: str) -> str:
        """What a page of our own, and no other, can send beside the cookie."""
        return hmac.new(cookie.encode("utf-8", "replace"), b"roost csrf", hashlib.sha256).hexdigest()

    async def _good(self, cookie: str) -> ports.Visit | None:
        visit = await self.store.find(digest(cookie), at=self._clock.now())
        if visit is None:
            return None
        if visit.browser.account:
            return visit if visit.account is not None and visit.account.enabled else None
        return visit if self._ties(visit.browser.bond) else None

    def _ties(self, bond: str) -> bool:
        return bool(self._bond) and hmac.compare_digest(bond, self._bond)

    # -- coming in, going out -------------------------------------------------------------------

    async def offer(self, principal: Principal) -> Offer:
        """A code that lets one browser in, as this caller.

        Raises:
            Denied: the caller is a CLI in a session.
            BadValue: no browser has to be let in here, or there are too many codes already.
        """
        if principal.session:
            raise Denied("a session lets no browser in")
        if self.free:
            raise BadValue("this server asks nobody for a token: open its page, there is nothing to pair")
        if not (principal.confined or self._bond):
            raise BadValue("this server has accounts and no token of its own: log in by name and password")
        code, due = secrets.token_urlsafe(16), Micros(self._clock.now() + CODE_LIFETIME * 1_000_000)
        account = principal.name if principal.confined else ""
        self._count(account, due)
        await self.store.offer(PairingCode(digest(code), account, "" if account else self._bond, due))
        return Offer(code, due)

    async def whose(self, code: str, *, address: str = "") -> Asked:
        """Whom this code lets a browser in as; the code stays good.  It counts as an attempt until one has come in.

        Raises:
            TooManyLogins: too many have failed from this address.
            PairingRefused: the code opens nothing, or not any more.
        """
        self._throttle.attempt(*_tried(address))
        found = await self.store.offered(digest(code.strip()), at=self._clock.now())
        if found is None or not (found.account or self._ties(found.bond)):
            raise PairingRefused
        return Asked(found.account, found.expires_at)

    def _count(self, account: str, due: Micros) -> None:
        """One more code.

        Raises:
            BadValue: there are too many.
        """
        now = self._clock.now()
        recent = [one for one in self._offered.pop(account, ()) if one > now]
        if len(recent) < CODES:
            recent.append(due)
            self._offered[account] = recent
            return
        self._offered[account] = recent
        raise BadValue(f"{CODES} codes were made within ten minutes: use one of them, or wait")

    async def pair(self, code: str, *, agent: str = "", address: str = "") -> Entry:
        """Let in the browser that has this code.

        Raises:
            TooManyLogins: too many have failed from this address.
            PairingRefused: the code opens nothing, or not any more.
        """

        def enabled(account: Account) -> None:
            if not account.enabled:
                raise PairingRefused

        self._throttle.attempt(*_tried(address))
        found = await self.store.use(digest(code.strip()), at=self._clock.now())
        if found is None or not (found.account or self._ties(found.bond)):
            log.warning("a pairing from %s was refused", address or "here", extra={"action": "pairing_refused"})
            raise PairingRefused
        self._throttle.forgive(*_tried(address))
        try:
            return await self._admit(found.account, label(agent), only_if=enabled)
        except AccountNotFound:
            raise PairingRefused from None

    async def enter(self, token: str, *, agent: str = "", address: str = "") -> Entry:
        """Let in the browser of somebody who knows the server's token, or that of a login.

        Raises:
            TooManyLogins: too many have failed from this address.
            LoginRefused: the token opens nothing.
        """

        def enabled(account: Account) -> None:
            if not account.enabled:
                raise LoginRefused("the token opens nothing")

        self._throttle.attempt(*_tried(address))
        principal = await self._accounts.principal(token)
        if principal is None:
            log.warning("a login by token from %s was refused", address or "here", extra={"action": "login_refused"})
            raise LoginRefused("this token opens nothing here")
        self._throttle.forgive(*_tried(address))
        return await self._admit(principal.name, label(agent), only_if=enabled)

    async def login(self, name: str, password: str, *, agent: str = "", address: str = "") -> Entry:
        """Let in the browser of somebody who knows the password of an account.

        Raises:
            NoAccounts, TooManyLogins, LoginRefused: as `Accounts.login` does.
        """
        account = await self._accounts.prove(name, password, address=address)

        def same(now: Account) -> None:
            if now.password != account.password or not now.enabled:
                raise LoginRefused

        try:
            return await self._admit(account.name, label(agent), only_if=same)
        except AccountNotFound:
            raise LoginRefused from None

    async def leave(self, cookie: str) -> None:
        """A browser goes; what it has open ends."""
        if (visit := await self.store.find(digest(cookie), at=Micros(0))) is not None:
            await self.store.forget(visit.browser.id)
            await self._accounts.refresh()

    async def _admit(self, account: str, called: str, *, only_if: Callable[[Account], None]) -> Entry:
        cookie, now = secrets.token_urlsafe(32), self._clock.now()
        bond = "" if account else self._bond
        browser = Browser(fresh()[:12], digest(cookie), account, bond, called, now, now, _until(now))
        await self.store.keep(browser, only_if=only_if)
        await self._make_room(browser)
        log.info("%s was let in", called, extra={"action": "browser_let_in"})
        return Entry(cookie, browser)

    async def _make_room(self, new: Browser) -> None:
        """Send away those of its account that are too many."""
        others = [one for one in await self.store.all() if one.account == new.account and one.id != new.id]
        others.sort(key=lambda one: one.seen_at)
        for one in others[: max(len(others) + 1 - DEVICES, 0)]:
            await self.store.forget(one.id)

    # -- looking after them ---------------------------------------------------------------------

    async def devices(self, principal: Principal) -> Sequence[Browser]:
        """The browsers that may come in as this caller (for the operator: all), the newest first."""
        now = self._clock.now()
        found = [one for one in await self.store.all() if one.expires_at > now and self._sees(principal, one)]
        return sorted(found, key=lambda one: one.seen_at, reverse=True)

    async def revoke(self, principal: Principal, device: str) -> None:
        """Send a browser away; what it has open ends.

        Raises:
            DeviceNotFound: there is none that this caller may see.
        """
        if not any(one.id == device for one in await self.devices(principal)):
            raise DeviceNotFound(device)
        await self.store.forget(device)
        await self._accounts.refresh()
        log.info("device %s was sent away", device, extra={"action": "browser_sent_away"})

    async def watch(self) -> None:
        """Forget what has expired, for as long as the server runs."""
        while True:
            try:
                await self.store.purge(at=self._clock.now())
            except Exception:
                log.exception("expired browsers can't be removed", extra={"action": "browsers_failed"})
            await self._clock.sleep(PURGE)

    def _sees(self, principal: Principal, browser: Browser) -> bool:
        if principal.session:
            return False
        if principal.confined:
            return browser.account == principal.name
        return bool(browser.account) or self._ties(browser.bond)


def _until(now: Micros) -> Micros:
    return Micros(now + LIFETIME * 1_000_000)


def _tried(address: str) -> tuple[str, str]:
    """What an attempt counts for: nobody shuts out others by failing."""
    return f"browser at {address}", address
