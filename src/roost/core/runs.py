"""What a command runs in the end, behind `sudo`, `env`, `xargs` and their kin."""

from collections.abc import Sequence

from msgspec import Struct

from roost.core import programs
from roost.core.shellwords import Command, Word


class Run(Struct, frozen=True):
    """A command without its wrappers: `name` is the program's, without its folder."""

    name: str
    words: tuple[Word, ...]  # the program's own
    path: str
    wrappers: tuple[tuple[str, tuple[Word, ...]], ...]
    command: Command

    @property
    def texts(self) -> tuple[str, ...]:
        """Its words as text."""
        return tuple(word.text for word in self.words)

    @property
    def wrapped(self) -> frozenset[str]:
        """The names of its wrappers."""
        return frozenset(base(path) for path, _ in self.wrappers)


def unwrapped(command: Command) -> Run:
    """The program that a command runs in the end."""
    words = command.words
    wrappers: list[tuple[str, tuple[Word, ...]]] = []
    while words and (name := base(words[0].text)) in programs.WRAPPERS:
        count = _own_words(name, words)
        wrappers.append((words[0].text, words[1:count]))
        words = words[count:]
    path = words[0].text if words else ""
    return Run(base(path), words[1:], path, tuple(wrappers), command)


def base(path: str) -> str:
    """A program's name without its folder."""
    return path.rsplit("/", 1)[-1]


def _own_words(name: str, words: Sequence[Word]) -> int:
    """How many of the words are the wrapper's own."""
    takes = programs.WRAPPERS[name]
    at = 1
    while at < len(words):
        text = words[at].text
        if text == "--":
            at += 1
            break
        if text.startswith("-") and len(text) > 1:
            at += 2 if text in takes else 1
        elif name == "env" and "=" in text:
            at += 1
        else:
            break
    if name in programs.SKIPS:
        at += 1
    return min(at, len(words))
