"""Settings in, running server out: the one file that names every maker."""

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import anyio

from roost import __version__
from roost.clock import SystemClock
from roost.config import aliases, clis
from roost.config.front import Front
from roost.config.rules import user_rules
from roost.config.secrets import Secrets
from roost.config.settings import Settings, env_files
from roost.config.sources import Files, open_agents
from roost.config.users import UsersFile
from roost.core.errors import NoSandbox, SessionNotFound, SessionNotRunning
from roost.core.events import Event
from roost.core.ids import LogId, ServerId, fresh
from roost.core.redaction import Redactor, secrets_of
from roost.couriers.couriers import Couriers, open_couriers
from roost.doors.app import Doors, make_app
from roost.doors.hatch import Hatch as HatchDoor
from roost.doors.listen import host, parse
from roost.drivers.catalogue import drivers
from roost.engine.bulkhead import open_bulkhead
from roost.engine.house import House
from roost.engine.hub import Hub
from roost.engine.recovery import Adopts, Recovery, everyone
from roost.engine.runtime import Makers
from roost.engine.supervisor import open_supervisor
from roost.hatch.hatch import Hatch
from roost.keepers.keepers import open_keepers
from roost.ports import EventStore, Runs, Tellings
from roost.providers.cassette import Player, Recorder
from roost.providers.references import CHANCE, Models, open_models
from roost.sandbox.choice import Choice, choice
from roost.service.accounts import OPERATOR, Accounts, Roll
from roost.service.browsers import Browsers
from roost.service.capacity import Capacity
from roost.service.desk import Desk
from roost.service.notices import Notices
from roost.service.policy import Policy
from roost.service.progress import Jobs
from roost.service.service import Service, make_service
from roost.service.vitals import Ground
from roost.stores.sqlite import open_sqlite
from roost.tools.builtin import Builtin
from roost.tools.hooks import Runner
from roost.tools.scripts import Javascript
from roost.tools.surroundings import LocalSurroundings
from roost.worktrees import GitWorktrees

log = logging.getLogger(__name__)

Wrap = Callable[[Makers], Makers]

OURS = ("ROOST_AUTH_", "ROOST_SERVE_", "ROOST_CONNECT_", "ROOST_TOKEN", "ZAG_SERVE_", "ZAG_CONNECT_")
"""How the variables begin that tell how to command a server: programs that agents start do not know them."""

ENDING = 15.0  # seconds that turns have to end in when sessions are ended with the server
LOOK = 5.0  # seconds between two looks whether anything is going on
SWITCH = 0.0005  # seconds: at the default of 5 ms the writer's thread waits long for its turn beside a busy loop
GARBAGE = 10_000  # objects between two looks for cycles: at the default of 700 they took a twentieth of a busy server


@dataclass(slots=True)
class Running:
    """A server whose parts are open.  Whoever listens calls `settle` first, `resume` after, `stop` last."""

    app: Doors
    service: Service
    recovery: Recovery
    closing: anyio.Event
    doors: Callable[..., Doors]  # another set of doors over the same service: `lookup`, `trusted`, `bound`
    accounts: str = ""  # where they are kept; "" where there are none
    notes: list[str] = field(default_factory=list)  # worth a line at start

    @property
    def jobs(self) -> Jobs:
        """What takes long."""
        return self.service.jobs

    async def settle(self) -> int:
        """Write what became of the turns that a crash cut off; before anyone listens."""
        return await self.recovery.settle()

    async def roll(self) -> str:
        """Which agents are served, and which do not load, in a line; the log says what is wrong with those."""
        sources = await self.service.desk.makers.agents.sources()
        served = [source.id for source in sources if source.team is not None]
        broken = [source.id for source in sources if source.team is None]
        return ", ".join(served or ["none"]) + (f"; not loaded: {', '.join(broken)}" if broken else "")

    async def resume(self) -> None:
        """Let them go on; after listening."""
        await self.recovery.resume()
        await self.service.fifos.restore()

    async def idle(self, seconds: float) -> None:
        """Return once nobody has asked anything for so long, nobody follows, and no session runs."""
        while True:
            left = self.app.used + seconds - time.monotonic()
            if left <= 0 and not self.app.open and not await self.service.desk.store.running():
                return
            await anyio.sleep(max(left, min(seconds, LOOK)))

    async def end_sessions(self) -> None:
        """Cancel the turns that run here, and wait until each has ended, or `ENDING` seconds have gone."""
        supervisor = self.service.desk.supervisor
        with anyio.move_on_after(ENDING):
            async with anyio.create_task_group() as tasks:
                for live in supervisor.lives():
                    if supervisor.playing(live.log):
                        tasks.start_soon(self._end, live.log)

    async def _end(self, log_id: LogId) -> None:
        desk = self.service.desk
        with suppress(SessionNotFound, SessionNotRunning):
            await self.service.turns.cancel(OPERATOR, log_id, "the server stops")
            while (await desk.store.head(log_id)).turn is not None:
                bell = desk.hub.bell(log_id)
                if (await desk.store.head(log_id)).turn is not None:
                    await bell.wait()

    def stop(self) -> None:
        """Nothing new is started from now on, and the open streams are told that the server stops."""
        self.service.desk.supervisor.retire()
        self.closing.set()


