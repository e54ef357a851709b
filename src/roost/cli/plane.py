"""The control plane of a run at a terminal: the same service on an address, and a record for those who look for it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from msgspec.structs import replace

from roost.client import runs
from roost.compose import Running
from roost.config.settings import Settings
from roost.core.errors import BadValue
from roost.core.principals import Principal
from roost.doors.app import Doors
from roost.doors.auth import Lookup
from roost.doors.listen import exposed, host, is_ours_alone, parse, shown
from roost.doors.server import serve
from roost.service.accounts import Accounts

Opened = Callable[[str], None]
"""Is told which session the terminal shows now."""


class Grown(Lookup):
    """Asks for a token once there are accounts: what this process knows of itself is no reason to ask others."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    @property
    def required(self) -> bool:
        """See `Lookup`."""
        return self._accounts.enabled

    async def principal(self, token: str) -> Principal | None:
        """See `Lookup`."""
        return await self._accounts.principal(token)

    async def revoked(self, token: str) -> None:
        """See `Lookup`."""
        await self._accounts.revoked(token)


class Plane:
    """An address that is listened on, and the record that says so."""

    def __init__(self, settings: Settings, sock: socket.socket, agent: str) -> None:
        real = shown(sock)
        self.addr = real if "://" in real else f"http://{_near(real)}"
        self.shown = real
        self.exposed = exposed(parse(real))
        self._folder = settings.data_dir / runs.FOLDER
        self._token = settings.auth_token.reveal()
        self._agent = agent
        self._run: runs.Run | None = None

    def show(self, session: str) -> None:
        """The terminal shows this session: the record names it."""
        if self._run is None:
            self._run = runs.new(self.addr, session, self._agent, token=self._token)
        else:
            self._run = replace(self._run, session_id=session)
        try:
            runs.write(self._folder, self._run)
        except OSError as error:
            raise BadValue(f"{self._folder}: the record of this run can't be written: {error.strerror}") from None

    def hide(self) -> None:
        """The run is over."""
        if self._run is not None:
            runs.remove(self._folder, self._run)

    def lines(self) -> list[str]:
        """What somebody at the terminal is told."""
        lines = [f"Control plane listening on {self.shown}"]
        if self.exposed:
            asked = "with the token" if self._token else "anybody there, without a token"
            lines.append(
                f"WARNING: {self.shown} can be reached from other machines: {asked}, who does can steer this run"
            )
        return lines


def refuse_open(settings: Settings) -> None:
    """Turn down an address that others can reach when nobody has to say who they are.

    Raises:
        BadValue: with what would do.
    """
    if settings.auth_token or settings.allow_unauthenticated or not exposed(parse(settings.listen)):
        return
    raise BadValue(
        f"{settings.listen} can be reached from other machines, and no token is set: anybody there could join in.\n"
        f"Set one with --auth-token (or ROOST_AUTH_TOKEN), or allow it with --allow-unauthenticated."
    )


@asynccontextmanager
async def listening(running: Running, sock: socket.socket, settings: Settings, agent: str) -> AsyncIterator[Plane]:
    """While the block lasts, the service is reached there, too.  Streams end with it, and sessions do not."""
    plane, stop, ready = Plane(settings, sock, agent), asyncio.Event(), asyncio.Event()
    doors = _doors(running, sock, settings)
    serving = asyncio.create_task(
        serve(doors, [sock], stop=stop, on_start=ready.set, on_stop=running.stop), name="control plane"
    )
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield plane
    finally:
        plane.hide()
        stop.set()
        await serving


def _doors(running: Running, sock: socket.socket, settings: Settings) -> Doors:
    """Without a token, as far as nobody set one: our own user alone may do everything, all others what `/api` has."""
    lookup: Lookup = running.service.accounts if settings.auth_token else Grown(running.service.accounts)
    made: Doors = running.doors(lookup=lookup, trusted=is_ours_alone(sock), bound=host(parse(shown(sock))))
    return made


def _near(address: str) -> str:
    """An address to connect to, for one to listen on."""
    name, _, port = address.rpartition(":")
    return f"{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(name, name) }:{port}"  # noqa: S104 - read here, not bound
