"""JSON-RPC messages: what is written is read again, and nothing that comes breaks the reader."""

import json
from typing import Any

import pytest

from roost.wire import jsonrpc
from roost.wire.jsonrpc import Failure, Malformed, Message, Notification, Reply, Request


@pytest.mark.parametrize(
    "message",
    [
        Request(1, "session/new", {"cwd": "/tmp"}),
        Request("one", "ping"),
        Request(None, "odd"),
        Notification("session/cancel", {"sessionId": "s"}),
        Notification("tick"),
        Reply(1, {"ok": True}),
        Reply("one"),
        Failure(2, -32601, "no such method"),
        Failure(None, -32700, "can't be read", {"details": "at byte 3"}),
    ],
)
@pytest.mark.parametrize("version", [True, False])
def test_what_is_written_is_read_again(message: Message, version: bool) -> None:
    line = jsonrpc.line(message, version=version)
    assert "\n" not in line
    assert ("jsonrpc" in json.loads(line)) is version
    assert jsonrpc.parse(line.encode()) == message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"[]",
        b"3",
        b"{}",
        b'{"id": 1}',
        b'{"method": 3}',
        b'{"id": true, "result": 1}',
        b'{"id": [1], "result": 1}',
        b'{"id": 1, "error": null}',
        b'{"id": 1, "result": "\xff"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        jsonrpc.parse(line)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": 401, "message": "no"}, Failure(7, 401, "no")),
        ({"code": 1e300, "message": "no"}, Failure(7, 0, "no")),
        ({"code": "E1", "message": 3}, Failure(7, 0, "")),
        ("broken", Failure(7, 0, "broken")),
    ],
)
def test_an_error_of_any_shape_is_read(error: Any, expected: Failure) -> None:
    assert jsonrpc.parse(json.dumps({"id": 7, "error": error}).encode()) == expected


def test_a_line_break_in_a_text_does_not_break_the_line() -> None:
    line = jsonrpc.line(Reply(1, "one\ntwo"))
    assert "\n" not in line
    assert jsonrpc.parse(line.encode()) == Reply(1, "one\ntwo")
