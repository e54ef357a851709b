"""What `roost doctor` looks at: each check is a plain function that gives back findings."""

import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import anyio
from msgspec import Struct

from roost.cli import model
from roost.config import agentfile
from roost.config.places import BUILT_IN
from roost.config.references import is_external
from roost.config.settings import load
from roost.config.sources import open_agents
from roost.core import vendors
from roost.core.agents import Team
from roost.core.errors import AgentBroken, BadModel, BadValue, NotBuilt, RoostError
from roost.doors.listen import bind, parse
from roost.drivers.catalogue import drivers
from roost.providers.keys import Keys
from roost.providers.specs import Specs
from roost.sandbox.choice import choice
from roost.stores import migrations

State = Literal["ok", "warn", "fail"]

_FSYNCS = 10
_SLOW = 0.02  # seconds an fsync may take before it is worth a word
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs"})


_PROMISES = {
    "docker": "no network, no capability, limits of memory and processes; named and removed",
    "bubblewrap": "no network, no capability, a namespace that ends whole; memory is not limited",
}


class Finding(Struct, frozen=True):
    """What one look has found."""

    check: str
    state: State
    text: str


def python() -> Finding:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok" if sys.version_info >= (3, 11) else "fail", f"{version} at {sys.executable}")


def keys(env: Mapping[str, str], own: Iterable[str] = ()) -> Finding:
    """The variables that hold keys of model providers: their names alone.  `own` are those that agent files name."""
    known = {key for one in vendors.VENDORS.values() for key in (one.token_key, *one.spare_keys) if key}
    found = [name for name in sorted({*known, *own}) if env.get(name)]
    if found:
        return Finding("keys", "ok", ", ".join(found))
    return Finding("keys", "warn", "no provider's key is set (ANTHROPIC_API_KEY, OPENAI_API_KEY …)")


def local_model() -> Finding:
    """The small model on this machine."""
    if model.installed():
        return Finding("local model", "ok", str(model.weights()))
    return Finding("local model", "warn", "not installed; `roost model install` does it")


class Loaded(Struct, frozen=True):
    """An agent file: what is in it, or why it does not load."""

    name: str
    team: Team | None = None
    trouble: str = ""


def load_all(where: str, env: Mapping[str, str]) -> list[Loaded]:
    """The agent files at `where`."""
    if is_external(where) and not Path(where).exists():
        return [_remote(where, env)]
    return [_local(name, raw, env) for name, raw in _agent_files(where)] or [
        Loaded(where, trouble=f"{where}: no agent file there")
    ]


def agents(loaded: Iterable[Loaded], env: Mapping[str, str]) -> Iterator[Finding]:
    """Whether agent files load, and whether the keys of their models are there."""
    for one in loaded:
        yield _loaded(one.name, one.team, env) if one.team else Finding("agents", "fail", one.trouble)


def own_keys(loaded: Iterable[Loaded]) -> set[str]:
    """The variables that hold the keys of their models, and of providers of their own."""
    teams = [one.team for one in loaded if one.team]
    return {spec.token_key for team in teams for spec in (*team.models.values(), *team.providers.values())} - {""}


def _local(name: str, raw: bytes, env: Mapping[str, str]) -> Loaded:
    try:
        team = agentfile.load(Path(name).stem, raw, name=name, env=env, folder=Path(name).absolute().parent)
    except AgentBroken as error:
        return Loaded(name, trouble=error.message)
    return Loaded(name, team)


def _remote(where: str, env: Mapping[str, str]) -> Loaded:
    """An agent that lives elsewhere, fetched as a server would."""
    settings = load({}, env)
    try:
        return Loaded(where, anyio.run(open_agents([where], data_dir=str(settings.data_dir), env=env).team, where))
    except RoostError as error:
        return Loaded(where, trouble=error.message)


def _loaded(name: str, team: Team, env: Mapping[str, str]) -> Finding:
    specs = Specs(env, Keys(env))
    wants = [*team.warnings, *dict.fromkeys(_unusable(specs, team))]
    if missing := specs.missing(team, [agent.name for agent in team.agents]):
        wants.append(f"not set: {', '.join(missing)}")
    if wants:
        return Finding("agents", "warn", "\n".join([f"{name}: loads, but", *wants]))
    return Finding("agents", "ok", f"{name}: {', '.join(agent.name for agent in team.agents)}")


