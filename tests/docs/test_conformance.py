"""The page of conformance has its thirty points, and the tests that it names are there."""

import re

import pytest

from docs.pages import ROOT

PAGE = (ROOT / "docs/conformance.md").read_text()
DEFECTS = dict(re.findall(r"^\| (D\d+) \| (.*) \|$", PAGE, re.MULTILINE))
POINTS = {int(number): row for number, row in re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)}


def test_there_are_thirty() -> None:
    assert list(POINTS) == list(range(1, 31))


def test_there_are_thirty_six_defects() -> None:
    assert list(DEFECTS) == [f"D{number}" for number in range(1, 37)]


@pytest.mark.parametrize("number", [*POINTS, *DEFECTS])
def test_a_point_is_kept_by_tests_that_are_there(number: int | str) -> None:
    row = POINTS[number] if isinstance(number, int) else DEFECTS[number]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
    assert named
    for path, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), (path, name)


def test_nothing_of_it_comes_later() -> None:
    assert not [row for row in POINTS.values() if "*Later*" in row]
