"""The tools of `a2a`: one for each skill of an agent elsewhere."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio

from roost.core.agents import ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.messages import Annotations, Result
from roost.ports import Place, Use
from roost.tools.a2a.answer import ASKING
from roost.tools.a2a.card import BadCard, Card, Skill, card, places
from roost.tools.a2a.peer import Peer
from roost.tools.house import Board, House
from roost.tools.reach import Reach, domains
from roost.tools.tool import Kit, Native, Refused, schema, shown, string
from roost.tools.veil import Veil
from roost.tools.web import Request, Web

CATEGORY = "a2a"
LARGEST = 1024 * 1024  # bytes of a card
PATIENCE = 30.0  # seconds for all attempts to find it
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")

_INSTRUCTIONS = """\
{name} is an agent elsewhere. It knows nothing of this conversation: say in a message all that it has to know. It
remembers what was said to it before. Where it asks back, answer by calling the same tool again.
"""


@asynccontextmanager
async def open_a2a(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """The card is read anew at each start."""
    veil = Veil(house.env, place)
    asking = _Asking(spec, place, house, veil)
    url = veil.fill(str(spec.options.get("url") or "")).strip()
    try:
        with anyio.fail_after(PATIENCE):
            found = await _card(url, asking)
    except (Refused, BadCard) as error:
        where = veil.cover(str(spec.options.get("url") or ""))
        raise ToolsetFailed(f"the agent at {where} can't be used: {veil.cover(str(error))}") from None
    except TimeoutError:
        raise ToolsetFailed(f"the agent at {spec.options.get('url')} has not answered within {PATIENCE:g} s") from None
    with house.board(CATEGORY, place) as board:
        talk = _Talk(Peer(found, asking.web(found.url)), board, f"{place.agent} {found.url}", veil)
        prefix = _NO_NAME.sub("_", spec.name or found.name).strip("_") or "agent"
        yield Kit(tuple(_tools(prefix, found, talk)), _INSTRUCTIONS.format(name=found.name), prefix=f"{prefix}_")


class _Asking:
    """Requests to the host that the agent file names, which may be a private one, and to public ones."""

    def __init__(self, spec: ToolsetSpec, place: Place, house: House, veil: Veil) -> None:
        self._private = spec.options.get("allow_private_ips")
        self._own = _host(veil.fill(str(spec.options.get("url") or "")))
        self._headers = veil.headers(spec.options.get("headers") or {})
        self._env = house.env
        self._endpoints = house.endpoints if place.confined else None

    def web(self, url: str) -> Web:
        """For this address.  The headers of the file are for its own host."""
        if _host(url) == self._own:
            private = self._private is not False
            reach = Reach(private=private, allowed=domains([self._own], "url"), endpoints=self._endpoints)
            return Web(reach, self._env, headers=self._headers)
        return Web(Reach(private=bool(self._private), endpoints=self._endpoints), self._env)


def _host(url: str) -> str:
    """Its host.

    Raises:
        ToolsetFailed: it is no http(s) address.
    """
    try:
        parts = urlsplit(url.strip())
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts.hostname
    except ValueError:
        pass
    raise ToolsetFailed(f"a2a: {url[:200]!r} is no http(s) address")


async def _card(url: str, asking: _Asking) -> Card:
    """The first that is found.

    Raises:
        Refused, BadCard: there is none; the message is that of the likeliest place.
    """
    trouble: Exception | None = None
    for place in dict.fromkeys(places(url)):
        try:
            reply = await asking.web(place).ask(Request(place), timeout=10.0, most=LARGEST)
            if reply.status != 200:
                raise Refused(f"no agent card at {place}: HTTP {reply.words}")
            return card(_json(reply.body), url)
        except (Refused, BadCard) as error:
            trouble = trouble if trouble is not None and not isinstance(error, BadCard) else error
    raise trouble or BadCard("no address")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BadCard("the agent card is no JSON") from None


def _tools(prefix: str, found: Card, talk: "_Talk") -> list[Native]:
    """One for each skill; one for an agent that names none."""
    tools: dict[str, Native] = {}
    for skill in found.skills or (Skill("", found.description or f"Talk to {found.name}."),):
        name = f"{prefix}_{_NO_NAME.sub('_', skill.id)}"[:64] if skill.id else prefix[:64]
        tools.setdefault(name, _tool(name, skill, found, talk))
    return list(tools.values())


def _tool(name: str, skill: Skill, found: Card, talk: "_Talk") -> Native:
    async def say(arguments: dict[str, Any], use: Use) -> Result:
        return await talk.say(arguments["message"], use, skill.id)

    return Native(
        name,
        CATEGORY,
        skill.description or found.description,
        schema(("message",), message=string(f"What to say to {found.name}, with all that it has to know")),
        say,
        annotations=Annotations(title=f"{found.name}: {skill.id}" if skill.id else found.name, open_world=True),
        effect="ask",
    )


class _Talk:
    """A conversation with the agent: its context stays, and a task that asks back goes on."""

    def __init__(self, peer: Peer, board: Board, key: str, veil: Veil) -> None:
        self._peer = peer
        self._board = board
        self._key = key
        self._veil = veil

    async def say(self, text: str, use: Use, skill: str) -> Result:
        kept = self._board.of(self._key) or {}
        try:
            answer = await self._peer.say(
                text, use, skill=skill, context=kept.get("context", ""), task=kept.get("task", "")
            )
        except Refused as refusal:
            if kept.get("task"):  # perhaps it is gone: the next message begins a new one
                self._board.put(self._key, {**kept, "task": ""})
            raise Refused(self._veil.cover(str(refusal))) from None
        waits = answer.task if answer.state in ASKING else ""
        meta = self._board.put(self._key, {"context": answer.context, "task": waits})
        return _result(self._veil.cover(answer.text()), answer.state, meta)


def _result(text: str, state: str, meta: dict[str, Any]) -> Result:
    match state:
        case "" | "completed":
            return Result(shown(text), meta=meta)
        case "input-required":
            return Result(f"The agent asks back: {shown(text)}\n(Call this tool again with the answer.)", meta=meta)
        case "auth-required":
            return Result(f"The agent wants a login that it was not given: {shown(text)}", is_error=True, meta=meta)
    return Result(f"The task ended as {state}: {shown(text) or 'without a word'}", is_error=True, meta=meta)
