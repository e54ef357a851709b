"""What all facts share, and the one that is not known."""

import msgspec
from msgspec import Struct

from roost.core.ids import SessionId


class Base(Struct, frozen=True, kw_only=True, tag=True, tag_field="type", omit_defaults=True):
    """What all facts share: the sub-session they belong to."""

    sub: SessionId = SessionId("")


class Unknown(Struct, frozen=True):
    """A fact of a type this version does not know, kept as it came."""

    type: str
    raw: msgspec.Raw
