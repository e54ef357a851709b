"""Addresses of machines: those by which others reach this one, and those of the open internet."""

import ipaddress
import socket
from contextlib import suppress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

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


# -- the open internet --------------------------------------------------------------------------

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_TRANSLATED = ipaddress.IPv6Network("::ffff:0:0:0/96")
_LOCAL = (ipaddress.IPv6Network("fec0::/10"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""Networks that are nobody's but one's own, though not all versions of `ipaddress` say so."""


def public(address: Address) -> bool:
    """Whether an address is one of the open internet, and so is each that is wrapped in it."""
    if any(address in network for network in _LOCAL):
        return False
    return all(each.is_global and not each.is_multicast for each in unwrapped(address))


def unwrapped(address: Address) -> list[Address]:
    """The address, and the older ones that it may be another spelling of."""
    found: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        found += [inner for inner in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())) if inner]
        if address in _NAT64 or address in _COMPATIBLE or address in _TRANSLATED:
            found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped or address in _NAT64:
            del found[0]  # it is nothing but the other spelling
    return found
