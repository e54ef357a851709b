"""Which hosts and addresses the HTTP requests of tools may reach."""

import ipaddress
from collections.abc import Collection, Iterable

from msgspec import Struct

from roost.addresses import Address, public, unwrapped
from roost.core.errors import ToolsetFailed
from roost.tools.tool import Refused

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Domains(Struct, frozen=True):
    """Patterns of hosts: `a.b` and what is below it, `.a.b` or `*.a.b` only what is below, addresses, networks."""

    exact: frozenset[str]
    below: tuple[str, ...]
    networks: tuple[Network, ...]

    def name(self, host: str) -> bool:
        """Whether a host is meant by its name."""
        return host in self.exact or host.endswith(self.below)

    def address(self, address: Address) -> bool:
        """Whether an address is meant, or one that is wrapped in it."""
        return any(each in network for each in unwrapped(address) for network in self.networks)

    def __bool__(self) -> bool:
        return bool(self.exact or self.below or self.networks)


NOWHERE = Domains(frozenset(), (), ())


class Reach(Struct, frozen=True):
    """What may be reached: public addresses only, unless `private`; within lists of domains, where there are any.

    `endpoints` are the `host:port` that a confined session may reach; None where it is not confined.
    """

    private: bool = False
    allowed: Domains = NOWHERE
    blocked: Domains = NOWHERE
    endpoints: Collection[str] | None = None

    @property
    def by_name(self) -> bool:
        """Whether names decide alone, so that a proxy may look up the addresses."""
        listed = self.allowed.networks or self.blocked.networks
        return self.private and not listed and self.endpoints is None

    def host(self, host: str, port: int) -> None:
        """Judge a host before anything is looked up.

        Raises:
            Refused: it may not be reached.
        """
        if self.endpoints is not None and f"{host}:{port}" not in self.endpoints:
            raise Refused(
                f"{host}:{port} can't be reached: this session is confined to a sandbox, and it is not one of the "
                "addresses that may be reached from there"
            )
        if self.blocked.name(host):
            raise Refused(f"{host} is on the list of blocked domains")
        if self.allowed and not self.allowed.networks and not self.allowed.name(host):
            raise Refused(f"{host} is not on the list of allowed domains")

    def address(self, host: str, text: str) -> None:
        """Judge an address that a host has.

        Raises:
            Refused: it may not be reached.
        """
        address = ipaddress.ip_address(text.partition("%")[0])
        if self.blocked.address(address):
            raise Refused(f"{host} is on the list of blocked domains ({address})")
        if self.allowed and not self.allowed.name(host) and not self.allowed.address(address):
            raise Refused(f"{host} is not on the list of allowed domains")
        if not self.private and self.endpoints is None and not public(address):
            what = host if host.strip("[]") == str(address) else f"{host} leads to {address}, which"
            raise Refused(f"{what} is not a public address (`allow_private_ips: true` in the toolset permits it)")


def domains(patterns: Iterable[str], what: str) -> Domains:
    """Patterns, read.

    Raises:
        ToolsetFailed: one can't be understood.
    """
    exact, below, networks = set(), [], []
    for pattern in patterns:
        text = normal(pattern.strip().removeprefix("*") if pattern.strip().startswith("*.") else pattern.strip())
        if network := _network(text):
            networks.append(network)
        elif not text.strip(".") or any(sign in text for sign in "*/: @"):
            raise ToolsetFailed(f"{what}: {pattern!r} is neither a domain, an address nor a network")
        elif text.startswith("."):
            below.append(text)
        else:
            exact.add(text)
            below.append("." + text)
    return Domains(frozenset(exact), tuple(below), tuple(networks))


def normal(host: str) -> str:
    """A host as it is compared: lower case, ASCII, without a trailing dot and brackets."""
    host = host.lower().removesuffix(".")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if host.isascii():
        return host
    dot = "." if host.startswith(".") else ""
    try:
        return dot + host.removeprefix(".").encode("idna").decode()
    except UnicodeError:
        return host


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
