"""Sessions as `/api/v1` knows them: found by any of their names, listed, judged, labelled, cancelled, deleted."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import anyio
import msgspec
from msgspec import Struct

from roost.core import events as e
from roost.core.errors import BadValue, SessionBusy, SessionNotFound
from roost.core.ids import LogId, Micros
from roost.core.principals import Principal
from roost.core.session import Head
from roost.core.status import Status, begins, status
from roost.engine.journal import compose
from roost.engine.kin import cancel_below
from roost.ports import RunRecord
from roost.service.desk import Desk
from roost.service.tree import Tree, measure

SHORTEST = 4  # characters of the beginning of an id that stands for it
NAMED = 8  # candidates that are listed where several fit
LONGEST_NAME, LONGEST_DESCRIPTION, LONGEST_TAG, MOST_TAGS = 200, 4000, 100, 64
LONGEST_NOTE = 64 * 1024  # characters
LATEST = "latest"

Level = Literal["debug", "info", "warn", "error"]


class View(Struct, frozen=True):
    """A session and how it is doing."""

    head: Head
    status: Status
    pid: int  # of its newest process, else the server's own
    heartbeat_at: Micros | None = None  # while a turn runs
    waiting_on: tuple[str, ...] = ()  # sessions that have to end first


class Label(Struct, frozen=True, kw_only=True):
    """What to change of a session's name, description and tags; None leaves it."""

    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()  # added
    clear_tags: bool = False  # before that


