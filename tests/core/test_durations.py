"""Durations: what is understood, and what is refused."""

import pytest

from roost.core.durations import age, seconds
from roost.core.errors import BadValue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1m30", 90),
        (" 2d ", 172_800),
        ("1h1h", 7200),
        ("0h5s", 5),
    ],
)
def test_what_is_understood(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "0", "0s", "-5", "+5", "1.5h", "500ms", "5 m", "h", "m5", "9" * 30, "1h-1", "٣s"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="invalid duration"):
        seconds(text)


def test_ages_are_one_number_of_days_or_hours() -> None:
    assert (age("7d"), age("12h"), age("0d"), age(" 1d ")) == (604_800, 43_200, 0, 86_400)
    for text in ("", "7", "7m", "-7d", "1d12h", "1.5d"):
        with pytest.raises(BadValue, match="invalid age"):
            age(text)
