"""What a page has taken from its line, over all the sockets that it had."""

import json
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page, WebSocket

Frame = tuple[int, Any]  # an event's number, and the event

_AGAIN = """
([session, since, last]) => new Promise((done, fail) => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + '/api/live')
    const found = []
    socket.onopen = () => socket.send(JSON.stringify({ follow: session, since }))
    socket.onerror = () => fail(new Error('no line'))
    socket.onmessage = ({ data }) => {
        const items = JSON.parse(data).filter((item) => item.session === session)
        found.push(...items.filter(({ event }) => event).map(({ id, event }) => [id, event]))
        if (items.some(({ id }) => id >= last)) done(found), socket.close()
    }
})
"""


@dataclass
class Line:
    """A socket: from where a session was asked for, and what came of it."""

    since: dict[str, int] = field(default_factory=dict)
    frames: dict[str, list[Frame]] = field(default_factory=dict)

    def sent(self, text: str | bytes) -> None:
        asked = json.loads(text)
        if (session := asked.get("follow")) is not None:
            assert session not in self.since, "it was followed twice"
            self.since[session] = asked["since"]

    def got(self, text: str | bytes) -> None:
        for item in json.loads(text):
            if item.get("event"):
                self.frames.setdefault(item["session"], []).append((item["id"], item["event"]))


class Wire:
    """All sockets of a page, from its first request on."""

    def __init__(self, page: Page) -> None:
        self.lines: list[Line] = []
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        line = Line()
        self.lines.append(line)
        socket.on("framesent", line.sent)
        socket.on("framereceived", line.got)

    def of(self, session: str) -> list[Line]:
        """The lines on which a session was followed."""
        return [line for line in self.lines if session in line.since]

    def taken(self, session: str) -> list[Frame]:
        """The events that the page took in: of each line what is not past the number from which the next one went on.

        What a line still brings when the page has given it up is not heard; the next one brings it again.
        """
        lines = self.of(session)
        ends = [*(line.since[session] for line in lines[1:]), None]
        return [
            frame
            for line, end in zip(lines, ends, strict=True)
            for frame in line.frames.get(session, [])
            if end is None or frame[0] <= end
        ]


def logged(page: Page, session: str, since: int, last: int) -> list[Frame]:
    """The same from the server's log, in one piece."""
    return [(number, event) for number, event in page.evaluate(_AGAIN, [session, since, last])]
