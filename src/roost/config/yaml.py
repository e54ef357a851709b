"""YAML to plain data, with the place of every key and value.

Scalars are read as YAML 1.2's core schema has them: `yes`, `on`, `012` and `1:20` are text.  Duplicate
keys are refused.  Size, depth and the number of values (aliases counted as often as they are used)
are bounded, so that no file can take the server with it.
"""

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml as pyyaml
from msgspec import Struct, field

from roost.config.complaints import Complaint, Position

LARGEST = 2 * 1024 * 1024  # bytes
DEEPEST = 64  # levels
VALUES = 50_000

Path = tuple[str | int, ...]

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAG = "tag:yaml.org,2002:"


class Unreadable(Exception):
    """The text is not YAML, or not YAML that is accepted here."""

    def __init__(self, complaints: list[Complaint]) -> None:
        super().__init__(complaints[0].message)
        self.complaints = complaints


class Document(Struct):
    """A file as data.

    `keys` has the place of each mapping's keys, `values` of each value, both by path; `texts` the
    words of numbers, booleans and nulls as they were written.
    """

    data: Any
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)

    def at(self, path: Path) -> Position:
        """The place of a value, or of the nearest one around it."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Position(1, 1))

    def key_at(self, path: Path) -> Position:
        """The place of a key; for what has none (an item of a list), of its value."""
        return self.keys.get(path) or self.at(path)


class _Node:
    """A value with its place.

    `weight` counts the values in it, aliases as often as they are used; `depth` the levels below it.
    """

    __slots__ = ("at", "depth", "items", "pairs", "text", "value", "weight")

    def __init__(self, at: Position, value: Any = None, text: str | None = None) -> None:
        self.at = at
        self.value = value
        self.text = text
        self.items: list[_Node] | None = None
        self.pairs: dict[str, tuple[Position, _Node]] | None = None
        self.weight = 1
        self.depth = 0


def read(raw: bytes) -> Document:
    """The data of a YAML file.

    Raises:
        Unreadable: with everything that is wrong with it, as far as the parser came.
    """
    document = Document(None)
    root = _Composer(decode(raw)).compose()
    document.data = _unfold(root, (), document)
    return document


def decode(raw: bytes) -> str:
    """The text of a file.

    Raises:
        Unreadable: it is too large, not UTF-8, or holds control characters.
    """
    if len(raw) > LARGEST:
        raise Unreadable([Complaint(Position(1, 1), f"the file is larger than {LARGEST} bytes", 0)])
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
        raise Unreadable([Complaint(_place(before), f"not UTF-8: byte 0x{raw[error.start]:02x}", 0)]) from None
    if bad := _FORBIDDEN.search(text):
        message = f"a character that YAML does not allow: U+{ord(bad[0]):04X}"
        raise Unreadable([Complaint(_place(text[: bad.start()]), message, 0)])
    return text


def _place(before: str) -> Position:
    return Position(before.count("\n") + 1, len(before) - before.rfind("\n"))


class _Composer:
    """Builds the tree of a document from the parser's events, without recursion."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._complaints: list[Complaint] = []
        self._anchors: dict[str, _Node] = {}
        self._open: list[_Open] = []
        self._root: _Node | None = None
        self._count = 0

    def compose(self) -> _Node:
        """The root of the document."""
        try:
            for event in self._events():
                self._take(event)
        except _Stop:
            pass
        except pyyaml.MarkedYAMLError as error:
            self.complain(*self._syntax(error))
        except pyyaml.YAMLError as error:
            self.complain(Position(1, 1), f"not YAML: {error}")
        if self._complaints:
            raise Unreadable(self._complaints)
        if self._root is None:
            raise Unreadable([Complaint(Position(1, 1), "the file is empty", 0)])
        return self._root

    def _events(self) -> Iterator[Any]:
        loader = pyyaml.CSafeLoader(self._text)
        try:
            while loader.check_event():
                yield loader.get_event()
        finally:
            loader.dispose()

    def _syntax(self, error: pyyaml.MarkedYAMLError) -> tuple[Position, str]:
        mark = error.problem_mark or error.context_mark
        if mark is None:
            return Position(1, 1), f"not YAML: {error}"
        line = self._text.splitlines()[mark.line : mark.line + 1]
        if line and "\t" in line[0][: mark.column + 1]:
            return Position(mark.line + 1, line[0].index("\t") + 1), "a tab; YAML is indented with spaces"
        problem = error.problem or error.context or "cannot be read"
        begun = error.context_mark
        since = f" ({error.context} that begins on line {begun.line + 1})" if begun and begun.line < mark.line else ""
        return Position(mark.line + 1, mark.column + 1), f"not YAML: {problem}{since}"

    def _take(self, event: Any) -> None:
        match event:
            case pyyaml.DocumentStartEvent() if self._root is not None:
                self._stop(_at(event), "a second document; an agent file holds one")
            case pyyaml.AliasEvent():
                self._alias(event)
            case pyyaml.ScalarEvent():
                self._put(self._scalar(event), event.anchor, plain=event.implicit[0])
            case pyyaml.SequenceStartEvent() | pyyaml.MappingStartEvent():
                self._begin(event)
            case pyyaml.SequenceEndEvent() | pyyaml.MappingEndEvent():
                opened = self._open.pop()
                self._put(opened.close(self), opened.anchor)

    def _begin(self, event: Any) -> None:
        if len(self._open) >= DEEPEST:
            self._stop(_at(event), f"nested deeper than {DEEPEST} levels")
        is_map = isinstance(event, pyyaml.MappingStartEvent)
        if event.tag and event.tag not in ("!", _TAG + ("map" if is_map else "seq")):
            self.complain(_at(event), f"unknown tag {event.tag!r}")
        self._anchors.pop(event.anchor, None)
        self._open.append(_Open(_at(event), event.anchor, is_map))

    def _alias(self, event: Any) -> None:
        node = self._anchors.get(event.anchor)
        if node is None:
            self._stop(_at(event), f"alias to unknown anchor {event.anchor!r}")
        self._put(node, None)

    def _put(self, node: _Node, anchor: str | None, *, plain: bool = False) -> None:
        self._count += 1
        if anchor:
            self._anchors[anchor] = node
        if not self._open:
            self._root = node
            return
        top = self._open[-1]
        top.take(node, plain, self)
        if top.weight > VALUES or self._count > VALUES:
            self._stop(node.at, f"more than {VALUES} values")
        if len(self._open) + node.depth > DEEPEST:
            self._stop(node.at, f"nested deeper than {DEEPEST} levels")

    def _scalar(self, event: Any) -> _Node:
        at, text = _at(event), event.value
        tag = event.tag.removeprefix(_TAG) if event.tag and event.tag != "!" else None
        if tag == "str" or event.tag == "!" or (tag is None and not event.implicit[0]):
            return _Node(at, text)
        value = self._plain(at, text)
        fits: dict[str | None, Any] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
        if tag is not None and (tag not in fits or not isinstance(value, fits[tag])):
            self.complain(at, f"{text[:60]!r} is not a !!{tag}" if tag in fits else f"unknown tag {event.tag!r}")
        return _Node(at, value, None if isinstance(value, str) else text)

    def _plain(self, at: Position, text: str) -> Any:
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _INT.fullmatch(text):
            value = int(text, 0) if text[:2] in ("0o", "0x") else _decimal(text)
            if value is None or not -(2**63) <= value < 2**63:
                self.complain(at, "a whole number beyond 64 bits")
                return 0
            return value
        if _ENDLESS.fullmatch(text) or (_FLOAT.fullmatch(text) and abs(float(text)) == float("inf")):
            self.complain(at, f"{text[:60]!r} is not a finite number")
            return 0.0
        return float(text) if _FLOAT.fullmatch(text) else text

    def _stop(self, at: Position, message: str) -> NoReturn:
        self.complain(at, message)
        raise _Stop

    def complain(self, at: Position, message: str) -> None:
        """Note something that is wrong."""
        self._complaints.append(Complaint(at, message))


