"""Notices: something waits for a person, and nobody may be looking."""

import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct

from roost import ports
from roost.core.browsers import Subscription
from roost.core.errors import BadValue, Denied, RoostError
from roost.core.ids import LogId, Micros, WaitId, fresh
from roost.core.notices import Notice
from roost.core.principals import Principal
from roost.ports import Delivery, WaitRecord
from roost.service.accounts import OPERATOR
from roost.service.browsers import Browsers
from roost.service.desk import Desk

log = logging.getLogger(__name__)

LEASE = 60.0  # seconds in which a server that is about to tell has that to itself
LOOK = 0.5  # seconds between two looks at what waits
FRESH = 60  # seconds: what had waited for longer when the server started has been told of
UNDER_WAY = 256  # messages; what comes on top is dropped
AT_ONCE = 8  # of them
PAUSES = (2.0, 10.0, 60.0, 300.0)  # seconds before another try
LONGEST_PAUSE = 600.0
SUBSCRIPTIONS = 50  # of one account
LONGEST = 200  # characters of a title
INBOX = "/#/inbox"

_SENTENCES = {
    "approval": "{agent} wants to run {tool}",
    "question": "{agent} asks something",
    "limit": "{agent} has used up its steps",
    "budget": "{agent} has used up its budget",
}

Send = Callable[[], Awaitable[Delivery]]


class Way(Struct, frozen=True):
    """To somebody who is to be told; `where` is an address that may be a secret."""

    name: str
    where: str
    send: Send

    @property
    def digest(self) -> str:
        """What the servers on one store call it."""
        return hashlib.sha256(self.where.encode()).hexdigest()[:32]


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
        self._tellings = tellings
        self._name = fresh()
        self._delay = delay
        self._details = details
        self._started = self._clock.now()
        self._grown = True
        self._told: set[WaitId] = set()
        self._under_way = 0
        self._limiter = anyio.CapacityLimiter(AT_ONCE)

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
                self._start(tasks, record.id, way)

    async def _ways(self, record: WaitRecord, notice: Notice) -> Sequence[Way]:
        """How those are told whom it concerns: the webhook, and the browsers of whoever owns the session."""
        couriers = self._couriers
        assert couriers is not None
        ways = [Way("the webhook", couriers.webhook, lambda: couriers.hook(notice))] if couriers.webhook else []
        if couriers.key:
            known = {"" if self._guests.free else None, *(one.id for one in await self._guests.devices(OPERATOR))}
            for one in await self._browsers.subscriptions():
                if one.account == record.owner and one.browser in known:
                    ways.append(Way("a browser", one.endpoint, self._pushing(one, notice)))
        return ways

    def _pushing(self, to: Subscription, notice: Notice) -> Send:
        async def push() -> Delivery:
            assert self._couriers is not None
            delivery = await self._couriers.push(to, notice)
            if delivery.outcome == "gone":
                await self._browsers.unsubscribe(to.endpoint)
            return delivery

        return push

    def _start(self, tasks: TaskGroup, wait: WaitId, way: Way) -> None:
        if self._under_way >= UNDER_WAY:
            log.warning("%s is not told: too many messages are under way", way.name, extra={"action": "notice_dropped"})
            return
        self._under_way += 1
        tasks.start_soon(self._deliver, wait, way, name=f"telling {way.name}")

    async def _deliver(self, wait: WaitId, way: Way) -> None:
        """Try until it has arrived, nobody waits for the answer any more, or all tries are used up."""
        try:
            for pause in (*PAUSES, None):
                if not await self._mine(wait, way):
                    return
                async with self._limiter:
                    delivery = await way.send()
                if delivery.outcome not in ("done", "gone"):
                    if delivery.outcome == "again" and pause is not None:
                        await self._pause(wait, way, min(max(pause, delivery.after), LONGEST_PAUSE))
                        continue
                    log.warning("%s was not told: %s", way.name, delivery.why, extra={"action": "notice_failed"})
                if self._tellings is not None:
                    await self._tellings.told(wait, way.digest)
                return
        except Exception:
            log.exception("%s was not told", way.name, extra={"action": "notice_failed"})
        finally:
            self._under_way -= 1

    async def _mine(self, wait: WaitId, way: Way) -> bool:
        """Whether it is for this server to tell, once that is settled; False where nobody is to be told any more.

        Where another server has it, that is looked at again when its time is up: it may be gone.
        """
        while (record := await self._desk.store.wait(wait)) is not None and record.open:
            found = await self._claim(wait, way, LEASE)
            if found is None or (found.server == self._name and not found.told):
                return True
            if found.told:
                return False
            await self._clock.sleep(max((found.until - self._clock.now()) / 1_000_000, LOOK))
        return False

    async def _pause(self, wait: WaitId, way: Way, seconds: float) -> None:
        await self._claim(wait, way, seconds + LEASE)
        await self._clock.sleep(seconds)

    async def _claim(self, wait: WaitId, way: Way, seconds: float) -> ports.Telling | None:
        """How it stands now; None where nobody can say, since to be told twice is better than not at all."""
        if self._tellings is None:
            return None
        now = self._clock.now()
        until = Micros(now + round(seconds * 1_000_000))
        try:
            return await self._tellings.claim(wait, way.digest, server=self._name, at=now, until=until)
        except RoostError:
            log.warning("who tells of a wait can't be written down", extra={"action": "telling_failed"})
            return None

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
