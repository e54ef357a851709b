"""Ways to somebody who has no page open."""

from typing import Literal, Protocol

from msgspec import Struct

from roost.core.browsers import Subscription
from roost.core.notices import Notice


class Delivery(Struct, frozen=True):
    """What became of a message: it arrived, may arrive `again` (after so many seconds), its reader is `gone`."""

    outcome: Literal["done", "again", "gone", "refused"]
    why: str = ""
    after: float = 0.0


class Couriers(Protocol):
    """Ways to somebody who has no page open.  What goes wrong on the way is a delivery, and no error."""

    @property
    def key(self) -> str:
        """The key by which browsers know whose messages they are to take; "" where none are pushed."""
        ...

    @property
    def webhook(self) -> str:
        """Where messages are posted; "" for nowhere."""
        ...

    def check(self, subscription: Subscription) -> None:
        """Whether it can be used.

        Raises:
            BadValue: its address or a key of it can't be.
        """
        ...

    async def push(self, to: Subscription, notice: Notice) -> Delivery:
        """Tell a browser."""
        ...

    async def hook(self, notice: Notice) -> Delivery:
        """Tell the webhook."""
        ...
