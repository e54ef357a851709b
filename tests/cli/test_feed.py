"""Events as lines: who speaks is said where that changes."""

import pytest

from roost.cli import show
from roost.cli.feed import Speakers, line
from roost.client.fleet import Event

ORDER = "\x1b]52;c;cm0gLXJmIH4K\x07\x9b2J"
"""What has terminals put something on the clipboard, and clear the screen."""


def said(content: str, agent: str | None, session: str = "s") -> Event:
    return Event(type="assistant_message", content=content, agent=agent, wrapper_session_id=session)


def test_another_speaker_is_named() -> None:
    speakers = Speakers()
    turns = [said("a", "root"), said("b", "root"), said("c", "coder"), said("d", "coder"), said("e", "root")]
    shown = [line.text for one in turns if (line := speakers.line(one))]
    assert shown == ["a", "b", "coder: c", "d", "root: e"]


def test_sessions_have_speakers_of_their_own_and_a_cli_needs_no_name() -> None:
    speakers = Speakers()
    turns = [said("a", "root"), said("b", "coder", "t"), said("c", None), said("d", "root")]
    assert [line.text for one in turns if (line := speakers.line(one))] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "event",
    [
        Event(type="session_started", provider=f"claude{ORDER}", model=ORDER, cwd=ORDER, wrapper_session_id="s"),
        Event(type="permission", granted=False, tool_name=f"shell{ORDER}", wrapper_session_id="s"),
        Event(type="usage_limit_hit", scheduled_resume_at=ORDER, wrapper_session_id="s"),
        Event(type="usage_limit_resume_failed", error=ORDER, wrapper_session_id="s"),
        Event(type="session_ended", success=False, error=ORDER, wrapper_session_id="s"),
        Event(type="user_event", level=ORDER, message=ORDER, wrapper_session_id="s"),
    ],
    ids=lambda event: event.type,
)
def test_no_field_of_an_event_orders_the_terminal_about(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "terminal", lambda: True)
    shown = line(event)
    assert shown is not None
    assert shown.text.isprintable()
    speakers = Speakers()
    speakers.line(said("a", "root"))
    named = speakers.line(said("b", f"coder{ORDER}"))
    assert named is not None
    assert named.text.isprintable()
