"""How many tools an agent would have in a session that is new: its toolsets are started for that, and stopped."""

import logging
from collections.abc import Sequence

import anyio
from msgspec import Struct

from roost.core.agents import Agent, Team, ToolsetSpec
from roost.core.errors import RoostError, ToolsetFailed
from roost.engine.bulkhead import open_group
from roost.engine.deferred import Deferred
from roost.engine.runtime import Makers
from roost.engine.toolbox import first, offered
from roost.ports import Place, Tool

PATIENCE = 30.0  # seconds that a toolset has to start and to tell its tools

log = logging.getLogger(__name__)


class Count(Struct, frozen=True):
    """How many there are; `whole` is whether all toolsets have told theirs."""

    tools: int
    whole: bool


async def count(makers: Makers, team: Team, agent: Agent, place: Place) -> Count:
    """The tools that a model would be offered.  A toolset that can't be started has none."""
    if agent.harness is not None or not _takes_tools(makers, team, agent):
        return Count(0, True)
    found: list[Sequence[Tool] | None] = [None] * len(agent.toolsets)

    async def ask(number: int, spec: ToolsetSpec) -> None:
        found[number] = await _told(makers, spec, place)

    async with open_group() as tasks:
        for number, spec in enumerate(agent.toolsets):
            tasks.start_soon(ask, number, spec)
    those = [(tool, spec) for some, spec in zip(found, agent.toolsets, strict=True) for tool in some or ()]
    tools, _ = first(those)
    scripts = makers.scripts if agent.code_mode or makers.code_mode else None
    return Count(len(offered(agent, tools, Deferred(), scripts=scripts)), None not in found)


def _takes_tools(makers: Makers, team: Team, agent: Agent) -> bool:
    try:
        return makers.models.provider(team, agent.model).takes_tools
    except RoostError:  # a key is missing: with one it most likely does
        return True


async def _told(makers: Makers, spec: ToolsetSpec, place: Place) -> Sequence[Tool] | None:
    """The tools of one toolset, or None where it does not start, or not in time."""
    why: object = f"it has not started within {PATIENCE:g} s"
    with anyio.move_on_after(PATIENCE):
        try:
            async with makers.toolsets.open(spec, place) as toolset:
                return await toolset.tools()
        except ToolsetFailed as error:
            why = error
        except Exception as error:
            log.exception("a toolset of type %s failed", spec.type, extra={"action": "toolset_failed"})
            why = error
    log.info("tools of %s are not counted: %s", spec.type, why, extra={"action": "tools_uncounted"})
    return None
