"""What a program in a sandbox sees: the parts of the host's system, its own folders, and nothing else."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from roost.core.errors import NoSandbox
from roost.ports import Confinement, Launch
from roost.sandbox import closure
from roost.sandbox.closure import Mount

INSIDE = "/run/roost"
"""Where our own parts lie inside: `relay.py`, and the run's folder as `run`."""

SOCKET = "net.sock"
ORDERS = "sandbox.json"
RELAY = Path(__file__).with_name("relay.py")
PROXY = Path(__file__).with_name("proxy.py")

_TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives", "bash.bashrc", "ca-certificates", "debian_version", "fonts", "inputrc", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "locale.alias", "localtime", "magic", "mime.types", "networks", "os-release",
    "pki/ca-trust/extracted", "pki/tls/certs", "pki/tls/openssl.cnf", "profile", "protocols", "rpc", "services",
    "ssl/cert.pem", "ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone", "xattr.conf",
)  # fmt: skip
"""What there is of /etc: no accounts, no keys, no configuration of services."""

_WIDE = (
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/opt", "/proc", "/root", "/run", "/sys",
    "/tmp", "/usr", "/var", "/var/tmp",  # noqa: S108
)  # fmt: skip
"""Folders that nobody works in; what holds one of them is too wide as well."""

_LEFT_OUT = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "GNUPGHOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "SSH_AGENT_PID",
             "SSH_AUTH_SOCK", "WAYLAND_DISPLAY", "XAUTHORITY")  # fmt: skip


class Kept(Struct, frozen=True):
    """What is kept from programs in a sandbox: the server's user's home, its own folder, its database."""

    home: str
    state: str
    database: str = ""


class View(Struct, frozen=True):
    """All that a program sees.  Later mounts lie over earlier ones."""

    links: tuple[tuple[str, str], ...]  # target, path
    mounts: tuple[Mount, ...]
    hollows: tuple[str, ...]  # folders that are empty and writable, for sockets that the relay makes
    argv: tuple[str, ...]  # the relay's command line, inside
    cwd: str
    files: dict[str, str]
    beside: tuple[tuple[str, ...], ...]


def behold(
    launch: Launch,
    confinement: Confinement,
    *,
    user: tuple[int, int],
    kept: Kept,
    host: bool = True,
    forward: bool = False,
) -> View:
    """The view of one run.

    `user` is who the program is inside, `kept` what it must not see.  With `host` the system is the
    host's own, else that of an image.  With `forward` the relay passes signals on to the program, who does
    not get them itself.

    Raises:
        NoSandbox: a path of it can't be let in.
    """
    folder = _folder(confinement)
    if not Path(confinement.home).is_dir():
        raise NoSandbox(f"the private home {confinement.home} is not there")
    places = [resolved(path, kept) for path in confinement.writable if not _within(os.path.realpath(path), (folder,))]
    writable = _outermost(place.path for place in places)
    program = closure.of(launch.argv[0], launch.env.get("PATH", os.defpath))
    readable = [*_asked(launch, confinement), *program.mounts, *_library(host=host)]
    for mount in readable:
        if not _within(mount.source, _system_paths()):
            _narrow(mount.source, kept)
    system = _system() if host else ()
    own = (
        Mount(confinement.home, confinement.home, writable=True),
        Mount(folder, folder),
        Mount(folder, f"{INSIDE}/run"),
        Mount(str(RELAY), f"{INSIDE}/relay.py"),
    )
    orders = _orders(launch.env, confinement, _name(user), forward=forward)
    if not forward:  # an engine may number files in its own way
        orders["places"] = [[place.path, place.device, place.number] for place in places if place.path in writable]
    files, sockets = _files(launch, confinement, user, orders), _sockets(confinement.endpoints)
    return View(
        links=links() if host else (),
        mounts=(
            *system,
            *_needed(readable, (*_system_paths(), *writable)),
            *(Mount(path, path, writable=True) for path in writable),
            *(_named(folder) if host else ()),
            *own,
        ),
        hollows=tuple(_hollow(path, (*writable, folder, confinement.home)) for path in sockets),
        argv=(*_relay(host=host), program.path, program.name, *launch.argv[1:]),
        cwd=_cwd(launch.cwd, (*writable, confinement.home)),
        files=files,
        beside=(*launch.beside, *_proxy(folder, confinement.endpoints)),
    )


