"""The private HOME of a sandbox: what is copied into it, what is left there, and what is never followed."""

import os
from pathlib import Path

import pytest

from roost.sandbox import homes


@pytest.fixture
def owner(tmp_path: Path) -> Path:
    (home := tmp_path / "owner").mkdir()
    for name in (".tool/credential.json", ".tool/agents/one.md", ".ssh/id", ".settings"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(f"owner's {name}")
    return home


def seen(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


def test_what_is_named_is_copied_and_nothing_else(tmp_path: Path, owner: Path) -> None:
    homes.furnish(tmp_path / "private", (".tool/credential.json", ".settings", ".missing"), owner)
    assert seen(tmp_path / "private") == {".tool/credential.json", ".settings"}
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "private/.settings").stat().st_mode & 0o777 == 0o600


def test_a_folder_is_copied_whole(tmp_path: Path, owner: Path) -> None:
    homes.furnish(tmp_path / "private", (".tool",), owner)
    assert seen(tmp_path / "private") == {".tool/credential.json", ".tool/agents/one.md"}


def test_the_history_of_other_sessions_is_left_out_unless_it_is_named(tmp_path: Path, owner: Path) -> None:
    (owner / ".tool/projects/one").mkdir(parents=True)
    (owner / ".tool/projects/one/said.jsonl").write_text("")
    homes.furnish(tmp_path / "private", (".tool",), owner)
    assert "projects" not in str(seen(tmp_path / "private"))
    homes.furnish(tmp_path / "private", (".tool/projects",), owner)
    assert ".tool/projects/one/said.jsonl" in seen(tmp_path / "private")


def test_what_the_program_has_rewritten_stays_until_the_owner_s_is_newer(tmp_path: Path, owner: Path) -> None:
    private = tmp_path / "private"
    homes.furnish(private, (".settings",), owner)
    (private / ".settings").write_text("rewritten")
    (private / "history").write_text("its own")
    homes.furnish(private, (".settings",), owner)
    assert ((private / ".settings").read_text(), (private / "history").read_text()) == ("rewritten", "its own")
    (owner / ".settings").write_text("a new login")
    later = (private / ".settings").stat().st_mtime_ns + 10**9
    os.utime(owner / ".settings", ns=(later, later))
    homes.furnish(private, (".settings",), owner)
    assert (private / ".settings").read_text() == "a new login"
    assert (owner / ".settings").read_text() == "a new login"


def test_links_that_the_program_left_are_not_followed(tmp_path: Path, owner: Path) -> None:
    (outside := tmp_path / "outside").mkdir()
    (outside / "settings").write_text("untouched")
    (private := tmp_path / "private").mkdir()
    (private / ".settings").symlink_to(outside / "settings")
    (private / ".tool").symlink_to(outside)
    homes.furnish(private, (".settings", ".tool/credential.json"), owner)
    assert (outside / "settings").read_text() == "untouched"
    assert [path.name for path in outside.iterdir()] == ["settings"]
    assert (private / ".settings").read_text() == "owner's .settings"


def test_links_out_of_the_owner_s_home_are_not_copied(tmp_path: Path, owner: Path) -> None:
    (tmp_path / "elsewhere").write_text("secret")
    (owner / ".tool/link").symlink_to(tmp_path / "elsewhere")
    (owner / ".link").symlink_to(tmp_path)
    os.mkfifo(owner / ".tool/pipe")
    homes.furnish(tmp_path / "private", (".tool", ".link", ".link/elsewhere"), owner)
    assert seen(tmp_path / "private") == {".tool/credential.json", ".tool/agents/one.md"}


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", ".tool/../../x", "", "."])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, owner: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no path below a home"):
        homes.furnish(tmp_path / "private", (name,), owner)


def test_large_files_are_left_out(tmp_path: Path, owner: Path) -> None:
    with (owner / ".tool/large").open("wb") as file:
        file.truncate(homes.LARGEST + 1)
    homes.furnish(tmp_path / "private", (".tool",), owner)
    assert "large" not in str(seen(tmp_path / "private"))


def test_homes_of_sessions_that_are_no_more_are_removed(tmp_path: Path) -> None:
    for name in ("gone", "here"):
        (tmp_path / name / ".claude").mkdir(parents=True)
        (tmp_path / name / ".claude" / "secret").write_text("s")
    homes.tidy(tmp_path, {"here"})
    assert [place.name for place in tmp_path.iterdir()] == ["here"]
    homes.tidy(tmp_path / "nowhere", set())
