"""Texts as UTF-8 can hold them: what stands for half a character gives way to U+FFFD."""

from typing import Any

DEEPEST = 100  # levels of data; what lies below is left as it is


def mended(text: str) -> str:
    """The text without halves of surrogate pairs, which nothing can write down; the same text where there are none."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def mended_data(data: Any, depth: int = 0) -> Any:
    """JSON data, all of its texts mended."""
    if isinstance(data, str):
        return mended(data)
    if depth >= DEEPEST:
        return data
    if isinstance(data, dict):
        return {
            mended(key) if isinstance(key, str) else key: mended_data(value, depth + 1) for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return type(data)(mended_data(value, depth + 1) for value in data)
    return data
