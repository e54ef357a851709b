"""Growth is heard of, with and without the system's help."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from keepers.runs import until
from roost.keepers import growth as module
from roost.keepers.growth import Growth

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["watched", "looked at"])
async def growth(request: pytest.FixtureRequest) -> AsyncIterator[Growth]:
    growth = Growth()
    if request.param == "looked at":
        growth.close()  # as if there were no watch to be had
    yield growth
    growth.close()


async def test_each_file_tells_its_own_listener_until_that_is_ended(growth: Growth, tmp_path: Path) -> None:
    heard: list[str] = []
    ends = []
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"")
        ends.append(growth.watch(tmp_path / name, lambda name=name: heard.append(name)))
    (tmp_path / "two").write_bytes(b"more")
    await until(lambda: heard)
    assert set(heard) == {"two"}
    ends[1]()
    heard.clear()
    (tmp_path / "two").write_bytes(b"still more")
    (tmp_path / "one").write_bytes(b"more")
    await until(lambda: heard)
    assert set(heard) == {"one"}


async def test_much_news_is_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHER", 0.05)
    growth, heard = Growth(), []
    path = tmp_path / "busy"
    path.write_bytes(b"")
    growth.watch(path, lambda: heard.append(path.stat().st_size))
    with path.open("ab", buffering=0) as file, anyio.fail_after(20):
        for _ in range(100):
            file.write(b"x")
        await until(lambda: heard)
    assert heard == [100]
    growth.close()
