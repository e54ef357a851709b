"""Two CLIs that are a row of a table, by the Agent Client Protocol: text, an approval, a conversation."""

from collections.abc import Iterator

import pytest

from acceptance.clis.cast import ACP, Cli
from acceptance.clis.doors import agree
from acceptance.clis.theatre import Theatre, gone, opened
from fakes import llm

pytestmark = pytest.mark.clis


@pytest.fixture(params=list(ACP))
def cli(request: pytest.FixtureRequest) -> Cli:
    found = ACP[request.param]
    found.need()
    return found


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with llm.serve() as model, opened(tmp_path_factory.mktemp("acp"), model, ACP) as found:
        yield found


def test_it_is_asked_works_and_goes_on(theatre: Theatre, cli: Cli) -> None:
    work = theatre.work()
    prompt = f"{cli.run('echo made > made.txt; echo 4711')} [[say all is done]] MARZIPAN"
    session = theatre.spawn(cli.name, prompt, root=str(work))
    by_socket, by_events = theatre.listen(session), theatre.follow(session)
    by_events.until("tool_call_confirmation", timeout=60)
    assert not (work / "made.txt").exists()
    assert theatre.api.resume(session, "approve").status == 200
    by_socket.until("session_ended")
    assert theatre.completed(session) == "all is done"
    assert (work / "made.txt").read_text() == "made\n"
    by_events.until("stream_stopped")
    agree(theatre, session, by_socket, by_events)
    before = len(theatre.model.requests)
    theatre.ask("POST", f"/sessions/{session}/input", {"message": "[[say and two]]"})
    by_socket.until("session_ended", times=2)
    assert theatre.completed(session) == "and two"
    assert "MARZIPAN" in str([request["body"] for request in theatre.model.requests[before:]])
    gone(session)
