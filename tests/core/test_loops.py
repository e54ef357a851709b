"""An agent that goes round in circles is noticed."""

from roost.core.ids import CallId
from roost.core.loops import Streak, after, complaint
from roost.core.messages import ToolCall


def batch(*calls: tuple[str, str]) -> list[ToolCall]:
    return [ToolCall(CallId(str(at)), name, arguments) for at, (name, arguments) in enumerate(calls)]


def told(batches: list[list[ToolCall]], limit: int = 0) -> str:
    streak = Streak()
    for calls in batches:
        streak = after(streak, calls)
    return complaint(streak, limit)


LS = batch(("shell", '{"cmd": "ls", "cwd": "."}'))


def test_the_fifth_time_is_one_too_many() -> None:
    assert not told([LS] * 4)
    assert told([LS] * 5) == "loop detected: the same call of shell came 5 times in a row"


def test_the_bound_can_be_set() -> None:
    assert not told([LS], 2)
    assert "2 times" in told([LS] * 2, 2)
    assert not told([])


def test_spelling_makes_no_difference_and_order_does() -> None:
    other = batch(("shell", '{"cwd":".","cmd":"ls"}'))
    assert told([LS, other] * 3)
    two = batch(("a", "{}"), ("b", "{}"))
    assert told([two] * 5) == "loop detected: the same call of a, b came 5 times in a row"
    assert not told([two, batch(("b", "{}"), ("a", "{}"))] * 5)


def test_another_call_breaks_the_circle() -> None:
    assert not told([*[LS] * 4, batch(("shell", '{"cmd": "pwd"}')), *[LS] * 4])


def test_arguments_that_are_no_json_count_as_they_are() -> None:
    assert told([batch(("shell", "{broken"))] * 5)
    assert told([batch(("shell", "[" * 100_000))] * 5)


def test_polling_is_no_circle() -> None:
    poll = batch(("view_background_job", '{"job_id": "1"}'))
    assert not told([poll] * 50)
    assert not told([*[LS] * 4, poll, LS])
    assert told([poll + LS] * 5)
