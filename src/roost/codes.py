"""QR codes: a text as its dark and light modules, and those as characters of a terminal."""

from collections.abc import Sequence

QUIET = 2  # light modules around it: scanners ask for four, and on a dark terminal do with two

_HALVES = {(True, True): "█", (True, False): "▀", (False, True): "▄", (False, False): " "}


def matrix(text: str) -> list[str]:
    """The rows of the code, each a `0` or `1` a module; the latter are dark."""
    # Needed once in a while, and not by commands that only ask.
    import segno

    code = segno.make(text, error="m", micro=False, boost_error=False)
    return ["".join("1" if module else "0" for module in row) for row in code.matrix]


def drawn(rows: Sequence[str]) -> str:
    """The code in half blocks, two rows a line; it is light what is drawn, as on a dark terminal."""
    width = len(rows[0]) + 2 * QUIET
    blank = "0" * width
    whole = [*[blank] * QUIET, *(f"{'0' * QUIET}{row}{'0' * QUIET}" for row in rows), *[blank] * QUIET]
    if len(whole) % 2:
        whole.append("1" * width)  # below the code: nothing is drawn there
    pairs = zip(whole[::2], whole[1::2], strict=True)
    return "\n".join("".join(_HALVES[top == "0", low == "0"] for top, low in zip(*pair, strict=True)) for pair in pairs)
