"""Runs the commands of hooks, and those that come with the house (`ports.HookRunner`)."""

from collections.abc import Mapping
from typing import Any

from roost.core.agents import Hook
from roost.ports import Clock, Place, Ran, Surroundings
from roost.tools.cell import Cells


class Runner:
    """Runs hooks of the types `command` and `builtin`; `env` is the server's environment."""

    def __init__(self, env: Mapping[str, str], cells: Cells, surroundings: Surroundings, clock: Clock) -> None:
        self._env = env
        self._cells = cells
        self._surroundings = surroundings
        self._clock = clock

    async def run(self, hook: Hook, given: Mapping[str, Any], place: Place) -> Ran:
        """Run one with `given` as JSON on its stdin, in `place`; its whole tree ends with its time."""
        raise NotImplementedError
