"""The one place where agent CLIs are started: program, environment, sandbox."""

import os
import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import msgspec
from msgspec.structs import replace

from roost.core.errors import LaunchFailed, NoSandbox
from roost.core.ids import RunId, SessionId, fresh, sandbox_name
from roost.core.orders import Order
from roost.core.session import Head, Run, Turn
from roost.engine.runtime import Makers
from roost.ports import Confinement, Driver, Errand, Launch, Outfit, Process, Runs

PASSED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TERM", "COLORTERM", "TZ", "TMPDIR",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
)  # fmt: skip
"""What an agent CLI is given of the server's environment, besides `LC_*` and what its driver needs."""

LONGEST_SOCKET = 107  # bytes of the path of a Unix socket
OURS = "roost"
"""What our own tool server is called in a CLI."""

_NAMESPACE = uuid.UUID("5e0f5a3c-3f0f-4b52-9a0c-0f9d1c4d7a11")


def runs_of(makers: Makers) -> Runs:
    """Where programs are started.

    Raises:
        LaunchFailed: this server starts none.
    """
    if makers.runs is None:
        raise LaunchFailed("this server starts no agent CLIs")
    return makers.runs


def driver_of(makers: Makers, name: str) -> Driver:
    """The driver of a provider.

    Raises:
        LaunchFailed: there is none of this name.
    """
    if (driver := makers.drivers.get(name)) is None:
        raise LaunchFailed(f"no driver is called {name!r} (known: {', '.join(sorted(makers.drivers)) or 'none'})")
    return driver


def passed(env: Mapping[str, str], needs: Iterable[str]) -> dict[str, str]:
    """What of the server's environment a CLI may see."""
    wanted = {*PASSED, *needs}
    return {name: value for name, value in env.items() if name in wanted or name.startswith("LC_")}


def environment(makers: Makers, driver: Driver, head: Head, order: Order, run: RunId) -> dict[str, str]:
    """The whole environment of a run; what the caller asked for outweighs what is passed on."""
    known = {
        "SESSION_ID": head.id,
        "PROCESS_ID": run,
        "PROVIDER": order.provider,
        "MODEL": order.model,
        "ROOT": order.working_dir,
        "SESSION_NAME": head.name,
    }
    own = {f"{prefix}_{name}": value for prefix in ("ROOST", "ZAG") for name, value in known.items() if value}
    if makers.home != Path():
        own["ROOST_HOME"] = str(makers.home)  # so that a `roost` inside finds the server that started it
    return {**passed(makers.env, driver.needs), **order.env, **own}


def errand(makers: Makers, driver: Driver, head: Head, turn: Turn, order: Order, *, prompt: str, resume: str) -> Errand:
    """What the next run of a turn is for.

    Raises:
        LaunchFailed: the CLI is not installed, or can't go on with an earlier conversation.
        BadModel: it knows no such model.
    """
    run = RunId(fresh())
    if resume and not driver.capability.features["resume"].supported:
        raise LaunchFailed(f"{order.provider} can't go on with an earlier conversation")
    env = environment(makers, driver, head, order, run)
    model = order.model and driver.model(order.model, order.size)
    return Errand(
        run=run,
        session=SessionId(head.id),
        program=_program(driver, env.get("PATH", "")),
        prompt=prompt,
        model=model,
        working_dir=head.worktree_path or turn.working_dir,
        folder=str(runs_of(makers).folder(run)),
        env=env,
        resume=resume,
        fresh_session="" if resume else str(uuid.uuid5(_NAMESPACE, run)),
        system_prompt=order.system_prompt,
        add_dirs=order.add_dirs,
        auto_approve=order.auto_approve,
        interactive=turn.interactive,
        max_turns=order.max_turns,
        size=order.size,
        mcp=_servers(makers, order, run),
        json_schema=order.json_schema,
        effort=order.effort,
        agent=order.agent,
        confined=makers.confines(turn),
        started_at=makers.clock.now(),
        used=head.used,
        spent=head.cost,
    )


