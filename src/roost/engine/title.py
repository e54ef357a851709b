"""A title for a conversation, asked of the model beside its first turn."""

import logging
from collections.abc import Sequence
from contextlib import aclosing

import anyio
from msgspec.structs import replace

from roost.core import events as e
from roost.core.errors import RoostError, SessionNotFound
from roost.core.ids import LogId
from roost.core.messages import Message
from roost.core.session import Head
from roost.core.usage import Usage, cost
from roost.core.utf8 import mended
from roost.engine.answer import used
from roost.engine.journal import compose
from roost.ports import EventStore, Finished, ModelRequest, Provider, TextPiece

log = logging.getLogger(__name__)

PATIENCE = 30.0  # seconds for the whole of it
LENGTH = 20  # tokens
TASK = "You give conversations their titles. You are shown at most two recent messages of a user; answer with one line."
DEMAND = (
    "Write a title of at most 50 characters for a conversation that began with the messages below. "
    "Answer with the title and nothing else: no quotation marks, no line breaks, no formatting.\n\n"
)


class Titled(Exception):
    """Somebody has given the session a title meanwhile."""


async def give_title(store: EventStore, log_id: LogId, provider: Provider, texts: Sequence[str]) -> None:
    """Title the session, unless somebody else has.  A failure is logged; the next turn tries again."""
    try:
        with anyio.fail_after(PATIENCE):
            title, done = await _ask(provider, texts)
        if title:
            await _set(store, log_id, provider, title, done)
    except (Titled, SessionNotFound):
        pass
    except (TimeoutError, RoostError) as error:
        log.warning("no title for %s: %s", log_id, error, extra={"action": "title_failed"})


async def _ask(provider: Provider, texts: Sequence[str]) -> tuple[str, Finished]:
    listed = "\n".join(f"{n}. {text}" for n, text in enumerate(texts[-2:], 1))
    request = ModelRequest(
        messages=(Message("system", TASK), Message("user", DEMAND + listed)), max_tokens=LENGTH, thinking=False
    )
    said: list[str] = []
    done = Finished()
    async with aclosing(provider.stream(request)) as pieces:
        async for piece in pieces:
            if isinstance(piece, TextPiece):
                said.append(mended(piece.text))
            elif isinstance(piece, Finished):
                done = piece
    return first_line("".join(said)), done


def first_line(text: str) -> str:
    """The first line that is not blank, without the quotation marks that models like to add."""
    lines = (line.strip() for line in text.replace("\r", "").split("\n"))
    return next((line.strip("\"'").strip() for line in lines if line.strip("\"' ")), "")


async def _set(store: EventStore, log_id: LogId, provider: Provider, title: str, done: Finished) -> None:
    price = cost(done.usage or Usage(), provider.price)

    def facts(head: Head) -> list[e.Fact]:
        spent = replace(used(head, provider, done, head.agent, price), why="title", finish="")
        return [
            e.TitleSet(title, "model"),
            replace(spent, input_tokens=head.input_tokens, output_tokens=head.output_tokens),
        ]

    await compose(store, log_id, facts, only_if=_untitled)


def _untitled(head: Head) -> None:
    if head.title:
        raise Titled
