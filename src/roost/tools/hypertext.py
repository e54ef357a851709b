"""HTML to text or Markdown, in a process of its own, since a page can be made to take for ever.

It runs without the package (`python -I -S hypertext.py markdown`): a page in UTF-8 in, the text out.
"""

import re
import sys
from html.parser import HTMLParser
from urllib.parse import urljoin

_SKIPPED = frozenset({"script", "style", "noscript", "template", "svg", "math", "iframe", "canvas", "select"})
_BLOCKS = re.compile(
    "address|article|aside|blockquote|body|center|dd|details|dialog|div|dl|dt|fieldset|figcaption|figure|footer|form"
    "|h[1-6]|header|hr|html|legend|li|main|nav|ol|p|pre|section|summary|table|tbody|td|tfoot|th|thead|tr|ul"
)
_MARKS = {"strong": "**", "b": "**", "em": "*", "i": "*", "code": "`", "kbd": "`", "samp": "`", "del": "~~", "s": "~~"}
_DEEPEST = 200  # lists and quotes in each other


class Page(HTMLParser):
    """A page, being turned into text."""

    def __init__(self, markdown: bool, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self._markdown = markdown
        self._base = base
        self._out: list[str] = []
        self._line: list[str] = []
        self._skipped: list[str] = []
        self._lists: list[int | None] = []
        self._quotes = 0
        self._pre = 0
        self._links: list[tuple[str, int]] = []
        self._row: list[str] | None = None
        self._header = False
        self.title = ""
        self._in_title = False

    def text(self) -> str:
        """All of it."""
        self._break()
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(self._out)).strip()
        heading = self.title.strip() if self._markdown else ""
        return f"# {heading}\n\n{text}" if heading and not text.startswith("# ") else text

    # -- what the parser tells ------------------------------------------------------------------

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag that holds nothing."""
        if tag not in _SKIPPED:
            self.handle_starttag(tag, attrs)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag opens."""
        self._in_title = tag == "title" and not self._skipped
        if self._skipped or tag in _SKIPPED:
            if tag in _SKIPPED and len(self._skipped) < _DEEPEST:
                self._skipped.append(tag)
            return
        if _BLOCKS.fullmatch(tag):
            self._break()
        self._open(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        """A tag closes; one that was never opened is passed over."""
        if tag == "title":
            self._in_title = False
        if self._skipped:
            if tag in self._skipped:
                del self._skipped[len(self._skipped) - 1 - self._skipped[::-1].index(tag) :]
            return
        self._close(tag)
        if _BLOCKS.fullmatch(tag):
            self._break()

    def handle_data(self, data: str) -> None:
        """Text."""
        if self._in_title:
            self.title += re.sub(r"\s+", " ", data)
        elif not self._skipped:
            self._line.append(data if self._pre else re.sub(r"\s+", " ", data))

    # -- what becomes of it ---------------------------------------------------------------------

    def _open(self, tag: str, attrs: dict[str, str | None]) -> None:
        if tag == "br":
            self._break()
        elif tag == "pre":
            self._pre += 1
            self._mark("```\n")
        elif tag == "blockquote":
            self._quotes = min(self._quotes + 1, _DEEPEST)
        elif tag in ("ul", "ol") and len(self._lists) < _DEEPEST:
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            self._item()
        elif tag == "tr":
            self._row, self._header = [], False
        elif tag == "hr":
            self._mark("---")
        elif self._markdown:
            self._open_marked(tag, attrs)

    def _open_marked(self, tag: str, attrs: dict[str, str | None]) -> None:
        if re.fullmatch("h[1-6]", tag):
            self._line.append("#" * int(tag[1]) + " ")
        elif tag in _MARKS and not self._pre:
            self._line.append(_MARKS[tag])
        elif tag == "a" and attrs.get("href"):
            self._links.append((attrs["href"] or "", len(self._line)))
            self._line.append("[")
        elif tag == "img" and attrs.get("alt"):
            self._line.append(f"![{attrs['alt']}]({self._target(attrs.get('src') or '')})")

    def _close(self, tag: str) -> None:
        if tag == "pre" and self._pre:
            if self._markdown and not "".join(self._line).endswith("\n"):
                self._line.append("\n")
            self._mark("```")
            self._break()
            self._pre -= 1
        elif tag == "blockquote":
            self._break()
            self._quotes = max(self._quotes - 1, 0)
        elif tag in ("ul", "ol") and self._lists:
            self._break()
            self._lists.pop()
        elif tag in ("td", "th") and self._row is not None:
            self._header = self._header or tag == "th"
            self._row.append(re.sub(r"\s+", " ", "".join(self._line)).strip())
            self._line, self._links = [], []
        elif tag == "tr":
            self._end_row()
        elif self._markdown:
            self._close_marked(tag)
        if tag in ("p", "pre", "blockquote", "table", "h1", "h2", "h3", "h4", "h5", "h6") and not self._row:
            self._break()
            self._out.append("")

    def _close_marked(self, tag: str) -> None:
        if tag in _MARKS and not self._pre:
            self._line.append(_MARKS[tag])
        elif tag == "a" and self._links:
            href, start = self._links.pop()
            words = "".join(self._line[start + 1 :]).strip() if start < len(self._line) else ""
            if start < len(self._line):
                del self._line[start:]
            if words:
                self._line.append(f"[{words}]({self._target(href)})")

    def _item(self) -> None:
        number = self._lists[-1] if self._lists else None
        indent = "  " * max(len(self._lists) - 1, 0)
        self._line.append(f"{indent}{'-' if number is None else f'{number}.'} ")
        if number is not None:
            self._lists[-1] = number + 1

    def _end_row(self) -> None:
        row, self._row = self._row, None
        if not row:
            return
        if not self._markdown:
            self._out.append("\t".join(row))
            return
        self._out.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
        if self._header:
            self._out.append("|" + " --- |" * len(row))

    def _mark(self, mark: str) -> None:
        if self._markdown:
            self._line.append(mark)

    def _target(self, href: str) -> str:
        try:
            return urljoin(self._base, href.strip()).replace(" ", "%20").replace(")", "%29")
        except ValueError:
            return href

    def _break(self) -> None:
        """The line is at its end, unless it is a cell's of a table."""
        if self._row is not None:
            self._line.append(" ")
            return
        text, self._line, self._links = "".join(self._line), [], []
        quote = "> " * self._quotes if self._markdown else ""
        if self._pre:
            self._out += [quote + line for line in text.split("\n")] if text else []
            return
        item = re.match(r" *(?:-|\d+\.) ", text)
        body = (item[0] + text[item.end() :].strip()) if item else re.sub(r"[ \t]+", " ", text).strip()
        if body.strip():
            self._out.append(quote + body)


def convert(page: str, form: str, base: str = "") -> str:
    """A page as `text` or `markdown`; links are made whole from `base`."""
    parser = Page(form == "markdown", base)
    parser.feed(page)
    parser.close()
    return parser.text()


def main() -> None:
    """From stdin to stdout."""
    page = sys.stdin.buffer.read().decode(errors="replace")
    sys.stdout.buffer.write(convert(page, *sys.argv[1:3]).encode(errors="replace"))


if __name__ == "__main__":
    main()
