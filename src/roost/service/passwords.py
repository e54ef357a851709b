"""Passwords and their hashes: argon2id, and the bcrypt of accounts that were imported."""

import secrets
from functools import cache
from typing import TYPE_CHECKING

import anyio
import bcrypt

from roost.core.errors import BadValue

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LONGEST = 1024  # bytes
BCRYPT_LOOKS_AT = 72  # bytes; the newer library refuses more where the older ones cut
BCRYPT_COST = 12
AT_ONCE = 2  # hashes that are computed together: each takes 19 MiB and a core


class Passwords:
    """Computes hashes in threads, a few at a time."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(AT_ONCE)

    async def hash(self, password: str) -> str:
        """What is kept of a new password.

        Raises:
            BadValue: it is empty, or too long.
        """
        if not password:
            raise BadValue("the password must not be empty")
        if len(_bytes(password)) > LONGEST:
            raise BadValue(f"the password is longer than {LONGEST} bytes")
        return await anyio.to_thread.run_sync(_hash, password, limiter=self._limiter)

    async def fits(self, password: str, hashed: str, *, bcrypt: bool) -> bool:
        """Whether a password has this hash; "" is nobody's.

        It takes the same time whatever the hash is, "" included: that of an argon2id hash, and with
        `bcrypt` (some accounts still have one) that of a bcrypt hash too.
        """
        return await anyio.to_thread.run_sync(_fits, password, hashed, bcrypt, limiter=self._limiter)


def is_bcrypt(hashed: str) -> bool:
    """Whether a hash came with an import."""
    return hashed.startswith("$2")


def _fits(password: str, hashed: str, with_bcrypt: bool) -> bool:
    if len(_bytes(password)) > LONGEST:
        return False
    old = is_bcrypt(hashed)
    fits_old = _fits_bcrypt(password, hashed if old else _nobody_by_bcrypt()) if old or with_bcrypt else False
    fits_new = _fits_argon2(password, _nobody() if old or not hashed else hashed)
    return bool(hashed) and (fits_old if old else fits_new)


def _fits_bcrypt(password: str, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(_bytes(password)[:BCRYPT_LOOKS_AT], hashed.encode())
    except ValueError:  # no such hash
        return False


def _fits_argon2(password: str, hashed: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError  # takes longer to import than a command to run

    try:
        return _hasher().verify(hashed, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def _hash(password: str) -> str:
    return _hasher().hash(_bytes(password))


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)  # argon2id at the minimum of OWASP


@cache
def _nobody() -> str:
    """The hash of a password that nobody has."""
    return _hash(secrets.token_hex(32))


@cache
def _nobody_by_bcrypt() -> str:
    return bcrypt.hashpw(secrets.token_hex(32).encode(), bcrypt.gensalt(BCRYPT_COST)).decode()


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
