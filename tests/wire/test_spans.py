"""Durations of query strings."""

import pytest

from roost.wire.durations import seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250ms", 0.25),
        ("10s", 10),
        ("1m30s", 90),
        ("1h", 3600),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("100us", 1e-4),
        ("7µs", 7e-6),
    ],
)
def test_durations_are_numbers_with_units(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text", ["", "5", "-1s", "0s", "0", "abc", "1x", "s", "1s ", "1.2.3s", "٣s", "9" * 400 + "h", ".s"]
)
def test_all_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds(text)
