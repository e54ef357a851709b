"""What all events have, and what is not known of some."""

from msgspec import Struct


class Base(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all have: their number in the session's log (0 for what is no fact), where they belong, who speaks, when.

    What belongs to a sub-session has `parent_session_id` and `root_session_id`; else these are "".
    """

    seq: int = 0
    session_id: str = ""
    parent_session_id: str = ""
    root_session_id: str = ""
    agent_name: str = ""
    timestamp: str = ""

    @property
    def type(self) -> str:
        """What the event is called on the wire."""
        return str(self.__struct_config__.tag)


class Other(Struct, frozen=True, kw_only=True):
    """An event that this version does not know, as it came."""

    type: str
    raw: bytes
    seq: int = 0
    session_id: str = ""
    parent_session_id: str = ""
    root_session_id: str = ""
    agent_name: str = ""
    timestamp: str = ""
