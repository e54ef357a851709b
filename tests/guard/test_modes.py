"""What the server makes on the disk is its owner's alone."""

import os
import stat
from pathlib import Path

import pytest

from acceptance.house import House
from roost.cli import logs


def modes(folder: Path) -> dict[str, int]:
    found = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode) for path in found}


def test_files_are_0600_and_folders_0700(house: House) -> None:
    """Also where the user's own habit is to let everybody in."""
    house.agent()
    state = house.folder / "state"
    before = os.umask(0)
    try:
        server = house.start(
            "--log-file", str(state / "logs" / "roost.log"), "--record", str(state / "tapes" / "tape"),
            listen=f"unix://{state}/run/roost.sock", db=state / "data" / "session.db",
        ).until_listening()  # fmt: skip
    finally:
        os.umask(before)
    server.run(server.create(), "hi")
    found = modes(state)
    assert {"run/roost.sock", "data/session.db", "data/session.db-wal", "logs/roost.log"} <= set(found)
    assert server.term() == 0
    found |= modes(state)
    assert "tapes/tape.yaml" in found
    wrong = {name: oct(mode) for name, mode in found.items() if mode & 0o077 and name not in (".",)}
    assert wrong == {}
    assert b"authorization" not in (state / "tapes" / "tape.yaml").read_bytes().lower()


def test_a_log_that_is_no_file_keeps_its_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[int] = []
    monkeypatch.setattr(logs.os, "fchmod", lambda fd, mode: changed.append(mode))
    with logs._open(Path("/dev/null")):
        assert changed == []
    with logs._open(tmp_path / "a" / "log"):
        assert changed == [0o600]
