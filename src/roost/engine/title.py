"""A title for a conversation, asked of the model beside its first turn."""

import logging
from collections.abc import Sequence
from contextlib import aclosing, suppress

import anyio
from msgspec.structs import replace

from roost.core import events as e
from roost.core.errors import BudgetExceeded, RoostError, SessionNotFound
from roost.core.ids import LogId
from roost.core.messages import Message
from roost.core.session import Head
from roost.core.usage import Usage, cost
from roost.core.utf8 import mended
from roost.engine.answer import Gate, settle, used
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


async def give_title(
    store: EventStore, log_id: LogId, links: Sequence[Provider], texts: Sequence[str], gate: Gate
) -> None:
    """Title the session, unless somebody else has or there is no money for it.

    A failure is logged; the next turn tries again.
    """
    spent: list[tuple[Provider, Finished]] = []
    title = ""
    try:
        with anyio.fail_after(PATIENCE):
            title = await _first(links, texts, gate, spent)
    except BudgetExceeded as error:
        log.info("no title for %s: %s", log_id, error, extra={"action": "title_left_out"})
    except (TimeoutError, RoostError) as error:
        log.warning("no title for %s: %s", log_id, error or "it took too long", extra={"action": "title_failed"})
    with suppress(SessionNotFound):
        if spent:
            await compose(store, log_id, lambda head: _facts(head, title, spent), only_if=_present)


async def _first(
    links: Sequence[Provider], texts: Sequence[str], gate: Gate, spent: list[tuple[Provider, Finished]]
) -> str:
    """The title by the first model that has one; "" where none has.  What each of them took goes to `spent`.

    Raises:
        RoostError: the last one failed.
    """
    for place, provider in enumerate(links, 1):
        try:
            title, done = await _ask(provider, texts, gate)
        except RoostError:
            if place == len(links):
                raise
            continue
        spent.append((provider, done))
        if title:
            return title
    return ""


async def _ask(provider: Provider, texts: Sequence[str], gate: Gate) -> tuple[str, Finished]:
    listed = "\n".join(f"{n}. {text}" for n, text in enumerate(texts[-2:], 1))
    request = ModelRequest(
        messages=(Message("system", TASK), Message("user", DEMAND + listed)), max_tokens=LENGTH, thinking=False
    )
    said: list[str] = []
    done = Finished()
    async with gate(provider, request) as leave, aclosing(provider.stream(request)) as pieces:
        async for piece in pieces:
            if isinstance(piece, TextPiece):
                said.append(mended(piece.text))
            elif isinstance(piece, Finished):
                done = piece
        settle(leave, provider, done.usage)
    return first_line("".join(said)), done


def first_line(text: str) -> str:
    """The first line that is not blank, without the quotation marks that models like to add."""
    lines = (line.strip() for line in text.replace("\r", "").split("\n"))
    return next((line.strip("\"'").strip() for line in lines if line.strip("\"' ")), "")


def _facts(head: Head, title: str, spent: Sequence[tuple[Provider, Finished]]) -> list[e.Fact]:
    """The title, where nobody has given one meanwhile, and what it cost in any case."""
    facts: list[e.Fact] = [e.TitleSet(title, "model")] if title and not head.title else []
    total = head.cost
    for provider, done in spent:
        price = cost(done.usage or Usage(), provider.price)
        total += price
        fact = replace(used(head, provider, done, head.agent, price), why="title", finish="", total_cost=total)
        facts.append(replace(fact, input_tokens=head.input_tokens, output_tokens=head.output_tokens))
    return facts


def _present(head: Head) -> None:
    if head.deleted:
        raise SessionNotFound(head.id)
