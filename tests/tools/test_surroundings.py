"""Notes that an agent is told of the place where it works."""

from pathlib import Path

import pytest

from roost.tools.surroundings import LocalSurroundings

pytestmark = pytest.mark.anyio


async def test_a_link_out_of_the_working_directory_is_followed_only_where_that_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret")
    (work := tmp_path / "work").mkdir()
    (work / "NOTES.md").symlink_to("../secret")
    (work / "inner").write_text("mine")
    (work / "AGENTS.md").symlink_to("inner")
    around, names = LocalSurroundings(tmp_path / "home"), ("NOTES.md", "AGENTS.md")
    assert await around.prompt_files(str(work), names) == ["a secret", "mine"]
    assert await around.prompt_files(str(work), names, firm=True) == ["mine"]
