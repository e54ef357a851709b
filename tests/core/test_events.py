"""Facts keep their form: what was written by any release is read, and written back byte for byte."""

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from roost.core import events as e
from roost.core.ids import AnswerId, CallId

FIXTURES = Path(__file__).parents[1] / "fixtures"
LINES = [
    pytest.param(line, id=f"{file.stem}:{number}")
    for file in sorted(FIXTURES.glob("facts-*.jsonl"))
    for number, line in enumerate(file.read_bytes().splitlines(), 1)
]
MEMBERS = get_args(e.Known)


@pytest.mark.parametrize("line", LINES)
def test_facts_of_every_release_are_read_and_written_back(line: bytes) -> None:
    fact = e.decode(line)
    assert not isinstance(fact, e.Unknown)
    assert e.encode(fact) == line
    assert e.decode(e.encode(fact)) == fact


def test_this_release_has_an_example_of_every_fact() -> None:
    lines = (FIXTURES / "facts-0.1.jsonl").read_bytes().splitlines()
    assert {type(e.decode(line)) for line in lines} == set(MEMBERS)


def test_the_examples_use_every_field() -> None:
    lines = (FIXTURES / "facts-0.1.jsonl").read_bytes().splitlines()
    for line in lines:
        fact = e.decode(line)
        unused = set(fact.__struct_fields__) - set(msgspec.json.decode(line)) - {"sub"}
        assert not unused, f"{e.kind(fact)} says nothing of {unused}"


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.__name__)
def test_a_fact_is_known_by_the_name_of_its_class(member: type[e.Base]) -> None:
    assert member.__struct_config__.tag == member.__name__
    assert member.__struct_config__.frozen
    assert member.__doc__


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.__name__)
def test_every_fact_can_name_a_sub_session(member: type[e.Base]) -> None:
    assert "sub" in member.__struct_fields__


def test_a_fact_of_a_newer_version_is_carried_word_for_word() -> None:
    raw = b'{ "what" : [1, 2.50, {"a": null}],  "type":"FactOfTomorrow", "sub":"s" }'
    fact = e.decode(raw)
    assert isinstance(fact, e.Unknown)
    assert (fact.type, e.kind(fact), e.encode(fact)) == ("FactOfTomorrow", "FactOfTomorrow", raw)


def test_fields_of_a_newer_version_are_passed_over() -> None:
    assert e.decode(b'{"type":"TitleSet","title":"t","colour":"blue"}') == e.TitleSet("t")


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b'"TitleSet"', b"{}", b'{"type":7}', b'{"type":"TitleSet"}', b'{"type":"TitleSet","title":1}', b"{"],
)
def test_what_is_no_fact_is_refused(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        e.decode(raw)


def test_defaults_take_no_room() -> None:
    assert e.encode(e.TextAdded(AnswerId("a"), "x")) == b'{"type":"TextAdded","answer":"a","text":"x"}'


def test_only_deltas_may_be_posted() -> None:
    output = e.OutputAdded(CallId("c"), "x")
    assert e.is_delta(output) and not e.is_delta(e.TitleSet("t"))
    assert e.all_deltas([output, e.TextAdded(AnswerId("a"), "x")])
    assert not e.all_deltas([output, e.TitleSet("t")])
    assert not e.is_delta(e.Unknown("Tomorrow", msgspec.Raw(b"{}")))
