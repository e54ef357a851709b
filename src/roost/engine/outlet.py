"""What a tool shows while it runs: bounded, and without secrets, wherever its pieces are cut."""

from roost.core.redaction import PEM, Redactor
from roost.core.utf8 import mended

MOST = 2_000_000  # characters that one call may show
WORD = 4_096  # characters that are held back until their word ends
CONTEXT = 200  # characters before a piece that say what it is
MORE = "\n[more of its output is not shown]\n"

_KEY, _KEY_ENDS = "-----BEGIN ", "-----END "


class Outlet:
    """Feed it pieces and get back what of them may be shown now: all but the last word, which may go on.

    Without a redactor nothing is held back.
    """

    def __init__(self, redactor: Redactor | None) -> None:
        self._redactor = redactor
        self._held = ""
        self._said = ""
        self._left = MOST

    def feed(self, text: str) -> str:
        """Take in a piece."""
        text = mended(text)
        if self._redactor is None:
            return self._bounded(text)
        whole = self._held + text
        cut = self._cut(whole)
        self._held = whole[cut:]
        return self._bounded(self._clean(self._redactor, whole[:cut]))

    def rest(self) -> str:
        """What is left, once nothing more comes."""
        held, self._held = self._held, ""
        return held if self._redactor is None else self._bounded(self._clean(self._redactor, held))

    @staticmethod
    def _cut(text: str) -> int:
        """Where what has to wait begins."""
        first = max(len(text) - WORD, 0)
        behind = (at for at in range(len(text), first, -1) if text[at - 1].isspace())
        cut = next(behind, len(text) if first else 0)  # what is too long is no word
        key = text.rfind(_KEY)
        if key >= 0 and _KEY_ENDS not in text[key:] and len(text) - key < PEM:
            cut = min(cut, key)
        return cut

    def _clean(self, redactor: Redactor, text: str) -> str:
        if not text:
            return ""
        known = self._said
        clean = redactor.text(known + text)
        same = next((at for at, pair in enumerate(zip(known, clean, strict=False)) if pair[0] != pair[1]), len(known))
        shown = clean[same:]
        self._said = (known + shown)[-CONTEXT:]
        return shown

    def _bounded(self, text: str) -> str:
        if self._left < 0:
            return ""
        self._left -= len(text)
        return text if self._left >= 0 else text[: self._left] + MORE
