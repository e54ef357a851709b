"""Files that go before a prompt: those that were permitted, and nothing that was put in their place."""

import os
from pathlib import Path

import pytest

from roost.core.ids import Micros, ServerId
from roost.core.orders import Order
from roost.engine import briefing
from roost.engine.briefing import brief
from roost.stores.memory import Memory

pytestmark = pytest.mark.anyio


async def told(path: Path) -> str:
    return await brief(
        Memory(lambda: Micros(0), ServerId("one"), lambda _: None), Order("mock", files=(str(path),)), "go"
    )


async def test_a_file_comes_before_the_prompt(tmp_path: Path) -> None:
    (path := tmp_path / "a.txt").write_text("hello")
    assert await told(path) == f'<file path="{path}">\nhello\n</file>\n\ngo'


async def test_a_link_that_has_taken_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret")
    (path := tmp_path / "a.txt").symlink_to("secret")
    (folder := tmp_path / "folder").symlink_to(tmp_path)
    for changed in (path, folder / "secret"):
        text = await told(changed)
        assert "link" in text
        assert "a secret" not in text


async def test_a_pipe_and_a_flood_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in await told(tmp_path / "pipe")
    monkeypatch.setattr(briefing, "LARGEST_FILE", 10)
    (path := tmp_path / "a.txt").write_text("x" * 11)
    assert "larger than 10 bytes" in await told(path)
