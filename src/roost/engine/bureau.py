"""Other sessions, as far as a call may deal with them (`ports.Office`).

Agents in the background are sessions of their own, and all that is known of them stands in the
store: so they outlive the call, the turn and the server that have started them.
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

import anyio
from msgspec.structs import replace

from roost.core import events as e
from roost.core.errors import Denied, RoostError, SessionNotFound, SessionNotRunning, ShuttingDown, TooManySessions
from roost.core.history import History
from roost.core.ids import LogId, SessionId, fresh
from roost.core.messages import Message
from roost.core.session import Head
from roost.engine import kin
from roost.engine.assignment import Assignment, assigned
from roost.engine.results import result
from roost.engine.stage import Stage
from roost.ports import Errant, Listing, Task

TITLE = "Background agent task"
RUNNING = 20  # of one session at the same time
TOGETHER = 100  # of all in a tree of sessions
RETAINED = 100  # of those that have ended, the newest are told
DEEPEST = 8  # sessions above one that may start others
LARGEST = 10 << 20  # characters of what one has said
NEVER = "it could not be started"
STOPPED = "stopped by the agent that started it"


class Bureau:
    """What the session of a stage may see and start; one that runs inside a log knows its own errants alone."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._store = stage.makers.store
        self._sessions = stage.root.sessions

    # -- agents in the background ---------------------------------------------------------------

    async def start(self, task: Task) -> SessionId:
        """See `ports.Office`.  Its title is that of all of them."""
        stage = self._stage
        given = await assigned(stage, replace(task, title=TITLE))
        async with stage.root.starting:  # so that those of one answer are counted
            await self._room()
            log = LogId(fresh())
            try:
                with anyio.CancelScope(shield=True):  # a session that was made is also started, or gone
                    await self._begin(log, given)
                    await self._end_if_late(log)
            except ShuttingDown:
                await anyio.sleep_forever()  # the call is lost with this server
        return SessionId(log)

    async def errants(self) -> Sequence[Errant]:
        """See `ports.Office`."""
        heads = await self._started()
        ended = [head for head in heads if head.turn is None]
        forgotten = {head.id for head in ended[: max(len(ended) - RETAINED, 0)]}
        return [await self._errant(head) for head in heads if head.id not in forgotten]

    async def wait(self, sessions: Collection[SessionId], timeout: float) -> Sequence[Errant]:
        """See `ports.Office`."""
        wanted = [head for head in await self._started() if head.id in set(sessions)]
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def alarm() -> None:
                    await self._stage.makers.clock.sleep(timeout)
                    scope.cancel()

                tasks.start_soon(alarm)
                for head in wanted:
                    await self._until_ended(LogId(head.id))
                tasks.cancel_scope.cancel()
        return [errant for errant in await self.errants() if errant.session in {head.id for head in wanted}]

    async def stop(self, session: SessionId) -> None:
        """See `ports.Office`.  What it has started itself is cancelled with it."""
        head = next((head for head in await self._started() if head.id == session), None)
        if head is None:
            raise SessionNotFound(session)
        await self._cancel(head, STOPPED)

    async def _started(self) -> Sequence[Head]:
        """Those that this session has started, the oldest first."""
        return [head for head in reversed(await self._store.heads()) if head.started_by == self._stage.session]

    async def _room(self) -> None:
        """Whether one more may be started.

        Raises:
            TooManySessions, Denied: it may not.
        """
        if sum(head.turn is not None for head in await self._started()) >= RUNNING:
            raise TooManySessions(RUNNING)
        root = self._stage.root.journal.head.root
        tree = [head for head in await self._store.heads() if head.root == root and head.started_by]
        if sum(head.turn is not None for head in tree) >= TOGETHER:
            raise TooManySessions(TOGETHER)
        if await kin.above(self._store, self._stage.root.journal.head) >= DEEPEST:
            raise Denied(f"agents start agents in the background at most {DEEPEST} deep")

    async def _begin(self, log: LogId, given: Assignment) -> None:
        stage, root = self._stage, self._stage.root
        template = replace(given.template, owner=root.journal.head.owner)
        here = SessionId(root.log)
        created = e.SessionCreated(template, parent=here, root=root.journal.head.root, started_by=stage.session)
        opened = replace(given.opened, unattended=True, detached=True)
        await self._store.put(log, [created])
        try:
            await self._sessions.begin(log, [opened, *given.said], headers=stage.touch.headers)
        except BaseException:
            with suppress(RoostError):
                await self._store.put(log, [e.DeleteAsked()])
                await self._sessions.finish(log)
            raise

    async def _end_if_late(self, log: LogId) -> None:
        """What has cancelled the session that starts one, or deleted it, may not know of it yet."""
        head = await self._store.head(self._stage.log)
        if head.deleted or head.turn is None or head.turn.canceled:
            await self._cancel(await self._store.head(log), kin.WHY)

    async def _cancel(self, head: Head, why: str) -> None:
        if head.turn is not None and not head.turn.canceled:
            with suppress(SessionNotFound, SessionNotRunning):
                await kin.cancel(self._store, self._sessions, LogId(head.id), e.CancelAsked(head.turn.id, why))
        await kin.cancel_below(self._store, self._sessions, head.id)

    async def _until_ended(self, log: LogId) -> None:
        with suppress(SessionNotFound):
            while True:
                bell = self._stage.hub.bell(log)
                head = await self._store.head(log)
                if head.turn is None or head.deleted:
                    return
                await bell.wait()

    async def _errant(self, head: Head) -> Errant:
        return Errant(
            SessionId(head.id),
            head.agent,
            _status(head),
            head.created_at,
            head.ended_at if head.turn is None and head.ended_at else None,
            (await self._output(head))[:LARGEST],
        )

    async def _output(self, head: Head) -> str:
        said = await result(self._store, head) or ""
        if head.turn is not None or head.outcome == "normal":
            return said
        trouble = head.error or NEVER
        return f"{said}\n\n{trouble}" if said else trouble

    # -- conversations of the same account ------------------------------------------------------

    async def listing(self) -> Sequence[Listing]:
        """See `ports.Office`."""
        owner = self._stage.root.journal.head.owner
        return [row for row in await self._store.listing() if row.owner == owner]

    async def messages(self, session: SessionId) -> Sequence[Message]:
        """See `ports.Office`."""
        head = await self._store.head(LogId(session))
        if head.deleted or head.parent or head.owner != self._stage.root.journal.head.owner:
            raise SessionNotFound(session)
        history = History(session).extend(await self._store.messages(LogId(session)))
        return _shown(message for _, message in history.messages())


def _status(head: Head) -> str:
    if head.turn is not None:
        return "running"
    return {"normal": "completed", "canceled": "stopped"}.get(head.outcome, "failed")


def _shown(messages: Iterable[Message]) -> Sequence[Message]:
    """What people have seen of a conversation."""
    return [message for message in messages if not message.implicit]
