"""Forms from JSON schemas: which fields there are, and what may stand in them."""

from typing import Any

import pytest

from roost.tui import entries, forms
from roost.tui.entries import Wrong
from roost.tui.forms import Field


def field(needed: bool = False, /, **schema: Any) -> Field:
    (found,) = forms.fields({"properties": {"it": schema}, "required": ["it"] if needed else []})
    return found


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "text"),
        ({}, "text"),
        ({"type": ["null", "integer"]}, "integer"),
        ({"type": "number"}, "number"),
        ({"type": "boolean"}, "flag"),
        ({"enum": ["a", 2]}, "choice"),
        ({"oneOf": [{"const": "a", "title": "A"}]}, "choice"),
        ({"type": "array", "items": {"enum": ["a"]}}, "choices"),
        ({"type": "array", "items": {"anyOf": [{"const": 1}, {"const": 2}]}}, "choices"),
        ({"type": "array", "items": {"type": "string"}}, "list"),
        ({"type": "array"}, "json"),
        ({"type": "object"}, "json"),
        ({"anyOf": [{"type": "string"}, {"type": "number"}]}, "json"),
    ],
)
def test_every_type_has_its_kind_of_field(schema: dict[str, Any], kind: str) -> None:
    assert field(**schema).kind == kind


@pytest.mark.parametrize(
    ("schema", "given", "value"),
    [
        ({"type": "string"}, " as it is ", " as it is "),
        ({"type": "integer"}, " 12 ", 12),
        ({"type": "number"}, "1.5", 1.5),
        ({"type": "number"}, "3", 3),
        ({"type": "boolean"}, True, True),
        ({"enum": ["a", 2]}, 1, 2),
        ({"type": "array", "items": {"enum": ["a", "b", "c"]}}, [2, 0], ["a", "c"]),
        ({"type": "array", "items": {"type": "integer"}}, "1, 2\n3", [1, 2, 3]),
        ({"type": "object"}, '{"a": [1]}', {"a": [1]}),
        ({"type": "string", "format": "date"}, "2026-02-28", "2026-02-28"),
        ({"type": "string"}, "  ", None),
    ],
)
def test_what_is_given_becomes_the_value(schema: dict[str, Any], given: Any, value: Any) -> None:
    assert entries.read(field(**schema), given) == value


@pytest.mark.parametrize(
    ("schema", "given", "why"),
    [
        ({"type": "integer"}, "1.5", "whole"),
        ({"type": "number"}, "nan", "number"),
        ({"type": "integer", "minimum": 2}, "1", "2 or more"),
        ({"type": "integer", "maximum": 2}, "3", "2 or less"),
        ({"type": "number", "exclusiveMinimum": 0}, "0", "more than 0"),
        ({"type": "integer", "multipleOf": 5}, "7", "multiple of 5"),
        ({"type": "string", "minLength": 3}, "ab", "3 characters"),
        ({"type": "string", "maxLength": 3}, "abcd", "3 characters"),
        ({"type": "string", "pattern": "^v\\d"}, "x", "look like"),
        ({"type": "string", "format": "email"}, "a@b", "e-mail"),
        ({"type": "string", "format": "uri"}, "no address", "address"),
        ({"type": "string", "format": "date"}, "2026-02-30", "YYYY-MM-DD"),
        ({"type": "string", "format": "date-time"}, "2026-02-28", "date and time"),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2}, [0], "at least 2"),
        ({"type": "array", "items": {"type": "boolean"}}, "yes, maybe", "neither"),
        ({"type": "object"}, "{", "JSON"),
    ],
)
def test_what_is_no_value_says_why(schema: dict[str, Any], given: Any, why: str) -> None:
    with pytest.raises(Wrong, match=why):
        entries.read(field(**schema), given)


def test_what_is_needed_is_asked_for() -> None:
    for schema, nothing in (({"type": "string"}, ""), ({"enum": ["a"]}, None), ({"type": "integer"}, " ")):
        with pytest.raises(Wrong, match="needed"):
            entries.read(field(True, **schema), nothing)


def test_one_reading_finds_all_that_is_wrong() -> None:
    found = forms.fields({"properties": {"a": {"type": "integer"}, "b": {}, "c": {}}, "required": ["b"]})
    values, wrong = entries.content(found, {"a": "x", "b": "", "c": "fine"})
    assert values == {"c": "fine"}
    assert set(wrong) == {"a", "b"}


def test_a_default_stands_there_as_it_is_typed() -> None:
    assert field(type="integer", default=3).shown == "3"
    assert field(type="array", items={"type": "string"}, default=["a", "b"]).shown == "a, b"
    assert field(type="object", default={"a": 1}).shown == '{"a": 1}'


def test_a_question_without_a_schema_takes_a_text() -> None:
    (only,) = forms.fields(None)
    assert (only.name, only.kind, only.required) == (forms.FREE, "text", False)
    assert forms.fields({"type": "object"}) == ()


def test_a_pattern_that_is_no_expression_here_is_left_to_the_server() -> None:
    assert entries.read(field(type="string", pattern="(?<name"), "x") == "x"


@pytest.mark.parametrize(
    "pattern",
    [
        *("^(a|a)*$", "^(a+)+$", "^(?:a|aa)+$", "(a|a)" * 30 + "$", "(a?){40}a{40}$", "a*" * 20 + "$"),
        *("([)]|a|a)*$", "(?x)(a|a) *$", "(a|a)(?#)*$", "(?P<n>a|a)*$", "(a|a){40}$", "((((a|a)|a)|a)|a)*$"),
    ],
)
def test_a_pattern_that_may_take_for_ever_is_left_to_the_server(pattern: str) -> None:
    typed = "a" * 40 + "!"
    assert entries.read(field(type="string", pattern=pattern), typed) == typed


@pytest.mark.parametrize(
    "pattern", [r"^\d+\.\d+\.\d+$", r"^\d{4}-\d{2}$", "^(main|dev)$", r"^(feat|fix)(\(.+\))?: .+$"]
)
def test_patterns_that_people_write_are_looked_at(pattern: str) -> None:
    with pytest.raises(Wrong, match="look like"):
        entries.read(field(type="string", pattern=pattern), "A!")


def test_no_number_is_too_large_to_be_looked_at() -> None:
    for given, step in (("1e300", 1e-300), (str(10**400), 7)):
        assert entries.read(field(type="number" if "e" in given else "integer", multipleOf=step), given)
