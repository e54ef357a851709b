"""The commands of hooks."""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from roost.core.agents import Hook
from roost.ports.tools import Place


class Ran(Struct, frozen=True, omit_defaults=True):
    """What became of a hook's command."""

    code: int | None = None  # None: it did not end by itself, `error` says why
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    duration: float = 0.0  # seconds


class HookRunner(Protocol):
    """Runs the commands of hooks."""

    async def run(self, hook: Hook, given: Mapping[str, Any], place: Place) -> Ran:
        """Run one with `given` as JSON on its stdin, in `place`; its whole tree ends with its time.

        Builtins answer as commands do.
        """
        ...
