"""A conversation as a text, for whoever is to sum it up: shortened, and in pieces, where it is long."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from roost.core import estimates
from roost.core.ids import CallId
from roost.core.messages import File, Image, Message, Text

RESULT: Final = 200  # tokens that are left of an old tool result where there is little room
BETWEEN: Final = "\n\n"


class Entry(Struct, frozen=True):
    """What one message says; `result` says that a tool has said it."""

    text: str
    result: bool = False

    @property
    def tokens(self) -> int:
        """About how many, with the space to the next one."""
        return estimates.of_text(self.text) + 1


def entries(messages: Iterable[Message]) -> list[Entry]:
    """The messages, each as a text."""
    names: dict[CallId, str] = {}
    found: list[Entry] = []
    for message in messages:
        names |= {call.id: call.name for call in message.calls}
        if message.role == "tool":
            name = names.get(message.call_id, "a tool")
            did = "failed" if message.is_error else "returned"
            found.append(Entry(f"[{name} {did}]\n{_shown(message)}", result=True))
        else:
            called = [f"[calls {call.name} with {call.arguments or '{}'}]" for call in message.calls]
            said = _shown(message)
            found.append(Entry("\n".join([f"[{message.role}]", *([said] if said.strip() else []), *called])))
    return found


def _shown(message: Message) -> str:
    if not message.parts:
        return message.content
    return "\n".join(map(_part, message.parts))


def _part(part: Text | Image | File) -> str:
    match part:
        case Text(text=text):
            return text
        case Image():
            return "(an image)"
        case File(path=path):
            return f"(the file {path})" if path else "(a file)"


def size(found: Iterable[Entry]) -> int:
    """The tokens of all of them."""
    return sum(entry.tokens for entry in found)


def fitted(found: Sequence[Entry], room: int) -> list[Entry]:
    """The entries within so many tokens: tool results give way first, the oldest before the newer ones."""
    left, over = list(found), size(found) - room
    for place, entry in enumerate(left):
        if over <= 0:
            return left
        if entry.result:
            left[place] = replace(entry, text=estimates.shortened(entry.text, RESULT))
            over -= entry.tokens - left[place].tokens
    if over <= 0:
        return left
    return [Entry(estimates.shortened(BETWEEN.join(entry.text for entry in left), room))]


def first(found: Sequence[Entry], room: int) -> tuple[str, list[Entry]]:
    """As much as goes into so many tokens, and what is left; an entry that is too long for it is split."""
    taken: list[str] = []
    for place, entry in enumerate(found):
        if entry.tokens > room:
            if taken:
                return BETWEEN.join(taken), list(found[place:])
            here = max(room - 1, 1) * estimates.CHARACTERS
            rest = replace(entry, text=entry.text[here:])
            return entry.text[:here], [rest, *found[place + 1 :]]
        room -= entry.tokens
        taken.append(entry.text)
    return BETWEEN.join(taken), []
