"""Which sandbox this machine has: a Docker engine where one answers, else bubblewrap, else none, and then why."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import anyio

from roost.core.errors import NoSandbox
from roost.ports import Confinement, Launch, Sandbox
from roost.sandbox.bubblewrap import Bubblewrap
from roost.sandbox.docker import Docker
from roost.sandbox.view import Kept


class Choice:
    """A sandbox that is one of several: the first that works when it is needed.  What works is remembered."""

    def __init__(self, among: Sequence[Sandbox], *, why_none: str = "") -> None:
        self._among = among
        self._why_none = why_none or "there is no sandbox to choose from"
        self._chosen: Sandbox | None = None
        self._lock = anyio.Lock()

    @property
    def kind(self) -> str:
        """The chosen one's; "" before there was need of one."""
        return self._chosen.kind if self._chosen is not None else ""

    async def trouble(self) -> str:
        """Why none of them can be used, or ""."""
        async with self._lock:
            if self._chosen is not None:
                return ""
            told = []
            for sandbox in self._among:
                if not (trouble := await sandbox.trouble()):
                    self._chosen = sandbox
                    return ""
                told.append(trouble)
            return "; ".join(told) or self._why_none

    def confine(self, launch: Launch, confinement: Confinement) -> Launch:
        """The same program, inside; `trouble` is asked before.

        Raises:
            NoSandbox: none works, or nobody has asked; or what the chosen one raises.
        """
        if self._chosen is None:
            raise NoSandbox("no sandbox works on this machine: `roost doctor` says what is missing")
        return self._chosen.confine(launch, confinement)

    async def furnish(self, home: str, keeps: Sequence[str]) -> None:
        """Make the private HOME."""
        for sandbox in self._among[:1]:
            await sandbox.furnish(home, keeps)

    async def tidy(self, homes: str, living: Collection[str]) -> None:
        """Remove the private homes of sessions that are no more."""
        for sandbox in self._among[:1]:
            await sandbox.tidy(homes, living)

    async def names(self) -> Sequence[str]:
        """Those that are there by name."""
        return [name for sandbox in self._among for name in await sandbox.names()]

    async def remove(self, name: str) -> None:
        """Make sure that nothing is left of it, whichever made it."""
        for sandbox in self._among:
            await sandbox.remove(name)


def choice(
    wanted: str, env: Mapping[str, str], *, state: Path, database: Path | None = None, image: str = ""
) -> Choice:
    """What the setting `sandbox` (`auto`, `docker`, `bubblewrap` or `none`) leaves to choose from."""
    kept = Kept(env.get("HOME") or str(Path.home()), str(state), str(database.absolute()) if database else "")
    docker, bubblewrap = Docker(env, kept, image=image), Bubblewrap(kept)
    among: Mapping[str, tuple[Sandbox, ...]] = {
        "auto": (docker, bubblewrap),
        "docker": (docker,),
        "bubblewrap": (bubblewrap,),
        "none": (),
    }
    return Choice(among[wanted], why_none="the setting `sandbox` is none")
