"""The server of this machine: `serve.json`, which it writes when it listens and removes when it ends."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from roost.client.server import Server, plain

FILE = "serve.json"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - read here, not bound
_TICKS_AT = 19  # where a process's start time stands, behind its name


class Record(Struct, frozen=True):
    """What a running server says of itself: which process it is, and every address it listens on."""

    pid: int
    start_time: int | None = None  # in the kernel's ticks, so that another process of this pid is not taken for it
    addresses: tuple[str, ...] = ()
    address: str = ""
    fingerprint: str | None = None
    token: str = ""


def stopgap(home: Path) -> str:
    """Where the server listens that a command starts because there is none."""
    return f"unix://{home / 'run' / 'serve.sock'}"


def find(home: Path) -> Server | None:
    """The server that runs for this home, if one does."""
    try:
        record = msgspec.json.decode((home / FILE).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None
    if not alive(record.pid, record.start_time):
        return None
    found = sorted(filter(None, (*record.addresses, record.address)), key=_nearness)
    if not found:
        return None
    url = _near(found[0], tls=bool(record.fingerprint))
    return Server(
        url,
        token=record.token or token(home),
        fingerprint=_pin(record.fingerprint, home) if url.startswith("https:") else None,
    )


def of_session(home: Path, env: Mapping[str, str]) -> Server | None:
    """The server that started the session this process belongs to."""
    said = env.get("ROOST_SOCKET") or env.get("ROOST_URL") or ""
    known = find(home)
    if not said:
        return known
    url = _near(f"unix://{said}" if said.startswith("/") else said, tls=False)
    return Server(
        url,
        token=env.get("ROOST_TOKEN") or (known.token if known and known.url == url else token(home)),
        fingerprint=_pin(env.get("ROOST_FINGERPRINT"), home) if url.startswith("https:") else None,
    )


def alive(pid: int, start_time: int | None = None) -> bool:
    """Whether this process runs still, and is the one that started then."""
    if pid <= 0:  # a whole group, to the system
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    fields = _stat(pid)
    if fields[:1] == ["Z"]:  # it has ended, and nobody has asked how
        return False
    return start_time is None or started(pid) in (None, start_time)


def started(pid: int) -> int | None:
    """When a process started, in ticks since the machine did; None where the system does not say."""
    fields = _stat(pid)
    return int(fields[_TICKS_AT]) if len(fields) > _TICKS_AT else None


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, behind its name; nothing where it does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def token(home: Path) -> str:
    """The token in `serve.toml`, which the owner of this home may use."""
    try:
        text = (home / "serve.toml").read_text()
    except OSError:
        return ""
    # A tenth of what a command takes, where there is such a file.
    import tomllib

    try:
        server = tomllib.loads(text).get("server", {})
    except tomllib.TOMLDecodeError:
        return ""
    found = server.get("token", "") if isinstance(server, dict) else ""
    return found if isinstance(found, str) else ""


def certificate(home: Path) -> str | None:
    """The fingerprint of the certificate in this home."""
    # Only a server that is reached by TLS needs these.
    import hashlib
    import ssl

    try:
        text = (home / "tls" / "cert.pem").read_text()
        first = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first[0])).hexdigest() if first else None
    except (OSError, ValueError):
        return None


def _pin(said: str | None, home: Path) -> str | None:
    return plain(said) if said else certificate(home)


def _nearness(address: str) -> int:
    return 0 if address.startswith("unix://") else 2 if address.startswith("https://") else 1


def _near(address: str, *, tls: bool) -> str:
    url = address if "://" in address else f"{'https' if tls else 'http'}://{address}"
    for everywhere, here in _EVERYWHERE.items():
        url = url.replace(f"://{everywhere}", f"://{here}", 1)
    return url.rstrip("/")
