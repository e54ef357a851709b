"""The agent files that are served, and what an agent is told of the place where it works."""

from collections.abc import Sequence
from typing import Protocol

from roost.core.agents import Source, Team


class Agents(Protocol):
    """The agent files that are served."""

    async def sources(self) -> Sequence[Source]:
        """All of them, sorted by id; those that do not load carry their error."""
        ...

    async def team(self, source: str, hash: str = "") -> Team:
        """The team behind an id.  Local files are read anew when they have changed.

        Ids match exactly first, then with or without `.yaml`/`.yml`, then (with a single source) by
        the name of an agent inside it.  With the `hash` of a team that was given earlier it is that
        team, also after a restart, where it is still known; else the one of now.

        Raises:
            AgentNotFound: no source has this id.
            AgentBroken: it does not load.
            AgentUnreachable: it is remote and can't be fetched.
        """
        ...


class Surroundings(Protocol):
    """What an agent may be told of the place where it works."""

    async def exists(self, working_dir: str) -> bool:
        """Whether the directory is there."""
        ...

    async def describe(self, working_dir: str) -> str:
        """The block of `add_environment_info`: directory, git or not, system, architecture."""
        ...

    async def prompt_files(
        self, working_dir: str, names: Sequence[str], *, firm: bool = False, depth: int = 0
    ) -> Sequence[str]:
        """The texts of the files so named: the nearest of the directory and its parents, then home.

        With `depth`, those in directories below, down to so many levels, too.  With `firm` no link is
        followed that leads out of the working directory.
        """
        ...
