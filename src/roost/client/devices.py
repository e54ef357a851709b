"""Requests about browsers: pairing one, and those that may come in."""

from urllib.parse import quote

from msgspec import Struct

from roost.client.request import Request


class Code(Struct, frozen=True):
    """A pairing code."""

    code: str
    url: str
    expires_at: str
    matrix: list[str] = []


class Device(Struct, frozen=True):
    """A browser that may come in."""

    id: str
    label: str
    user: str = ""
    created_at: str = ""
    last_seen_at: str = ""
    expires_at: str = ""
    current: bool = False


class Gone(Struct, frozen=True):
    """What was done."""

    message: str


def pair() -> Request[Code]:
    """A code that lets one browser in."""
    return Request("POST", "/web/codes", Code)


def devices() -> Request[list[Device]]:
    """The browsers that may come in."""
    return Request("GET", "/web/devices", list[Device])


def revoke(device: str) -> Request[Gone]:
    """Send one away."""
    return Request("DELETE", f"/web/devices/{quote(device, safe='')}", Gone)
