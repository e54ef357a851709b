"""A private way into this server, for the CLIs that it runs."""

from typing import Any, Protocol

from msgspec import Struct

from roost.core.ids import RunId


class Outfit(Struct, frozen=True):
    """What a run is given so that its CLI can start agents by itself."""

    server: dict[str, Any]  # a tool server, as `mcpServers` describes one
    files: dict[str, str]  # for the run's private folder
    endpoint: str  # what that server must reach


class Hatch(Protocol):
    """A private way into this server, for the CLIs that it runs."""

    def outfit(self, run: RunId, folder: str) -> Outfit:
        """What opens it to one run, for as long as that lasts."""
        ...

    def whose(self, token: str) -> RunId | None:
        """The run that a token was made for."""
        ...
