"""Who may log in: accounts, the tokens that a login gives, and what a list of accounts changes."""

import hashlib
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from roost.core.ids import Micros


class Account(Struct, frozen=True):
    """Somebody who may log in.  `password` is a hash: argon2id, or bcrypt until the first login after an import."""

    name: str
    password: str
    home: str  # absolute
    created_at: Micros
    enabled: bool = True
    force_sandbox: bool = False


class SessionToken(Struct, frozen=True):
    """What a login gave.  The token itself is known to its bearer alone."""

    digest: str
    account: str
    created_at: Micros
    expires_at: Micros


class Imported(Struct, frozen=True):
    """What a list of accounts means for those that there are: whom to write, and whom to remove."""

    written: tuple[Account, ...]
    removed: tuple[str, ...]
    marks: dict[str, str]  # what the list says of each name, to be kept for the next time

    @property
    def names(self) -> tuple[str, ...]:
        """Whoever is not as before."""
        return tuple(sorted({*(account.name for account in self.written), *self.removed}))


def digest(token: str) -> str:
    """Under what a token is known."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def imported(listed: Sequence[Account], marks: Mapping[str, str], present: Mapping[str, Account]) -> Imported:
    """What has changed in a list since it was last imported, when it left `marks`.

    What it said before and says still is no news: a password that was changed here since stays
    changed, and an account that was removed here stays away.  Of a name that is new in the list and
    known here, the account that is here stays.
    """
    now = {account.name: _mark(account) for account in listed}
    written = [
        replace(account, force_sandbox=known.force_sandbox) if (known := present.get(account.name)) else account
        for account in listed
        if marks.get(account.name) != now[account.name] and (account.name in marks or account.name not in present)
    ]
    removed = [name for name in marks if name not in now and name in present]
    return Imported(tuple(written), tuple(removed), now)


def _mark(account: Account) -> str:
    said = (account.password, account.home, str(account.enabled))
    return hashlib.sha256("\0".join(said).encode()).hexdigest()
