"""Accounts, and the tokens by which they come in."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from roost.core.accounts import Account, SessionToken
from roost.core.ids import Micros


class Login(Struct, frozen=True):
    """A token that is good, and whose it is."""

    account: Account
    token: SessionToken


class Accounts(Protocol):
    """Who may log in.

    A change is one step, survives a crash once it returns, and is seen by the next read of every
    server on the same store.  It may raise `StoreFull` (nothing was written).
    """

    async def all(self) -> Sequence[Account]:
        """Every account, by name."""
        ...

    async def find(self, name: str) -> Account | None:
        """The account of this name."""
        ...

    async def add(self, account: Account) -> None:
        """A new account.

        Raises:
            AccountExists: the name is taken.
        """
        ...

    async def change(self, name: str, edit: Callable[[Account], Account], *, revoke: bool = False) -> Account:
        """What `edit` makes of an account, as it is at that moment; with `revoke`, its tokens go in the same step.

        Raises:
            AccountNotFound: there is none.
            RoostError: what `edit` raised.  Nothing was written.
        """
        ...

    async def remove(self, name: str) -> None:
        """Remove an account and its tokens.

        Raises:
            AccountNotFound: there is none.
        """
        ...

    async def take_in(self, listed: Sequence[Account]) -> Sequence[str]:
        """Import a list, as `core.accounts.imported` has it; the names that are not as before.  Their tokens go."""
        ...

    async def admit(self, token: SessionToken, *, only_if: Callable[[Account], None]) -> None:
        """Keep a new token, if its account is still there and `only_if` raises nothing.

        Raises:
            AccountNotFound: it is not.
            RoostError: what `only_if` raised.  Nothing was written.
        """
        ...

    async def login(self, digest: str, *, at: Micros) -> Login | None:
        """The token of this digest and its account, if it has not expired by `at`."""
        ...

    async def revoke(self, digest: str) -> None:
        """Forget a token.  One that is not there is no error."""
        ...

    async def purge(self, *, at: Micros) -> int:
        """Forget the tokens that have expired by `at`; how many there were."""
        ...

    async def version(self) -> int:
        """A number that rises whenever an account changes, or a token or a browser goes."""
        ...
