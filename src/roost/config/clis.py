"""How usage limits of agent CLIs are met: `[usage_limits]` of `<home>/agents.toml`."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from roost.core.errors import BadValue
from roost.core.limits import Limits

FILE = "agents.toml"


class Clis(Struct, frozen=True):
    """How long agent CLIs are waited for, and what else means that they have met a limit."""

    limits: Limits = Limits()
    patterns: Mapping[str, Sequence[str]] = {}  # provider -> further texts


class _One(Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = True
    resume_message: str = ""
    fallback_secs: float | None = None
    extra_patterns: tuple[str, ...] = ()


class _Limits(Struct, frozen=True, forbid_unknown_fields=True):
    enabled: bool = True
    resume_message: str = "Continue"
    max_wait_secs: float = 86_400.0
    default_fallback_secs: float = 3_600.0
    jitter_secs: float = 30.0
    max_attempts: int = 12
    providers: dict[str, _One] = {}


class _File(Struct, frozen=True):
    usage_limits: _Limits = _Limits()


def load(home: Path) -> Clis:
    """What the file says; a file that is not there says nothing.

    Raises:
        BadValue: it can't be read; the message says where.
    """
    path = home / FILE
    try:
        told = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
    except FileNotFoundError:
        return Clis()
    except (OSError, UnicodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadValue(f"{path}: {error}") from None
    _check(path, told.usage_limits)
    each = told.usage_limits.providers
    limits = Limits(
        enabled=told.usage_limits.enabled,
        resume_message=told.usage_limits.resume_message,
        max_wait=told.usage_limits.max_wait_secs,
        fallback=told.usage_limits.default_fallback_secs,
        jitter=told.usage_limits.jitter_secs,
        max_attempts=told.usage_limits.max_attempts,
        messages={name: one.resume_message for name, one in each.items() if one.resume_message},
        fallbacks={name: one.fallback_secs for name, one in each.items() if one.fallback_secs is not None},
        disabled=tuple(name for name, one in each.items() if not one.enabled),
    )
    return Clis(limits, {name: one.extra_patterns for name, one in each.items()})


def _check(path: Path, limits: _Limits) -> None:
    """Look at what would go wrong only when a limit is met."""
    where = f"{path}: [usage_limits]"
    for name, one in limits.providers.items():
        for pattern in one.extra_patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise BadValue(
                    f"{where}: the pattern {pattern!r} of {name} is no regular expression ({error})"
                ) from None
    numbers = (limits.max_wait_secs, limits.default_fallback_secs, limits.jitter_secs, limits.max_attempts)
    if any(number < 0 for number in (*numbers, *(one.fallback_secs or 0 for one in limits.providers.values()))):
        raise BadValue(f"{where}: a number is negative")