def _servers(makers: Makers, order: Order, run: RunId) -> dict[str, Any]:
    """The tool servers of a run: those of the order, and ours where it wants that.

    Raises:
        LaunchFailed: ours are wanted, and this server has none.
    """
    if not order.roost_tools:
        return order.mcp
    if makers.hatch is None:
        raise LaunchFailed("this server can't give a CLI tools of its own")
    given = order.mcp.get("mcpServers") or order.mcp
    return {**given, OURS: makers.hatch.outfit(run, str(runs_of(makers).folder(run))).server}


def _program(driver: Driver, path: str) -> str:
    if not driver.program:
        return ""
    if (found := shutil.which(driver.program, path=path)) is None:
        raise LaunchFailed(f"{driver.program} is not installed, or not on the PATH of the server: {driver.hint}")
    return found


async def start(
    makers: Makers, driver: Driver, errand: Errand, head: Head, *, tools: bool = False
) -> tuple[Process, str]:
    """Start a run; the process, and the kind and name of the sandbox that it is in.

    Raises:
        LaunchFailed, NoSandbox: it can't be, and nothing is left behind.
    """
    launch = driver.launch(errand)
    outfit = makers.hatch.outfit(errand.run, errand.folder) if tools and makers.hatch is not None else None
    if outfit is not None:
        launch = replace(launch, files={**launch.files, **outfit.files})
    if errand.confined:
        launch = await _confined(makers, driver, errand, launch, outfit)
    launch = replace(launch, note=msgspec.json.encode(replace(errand, env={})).decode())
    process = await runs_of(makers).start(errand.run, SessionId(head.id), launch)
    return process, launch.sandbox


async def unwall(makers: Makers, head: Head) -> None:
    """Make sure that nothing is left of the sandbox of a session's newest run."""
    if makers.sandbox is not None and head.sandbox:
        await makers.sandbox.remove(head.sandbox.partition(":")[2])


async def _confined(
    makers: Makers, driver: Driver, errand: Errand, launch: Launch, outfit: Outfit | None = None
) -> Launch:
    if makers.sandbox is None:
        raise NoSandbox("this run has to be confined, and no sandbox works here: `roost doctor` says what is missing")
    if trouble := await makers.sandbox.trouble():
        raise NoSandbox(f"this run has to be confined, and there is no sandbox: {trouble}")
    if outfit is not None and len(os.fsencode(outfit.endpoint.removeprefix("unix:"))) > LONGEST_SOCKET:
        raise NoSandbox("the server's home has too long a path for its own tools in a sandbox: choose a shorter one")
    home = str(makers.home / "homes" / errand.session)
    await makers.sandbox.furnish(home, driver.keeps)
    confinement = Confinement(
        name=sandbox_name(errand.session),
        home=home,
        writable=(errand.working_dir, *errand.add_dirs, errand.folder),
        readable=tuple(path for path in (errand.program, *_certificates(makers.env)) if path),
        endpoints=(*_reached(makers, driver), *([outfit.endpoint] if outfit else [])),
        folder=errand.folder,
    )
    return makers.sandbox.confine(launch, confinement)


def _reached(makers: Makers, driver: Driver) -> Sequence[str]:
    """The model's endpoints as the server has them: what a caller puts into the environment opens nothing."""
    return driver.endpoints(passed(makers.env, driver.needs))


def _certificates(env: Mapping[str, str]) -> list[str]:
    """Where the server's environment says that certificates are, besides the system's own."""
    return [env[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS") if env.get(name)]


def recalled(note: str, env: dict[str, str]) -> Errand:
    """The errand of a run that an earlier server started."""
    return replace(msgspec.json.decode(note, type=Errand), env=env)


async def end(makers: Makers, run: Run) -> None:
    """End a process that belongs to no turn any more, and remove what is left of it."""
    with anyio.CancelScope(shield=True), suppress(LaunchFailed):
        process = await runs_of(makers).adopt(run.id, pid=run.pid, started=run.started, boot_id=run.boot_id)
        await process.clear()


async def sweep(makers: Makers, heads: Sequence[Head]) -> None:
    """End the processes that none of these sessions knows: they were started, and never written down."""
    if makers.runs is not None:
        turns = [one.turn for head in heads for one in (head, *head.below_all()) if one.turn is not None]
        await makers.runs.sweep([turn.run.id for turn in turns if turn.run is not None])
