"""Names: each kind of id is its own type."""

import re
import secrets
import uuid
from typing import NewType

SessionId = NewType("SessionId", str)
LogId = NewType("LogId", str)  # the root session's id: a conversation has one log
TurnId = NewType("TurnId", str)
AnswerId = NewType("AnswerId", str)  # one request to a model, and what it answered
CallId = NewType("CallId", str)
WaitId = NewType("WaitId", str)
RunId = NewType("RunId", str)  # one process of an agent CLI; `/api/v1` calls it a process id
ServerId = NewType("ServerId", str)
Epoch = NewType("Epoch", int)  # rises each time a log changes hands; an older one is refused

Micros = NewType("Micros", int)  # a moment: microseconds since 1970, UTC


def fresh() -> str:
    """A new UUID v4, as text."""
    return str(uuid.uuid4())


def sandbox_name(session: SessionId) -> str:
    """A name for a sandbox of this session: not to be guessed, and good for a container."""
    return f"roost-{re.sub('[^A-Za-z0-9_.-]', '-', session)[:64]}-{secrets.token_hex(8)}"
