"""Sessions that are started for a purpose: spawn, retry, pipe."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from html import escape

import anyio
from msgspec import Struct
from msgspec.structs import replace

from roost.core import events as e
from roost.core.errors import BadValue, NoSandbox, RoostError, SessionNotFound, Unfinished
from roost.core.ids import LogId, SessionId, fresh
from roost.core.messages import Message
from roost.core.orders import Order
from roost.core.principals import Principal
from roost.core.session import Head
from roost.core.unified import AgentOutput
from roost.engine.results import result
from roost.service.desk import Desk
from roost.service.fifos import Fifos
from roost.service.fleet import Fleet
from roost.service.openings import Work
from roost.service.orders import Defaults, Orders, Request
from roost.service.results import Results, until_ended
from roost.service.turns import Turns

LONGEST_TITLE = 60  # characters
SHOWN = 8  # characters of an id that tell a session apart in a prompt
LEAD = "Here is what other sessions have come to:"


class Spawned(Struct, frozen=True):
    """A session that was started, or waits for others first."""

    head: Head
    pid: int  # of its process, or of the server where it has none yet
    log_path: str  # where the output of its processes can be read


class Retried(Struct, frozen=True):
    """A session, and the new one that was asked the same."""

    session: str
    head: Head | None = None
    error: str = ""


class Spawns:
    """Starts sessions, of agent CLIs and of agent files alike."""

    def __init__(
        self,
        desk: Desk,
        fleet: Fleet,
        turns: Turns,
        results: Results,
        fifos: Fifos,
        defaults: Callable[[], Defaults],
    ) -> None:
        self._desk = desk
        self._store = desk.store
        self._fleet = fleet
        self._turns = turns
        self._results = results
        self._fifos = fifos
        self._defaults = defaults
        self._orders = Orders(desk, fleet)

    async def spawn(self, principal: Principal, asked: Request, *, log: LogId | None = None) -> Spawned:
        """Start a session.  Its log (`log`, where that is given), with the prompt in it, is there when this returns.

        Raises:
            BadValue: something that was asked for can't be.
            Denied: a path leads out of the caller's home.
            TooManySessions: as many run as may.
            NoSandbox: it has to be confined, and nothing works here that could.
            AgentBroken, AgentUnreachable: the agent file can't be used.
        """
        order = await self._orders.order(principal, asked, self._defaults())
        return await self._start(principal, order, await self._parent(principal, asked.parent), log)

    async def _parent(self, principal: Principal, name: str) -> Head | None:
        """The session in whose environment the caller runs, if there is such a one."""
        if principal.session:
            return await self._store.head(LogId(principal.session))
        with suppress(SessionNotFound, BadValue):
            return await self._desk.head(principal, self._desk.policy.session_id(name)) if name else None
        return None

    async def _start(
        self, principal: Principal, order: Order, parent: Head | None = None, log: LogId | None = None
    ) -> Spawned:
        log = log or LogId(fresh())
        heir = parent if principal.session else None  # what an agent starts is asked for as it is itself
        owner = self._desk.policy.owner(principal, parent)
        if order.confined or order.sandbox is not None:
            await self._walls()
        await self._desk.capacity.check(owner)
        template = e.Template(
            title=self._title(order),
            working_dir=order.working_dir,
            safety=heir.safety if heir is not None else "autonomous" if order.auto_approve else "",
            permissions=heir.permissions if heir is not None else None,
            max_iterations=order.max_turns,
            owner=owner,
        )
        created = e.SessionCreated(
            template,
            parent=SessionId("") if parent is None else parent.id,
            root=SessionId("") if parent is None else parent.root,
            order=order,
        )
        with anyio.CancelScope(shield=True):  # a session that was made is also started, or gone
            await self._store.put(log, [created])
            try:
                await self._open(principal, log, order)
            except BaseException:
                with suppress(RoostError):
                    await self._store.put(log, [e.DeleteAsked(principal.name)])
                    self._desk.bulkhead.start(self._desk.supervisor.finish, log, name=f"end of {log}")
                raise
        head = await self._store.head(log)
        if order.interactive:
            self._fifos.serve(head)
        run = head.turn.run if head.turn else None
        return Spawned(head, os.getpid() if run is None else run.pid, str(self._fleet.spawn_log(head)))

    async def _walls(self) -> None:
        sandbox = self._desk.makers.sandbox
        trouble = "this server has none" if sandbox is None else await sandbox.trouble()
        if trouble:
            raise NoSandbox(f"the session has to be confined, and there is no sandbox: {trouble}")

    def _title(self, order: Order) -> str:
        """The session's name; of an agent CLI without one, which makes no titles, how its prompt begins."""
        if order.name or order.provider not in self._desk.makers.drivers:
            return order.name
        first, *_ = order.prompt.strip().splitlines() or [""]
        return first[:LONGEST_TITLE]

    async def _open(self, principal: Principal, log: LogId, order: Order) -> None:
        driven = order.provider in self._desk.makers.drivers
        messages = [Message("user", order.prompt)] if order.prompt.strip() else []
        await self._turns.run(
            principal,
            log,
            order.provider,
            messages,
            model="" if driven else order.model,
            detach=True,
            work=Work("interactive" if order.interactive else order.command, order.interactive),
        )

    # -- the same again -------------------------------------------------------------------------

    async def retry(
        self, principal: Principal, names: Sequence[str], *, tag: str = "", failed: bool = False, model: str = ""
    ) -> Sequence[Retried]:
        """Ask the same again, each in a new session; with `failed`, only where it went wrong.

        What can't be retried is told beside the others.

        Raises:
            BadValue: no session is named.
            SessionNotFound: nobody has the tag.
        """
        found: list[Retried] = []
        for name, head in await self._fleet.chosen(principal, names, tag):
            if head is not None and failed and (head.turn is not None or head.outcome in ("", "normal")):
                continue
            try:
                if head is None:
                    raise SessionNotFound(name)
                found.append(Retried(head.id, await self._again(principal, head, model)))
            except RoostError as error:
                found.append(Retried(name, error=error.message))
        return found

    async def _again(self, principal: Principal, head: Head, model: str) -> Head:
        """Replay the order of a session, as far as this caller may give it."""
        order = await self.ordered(head)
        asked = Request(
            prompt=order.prompt,
            provider=order.provider,
            model=model or order.model,
            size=order.size,
            root=order.working_dir,
            add_dirs=order.add_dirs,
            system_prompt=order.system_prompt,
            auto_approve=order.auto_approve,
            max_turns=order.max_turns,
            timeout=order.timeout,
            name=head.name,
            description=head.description,
            tags=head.tags,
            depends_on=await self._left(order.depends_on),
            inject_context=order.inject_context,
            interactive=order.interactive,
            env=order.env,
            files=order.files,
            context=order.context,
            mcp=order.mcp,
            json_schema=order.json_schema,
            worktree=order.worktree,
            sandbox=order.sandbox,
            retried_from=head.id,
            command=order.command,
            roost_tools=order.roost_tools,
        )
        renewed = await self._orders.order(principal, asked, Defaults())
        renewed = replace(renewed, confined=renewed.confined or order.confined)
        parent = await self._parent(principal, head.parent)
        return (await self._start(principal, renewed, parent)).head

    async def _left(self, sessions: Iterable[str]) -> tuple[str, ...]:
        """Those that are still there: what is gone was waited for long ago."""
        left = []
        for session in sessions:
            with suppress(SessionNotFound):
                if not (await self._store.head(LogId(session))).deleted:
                    left.append(session)
        return tuple(left)

    async def ordered(self, head: Head) -> Order:
        """What a session was spawned for; of one that was made elsewhere, what is known of it.

        Raises:
            Unfinished: it has never been asked anything.
        """
        first, *_ = await self._store.page(LogId(head.id), after=0, limit=1)
        if isinstance(first.fact, e.SessionCreated) and first.fact.order is not None:
            return first.fact.order
        for event in await self._store.messages(LogId(head.id)):
            match event.fact:
                case e.MessageWritten(message=message, sub="") if message.role == "user" and message.content.strip():
                    return Order(head.source, message.content, working_dir=head.working_dir, name=head.name)
        raise Unfinished("the session has no prompt that could be tried again")

    # -- out of others --------------------------------------------------------------------------

    async def pipe(self, principal: Principal, names: Sequence[str], asked: Request, *, tag: str = "") -> AgentOutput:
        """Give the results of sessions to a new one, and wait for what it makes of them.

        Raises:
            Unfinished: none of them has a result.
            And whatever `spawn` raises.
        """
        if not asked.prompt.strip():
            raise BadValue("a prompt is required")
        heads = await self._fleet.named(principal, names, tag)
        texts = [(head, text) for head in heads if (text := await result(self._store, head))]
        if not texts:
            raise Unfinished("none of the sessions has a result yet")
        piped = replace(asked, prompt=gathered(texts, asked.prompt), command="pipe")
        spawned = await self.spawn(principal, piped)
        await until_ended(self._desk, LogId(spawned.head.id))
        return await self._results.whole(principal, spawned.head.id)


def gathered(texts: Sequence[tuple[Head, str]], prompt: str) -> str:
    """Results of sessions, each in an element of its own, before a prompt."""
    several = len(texts) > 1
    elements = []
    for number, (head, text) in enumerate(texts, 1):
        index = f' index="{number}"' if several else ""
        elements.append(f'<session-result session="{escape(head.id[:SHOWN])}"{index}>\n{text}\n</session-result>')
    return "\n\n".join([LEAD, *elements, prompt])
