"""YAML to plain data: YAML 1.2's scalars, places of everything, and no file that takes the server with it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.config.agentfile import load
from roost.config.complaints import Position
from roost.config.yaml import DEEPEST, LARGEST, Unreadable, read
from roost.core.errors import AgentBroken


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("1:20", "1:20"),
        ("1_000", "1_000"),
        ("-7", -7),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("~", None),
        ("", None),
        ("True", True),
        ("tRUE", "tRUE"),
        ("2024-01-01", "2024-01-01"),
        ("'5'", "5"),
        ('"\\u00e9"', "é"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("<<", "<<"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = read(f"a: {text}\n".encode()).data["a"]
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_value_has_its_place() -> None:
    document = read(b"a:\n  b: [x, {c: 1.50}]\n")
    assert document.data == {"a": {"b": ["x", {"c": 1.5}]}}
    assert document.keys[("a", "b")] == Position(2, 3)
    assert document.values[("a", "b", 0)] == Position(2, 7)
    assert document.keys[("a", "b", 1, "c")] == Position(2, 11)
    assert document.values[("a", "b", 1, "c")] == Position(2, 14)
    assert document.texts[("a", "b", 1, "c")] == "1.50"
    assert document.at(("a", "b", 9, "z")) == Position(2, 6)


def test_merge_keys_fill_in_what_is_not_there() -> None:
    data = read(b"a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  <<: [*a, *b]\n  x: 0\n").data
    assert data["c"] == {"x": 0, "y": 2, "z": 4}


def test_keys_that_are_numbers_are_taken_as_they_are_written() -> None:
    assert read(b"1.10: a\ntrue: b\n").data == {"1.10": "a", "true": "b"}


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        (b"a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key 'a' (first on line 1)"),
        (b"a:\n\tb: 1\n", 2, 1, "tab"),
        (b"a: [1, 2\nb: 3\n", 2, 2, "begins on line 1"),
        (b"a: b: c\n", 1, 5, "not YAML"),
        (b"a: *x\n", 1, 4, "unknown anchor 'x'"),
        (b"a: &x [*x]\n", 1, 8, "unknown anchor 'x'"),
        (b"a: 1\n---\nb: 1\n", 2, 1, "second document"),
        (b"", 1, 1, "empty"),
        (b"# nothing\n", 1, 1, "empty"),
        (b"a: \xff\n", 1, 4, "not UTF-8: byte 0xff"),
        (b"a: 1\nb: \x07\n", 2, 4, "U+0007"),
        (b"? [a]\n: b\n", 1, 3, "a key must be a word"),
        (b"a: .nan\n", 1, 4, "finite"),
        (b"a: 1e999\n", 1, 4, "finite"),
        (b"a: 99999999999999999999\n", 1, 4, "64 bits"),
        (b"a: !!python/object:os.system x\n", 1, 4, "unknown tag"),
        (b"a: !!int x\n", 1, 4, "not a !!int"),
        (b"a: !mine [1]\n", 1, 4, "unknown tag"),
        (b"<<: 3\n", 1, 5, "merges mappings"),
    ],
)
def test_what_can_not_be_read_has_its_place(text: bytes, line: int, column: int, words: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(text)
    complaint = caught.value.complaints[0]
    assert (complaint.at.line, complaint.at.column) == (line, column)
    assert words in complaint.message


def test_duplicates_are_all_named() -> None:
    with pytest.raises(Unreadable) as caught:
        read(b"a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert [complaint.at.line for complaint in caught.value.complaints] == [2, 3]


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b"{a: " * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1),
        b"- " * 1000 + b"x",
        b"x" * (LARGEST + 1),
        b"a: [" + b"1," * 60_000 + b"]",
        b"a0: &a0 [x, x]\n" + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (i, i, i - 1, i - 1) for i in range(1, 40)),
        b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d]\n" % (i, i, i - 1) for i in range(1, 100)),
        b"a0: &a0 {x: 1}\n"
        + b"".join(b"a%d: &a%d {<<: [*a%d, *a%d], k: *a%d}\n" % (i, i, i - 1, i - 1, i - 1) for i in range(1, 40)),
    ],
    ids=["flow", "maps", "block", "size", "count", "bomb", "chain", "merges"],
)
def test_no_file_is_too_much(text: bytes) -> None:
    with pytest.raises(Unreadable):
        read(text)


_words = st.sampled_from(
    ["agents", "root", "model", "toolsets", "type", "shell", "<<", "&a", "*a", "auto", "version", "models", "commands"]
)
_pieces = st.one_of(
    _words,
    st.sampled_from(
        [": ", "- ", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ",", "'", '"', "|\n", "#", "!!str ", "\t"]
    ),
    st.text(max_size=4),
    st.integers().map(str),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_pieces, max_size=40).map("".join).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_text_loads_or_is_complained_of(raw: bytes) -> None:
    _only_complaints(raw)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_load_or_are_complained_of(raw: bytes) -> None:
    _only_complaints(raw)


def _only_complaints(raw: bytes) -> None:
    try:
        load("x", raw, name="x.yaml")
    except AgentBroken as error:
        assert error.message.startswith("x.yaml:")


_scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
_keys = st.sampled_from(
    [
        "agents",
        "root",
        "models",
        "providers",
        "toolsets",
        "type",
        "tools",
        "commands",
        "use_commands",
        "use_toolsets",
        "hooks",
        "pre_tool_use",
        "model",
        "provider",
        "first_available",
        "routing",
        "fallback",
        "sub_agents",
        "force_handoff",
        "skills",
        "permissions",
        "allow",
        "version",
        "shell",
        "mcp",
        "ref",
        "script",
        "env",
        "runtime",
        "cost",
        "capabilities",
        "rag",
        "todo",
        "memory",
        "think",
        "description",
        "instruction",
    ]
)
_values = st.recursive(
    _scalars | _keys,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(_keys, _values, max_size=5), _values)
def test_any_data_loads_or_is_complained_of(top: dict[str, object], agents: object) -> None:
    _only_complaints(json.dumps({**top, "agents": {"root": agents}}).encode())
