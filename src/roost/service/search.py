"""Text in logs: what was said, and what tools were given and gave back."""

import json
import re
import sys
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime

import anyio
from msgspec import Struct
from msgspec.structs import replace

from roost.core import events as e
from roost.core import toolkinds
from roost.core.errors import BadValue
from roost.core.ids import LogId, Micros
from roost.core.principals import Principal
from roost.core.session import Head
from roost.service.desk import Desk
from roost.service.fleet import Fleet

PAGE = 1000
MOST = 1000  # matches that are given where no limit was
AROUND = 100  # characters on each side of a hit
LONGEST_QUERY = 2000  # characters
PATIENCE = 2.0  # seconds that a regular expression gets for a batch of texts
BATCH = 1 << 20  # characters of texts that are looked through at once
CUT = "[...]"

_AGO = re.compile(r"([0-9]{1,6})([hdwm])")
_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "m": 30 * 24}

SEEKER = """
import json, re, sys
query, flags, texts = json.load(sys.stdin)
try:
    seek = re.compile(query, flags).search
except (re.error, OverflowError, RecursionError) as error:
    json.dump(str(error), sys.stdout)
else:
    json.dump([found.span() if (found := seek(text)) else None for text in texts], sys.stdout)
"""
"""Looks for an expression in a process of its own, which can be ended when it takes too long.

It is compiled there too: that alone may take seconds.
"""


class Query(Struct, frozen=True, kw_only=True):
    """What to look for; "" leaves a filter out."""

    text: str = ""
    regex: bool = False
    case_sensitive: bool = False
    provider: str = ""
    role: str = ""
    tool: str = ""  # a part of its name
    tool_kind: str = ""
    start: str = ""  # a moment, a day, or how long ago
    end: str = ""
    session: str = ""  # the beginning of its id
    tag: str = ""
    limit: int | None = None


class Match(Struct, frozen=True):
    """An event that fits, and the words around the hit."""

    head: Head
    event: e.Event
    snippet: str


class Spoken(Struct, frozen=True):
    """An event with what can be searched of it."""

    event: e.Event
    text: str
    role: str = ""
    tool: str = ""


class Search:
    """Looks through the logs that a caller may see, the oldest session first."""

    def __init__(self, desk: Desk, fleet: Fleet) -> None:
        self._desk = desk
        self._store = desk.store
        self._fleet = fleet

    async def matches(self, principal: Principal, query: Query) -> Sequence[Match]:
        """The events that fit, at most `limit`.

        Raises:
            BadValue: a filter that can't be, or an expression that takes too long.
        """
        query = _checked(query)
        if query.regex:
            await sought(query.text, 0, ())
        now = self._desk.makers.clock.now()
        start, end = moment(query.start, now), moment(query.end, now)
        most = MOST if query.limit is None else min(query.limit, MOST)
        found: list[Match] = []
        for head in reversed(await self._fleet.listing(principal, tag=query.tag, provider=query.provider)):
            if len(found) >= most:
                break
            if not head.id.startswith(query.session) or (start is not None and head.active_at < start):
                continue
            async with aclosing(self._spoken(head, query, start, end)) as batches:
                async for batch in batches:
                    spans = await self._spans(query, [spoken.text for spoken in batch])
                    found += [
                        Match(head, spoken.event, snippet(spoken.text, span))
                        for spoken, span in zip(batch, spans, strict=True)
                        if span is not None
                    ]
                    if len(found) >= most:
                        break
        return found[:most]

    async def _spoken(
        self, head: Head, query: Query, start: Micros | None, end: Micros | None
    ) -> AsyncGenerator[list[Spoken], None]:
        """What a log has to search in, batch by batch."""
        after, batch, size = 0, list[Spoken](), 0
        while page := await self._store.page(LogId(head.id), after=after, limit=PAGE):
            after = page[-1].seq
            for spoken in _within(page, query, start, end):
                batch.append(spoken)
                size += len(spoken.text)
                if size > BATCH:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    async def _spans(self, query: Query, texts: Sequence[str]) -> Sequence[tuple[int, int] | None]:
        """Where each text has what is looked for."""
        if not query.text:
            return [(0, 0)] * len(texts)
        if query.regex:
            return await sought(query.text, 0 if query.case_sensitive else re.IGNORECASE, texts)
        wanted = query.text if query.case_sensitive else query.text.casefold()
        places = [(text if query.case_sensitive else text.casefold()).find(wanted) for text in texts]
        return [None if place < 0 else (place, place + len(wanted)) for place in places]