@asynccontextmanager
async def open_accounts(settings: Settings, roll: Roll | None = None) -> AsyncIterator[Accounts]:
    """The accounts of a database, without a server; servers that run on it see each change at once.

    Raises:
        StoreRefused: the database can't be used.
    """
    clock = SystemClock()
    opened = open_sqlite(settings.session_db, server=ServerId(fresh()), now=clock.now, grown=_untold, fatal=_die)
    async with opened as store:
        yield Accounts(store.accounts, clock, roll=roll)


def users_file(settings: Settings, env: Mapping[str, str]) -> UsersFile:
    """`users.json` of our home, else the one in the home of `zag`."""
    zag = Path(env.get("ZAG_HOME") or Path(env.get("HOME") or Path.home()) / ".zag")
    return UsersFile(settings.home / "users.json", zag / "users.json")


def _untold(log_id: LogId, events: Sequence[Event]) -> None:
    """Nobody follows."""


def _bare(makers: Makers) -> Makers:
    return makers


@asynccontextmanager
async def open_server(
    settings: Settings,
    env: Mapping[str, str] | None = None,
    *,
    wrap: Wrap = _bare,
    roll: Roll | None = None,
    front: Front | None = None,
    trusted: bool = False,
    authority: bytes = b"",
    adopts: Adopts = everyone,
) -> AsyncIterator[Running]:
    """Everything, opened from the ground up and closed from the roof down.

    `wrap` may put something around the makers: tests do.  `roll` is a list of accounts to import.  `front` is
    what `roost serve` was told; all who can reach a server that is `trusted` may do everything.  `authority`
    is the certificate of whoever vouches for it, where that is nobody whom phones know.

    Raises:
        StoreRefused: the database can't be used.
        RoostError: an agent source, a cassette or a setting can't be.
    """
    env = Secrets({**(os.environ if env is None else env), **env_files(settings.env_from_file)}, hidden=OURS)
    sys.setswitchinterval(SWITCH)
    gc.set_threshold(GARBAGE)
    clock = SystemClock()
    hub, jobs = Hub(clock.monotonic), Jobs(clock)
    async with AsyncExitStack() as stack:
        agents = open_agents(
            settings.agents,
            data_dir=str(settings.data_dir),
            env=env.outward(OURS),
            pull_interval=settings.pull_interval,
            aliases=aliases.known(settings.aliases, settings.config_dir, env),
            progress=jobs,
        )
        store = await stack.enter_async_context(
            open_sqlite(settings.session_db, server=ServerId(fresh()), now=clock.now, grown=hub.grown, fatal=_die)
        )
        models = await stack.enter_async_context(_models(settings, env))
        front = front or Front(home=settings.home, zag=settings.home, max_sessions=0, max_sessions_per_account=0)
        sandbox = await _walls(settings, env, forced=front.force_sandbox)
        keepers = await stack.enter_async_context(open_keepers(settings.home))
        hatch = Hatch(settings.home, settings.session_db)
        makers = _makers(settings, front, env, Parts(store, agents, models, sandbox, keepers, hatch, clock, jobs))
        makers = wrap(makers)
        supervisor = await stack.enter_async_context(open_supervisor(makers, hub))
        bulkhead = await stack.enter_async_context(open_bulkhead())
        policy = Policy(Path.cwd(), settings.session_workingdir_root, force_sandbox=front.force_sandbox)
        token = settings.auth_token.reveal()
        accounts = Accounts(store.accounts, clock, token=token, roll=roll)
        browsers = Browsers(store.browsers, accounts, clock, token=token)
        capacity = Capacity(store, sessions=front.max_sessions, per_account=front.max_sessions_per_account)
        supervisor.room = capacity.room
        desk = Desk(makers, hub, supervisor, policy, bulkhead, capacity)
        couriers = await stack.enter_async_context(_couriers(settings))
        notices = _notices(settings, desk, browsers, couriers, store.tellings)
        service = make_service(
            desk,
            accounts,
            browsers,
            notices,
            grace=settings.disconnect_grace,
            logins=makers.logins,
            jobs=jobs,
            ground=Ground(settings.session_db, store.fsync),
        )
        await accounts.refresh()
        bulkhead.start(accounts.watch, name="accounts")
        bulkhead.start(browsers.watch, name="browsers")
        bulkhead.start(notices.watch, name="notices")
        recovery = Recovery(makers, hub, supervisor, settings.resume, adopts=adopts)
        bulkhead.start(recovery.watch, name="recovery")
        bulkhead.start(agents.keep, name="agents from elsewhere")
        bulkhead.start(House(makers, supervisor).keep, name="housekeeping")
        bulkhead.start(HatchDoor(service, hatch.whose, hatch.path).serve, name="hatch")
        closing = anyio.Event()
        doors = partial(
            make_app,
            service,
            closing=closing,
            version=__version__,
            origins=front.cors_origins,
            public_url=settings.public_url,
            authority=authority,
            max_body=settings.max_request_size,
        )
        app = doors(lookup=accounts, trusted=trusted, bound=host(parse(settings.listen)))
        notes = [f"Database {settings.session_db} (an fsync there takes {store.fsync * 1000:.2f} ms)"]
        yield Running(app, service, recovery, closing, doors, _kept(accounts, roll, settings), notes)


