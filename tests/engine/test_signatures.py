"""Tools as functions of a typed language."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.core.messages import Definition
from roost.engine.signatures import identifiers, signature, typed


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ({"type": "string"}, "string"),
        ({"type": "integer"}, "number"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"enum": ["a", 1, None]}, '"a" | 1 | null'),
        ({"const": True}, "true"),
        ({"type": "array", "items": {"type": "string"}}, "string[]"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, '("a" | "b")[]'),
        ({"type": "array"}, "any[]"),
        ({"type": "object"}, "Record<string, any>"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "Record<string, number>"),
        (
            {"type": "object", "properties": {"a": {"type": "string"}, "b-c": {"type": "boolean"}}, "required": ["a"]},
            '{a: string; "b-c"?: boolean}',
        ),
        ({"anyOf": [{"type": "string"}, {"type": "string"}, {"type": "null"}]}, "string | null"),
        ({"allOf": [{"properties": {"a": {}}}, {"$ref": "#/$defs/b"}], "$defs": {"b": {"type": "object"}}}, None),
        ({"$ref": "#/$defs/b", "$defs": {"b": {"type": "null"}}}, "null"),
        ({"$ref": "https://example.org/x"}, "any"),
        ({"$ref": "#/$defs/missing"}, "any"),
        ({}, "any"),
        ({"type": "nonsense"}, "any"),
    ],
)
def test_types(schema: dict[str, Any], type_: str | None) -> None:
    assert typed(schema) == (type_ or "({a?: any}) & (Record<string, any>)")


def test_a_schema_that_holds_itself_ends_somewhere() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}
    assert "any" in typed(tree)
    assert len(typed(tree)) <= 4_000
    wide = {"type": "object", "properties": {f"key_{n}": {"type": "string"} for n in range(1_000)}}
    assert typed(wide) == "any"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "$ref", "anyOf", "allOf", "enum", "required", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["type", "properties", "items", "$ref", "anyOf", "enum", "required"]), _json))
def test_no_schema_is_too_strange(schema: dict[str, Any]) -> None:
    assert signature(Definition("look", parameters=schema, output_schema=schema), "look").startswith("/**")


def test_a_signature_says_what_goes_in_and_what_comes_out() -> None:
    definition = Definition(
        "read-file",
        description="Read a file.\nAll of it. */ evil()",
        parameters={
            "type": "object",
            "properties": {"path": {"type": "string", "description": "Which\n file"}, "from": {"type": "integer"}},
            "required": ["path"],
        },
        output_schema={"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    )
    assert signature(definition, "read_file") == (
        "/**\n * Read a file.\n * All of it. * / evil()\n * @param args.path Which file\n */\n"
        "declare function read_file(args: {path: string; from?: number}): {text: string};"
    )
    bare = signature(Definition("now"), "now")
    assert bare == "/**\n */\ndeclare function now(args?: {}): string;"


def test_names_become_identifiers() -> None:
    made = identifiers(["read-file", "read_file", "read.file", "1st", "delete", "JSON", "ok"])
    assert list(made.values()) == ["read_file", "read_file_2", "read_file_3", "_1st", "delete_2", "JSON_2", "ok"]


@given(st.lists(st.text(max_size=8), unique=True, max_size=12))
def test_no_two_tools_have_one_identifier(names: list[str]) -> None:
    made = identifiers(names)
    assert list(made) == names
    assert len(set(made.values())) == len(names)
    assert all(re.fullmatch(r"[A-Za-z_$][\w$]*", identifier, re.ASCII) for identifier in made.values())
