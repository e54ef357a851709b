"""Files that are their owner's alone."""

import stat
from pathlib import Path

import pytest

from roost import private


def test_d13_a_file_is_its_owners_alone_whatever_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    private.write(path, b"one")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"one", 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not private.is_open(path)
    path.chmod(0o644)
    assert private.is_open(path)
    private.write(path, b"two")
    assert (path.read_bytes(), private.is_open(path)) == (b"two", False)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    with pytest.raises(OSError):
        private.write(tmp_path / "secret", b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_nobody_reads_what_is_not_there(tmp_path: Path) -> None:
    assert not private.is_open(tmp_path / "nothing")


def test_folders_above_are_their_owners_too(tmp_path: Path) -> None:
    made = private.folder(tmp_path / "home" / "run")
    assert [stat.S_IMODE(one.stat().st_mode) for one in (made.parent, made)] == [0o700, 0o700]
    assert private.folder(made) == made
