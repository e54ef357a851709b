"""Request bodies: what is read, what is refused, and that nothing else can happen."""

import contextlib
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.wire import body


class Inner(msgspec.Struct, frozen=True):
    allow: list[str] = []


class Thing(msgspec.Struct, frozen=True):
    title: str = ""
    count: int = 0
    share: float = 0.0
    inner: Inner | None = None
    inners: list[Inner] = []
    words: dict[str, str] = {}
    free: dict[str, object] | None = None


def test_keys_match_whatever_their_case_and_the_last_one_wins() -> None:
    assert body.read(b'{"Title":"a","title":"b","title":"c","TITLE":"d"}', Thing).title == "d"
    assert body.read(b'{"TITLE":"d","Title":"a","title":"c"}', Thing).title == "c"


def test_keys_of_maps_keep_their_case() -> None:
    assert body.read(b'{"words":{"Key":"v"},"free":{"Title":{"B":1}}}', Thing) == Thing(
        words={"Key": "v"}, free={"Title": {"B": 1}}
    )


def test_unknown_keys_and_nulls_leave_the_defaults() -> None:
    assert body.read(b'{"nobody":[1],"title":null,"count":null,"inner":null,"words":null}', Thing) == Thing()
    assert body.read(b"null", Thing) == Thing()


def test_a_null_in_a_list_is_an_empty_thing() -> None:
    assert body.read(b'{"inners":[null,{"ALLOW":["x",null]}]}', Thing).inners == [Inner(), Inner(["x", ""])]


def test_what_follows_the_first_value_does_not_matter() -> None:
    assert body.read(b' {"title":"a"} and so on \x01', Thing).title == "a"


def test_whole_numbers_fit_in_a_float() -> None:
    assert body.read(b'{"share":2}', Thing).share == 2.0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" \n",
        b"[1]",
        b'"text"',
        b"{",
        b'{"title"',
        b'{"title":"a"',
        b'{"title":1}',
        b'{"title":{}}',
        b'{"count":1.5}',
        b'{"count":"1"}',
        b'{"count":01}',
        b'{"count":9223372036854775808}',
        b'{"free":{"deep":[-9223372036854775809]}}',
        b'{"count":' + b"9" * 9000 + b"}",
        b'{"share":1e999}',
        b'{"share":NaN}',
        b'{"free":{"a":Infinity}}',
        b'{"inners":{}}',
        b'{"inner":[]}',
        b'{"words":[["a","b"]]}',
        b'{"words":{"a":1}}',
        b'{"title":"\x01"}',
        b'{"title":"a\nb"}',
        b'{"title":"\xff"}',
        b'{"nobody":"\xc3("}',
        b'{"title":"\xed\xa0\x80"}',
        b'{"title":"\\ud800"}',
        b'{"title":"\\udc00\\ud800"}',
        b'{"title":"\\u0000"}',
        b'{"free":{"a\\u0000":1}}',
        b'{"nobody":["\\uDEAD"]}',
        b"\xef\xbb\xbf{}",
        b"'{}'",
    ],
)
def test_what_can_not_be_read_is_one_error(raw: bytes) -> None:
    with pytest.raises(body.BadBody):
        body.read(raw, Thing)


def test_half_pairs_are_refused_and_whole_ones_are_not() -> None:
    assert body.read(b'{"title":"\\ud83d\\ude00 \\\\ud800"}', Thing).title == "😀 \\ud800"


@pytest.mark.parametrize(
    "raw",
    [b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000, b"[" * 1_000_000, b'["]",' * 201 + b"["],
)
def test_depth_is_bounded(raw: bytes) -> None:
    with pytest.raises(body.BadBody):
        body.read(raw, Thing)


def test_brackets_in_strings_and_after_the_end_count_for_nothing() -> None:
    assert body.read(b'{"title":"' + b"[{" * 500 + b'"}', Thing).title == "[{" * 500
    assert body.read(b"{}" + b"[" * 1000, Thing) == Thing()


@pytest.mark.parametrize("raw", [b'"' + b'\\"' * 500_000, b"[" + b'"\\' * 300_000, b"[[]," * 250_000])
def test_no_body_takes_long(raw: bytes) -> None:
    start = time.process_time()
    with pytest.raises(body.BadBody):
        body.read(raw, Thing)
    assert time.process_time() - start < 2.0


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,\\ud0 1e-.ntrufalsi', max_size=60).map(str.encode))
def test_any_bytes_are_a_value_or_one_error(raw: bytes) -> None:
    with contextlib.suppress(body.BadBody):
        body.read(raw, Thing)
