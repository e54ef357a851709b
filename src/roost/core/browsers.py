"""Browsers that have been let in: sessions that a cookie opens, codes that pair, addresses to push to."""

from msgspec import Struct

from roost.core.ids import Micros


class Browser(Struct, frozen=True):
    """A browser that may come in.  What its cookie says is known to it alone.

    It acts for an `account`, or for the operator where that is "": then `bond` ties it to the token that the
    server had, and with another token it is a stranger.
    """

    id: str
    digest: str
    account: str
    bond: str
    label: str  # what a person knows the device by
    created_at: Micros
    seen_at: Micros
    expires_at: Micros


class PairingCode(Struct, frozen=True):
    """What lets one browser in, once.  The code itself is shown, and kept nowhere."""

    digest: str
    account: str
    bond: str
    expires_at: Micros


class Subscription(Struct, frozen=True):
    """Where a browser can be told something while no page is open, and the keys that only it can read with."""

    endpoint: str
    browser: str  # its id; "" where browsers need not be let in
    account: str
    public: str  # its P-256 point, in base64url
    secret: str  # its authentication secret, in base64url
    created_at: Micros