async def sought(expression: str, flags: int, texts: Sequence[str]) -> Sequence[tuple[int, int] | None]:
    """Where each text has the first hit of a regular expression.

    Raises:
        BadValue: it is none, or takes too long.
    """
    asked = json.dumps([expression, int(flags), list(texts)]).encode()
    with anyio.move_on_after(PATIENCE):
        done = await anyio.run_process([sys.executable, "-I", "-S", "-c", SEEKER], input=asked, env={}, check=False)
        if done.returncode == 0:
            found = json.loads(done.stdout)
            if isinstance(found, str):
                raise BadValue(f"invalid regular expression: {found}")
            return [None if span is None else (span[0], span[1]) for span in found]
    raise BadValue("the regular expression takes too long")


def _checked(query: Query) -> Query:
    """The query, once its filters are known to be possible."""
    if len(query.text) > LONGEST_QUERY:
        raise BadValue(f"the query is longer than {LONGEST_QUERY} characters")
    if query.limit is not None and query.limit < 0:
        raise BadValue("the limit must not be negative")
    if query.role not in ("", "user", "assistant"):
        raise BadValue(f"invalid role {query.role[:20]!r}: must be user or assistant")
    kind = kinds().get(query.tool_kind.lower().replace("_", ""), "")
    if query.tool_kind and not kind:
        raise BadValue(f"invalid tool_kind {query.tool_kind[:20]!r}: must be one of {', '.join(KINDS)}")
    return replace(query, tool_kind=kind)


KINDS = ("shell", "file_read", "file_write", "file_edit", "search", "sub_agent", "web", "notebook", "other")


def kinds() -> dict[str, str]:
    """The kinds of tools under all the names that clients have for them."""
    short = {"read": "file_read", "write": "file_write", "edit": "file_edit", "agent": "sub_agent"}
    return {kind.replace("_", ""): kind for kind in KINDS} | short


def moment(text: str, now: Micros) -> Micros | None:
    """A moment: RFC 3339, a day (its beginning, UTC), or a number of hours, days, weeks or months ago.

    Raises:
        BadValue: it is something else.
    """
    if not (text := text.strip()):
        return None
    if ago := _AGO.fullmatch(text):
        return Micros(max(0, now - int(ago[1]) * _HOURS[ago[2]] * 3_600_000_000))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadValue(f"invalid moment {text[:40]!r}: write 2026-05-16, 2026-05-16T09:12:00Z, 12h, 7d or 2w") from None
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    return Micros(int(aware.timestamp() * 1e6))


def _within(events: Iterable[e.Event], query: Query, start: Micros | None, end: Micros | None) -> Iterator[Spoken]:
    for event in events:
        if (start is not None and event.at < start) or (end is not None and event.at > end):
            continue
        spoken = spoken_in(event)
        if spoken is not None and _wanted(spoken, query):
            yield spoken


def _wanted(spoken: Spoken, query: Query) -> bool:
    """Whether it says something, and is of the role and the tool that are asked for."""
    if not spoken.text or (query.role and spoken.role != query.role):
        return False
    if not (query.tool or query.tool_kind):
        return True
    if not spoken.tool or query.tool.casefold() not in spoken.tool.casefold():
        return False
    return not query.tool_kind or toolkinds.kind(spoken.tool) == query.tool_kind


def spoken_in(event: e.Event) -> Spoken | None:
    """What of an event can be searched; None where there is nothing."""
    match event.fact:
        case e.MessageWritten(message=message) | e.MessageTaken(message=message) if message.role == "user":
            return Spoken(event, message.content, "user")
        case e.MessageAdded(message=message) if message is not None and message.role == "assistant":
            return Spoken(event, "\n".join(part for part in (message.reasoning, message.content) if part), "assistant")
        case e.ToolCalled(call=call):
            return Spoken(event, f"{call.name} {call.arguments}", tool=call.name)
        case e.ToolReturned(call=call, result=result):
            return Spoken(event, result.output, tool=call.name)
        case e.ResultSet(result=text):
            return Spoken(event, text)
        case e.UserNoted(message=text) | e.StatusShown(message=text) | e.ErrorMet(message=text):
            return Spoken(event, text)
        case e.StderrAdded(text=text):
            return Spoken(event, text)
        case _:
            return None


def snippet(text: str, span: tuple[int, int]) -> str:
    """The words around a hit, in one line."""
    start, end = max(0, span[0] - AROUND), min(len(text), span[0] + AROUND)
    cut = " ".join(text[start:end].split())
    return f"{CUT if start else ''}{cut}{CUT if end < len(text) else ''}"
