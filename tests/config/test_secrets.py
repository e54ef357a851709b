"""Variables behind the environment: secret files and the password store, found by name and never handed on."""

import os
import select
import time
from pathlib import Path

import pytest

from roost.config import secrets
from roost.config.secrets import Secrets


def store(folder: Path, script: str, *names: str) -> dict[str, str]:
    """An environment with a password store that has these, and a program that plays `pass`."""
    (folder / "bin").mkdir()
    program = folder / "bin/pass"
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n{script}\n')
    program.chmod(0o755)
    (folder / ".password-store").mkdir()
    for name in names:
        (folder / f".password-store/{name}.gpg").touch()
    return {"HOME": str(folder), "PATH": f"{folder}/bin:/usr/bin:/bin"}


def ended(pid: int) -> bool:
    """Whether a process that is to end has, within some seconds."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], 10)[0])
    finally:
        os.close(watched)


def test_the_environment_comes_first_then_files_then_the_store(tmp_path: Path) -> None:
    env = store(tmp_path, "echo from the store; echo second line", "A", "B", "C")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/A").write_text("from a file\n")
    (tmp_path / "run/B").write_text("from a file\n")
    found = Secrets({**env, "A": "from the environment"}, folder=tmp_path / "run")
    assert [found["A"], found["B"], found["C"]] == ["from the environment", "from a file", "from the store"]
    assert found.get("D") is None
    assert (tmp_path / "asked").read_text() == "show C\n"


def test_copies_do_not_have_what_is_behind(tmp_path: Path) -> None:
    (tmp_path / "KEY").write_text("k")
    found = Secrets({"PATH": "/bin"}, folder=tmp_path)
    assert found["KEY"] == "k"
    assert dict(found) == {**found} == {"PATH": "/bin"}
    assert (len(found), "KEY" in found) == (1, True)


def test_an_answer_counts_for_a_while(tmp_path: Path) -> None:
    found = Secrets(store(tmp_path, "echo k", "KEY"), folder=tmp_path / "run")
    assert [found["KEY"], found["KEY"]] == ["k", "k"]
    assert (tmp_path / "asked").read_text() == "show KEY\n"


@pytest.mark.parametrize("name", ["../KEY", "a/b", "", "KEY.gpg", "KEY\n", ".", "-h"])
def test_only_names_of_variables_are_looked_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "KEY").write_text("k")
    (tmp_path / "run").mkdir()
    found = Secrets(store(tmp_path, "echo k", "KEY"), folder=tmp_path / "run")
    assert name not in found
    assert not (tmp_path / "asked").exists()


def test_a_store_that_fails_gives_nothing(tmp_path: Path) -> None:
    found = Secrets(store(tmp_path, "echo half; exit 2", "KEY"), folder=tmp_path / "run")
    assert found.get("KEY") is None


def test_a_store_that_never_answers_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "PATIENCE", 0.3)
    found = Secrets(store(tmp_path, "sleep 60 & echo $! > pid.txt; wait", "KEY"), folder=tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    before = time.monotonic()
    assert found.get("KEY") is None
    assert time.monotonic() - before < 30  # seconds: half of what it would take by itself
    assert ended(int((tmp_path / "pid.txt").read_text()))


def test_what_commands_a_server_stays_hidden(tmp_path: Path) -> None:
    (tmp_path / "ROOST_AUTH_TOKEN").write_text("t")
    (tmp_path / "KEY").write_text("k")
    outward = Secrets({"ROOST_AUTH_X": "x", "A": "a"}, folder=tmp_path).outward(("ROOST_AUTH_",))
    assert dict(outward) == {"A": "a"}
    assert ("ROOST_AUTH_TOKEN" in outward, outward["KEY"]) == (False, "k")
    assert outward.also(KEY="mine")["KEY"] == "mine"


def test_a_secret_is_bounded_and_may_be_any_bytes(tmp_path: Path) -> None:
    (tmp_path / "LARGE").write_bytes(b"x" * 1_000_000)
    (tmp_path / "BYTES").write_bytes(b"\xffk\r\n")
    found = Secrets({}, folder=tmp_path)
    assert len(found["LARGE"]) == secrets.LARGEST
    assert found["BYTES"] == "\ufffdk"
