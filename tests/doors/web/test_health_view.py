"""What the page shows of the server's health, and to whom."""

from pathlib import Path

import pytest
from test_foreign import logged_in

from roost.testing.clock import HandClock
from roost.testing.fakes import FakeTool, answers, call
from roost.testing.house import open_house
from web.browsing import paired
from web.test_notices import ask

pytestmark = pytest.mark.anyio


async def test_its_keeper_sees_all(tmp_path: Path) -> None:
    clock = HandClock()
    how = {"tools": [FakeTool("shell")], "script": answers([call("shell")])}
    async with open_house(tmp_path, token="t", clock=clock, **how) as house, paired(house) as phone:  # type: ignore[arg-type]
        await ask(house)
        await house.session()
        clock.wind(90)
        found = (await phone.ask("GET", "/web/health")).json()
        assert (found["version"], found["uptime"], found["ready"]) == ("1.2.3", 90.0, True)
        assert found["sessions"] == {"total": 2, "running": 1, "waiting": 1}
        assert found["agents"] == {"served": 1, "broken": []}
        assert found["devices"] == 1
        assert found["disks"][0]["free"] > 0
        assert found["sandbox"] == {"kind": "", "trouble": "there is none"}
        assert found["database"] is None  # it is kept in memory


async def test_an_account_sees_what_is_its_own(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, logged_in(house, "ann", tmp_path / "ann") as ann:
        await house.session()
        found = (await ann.get("/web/health")).json()
        assert found["sessions"] == {"total": 0, "running": 0, "waiting": 0}
        assert (found["database"], found["sandbox"], found["disks"]) == (None, None, [])
