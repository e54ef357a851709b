"""Whole lines from any offset, while the file grows and after."""

from pathlib import Path

import pytest

from roost.keepers import spool as module
from roost.keepers.spool import Spool, Taken

TEXT = b"one\n\ntwo\x00\xff\r\nthree"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    path.write_bytes(b"")
    return path


def drained(spool: Spool, offset: int = 0, *, final: bool = True) -> tuple[list[bytes], int, bool]:
    """All that is there, and whether a line was cut."""
    lines: list[bytes] = []
    cut = False
    while True:
        taken = spool.take(offset, final=final)
        lines += taken.lines
        cut, offset = cut or taken.cut, taken.offset
        if taken.through or not taken.lines:
            return lines, offset, cut


@pytest.mark.parametrize("cut", range(len(TEXT) + 1))
@pytest.mark.parametrize("read", [1, 3, 1 << 20])
def test_lines_survive_any_cut(path: Path, cut: int, read: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ", read)
    spool = Spool(path)
    path.write_bytes(TEXT[:cut])
    first, offset, _ = drained(spool, final=False)
    path.write_bytes(TEXT)
    rest, end, _ = drained(spool, offset)
    spool.close()
    assert first + rest == [b"one", b"", b"two\x00\xff\r", b"three"]
    assert end == len(TEXT)


def test_half_a_line_is_no_line_until_the_end(path: Path) -> None:
    path.write_bytes(b"ab")
    spool = Spool(path)
    assert spool.take(0) == Taken((), 0)
    assert spool.take(0, final=True) == Taken((b"ab",), 2, through=True)
    spool.close()
    assert spool.size == 0


def test_a_long_line_is_looked_through_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ", 4)
    monkeypatch.setattr(module, "LONGEST", 10)
    spool = Spool(path)
    looks: list[int] = []
    real = module.os.pread
    monkeypatch.setattr(module.os, "pread", lambda fd, count, at: (looks.append(at), real(fd, count, at))[1])
    path.write_bytes(b"x" * 40)
    assert spool.take(0) == Taken((), 0)
    path.write_bytes(b"x" * 48)
    looks.clear()
    assert spool.take(0) == Taken((), 0)
    assert looks == [0, 40, 44, 48]
    path.write_bytes(b"x" * 48 + b"\nnext\n")
    assert spool.take(0) == Taken((b"x" * 10,), 49, cut=True)
    assert drained(spool, 49) == ([b"next"], 54, False)
    spool.close()
