"""Notices: something waits for a person, and nobody may be looking."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import anyio
from anyio.abc import TaskGroup

from roost import ports
from roost.core.browsers import Subscription
from roost.core.errors import BadValue, Denied, RoostError
from roost.core.ids import LogId, Micros, WaitId
from roost.core.notices import Notice
from roost.core.principals import Principal
from roost.ports import Delivery, WaitRecord
from roost.service.accounts import OPERATOR
from roost.service.browsers import Browsers
from roost.service.claims import Claims
from roost.service.desk import Desk

log = logging.getLogger(__name__)

LOOK = 0.5  # seconds between two looks at what waits
FRESH = 60  # seconds: what had waited for longer when the server started has been told of
UNDER_WAY = 256  # messages to one account, or to the webhook; what comes on top is dropped
AT_ONCE = 8  # of them
PAUSES = (2.0, 10.0, 60.0, 300.0)  # seconds before another try
LONGEST_PAUSE = 600.0
SUBSCRIPTIONS = 50  # of one account
LONGEST = 200  # characters of a title
INBOX = "/#/inbox"
HOOK = "webhook"

_SENTENCES = {
    "approval": "{agent} wants to run {tool}",
    "question": "{agent} asks something",
    "limit": "{agent} has used up its steps",
    "budget": "{agent} has used up its budget",
}

Send = Callable[[], Awaitable[Delivery]]


class Lane:
    """The messages under way to one account, or to the webhook: those to others do not wait for them."""

    def __init__(self) -> None:
        self.under_way = 0
        self.limiter = anyio.CapacityLimiter(AT_ONCE)


class Way(NamedTuple):
    """How somebody is told; `lane` is the same for all that goes to the same."""

    name: str
    lane: str
    where: str
    send: Send


class Notices:
    """Tells those who asked to be told.  `place` is the address of the page, once somebody knows it."""

    def __init__(
        self,
        desk: Desk,
        browsers: Browsers,
        couriers: ports.Couriers | None = None,
        tellings: ports.Tellings | None = None,
        *,
        delay: float = 5.0,
        details: bool = False,
        place: str = "",
    ) -> None:
        self.place = place
        self._desk = desk
        self._clock = desk.makers.clock
        self._guests = browsers
        self._browsers = browsers.store
        self._couriers = couriers
        self._claims = Claims(desk.store, desk.makers.clock, tellings)
        self._delay = delay
        self._details = details
        self._started = self._clock.now()
        self._grown = True
        self._told: set[WaitId] = set()
        self._lanes: dict[str, Lane] = {}  # those on which something is under way

    # -- browsers -------------------------------------------------------------------------------

    def push_state(self) -> tuple[bool, str]:
        """Whether browsers can subscribe, and the key that they need for it."""
        key = self._couriers.key if self._couriers is not None else ""
        return bool(key), key

    @property
    def hooked(self) -> bool:
        """Whether a webhook is told."""
        return self._couriers is not None and bool(self._couriers.webhook)

    async def subscribe(self, principal: Principal, browser: str, endpoint: str, public: str, secret: str) -> None:
        """Tell this browser from now on.

        Raises:
            BadValue: push is off, an address or a key can't be, or there are too many already.
            Denied: the caller is a CLI in a session.
        """
        if principal.session:
            raise Denied("a session is told nothing")
        if self._couriers is None or not self._couriers.key:
            raise BadValue("push is off: `push = true` in the table [notify] of serve.toml turns it on")
        new = Subscription(endpoint, browser, _account(principal), public, secret, self._clock.now())
        self._couriers.check(new)
        others = [one for one in await self._browsers.subscriptions() if one.endpoint != endpoint]
        if sum(one.account == new.account for one in others) >= SUBSCRIPTIONS:
            raise BadValue(f"{SUBSCRIPTIONS} browsers are told already: let one of them unsubscribe")
        await self._browsers.subscribe(new)

    async def unsubscribe(self, principal: Principal, endpoint: str) -> None:
        """Tell it no longer; one that is not the caller's stays."""
        for one in await self._browsers.subscriptions():
            if one.endpoint == endpoint and one.account == _account(principal):
                await self._browsers.unsubscribe(endpoint)

    # -- telling --------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Tell of what waits and is not answered soon, for as long as the server runs."""
        if self._couriers is None or not (self._couriers.key or self._couriers.webhook):
            return
        with self._desk.hub.overhear(self._overheard):
            async with anyio.create_task_group() as tasks:
                while not self._desk.hub.closed:
                    await self._look(tasks)
                    await self._clock.sleep(LOOK)
                tasks.cancel_scope.cancel()

    def _overheard(self, log_id: LogId) -> None:
        self._grown = True

    async def _look(self, tasks: TaskGroup) -> None:
        if not self._grown:
            return
        self._grown = False
        try:
            waits = await self._desk.store.waits()
            self._told &= {record.id for record in waits}
            for record in waits:
                await self._weigh(record, tasks)
        except RoostError:
            self._grown = True
            log.exception("what waits can't be looked at", extra={"action": "notices_failed"})

    async def _weigh(self, record: WaitRecord, tasks: TaskGroup) -> None:
        """Tell of a wait, once it has waited long enough."""
        if record.id in self._told:
            return
        if record.opened_at + self._delay * 1_000_000 > self._clock.now():
            self._grown = True  # look again
            return
        self._told.add(record.id)
        if record.opened_at >= self._started - FRESH * 1_000_000:
            notice = await self._notice(record)
            for way in await self._ways(record, notice):
                self._start(tasks, way, record.id)

    async def _ways(self, record: WaitRecord, notice: Notice) -> Sequence[Way]:
        """How those are told whom it concerns: the webhook, and the browsers of whoever owns the session."""
        couriers = self._couriers
        assert couriers is not None
        ways = [Way("the webhook", HOOK, couriers.webhook, lambda: couriers.hook(notice))] if couriers.webhook else []
        if couriers.key:
            told = await self._subscribed(record.owner)
            lane = f"account {record.owner}"
            ways += [Way("a browser", lane, one.endpoint, self._pushing(one, notice)) for one in told]
        return ways

    async def _subscribed(self, account: str) -> Sequence[Subscription]:
        """The browsers of an account that are told, and may still come in."""
        known = {"" if self._guests.free else None, *(one.id for one in await self._guests.devices(OPERATOR))}
        subscriptions = await self._browsers.subscriptions()
        return [one for one in subscriptions if one.account == account and one.browser in known]

    def _pushing(self, to: Subscription, notice: Notice) -> Send:
        couriers, again = self._couriers, False
        assert couriers is not None

        async def push() -> Delivery:
            nonlocal again
            if again and not any(one.endpoint == to.endpoint for one in await self._subscribed(to.account)):
                return Delivery("gone", "it was sent away meanwhile")
            again = True
            delivery = await couriers.push(to, notice)
            if delivery.outcome == "gone":
                await self._browsers.unsubscribe(to.endpoint)
            return delivery

        return push

    def _start(self, tasks: TaskGroup, way: Way, wait: WaitId) -> None:
        lane = self._lanes.setdefault(way.lane, Lane())
        if lane.under_way >= UNDER_WAY:
            log.warning("%s is not told: too many messages are under way", way.name, extra={"action": "notice_dropped"})
            return
        lane.under_way += 1
        tasks.start_soon(self._deliver, way, lane, wait, name=f"telling {way.name}")

    async def _deliver(self, way: Way, lane: Lane, wait: WaitId) -> None:
        """Try until it has arrived, nobody waits for the answer any more, or all tries are used up."""
        try:
            for pause in (*PAUSES, None):
                if not await self._claims.mine(wait, way.where):
                    return
                async with lane.limiter:
                    delivery = await way.send()
                if delivery.outcome == "again" and pause is not None:
                    await self._claims.pause(wait, way.where, min(max(pause, delivery.after), LONGEST_PAUSE))
                    continue
                if delivery.outcome not in ("done", "gone"):
                    log.warning("%s was not told: %s", way.name, delivery.why, extra={"action": "notice_failed"})
                await self._claims.told(wait, way.where)
                return
        except Exception:
            log.exception("%s was not told", way.name, extra={"action": "notice_failed"})
        finally:
            lane.under_way -= 1
            if not lane.under_way:
                self._lanes.pop(way.lane, None)

    async def _notice(self, record: WaitRecord) -> Notice:
        fact = record.fact
        head = await self._desk.store.head(record.log)
        tool = fact.call.name if fact.call is not None else ""
        words = {"agent": fact.agent or "An agent", "tool": tool or "something"}
        return Notice(
            wait=record.id,
            kind=fact.kind,
            session=record.session,
            title=head.title[:LONGEST],
            agent=fact.agent,
            tool=tool,
            text=_SENTENCES[fact.kind].format(**words),
            opened_at=Micros(record.opened_at),
            url=f"{self.place}{INBOX}" if self.place else "",
            message=fact.message if self._details else "",
            arguments=fact.call.arguments if self._details and fact.call is not None else "",
        )


def _account(principal: Principal) -> str:
    return principal.name if principal.confined else ""
