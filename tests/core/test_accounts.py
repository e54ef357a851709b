"""What a list of accounts changes: a table of cases."""

import pytest
from msgspec.structs import replace

from roost.core.accounts import Account, digest, imported
from roost.core.ids import Micros

ANN = Account("ann", "one", "/ann", Micros(1))
NEW = replace(ANN, password="two")
HERE = replace(ANN, password="changed here", force_sandbox=True)
MARKS = imported([ANN], {}, {}).marks
NEWS = imported([NEW], {}, {}).marks


@pytest.mark.parametrize(
    ("listed", "marks", "present", "written", "removed"),
    [
        ([ANN], {}, [], [ANN], []),  # new
        ([ANN], MARKS, [ANN], [], []),  # no news
        ([ANN], MARKS, [HERE], [], []),  # no news, and changed here since
        ([ANN], MARKS, [], [], []),  # no news, and removed here since
        ([ANN], {}, [HERE], [], []),  # new there, and known here
        ([NEW], MARKS, [ANN], [NEW], []),  # changed there
        ([NEW], MARKS, [HERE], [replace(NEW, force_sandbox=True)], []),  # what the list can't say stays
        ([NEW], MARKS, [], [NEW], []),  # changed there, and removed here: it is back
        ([], MARKS, [ANN], [], ["ann"]),  # removed there
        ([], MARKS, [], [], []),
        ([], {}, [ANN], [], []),  # never was there
        ([replace(ANN, enabled=False)], MARKS, [ANN], [replace(ANN, enabled=False)], []),
        ([replace(ANN, created_at=Micros(9))], MARKS, [ANN], [], []),
    ],
)
def test_import(
    listed: list[Account], marks: dict[str, str], present: list[Account], written: list[Account], removed: list[str]
) -> None:
    found = imported(listed, marks, {account.name: account for account in present})
    assert (list(found.written), list(found.removed)) == (written, removed)
    assert found.names == tuple(account.name for account in written) + tuple(removed)
    assert set(found.marks) == {account.name for account in listed}


def test_a_mark_does_not_tell_the_hash() -> None:
    assert MARKS != NEWS
    assert "one" not in str(MARKS)


def test_any_text_has_a_digest() -> None:
    assert len({digest(text) for text in ("", "a", "ü", "\ud800")}) == 4
