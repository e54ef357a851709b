"""Which part of a long conversation is summed up, and which stays as it is."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from roost.core import estimates
from roost.core.history import History
from roost.core.ids import CallId
from roost.core.messages import Message

THRESHOLD: Final = 0.9  # share of the context window past which a conversation is summed up
KEPT: Final = 0.2  # share of the window, or of the conversation, that stays as it is
UNSEEN: Final = 0.5  # share of the window up to which what the model has not seen yet stays in any case
GAIN: Final = 0.1  # share of the window that has to be summed up for it to be worth the while


class Plan(Struct, frozen=True):
    """What to sum up: the older summary and the messages after it.  `first_kept` is as SummaryAdded has it."""

    first_kept: int
    messages: tuple[Message, ...]
    tokens: int  # of these messages
    kept: int  # tokens of those that stay
    summary: str = ""


class _Group(Struct):
    """Messages that stay together: an answer and what its calls returned, or a single message."""

    index: int
    messages: list[Message]

    @property
    def tokens(self) -> int:
        return estimates.of_messages(self.messages)

    @property
    def of_person(self) -> bool:
        return all(message.role == "user" for message in self.messages)


def plan(history: History, keep: int, unseen: int) -> Plan | None:
    """What to sum up so that about `keep` tokens stay; None where that would leave nothing out.

    What the model has not seen yet stays up to `unseen` tokens, and the newest message of a person always.
    """
    start, summary = history.beginning()
    groups = list(_groups(history, start))
    cut = _cut(groups, keep, unseen)
    said = history.said()
    older, newer = groups[:cut], groups[cut:]
    newest = said[1] if said is not None and all(group.index > said[0] for group in newer) else None
    gone = tuple(message for group in older for message in group.messages)
    if not any(message is not newest for message in gone):
        return None
    kept = sum(group.tokens for group in newer) + (estimates.of_message(newest) if newest else 0)
    first = newer[0].index if newer else 0
    return Plan(first, gone, estimates.of_messages(gone), kept, summary)


def _groups(history: History, start: int) -> Iterator[_Group]:
    """The conversation from an item on, in groups: wherever one begins, no call is parted from its result."""
    groups: list[_Group] = []
    asked: dict[CallId, int] = {}  # the group that a call is in
    for index in range(start, len(history.items)):
        message = history.items[index].message
        if message is None or message.role == "system":
            continue
        if message.role == "tool" and groups:
            home = min(asked.get(message.call_id, len(groups) - 1), len(groups) - 1)
            for group in groups[home + 1 :]:
                groups[home].messages += group.messages
            del groups[home + 1 :]
            groups[home].messages.append(message)
            continue
        asked |= dict.fromkeys((call.id for call in message.calls), len(groups))
        groups.append(_Group(index, [message]))
    return iter(groups)


def _cut(groups: Sequence[_Group], keep: int, unseen: int) -> int:
    """The first of the groups that stay."""
    new, cut, taken = _new(groups), len(groups), 0
    while cut:
        group = groups[cut - 1]
        taken += group.tokens
        if taken > (max(unseen, keep) if cut > new else keep):
            break
        cut -= 1
    if cut == len(groups) and groups and groups[-1].of_person:
        cut -= 1
    return cut


def _new(groups: Sequence[_Group]) -> int:
    """The first of the groups that the model has not seen yet."""
    for place in range(len(groups) - 1, -1, -1):
        answer = next((m for m in groups[place].messages if m.role == "assistant"), None)
        if answer is not None:
            return place if answer.calls else place + 1
    return 0
