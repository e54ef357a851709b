"""Jobs at the door: listed, and on a screen as they change."""

import pytest

from docker_agent.test_live import opened
from roost.testing.house import House

pytestmark = pytest.mark.anyio


async def test_what_takes_long_is_listed(house: House) -> None:
    assert (await house.client.get("/api/jobs")).text == "[]\n"
    with house.service.jobs.job("import", "histories of agent CLIs", total=4, unit="sessions") as effort:
        effort.step(3)
        [job] = (await house.client.get("/api/jobs")).json()
    assert job.pop("id")
    assert job.pop("started_at").endswith("Z")
    assert job == {
        "what": "import",
        "title": "histories of agent CLIs",
        "done": 3,
        "total": 4,
        "unit": "sessions",
    }
    assert (await house.client.get("/api/jobs")).json() == []


async def test_how_it_failed_is_listed_for_a_while(house: House) -> None:
    with pytest.raises(TimeoutError), house.service.jobs.job("pull", "org/agent", unit="bytes"):
        raise TimeoutError
    [job] = (await house.client.get("/api/jobs")).json()
    assert job["error"] == "it took too long"
    assert job["ended_at"] >= job["started_at"]


async def test_a_screen_is_told_of_it(house: House) -> None:
    async with opened(house) as line:
        await line.of("hello")
        with house.service.jobs.job("gc", "old sessions are removed", total=2, unit="sessions") as effort:
            item = await line.until(lambda item: item.get("jobs"))
            assert [job["title"] for job in item["jobs"]] == ["old sessions are removed"]
            effort.step()
            await line.until(lambda item: item.get("jobs") and item["jobs"][0]["done"] == 1)
        await line.until(lambda item: "jobs" in item and all(job.get("ended_at") for job in item["jobs"]))
