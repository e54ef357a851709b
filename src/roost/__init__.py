"""One server for all of a person's or a team's agents."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from roost.client.client import Client as Client

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`Client`, loaded when it is named: most commands need neither asyncio nor its HTTP client."""
    if name != "Client":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module("roost.client.client").Client


def __dir__() -> list[str]:
    return sorted({*globals(), "Client"})
