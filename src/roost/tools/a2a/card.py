"""What an agent elsewhere says of itself: its name, its skills, and where it is to be asked."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct

MOST = 100  # skills
_LONGEST = 1000  # characters of a description
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class BadCard(Exception):
    """It is no card, or of an agent that can't be asked; the text says why."""


class Skill(Struct, frozen=True):
    """Something that the agent can do."""

    id: str
    description: str


class Card(Struct, frozen=True):
    """The agent."""

    name: str
    description: str
    url: str
    streams: bool
    skills: tuple[Skill, ...]


def places(url: str) -> list[str]:
    """Where the card of an address may be, the likeliest first."""
    parts = urlsplit(url)
    root = urlunsplit((parts.scheme, parts.netloc, "", "", ""))
    base = url.partition("?")[0].rstrip("/")
    known = [
        f"{place}/.well-known/{name}"
        for name in ("agent-card.json", "agent.json")
        for place in dict.fromkeys((base, root))
    ]
    return [url, *known] if parts.path.endswith(".json") else [*known, url]


def card(data: Any, asked: str) -> Card:
    """A card as it came; `asked` is the address in the agent file.

    Raises:
        BadCard: it is none.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        raise BadCard("this is no agent card")
    capabilities = data.get("capabilities")
    return Card(
        name=data["name"],
        description=str(data.get("description") or "")[:_LONGEST],
        url=_reachable(_endpoint(data), asked),
        streams=isinstance(capabilities, Mapping) and capabilities.get("streaming") is True,
        skills=tuple(_skills(data.get("skills"))),
    )


def _endpoint(data: Mapping[str, Any]) -> str:
    """Where it takes JSON-RPC."""
    more = [data.get("additionalInterfaces"), data.get("supportedInterfaces")]
    offered: list[Mapping[str, Any]] = (
        [{"url": data.get("url"), "transport": data.get("preferredTransport")}] if data.get("url") else []
    )
    offered += [one for listed in more if isinstance(listed, list) for one in listed if isinstance(one, Mapping)]
    kinds = []
    for one in offered:
        kind = str(one.get("transport") or one.get("protocolBinding") or "JSONRPC")
        if kind.upper() == "JSONRPC" and isinstance(one.get("url"), str):
            return str(one["url"])
        kinds.append(kind)
    raise BadCard(f"the agent does not speak JSON-RPC over HTTP (it speaks: {', '.join(kinds) or 'nothing'})")


def _reachable(url: str, asked: str) -> str:
    """The endpoint; `0.0.0.0` and other names of its own machine are what the file calls that."""
    there, here = urlsplit(url), urlsplit(asked)
    if there.hostname == "0.0.0.0" or (there.hostname in _LOOPBACK and here.hostname in _LOOPBACK):  # noqa: S104
        host = f"[{here.hostname}]" if ":" in (here.hostname or "") else str(here.hostname)
        port = f":{there.port}" if there.port else ""
        return urlunsplit(there._replace(netloc=host + port))
    return url


def _skills(listed: Any) -> Iterator[Skill]:
    for one in listed[:MOST] if isinstance(listed, list) else ():
        if isinstance(one, Mapping) and (own := one.get("id") or one.get("name")):
            about = str(one.get("description") or one.get("name") or own)[:_LONGEST]
            examples = [str(text)[:200] for text in one.get("examples") or () if isinstance(text, str)][:5]
            yield Skill(str(own), about + "".join(f"\nFor example: {text}" for text in examples))
