"""The error table."""

import pytest

from roost.core import errors
from roost.core.errors import RoostError
from roost.doors.errors import STATUS, status, told


def every() -> list[type[RoostError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RoostError)]
    return [kind for kind in found if kind is not RoostError]


def test_every_error_has_a_status_and_its_own_code() -> None:
    assert set(every()) == set(STATUS)
    assert len({kind.code for kind in every()}) == len(every())


def test_only_our_own_faults_are_500() -> None:
    assert {kind for kind, code in STATUS.items() if code == 500} == {
        errors.AgentBroken,
        errors.ToolsetFailed,
        errors.StoreRefused,
        errors.LaunchFailed,
    }


def test_an_error_of_no_table_is_our_fault() -> None:
    assert status(RoostError("?")) == 500


@pytest.mark.parametrize(("code", "body"), [("", {"message": "m"}), ("c", {"code": "c", "message": "m"})])
def test_an_error_is_a_message_and_sometimes_a_code(code: str, body: dict[str, str]) -> None:
    assert told("m", code) == body
