"""A session's events as they come in, and word of a line that was cut."""

from collections.abc import Callable

import anyio

from roost.client.again import PATIENCE
from roost.client.client import Client
from roost.client.errors import Garbled, Refused, Unreachable
from roost.client.happenings import Gap, Happening

AWAY = "reconnecting…"
GONE = "the session is gone: /new begins another"
_PAUSE = 1.0


class Feed:
    """Collects what happens, for whoever takes it a few times a second; `trouble` is what is wrong with the line."""

    def __init__(self, client: Client, changed: Callable[[], None]) -> None:
        self._client = client
        self._changed = changed
        self._fresh: list[Happening] = []
        self._cut = anyio.Event()
        self.trouble = ""
        self.gap = False

    def taken(self) -> list[Happening]:
        """What has come since the last time."""
        fresh, self._fresh = self._fresh, []
        return fresh

    async def follow(self, session: str, since: int) -> None:
        """Read on until the session is no more, however often the line is cut: nothing is lost or doubled."""
        self.trouble, self.gap, self._fresh = "", False, []
        newest = since
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._look)
            while True:
                try:
                    async for happening in self._client.follow(session, newest, told=self._told, patience=PATIENCE):
                        if isinstance(happening, Gap):
                            self.gap = True
                            self._changed()
                            tasks.cancel_scope.cancel()
                            return
                        newest = max(newest, happening.seq)
                        self._fresh.append(happening)
                        self._say("")
                    break
                except Unreachable as error:
                    self._told(str(error))
                    await anyio.sleep(_PAUSE)
                except (Refused, Garbled) as error:
                    if isinstance(error, Refused) and error.status < 500:
                        self._say(GONE if error.status == 404 else str(error))
                        tasks.cancel_scope.cancel()
                        return
                    self._say(str(error))  # it may pass, and what is shown must not stay as it is
                    await anyio.sleep(_PAUSE)
            self._say(GONE)
            tasks.cancel_scope.cancel()

    def _told(self, text: str) -> None:
        self._say(AWAY)
        self._cut.set()

    def _say(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            self._changed()

    async def _look(self) -> None:
        """After a cut, ask until the server answers: a session in which nothing happens would never tell."""
        while True:
            await self._cut.wait()
            self._cut = anyio.Event()
            while self.trouble == AWAY:
                try:
                    await self._client.ping()
                except (Unreachable, Garbled):
                    await anyio.sleep(_PAUSE)
                    continue
                except Refused:
                    pass
                self._say("")
