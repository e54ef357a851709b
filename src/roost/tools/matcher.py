"""One regular expression in a process of its own, since a bad one never ends and can't be interrupted.

It runs without the package (`python -I -S matcher.py`).  The first message is the expression; each later
one is a text, answered with a line of JSON: `[[line, column, preview], …]`, one for each line that matches.
A message is its length in eight bytes, then itself.
"""

import json
import re
import struct
import sys
from typing import IO


def main(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer until there is nothing more to read."""
    expression = None
    while header := source.read(8):
        text = source.read(struct.unpack(">Q", header)[0]).decode(errors="replace")
        if expression is None:
            try:
                expression = re.compile(text)
                answer: object = "ok"
            except (re.error, OverflowError, RecursionError) as error:
                answer = f"invalid regular expression: {error}"
        else:
            answer = hits(expression, text)
        sink.write(json.dumps(answer).encode() + b"\n")
        sink.flush()


def hits(expression: "re.Pattern[str]", text: str, most: int = 1000, preview: int = 200) -> "list[list[object]]":
    """The first match of each line that has one."""
    found: list[list[object]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if match := expression.search(line.removesuffix("\r")):
            found.append([number, match.start() + 1, line.strip()[:preview]])
            if len(found) >= most:
                break
    return found


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
