"""The API from far away."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roost.client.blocking import Blocking as Blocking
    from roost.client.client import Client as Client

_HOMES = {"Client": "roost.client.client", "Blocking": "roost.client.blocking"}


def __getattr__(name: str) -> Any:
    """The two faces, each loaded when it is named: most commands need neither asyncio nor its HTTP client."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
