"""TOON: what is written, and that nothing is lost on the way there and back."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.core.toon import encode, toon, wants

# -- a decoder, as the specification describes one ----------------------------------------------

_HEADER = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*"|[^"\[\]:{}]*)\[(?P<count>\d+)\](?:\{(?P<columns>.*)\})?:(?: (?P<row>.*))?'
)
_PAIR = re.compile(r'(?P<key>"(?:[^"\\]|\\.)*"|[^":]+):(?: (?P<value>.*))?')
_CELL = re.compile(r'"(?:[^"\\]|\\.)*"|[^,"]+')


class Decoder:
    """Reads objects; it is strict about counts."""

    def __init__(self, text: str) -> None:
        self.lines = [((len(line) - len(line.lstrip(" "))) // 2, line.lstrip(" ")) for line in text.split("\n") if line]
        self.at = 0

    def fields(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.at < len(self.lines) and self.lines[self.at][0] == depth:
            line = self.lines[self.at][1]
            self.at += 1
            key, value = self.field(line, depth)
            assert key not in found
            found[key] = value
        return found

    def field(self, line: str, depth: int) -> tuple[str, Any]:
        if header := _HEADER.fullmatch(line):
            return string(header["key"]), self.array(header, depth)
        pair = _PAIR.fullmatch(line)
        assert pair is not None, line
        if pair["value"] is None:
            return string(pair["key"]), self.fields(depth + 1)
        return string(pair["key"]), primitive(pair["value"])

    def array(self, header: re.Match[str], depth: int) -> list[Any]:
        count = int(header["count"])
        if header["row"] is not None:
            found: list[Any] = cells(header["row"])
        elif header["columns"] is not None:
            columns = [string(cell) for cell in _CELL.findall(header["columns"])]
            found = []
            while len(found) < count:
                level, line = self.lines[self.at]
                self.at += 1
                assert level == depth + 1
                found.append(dict(zip(columns, cells(line), strict=True)))
        else:
            found = [self.item(depth + 1) for _ in range(count)]
        assert len(found) == count
        return found

    def item(self, depth: int) -> Any:
        level, line = self.lines[self.at]
        assert level == depth
        self.at += 1
        if line == "-":
            return {}
        assert line.startswith("- ")
        line = line[2:]
        if line.startswith("[") and (header := _HEADER.fullmatch(line)):
            return self.array(header, depth)
        if _HEADER.fullmatch(line) or _PAIR.fullmatch(line):
            key, value = self.field(line, depth + 1)
            return {key: value, **self.fields(depth + 1)}
        return primitive(line)


def cells(text: str) -> list[Any]:
    return [primitive(cell) for cell in _CELL.findall(text)]


def string(text: str) -> str:
    return json.loads(text) if text.startswith('"') else text


def primitive(text: str) -> Any:
    if text in ("true", "false", "null") or text.startswith('"') or re.fullmatch(r"-?\d+(\.\d+)?", text):
        return json.loads(text)
    return text


def same(read: Any, written: Any) -> bool:
    """Whether two values are the same; numbers as JSON has them, without a kind for whole ones."""
    match written:
        case dict():
            return read.keys() == written.keys() and all(same(read[key], written[key]) for key in written)
        case list():
            return len(read) == len(written) and all(map(same, read, written))
        case float():
            return float(read) == written
    return type(read) is type(written) and read == written


# -- there and back -----------------------------------------------------------------------------

_words = st.text(max_size=12) | st.sampled_from(
    ["true", "-", "- a", "05", "1e5", "a,b", "a: b", "[2]", "{x}", " x", "#"]
)
_leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _words
_keys = _words
_rows = st.lists(_keys, min_size=1, max_size=3, unique=True).flatmap(
    lambda keys: st.lists(st.fixed_dictionaries(dict.fromkeys(keys, _leaves)), max_size=4)
)
_values = st.recursive(
    _leaves | _rows,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_keys, _values, max_size=5))
def test_nothing_is_lost(value: dict[str, Any]) -> None:
    text = encode(value)
    decoder = Decoder(text)
    assert same(decoder.fields(0), value)
    assert decoder.at == len(decoder.lines)
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    text.encode()  # no half characters


@given(st.dictionaries(_keys, _values, max_size=5))
def test_json_and_its_toon_say_the_same(value: dict[str, Any]) -> None:
    assert toon(json.dumps(value)) == encode(json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, ""),
        ({"id": 1, "name": "Ada", "ok": True, "x": None}, "id: 1\nname: Ada\nok: true\nx: null"),
        ({"a": {"b": {}}}, "a:\n  b:"),
        ({"tags": ["a", "b,c", "", 1]}, 'tags[4]: a,"b,c","",1'),
        ({"none": []}, "none[0]:"),
        ({"users": [{"id": 1, "n": "A"}, {"n": "B", "id": 2}]}, "users[2]{id,n}:\n  1,A\n  2,B"),
        ({"m": [[1, 2], []]}, "m[2]:\n  - [2]: 1,2\n  - [0]:"),
        ({"m": [[[1]]]}, "m[1]:\n  - [1]:\n    - [1]: 1"),
        ({"l": [1, {"a": 1, "b": {"c": 2}}, {}]}, "l[3]:\n  - 1\n  - a: 1\n    b:\n      c: 2\n  -"),
        ({"l": [{"r": [{"x": 1}], "s": 2}]}, "l[1]:\n  - r[1]{x}:\n      1\n    s: 2"),
        ({"l": [{"a": {"b": 1}, "c": [{}]}]}, "l[1]:\n  - a:\n      b: 1\n    c[1]:\n      -"),
        ({"my-key": 1, "a.b": 2, "": 3}, '"my-key": 1\na.b: 2\n"": 3'),
        ({"x": 1e21, "y": 1.50, "z": -0.0, "w": 1e-7}, "x: 1000000000000000000000\ny: 1.5\nz: 0\nw: 0.0000001"),
        ({"t": 'a\n\t"\\\x07'}, 't: "a\\n\\t\\"\\\\\\u0007"'),
        ({"t": "é 😀 ok"}, "t: é 😀 ok"),
        ({"t": "\ud800"}, 't: "\\ud800"'),
    ],
)
def test_what_is_written(value: dict[str, Any], text: str) -> None:
    assert encode(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[1,2]",
        '"x"',
        "12",
        "{broken",
        '{"a": NaN}',
        '{"a": 1} and more',
        "[{}]",
        '{"a":' * 100_000,
        "{" * 9,
    ],
)
def test_anything_but_an_object_stays_as_it_is(text: str) -> None:
    assert toon(text) == text


def test_blanks_around_an_object_are_nothing() -> None:
    assert toon(' \n{"a": 1}\n') == "a: 1"


def test_patterns_are_found_anywhere_in_a_name() -> None:
    assert wants(("list_.*", "^get"), "github_list_issues")
    assert wants(("list_.*", "^get"), "get_issue")
    assert not wants(("list_.*", "^get"), "forget")
    assert not wants(("(",), "(")
    assert not wants((), "x")