class Fleet:
    """All sessions that a caller may see, spawned or not."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store

    # -- finding --------------------------------------------------------------------------------

    async def find(self, principal: Principal, name: str) -> Head:
        """A session by its id, by its CLI's own id, by an unambiguous beginning of its id, or the `latest`.

        Raises:
            BadValue: it can't be an id, or several sessions begin like that.
            SessionNotFound: this caller has none of that name.
        """
        self._desk.policy.session_id(name)
        try:
            return await self._desk.head(principal, name)
        except SessionNotFound:
            return self._named(name, await self.heads(principal))

    @staticmethod
    def _named(name: str, heads: Sequence[Head]) -> Head:
        own = [head for head in heads if head.provider_session == name]
        begun = [head for head in heads if head.id.startswith(name)] if len(name) >= SHORTEST else []
        if not own and len(begun) > 1:
            known = ", ".join(head.id for head in begun[:NAMED]) + (", …" if len(begun) > NAMED else "")
            raise BadValue(f"several sessions begin with {name!r}: {known}")
        for found in (own, begun, heads if name == LATEST else ()):
            if found:
                return found[0]
        raise SessionNotFound(name)

    async def heads(self, principal: Principal) -> Sequence[Head]:
        """All that a caller may see, newest first."""
        return self._desk.policy.seen(principal, await self._store.heads())

    async def listing(
        self, principal: Principal, *, tag: str = "", provider: str = "", limit: int | None = None
    ) -> Sequence[Head]:
        """Those with a tag, of a provider, the newest `limit`; newest first."""
        found = [
            head
            for head in await self.heads(principal)
            if (not tag or tagged(head, tag)) and (not provider or provider in (head.provider, head.source))
        ]
        return found if limit is None else found[:limit]

    async def chosen(self, principal: Principal, names: Iterable[str], tag: str = "") -> list[tuple[str, Head | None]]:
        """The sessions that a request names, each once, with the name: first by id, then by tag.

        One that is not there comes without a head.

        Raises:
            BadValue: it names none.
            SessionNotFound: it names no id, and nobody has the tag.
        """
        names = list(names)
        if not names and not tag:
            raise BadValue("name at least one session, or a tag")
        found: dict[str, tuple[str, Head | None]] = {}
        for name in names:
            try:
                head = await self.find(principal, name)
                found.setdefault(head.id, (head.id, head))
            except SessionNotFound:
                found.setdefault(name, (name, None))
        for head in await self.listing(principal, tag=tag) if tag else ():
            found.setdefault(head.id, (head.id, head))
        if not found:
            raise SessionNotFound(f"tag {tag}")
        return list(found.values())

    async def named(self, principal: Principal, names: Iterable[str], tag: str = "") -> list[Head]:
        """The same, where all of them have to be there.

        Raises:
            BadValue, SessionNotFound
        """
        found = []
        for name, head in await self.chosen(principal, names, tag):
            if head is None:
                raise SessionNotFound(name)
            found.append(head)
        return found

    # -- looking --------------------------------------------------------------------------------

    async def view(self, principal: Principal, name: str) -> View:
        """How a session is doing.

        Raises:
            BadValue, SessionNotFound
        """
        head = await self.find(principal, name)
        runs = await self._store.runs(log=LogId(head.id))
        return await self._view(head, runs[0] if runs else None)

    async def views(self, heads: Sequence[Head]) -> Sequence[View]:
        """How several sessions are doing."""
        newest: dict[LogId, RunRecord] = {}
        for record in await self._store.runs() if heads else ():
            newest.setdefault(record.log, record)
        return [await self._view(head, newest.get(LogId(head.id))) for head in heads]

    async def _view(self, head: Head, run: RunRecord | None) -> View:
        now = self._desk.makers.clock.now()
        return View(
            head=head,
            status=status(head, now=now, lost=run is not None and silent(run)),
            pid=os.getpid() if run is None else run.fact.pid,
            heartbeat_at=None if head.turn is None else now,
            waiting_on=await self._waiting_on(head),
        )

    async def _waiting_on(self, head: Head) -> tuple[str, ...]:
        return tuple([other for other in head.depends_on if await self._unfinished(other)]) if begins(head) else ()

    async def _unfinished(self, session: str) -> bool:
        try:
            other = await self._store.head(LogId(session))
        except SessionNotFound:
            return False
        return not other.deleted and (other.turn is not None or not other.outcome)

    async def tree(self, head: Head) -> Tree:
        """A session and all that it has started, in numbers."""
        return await measure(self._store, head)

    async def env(self, principal: Principal, name: str) -> dict[str, str]:
        """What a program may be told of the session that it works for.

        Raises:
            BadValue, SessionNotFound
        """
        head = await self.find(principal, name)
        runs = await self._store.runs(log=LogId(head.id))
        known = {
            "SESSION_ID": head.id,
            "PROVIDER": head.provider or head.source,
            "SESSION_NAME": head.name,
            "PROCESS_ID": runs[0].id if runs else "",
            "MODEL": head.model,
            "ROOT": head.working_dir,
        }
        always = ("SESSION_ID", "PROVIDER")
        return {f"ZAG_{key}": value for key, value in known.items() if value or key in always}

    def spawn_log(self, head: Head) -> Path:
        """Where the output of a session's processes can be read; it is there once one of them has written."""
        makers = self._desk.makers
        if makers.runs is not None:
            return makers.runs.spawn_log(head.id)
        return makers.home / "logs" / "spawn" / f"{head.id}.log"

    # -- changing -------------------------------------------------------------------------------

    async def label(self, principal: Principal, name: str, label: Label) -> Head:
        """Change a session's name, description and tags.

        Raises:
            BadValue: one of them is too long, or there are too many.
            SessionNotFound
        """
        check_label(label.name or "", label.description or "", label.tags)
        log = LogId((await self.find(principal, name)).id)

        def changed(head: Head) -> list[e.Fact]:
            tags = merged(() if label.clear_tags else head.tags, label.tags)
            check_label("", "", tags)
            named = head.name if label.name is None else label.name
            described = head.description if label.description is None else label.description
            return [e.LabelSet(named, described, tags)]

        return (await compose(self._store, log, changed, only_if=_present)).head

    async def note(self, principal: Principal, name: str, message: str, *, level: str = "", data: Any = None) -> None:
        """Put a note into a session's log.  A text in `data` is read as JSON.

        Raises:
            BadValue: an unknown level, too long a message, or data that is no JSON.
            SessionNotFound
        """
        if (level := level or "info") not in ("debug", "info", "warn", "error"):
            raise BadValue(f"invalid level {level[:20]!r}: must be one of debug, info, warn, error")
        if len(message) > LONGEST_NOTE:
            raise BadValue(f"the message is longer than {LONGEST_NOTE} characters")
        if isinstance(data, str):
            try:
                data = msgspec.json.decode(data)
            except (msgspec.DecodeError, RecursionError):
                raise BadValue("data must hold JSON") from None
        head = await self.find(principal, name)
        await self._store.put(LogId(head.id), [e.UserNoted(cast("Level", level), message, data)], only_if=_present)

    async def cancel(self, principal: Principal, name: str, reason: str = "") -> Head:
        """End what a session is at, and drop what waits for it; one that has ended stays as it is.

        What it has started, and still runs, is cancelled with it.

        Raises:
            BadValue, SessionNotFound
        """
        head = await self.find(principal, name)
        try:
            return await self._cancel(principal, head, reason)
        finally:
            await cancel_below(self._store, self._desk.supervisor, head.id, by=principal.name)

    async def _cancel(self, principal: Principal, head: Head, reason: str) -> Head:
        if head.turn is None:
            return head
        log, turn = LogId(head.id), head.turn.id

        def same(now: Head) -> None:
            if now.turn is None or now.turn.id != turn:
                raise SessionBusy(now.id)

        with anyio.CancelScope(shield=True):  # a turn that sleeps has to be awake to end
            try:
                await self._store.put(log, [e.CancelAsked(turn, reason, principal.name)], only_if=same)
            except SessionBusy:  # it has ended meanwhile
                return await self._store.head(log)
            await self._desk.supervisor.wake(log)
        return await self._store.head(log)

    async def delete(self, principal: Principal, name: str) -> Head:
        """Forget a session, and cancel what it has started.

        Raises:
            SessionBusy: it runs.
            BadValue, SessionNotFound
        """
        head = await self.find(principal, name)
        log = LogId(head.id)

        def idle(now: Head) -> None:
            _present(now)
            if now.turn is not None:
                raise SessionBusy(now.id)

        with anyio.CancelScope(shield=True):
            await self._store.put(log, [e.DeleteAsked(principal.name)], only_if=idle)
            self._desk.bulkhead.start(self._desk.supervisor.finish, log, name=f"end of {log}")
        await cancel_below(self._store, self._desk.supervisor, head.id, by=principal.name)
        return head