class _Stop(Exception):
    """Reading on makes no sense."""


def _at(event: Any) -> Position:
    return Position(event.start_mark.line + 1, event.start_mark.column + 1)


def _decimal(text: str) -> int | None:
    return int(text) if len(text) <= 20 else None


class _Open:
    """A mapping or a sequence whose end has not come yet."""

    def __init__(self, at: Position, anchor: str | None, is_map: bool) -> None:
        self.at = at
        self.anchor = anchor
        self.weight = 1
        self._depth = 0
        self._is_map = is_map
        self._items: list[_Node] = []
        self._pairs: dict[str, tuple[Position, _Node]] = {}
        self._merged: list[_Node] = []
        self._key: tuple[str, Position] | None = None
        self._merges = False

    def take(self, node: _Node, plain: bool, composer: _Composer) -> None:
        """One more item, key or value."""
        self.weight += node.weight
        self._depth = max(self._depth, node.depth + 1)
        if not self._is_map:
            self._items.append(node)
        elif self._merges:
            self._merges = False
            self._merge(node, composer)
        elif self._key is None:
            self._take_key(node, plain, composer)
        else:
            (name, at), self._key = self._key, None
            self._pairs.setdefault(name, (at, node))

    def _take_key(self, node: _Node, plain: bool, composer: _Composer) -> None:
        if node.items is not None or node.pairs is not None:
            composer.complain(node.at, "a key must be a word")
            self._key = (f"\0{len(self._pairs)}", node.at)
        elif plain and node.value == "<<":
            self._merges = True
        else:
            name = node.value if isinstance(node.value, str) else node.text or ""
            if name in self._pairs:
                first = self._pairs[name][0]
                composer.complain(node.at, f"duplicate key {name!r} (first on line {first.line})")
            self._key = (name, node.at)

    def _merge(self, node: _Node, composer: _Composer) -> None:
        sources = node.items if node.items is not None else [node]
        if any(source.pairs is None for source in sources):
            composer.complain(node.at, "<< merges mappings, or a list of them")
        else:
            self._merged.extend(sources)

    def close(self, composer: _Composer) -> _Node:
        """The value, now that it is whole.  Its own keys win over merged ones, earlier merged ones over later."""
        node = _Node(self.at)
        node.weight, node.depth = self.weight, self._depth
        if not self._is_map:
            node.items = self._items
            return node
        node.pairs = self._pairs
        for source in self._merged:
            for name, pair in (source.pairs or {}).items():
                node.pairs.setdefault(name, pair)
        return node


def _unfold(node: _Node, path: Path, document: Document) -> Any:
    document.values[path] = node.at
    if node.items is not None:
        return [_unfold(item, (*path, index), document) for index, item in enumerate(node.items)]
    if node.pairs is None:
        if node.text is not None:
            document.texts[path] = node.text
        return node.value
    data = {}
    for name, (at, value) in node.pairs.items():
        document.keys[(*path, name)] = at
        data[name] = _unfold(value, (*path, name), document)
    return data
