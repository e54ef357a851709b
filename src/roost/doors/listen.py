"""Addresses to listen on, and the sockets behind them."""

import errno
import fcntl
import ipaddress
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, assert_never

from msgspec import Struct

from roost import private
from roost.core.errors import BadValue

TRIES, PAUSE = 40, 0.05  # to be alone in a socket's folder


class Tcp(Struct, frozen=True):
    """`host:port`, the host a name or an address, IPv6 in brackets.  Port 0 asks for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Unix(Struct, frozen=True):
    """`unix://PATH`."""

    path: Path

    def __str__(self) -> str:
        return f"unix://{self.path}"


class Fd(Struct, frozen=True):
    """`fd://N`: a descriptor that listens already, inherited from whoever started us."""

    number: int

    def __str__(self) -> str:
        return f"fd://{self.number}"


Address = Tcp | Unix | Fd


def parse(text: str) -> Address:
    """The address that `text` names.

    Raises:
        BadValue: it names none that this machine can listen on.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _tcp(text)
    match scheme:
        case "unix" if rest:
            return Unix(Path(rest).expanduser())
        case "fd" if rest.isdecimal():
            return Fd(int(rest))
        case "npipe" if sys.platform != "win32":
            raise BadValue(f"{text}: named pipes exist on Windows only; use unix://PATH here")
        case "npipe":
            raise BadValue(f"{text}: named pipes are not built yet; use host:port")
    raise BadValue(f"{text!r} is no address: use host:port, unix://PATH or fd://N")


def _tcp(text: str) -> Tcp:
    host, separator, port = text.rpartition(":")
    if not separator or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise BadValue(f"{text!r} is no address: use host:port, unix://PATH or fd://N")
    if host.startswith("[") and host.endswith("]") and ":" in host:
        host = host[1:-1]
    elif ":" in host or "[" in host:
        raise BadValue(f"{text!r} is no address: an IPv6 address stands in brackets, as in [::1]:8080")
    return Tcp(host or "0.0.0.0", int(port))  # noqa: S104 - what `:8080` means everywhere


def exposed(address: Address) -> bool:
    """Whether other machines can reach it."""
    match address:
        case Unix():
            return False
        case Tcp(host=host):
            return not all(_is_loopback(found) for found in _resolve(host))
        case Fd():
            with _inherited(address) as sock:
                return sock.family != socket.AF_UNIX and not _is_loopback(sock.getsockname()[0])
        case unknown:
            assert_never(unknown)


def is_ours_alone(sock: socket.socket) -> bool:
    """Whether nobody but our own user can connect: a Unix socket that others may not write to."""
    name = sock.getsockname()
    if sock.family != socket.AF_UNIX or not isinstance(name, str) or not name:
        return False
    try:
        found = Path(name).stat()
    except OSError:
        return False
    return not found.st_mode & 0o077 and found.st_uid == os.geteuid()


def host(address: Address) -> str:
    """The host that it is bound to; "" for a socket that no browser reaches."""
    match address:
        case Unix():
            return ""
        case Tcp(host=name):
            return name
        case Fd():
            with _inherited(address) as sock:
                return "" if sock.family == socket.AF_UNIX else str(sock.getsockname()[0])
        case unknown:
            assert_never(unknown)


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _resolve(host: str) -> list[str]:
    """The addresses of a host, IPv4 first.

    Raises:
        BadValue: it has none.
    """
    return [str(place[0]) for _, place in _places(host, None)]


def _places(host: str, port: int | None) -> list[tuple[int, Any]]:
    """Where a host can be listened on: family and address of each."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadValue(f"can't listen on {host!r}: {getattr(error, 'strerror', None) or error}") from error
    return sorted(((family, place) for family, _, _, _, place in found), key=lambda pair: pair[0] != socket.AF_INET)


@contextmanager
def _inherited(address: Fd) -> Iterator[socket.socket]:
    """The descriptor as a socket, for a look: it stays open."""
    try:
        sock = socket.socket(fileno=address.number)
    except OSError as error:
        raise BadValue(f"{address}: {error.strerror}") from error
    try:
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise BadValue(f"{address}: that socket does not listen")
        yield sock
    finally:
        sock.detach()


def bind(address: Address) -> socket.socket:
    """A socket on `address`, its own process's alone.

    TCP connections are refused until somebody listens on it; a Unix socket listens at once, so that
    a second server finds it alive.

    Raises:
        BadValue: it can't be had; the message says why.
    """
    match address:
        case Tcp():
            return _bind_tcp(address)
        case Unix():
            return _bind_unix(address)
        case Fd():
            with _inherited(address) as sock:
                sock.set_inheritable(False)
            return socket.socket(fileno=address.number)
        case unknown:
            assert_never(unknown)


def _bind_tcp(address: Tcp) -> socket.socket:
    """On the first address of its host that will do."""
    failed: OSError | None = None
    for family, place in _places(address.host, address.port):
        try:
            return _bound_to(family, place, both=address.host == "::")
        except OSError as error:
            failed = failed or error
    assert failed is not None
    raise _failed(address, failed) from failed


def _bound_to(family: int, place: Any, *, both: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # or asyncio lets small writes wait
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        sock.bind(place)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_unix(address: Unix) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _alone(private.folder(address.path.parent)):
            _clear(address)
            mask = os.umask(0o177)
            try:
                sock.bind(str(address.path))
                sock.listen()
            finally:
                os.umask(mask)
    except OSError as error:
        sock.close()
        raise _failed(address, error) from error
    except BadValue:
        sock.close()
        raise
    return sock


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of two servers that start at once none takes the other's fresh socket for a dead one's."""
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # a folder that may be written to, and not looked into
        yield
        return
    try:
        for _ in range(TRIES):
            with suppress(BlockingIOError):
                fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(PAUSE)
        yield  # whoever has held it for so long is no server that starts
    finally:
        os.close(place)


def _failed(address: Address, error: OSError) -> BadValue:
    reason = os.strerror(error.errno) if error.errno else str(error)
    hint = "; another server has it: stop that one, or choose an address with --listen (port 0: any free one)"
    return BadValue(f"can't listen on {address}: {reason}{hint if error.errno == errno.EADDRINUSE else ''}")


def _clear(address: Unix) -> None:
    """Remove a socket that a dead server left; leave all else alone."""
    try:
        mode = address.path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise BadValue(f"can't listen on {address}: a file that is no socket lies there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        answer = probe.connect_ex(str(address.path))
    if answer != errno.ECONNREFUSED:
        raise BadValue(f"can't listen on {address}: another server answers there")
    address.path.unlink()


@contextmanager
def bound(addresses: Sequence[Address]) -> Iterator[list[socket.socket]]:
    """Sockets on all of `addresses`; leaving the block closes them and removes what they left on disk.

    Raises:
        BadValue: one of them can't be had.
    """
    sockets: list[socket.socket] = []
    made: dict[Path, tuple[int, int]] = {}
    try:
        for address in addresses:
            sockets.append(bind(address))
            if isinstance(address, Unix):
                made[address.path] = _identity(address.path)
        yield sockets
    finally:
        for sock in sockets:
            sock.close()
        for path, identity in made.items():
            with suppress(FileNotFoundError):
                if _identity(path) == identity:  # not one that somebody else has put there meanwhile
                    path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def shown(sock: socket.socket) -> str:
    """The address as people write it: the real port, or `unix://PATH`."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix://{name}"
    return str(Tcp(name[0], name[1]))
