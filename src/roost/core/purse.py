"""What is reserved of budgets: what a request may cost at most, and whether it may go.

A request may start while what was spent and what is reserved stay below each of its budgets, so a
budget is passed by what one request may cost at most, however many want to go at once.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import Final

import msgspec
from msgspec import Struct

from roost.core import estimates
from roost.core.budgets import LIMITS, Held, Limit
from roost.core.events import Budget, Spent
from roost.core.ids import LogId
from roost.core.messages import Definition, Message
from roost.core.session import Head
from roost.core.usage import Price

OUTPUT: Final = 32_000  # tokens that an answer may have, where nobody says
MARGIN: Final = 4 / 3  # tokens in truth that one of our estimates is taken for
EXACT: Final = 1e-9  # US dollars: sums of floats are no better


class Amount(Struct, frozen=True, omit_defaults=True):
    """Money and tokens."""

    cost: float = 0.0
    tokens: int = 0


# -- what a request may cost --------------------------------------------------------------------


def most(messages: Iterable[Message], tools: Iterable[Definition], output: int, price: Price | None) -> Amount:
    """What a request may take at most; where nobody knows its price, no money is reserved."""
    tokens = sum(map(_of_message, messages)) + sum(map(_of_definition, tools))
    if price is None:
        return Amount(tokens=tokens + output)
    dearest = max(price.input, price.cache_read, price.cache_write)
    return Amount((tokens * dearest + output * price.output) / 1_000_000, tokens + output)


def _of_message(message: Message) -> int:
    texts = [message.reasoning] if message.parts else [message.content, message.reasoning]
    texts += [call.arguments for call in message.calls]
    texts += [text for part in message.parts if isinstance(text := getattr(part, "text", None), str)]
    guess = estimates.of_message(message) + estimates.of_text(message.reasoning)
    return math.ceil(guess * MARGIN) + sum(map(_beyond, texts))


def _beyond(text: str) -> int:
    """The tokens that letters beyond ASCII take besides: about one each, where four of the others make one."""
    return 0 if text.isascii() else (len(text.encode("utf-8", "replace")) - len(text)) // 3


def _of_definition(tool: Definition) -> int:
    text = msgspec.json.encode((tool.name, tool.description, tool.parameters))
    return math.ceil(len(text) / estimates.CHARACTERS * MARGIN)


# -- whether it may go --------------------------------------------------------------------------


class Go(Struct, frozen=True):
    """It may."""


class Later(Struct, frozen=True):
    """What others have reserved stands in the way: some of it will be given back."""


class Breach(Struct, frozen=True):
    """A budget is used up.  `about` names it as it stands: once it is raised, another breach is another one."""

    held: Held
    limit: Limit
    used: float
    most: float
    spent: Spent

    @property
    def about(self) -> str:
        """The budget, its limit and its height."""
        return f"{self.held.key} {self.limit} {self.most:.9g}"

    @property
    def message(self) -> str:
        """What to tell people."""
        name, used, top = _named(self.held), _shown(self.limit, self.used), _shown(self.limit, self.most)
        return f"{name} is used up: {used} of {top} are spent"


@dataclass(eq=False, slots=True)
class Ticket:
    """Leave for one request.  What it has reserved is given back, or becomes what was paid."""

    keys: frozenset[str]  # of the budgets that it counts against
    place: tuple[LogId, str]  # the log and the agent whose UsageAdded will say so
    amount: Amount


@dataclass(eq=False, slots=True)
class Purse:
    """What is reserved, and what was paid and is not in the log yet; the log has the rest."""

    _reserved: list[Ticket] = field(default_factory=list)
    _owed: list[Ticket] = field(default_factory=list)
    _written: dict[tuple[LogId, str], Amount] = field(default_factory=dict)

    def weigh(self, spent: Sequence[tuple[Held, Spent]]) -> Go | Later | Breach:
        """Whether a request that counts against these budgets may go now."""
        sums = [(held, was, self._sum(self._owed, held.key)) for held, was in spent]
        for held, was, owed in sums:
            if (breach := _breach(held, was, owed)) is not None:
                return breach
        for held, was, owed in sums:
            promised = self._sum(self._reserved, held.key)
            whole = Amount(owed.cost + promised.cost, owed.tokens + promised.tokens)
            if promised != Amount() and _breach(held, was, whole) is not None:
                return Later()
        return Go()

    def take(self, keys: Collection[str], place: tuple[LogId, str], amount: Amount) -> Ticket:
        """Reserve."""
        ticket = Ticket(frozenset(keys), place, amount)
        self._reserved.append(ticket)
        return ticket

    def settle(self, ticket: Ticket, paid: Amount) -> None:
        """A request has cost this; the log is yet to say so."""
        if ticket in self._reserved:
            self._reserved.remove(ticket)
            ticket.amount = paid
            if paid != Amount():
                self._owed.append(ticket)

    def drop(self, ticket: Ticket) -> None:
        """Give back what was reserved; what was paid stays."""
        if ticket in self._reserved:
            self._reserved.remove(ticket)

    def saw(self, log: LogId, head: Head) -> None:
        """What the log says by now was paid is owed no more."""
        for agent, amount in _totals(head).items():
            place = (log, agent)
            before = self._written.get(place)
            self._written[place] = amount
            if before is not None:
                self._pay(place, amount.cost - before.cost, amount.tokens - before.tokens)

    def watch(self, log: LogId, head: Head, agent: str) -> None:
        """From here on, what `agent` pays is looked for in the log."""
        self._written.setdefault((log, agent), _totals(head).get(agent, Amount()))

    def forget(self, log: LogId) -> None:
        """Nothing more comes from a log: what it owes is not waited for."""
        self._owed = [ticket for ticket in self._owed if ticket.place[0] != log]
        self._written = {place: amount for place, amount in self._written.items() if place[0] != log}

    def _pay(self, place: tuple[LogId, str], cost: float, tokens: int) -> None:
        for ticket in [ticket for ticket in self._owed if ticket.place == place]:
            was = ticket.amount
            less = Amount(min(was.cost, max(cost, 0.0)), min(was.tokens, max(tokens, 0)))
            cost, tokens = cost - less.cost, tokens - less.tokens
            ticket.amount = Amount(was.cost - less.cost, was.tokens - less.tokens)
            if ticket.amount.cost <= EXACT and not ticket.amount.tokens:
                self._owed.remove(ticket)

    @staticmethod
    def _sum(tickets: Iterable[Ticket], key: str) -> Amount:
        those = [ticket.amount for ticket in tickets if key in ticket.keys]
        return Amount(math.fsum(amount.cost for amount in those), sum(amount.tokens for amount in those))


def _totals(head: Head) -> dict[str, Amount]:
    """What each agent has paid in a log."""
    totals: dict[str, Amount] = {}
    for share in chain(head.shares, head.shares_below):
        was = totals.get(share.agent, Amount())
        totals[share.agent] = Amount(was.cost + share.cost, was.tokens + share.tokens)
    return totals


def _breach(held: Held, was: Spent, more: Amount) -> Breach | None:
    for limit, used, top in _measures(held.caps, was, more):
        if top and used >= top - (EXACT if limit == "cost" else 0):
            return Breach(held, limit, used, top, was)
    return None


def _measures(caps: Budget, was: Spent, more: Amount) -> Iterable[tuple[Limit, float, float]]:
    yield "cost", was.cost + more.cost, caps.max_cost
    yield "tokens", was.tokens + more.tokens, caps.max_tokens
    yield "time", was.seconds, caps.max_time


# -- raising ------------------------------------------------------------------------------------


def raised(breach: Breach, asked: Budget | None = None) -> Budget:
    """The limits with which a budget goes on: as they were asked for, else by the budget's own size again.

    Each limit that is reached is raised so often that it is no more.
    """
    own, caps, was = breach.held.own, breach.held.caps, breach.spent
    used: Mapping[Limit, float] = {"cost": was.cost, "tokens": was.tokens, "time": was.seconds}
    higher = {name: _next(getattr(own, name), getattr(caps, name), used[limit]) for limit, name in LIMITS.items()}
    if asked is not None:
        higher |= {name: value for name, cap in higher.items() if cap and (value := getattr(asked, name))}
    return Budget(
        breach.held.key,
        float(higher["max_cost"]),
        round(higher["max_tokens"]),
        float(higher["max_time"]),
    )


def _next(own: float, cap: float, used: float) -> float:
    if not cap or used < cap - EXACT:
        return cap
    higher = cap + (math.floor((used - cap) / own + EXACT) + 1) * own
    return higher if used < higher - EXACT else higher + own


# -- words ---------------------------------------------------------------------------------------


def _named(held: Held) -> str:
    if held.session:
        return "the budget of the session's tree" if held.tree else "the session's budget"
    return f"the budget {held.caps.name!r}" if held.caps.name != "budget" else "the budget of the agent file"


def _plain(amount: float) -> str:
    """Six digits that say something, however small the number is: never `1e-05`."""
    text = f"{Decimal(f'{amount:.6g}'):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _shown(limit: Limit, amount: float) -> str:
    match limit:
        case "cost":
            return f"{_plain(amount)} US dollars"
        case "tokens":
            return f"{amount:.0f} tokens"
        case "time":
            return f"{amount:.1f} seconds"
