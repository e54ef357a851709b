"""A session is followed through whatever becomes of its line: each event once, in order, to the end."""

import itertools
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from acceptance import front
from acceptance.house import until
from client.faces import BOTH, Face, Make, making
from client.real import TOKEN, Place, agent_file, first, kinds, standing, text_of, until_idle, until_waits
from fakes.line import line
from roost.client import blocking, following
from roost.client import client as asynchronous
from roost.client import happenings as h
from roost.client.errors import Cut, Refused, Unreachable
from roost.client.requests import Order
from roost.client.server import Server

WORDS = " ".join(f"word{n}" for n in range(1000))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with standing(tmp_path_factory.mktemp("following"), "--insecure-http") as found:
        yield found


@pytest.fixture
def asker(place: Place) -> Iterator[Face]:
    """Whoever sets the scene; its face is no matter."""
    with making("blocking") as make:
        yield make(place.server)


@pytest.fixture(scope="module")
def story(place: Place) -> str:
    """A session with a long answer, and a short one behind it."""
    with making("blocking") as make:
        face = make(place.server)
        session = str(face.create().id)
        assert face.say(session, "heart", "long").text == WORDS
        assert face.say(session, "heart", "hello").text == "You said: hello"
        return session


def told(face: Face, session: str, since: int = 0, **how: Any) -> list[h.Happening]:
    """All that there is of a session, up to its second end of a turn."""
    ends, found, stream = 0, [], face.follow(session, since, **how)
    while ends < 2:
        found.append(next(stream))
        ends += isinstance(found[-1], h.StreamStopped)
    stream.close()
    return found


def test_a_story_is_read_from_its_beginning(asker: Face, story: str, face: Make, place: Place) -> None:
    found = told(face(place.server), story)
    seqs = [one.seq for one in found]
    assert seqs == sorted(set(seqs))
    assert text_of(found) == WORDS + "You said: hello"
    assert all(one.session_id == story for one in found if isinstance(one, h.AgentChoice | h.StreamStopped))
    assert {one.agent_name for one in found if isinstance(one, h.AgentChoice)} == {"root"}
    assert [one.message for one in found if isinstance(one, h.UserMessage)] == ["long", "hello"]
    assert not [one for one in found if isinstance(one, h.Other)]


@pytest.mark.parametrize("seed", range(4))
def test_wherever_the_line_is_cut_nothing_is_lost_and_nothing_doubled(
    story: str, face: Make, place: Place, seed: int
) -> None:
    whole = told(face(place.server), story)
    chance = random.Random(seed)
    with line(place.server.url) as wire:
        wire.shorten(chance.randrange(1, 20_000) for _ in range(30))
        client = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN))
        assert told(client, story) == whole
        assert wire.opened > 3


def test_a_line_that_is_cut_at_every_byte_of_an_event(story: str, face: Make, place: Place) -> None:
    whole = told(face(place.server), story)[:3]
    with line(place.server.url) as wire:
        wire.shorten(range(600, 660))
        client = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN))
        for _ in range(10):
            stream = client.follow(story)
            assert [next(stream) for _ in range(3)] == whole
            stream.close()


def test_a_reader_may_take_its_time(story: str, face: Make, place: Place) -> None:
    found, stream = [], face(place.server).follow(story)
    for one in stream:
        found.append(one)
        if len(found) % 100 == 0:
            time.sleep(0.05)  # it is the test that is slow, and waits for nothing
        if isinstance(one, h.StreamStopped):
            break
    stream.close()
    assert text_of(found) == WORDS


def test_a_cursor_is_where_it_goes_on(story: str, face: Make, place: Place) -> None:
    client = face(place.server)
    whole = told(client, story)
    middle = len(whole) // 2
    assert told(client, whole[0].session_id or story, 0)[middle + 1 :] == [
        one for one in whole if one.seq > whole[middle].seq
    ]
    rest = client.follow(story, whole[-2].seq)
    assert next(rest) == whole[-1]
    rest.close()


def test_a_number_that_the_log_has_not_reached_is_a_gap_and_all_comes_anew(
    story: str, face: Make, place: Place
) -> None:
    client = face(place.server)
    gap, *rest = told(client, story, 1_000_000)
    assert isinstance(gap, h.Gap)
    assert rest == told(client, story)


