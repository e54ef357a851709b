"""A conversation as a Markdown file."""

import re
from collections.abc import Iterator
from pathlib import Path

from roost.client.shapes import Message, Shown
from roost.core.errors import BadValue

_NAME = re.compile(r"[^\w-]+")


def filename(session: Shown) -> str:
    """A name for the file, without an ending."""
    return _NAME.sub("-", session.title).strip("-").lower()[:60] or f"session-{session.id[:8]}"


def write(place: str, session: Shown) -> Path:
    """Write it, into a file that is not there yet; where it is now.

    Raises:
        BadValue: it can't be written.
    """
    path = Path(place).expanduser()
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text(session))
    except FileExistsError:
        raise BadValue(f"{path} is there already: name another file, as /export notes.md") from None
    except OSError as error:
        raise BadValue(f"{path}: {error.strerror}") from None
    return path.absolute()


def text(session: Shown) -> str:
    """The whole of it."""
    parts = [f"# {session.title or session.id}", f"{session.created_at} · {session.id}"]
    for message in session.messages:
        parts += _message(message)
    return "\n\n".join(parts) + "\n"


def _message(message: Message) -> Iterator[str]:
    chat = message.message
    if message.implicit or chat.role == "system":
        return
    if chat.role == "user":
        yield f"## You\n\n{chat.content}"
    elif chat.role == "assistant":
        if chat.content:
            yield f"## {message.agent_name or 'Agent'}\n\n{chat.content}"
        for call in chat.tool_calls:
            yield f"**{call.name}**\n\n{_fenced(call.arguments, 'json')}"
    elif chat.role == "tool":
        yield _fenced(chat.content)


def _fenced(words: str, language: str = "") -> str:
    longest = max((len(run) for run in re.findall(r"`{3,}", words)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{words.rstrip()}\n{fence}"
