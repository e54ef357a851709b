"""A stream onto a terminal that agents and tools write to: text arrives, orders to the terminal do not."""

import re
from typing import TextIO

_BODY = r"[^\x07\x1b\x90\x98\x9b-\x9f]*(?:\x07|\x1b\\|\x9c)"  # none of these begins another: each text is read once
_ORDERS = re.compile(
    rf"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_]{_BODY}|[ -/]*[0-OQ-WYZ\\`-~])"
    rf"|\x9b[0-?]*[ -/]*[@-~]|[\x90\x98\x9d-\x9f]{_BODY}"
)
_BEGIN = re.compile(r"[\x1b\x90\x98\x9b\x9d-\x9f]")
_ENDS = ("\x07", "\x9c", "\n")
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LONGEST = 4096  # characters of an order that has begun: what is longer is none


class Tame:
    """Passes pieces of text on to `stream`; elsewhere than on a terminal as they are."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._begun = ""  # an order that the last piece has begun

    def write(self, text: str) -> None:
        """A piece of text."""
        self._stream.write(self._tamed(text) if self._terminal else text)

    def flush(self) -> None:
        """On to the terminal."""
        self._stream.flush()

    def end(self) -> None:
        """Nothing more comes that belongs to the last piece."""
        self._begun = ""

    def _tamed(self, text: str) -> str:
        text = _ORDERS.sub("", self._begun + text)
        begun = _BEGIN.search(text, max(map(text.rfind, _ENDS)) + 1)
        self._begun = ""
        if begun is not None and len(text) - begun.start() <= LONGEST:
            text, self._begun = text[: begun.start()], text[begun.start() :]
        return _OBEYED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