def test_the_end_of_a_session_is_the_end_of_its_stream(asker: Face, face: Make, place: Place) -> None:
    session = asker.create().id
    asker.say(session, "heart", "hello")
    stream = face(place.server).follow(session)
    seen = [next(stream)]
    asker.delete(session)
    seen += list(stream)
    assert isinstance(seen[-1], h.SessionExited)


def test_a_session_that_was_deleted_behind_a_cut_has_ended_too(asker: Face, face: Make, place: Place) -> None:
    session = asker.create().id
    asker.say(session, "heart", "hello")
    with line(place.server.url) as wire:
        stream = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN)).follow(session)
        next(stream)
        wire.refuse()
        wire.cut()
        asker.delete(session, wait=True)
        wire.refuse(False)
        assert kinds(stream)[-1] is h.SessionExited


def test_a_session_that_never_was_is_refused(face: Make, place: Place) -> None:
    with pytest.raises(Refused) as error:
        list(face(place.server).follow("nobody"))
    assert (error.value.status, error.value.code) == (404, "unknown_session")


def test_a_server_that_stays_away_is_given_up_and_somebody_is_told(story: str, face: Make, place: Place) -> None:
    said: list[str] = []
    with line(place.server.url) as wire:
        client = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN))
        stream = client.follow(story, told=said.append, patience=0.3)
        next(stream)
        wire.refuse()
        wire.cut()
        with pytest.raises(Unreachable):
            list(stream)
    assert said
    assert len(said) == len(set(said))


def test_a_line_on_which_nothing_comes_is_dead(
    asker: Face, face: Make, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (following, blocking, asynchronous):
        monkeypatch.setattr(module, "SILENCE", 0.3)
    session = asker.create().id
    asker.say(session, "heart", "hello")
    with line(place.server.url) as wire:
        client = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN))
        said: list[str] = []
        stream = client.follow(session, told=said.append)
        first_end = next(one for one in stream if isinstance(one, h.StreamStopped))
        threading.Timer(0.7, lambda: asker.title(session, "Later")).start()
        later = next(one for one in stream if isinstance(one, h.SessionTitle))
        stream.close()
        assert (later.title, later.seq > first_end.seq) == ("Later", True)
        assert wire.opened > 1
    assert "no answer within 0.3 s" in said[0]


# -- streams of /api/v1 -------------------------------------------------------------------------


def test_a_spawned_session_is_read_to_its_end_by_either_door(face: Make, place: Place) -> None:
    client = face(place.server)
    session = client.spawn(Order(prompt="hello", provider="mock")).session_id
    log = list(client.stream(session))
    assert [one.type for one in log if one.type in ("user_message", "assistant_message", "session_ended")] == [
        *("user_message", "assistant_message", "session_ended")
    ]
    assert log == client.log(session)
    assert client.collect([session])[0].result_text == "hello"
    assert text_of(list(itertools.takewhile(lambda one: not isinstance(one, h.StreamStopped), client.follow(session))))


def test_all_sessions_are_listened_to_at_once(asker: Face, face: Make, place: Place) -> None:
    client = face(place.server)
    heard = client.subscribe(types=["user_event"])
    with ThreadPoolExecutor() as pool:
        first_heard = pool.submit(next, heard)
        session = asker.spawn(Order(prompt="hello", provider="mock")).session_id
        asker.wait([session])
        until(lambda: asker.note(session, "noted") and first_heard.done())
        assert (first_heard.result().session, first_heard.result().message) == (session, "noted")
    heard.close()


def test_a_log_of_an_agent_file_says_which_agent_speaks(story: str, face: Make, place: Place) -> None:
    said = [one for one in face(place.server).log(story) if one.type == "assistant_message"]
    assert {one.agent for one in said} == {"root"}


# -- turns --------------------------------------------------------------------------------------


def test_a_run_ends_with_its_turn(asker: Face, face: Make, place: Place) -> None:
    client = face(place.server)
    session = client.create().id
    found = list(client.run(session, "heart", "hello"))
    assert isinstance(found[-1], h.StreamStopped)
    assert text_of(found) == "You said: hello"
    again = list(client.run(session, "heart", "and again"))
    assert text_of(again) == "You said: and again"
    assert again[0].seq > found[-1].seq


