"""Pages of the docs, and the blocks of code in them."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
API = ROOT / "docs/http-api.md"

_PART = re.compile(r"^(?:(#+) ([^\n]+)|```(\w*)\n(.*?)^```)$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block, and the heading that it stands under."""

    heading: str
    language: str
    text: str


def blocks(page: Path, language: str = "", heading: str = "") -> list[Block]:
    """The blocks of a page, in order; of one language, or under one heading, where that is asked for."""
    found, under = [], ""
    for level, title, kind, text in _PART.findall(page.read_text()):
        if level:
            under = title
        elif language in ("", kind) and heading in ("", under):
            found.append(Block(under, kind, text))
    return found
