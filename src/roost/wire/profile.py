"""Profiles as pprof reads them: `profile.proto`, gzipped."""

import gzip
from collections.abc import Iterable, Sequence

from msgspec import Struct


class Frame(Struct, frozen=True):
    """One call on a stack."""

    function: str
    file: str = ""
    line: int = 0


class Sample(Struct, frozen=True):
    """A stack, innermost call first, with one value for each kind of the profile."""

    stack: tuple[Frame, ...]
    values: tuple[int, ...]
    labels: dict[str, str] = {}


class Kind(Struct, frozen=True):
    """What a value counts, and in which unit: `cpu`, `nanoseconds`."""

    name: str
    unit: str


def encode(
    kinds: Sequence[Kind],
    samples: Iterable[Sample],
    *,
    at_ns: int = 0,
    duration_ns: int = 0,
    period: int = 0,
    period_kind: Kind | None = None,
) -> bytes:
    """A profile with the last of `kinds` as the one that is shown first."""
    strings, functions, locations = _Table(""), _Table(), _Table()
    body = bytearray()
    for kind in kinds:
        body += _bytes(1, _kind(kind, strings))
    for sample in samples:
        body += _bytes(2, _sample(sample, strings, locations))
    for index, frame in enumerate(locations):
        function = functions.index((frame.function, frame.file)) + 1
        body += _bytes(4, _int(1, index + 1) + _bytes(4, _int(1, function) + _int(2, frame.line)))
    for index, (name, file) in enumerate(functions):
        text = strings.index(name)
        body += _bytes(5, _int(1, index + 1) + _int(2, text) + _int(3, text) + _int(4, strings.index(file)))
    if period_kind is not None:
        body += _bytes(11, _kind(period_kind, strings)) + _int(12, period)
    body += _int(9, at_ns) + _int(10, duration_ns) + _int(14, strings.index(kinds[-1].name))
    for text in strings:
        body += _bytes(6, text.encode("utf-8", "replace"))
    return gzip.compress(bytes(body), mtime=0)


class _Table(list):  # type: ignore[type-arg]
    """Values, each once, in the order in which they were first asked for."""

    def __init__(self, *first: object) -> None:
        super().__init__(first)
        self._places = {value: index for index, value in enumerate(first)}

    def index(self, value: object) -> int:  # type: ignore[override]
        place = self._places.setdefault(value, len(self))
        if place == len(self):
            self.append(value)
        return place


def _kind(kind: Kind, strings: _Table) -> bytes:
    return _int(1, strings.index(kind.name)) + _int(2, strings.index(kind.unit))


def _sample(sample: Sample, strings: _Table, locations: _Table) -> bytes:
    places = b"".join(_varint(locations.index(frame) + 1) for frame in sample.stack)
    values = b"".join(_varint(value) for value in sample.values)
    labels = b"".join(
        _bytes(3, _int(1, strings.index(key)) + _int(2, strings.index(text))) for key, text in sample.labels.items()
    )
    return _bytes(1, places) + _bytes(2, values) + labels


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
