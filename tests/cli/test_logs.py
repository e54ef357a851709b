"""Log lines: what they hold, and what they never show."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roost.cli import logs

log = logging.getLogger("roost.test")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_records_become_json(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "roost.log"
    logs.set_up(file=file)
    log.warning("turn of %s failed", "s1", extra={"action": "turn_failed"})
    logging.getLogger("roost.other").info("up", extra={"port": 1})
    first, second = lines(file)
    assert first["event"] == "turn of s1 failed"
    assert first["action"] == "turn_failed"
    assert first["level"] == "warning"
    assert first["logger"] == "roost.test"
    assert second["port"] == 1
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_exception_shows_its_traceback_but_no_variables(tmp_path: Path) -> None:
    logs.set_up(file=tmp_path / "l")
    hidden = "local-" + "variable"
    try:
        raise ValueError(len(hidden))
    except ValueError:
        log.exception("oh")
    [line] = lines(tmp_path / "l")
    assert "ValueError: 14" in str(line["exception"])
    assert hidden not in (tmp_path / "l").read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("GET /cb?code=123&state=456&x=1", "GET /cb?code=***&state=***&x=1"),
        ("key sk-proj-abcdefghijklmnop used", "key *** used"),
        ("asking for tokens", "asking for tokens"),
        ("task-abcdefghijklmnopq", "task-abcdefghijklmnopq"),
    ],
)
def test_secrets_show_as_stars(tmp_path: Path, text: str, shown: str) -> None:
    logs.set_up(file=tmp_path / "l")
    log.error(text, extra={"api_key": "abc", "input_tokens": 3})
    [line] = lines(tmp_path / "l")
    assert line["event"] == shown
    assert line["api_key"] == "***"
    assert line["input_tokens"] == 3


def test_debug_shows_more_and_quiet_less(tmp_path: Path) -> None:
    logs.set_up(file=tmp_path / "a", debug=True)
    log.debug("x")
    logs.set_up(file=tmp_path / "b", quiet=True)
    log.info("x")
    assert len(lines(tmp_path / "a")) == 1
    assert lines(tmp_path / "b") == []


def test_a_terminal_gets_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    logs.set_up()
    log.warning("careful", extra={"action": "care"})
    text = capsys.readouterr().err
    assert "careful" in text
    assert "action" not in text
    assert "roost.test" not in text
    assert not text.startswith("{")
    assert os.linesep in text


def test_a_terminal_is_not_commanded_by_what_others_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    logs.set_up()
    log.warning("agent %s does not load:\nwhy", "\x1b[2Jx\u202e\x07")
    text = capsys.readouterr().err
    assert "\ufffd[2Jx\ufffd\ufffd does not load:\nwhy" in text