def _agent_files(where: str) -> Iterator[tuple[str, bytes]]:
    path = Path(where)
    if path.is_dir():
        for file in sorted(path.iterdir()):
            if file.suffix.lower() in (".yaml", ".yml") and file.is_file():
                yield str(file), file.read_bytes()
    elif path.is_file():
        yield str(path), path.read_bytes()
    elif where in BUILT_IN:
        yield where, BUILT_IN[where].read_bytes()


def _unusable(specs: Specs, team: Team) -> Iterator[str]:
    """What is wrong with the models of a team, besides missing keys."""
    for agent in team.agents:
        try:
            if agent.harness is None:
                specs.find(team, agent.model, choose=False)
        except (BadModel, NotBuilt) as error:
            yield error.message


def disk(folder: Path) -> Finding:
    """What a durable write costs, and whether the disk is a local one."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        milliseconds = _fsync(folder) * 1000
    except OSError as error:
        return Finding("disk", "fail", f"{folder} can't be written: {error.strerror}")
    kind = _filesystem(folder)
    if kind in _REMOTE:
        return Finding("disk", "fail", f"{folder} is on {kind}: the database must be on a local disk")
    slow = milliseconds > _SLOW * 1000
    return Finding("disk", "warn" if slow else "ok", f"{folder}: fsync {milliseconds:.2f} ms{', slow' if slow else ''}")


def _fsync(folder: Path) -> float:
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_FSYNCS):
            file.write(b"x" * 4096)
            file.flush()
            before = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - before)
    return statistics.median(took)


def _filesystem(folder: Path) -> str:
    """The kind of file system a folder is on; "" where nobody says."""
    try:
        lines = Path("/proc/mounts").read_text("utf-8").splitlines()
    except OSError:
        return ""
    path = folder.resolve()
    best, kind = -1, ""
    for line in lines:
        mount, found = line.split()[1:3]
        if path.is_relative_to(mount) and len(mount) >= best:
            best, kind = len(mount), found
    return kind


def database(path: Path, *, given: bool = False) -> Finding:
    """Whose file it is; `given` where it was named, and no other is taken instead."""
    if not path.exists():
        return Finding("database", "ok", f"{path}: not there yet")
    if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
        return Finding("database", "fail", f"{path} can't be read and written")
    if not migrations.ours(path) and given:
        return Finding("database", "fail", f"{path} is another program's, and is refused")
    if not migrations.ours(path):
        beside = path.with_name("roost.db")
        return Finding("database", "warn", f"{path} is another program's: by default {beside} is used")
    return Finding("database", "ok", f"{path}: {path.stat().st_size / 1_000_000:.1f} MB")


def port(address: str) -> Finding:
    """Whether an address is free."""
    try:
        sock: socket.socket = bind(parse(address))
    except BadValue as error:
        return Finding("port", "warn", error.message)
    sock.close()
    return Finding("port", "ok", f"{address} is free")


def shell(env: Mapping[str, str]) -> Finding:
    """The shell that agents' commands would run in."""
    wanted = env.get("SHELL") or "/bin/sh"
    found = shutil.which(wanted) or shutil.which("sh")
    return Finding("shell", "ok", found) if found else Finding("shell", "fail", "no shell: agents can't run commands")


def clis(env: Mapping[str, str]) -> Finding:
    """The agent CLIs that sessions could run."""
    try:
        known = drivers(mock=False, rows=load({}, env).drivers)
    except BadValue as error:
        return Finding("agent CLIs", "fail", error.message)
    found = {name: shutil.which(one.program, path=env.get("PATH")) for name, one in known.items()}
    there = ", ".join(f"{name} ({where})" for name, where in found.items() if where)
    gone = ", ".join(name for name, where in found.items() if not where)
    lacking = f"not on the PATH: {gone}"
    if not there:
        return Finding("agent CLIs", "warn", lacking)
    return Finding("agent CLIs", "ok", f"{there}\n{lacking}" if gone else there)


def sandbox(env: Mapping[str, str]) -> Finding:
    """What confined sessions run in: tried for real."""
    try:
        settings = load({}, env)
        found = choice(settings.sandbox, env, state=settings.home, image=settings.sandbox_image)
    except BadValue as error:
        return Finding("sandbox", "fail", str(error))
    if trouble := anyio.run(found.trouble):
        return Finding("sandbox", "warn", f"none works, so that what has to be confined is refused: {trouble}")
    unlimited = found.kind == "bubblewrap" and os.geteuid() == 0
    limits = ", and as root neither are processes" if unlimited else ""
    return Finding("sandbox", "ok", f"{found.kind}: {_PROMISES[found.kind]}{limits}")
