"""As much of a long text as is shown of it: its beginning or its end, and how much is left out."""

from typing import NamedTuple

LINE = 4_000  # characters of one line


class Excerpt(NamedTuple):
    """Lines of a text, and how many lines or characters are not among them."""

    lines: list[str]
    left: int
    of: str = "lines"

    @property
    def told(self) -> str:
        """What is left out, in words; "" where nothing is."""
        return f"{self.left:,} more {self.of if self.left != 1 else self.of.removesuffix('s')}" if self.left else ""


def head(text: str, lines: int) -> Excerpt:
    """The first lines."""
    if lines <= 0:
        return Excerpt([], text.count("\n") + bool(text))
    at = -1
    for _ in range(lines):
        at = text.find("\n", at + 1)
        if at < 0:
            return _short(text.split("\n"), 0)
    return _short(text[:at].split("\n"), text.count("\n", at + 1) + 1)


def tail(text: str, lines: int) -> Excerpt:
    """The last lines."""
    at = len(text)
    for _ in range(lines):
        at = text.rfind("\n", 0, at)
        if at < 0:
            return _short(text.split("\n"), 0)
    return _short(text[at + 1 :].split("\n"), text.count("\n", 0, at) + 1)


def _short(lines: list[str], left: int) -> Excerpt:
    over = sum(len(line) - LINE for line in lines if len(line) > LINE)
    if not over:
        return Excerpt(lines, left)
    cut = [line if len(line) <= LINE else line[:LINE] for line in lines]
    return Excerpt(cut, left) if left else Excerpt(cut, over, "characters")
