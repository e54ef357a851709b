"""The way to the terminal: one that is slow, stuck or gone holds up nobody else."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from textual.app import App
from textual.driver import Driver

MOST = 1024 * 1024  # bytes that wait for the terminal; what comes beyond them is left out, and drawn anew later
PARTING = 1.0  # seconds that it is given to take the last of it


class Outlet:
    """A file that is written to without waiting; a thread of its own carries it to the terminal `fileno`.

    `caught_up` is called, from that thread, when all has arrived after something had to be left out.
    """

    def __init__(self, fileno: int, caught_up: Callable[[], None]) -> None:
        self._fileno = fileno
        self._caught_up = caught_up
        self._waiting: list[bytes] = []
        self._size = 0  # of what waits, and of what is on its way
        self._behind = False
        self._gone = False
        self._turn = threading.Condition()
        threading.Thread(target=self._carry, name="outlet", daemon=True).start()

    def write(self, text: str) -> int:
        """Hand it over, unless the terminal is too far behind, or gone."""
        data = text.encode("utf-8", "replace")
        with self._turn:
            if self._size > MOST:
                self._behind = True
            elif not self._gone:
                self._waiting.append(data)
                self._size += len(data)
                self._turn.notify_all()
        return len(text)

    def flush(self) -> None:
        """It goes as fast as it can."""

    def fileno(self) -> int:
        """The terminal's."""
        return self._fileno

    def isatty(self) -> bool:
        """Whether there is one."""
        return os.isatty(self._fileno)

    def drain(self, seconds: float = PARTING) -> None:
        """Wait until all has arrived; a terminal that does not read in this time won't."""
        end = time.monotonic() + seconds
        with self._turn:
            while self._size and (left := end - time.monotonic()) > 0:
                self._turn.wait(left)

    def _carry(self) -> None:
        while not self._gone:
            with self._turn:
                while not self._waiting:
                    self._turn.wait()
                data, self._waiting = b"".join(self._waiting), []
            self._put(data)

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fileno, rest) :]
        except OSError:  # nobody is there any more
            self._gone = True
        with self._turn:
            self._size -= len(data)
            if self._gone:
                self._waiting, self._size = [], 0
            again = self._behind and not self._size and not self._gone
            self._behind = self._behind and not again
            self._turn.notify_all()
        if again:
            self._caught_up()


def patient(driver: type[Driver]) -> type[Driver]:
    """A terminal's driver that writes through an outlet."""

    class Patient(driver):  # type: ignore[valid-type, misc]
        _file: Any

        def __init__(self, app: App[Any], **more: Any) -> None:
            super().__init__(app, **more)
            self._file = Outlet(self._file.fileno(), self._caught_up)

        def _caught_up(self) -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._redraw)

        def _redraw(self) -> None:
            if self._app.screen_stack:
                self._app.screen.refresh()

        def close(self) -> None:
            super().close()
            self._file.drain()

    return Patient