def _asked(launch: Launch, confinement: Confinement) -> Iterator[Mount]:
    """What is to be read besides; of a program all that it can't run without, since a shell may start it."""
    for path in confinement.readable:
        if Path(path).is_file() and os.access(path, os.X_OK):
            yield from closure.of(path, launch.env.get("PATH", os.defpath)).mounts
        else:
            yield Mount(os.path.realpath(path), path)


def _folder(confinement: Confinement) -> str:
    if not confinement.folder:
        raise NoSandbox("a sandbox needs a private folder for the run")
    return os.path.realpath(confinement.folder)


class Folder(Struct, frozen=True):
    """A folder, and by what the kernel knows it."""

    path: str
    device: int
    number: int


def resolved(path: str, kept: Kept) -> Folder:
    """A writable folder.  Its path has to be without symbolic links.

    Whoever may write around it could have put one in its place since it was permitted.

    Raises:
        NoSandbox: it is no folder, is reached by a link, or holds what nobody in a sandbox may see.
    """
    try:
        held = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError):
        raise NoSandbox(f"{path} is no folder, so that nothing can run in it in a sandbox") from None
    try:
        real, found = str(Path(f"/proc/self/fd/{held}").readlink()), os.fstat(held)
    finally:
        os.close(held)
    if real != os.path.abspath(path):  # noqa: PTH100  links are what this looks for
        raise NoSandbox(f"a sandbox can't be given {path}: it is a link, or lies behind one, and leads to {real}")
    _narrow(real, kept)
    if _within(real, (os.path.realpath(kept.state),)):
        raise NoSandbox(f"a sandbox can't be given {path}: it belongs to the server itself")
    if os.geteuid() == 0 and not _ours(found):
        raise NoSandbox(
            f"{path} belongs to user {found.st_uid}, and a sandbox of this server (which runs as root)"
            f" could not write there: give it to root, or run the server as that user"
        )
    return Folder(real, found.st_dev, found.st_ino)


def _outermost(paths: Iterable[str]) -> list[str]:
    """Those that lie in none of the others, which are seen with these."""
    found: list[str] = []
    for path in sorted(set(paths)):
        if not _within(path, found):
            found.append(path)
    return found


def _narrow(path: str, kept: Kept) -> None:
    for guarded in (*_WIDE, *(os.path.realpath(each) for each in (kept.home, kept.state, kept.database) if each)):
        if _within(guarded, (path,)):
            raise NoSandbox(f"a sandbox can't be given {path}: it holds {guarded}; a folder below it would do")


def _ours(stat: os.stat_result) -> bool:
    return stat.st_uid == 0 or bool(stat.st_mode & 0o002) or (bool(stat.st_mode & 0o020) and stat.st_gid == 0)


