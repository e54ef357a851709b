"""A text in pieces that overlap."""

from collections.abc import Iterator


def chunks(text: str, size: int, overlap: int, *, words: bool) -> Iterator[str]:
    """Pieces of at most `size` characters, each beginning `overlap` before the end of the last one.

    With `words` they begin and end between words, where words are not too long for that.
    """
    start = 0
    while start < len(text):
        end = min(start + size, len(text))
        if words and end < len(text):
            end = _before(text, start + size // 2, end)
        if piece := text[start:end].strip():
            yield piece
        if end == len(text):
            return
        following = max(end - overlap, start + max((size - overlap) // 2, 1))
        start = _after(text, following, end) if words and following < end else following


def _before(text: str, least: int, end: int) -> int:
    """The last place between words up to `end`, but not before `least`."""
    for place in range(end, max(least, 1), -1):
        if text[place].isspace() or text[place - 1].isspace():
            return place
    return end


def _after(text: str, start: int, most: int) -> int:
    """The first place from `start` on that lies between words, but not past `most`."""
    for place in range(start, most + 1):
        if text[place - 1].isspace() or text[place].isspace():
            return place
    return start
