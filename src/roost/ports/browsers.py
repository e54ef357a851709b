"""Browsers that have been let in."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from roost.core.accounts import Account
from roost.core.browsers import Browser, PairingCode, Subscription
from roost.core.ids import Micros


class Visit(Struct, frozen=True):
    """A browser that is known, and its account; None for the operator's."""

    browser: Browser
    account: Account | None


class Browsers(Protocol):
    """Who comes in by a browser.

    What `Accounts` promises of changes holds here too.  An account's browsers, codes and subscriptions go in the
    same step in which its tokens go, and with a browser goes where it can be told something.
    """

    async def keep(self, browser: Browser, *, only_if: Callable[[Account], None]) -> None:
        """Keep a new browser, if its account (where it has one) is still there and `only_if` raises nothing.

        Raises:
            AccountNotFound: it is not.
            RoostError: what `only_if` raised.  Nothing was written.
        """
        ...

    async def find(self, digest: str, *, at: Micros) -> Visit | None:
        """The browser whose cookie has this digest, if it has not expired by `at`."""
        ...

    async def all(self) -> Sequence[Browser]:
        """Every browser, the oldest first."""
        ...

    async def seen(self, id: str, *, at: Micros, expires_at: Micros) -> None:
        """It was here, and may come back until then."""
        ...

    async def forget(self, id: str) -> None:
        """Forget a browser.  One that is not there is no error."""
        ...

    async def offer(self, code: PairingCode) -> None:
        """Keep a code."""
        ...

    async def offered(self, digest: str, *, at: Micros) -> PairingCode | None:
        """A code, left where it is; None for one that is not there, or has expired by `at`."""
        ...

    async def use(self, digest: str, *, at: Micros) -> PairingCode | None:
        """Take a code, so that nobody else gets it; None for one that is not there, or has expired by `at`."""
        ...

    async def subscribe(self, subscription: Subscription) -> None:
        """Keep where a browser can be told something; what was kept for the same endpoint is replaced."""
        ...

    async def unsubscribe(self, endpoint: str) -> None:
        """Forget it.  One that is not there is no error."""
        ...

    async def subscriptions(self) -> Sequence[Subscription]:
        """All of them, the oldest first."""
        ...

    async def purge(self, *, at: Micros) -> None:
        """Forget browsers and codes that have expired by `at`."""
        ...
