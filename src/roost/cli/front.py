"""`roost serve` from its settings to its end: bind, open, settle, listen, say so, resume."""

import asyncio
import gc
import os
import shlex
import socket
import ssl
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import anyio
import click
from msgspec import Struct
from msgspec.structs import replace

from roost import private
from roost.cli import beacon, host, invite, logs, progress
from roost.compose import Running, open_server, users_file
from roost.config import authority, certificates
from roost.config.authority import Authority
from roost.config.certificates import Pair
from roost.config.front import Front, new_token, save_token
from roost.config.settings import Settings
from roost.config.values import Secret
from roost.core.errors import BadValue
from roost.doors.auth import host_of
from roost.doors.listen import bound, exposed, is_ours_alone, parse, shown
from roost.doors.server import serve, until_told

MASKED = 20  # characters that a token has at least, before its first four are shown


class Plan(Struct, frozen=True):
    """What the settings come to, once the socket is there."""

    address: str  # with its scheme
    trusted: bool  # only our own user can reach it
    pair: Pair | None
    generated: bool
    token: Secret
    tls: ssl.SSLContext | None = None
    authority: Authority | None = None


def run(front: Front, settings: Settings, *, generate: bool = False) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        RoostError: it can't start; the message says why.
    """
    logs.set_up(debug=settings.debug, file=settings.log_file)
    if settings.session_db == host.DEFAULT_DB:
        settings = replace(settings, session_db=front.home / "roost.db")
    front.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = replace(settings, session_db=settings.session_db.absolute(), listen=front.address)
    if settings.working_dir:
        os.chdir(settings.working_dir)
    gc.freeze()  # what has been loaded stays
    anyio.run(_run, front, settings, generate, backend_options={"use_uvloop": sys.platform != "win32"})


def refuse_plain(front: Front, line: str) -> None:
    """Turn down plain HTTP where others could listen in; `line` is the command that was typed.

    Raises:
        BadValue: with the commands that would do.
    """
    if not front.insecure_http or front.insecure_http_anywhere or not exposed(parse(front.address)):
        return
    raise BadValue(
        f"{front.address} can be reached from other machines, and --insecure-http would send the token there for all "
        f"to read.\nListen on this machine only, for a proxy beside it, or allow it:\n\n"
        f"    {line} --host 127.0.0.1\n"
        f"    {line} --insecure-http-anywhere\n"
    )


async def _run(front: Front, settings: Settings, generate: bool) -> None:
    env = host.environment(settings)
    addresses = [parse(address) for address in (settings.listen, settings.pprof_addr) if address]
    async with AsyncExitStack() as stack:
        sockets = stack.enter_context(bound(addresses))
        stop = stack.enter_context(until_told())
        plan = _plan(front, settings, sockets[0], generate)
        settings = replace(settings, auth_token=plan.token)
        running = await stack.enter_async_context(
            open_server(
                settings,
                env,
                front=front,
                roll=users_file(settings, env),
                trusted=plan.trusted,
                authority=plan.authority.public if plan.authority else b"",
            )
        )
        await stack.enter_async_context(progress.shown(running.jobs))
        notes = [*running.notes, *_settled(await running.settle())]
        await stack.enter_async_context(host.profiling(sockets[1:], stop))
        await _serve(running, sockets[0], stop, front, plan, settings, notes)


def _plan(front: Front, settings: Settings, sock: socket.socket, generate: bool) -> Plan:
    """Certificate and token.

    Raises:
        BadValue: the certificate can't be used, or a new token can't be saved.
    """
    trusted = is_ours_alone(sock)
    secure = not (sock.family == socket.AF_UNIX or front.insecure_http)
    authority = _authority(front, settings) if secure and front.own_ca else None
    pair = authority.pair if authority else _pair(front) if secure else None
    tls = certificates.context(pair) if pair is not None else None
    generated = not trusted and (generate or not front.token)
    token = Secret("") if trusted else front.token
    if generated:
        token = Secret(new_token())
        save_token(front.file, token.reveal())
    return Plan(_address(front, sock, secure=secure), trusted, pair, generated, token, tls, authority)


def _pair(front: Front) -> Pair:
    if front.tls_cert is not None and front.tls_key is not None:
        return certificates.load(front.tls_cert, front.tls_key)
    return certificates.own(front.home / "tls", "" if front.listen else front.host, elsewhere=front.zag / "tls")


def _authority(front: Front, settings: Settings) -> Authority:
    also = (host_of(settings.public_url),) if settings.public_url else ()
    return authority.own(front.home / "tls", "" if front.listen else front.host, also=also)


def _address(front: Front, sock: socket.socket, *, secure: bool) -> str:
    """The address as it is announced: the host as it was typed, the port as it is."""
    real = shown(sock)
    if sock.family == socket.AF_UNIX:
        return real
    if not front.listen:
        real = replace(front, port=sock.getsockname()[1]).address
    return f"{'https' if secure else 'http'}://{real}"


async def _serve(
    running: Running,
    sock: socket.socket,
    stop: asyncio.Event,
    front: Front,
    plan: Plan,
    settings: Settings,
    notes: list[str],
) -> None:
    beside: list[asyncio.Task[None]] = []
    lit = AsyncExitStack()

    def listening() -> None:
        pin = plan.pair.fingerprint if plan.pair else ""
        running.service.notices.place = invite.where(settings, sock, secure=plan.pair is not None)
        lit.enter_context(beacon.lit(front.home, plan.address, pin, plan.token.reveal()))
        for line in [*_opening(front, plan, running), *notes, *_warnings(front, plan)]:
            click.echo(line, err=True)
        gc.freeze()  # what is there now stays: no use in looking through it for garbage
        beside.append(asyncio.create_task(host.resume(running), name="resume"))
        beside.append(asyncio.create_task(greet(), name="greet"))
        if front.idle_exit:
            beside.append(asyncio.create_task(until_idle(), name="idle exit"))

    async def greet() -> None:
        await _greet(running)
        await invite.show(running, settings, sock, secure=plan.pair is not None)

    async def until_idle() -> None:
        await running.idle(front.idle_exit)
        click.echo(f"Nobody has asked anything for {front.idle_exit:g} s: the server ends", err=True)
        stop.set()

    async def stopping() -> None:
        if front.stop_sessions:
            await running.end_sessions()
        running.stop()

    try:
        async with lit:
            await serve(running.app, [sock], stop=stop, tls=plan.tls, on_start=listening, on_stop=stopping)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


# -- what is printed ----------------------------------------------------------------------------


def _opening(front: Front, plan: Plan, running: Running) -> list[str]:
    """The lines that tools know, in the order in which they know them."""
    lines = []
    if plan.pair is not None and plan.pair.self_signed and front.tls_cert is None:
        lines.append(
            f"WARNING: the TLS certificate {plan.pair.cert} is self-signed: good for a local network, not for "
            f"production (use --tls-cert and --tls-key there). SHA-256 fingerprint {plan.pair.shown}"
        )
    if plan.authority is not None:
        lines += _vouched(plan.authority)
    if running.accounts:
        lines.append(f"User accounts mode: loaded from {running.accounts}")
    if plan.token:
        lines.append(f"Token: {plan.token.reveal() if plan.generated else masked(plan.token)}")
    if front.force_sandbox:
        lines.append("Force sandbox: enabled, every session runs in a sandbox")
    return [*lines, f"Starting zag server on {plan.address}"]


def _vouched(authority: Authority) -> list[str]:
    """What phones need to know of our own authority."""
    ours = certificates.fingerprint(authority.cert)
    lines = [
        f"Certificate by our own authority {authority.cert}: install it on phones once, from /web/ca.pem. "
        f"SHA-256 fingerprint {ours}"
    ]
    if authority.left_out:
        names = ", ".join(authority.left_out)
        lines.append(f"WARNING: it may not vouch for {names}: delete {authority.cert} and its key to make another")
    return lines


def masked(token: Secret) -> str:
    """Enough of a token to know it again."""
    text = token.reveal()
    return f"{text[:4]}{'*' * 12}" if len(text) >= MASKED else "*" * 12


def _settled(count: int) -> list[str]:
    return [f"Settled {count} turn{'s' * (count > 1)} that an earlier server left unfinished"] if count else []


def _warnings(front: Front, plan: Plan) -> list[str]:
    """What the owner of this machine should look at."""
    lines = []
    secrets = [path for path in (front.file, front.zag / front.file.name) if _holds_token(path)]
    if plan.pair is not None:
        secrets.append(plan.pair.key)
        if plan.pair.ends < datetime.now(UTC):
            lines.append(f"WARNING: the TLS certificate {plan.pair.cert} has expired")
    if plan.authority is not None:
        secrets.append(plan.authority.key)
    for path in filter(private.is_open, secrets):
        lines.append(f"WARNING: other users can read {path}: {shlex.join(('chmod', '600', str(path)))}")
    if front.insecure_http and exposed(parse(front.address)):
        lines.append("WARNING: without TLS, whoever is on the way can read the token and all that is sent")
    return lines


def _holds_token(path: Path) -> bool:
    try:
        return b"token" in path.read_bytes()
    except OSError:
        return False


async def _greet(running: Running) -> None:
    """What somebody at a terminal wants to know next."""
    click.echo(f"Agents: {await running.roll()}", err=True)
