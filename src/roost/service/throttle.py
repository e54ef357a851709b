"""How often logins may fail: by name and address together, by address, by name."""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable

from roost.core.errors import TooManyLogins

WINDOW = 300.0  # seconds in which failures count
TOGETHER, BY_ADDRESS, BY_NAME = 10, 50, 100  # failures in a window, after which no more is tried
KEPT = 20_000  # names and addresses; those that have tried longest ago are forgotten first

Key = tuple[str, str, str]


class Throttle:
    """Counts attempts before their outcome is known, so that many at once are no way around it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._tried: OrderedDict[Key, list[float]] = OrderedDict()

    def attempt(self, name: str, address: str) -> None:
        """Somebody tries.

        Raises:
            TooManyLogins: not now.  This attempt does not count.
        """
        now = self._monotonic()
        counted = [(key, self._recent(key, now), most) for key, most in _keys(name, address)]
        waits = [tried[-most] + WINDOW - now for _, tried, most in counted if len(tried) >= most]
        if waits:
            raise TooManyLogins(max(1.0, math.ceil(max(waits))))
        for key, tried, _ in counted:
            self._tried[key] = [*tried, now]
            self._tried.move_to_end(key)
        while len(self._tried) > KEPT:
            self._tried.popitem(last=False)

    def forgive(self, name: str, address: str) -> None:
        """It was the right password: what this name has failed from this address is forgotten, and this attempt."""
        for key, _ in _keys(name, address):
            if key[0] == "together" or not (tried := self._tried.get(key)):
                self._tried.pop(key, None)
            else:
                tried.pop()

    def _recent(self, key: Key, now: float) -> list[float]:
        return [at for at in self._tried.get(key, ()) if at > now - WINDOW]


def _place(address: str) -> str:
    """What counts as one address: of IPv6 whoever has one has the whole /64."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 4 or ip.ipv4_mapped is not None:
        return str(getattr(ip, "ipv4_mapped", None) or ip)
    return str(ipaddress.ip_network((ip, 64), strict=False))


def _keys(name: str, address: str) -> list[tuple[Key, int]]:
    """What an attempt counts for; behind a Unix socket there is no address."""
    address = _place(address)
    keys = [(("together", name, address), TOGETHER), (("name", name, ""), BY_NAME)]
    return [*keys, (("address", "", address), BY_ADDRESS)] if address else keys
