"""Who watches a whole server learns of each session and of each question, also of those of a time without a line."""

from collections.abc import Iterator, Mapping

import pytest

from client.faces import Face, Make, making
from client.real import TOKEN, Place, standing, until_idle, until_waits
from fakes.line import line
from roost.client.board import Asked, Board, Changed, Gone, News
from roost.client.errors import Garbled, Refused, Unreachable
from roost.client.server import Server
from roost.client.shapes import Row


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with standing(tmp_path_factory.mktemp("board"), "--insecure-http") as found:
        yield found


@pytest.fixture
def asker(place: Place) -> Iterator[Face]:
    with making("blocking") as make:
        yield make(place.server)


def row_of(news: Iterator[News], session: str, **wanted: object) -> Row:
    """The line of a session, as soon as it is as wanted."""
    for one in news:
        if isinstance(one, Changed) and one.row.id == session and has(one.row, wanted):
            return one.row
    raise AssertionError("it ended")


def has(row: Row, wanted: Mapping[str, object]) -> bool:
    return all(getattr(row, name) == value for name, value in wanted.items())


def test_a_session_is_watched_from_its_beginning_to_its_end(asker: Face, face: Make, place: Place) -> None:
    old = asker.create(title="Old").id
    news = face(place.server).watch()
    assert row_of(news, old).title == "Old"
    new = asker.create(title="New").id
    assert row_of(news, new).title == "New"
    asker.say(new, "heart", "hello")
    assert row_of(news, new, state="idle").turns == 1
    asker.delete(new, wait=True)
    assert next(one for one in news if isinstance(one, Gone)) == Gone(new)
    news.close()  # type: ignore[attr-defined]


def test_each_question_comes_once_and_can_be_answered(asker: Face, face: Make, place: Place) -> None:
    client = face(place.server)
    asked = client.asks()
    sessions = [asker.create().id for _ in range(3)]
    for session in sessions:
        asker.start(session, "heart", "run it")
    found = []
    for waiting in asked:
        found.append(waiting.session_id)
        assert waiting.tool_call.name == "shell"
        client.answer(waiting.id, confirmation="approve")
        if len(found) == 3:
            break
    asked.close()
    assert sorted(found) == sorted(sessions)
    for session in sessions:
        assert until_idle(asker, session).messages[-1].content == "It says hello."


def test_what_changed_while_the_line_was_cut_is_told(asker: Face, face: Make, place: Place) -> None:
    waited, dropped = asker.create().id, asker.create().id
    with line(place.server.url) as wire:
        client = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN))
        news, asked = client.watch(), client.asks()
        row_of(news, dropped)
        asker.start(waited, "heart", "run it")
        first = next(one for one in asked if one.session_id == waited)
        wire.refuse()
        wire.cut()
        asker.answer(first.id, confirmation="approve")
        until_idle(asker, waited)
        asker.delete(dropped, wait=True)
        asker.start(waited, "heart", "run it again")
        again = until_waits(asker, waited)
        wire.refuse(False)
        assert next(one for one in asked if one.session_id == waited).id == again.id != first.id
        assert next(one for one in news if isinstance(one, Gone)) == Gone(dropped)
        row_of(news, waited, state="waiting")
        news.close()
        asked.close()
    asker.cancel(waited)


def test_a_server_that_stays_away_is_given_up(face: Make, place: Place) -> None:
    said: list[str] = []
    with line(place.server.url) as wire:
        news = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN)).watch(told=said.append, patience=0.3)
        next(one for one in news if isinstance(one, Asked))
        wire.refuse()
        wire.cut()
        with pytest.raises(Unreachable):
            list(news)
    assert said


def test_a_wrong_token_is_refused(face: Make, place: Place) -> None:
    with pytest.raises(Refused) as error:
        next(iter(face(Server(place.server.url, token="wrong")).asks()))
    assert error.value.status == 401


def test_what_is_known_is_not_told_again() -> None:
    board = Board()
    row = b'[{"row":{"id":"a","title":"A"}},{"waits":[]}]'
    assert list(board.read(row)) == [Changed(Row(id="a", title="A")), Asked(())]
    assert list(board.read(row)) == []
    assert list(board.listed([Row(id="a", title="A"), Row(id="b")])) == [Changed(Row(id="b"))]
    assert list(board.listed([Row(id="b")])) == [Gone("a")]
    assert list(board.read(b'[{"gone":"a"},{"gone":"b"},{"beat":true},{"newer":1}]')) == [Gone("b")]


def test_what_is_no_news_is_said() -> None:
    with pytest.raises(Garbled, match="what the server shows is not understood"):
        list(Board().read(b"<html>"))
