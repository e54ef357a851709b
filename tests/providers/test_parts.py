"""Files that messages name, as they are read for a provider."""

from pathlib import Path

import pytest

from roost.core.messages import File, Message
from roost.providers.parts import load

pytestmark = pytest.mark.anyio


async def test_a_file_that_has_become_a_link_since_it_was_permitted_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret")
    (path := tmp_path / "a.txt").write_text("hello")

    async def read(*, firm: bool) -> bytes | None:
        part = File(str(path), firm=firm)
        return (await load([Message("user", "look", parts=(part,))]))[str(path)].data

    assert (await read(firm=True), await read(firm=False)) == (b"hello", b"hello")
    path.unlink()
    path.symlink_to("secret")
    assert (await read(firm=True), await read(firm=False)) == (None, b"a secret")
