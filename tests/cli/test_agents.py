"""`roost agents`: what it refuses, before any registry is asked and after."""

import socket
from pathlib import Path

import pytest

from cli.there import There

GOOD = "agents: {root: {description: one}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.yaml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("reference", ["", "a b", "./a/b", "https://x.example/a.yaml", "Org/Name:-"])
def test_what_is_no_name_in_a_registry_is_refused(there: There, file: Path, reference: str) -> None:
    for words in (("push", str(file), reference), ("pull", reference)):
        assert "is no name in a registry" in there.run("agents", *words, code=1).stderr


def test_nobody_knows_a_digest_before_the_push(there: There, file: Path) -> None:
    done = there.run("agents", "push", str(file), "org/a@sha256:" + "0" * 64, code=1)
    assert "name a tag" in done.stderr


def test_a_registry_that_is_not_there_is_an_error_in_a_line(there: There, file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    for words in (("push", str(file), f"127.0.0.1:{port}/a/b"), ("pull", f"127.0.0.1:{port}/a/b")):
        done = there.run("agents", *words, code=1)
        assert done.stderr.startswith(f"roost: 127.0.0.1:{port} can't be reached")
        assert done.stdout == ""


def test_nothing_pulled_is_an_empty_list(there: There) -> None:
    assert there.run("agents", "list").stdout == ""
    assert there.run("agents", "list", "--json").stdout.strip() == "[]"


def test_a_file_that_does_not_load_is_not_pushed(there: There, file: Path) -> None:
    file.write_text("agents: {root: {modle: x}}")
    assert "did you mean 'model'" in there.run("agents", "push", str(file), "127.0.0.1:1/a/b", code=1).stderr
    file.write_bytes(b"#" * 3_000_000)
    assert "larger than" in there.run("agents", "push", str(file), "127.0.0.1:1/a/b", code=1).stderr
