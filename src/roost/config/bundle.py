"""An agent file with all that it takes from elsewhere, as bytes, and the team that they make."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from anyio import to_thread
from msgspec import Struct
from msgspec.structs import replace

from roost.config.agentfile import load
from roost.config.externals import is_file
from roost.config.references import is_address, is_near
from roost.config.teams import whole
from roost.core.agents import Team
from roost.core.errors import AgentBroken

PLAIN: Final = "http://"

Fetch = Callable[[str], Awaitable[bytes]]


class Bundle(Struct, frozen=True):
    """The bytes of one source.  `origin` is where a remote one comes from, `folder` where a local one lies."""

    name: str  # what complaints call it
    raw: bytes
    folder: str = ""
    origin: str = ""
    others: dict[str, bytes] = {}  # by reference

    def first(self, source: str, env: Mapping[str, str]) -> Team:
        """The team of the file alone; for a thread.

        Raises:
            AgentBroken: it does not load.
        """
        if self.origin:
            return outside(source, self.origin, self.raw, env)
        return load(source, self.raw, name=self.name, env=env, folder=Path(self.folder))


async def complete(bundle: Bundle, team: Team, fetch: Fetch, env: Mapping[str, str]) -> tuple[Bundle, Team]:
    """The bundle and its team with all the agents of other files that they name.

    Raises:
        AgentBroken, AgentUnreachable: one of these can't be had, or does not load; the message names it.
    """
    if not team.externals:
        return bundle, team
    others: dict[str, bytes] = {}

    async def read(target: str) -> Team:
        others[target] = await fetch(target)
        return await to_thread.run_sync(outside, target, target, others[target], env)

    team = await whole(team, read, env=env)
    return replace(bundle, others=others), team


def outside(source: str, origin: str, raw: bytes, env: Mapping[str, str]) -> Team:
    """The team of a file that is not of this machine, and so may name nothing that only this machine can reach.

    Raises:
        AgentBroken: it does not load, or it does.
    """
    team = load(source, raw, name=origin, env=env)
    for target in team.externals.values():
        if is_file(target):
            raise AgentBroken(f"{origin} comes from elsewhere, and can't name files of this machine: {target}")
        plain = is_address(target) and target.lower().startswith(PLAIN)
        if (is_near(target) or plain) and not is_near(origin):
            raise AgentBroken(f"{origin} comes from elsewhere, and can't name addresses without TLS: {target}")
    return team
