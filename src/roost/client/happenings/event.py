"""An event as it comes, read as its type."""

import msgspec
from msgspec import Struct

from roost.client.errors import Garbled
from roost.client.happenings.answers import Answers
from roost.client.happenings.base import Other
from roost.client.happenings.ends import Ends
from roost.client.happenings.runs import Runs
from roost.client.happenings.settings import Settings
from roost.client.happenings.tools import Tools
from roost.client.happenings.turns import Turns
from roost.client.happenings.waits import Waits

Known = Turns | Answers | Tools | Waits | Settings | Runs | Ends
Happening = Known | Other

_known: msgspec.json.Decoder[Known] = msgspec.json.Decoder(Known)


class _Peek(Struct, frozen=True, kw_only=True):
    type: str = ""
    session_id: str = ""
    parent_session_id: str = ""
    root_session_id: str = ""
    agent_name: str = ""
    timestamp: str = ""


_peek = msgspec.json.Decoder(_Peek)


def decode(data: bytes, seq: int = 0) -> Happening:
    """An event's text as its type; one of a type that is not known, or that can't be read as it, is `Other`.

    Raises:
        Garbled: it is no event at all.
    """
    text = data.strip()
    try:
        return _known.decode(b'{"seq":%d,%b' % (seq, text[1:]) if text.startswith(b"{") else text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        seen = _peek.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Garbled(f"an event of the server is not understood: {error}") from None
    return Other(
        type=seen.type,
        raw=data,
        seq=seq,
        session_id=seen.session_id,
        parent_session_id=seen.parent_session_id,
        root_session_id=seen.root_session_id,
        agent_name=seen.agent_name,
        timestamp=seen.timestamp,
    )
