"""What is true of the log of a session whose turns are over, whatever became of its servers."""

from collections import Counter
from collections.abc import Sequence

from roost.core import events as e
from roost.core.session import Head, fold


def check(events: Sequence[e.Event], head: Head, note: str = "") -> None:
    """Look at a log, and at the head that the store keeps of it.

    Raises:
        AssertionError: it is not sound; `note` is in the message.
    """
    facts = [event.fact for event in events if isinstance(event.fact, e.Base)]
    assert [event.seq for event in events] == list(range(1, len(events) + 1)), note
    assert fold(events) == head, note
    assert (head.turn, head.waits, head.subs) == (None, (), ()), note
    check_subs(facts, note)
    check_calls(facts, note)
    check_waits(facts, note)
    check_answers(facts, note)


def check_subs(facts: Sequence[e.Base], note: str) -> None:
    """Each sub-session begins once, ends once, and all of it stands inside the call that it is for."""
    born = [fact for fact in facts if isinstance(fact, e.SessionCreated) and fact.sub]
    names = [fact.sub for fact in born]
    assert len(set(names)) == len(names), note
    assert {fact.sub for fact in facts if fact.sub} == set(names), note
    over = [fact.session for fact in facts if isinstance(fact, e.SubSessionEnded)]
    assert sorted(over) == sorted(names), note
    for name in names:
        own = [fact for fact in facts if fact.sub == name]
        assert [type(fact) for fact in own].count(e.TurnOpened) == 1, (note, name)
        assert [type(fact) for fact in own].count(e.TurnEnded) == 1, (note, name)
        assert isinstance(own[-1], e.TurnEnded), (note, name, own[-1])
    for fact in born:
        around = "" if fact.parent not in names else fact.parent
        returned = [n for n, f in enumerate(facts) if _is_end(f, around, fact.call)]
        assert len(returned) == 1, (note, fact.call)
        first, last = _span(facts, fact.sub)
        assert first < last < returned[0], (note, fact.call)


def _is_end(fact: e.Base, sub: str, call: str) -> bool:
    return isinstance(fact, e.ToolReturned) and fact.sub == sub and fact.call.id == call


def _span(facts: Sequence[e.Base], sub: str) -> tuple[int, int]:
    places = [n for n, fact in enumerate(facts) if fact.sub == sub]
    return places[0], places[-1]


def check_calls(facts: Sequence[e.Base], note: str) -> None:
    """Each call of an answer returns once, enters the history once, and never runs after that."""
    asked = [(f.sub, c.id) for f in facts if isinstance(f, e.MessageAdded) and f.message for c in f.message.calls]
    returned = [(fact.sub, fact.call.id) for fact in facts if isinstance(fact, e.ToolReturned)]
    entered = [(fact.sub, fact.call) for fact in facts if isinstance(fact, e.MessageAdded) and fact.call]
    assert Counter(asked) == Counter(returned) == Counter(entered), note
    over: set[tuple[str, str]] = set()
    tries: Counter[tuple[str, str]] = Counter()
    for fact in facts:
        match fact:
            case e.MessageAdded(message=message) if message is not None:
                again = {(fact.sub, call.id) for call in message.calls}  # small models count anew with each answer
                over -= again
                tries = Counter({key: n for key, n in tries.items() if key not in again})
            case e.ToolCalled():
                key = (fact.sub, fact.call.id)
                tries[key] += 1
                assert key not in over, (note, key)
                assert fact.attempt == tries[key], (note, key)
            case e.CallLost():
                assert (fact.sub, fact.call) not in over, (note, fact)
                assert fact.attempt == tries[fact.sub, fact.call], (note, fact)
            case e.ToolReturned():
                over.add((fact.sub, fact.call.id))


def check_waits(facts: Sequence[e.Base], note: str) -> None:
    """Each wait is answered or voided, once."""
    opened = [fact.wait for fact in facts if isinstance(fact, e.WaitOpened)]
    closed = [fact.wait for fact in facts if isinstance(fact, e.WaitAnswered | e.WaitVoided)]
    assert sorted(opened) == sorted(closed), note
    assert len(set(opened)) == len(opened), note


def check_answers(facts: Sequence[e.Base], note: str) -> None:
    """Each request to a model has an answer or is dropped; each compaction that begins ends."""
    asked = [(fact.sub, fact.answer) for fact in facts if isinstance(fact, e.ModelAsked)]
    said = [(fact.sub, fact.answer) for fact in facts if isinstance(fact, e.MessageAdded) and fact.answer]
    dropped = [(fact.sub, fact.answer) for fact in facts if isinstance(fact, e.AnswerDropped)]
    assert sorted(asked) == sorted(said + dropped), note
    begun = Counter(fact.sub for fact in facts if isinstance(fact, e.CompactionStarted))
    assert begun == Counter(fact.sub for fact in facts if isinstance(fact, e.CompactionEnded)), note
