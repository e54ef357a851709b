"""Who is told that something waits, when, and until when it is tried."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from test_foreign import logged_in

from roost.core.browsers import Subscription
from roost.core.errors import BadValue
from roost.core.notices import Notice
from roost.ports import Delivery
from roost.service.accounts import OPERATOR
from roost.service.claims import LEASE
from roost.service.notices import AT_ONCE, LOOK, PAUSES
from roost.stores.memory import Shelf
from roost.testing.clock import HandClock
from roost.testing.fakes import FakeTool, answers, call
from roost.testing.house import House, open_house
from web.browsing import Browser, paired

pytestmark = pytest.mark.anyio

KEYS = {"p256dh": "point", "auth": "secret"}


class FakeCouriers:
    """`ports.Couriers` that go nowhere."""

    def __init__(self, *, key: str = "key", hooked: bool = True) -> None:
        self.key = key
        self.webhook = "https://chat.example/hook" if hooked else ""
        self.hooks: list[Notice] = []
        self.pushes: list[tuple[str, Notice]] = []
        self.outcomes: list[Delivery] = []

    async def until(self, hooks: int = 0, pushes: int = 0) -> None:
        """Return once the webhook and browsers were told so often, and what comes of it is settled."""
        with anyio.fail_after(10):
            while len(self.hooks) < hooks or len(self.pushes) < pushes:
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()

    def check(self, subscription: Subscription) -> None:
        if not subscription.endpoint.startswith("https://"):
            raise BadValue("the endpoint has to be an https address")

    async def push(self, to: Subscription, notice: Notice) -> Delivery:
        self.pushes.append((to.endpoint, notice))
        return self._outcome()

    async def hook(self, notice: Notice) -> Delivery:
        self.hooks.append(notice)
        return self._outcome()

    def _outcome(self) -> Delivery:
        return self.outcomes.pop(0) if self.outcomes else Delivery("done")


class Deaf(FakeCouriers):
    """The same, with some addresses at which nobody ever answers."""

    def __init__(self, *, deaf: str) -> None:
        super().__init__()
        self.deaf = deaf
        self.stuck = 0

    async def push(self, to: Subscription, notice: Notice) -> Delivery:
        if to.endpoint.startswith(self.deaf):
            self.stuck += 1
            await anyio.sleep_forever()
        return await super().push(to, notice)


@asynccontextmanager
async def asking(tmp_path: Path, couriers: FakeCouriers, **how: Any) -> AsyncIterator[tuple[House, HandClock]]:
    clock = HandClock()
    script = answers([call("shell", arguments='{"cmd":"rm -rf /"}')])
    how = {"token": "t", "couriers": couriers, "clock": clock, "script": script, **how}
    async with open_house(tmp_path, tools=[FakeTool("shell")], **how) as house:
        yield house, clock


async def ask(house: House, client: Any = None) -> tuple[str, str]:
    """Start a turn that waits for a person: its session, and the wait."""
    client = client or house.client
    session = (await client.post("/api/sessions", json={"title": "Tidy up"})).json()["id"]
    run = f"/api/sessions/{session}/agent/crew?detach=true"
    async with client.stream("POST", run, json={"messages": [{"role": "user", "content": "go"}]}) as response:
        assert response.status_code == 200
        head = await house.until(session, lambda head: head.waits)
    return session, head.waits[0].id


async def looked(clock: HandClock) -> None:
    """Return once all that was due by now has been looked at."""
    for _ in range(3):
        await clock.until_asleep(LOOK, LOOK)
        await anyio.wait_all_tasks_blocked()
        clock.wind(LOOK)
    await clock.until_asleep(LOOK, LOOK)
    await anyio.wait_all_tasks_blocked()


async def test_the_webhook_is_told_of_what_is_not_answered_soon(tmp_path: Path) -> None:
    couriers = FakeCouriers(key="")
    async with asking(tmp_path, couriers) as (house, clock):
        session, wait = await ask(house)
        await looked(clock)
        assert couriers.hooks == []
        clock.wind(5)
        await looked(clock)
        (notice,) = couriers.hooks
        assert (notice.wait, notice.kind, notice.session, notice.title) == (wait, "approval", session, "Tidy up")
        assert (notice.agent, notice.tool, notice.text) == ("root", "shell", "root wants to run shell")
        assert notice.url == "https://roost.example/#/inbox"
        assert "rm" not in repr(notice)
        clock.wind(60)
        await looked(clock)
        assert len(couriers.hooks) == 1


async def test_arguments_are_told_where_that_is_wanted(tmp_path: Path) -> None:
    couriers = FakeCouriers()
    async with asking(tmp_path, couriers, details=True) as (house, clock):
        await ask(house)
        clock.wind(6)
        await looked(clock)
        assert couriers.hooks[0].arguments == '{"cmd":"rm -rf /"}'


async def test_what_is_answered_in_time_is_not_told(tmp_path: Path) -> None:
    couriers = FakeCouriers()
    async with asking(tmp_path, couriers) as (house, clock):
        _, wait = await ask(house)
        await looked(clock)
        assert (await house.client.post(f"/api/waits/{wait}", json={"confirmation": "reject"})).status_code == 200
        clock.wind(10)
        await looked(clock)
        assert couriers.hooks == []


async def subscribe(one: Browser, endpoint: str) -> int:
    answer = await one.ask("POST", "/web/push", json={"endpoint": endpoint, "keys": KEYS, "expirationTime": None})
    return answer.status_code


async def test_browsers_that_have_subscribed_are_told(tmp_path: Path) -> None:
    couriers = FakeCouriers(hooked=False)
    async with asking(tmp_path, couriers) as (house, clock), paired(house) as phone, paired(house) as desk:
        assert (await phone.ask("GET", "/web/session")).json()["push"] == {"enabled": True, "key": "key"}
        assert await subscribe(phone, "http://push.example/1") == 400
        assert await subscribe(phone, "") == 400
        assert await subscribe(phone, "https://push.example/1") == 201
        assert await subscribe(phone, "https://push.example/1") == 201
        assert await subscribe(desk, "https://push.example/2") == 201
        gone = await desk.ask("DELETE", "/web/push", json={"endpoint": "https://push.example/2"})
        assert gone.status_code == 200
        await ask(house)
        clock.wind(6)
        await looked(clock)
        assert [endpoint for endpoint, _ in couriers.pushes] == ["https://push.example/1"]


async def test_a_browser_that_was_sent_away_is_told_nothing(tmp_path: Path) -> None:
    couriers = FakeCouriers(hooked=False)
    async with asking(tmp_path, couriers) as (house, clock), paired(house) as phone:
        await subscribe(phone, "https://push.example/1")
        await phone.ask("DELETE", "/web/session")
        await ask(house)
        clock.wind(6)
        await looked(clock)
        assert couriers.pushes == []


async def test_nor_is_one_that_was_sent_away_between_two_tries(tmp_path: Path) -> None:
    couriers = FakeCouriers(hooked=False)
    couriers.outcomes.append(Delivery("again", "HTTP 503"))
    async with asking(tmp_path, couriers) as (house, clock), paired(house) as phone:
        await subscribe(phone, "https://push.example/1")
        await ask(house)
        clock.wind(6)
        await couriers.until(pushes=1)
        await clock.until_asleep(PAUSES[0], PAUSES[0])
        await phone.ask("DELETE", "/web/session")
        clock.wind(PAUSES[0])
        await looked(clock)
        assert len(couriers.pushes) == 1


async def test_browsers_that_never_answer_keep_nobody_else_from_being_told(tmp_path: Path) -> None:
    """Whoever has an account may name push services of his own, and have his agents ask as often as he likes."""
    couriers = Deaf(deaf="https://push.example/deaf")
    async with (
        asking(tmp_path, couriers) as (house, clock),
        logged_in(house, "ann", tmp_path / "ann") as ann,
        paired(house, authorization=ann.headers["authorization"]) as theirs,
        paired(house) as keeper,
    ):
        for number in range(AT_ONCE):
            await subscribe(theirs, f"https://push.example/deaf/{number}")
        await subscribe(keeper, "https://push.example/keeper")
        await ask(house, ann)
        clock.wind(6)
        await couriers.until(1)
        with anyio.fail_after(10):
            while couriers.stuck < AT_ONCE:
                await anyio.lowlevel.checkpoint()
        await ask(house)
        clock.wind(6)
        await couriers.until(hooks=2, pushes=1)
        assert [endpoint for endpoint, _ in couriers.pushes] == ["https://push.example/keeper"]


async def test_a_subscription_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    couriers = FakeCouriers(hooked=False)
    async with asking(tmp_path, couriers) as (house, clock), paired(house) as phone:
        await subscribe(phone, "https://push.example/1")
        couriers.outcomes.append(Delivery("gone", "HTTP 410"))
        await ask(house)
        clock.wind(6)
        await looked(clock)
        assert len(couriers.pushes) == 1
        assert list(await house.store.browsers.subscriptions()) == []


async def test_an_account_is_told_of_its_own(tmp_path: Path) -> None:
    couriers = FakeCouriers(hooked=False)
    async with (
        asking(tmp_path, couriers) as (house, clock),
        logged_in(house, "ann", tmp_path / "ann") as ann,
        logged_in(house, "bob", tmp_path / "bob") as bob,
        paired(house) as keeper,
    ):
        body = {"endpoint": "https://push.example/token", "keys": KEYS}
        assert (await ann.post("/web/push", json=body)).status_code == 400
        async with AsyncExitStack() as stack:
            for name, client in (("ann", ann), ("bob", bob)):
                token = client.headers["authorization"]
                theirs = await stack.enter_async_context(paired(house, authorization=token))
                assert await subscribe(theirs, f"https://push.example/{name}") == 201
        await subscribe(keeper, "https://push.example/keeper")
        await ask(house, ann)
        clock.wind(6)
        await looked(clock)
        assert [endpoint for endpoint, _ in couriers.pushes] == ["https://push.example/ann"]
        await bob.request("DELETE", "/web/push", json={"endpoint": "https://push.example/ann"})
        assert len(await house.store.browsers.subscriptions()) == 3
        await house.service.accounts.remove(OPERATOR, "ann")
        assert len(await house.store.browsers.subscriptions()) == 2


async def test_another_token_makes_strangers_of_those_who_were_told(tmp_path: Path) -> None:
    couriers, shelf = FakeCouriers(hooked=False), Shelf()
    async with asking(tmp_path, couriers, shelf=shelf, token="") as (house, _):
        free = {"endpoint": "https://push.example/free", "keys": KEYS}
        assert (await house.client.post("/web/push", json=free)).status_code == 201
    async with asking(tmp_path, couriers, shelf=shelf) as (house, _), paired(house) as phone:
        await subscribe(phone, "https://push.example/1")
    for token, told in (("t", ["1"]), ("another", []), ("", ["free"])):
        couriers.pushes.clear()
        async with asking(tmp_path, couriers, shelf=shelf, token=token) as (house, clock):
            await ask(house)
            clock.wind(6)
            await looked(clock)
            assert {endpoint for endpoint, _ in couriers.pushes} == {f"https://push.example/{one}" for one in told}


async def test_what_does_not_arrive_is_tried_again_while_it_waits(tmp_path: Path) -> None:
    couriers = FakeCouriers(key="")
    couriers.outcomes += [Delivery("again", "HTTP 503"), Delivery("again", "HTTP 429", 77.0), Delivery("again", "no")]
    async with asking(tmp_path, couriers) as (house, clock):
        _, wait = await ask(house)
        clock.wind(6)
        for tries, pause in ((1, PAUSES[0]), (2, 77.0), (3, PAUSES[2])):
            await couriers.until(tries)
            await clock.until_asleep(pause, pause)
            if tries < 3:
                clock.wind(pause)
        answered = await house.client.post(f"/api/waits/{wait}", json={"confirmation": "reject"})
        assert answered.status_code == 200
        clock.wind(PAUSES[2])
        await looked(clock)
        assert len(couriers.hooks) == 3


async def test_what_is_refused_is_not_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    couriers = FakeCouriers(key="")
    couriers.outcomes.append(Delivery("refused", "HTTP 400"))
    async with asking(tmp_path, couriers) as (house, clock):
        await ask(house)
        clock.wind(6)
        await looked(clock)
        assert max(clock.asleep) < 3600 + 1
        clock.wind(1000)
        await looked(clock)
        assert len(couriers.hooks) == 1
    assert "the webhook was not told: HTTP 400" in caplog.text


async def test_without_settings_nobody_can_subscribe(tmp_path: Path) -> None:
    async with open_house(tmp_path, token="t") as house, paired(house) as phone:
        refused = await phone.ask("POST", "/web/push", json={"endpoint": "https://push.example", "keys": KEYS})
        assert (refused.status_code, refused.json()["code"]) == (400, "bad_value")
        assert "[notify]" in refused.json()["message"]
        assert (await phone.ask("GET", "/web/session")).json()["push"] == {"enabled": False, "key": ""}


# -- several servers on one store ---------------------------------------------------------------


@asynccontextmanager
async def two(tmp_path: Path, *couriers: FakeCouriers) -> AsyncIterator[tuple[House, HandClock]]:
    """A server that plays, and one beside it that only looks on."""
    shelf, clock = Shelf(), HandClock()
    async with (
        asking(tmp_path / "a", couriers[0], shelf=shelf, clock=clock) as (house, _),
        asking(tmp_path / "b", couriers[1], shelf=shelf, clock=clock),
    ):
        yield house, clock


async def test_of_two_servers_one_tells(tmp_path: Path) -> None:
    one, other = FakeCouriers(key=""), FakeCouriers(key="")
    async with two(tmp_path, one, other) as (house, clock):
        await ask(house)
        clock.wind(6)
        await looked(clock)
        assert len(one.hooks + other.hooks) == 1
        clock.wind(10 * LEASE)
        await looked(clock)
        assert len(one.hooks + other.hooks) == 1


async def test_two_webhooks_are_both_told(tmp_path: Path) -> None:
    one, other = FakeCouriers(key=""), FakeCouriers(key="")
    other.webhook = "https://elsewhere.example/hook"
    async with two(tmp_path, one, other) as (house, clock):
        await ask(house)
        clock.wind(6)
        await looked(clock)
        assert (len(one.hooks), len(other.hooks)) == (1, 1)


async def test_what_a_server_that_is_gone_wanted_to_tell_another_tells(tmp_path: Path) -> None:
    class Lost(FakeCouriers):
        """Whose server goes before it arrives."""

        async def hook(self, notice: Notice) -> Delivery:
            await super().hook(notice)
            return await anyio.sleep_forever()  # type: ignore[func-returns-value]

    shelf, clock, one, other = Shelf(), HandClock(), Lost(key=""), FakeCouriers(key="")
    async with AsyncExitStack() as stack:
        first = asking(tmp_path / "a", one, shelf=shelf, clock=clock)
        house, _ = await first.__aenter__()
        _, wait = await ask(house)
        clock.wind(6)
        await one.until(1)
        await first.__aexit__(None, None, None)
        await stack.enter_async_context(asking(tmp_path / "b", other, shelf=shelf, clock=clock))
        await looked(clock)
        assert other.hooks == []
        clock.wind(LEASE)
        await other.until(1)
        assert other.hooks[0].wait == wait
