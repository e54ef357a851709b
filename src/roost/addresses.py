"""Addresses by which other machines reach this one."""

import ipaddress
import socket
from contextlib import suppress

ANYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to

_OUTWARD = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))  # of nobody: nothing is sent there


def outward() -> list[str]:
    """Those of the interfaces that lead elsewhere, IPv4 first; none where the machine is alone."""
    found: dict[str, None] = {}
    for family, away in _OUTWARD:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((away, 9))
            address = str(probe.getsockname()[0]).partition("%")[0]
            if not ipaddress.ip_address(address).is_loopback:
                found[address] = None
    return list(found)


def reachable(host: str) -> str:
    """The name or address by which others reach what listens on `host`; itself, where that is one already."""
    if host.strip("[]") not in ANYWHERE:
        return host.strip("[]")
    return next(iter(outward()), "127.0.0.1")


def url(scheme: str, host: str, port: int | None) -> str:
    """The address of a server, as a browser takes it."""
    standard = {"http": 80, "https": 443}[scheme]
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" + ("" if port in (None, standard) else f":{port}")
