"""Keys that are meant only when they are pressed twice."""

import time
from collections.abc import Callable

WITHIN = 2.0  # seconds


class Presses:
    """Knows what was pressed a moment ago.  `hint` says what once more would do; `told` is called when it is another.

    `later` calls something after so many seconds.
    """

    def __init__(self, told: Callable[[], None], later: Callable[[float, Callable[[], None]], object]) -> None:
        self.hint = ""
        self._told = told
        self._later = later
        self._pressed: dict[str, float] = {}

    def again(self, key: str, hint: str) -> bool:
        """Whether the key was pressed a moment ago, too; if not, say what once more would do."""
        now = time.monotonic()
        if now - self._pressed.pop(key, -WITHIN) < WITHIN:
            self.hint = ""
            return True
        self._pressed[key] = now
        self.hint = hint
        self._told()
        self._later(WITHIN, self._forget)
        return False

    def _forget(self) -> None:
        if all(time.monotonic() - at >= WITHIN for at in self._pressed.values()):
            self._pressed.clear()
            self.hint = ""
            self._told()
