"""What a tree of sessions has spent, as far as this server knows, and what is reserved of its budgets."""

from collections.abc import Sequence

import anyio

from roost.core.ids import LogId, TurnId, WaitId
from roost.core.purse import Purse
from roost.core.session import Answered, Head, OpenWait
from roost.engine.stage import Stage


class Till:
    """The sessions of a tree, as far as this server knows them, and their purse."""

    def __init__(self) -> None:
        self.purse = Purse()
        self.stages: dict[LogId, Stage] = {}
        self.heads: dict[LogId, Head] = {}
        self.asking = anyio.Lock()  # one at a time asks a person, or raises
        self.bell = anyio.Event()
        self.read = False  # whether `heads` has those that are not played here, too
        self._stopped: set[tuple[TurnId, str]] = set()

    def look(self) -> None:
        """Take in what the turns that are played here have written."""
        for stage in self.stages.values():
            self.saw(stage.journal.head)

    def saw(self, head: Head) -> None:
        """Take in a head, unless a newer one is known."""
        where = LogId(head.id)
        known = self.heads.get(where)
        if known is None or head.last_seq >= known.last_seq:
            self.heads[where] = head
            self.purse.saw(where, head)

    def ring(self) -> None:
        """Something has changed: whoever waits looks again."""
        self.bell.set()
        self.bell = anyio.Event()
        for stage in self.stages.values():
            stage.ear.poke()

    def asked(self, here: LogId, about: str) -> tuple[LogId, WaitId] | None:
        """Where a person has been asked about a breach: in this log before any other."""
        for place in (here, *(other for other in self.heads if other != here)):
            if (head := self.heads.get(place)) is not None and (wait := _wait(head, about)):
                return place, wait
        return None

    def stop(self, about: str) -> None:
        """A person has said that it is enough: that goes for every turn that is under way."""
        turns = [stage.journal.open for stage in self.stages.values()]
        self._stopped |= {(turn.id, about) for turn in turns if turn is not None}
        self.ring()

    def stopped(self, head: Head, about: str) -> bool:
        """Whether a person has said so: to the turn that a log is in, or to another one that lasts."""
        turn = head.turn
        if turn is None or (turn.id, about) in self._stopped:
            return True
        answers = (answered for one in self.heads.values() for answered in _answers(one, about))
        return any(answered.answer.action != "approve" for answered in answers)


def _wait(head: Head, about: str) -> WaitId | None:
    """The wait for a breach that is open, or whose answer nobody has acted on."""
    those: Sequence[OpenWait | Answered] = [wait for wait in head.waits if _of(wait, about)]
    those = those or [answered for answered in _answers(head, about) if answered.answer.action == "approve"]
    return those[0].id if those else None


def _answers(head: Head, about: str) -> Sequence[Answered]:
    return [answered for answered in (head.turn.answers if head.turn else ()) if _of(answered, about)]


def _of(one: OpenWait | Answered, about: str) -> bool:
    return one.kind == "budget" and one.about == about
