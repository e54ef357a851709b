"""The one way out of a sandbox: a proxy outside of it that connects to allowed endpoints and to nothing else.

It is a program of its own (`python -I -S proxy.py FOLDER NAME ENDPOINT…`) and knows the standard library
alone.  It listens on the Unix socket NAME in FOLDER, and ends with whoever started it.  An ENDPOINT is
`host:port` or `unix:/path`.  It takes `CONNECT host:port`, and requests for `http://host:port/…`, which it
passes on without their connection being used again.  Names are looked up here, and one that leads to
this machine or to a link-local address (where clouds keep credentials) is refused, unless the endpoint
itself is a loopback one.
"""

import contextlib
import ipaddress
import os
import re
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

MOST = 64  # connections at a time
HEAD = 32 * 1024  # bytes of a request's head
PATIENCE = 15.0  # seconds for a head, and for a connection
CHUNK = 1 << 16
_PORT = re.compile(r"[0-9]{1,8}")
CLOUDS = ("fd00:ec2::254", "100.100.100.200")  # where some keep credentials that are not link-local
HOP_BY_HOP = (b"connection", b"keep-alive", b"proxy-authorization", b"proxy-connection", b"te", b"upgrade")


class Refused(Exception):
    """A request that is not let through: its status, and why."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status = status


def main() -> None:
    """Serve until the parent is gone."""
    parent = os.getppid()
    folder, name, *endpoints = sys.argv[1:]
    allowed = {normal(endpoint) for endpoint in endpoints}
    os.chdir(folder)  # the path of a Unix socket is at most 107 bytes long
    Path(name).unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.umask(0o077)
    door.bind(name)
    door.listen(MOST)
    door.settimeout(2.0)
    threading.stack_size(256 * 1024)
    room = threading.BoundedSemaphore(MOST)
    while os.getppid() == parent:
        try:
            near, _ = door.accept()
        except TimeoutError:
            continue
        if not room.acquire(timeout=PATIENCE):
            near.close()
            continue
        threading.Thread(target=serve, args=(near, allowed, room), daemon=True).start()


def serve(near: socket.socket, allowed: set[str], room: threading.BoundedSemaphore) -> None:
    """One connection, from its first byte to its last."""
    far = None
    try:
        near.settimeout(PATIENCE)
        head, rest = read_head(near)
        far, first, answer = meet(head, allowed)
        near.sendall(answer)
        far.sendall(first + rest)
        splice(near, far)
    except Refused as refused:
        tell(near, refused)
    except OSError:
        pass
    finally:
        near.close()
        if far is not None:
            far.close()
        room.release()


def read_head(near: socket.socket) -> tuple[bytes, bytes]:
    """The head of a request, and what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = near.recv(CHUNK)
        if not chunk:
            raise Refused("400 Bad Request", "the request is cut off")
        data += chunk
        if len(data) > HEAD and b"\r\n\r\n" not in data[:HEAD]:
            raise Refused("431 Request Header Fields Too Large", "the head of the request is too long")
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def meet(head: bytes, allowed: set[str]) -> tuple[socket.socket, bytes, bytes]:
    """Connect to what a request asks for: the connection, what to send there first, what to answer first."""
    lines = head.split(b"\r\n")
    words = lines[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        raise Refused("400 Bad Request", "this is no request to a proxy")
    method, target, version = words
    if method == b"CONNECT":
        wanted = text(target)
        return connect(wanted, allowed), b"", b"HTTP/1.1 200 Connection established\r\n\r\n"
    if not target.lower().startswith(b"http://"):
        raise Refused("400 Bad Request", "this proxy takes CONNECT and http:// addresses")
    authority, _slash, path = target[7:].partition(b"/")
    wanted = text(authority.rpartition(b"@")[2])
    far = connect(wanted if port_of(wanted) else wanted + ":80", allowed)
    fields = [line for line in lines[1:] if line.split(b":", 1)[0].strip().lower() not in HOP_BY_HOP]
    first = b"\r\n".join([b" ".join((method, b"/" + path, version)), *fields, b"Connection: close"]) + b"\r\n\r\n"
    return far, first, b""


def text(data: bytes) -> str:
    """A target as text."""
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise Refused("400 Bad Request", "the target is not ASCII") from None


def normal(endpoint: str) -> str:
    """An endpoint in the one spelling by which it is compared."""
    if endpoint.startswith("unix:"):
        return endpoint
    host, _, port = endpoint.rpartition(":")
    return f"{host.strip('[]').rstrip('.').lower()}:{int(port) if _PORT.fullmatch(port) else port}"


def port_of(wanted: str) -> str:
    """The port that an authority names, or ""."""
    return wanted.rpartition(":")[2] if ":" in wanted.rpartition("]")[2] else ""


def connect(wanted: str, allowed: set[str]) -> socket.socket:
    """A connection to an endpoint, if it is an allowed one."""
    name = normal(wanted)
    if name not in allowed:
        raise Refused("403 Forbidden", f"{wanted} is not among the endpoints of this sandbox")
    try:
        if name.startswith("unix:"):
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            far.settimeout(PATIENCE)
            far.connect(name[len("unix:") :])
            return far
        host, _, port = name.rpartition(":")
        return dial(addresses(host, int(port)))
    except (OSError, ValueError) as error:
        raise Refused("502 Bad Gateway", f"{wanted} can't be reached: {error}") from None


def addresses(host: str, port: int) -> list[tuple[str, int]]:
    """Where a host is, without what an outside name must not lead to."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    spots = [(str(entry[4][0]), port) for entry in found if may_be(host, str(entry[4][0]))]
    if not spots:
        raise Refused("403 Forbidden", f"{host} leads to an address that a sandbox may not reach")
    return spots


def may_be(host: str, address: str) -> bool:
    """Whether a host of this name may be at this address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    for inner in ("ipv4_mapped", "sixtofour"):
        ip = getattr(ip, inner, None) or ip
    if str(ip) in CLOUDS:
        return False
    if host == "localhost" or is_loopback(host):
        return ip.is_loopback
    return not (ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast or ip.is_reserved)


def is_loopback(host: str) -> bool:
    """Whether an endpoint is written as an address of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def dial(spots: Sequence[tuple[str, int]]) -> socket.socket:
    """The first connection that stands."""
    for spot in spots[:-1]:
        try:
            return socket.create_connection(spot, timeout=PATIENCE)
        except OSError:
            continue
    return socket.create_connection(spots[-1], timeout=PATIENCE)


def tell(near: socket.socket, refused: Refused) -> None:
    """Say why not."""
    body = f"{refused}\n".encode()
    head = f"HTTP/1.1 {refused.status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close"
    with contextlib.suppress(OSError):
        near.sendall(head.encode() + b"\r\n\r\n" + body)


def splice(near: socket.socket, far: socket.socket) -> None:
    """Pass bytes on both ways until both ends are done."""
    for end in (near, far):
        end.settimeout(None)  # a model may think for long
        if end.family != socket.AF_UNIX:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    back = threading.Thread(target=pump, args=(far, near), daemon=True)
    back.start()
    pump(near, far)
    back.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass bytes on until there are no more, and then say so."""
    try:
        while chunk := source.recv(CHUNK):
            sink.sendall(chunk)
    except OSError:
        shut(source, socket.SHUT_RD)
    shut(sink, socket.SHUT_WR)


def shut(end: socket.socket, how: int) -> None:
    """Close one way of a connection, if it is still there."""
    with contextlib.suppress(OSError):
        end.shutdown(how)


if __name__ == "__main__":
    main()
