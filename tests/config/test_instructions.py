"""Instructions in files of their own: where they may lie, and what is said of those that do not do."""

import os
from pathlib import Path

import pytest

from roost.config.agentfile import load
from roost.config.instructions import LARGEST
from roost.config.sources import open_agents
from roost.core.agents import Team
from roost.core.errors import AgentBroken


def team(folder: Path | None, files: str = "[a.md, sub/b.md]") -> Team:
    text = f"agents: {{root: {{instruction_file: {files}}}}}"
    return load("x", text.encode(), name="x.yaml", env={"WHO": "ada"}, folder=folder)


def refused(folder: Path | None, files: str, words: str) -> None:
    with pytest.raises(AgentBroken) as caught:
        team(folder, files)
    [line] = [line for line in caught.value.message.splitlines() if line.startswith("x.yaml:1:")]
    assert words in line


def test_their_texts_are_the_instruction(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.md").write_text("\ufeffBe brief, ${env.WHO}.\n\n")
    (tmp_path / "sub/b.md").write_text("Ünd kind.")
    loaded = team(tmp_path)
    assert loaded.default.instruction == "Be brief, ada.\n\nÜnd kind."
    assert loaded.files == (str(tmp_path / "a.md"), str(tmp_path / "sub/b.md"))
    assert loaded.config["agents"][0]["instruction_file"] == ["a.md", "sub/b.md"]
    assert team(tmp_path, "a.md").default.instruction == "Be brief, ada."


def test_the_hash_tells_of_a_change(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("one")
    before = team(tmp_path, "a.md").hash
    (tmp_path / "a.md").write_text("two")
    assert team(tmp_path, "a.md").hash != before


@pytest.mark.anyio
async def test_a_change_counts_at_the_next_reading(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("agents: {root: {instruction_file: a.md}}")
    os.utime(file, ns=(1, 1))
    (tmp_path / "a.md").write_text("one")
    agents = open_agents([str(file)], data_dir=str(tmp_path / "data"), env={})
    assert (await agents.team("x")).default.instruction == "one"
    (tmp_path / "a.md").write_text("two")
    assert (await agents.team("x")).default.instruction == "two"


def test_files_that_do_not_do(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    (folder / "inside").mkdir(parents=True)
    (tmp_path / "secret.md").write_text("s")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    (folder / "loop.md").symlink_to("loop.md")
    (folder / "bytes.md").write_bytes(b"\xff\xfe")
    (folder / "large.md").write_bytes(b"x" * (LARGEST + 1))
    os.mkfifo(folder / "pipe.md")
    for files, words in (
        ("../secret.md", "lies outside of the folder"),
        ("/etc/hostname", "lies outside of the folder"),
        ("link.md", "'link.md' lies outside of the folder"),
        ("loop.md", "'loop.md' can't be read"),
        ("bytes.md", "is not UTF-8"),
        ("large.md", "is larger than 1024 KiB"),
        ("pipe.md", "is no file"),
        ("inside", "is no file"),
        ("nowhere.md", "'nowhere.md' is not there"),
        ('"a\\0b"', "can't be read"),
        ("[a/../../secret.md]", "agents.root.instruction_file[0]: 'a/../../secret.md' lies outside"),
    ):
        refused(folder, files, words)


def test_a_file_from_elsewhere_can_not_have_one() -> None:
    refused(None, "a.md", "only an agent file that lies on this machine can have one")