def _within(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _cwd(cwd: str, folders: Sequence[str]) -> str:
    real = os.path.realpath(cwd)
    if not _within(real, folders):
        raise NoSandbox(f"the working directory {cwd} is not among the folders of the sandbox")
    return real


# -- the host's system --------------------------------------------------------------------------


def links() -> tuple[tuple[str, str], ...]:
    """The links at the top of this host, as target and path."""
    return tuple((str(Path(f"/{name}").readlink()), f"/{name}") for name in _TOP if Path(f"/{name}").is_symlink())


def _system() -> tuple[Mount, ...]:
    paths = [*_system_paths(), *(f"/etc/{name}" for name in _ETC)]
    return tuple(Mount(os.path.realpath(path), path) for path in paths if Path(path).exists())


def _system_paths() -> list[str]:
    whole = [f"/{name}" for name in _TOP if Path(f"/{name}").is_dir() and not Path(f"/{name}").is_symlink()]
    return ["/usr", *whole, *(["/nix/store"] if Path("/nix/store").is_dir() else [])]


def _named(folder: str) -> tuple[Mount, ...]:
    """The files of /etc that are made for the run."""
    names = ("passwd", "group", "hosts", "nsswitch.conf", "resolv.conf")
    return tuple(Mount(f"{folder}/sandbox-{name}", f"/etc/{name}") for name in names)


def _relay(*, host: bool) -> tuple[str, ...]:
    return (interpreter() if host else "python3", "-I", "-S", f"{INSIDE}/relay.py", f"{INSIDE}/run/{ORDERS}")


def interpreter() -> str:
    """The interpreter behind a virtual environment: its library is found from its own place alone."""
    name = Path(os.path.realpath(sys.executable)).name
    path = Path(sys.base_prefix) / "bin" / name
    return str(path) if path.exists() else os.path.realpath(sys.executable)


def _library(*, host: bool) -> tuple[Mount, ...]:
    """The interpreter's own."""
    return (Mount(os.path.realpath(sys.base_prefix), sys.base_prefix),) if host else ()


def _needed(mounts: Iterable[Mount], covered: Sequence[str]) -> list[Mount]:
    """Each once, the outer before the inner, without what is seen anyway."""
    every = {mount.target: mount.source for mount in mounts if Path(mount.source).exists()}
    found: list[Mount] = []
    for target in sorted(every):
        same = [mount.target for mount in found if mount.source == mount.target]
        if not _within(target, (*covered, *same)):
            found.append(Mount(every[target], target))
    return found


# -- our own parts ------------------------------------------------------------------------------


def _name(user: tuple[int, int]) -> str:
    return "root" if user[0] == 0 else "agent"


def _files(
    launch: Launch, confinement: Confinement, user: tuple[int, int], orders: Mapping[str, Any]
) -> dict[str, str]:
    uid, gid = user
    home = confinement.home if uid == 0 else "/nonexistent"
    passwd = f"root:x:0:0:root:{home}:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    group = "root:x:0:\nnogroup:x:65534:\n"
    if uid:
        passwd += f"agent:x:{uid}:{gid}:agent:{confinement.home}:/bin/sh\n"
    if gid:
        group += f"agent:x:{gid}:\n"
    return {
        **launch.files,
        "sandbox-passwd": passwd,
        "sandbox-group": group,
        "sandbox-hosts": "127.0.0.1 localhost\n::1 localhost\n",
        "sandbox-nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "sandbox-resolv.conf": "# there are no names to look up in here: the proxy does that\n",
        ORDERS: json.dumps(orders),
    }


def _orders(env: Mapping[str, str], confinement: Confinement, name: str, *, forward: bool) -> dict[str, Any]:
    """What the relay is told: the program's environment, and what it lets out."""
    own = {"HOME": confinement.home, "USER": name, "LOGNAME": name, "TMPDIR": "/tmp", "IS_SANDBOX": "1"}  # noqa: S108
    outer = {key: value for key, value in env.items() if key not in _LEFT_OUT and not key.startswith("XDG_")}
    endpoints = [endpoint for endpoint in confinement.endpoints if not endpoint.startswith("unix:")]
    return {
        "env": {**outer, **own},
        "socket": f"{INSIDE}/run/{SOCKET}",
        "loopback": [endpoint for endpoint in endpoints if _is_loopback(endpoint)],
        "sockets": _sockets(confinement.endpoints),
        "proxy": any(not _is_loopback(endpoint) for endpoint in endpoints),
        "forward": forward,
    }


def _is_loopback(endpoint: str) -> bool:
    host = endpoint.rpartition(":")[0].strip("[]").lower()
    return host in ("localhost", "::1") or host.startswith("127.")


def _sockets(endpoints: Iterable[str]) -> list[str]:
    return [endpoint.removeprefix("unix:") for endpoint in endpoints if endpoint.startswith("unix:")]


def _hollow(socket: str, taken: Sequence[str]) -> str:
    """The folder of a socket that is let in: it is made anew inside, and holds that socket alone."""
    parent = str(Path(socket).parent)
    if not Path(socket).is_absolute() or any(_within(path, (parent,)) for path in (*_WIDE, *taken)):
        raise NoSandbox(f"the socket {socket} can't be let into a sandbox from there; it needs a folder of its own")
    return parent


def _proxy(folder: str, endpoints: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    if not endpoints:
        return ()
    return ((interpreter(), "-I", "-S", str(PROXY), folder, SOCKET, *endpoints),)
