"""Shapes of values: each checks what a file has at one place, and complains about all of it at once.

A shape's `check` gives back the value as the rest of the loader wants it, or `BAD` after it has
complained.  Keys without a value (`toolsets:`) count as absent.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any, Final, Literal, Protocol

from msgspec import Struct, field

from roost.config.complaints import MOST, Complaint, did_you_mean, quoted
from roost.config.yaml import Document, Path

BAD: Final = object()
NEWEST: Final = 15  # the newest version that a file can name
NEWER: Final = 11  # what came on the way from version 10 to 15 (which step brought which key is not known)
CHOICES: Final = 300  # words among which the one that was meant is looked for
UNRELEASED: Final = 16  # what no version number covers yet

Mark = Literal["built", "warn", "refuse", "quiet"]
"""What becomes of a legal key: it works; it is ignored with a warning; it is ignored, and the file is
refused since that would make it less safe; it is ignored without a word, since nothing hangs on it."""


class Notes:
    """What a shape needs to know, and where its complaints go.  `version` is None where the file names none."""

    def __init__(self, document: Document, version: int | None = None) -> None:
        self.document = document
        self.version = version
        self.complaints: list[Complaint] = []
        self.warnings: list[Complaint] = []

    def bad(self, path: Path, message: str) -> Any:
        """Complain about a value."""
        secret = any(step in ("headers", "env", "http_headers") for step in path)
        at = self.document.at(path)
        self.complaints.append(Complaint(at, message, 0) if secret else Complaint(at, message))
        return BAD

    def bad_key(self, path: Path, message: str) -> None:
        """Complain about a key; its value is not shown."""
        at = self.document.key_at(path)
        self.complaints.append(Complaint(at, message, at.column + len(str(path[-1]))))

    def hint(self, word: str, legal: Iterable[str]) -> str:
        """`; did you mean 'x'?`, or nothing: also once there are more complaints than anybody will read."""
        return did_you_mean(word, islice(legal, CHOICES)) if len(self.complaints) < MOST else ""

    def warn(self, path: Path, message: str) -> None:
        """Say something that does not keep the file from loading."""
        self.warnings.append(Complaint(self.document.key_at(path), message))


class Shape(Protocol):
    """What may stand at a place."""

    def check(self, value: Any, path: Path, notes: Notes) -> Any:
        """The value as the loader wants it, or BAD after a complaint."""
        ...


def where(path: Path) -> str:
    """A path as people write it: `agents.root.toolsets[0]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
    return "".join(char if char.isprintable() else "\ufffd" for char in text) or "the file"


def kind_of(value: Any) -> str:
    """The kind of a value, for a complaint."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}"
        case list():
            return "a list"
    return "a mapping"


def _expected(what: str, value: Any, path: Path, notes: Notes) -> Any:
    secret = any(step in ("headers", "env", "http_headers") for step in path)
    got = "something else" if secret else kind_of(value)
    return notes.bad(path, f"{where(path)}: expected {what}, got {got}")


class Text(Struct, frozen=True):
    """A text.  With `words`, one of them; with `pattern`, one that matches; `loose` takes numbers too."""

    words: tuple[str, ...] = ()
    pattern: str = ""
    what: str = "text"
    loose: bool = False
    filled: bool = False

    def check(self, value: Any, path: Path, notes: Notes) -> Any:
        """The text."""
        if self.loose and isinstance(value, bool | int | float):
            value = notes.document.texts.get(path, str(value))
        if not isinstance(value, str):
            return _expected(self.what, value, path, notes)
        if self.filled and not value.strip():
            return notes.bad(path, f"{where(path)}: must not be empty")
        if self.words and value not in self.words:
            known = ", ".join(self.words)
            return notes.bad(path, f"{where(path)}: {quoted(value)} is none of {known}{notes.hint(value, self.words)}")
        if self.pattern and not re.fullmatch(self.pattern, value):
            return _expected(self.what, value, path, notes)
        return value


class Flag(Struct, frozen=True):
    """true or false."""

    def check(self, value: Any, path: Path, notes: Notes) -> Any:
        """The boolean."""
        return value if isinstance(value, bool) else _expected("true or false", value, path, notes)


class Number(Struct, frozen=True):
    """A number within bounds (`above` leaves the lower one out); `whole` takes no fractions."""

    low: float | None = None
    high: float | None = None
    whole: bool = False
    above: bool = False

    def check(self, value: Any, path: Path, notes: Notes) -> Any:
        """The number."""
        if self.whole and isinstance(value, float) and value.is_integer():
            value = int(value)
        kind = int if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kind):
            return _expected("a whole number" if self.whole else "a number", value, path, notes)
        if self.low is not None and (value < self.low or (self.above and value == self.low)):
            word = "more than" if self.above else "at least"
            return notes.bad(path, f"{where(path)}: must be {word} {self.low:g}, is {value}")
        if self.high is not None and value > self.high:
            return notes.bad(path, f"{where(path)}: must be at most {self.high:g}, is {value}")
        return value


class Items(Struct, frozen=True):
    """A list."""

    item: Shape
    least: int = 0

    def check(self, value: Any, path: Path, notes: Notes) -> Any:
        """The list; BAD stands for what was bad in it, so that the others keep their places."""
        if not isinstance(value, list):
            return _expected("a list", value, path, notes)
        if len(value) < self.least:
            return notes.bad(path, f"{where(path)}: needs at least {self.least}")
        return [self.item.check(item, (*path, index), notes) for index, item in enumerate(value)]


class Entries(Struct, frozen=True):
    """A mapping with names of the writer's choice.

    `named` ones are referred to from elsewhere: an entry without a value is an empty one, and one
    that is bad is kept as empty, so that what refers to it is not complained of as well.  `known` are
    names that have a shape of their own.
    """

    value: Shape
    named: bool = False
    known: Mapping[str, Shape] = {}

    def check(self, value: Any, path: Path, notes: Notes) -> Any:
        """The mapping, without what was bad in it."""
        if not isinstance(value, dict):
            return _expected("a mapping", value, path, notes)
        checked = {}
        for name, item in value.items():
            given = {} if item is None and self.named else item
            good = self.known.get(name, self.value).check(given, (*path, name), notes)
            if good is not BAD or self.named:
                checked[name] = {} if good is BAD else good
        return checked


class Anything(Struct, frozen=True):
    """Whatever stands there."""

    def check(self, value: Any, path: Path, notes: Notes) -> Any:
        """The value."""
        return value


class Either(Struct, frozen=True):
    """One of several shapes, told apart by the kind of value."""

    flag: Shape | None = None
    number: Shape | None = None
    text: Shape | None = None
    items: Shape | None = None
    entries: Shape | None = None

    def check(self, value: Any, path: Path, notes: Notes) -> Any:
        """The value, as the shape of its kind wants it."""
        kinds: list[tuple[Any, Shape | None, str]] = [
            (bool, self.flag, "true or false"),
            ((int, float), self.number, "a number"),
            (str, self.text, "text"),
            (list, self.items, "a list"),
            (dict, self.entries, "a mapping"),
        ]
        for kind, shape, _ in kinds:
            if isinstance(value, kind):
                if shape is not None:
                    return shape.check(value, path, notes)
                break
        return _expected(" or ".join(word for _, shape, word in kinds if shape is not None), value, path, notes)


class Key(Struct, frozen=True):
    """A legal key: its shape, the versions that know it, and what becomes of it here.

    `since` is the first version, `until` the last; a `since` past the newest is a key that only
    files without a version may use.  Of toolsets, `types` have it.  `harmless` are values that
    change nothing when they are ignored, besides empty ones.
    """

    shape: Shape
    since: int = 0
    until: int = 99
    mark: Mark = "built"
    types: tuple[str, ...] = ()
    harmless: tuple[Any, ...] = ()
    gone: str = ""  # why it is no longer legal, in any version

    def legal(self, version: int | None) -> bool:
        """Whether a file of this version may use it."""
        return not self.gone and (version is None or self.since <= version <= self.until)


class Record(Struct, frozen=True):
    """A mapping with known keys.  `open` lets others pass with a warning."""

    keys: Mapping[str, Key] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    open: bool = False

    def check(self, value: Any, path: Path, notes: Notes) -> Any:
        """The mapping, without empty keys and without what was bad in it."""
        if not isinstance(value, dict):
            return _expected("a mapping", value, path, notes)
        checked = {}
        for name, item in value.items():
            if self._known(name, path, notes) and item is not None:
                good = self.keys[name].shape.check(item, (*path, name), notes)
                if good is not BAD:
                    checked[name] = good
                    announce(self.keys[name], good, (*path, name), notes)
        for name in self.required:
            if value.get(name) in (None, ""):
                notes.bad(path, f"{where(path)}: {name} is missing")
        return checked

    def _known(self, name: str, path: Path, notes: Notes) -> bool:
        key = self.keys.get(name)
        if key is not None and key.legal(notes.version):
            return True
        if key is None and self.open:
            notes.warn((*path, name), f"unknown key {quoted(name)} in {where(path)} is ignored")
        else:
            notes.bad_key((*path, name), _illegal(name, key, self.legal(notes.version), path, notes))
        return False

    def legal(self, version: int | None) -> Collection[str]:
        """The keys that a file of this version may use."""
        return [name for name, key in self.keys.items() if key.legal(version)]


def _illegal(name: str, key: Key | None, legal: Collection[str], path: Path, notes: Notes) -> str:
    version = notes.version
    if key is None:
        return f"unknown key {quoted(name)} in {where(path)}{notes.hint(name, legal)}"
    if key.gone:
        return f"key {name!r} in {where(path)} is no longer accepted: {key.gone}"
    if version is not None and version > key.until:
        return f"key {name!r} in {where(path)} is gone since version {key.until + 1} (the file says {version})"
    if key.since > NEWEST:
        return f"key {name!r} in {where(path)} is newer than version {NEWEST}; leave out `version` to use it"
    return f"key {name!r} in {where(path)} needs version {key.since} or newer (the file says {version})"


def announce(key: Key, value: Any, path: Path, notes: Notes) -> None:
    """Say what becomes of a key that is not built."""
    if not value or value in key.harmless or key.mark in ("built", "quiet"):
        return
    if key.mark == "warn":
        notes.warn(path, f"{where(path)} is not supported yet and is ignored")
    else:
        reason = "is not supported yet; ignoring it would make the agent less safe, so the file is refused"
        notes.bad_key(path, f"{where(path)} {reason}")
