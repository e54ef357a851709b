"""Events as lines: who speaks is said where that changes."""

from roost.cli.feed import Speakers
from roost.client.fleet import Event


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
