"""Answers that are kept, and given again to the same words."""

import os
import stat
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.core.agents import Cache
from roost.engine import cached
from roost.engine.cached import Answers, key

pytestmark = pytest.mark.anyio

MEMORY = Cache()


def test_the_flags_say_which_words_are_the_same() -> None:
    assert key(" Hi There\n", Cache()) == "hi there"
    assert key(" Hi ", Cache(trim_spaces=False)) == " hi "
    assert key(" Hi ", Cache(case_sensitive=True)) == "Hi"
    assert key(" Hi ", Cache(case_sensitive=True, trim_spaces=False)) == " Hi "


@given(st.text(), st.booleans(), st.booleans())
def test_a_key_is_its_own_key(text: str, case: bool, trim: bool) -> None:
    cache = Cache(case_sensitive=case, trim_spaces=trim)
    assert key(key(text, cache), cache) == key(text, cache)


async def test_in_memory_each_agent_of_each_file_has_its_own() -> None:
    answers = Answers()
    await answers.keep(MEMORY, "a.yaml", "root", "Hello", "hi")
    assert await answers.find(MEMORY, "a.yaml", "root", " hello ") == "hi"
    assert await answers.find(MEMORY, "a.yaml", "other", "hello") is None
    assert await answers.find(MEMORY, "b.yaml", "root", "hello") is None
    assert await Answers().find(MEMORY, "a.yaml", "root", "hello") is None
    await answers.keep(MEMORY, "a.yaml", "root", "hello", "hi again")
    assert await answers.find(MEMORY, "a.yaml", "root", "hello") == "hi again"


@pytest.mark.parametrize("filed", [True, False])
async def test_the_oldest_answers_go(filed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "MOST", 3)
    cache, answers = Cache(path=str(tmp_path / "kept") if filed else ""), Answers()
    for n in range(5):
        await answers.keep(cache, "a", "root", f"q{n}", f"a{n}")
    found = [await answers.find(cache, "a", "root", f"q{n}") for n in range(5)]
    assert found == [None, None, "a2", "a3", "a4"]


async def test_nothing_and_far_too_much_are_not_kept() -> None:
    answers = Answers()
    await answers.keep(MEMORY, "a", "root", "q", " ")
    await answers.keep(MEMORY, "a", "root", "q", "x" * (cached.LONGEST + 1))
    assert await answers.find(MEMORY, "a", "root", "q") is None


async def test_a_file_outlives_the_server_and_is_its_owners_alone(tmp_path: Path) -> None:
    cache = Cache(path="deep/down/answers.jsonl")
    await Answers().keep(cache, "a", "root", "Hé", "hi\nthere", folder=str(tmp_path))
    path = tmp_path / "deep/down/answers.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert await Answers().find(cache, "b", "root", "hé", folder=str(tmp_path)) == "hi\nthere"
    assert await Answers().find(cache, "b", "other", "hé", folder=str(tmp_path)) is None


async def test_sessions_that_keep_answers_at_once_lose_none(tmp_path: Path) -> None:
    cache, servers = Cache(path=str(tmp_path / "kept")), [Answers() for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        for n in range(24):
            tasks.start_soon(servers[n % 4].keep, cache, "a", "root", f"q{n}", f"a{n}")
    found = [await servers[0].find(cache, "a", "root", f"q{n}") for n in range(24)]
    assert found == [f"a{n}" for n in range(24)]


async def test_lines_of_others_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(
        b'nonsense\n\xff\xfe\n{"agent": 5}\n{"agent":"root","key":"q","answer":"a"}\n{"agent":"root","key":"q2'
    )
    cache = Cache(path=str(path))
    assert await Answers().find(cache, "a", "root", "q") == "a"
    await Answers().keep(cache, "a", "root", "q2", "a2")
    assert path.read_text().count("\n") == 2


async def test_a_file_grows_to_its_bound_and_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "LARGEST", 4_000)
    cache = Cache(path=str(tmp_path / "kept"))
    for n in range(10):
        await Answers().keep(cache, "a", "root", f"q{n}", "x" * 900)
    assert (tmp_path / "kept").stat().st_size <= 4_000
    assert await Answers().find(cache, "a", "root", "q9") is not None
    assert await Answers().find(cache, "a", "root", "q0") is None


async def test_a_place_that_cant_be_used_is_as_good_as_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "file" / "below"):
        cache = Cache(path=str(path))
        await Answers().keep(cache, "a", "root", "q", "a")
        assert await Answers().find(cache, "a", "root", "q") is None
    assert "kept" in caplog.text
