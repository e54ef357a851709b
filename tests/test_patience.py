"""Waits that are bounded together: each has its time, and none eats another's cancellation."""

import asyncio

import anyio
import pytest

from roost.patience import Patience

pytestmark = pytest.mark.anyio

NEVER = 3600.0


async def test_what_comes_in_time_is_given_back() -> None:
    with Patience() as patience:
        for value in range(3):
            assert await patience.wait(asyncio.sleep(0, value), NEVER) == value


async def test_what_takes_too_long_is_ended() -> None:
    ended = anyio.Event()

    async def never() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    with Patience() as patience:
        with pytest.raises(TimeoutError):
            await patience.wait(never(), 0.01)
        assert ended.is_set()
        assert await patience.wait(asyncio.sleep(0, "next"), NEVER) == "next"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_shorter_wait_after_a_longer_one_has_its_own_time() -> None:
    with Patience() as patience:
        await patience.wait(asyncio.sleep(0), NEVER)
        with pytest.raises(TimeoutError):
            await patience.wait(anyio.sleep_forever(), 0.01)


async def test_time_between_waits_does_not_count() -> None:
    with Patience() as patience:
        await patience.wait(asyncio.sleep(0), 0.01)
        await anyio.sleep(0.03)
        await patience.wait(anyio.sleep(0.001), NEVER)


async def test_a_cancelled_wait_stays_cancelled() -> None:
    with Patience() as patience:
        with anyio.move_on_after(0.01) as scope:
            await patience.wait(anyio.sleep_forever(), NEVER)
        assert scope.cancelled_caught
        await patience.wait(asyncio.sleep(0), NEVER)
