"""A page that somebody is to open in a browser."""

from typing import Any
from urllib.parse import urlsplit

from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from roost.tui import exhibit
from roost.tui.choices import Choice
from roost.tui.dialogs.card import Asked
from roost.tui.parts import Wait

_OPEN = Choice("o", "open it here", "accept")
_COPY = Choice("c", "copy the address", "")
_DONE = Choice("y", "I have opened it", "accept")
_NO = Choice("n", "no", "decline")

LONGEST = 4000  # characters of an address that are shown


class Link(Asked):
    """An address, the host of which is shown apart: that is what one has to trust."""

    class Wanted(Message):
        """The address is to be opened, or to be copied."""

        def __init__(self, url: str, *, copy: bool) -> None:
            super().__init__()
            self.url, self.copy = url, copy

    def __init__(self, wait: Wait) -> None:
        self.url = address(wait)
        choices = (_OPEN, _COPY, _DONE, _NO) if self._safe else (_COPY, _DONE, _NO)
        super().__init__(wait, choices)

    @property
    def _safe(self) -> bool:
        return _scheme(self.url) in ("http", "https")

    def title(self) -> str:
        """What is asked."""
        return "Open a page?"

    def body(self) -> ComposeResult:
        """Why, where it leads, and the whole of it."""
        yield Static(Content(self.wait.message), classes="message")
        warning = "" if _scheme(self.url) == "https" else "   not encrypted" if self._safe else "   no web page"
        yield Static(
            Content.assemble(
                ("on ", "$text-muted"), (exhibit.host(self.url) or "?", "bold $warning"), (warning, "$error")
            ),
            classes="why",
        )
        yield Static(Content.styled(exhibit.clean(self.url[:LONGEST]), "$secondary underline"), classes="url")

    def said(self, choice: Choice, text: str) -> None:
        """Open, copy, or answer."""
        if choice in (_OPEN, _COPY):
            self.post_message(self.Wanted(self.url, copy=choice is _COPY))
        if choice is not _COPY:
            content: dict[str, Any] | None = {} if choice.word == "accept" else None
            self.answer(action=choice.word, content=content)


def address(wait: Wait) -> str:
    """The address that a question is about: its own, or the one of a login; "" where it is about none."""
    meta: dict[str, Any] = wait.metadata
    login = meta.get("docker-agent/authorize_url") or meta.get("cagent/authorize_url")
    return wait.url or (login if isinstance(login, str) else "")


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""
