"""Accounts at the doors: their tokens open both, and what is open closes when they open it no more."""

from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from roost.service.accounts import OPERATOR
from roost.stores.memory import Shelf
from roost.testing.fakes import answers
from roost.testing.house import House, open_house
from roost.wire import tls

pytestmark = pytest.mark.anyio


async def token(house: House, name: str, home: Path) -> str:
    """A new account, logged in."""
    await house.service.accounts.add(OPERATOR, name, "secret", str(home))
    return (await house.service.accounts.login(name, "secret")).token


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def remove(house: House) -> None:
    await house.service.accounts.remove(OPERATOR, "ann")


async def disable(house: House) -> None:
    await house.service.accounts.enable(OPERATOR, "ann", False)


async def change_password(house: House) -> None:
    await house.service.accounts.set_password(OPERATOR, "ann", "other")


async def test_a_token_of_an_account_opens_the_api(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house:
        anns = bearer(await token(house, "ann", tmp_path / "ann"))
        async with httpx2.AsyncClient(verify=tls.trusted(), base_url=house.url, headers=anns) as ann:
            made = (await ann.post("/api/sessions", json={})).json()
            assert (await ann.get(f"/api/sessions/{made['id']}")).status_code == 200
            await remove(house)
            refused = await ann.get(f"/api/sessions/{made['id']}")
            assert (refused.status_code, refused.json()) == (401, {"message": "invalid token"})
        assert (await house.client.get(f"/api/sessions/{made['id']}")).status_code == 200


async def test_a_server_without_a_token_asks_who_you_are_once_there_are_accounts(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        assert (await house.client.get("/api/sessions")).status_code == 200
        anns = bearer(await token(house, "ann", tmp_path / "ann"))
        assert (await house.client.get("/api/sessions")).status_code == 401
        assert (await house.client.get("/health")).status_code == 200
        assert (await house.client.get("/api/sessions", headers=anns)).status_code == 200
        await remove(house)
        assert (await house.client.get("/api/sessions")).status_code == 200


@pytest.mark.parametrize("end", [remove, disable, change_password])
async def test_d9_a_stream_of_an_account_ends_with_it(tmp_path: Path, end: Any) -> None:
    async with open_house(tmp_path, token="t") as house:
        anns = bearer(await token(house, "ann", tmp_path / "ann"))
        bobs = bearer(await token(house, "bob", tmp_path / "bob"))
        session = (await house.client.post("/api/sessions", json={}, headers=anns)).json()["id"]
        other = (await house.client.post("/api/sessions", json={}, headers=bobs)).json()["id"]
        async with house.events(session, headers=anns) as frames, house.events(other, headers=bobs) as bob:
            await frames.more()
            await bob.more()
            await end(house)
            assert await frames.rest() == []  # it ends as an answer does, not as a line that is cut
            await house.client.patch(f"/api/sessions/{other}/title", json={"title": "still here"})
            await bob.more()


async def test_d9_a_neighbour_can_end_it(tmp_path: Path) -> None:
    shelf = Shelf()
    async with (
        open_house(tmp_path, token="t", shelf=shelf) as house,
        open_house(tmp_path, token="t", shelf=shelf) as neighbour,
    ):
        anns = bearer(await token(house, "ann", tmp_path / "ann"))
        session = (await house.client.post("/api/sessions", json={}, headers=anns)).json()["id"]
        async with house.events(session, headers=anns) as frames:
            await frames.more()
            await remove(neighbour)
            assert await frames.rest() == []


async def test_a_run_whose_account_is_gone_is_like_one_whose_client_is(tmp_path: Path) -> None:
    script = answers(["hel", anyio.Event(), "lo"])
    async with open_house(tmp_path, token="t", script=script, grace=0.0) as house:
        anns = bearer(await token(house, "ann", tmp_path / "ann"))
        session = (await house.client.post("/api/sessions", json={}, headers=anns)).json()["id"]
        async with house.running(session, "hi", headers=anns) as frames:
            await frames.until("agent_choice")
            await disable(house)
            await frames.rest()
        head = await house.until(session, lambda head: head.turn is None)
        assert head.turns == 1


async def test_who_waits_for_an_answer_is_told(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house:
        anns = bearer(await token(house, "ann", tmp_path / "ann"))
        refused: list[httpx2.Response] = []

        async def ask() -> None:
            refused.append(await house.client.get("/api/ready?timeout=60s", headers=anns))

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                while not house.service.desk.supervisor.first.statistics().tasks_waiting:
                    await anyio.sleep(0.01)
                await remove(house)
        assert (refused[0].status_code, refused[0].json()) == (401, {"message": "invalid token"})
