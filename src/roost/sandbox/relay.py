"""What runs first in a sandbox: it sets limits, opens the few ways out, and starts the program.

It is a program of its own (`python -I -S relay.py ORDERS PROGRAM NAME WORD…`) and knows the standard library
alone.  `PROGRAM` is a path, `NAME` what the program is called.  `ORDERS` is a JSON file: `env` (the
program's whole environment), `socket` (the proxy's, outside), `loopback` (each `host:port` that is to be
found inside where it is outside), `sockets` (the same for Unix sockets), `proxy` (whether an HTTP proxy
is wanted), `forward` (whether signals are passed on) and `places` (folders, each with its device and number:
where one is another by now, nothing runs).
It ends as the program does: with its exit code, or 128 and the number of the signal.  Under bubblewrap it
is the first process of the namespace, so that all that the program has started ends with it.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path

LIMITS = (
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_NPROC, 4096),
    (resource.RLIMIT_FSIZE, 16 << 30),
    (resource.RLIMIT_NOFILE, 65536),
)
MOST = 64  # connections at a time
PATIENCE = 10.0  # seconds for the proxy to come up, and to answer
CHUNK = 1 << 16
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    """Run the program."""
    orders = json.loads(Path(sys.argv[1]).read_bytes())
    path, argv, env = sys.argv[2], sys.argv[3:], dict(orders["env"])
    compare(orders.get("places", ()))
    doors = open_doors(orders, env)
    for limit, most in LIMITS:
        lower(limit, most)
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    child = os.fork()
    if not child:
        for door, _ in doors:
            door.close()
        if orders["forward"]:
            os.setpgid(0, 0)
        become(path, argv, env)
    if orders["forward"]:
        pass_signals_on(child)
    threading.stack_size(256 * 1024)
    room = threading.BoundedSemaphore(MOST)
    for door, wanted in doors:
        threading.Thread(target=attend, args=(door, wanted, orders["socket"], room), daemon=True).start()
    leave(child)


def compare(places: list[list]) -> None:  # type: ignore[type-arg]
    """See that each folder is the one that was let in: somebody may have put a link in its place meanwhile."""
    for path, device, number in places:
        found = os.stat(path)  # noqa: PTH116
        if (found.st_dev, found.st_ino) != (device, number):
            raise SystemExit(f"sandbox: {path} was exchanged for something else while the sandbox was made")


def lower(limit: int, most: int) -> None:
    """Set a limit, unless a lower one holds already."""
    hard = resource.getrlimit(limit)[1]
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(limit, (most, most))


def become(path: str, argv: list[str], env: dict[str, str]) -> None:
    """Turn into the program."""
    for number in (*PASSED_ON, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(path, argv, env)  # noqa: S606
    except OSError as error:
        sys.stderr.write(f"{path}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def pass_signals_on(child: int) -> None:
    """Whatever comes to us goes to the program's group."""

    def pass_on(number: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, number)

    for number in PASSED_ON:
        signal.signal(number, pass_on)


def leave(child: int) -> None:
    """Wait for the program, and end as it did."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


# -- the ways out -------------------------------------------------------------------------------


def open_doors(orders: dict, env: dict[str, str]) -> list[tuple[socket.socket, str]]:  # type: ignore[type-arg]
    """Listening sockets, each with what it leads to: `host:port`, a path, or "" for the proxy itself."""
    doors = []
    for wanted in orders["loopback"]:
        port = int(wanted.rpartition(":")[2])
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            door = listening(family, (host, port))
            if door is not None:
                doors.append((door, wanted))
    for path in orders["sockets"]:
        here = Path.cwd()
        os.chdir(Path(path).parent)  # the path of a Unix socket is at most 107 bytes long
        door = listening(socket.AF_UNIX, Path(path).name)
        os.chdir(here)
        if door is not None:
            doors.append((door, "unix:" + path))
    if orders["proxy"]:
        door = listening(socket.AF_INET, ("127.0.0.1", 0))
        if door is None:
            raise SystemExit("the sandbox has no loopback")
        doors.append((door, ""))
        address = f"http://127.0.0.1:{door.getsockname()[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            env[name] = env[name.lower()] = address
        env["NODE_USE_ENV_PROXY"] = "1"
    if doors:
        env["NO_PROXY"] = env["no_proxy"] = "localhost,127.0.0.1,::1"
    return doors


def listening(family: int, address: object) -> socket.socket | None:
    """A socket that listens, or None where the family is not there."""
    door = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        door.bind(address)  # type: ignore[arg-type]
        door.listen(MOST)
    except OSError:
        door.close()
        if family == socket.AF_INET6:
            return None
        raise
    return door


def attend(door: socket.socket, wanted: str, proxy: str, room: threading.BoundedSemaphore) -> None:
    """Take connections, for ever."""
    while True:
        room.acquire()
        try:
            near, _ = door.accept()
        except OSError:
            room.release()
            time.sleep(0.05)
            continue
        threading.Thread(target=serve, args=(near, wanted, proxy, room), daemon=True).start()


def serve(near: socket.socket, wanted: str, proxy: str, room: threading.BoundedSemaphore) -> None:
    """One connection, from its first byte to its last."""
    far = None
    try:
        far = reach(proxy)
        if wanted:
            ask(far, wanted)
        back = threading.Thread(target=pump, args=(far, near), daemon=True)
        back.start()
        pump(near, far)
        back.join()
    except OSError as error:
        sys.stderr.write(f"sandbox: {wanted or 'proxy'}: {error}\n") if isinstance(error, Refused) else None
    finally:
        near.close()
        if far is not None:
            far.close()
        room.release()


class Refused(OSError):
    """The proxy does not let it through."""


def reach(proxy: str) -> socket.socket:
    """A connection to the proxy, which may still be starting."""
    deadline = time.monotonic() + PATIENCE
    while True:
        far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            far.connect(proxy)
        except OSError:
            far.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return far


def ask(far: socket.socket, wanted: str) -> None:
    """Have the proxy connect, and read no further than its answer."""
    far.sendall(f"CONNECT {wanted} HTTP/1.1\r\n\r\n".encode())
    far.settimeout(PATIENCE * 3)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        byte = far.recv(1)
        if not byte or len(answer) > 4096:
            raise Refused("the proxy ended the connection")
        answer += byte
    far.settimeout(None)
    if answer.split(b" ", 2)[1:2] != [b"200"]:
        raise Refused(answer.split(b"\r\n", 1)[0].decode(errors="replace"))


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
