"""The byte rules of the wire."""

import json as stdlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.core.ids import Micros
from roost.wire import json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, b"0"),
        (-0.0, b"0"),
        (1.0, b"1"),
        (0.0125, b"0.0125"),
        (1e-6, b"0.000001"),
        (9.7e-05, b"0.000097"),
        (1e-7, b"1e-7"),
        (-2.5e-9, b"-2.5e-9"),
        (1e16, b"10000000000000000"),
        (1.2345678901234568e20, b"123456789012345680000"),
        (1e21, b"1e+21"),
        (1.5e300, b"1.5e+300"),
        (float("nan"), b"0"),
        (float("inf"), b"0"),
    ],
)
def test_floats_are_as_short_as_they_can_be(value: float, text: bytes) -> None:
    assert json.encode(json.number(value)) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_as_it_was(value: float) -> None:
    text = json.encode(json.number(value)).decode()
    assert float(text) == value
    assert not text.endswith(".0")


def test_what_html_could_trip_over_is_escaped_and_nothing_else() -> None:
    assert json.encode("<a&b>\u2028\u2029é😀") == '"\\u003ca\\u0026b\\u003e\\u2028\\u2029é😀"'.encode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_escaping_changes_no_value(value: object) -> None:
    assert stdlib.loads(json.encode(value)) == value


def test_maps_are_sorted_and_structs_are_not() -> None:
    class Pair(msgspec.Struct):
        second: dict[str, int]
        first: int

    assert json.encode(Pair({"b": 1, "a": 2, "é": 3}, 1)) == '{"second":{"a":2,"b":1,"é":3},"first":1}'.encode()


def test_free_form_floats_are_short_however_deep() -> None:
    assert (
        json.encode(json.free({"a": [1.0, {"b": 2.5, "c": (3.0,)}], "d": "x"}))
        == b'{"a":[1,{"b":2.5,"c":[3]}],"d":"x"}'
    )


def test_a_body_ends_with_one_newline() -> None:
    assert json.body(None) == b"null\n"


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (1_780_384_447_418_273, "2026-06-02T07:14:07.418273Z"),
        (1_780_384_447_400_000, "2026-06-02T07:14:07.4Z"),
        (1_780_384_447_000_000, "2026-06-02T07:14:07Z"),
        (0, "0001-01-01T00:00:00Z"),
    ],
)
def test_times_have_no_digit_too_many(at: int, text: str) -> None:
    assert json.moment(Micros(at)) == text


def test_some_times_have_whole_seconds() -> None:
    assert json.rfc3339(Micros(1_780_384_447_999_999)) == "2026-06-02T07:14:07Z"