def _notices(
    settings: Settings, desk: Desk, browsers: Browsers, couriers: Couriers | None, tellings: Tellings
) -> Notices:
    told, place = settings.notify, settings.public_url
    return Notices(desk, browsers, couriers, tellings, delay=told.delay, details=told.details, place=place)


class Parts(NamedTuple):
    """What has been opened so far."""

    store: EventStore
    agents: Files
    models: Models
    sandbox: Choice
    keepers: Runs
    hatch: Hatch
    clock: SystemClock
    jobs: Jobs


def _makers(settings: Settings, front: Front, env: Secrets, parts: Parts) -> Makers:
    """All that the engine asks of the world.

    Raises:
        BadValue: the settings' hooks or permissions can't be used.
    """
    outward, around = env.outward(OURS), LocalSurroundings(Path.home())
    redirect_uri = settings.mcp_oauth_redirect_uri
    toolsets = Builtin(outward, parts.sandbox, settings.home, models=parts.models, redirect_uri=redirect_uri)
    told = clis.load(settings.home)
    permissions, rules = user_rules(settings.home, settings)
    return Makers(
        parts.store,
        parts.agents,
        parts.models,
        toolsets,
        around,
        parts.clock,
        outward,
        drivers=drivers(
            mock=front.enable_mock,
            rows=settings.drivers,
            open_models=settings.allow_unknown_models,
            patterns=told.patterns,
            env=env,
        ),
        limits=told.limits,
        runs=parts.keepers,
        sandbox=parts.sandbox,
        walled=front.force_sandbox,
        worktrees=GitWorktrees(settings.home / "worktrees"),
        hatch=parts.hatch,
        home=settings.home,
        logins=toolsets.logins,
        hooks=Runner(outward, toolsets.cells, around, parts.clock),
        scripts=Javascript(),
        permissions=permissions,
        safety=settings.safety,
        rules=rules,
        redactor=Redactor(secrets_of(env)),
        progress=parts.jobs,
        code_mode=settings.code_mode_tools,
    )


async def _walls(settings: Settings, env: Mapping[str, str], *, forced: bool) -> Choice:
    """The sandboxes of this machine.

    Raises:
        NoSandbox: none works, though every session is to be in one.
    """
    sandbox = choice(
        settings.sandbox, env, state=settings.home, database=settings.session_db, image=settings.sandbox_image
    )
    if forced and (trouble := await sandbox.trouble()):
        raise NoSandbox(f"--force-sandbox: no sandbox works on this machine: {trouble}")
    return sandbox


def _kept(accounts: Accounts, roll: Roll | None, settings: Settings) -> str:
    """Where the accounts come from, if there are any."""
    if not accounts.enabled:
        return ""
    listed = roll.path if isinstance(roll, UsersFile) else None
    return str(listed or settings.session_db)


@asynccontextmanager
async def _models(settings: Settings, env: Secrets) -> AsyncIterator[Models]:
    """The makers of providers, with a cassette in between where one is wanted."""
    env = env.outward(OURS)  # no agent file sends them to a model
    if settings.default_model:
        env = env.also(ROOST_DEFAULT_MODEL=settings.default_model)
    tape: Player | Recorder | None = None
    if settings.fake:
        tape = Player(settings.fake)
    elif settings.record:
        tape = Recorder(settings.record)
    dice = CHANCE if tape is None else None  # what is played again must have chosen alike
    async with open_models(
        env, tape, gateway=settings.models_gateway, need_keys=settings.fake is None, dice=dice
    ) as models:
        yield models


def _couriers(settings: Settings) -> AbstractAsyncContextManager[Couriers | None]:
    """Those that the settings want."""
    told = settings.notify
    return open_couriers(
        hook=told.webhook,
        secret=told.secret.reveal(),
        keys=settings.home / "push.pem" if told.push else None,
        contact=told.contact,
        private=told.private,
    )


def _die(error: BaseException) -> None:
    """Nobody knows what is on the disk any more: end at once, and let the next start find out."""
    log.critical("the disk failed, and the server ends: %s", error, extra={"action": "store_failed"})
    os.kill(os.getpid(), signal.SIGKILL)
