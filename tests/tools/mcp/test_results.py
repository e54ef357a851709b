"""What becomes of the parts of a result, whatever a server sends."""

import base64
from typing import Any

import mcp.types as types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.core.messages import Media, Result
from roost.tools.mcp import results
from roost.tools.mcp.definitions import definitions, named
from roost.tools.mcp.rules import Rules, rules


def result(*content: dict[str, Any], **more: Any) -> Result:
    return results.result(types.CallToolResult.model_validate({"content": list(content), **more}))


def test_resources_and_sounds() -> None:
    data = base64.b64encode(b"x" * 30).decode()
    got = result(
        {"type": "audio", "data": data, "mimeType": "audio/wav"},
        {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}},
        {"type": "resource", "resource": {"uri": "file:///b", "blob": data, "mimeType": "image/png"}},
        {"type": "resource", "resource": {"uri": "file:///c", "blob": data, "mimeType": "application/zip"}},
        {"type": "resource_link", "uri": "file:///d", "name": "d"},
    )
    assert got.audios == (Media(data, "audio/wav"),) and got.images == (Media(data, "image/png"),)
    assert got.output.splitlines() == [
        "[resource file:///a]",
        "inside",
        "[file:///c (application/zip, 30 bytes): not shown]",
        "[resource d: file:///d]",
    ]


def test_what_is_too_much_is_left_out_and_said() -> None:
    large = "A" * (results.MEDIA + 4)
    got = result(
        {"type": "image", "data": large, "mimeType": "image/png"},
        {"type": "image", "data": "no base64!", "mimeType": "image/png"},
        {"type": "text", "text": "y" * (results.TEXT * 3)},
        structuredContent={"a": "z" * results.STRUCTURED},
    )
    assert got.images == () and got.structured is None
    assert "left out, it is too large" in got.output and "left out, it is not base64" in got.output
    assert len(got.output) < results.TEXT + 200 and "bytes left out" in got.output


@given(st.text(max_size=50), st.integers(10, 60))
def test_a_clipped_text_can_be_sent(text: str, limit: int) -> None:
    clipped = results.clipped(text, limit)
    clipped.encode()
    if len(text.encode(errors="replace")) <= limit:
        assert clipped == text.encode(errors="replace").decode()


@pytest.mark.parametrize(
    ("prefix", "name", "shown"),
    [
        ("", "a", "a"),
        ("x", "a", "x_a"),
        ("x", "a.b/c d", "x_a_b_c_d"),
        ("", "é", "_"),
        ("p", "n" * 200, "p_" + "n" * 126),
    ],
)
def test_names_that_providers_take(prefix: str, name: str, shown: str) -> None:
    assert named(prefix, name) == shown


def tool(name: str, **more: Any) -> types.Tool:
    return types.Tool.model_validate({"name": name, "inputSchema": {"type": "object"}, **more})


def test_of_two_tools_alike_the_first_is_kept_and_too_large_ones_are_not() -> None:
    large = {"type": "object", "description": "x" * 300_000}
    found = definitions([tool("a.b"), tool("a_b"), tool("c", inputSchema=large), tool("d", description="e" * 99_999)])
    assert list(found) == ["a.b", "d"]
    assert len(found["d"].description) < 17_000
    assert len(definitions([tool(f"t{n}") for n in range(2000)])) == 1000
    assert list(definitions([tool("a"), tool("b")], prefix="x", only=["b"])) == ["b"]


@pytest.mark.parametrize(
    ("lifecycle", "expected"),
    [
        ({}, Rules()),
        ({"profile": "strict"}, Rules(required=True, restart="never", again=False)),
        ({"profile": "best-effort"}, Rules(restart="never")),
        ({"call_timeout": "0", "max_restarts": -1, "restart": "always"}, Rules(call=0.0, tries=-1, restart="always")),
        (
            {"startup_timeout": "1m30s", "backoff": {"initial": "2s", "max": "4s", "multiplier": 3, "jitter": 0.5}},
            Rules(startup=90.0, initial=2.0, longest=4.0, multiplier=3.0, jitter=0.5),
        ),
    ],
)
def test_lifecycles(lifecycle: dict[str, Any], expected: Rules) -> None:
    assert rules(lifecycle) == expected


def test_when_a_server_is_started_again() -> None:
    assert [Rules().delay(n) for n in range(1, 8)] == [1, 2, 4, 8, 16, 32, 32]
    assert [Rules().restarts(clean=False, failures=n) for n in (1, 5, 6)] == [True, True, False]
    assert not Rules().restarts(clean=True, failures=1)
    assert Rules(restart="always").restarts(clean=True, failures=1)
    assert not Rules(restart="never").restarts(clean=False, failures=1)
    assert Rules(tries=-1).restarts(clean=False, failures=999)
    assert 0.5 <= Rules(jitter=0.5).delay(1) <= 1.5
