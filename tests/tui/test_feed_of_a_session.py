"""What the terminal UI hears of a session, however its server fares."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from roost.client.errors import Garbled, Refused
from roost.client.happenings import Happening, SessionTitle
from roost.tui import feed
from roost.tui.feed import GONE, Feed

pytestmark = pytest.mark.anyio


class Client:
    """One whose server fails before it goes on."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked: list[int] = []

    async def follow(self, session: str, since: int, **_: Any) -> AsyncIterator[Happening]:
        self.asked.append(since)
        if self.failures:
            raise self.failures.pop(0)
        yield SessionTitle(seq=since + 1, title="on")


@pytest.mark.parametrize("failure", [Refused(500, "internal server error"), Garbled("a page of a hotel came")])
async def test_what_may_pass_is_waited_for(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    monkeypatch.setattr(feed, "_PAUSE", 0.0)
    said: list[str] = []
    client: Any = Client(failure)
    one = Feed(client, lambda: said.append(one.trouble))
    with anyio.fail_after(10):
        await one.follow("s", 4)
    assert client.asked == [4, 4]
    assert [happening.seq for happening in one.taken()] == [5]
    assert said == [str(failure), "", GONE]


@pytest.mark.parametrize(("failure", "says"), [(Refused(404, "no"), GONE), (Refused(401, "invalid token"), "invalid")])
async def test_what_will_not_pass_is_said(failure: Exception, says: str) -> None:
    client: Any = Client(failure)
    one = Feed(client, lambda: None)
    with anyio.fail_after(10):
        await one.follow("s", 4)
    assert len(client.asked) == 1
    assert says in one.trouble
