"""What a CLI is told first: the caller's prompt, and before it what others have come to."""

import errno
import os
import stat
from collections.abc import Sequence

import anyio.to_thread

from roost.core.errors import DependencyFailed, SessionNotFound
from roost.core.history import History
from roost.core.ids import LogId
from roost.core.orders import Order
from roost.core.session import Head
from roost.engine.hub import Hub
from roost.engine.results import result
from roost.ports import EventStore

LARGEST_FILE = 8 << 20  # bytes of a file that goes into a prompt
LONGEST_ACCOUNT = 200_000  # characters of a conversation that is told anew


async def await_others(store: EventStore, hub: Hub, sessions: Sequence[str]) -> None:
    """Return when all of `sessions` have ended well.

    Raises:
        DependencyFailed: one of them has not.
    """
    for session in sessions:
        while True:
            bell = hub.bell(LogId(session))
            try:
                head = await store.head(LogId(session))
            except SessionNotFound:
                raise DependencyFailed(session) from None
            if head.deleted or (head.turn is None and head.outcome not in ("", "normal")):
                raise DependencyFailed(session)
            if head.turn is None and head.outcome:
                break
            await bell.wait()


async def brief(store: EventStore, order: Order, prompt: str) -> str:
    """The prompt with what the order puts before it: results of other sessions, then files."""
    others = [*(order.depends_on if order.inject_context else ()), *([order.context] if order.context else ())]
    pieces = [await _came_to(store, other) for other in others]
    pieces += [await _file(path) for path in order.files]
    return "\n\n".join([*(piece for piece in pieces if piece), prompt]) if any(pieces) else prompt


async def _came_to(store: EventStore, session: str) -> str:
    try:
        head: Head = await store.head(LogId(session))
    except SessionNotFound:
        return ""
    text = await result(store, head)
    return f"Result of session {session}:\n\n{text}\n\n---" if text else ""


async def _file(path: str) -> str:
    try:
        text = await anyio.to_thread.run_sync(_read, path)
    except OSError as error:
        return f"File {path} could not be read: {error.strerror}"
    return f'<file path="{path}">\n{text}\n</file>'


def _read(path: str) -> str:
    """A file that was permitted under this very path: it may have become a link since, or a pipe.

    Raises:
        OSError: it can't be read, or may not.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if os.readlink(f"/proc/self/fd/{descriptor}") != path:  # noqa: PTH115
            raise OSError(errno.ELOOP, "there is a link in its path by now")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"it is larger than {LARGEST_FILE} bytes")
    return data.decode("utf-8", "replace")


def recounted(history: History, before: int, prompt: str) -> str:
    """The prompt, with the conversation up to the seq `before` it, for a CLI that was no part of that."""
    told: list[str] = []
    left = LONGEST_ACCOUNT
    for item in reversed(history.items):
        message = item.message
        if item.seq >= before or message is None or message.role not in ("user", "assistant"):
            continue
        if not (text := message.content.strip()):
            continue
        left -= len(text)
        if left < 0:
            break
        told.append(f"<{message.role}>\n{text}\n</{message.role}>")
    if not told:
        return prompt
    lines = "\n".join(reversed(told))
    return f"The conversation so far:\n\n<conversation>\n{lines}\n</conversation>\n\n{prompt}"
