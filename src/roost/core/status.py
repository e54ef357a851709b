"""How a session is doing: plain rules over its head, in the words of `/api/v1` and in those of screens."""

from typing import Literal

from msgspec import Struct

from roost.core.ids import Micros
from roost.core.session import Head, Turn

Word = Literal["running", "idle", "completed", "failed", "dead", "unknown"]
State = Literal["new", "queued", "running", "waiting", "idle", "failed", "canceled", "completed"]
IDLE = 30_000_000  # microseconds of silence after which an interactive session counts as idle
DIED = "the process died without a clean exit"


class Status(Struct, frozen=True, omit_defaults=True):
    """A word, and the error where there is one."""

    word: Word
    error: str = ""


def status(head: Head, *, now: Micros, lost: bool = False) -> Status:
    """How a session is doing.  `lost` says that its newest process went without a word.

    A turn is `idle` while it can't go on by itself: a person is asked, a usage limit has to pass, or an
    interactive session has been silent for a while.
    """
    if head.turn is not None:
        return Status("idle" if _rests(head, now) else "running")
    match head.outcome:
        case "":
            return Status("unknown")
        case "normal":
            return Status("completed")
        case "error" if lost:
            return Status("dead", head.error or DIED)
        case _:
            return Status("failed", head.error or "the session failed")


def state(head: Head) -> State:
    """How a session is doing, for a screen: it changes with the log alone, and not with time.

    `waiting` is for a person; `queued` is what will go on by itself: once another session has ended, or a usage
    limit has passed.  `idle` is what a person can go on with; a spawned session that has ended is `completed`.
    """
    if head.turn is not None:
        return _under_way(head, head.turn)
    match head.outcome:
        case "error":
            return "failed"
        case "canceled":
            return "canceled"
        case "normal":
            return "completed" if head.provider or head.parent else "idle"
        case _:
            return "idle" if head.messages else "new"


def _under_way(head: Head, turn: Turn) -> State:
    if turn.canceled:
        return "running"
    if head.waits:
        return "waiting"
    if turn.limit is not None or (head.depends_on and begins(head)):
        return "queued"
    return "idle" if turn.interactive and turn.at_rest and not head.queue else "running"


def collected(head: Head) -> Status:
    """The same for whoever collects results: a session that has not ended runs, unless it has its result."""
    if head.turn is not None:
        return Status("running")
    if head.outcome:
        return Status("completed") if head.outcome == "normal" else Status("failed", head.error)
    return Status("completed") if head.result else Status("unknown")


def ended(head: Head) -> bool:
    """Whether whoever waits for a session waits no more."""
    return head.deleted or (head.turn is None and bool(head.outcome))


def begins(head: Head) -> bool:
    """Whether a session's first turn has not come to its work yet: it may wait for others."""
    turn = head.turn
    return turn is not None and head.turns == 1 and not (turn.runs or turn.iterations or turn.answer)


def _rests(head: Head, now: Micros) -> bool:
    turn = head.turn
    if turn is None or turn.canceled:
        return False
    if head.waits or turn.limit is not None:
        return True
    at_rest = not (head.queue or turn.answer or turn.calls)
    return turn.interactive and at_rest and now - head.active_at >= IDLE
