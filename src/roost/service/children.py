"""What an agent CLI may do from inside its session: start other agents, and hear of them."""

import uuid
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from roost.core.errors import BadValue, Denied, SessionNotFound, TooManySessions
from roost.core.ids import LogId, RunId
from roost.core.principals import Principal
from roost.core.session import Head
from roost.core.status import status
from roost.engine.kin import cancel_below
from roost.engine.results import result
from roost.service.desk import Desk
from roost.service.fleet import Fleet
from roost.service.inputs import Inputs
from roost.service.orders import Orders, Request
from roost.service.results import Results
from roost.service.spawns import Spawns

DEEPEST = 8  # sessions above one that may start others
MOST = 32  # sessions of one that run at the same time
LONGEST_RESULT = 100_000  # characters

_NAMESPACE = uuid.UUID("0d8c2b57-3b0e-4bb4-8b7e-6d1f0c9d8a42")


class Child(Struct, frozen=True, omit_defaults=True):
    """A session that an agent has started, as it is told of it."""

    session_id: str
    provider: str
    status: str  # running, completed, failed
    name: str = ""
    result: str = ""
    error: str = ""
    waits_for_a_person: bool = False


class Children:
    """Every method asks for a caller of the kind `session`."""

    def __init__(self, desk: Desk, fleet: Fleet, spawns: Spawns, results: Results, inputs: Inputs) -> None:
        self._desk = desk
        self._store = desk.store
        self._fleet = fleet
        self._spawns = spawns
        self._results = results
        self._inputs = inputs
        self._orders = Orders(desk, fleet)

    async def admit(self, run: RunId) -> Principal:
        """Who calls, when it is the CLI of this run.

        Raises:
            Denied: the run has ended, or is to end.
        """
        record = await self._store.run(run)
        if record is None or record.ended is not None:
            raise Denied("this run of the agent has ended")
        return self._desk.policy.inside(await self._store.head(record.log))

    async def spawn(self, principal: Principal, asked: Request, key: str) -> Child:
        """Start a session below the caller's; the same `key` again finds the one that it has started.

        Raises:
            TooManySessions: too many run already.
            Denied: it lies too deep, or its folder is not one of the caller's.
            BadValue: something that was asked for can't be.
        """
        return await self._child((await self._spawn(principal, asked, key)), told=False)

    async def _spawn(self, principal: Principal, asked: Request, key: str) -> Head:
        log = LogId(str(uuid.uuid5(_NAMESPACE, f"{principal.session} {key}")))
        with suppress(SessionNotFound):
            return await self._desk.head(principal, log)
        await self._room(principal)
        spawned = await self._spawns.spawn(principal, replace(asked, auto_approve=False), log=log)
        parent = await self._store.head(LogId(principal.session))
        if parent.turn is None or parent.turn.canceled:  # what cancelled it did not know of this one
            await cancel_below(self._store, self._desk.supervisor, principal.session)
        return spawned.head

    async def _room(self, principal: Principal) -> None:
        depth, above = 0, principal.session
        while above and depth <= DEEPEST:
            above = (await self._store.head(LogId(above))).parent
            depth += 1
        if depth > DEEPEST:
            raise Denied(f"agents start agents at most {DEEPEST} deep")
        if sum(head.turn is not None for head in await self._fleet.heads(principal)) >= MOST:
            raise TooManySessions(MOST)

    async def wait(
        self, principal: Principal, names: Sequence[str], *, patience: float, any: bool = False
    ) -> Sequence[Child]:
        """The sessions, once all of them (`any`: one of them) have ended or the patience is over.

        Raises:
            BadValue: there is none, or one that is named is none of the caller's.
        """
        heads = await self._named(principal, names)
        await self._until_ended(principal, heads, patience, any=any)
        return [await self._child(await self._store.head(LogId(head.id))) for head in heads]

    async def collect(self, principal: Principal, names: Sequence[str], *, told: bool = True) -> Sequence[Child]:
        """The sessions as they are now; without `told`, not what they have come to.

        Raises:
            BadValue: there is none, or one that is named is none of the caller's.
        """
        return [await self._child(head, told=told) for head in await self._named(principal, names)]

    async def ask(
        self, principal: Principal, whom: str, asked: Request, key: str, *, patience: float, again: bool = False
    ) -> Child:
        """Give a session of the caller's a message, or start one, and wait for what it comes to.

        A message that may have been given already (`again`) is only waited for.

        Raises:
            BadValue: nobody is called so; what was asked for can't be.
            Whatever `spawn` raises.
        """
        try:
            head = await self._fleet.find(principal, whom)
        except SessionNotFound:
            if not await self._orders.known(whom):
                raise BadValue(f"{whom[:80]!r} is neither a provider nor a session that you have started") from None
            head = await self._spawn(principal, replace(asked, provider=whom), key)
        else:
            if not again:
                await self._inputs.put(principal, head.id, asked.prompt)
        await self._until_ended(principal, [head], patience)
        return await self._child(await self._store.head(LogId(head.id)))

    # -- telling --------------------------------------------------------------------------------

    async def _named(self, principal: Principal, names: Sequence[str]) -> Sequence[Head]:
        if not names and not (own := await self._fleet.heads(principal)):
            raise BadValue("you have started no session yet")
        if not names:
            return list(reversed(own))  # in the order in which they were started
        try:
            return await self._fleet.named(principal, names)
        except SessionNotFound as error:
            raise BadValue(f"you have started no session {error.session!r}") from None

    async def _until_ended(
        self, principal: Principal, heads: Sequence[Head], patience: float, *, any: bool = False
    ) -> None:
        if whole := round(patience):
            await self._results.wait(principal, [head.id for head in heads], timeout=f"{whole}s", any=any)

    async def _child(self, head: Head, *, told: bool = True) -> Child:
        doing = status(head, now=self._desk.makers.clock.now())
        word = "failed" if doing.word == "dead" else "running" if doing.word in ("idle", "unknown") else doing.word
        text = (await result(self._store, head) or "") if told and head.turn is None else ""
        if len(text) > LONGEST_RESULT:
            text = f"{text[:LONGEST_RESULT]}\n[{len(text) - LONGEST_RESULT} characters left out]"
        return Child(head.id, head.provider, word, head.name, text, doing.error, head.waiting)