def tagged(head: Head, tag: str) -> bool:
    """Whether a session has a tag, whatever its case."""
    return tag.casefold() in (own.casefold() for own in head.tags)


def merged(tags: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Tags in order, each once, whatever its case."""
    found = {tag.casefold(): tag for tag in reversed((*tags, *more))}
    return tuple(dict.fromkeys(found[tag.casefold()] for tag in (*tags, *more)))


def check_label(name: str, description: str, tags: Sequence[str]) -> None:
    """Look at the words for a session.

    Raises:
        BadValue: one of them is too long or empty, or there are too many.
    """
    if len(name) > LONGEST_NAME:
        raise BadValue(f"the name is longer than {LONGEST_NAME} characters")
    if len(description) > LONGEST_DESCRIPTION:
        raise BadValue(f"the description is longer than {LONGEST_DESCRIPTION} characters")
    if len(tags) > MOST_TAGS:
        raise BadValue(f"a session has at most {MOST_TAGS} tags")
    if any(not tag.strip() or len(tag) > LONGEST_TAG for tag in tags):
        raise BadValue(f"a tag has between 1 and {LONGEST_TAG} characters")


def silent(run: RunRecord) -> bool:
    """Whether a process went without a word: nobody knows how it ended."""
    ended = run.ended
    return ended is not None and ended.code is None and not ended.signal and not ended.killed


def _present(head: Head) -> None:
    if head.deleted:
        raise SessionNotFound(head.id)