def test_an_answer_is_the_last_of_the_agents_words(face: Make, place: Place) -> None:
    client = face(place.server)
    session = client.create(tools_approved=True).id
    said = client.say(session, "heart", "run it")
    assert (said.text, said.reason, said.ok, said.agent) == ("It says hello.", "normal", True, "root")
    assert said.usage.output_tokens > 0
    assert str(said) == said.text


def test_a_turn_that_fails_says_why(face: Make, place: Place) -> None:
    client = face(place.server)
    with pytest.raises(Refused) as error:
        client.say(client.create().id, "nobody", "hello")
    assert error.value.status == 404


def test_an_approval_by_a_rule(face: Make, place: Place) -> None:
    client = face(place.server)
    session = client.create().id
    asked = []
    for one in client.run(session, "heart", "run it"):
        if isinstance(one, h.ToolCallConfirmation):
            asked.append((one.tool_call.name, one.tool_call.arguments))
            client.answer(one.request_id, confirmation="approve")
    assert asked == [("shell", '{"cmd":"echo hello"}')]


def test_who_leaves_a_run_does_not_end_it(asker: Face, face: Make, place: Place) -> None:
    client = face(place.server)
    session = client.create().id
    first(client.run(session, "heart", "run it"), lambda one: isinstance(one, h.ToolCallConfirmation))
    client.answer(until_waits(asker, session).id, confirmation="approve")
    assert until_idle(asker, session).messages[-1].content == "It says hello."


def test_a_busy_session_is_refused(asker: Face, face: Make, place: Place) -> None:
    session = asker.create().id
    asker.start(session, "heart", "slow")
    with pytest.raises(Refused) as error:
        face(place.server).start(session, "heart", "hello")
    assert (error.value.status, error.value.code) == (409, "session_busy")
    asker.cancel(session)


@pytest.mark.parametrize("length", [0, 1, 12, 40])
def test_a_turn_is_not_posted_twice_where_the_yes_was_lost(asker: Face, face: Make, place: Place, length: int) -> None:
    session = asker.create().id
    before = asker.snapshot(session).last_event_seq
    with line(place.server.url) as wire:
        client = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN))
        wire.shorten([length])
        try:
            client.start(session, "heart", "hello", since=before)
        except Cut:
            assert length == 0  # nothing had come of it when it was looked for
    messages = until_idle(asker, session).messages
    assert [one.content for one in messages if one.role == "user"] in (["hello"], [])


def test_a_server_that_is_killed_in_the_middle_of_an_answer(face: Make, tmp_path: Path) -> None:
    with front.opened(tmp_path) as yard:
        flags = ("--insecure-http", "--host", "127.0.0.1", "--token", TOKEN, "--agents", str(agent_file(tmp_path)))
        served = yard.serve(*flags)
        client = face(Server(served.address, token=TOKEN))
        session = client.create().id
        found, killed = [], False
        for one in client.run(session, "heart", "long"):
            found.append(one)
            if len(text_of(found)) > 2000 and not killed:
                killed = True
                served.kill()
                yard.serve(*flags, "--port", served.address.rpartition(":")[2])
        seqs = [one.seq for one in found if one.seq]
        assert seqs == sorted(set(seqs))
        dropped = [one.discard_since for one in found if isinstance(one, h.Warned) and one.discard_since]
        kept = [
            one for one in found if not any(since <= one.seq for since in dropped[:1]) or one.seq > dropped_at(found)
        ]
        assert text_of(kept) == WORDS
        assert isinstance(found[-1], h.StreamStopped)


def dropped_at(found: list[h.Happening]) -> int:
    """The number of the event that says which pieces do not count."""
    return next((one.seq for one in found if isinstance(one, h.Warned) and one.discard_since), 0)


@pytest.mark.parametrize("kind", BOTH)
def test_a_thousand_events_do_not_take_long(story: str, place: Place, kind: str) -> None:
    with making(kind) as make:
        client = make(place.server)
        began = time.process_time()
        assert len(told(client, story)) > 500
        assert time.process_time() - began < 5
