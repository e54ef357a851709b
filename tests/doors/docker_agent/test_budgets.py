"""Budgets over HTTP: set, shown, used up, raised, taken away."""

from typing import Any

import pytest

from docker_agent.test_sessions import refused
from roost.core import events as e
from roost.core.ids import LogId
from roost.core.usage import Usage
from roost.ports import Finished
from roost.testing.house import House

pytestmark = pytest.mark.anyio


def dear(house: House) -> None:
    """From now on an answer costs 0.05 US dollars."""
    house.provider.output_limit = 5_000
    house.provider.script = lambda _: ["ok", Finished("stop", Usage(0, 5000))]


async def shown(house: House, session: str, *, of: str = "") -> dict[str, Any]:
    answer = await house.client.get(f"/api/sessions/{session}{of}")
    assert answer.status_code == 200, answer.text
    return {key: value for key, value in answer.json().items() if "budget" in key or key == "tree_cost"}


async def test_a_session_is_made_with_budgets_and_shows_them(house: House) -> None:
    dear(house)
    body = {"budget": {"max_cost": 1, "max_tokens": 100_000}, "tree_budget": {"max_time": "1h30m"}}
    made = (await house.client.post("/api/sessions", json=body)).json()
    budgets = {"budget": {"max_cost": 1, "max_tokens": 100_000}, "tree_budget": {"max_time": 5400}}
    assert {key: made[key] for key in budgets} == budgets
    frames = await house.run(made["id"], "hi")
    for of in ("", "/snapshot", "/status"):
        assert await shown(house, made["id"], of=of) == {**budgets, "tree_cost": 0.05}
    (usage,) = [frame.data for frame in frames if frame.type == "budget_usage"]
    alone, tree = usage["budgets"]
    assert (alone["name"], alone["cost"], alone["tokens"], alone["max_cost"]) == ("session", 0.05, 5000, 1)
    assert (tree["name"], tree["max_time_seconds"]) == ("tree", 5400)
    assert [(one["agent_name"], one["cost"], one["tokens"]) for one in alone["per_agent"]] == [("root", 0.05, 5000)]


async def test_without_a_budget_none_is_told_of(house: House) -> None:
    session = await house.session()
    frames = await house.run(session, "hi")
    assert not [frame for frame in frames if frame.type.startswith("budget")]
    assert set(await shown(house, session)) == {"tree_cost"}


async def test_what_is_named_changes_and_null_takes_away(house: House) -> None:
    session = await house.session(budget={"max_cost": 1}, tree_budget={"max_cost": 2})
    path = f"/api/sessions/{session}/budget"
    answer = await house.client.patch(path, json={"tree_budget": {"max_tokens": 10}})
    assert (answer.status_code, answer.text) == (200, "null\n")
    assert await shown(house, session) == {"budget": {"max_cost": 1}, "tree_budget": {"max_tokens": 10}}
    await house.client.patch(path, json={"budget": None})
    assert await shown(house, session) == {"tree_budget": {"max_tokens": 10}}
    await house.client.patch(path, json={"budget": {"max_time": 90.5}, "tree_budget": None, "unknown": 1})
    assert await shown(house, session) == {"budget": {"max_time": 90.5}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "nothing to change"),
        ({"budget": {}}, "a budget needs max_cost"),
        ({"budget": {"max_cost": -1}}, "max_cost must lie between"),
        ({"budget": {"max_tokens": 1.5}}, "invalid budget"),
        ({"budget": 5}, "invalid budget"),
        ({"tree_budget": {"max_time": "soon"}}, "invalid duration"),
        ({"tree_budget": {"max_time": "x" * 5000}}, "invalid duration"),
        ({"tree_budget": {"max_cost": 1e300}}, "max_cost must lie between"),
    ],
)
async def test_a_budget_that_cannot_be_is_refused(house: House, body: dict[str, Any], told: str) -> None:
    session = await house.session(budget={"max_cost": 1})
    status, said = await refused(house, "PATCH", f"/api/sessions/{session}/budget", json=body)
    assert status == 400
    assert told in said
    assert len(said) < 300
    assert await shown(house, session) == {"budget": {"max_cost": 1}}
    if body:
        assert (await house.client.post("/api/sessions", json=body)).status_code == 400


async def test_an_unknown_session_has_none(house: House) -> None:
    status, _ = await refused(house, "PATCH", "/api/sessions/nobody/budget", json={"budget": None})
    assert status == 404


async def test_a_budget_that_is_used_up_waits_and_is_raised(house: House) -> None:
    dear(house)
    session = await house.session(budget={"max_cost": 0.05})
    await house.run(session, "one")
    async with house.running(session, "two") as frames:
        asked = (await frames.until("budget_exceeded")).data
        assert (asked["budget"], asked["limit"], asked["used"], asked["max"]) == ("session", "cost", 0.05, 0.05)
        assert asked["config_path"] == "session.budget"
        (listed,) = (await house.client.get("/api/waits")).json()
        assert (listed["id"], listed["kind"], listed["session_id"]) == (asked["request_id"], "budget", session)
        assert listed["message"] == asked["message"]
        assert listed["metadata"]["config_path"] == "session.budget"
        path = f"/api/waits/{listed['id']}"
        little = {"confirmation": "approve", "budget": {"max_cost": 0.05}}
        status, said = await refused(house, "POST", path, json=little)
        assert (status, said) == (400, "max_cost must be more than the 0.05 that are spent")
        answer = await house.client.post(path, json={"confirmation": "approve", "budget": {"max_cost": 0.5}})
        assert answer.status_code == 200
        assert (await frames.rest())[-1].data["reason"] == "normal"
    assert await shown(house, session) == {"budget": {"max_cost": 0.5}, "tree_cost": 0.1}


async def test_it_is_raised_by_its_own_size_or_stopped(house: House) -> None:
    dear(house)
    session = await house.session(budget={"max_cost": 0.05})
    await house.run(session, "one")
    path = f"/api/sessions/{session}/resume"
    async with house.running(session, "two") as frames:
        await frames.until("budget_exceeded")
        await house.client.post(path, json={"confirmation": "approve"})
        await frames.rest()
    assert (await shown(house, session))["budget"] == {"max_cost": 0.1}
    async with house.running(session, "three") as frames:
        await frames.until("budget_exceeded")
        answer = await house.client.post(path, json={"confirmation": "reject", "budget": {"max_cost": 9}})
        assert answer.status_code == 400
        await house.client.post(path, json={"confirmation": "reject"})
        rest = await frames.rest()
    error = next(frame.data for frame in rest if frame.type == "error")
    assert error["code"] == "budget_exceeded"
    assert error["error"] == "the session's budget is used up: 0.1 US dollars of 0.1 US dollars are spent"
    assert rest[-1].data["reason"] == "error"


async def test_a_budget_goes_with_nothing_else(house: House) -> None:
    session = await house.session(max_iterations=1)
    opened = e.WaitOpened("w", "limit", "root", max_iterations=1)  # type: ignore[arg-type]
    await house.store.put(LogId(session), [opened])
    body = {"confirmation": "approve", "budget": {"max_cost": 1}}
    status, said = await refused(house, "POST", f"/api/sessions/{session}/resume", json=body)
    assert status == 400
    assert "a budget goes with the approval of a budget" in said
