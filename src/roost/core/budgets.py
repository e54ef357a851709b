"""What may be spent: which budgets hold for whom, and what has gone of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from roost.core.agents import Team
from roost.core.errors import BadValue
from roost.core.events import Budget, Portion, Spent
from roost.core.ids import LogId, Micros, SessionId
from roost.core.session import Head, Share

Limit = Literal["cost", "tokens", "time"]

DEAREST, MOST, LONGEST = 1e9, 10**15, 10 * 365 * 86_400.0  # dollars, tokens and seconds of a budget at most

LIMITS: Mapping[Limit, str] = {"cost": "max_cost", "tokens": "max_tokens", "time": "max_time"}


# -- which hold ---------------------------------------------------------------------------------


class Held(Struct, frozen=True, omit_defaults=True):
    """A budget that holds for an agent in a session, and what counts against it.

    `key` is its name in the tree; `caps` are its limits as people have raised them, under the name
    that people know it by.
    """

    key: str
    own: Budget
    caps: Budget
    path: str  # where it is written: in a file, or in a session
    session: SessionId = SessionId("")  # whose it is; "" is a file's
    tree: bool = False  # of the session and all below it
    source: str = ""  # of a file's: which one
    agents: frozenset[str] | None = None  # of a file's: those that carry it; None is all


def of_session(head: Head, *, alone: bool = True) -> list[Held]:
    """The budgets that a session has for itself (`alone`) and for its tree."""
    found = []
    if alone and head.budget is not None:
        found.append(_own(head, head.budget, "session"))
    if head.tree_budget is not None:
        found.append(_own(head, head.tree_budget, "tree"))
    return found


def _own(head: Head, budget: Budget, kind: str) -> Held:
    key = f"{kind}:{head.id}"
    raised = next((b for b in head.raised if b.name == key), budget)
    path = "session.budget" if kind == "session" else "session.tree_budget"
    return Held(key, budget, replace(raised, name=kind), path, head.id, tree=kind == "tree")


def of_file(team: Team, source: str, agent: str, heads: Iterable[Head]) -> list[Held]:
    """The budgets of a file that an agent carries, as they were raised anywhere in the tree."""
    carried = team.agent(agent)
    names = dict.fromkeys(["", *(carried.budgets if carried is not None else ())])
    raised = [budget for head in heads for budget in head.raised]
    return [_of_file(team, source, name, raised) for name in names if name in team.budgets]


def _of_file(team: Team, source: str, name: str, raised: Sequence[Budget]) -> Held:
    path, own = f"budgets.{name}" if name else "budget", team.budgets[name]
    key = f"{path}@{source}"
    caps = own
    for higher in (budget for budget in raised if budget.name == key):
        caps = _higher(caps, higher)
    agents = frozenset(a.name for a in team.agents if name in a.budgets) if name else None
    return Held(key, own, replace(caps, name=name or "budget"), path, source=source, agents=agents)


def _higher(one: Budget, other: Budget) -> Budget:
    """The higher limits of both; one that is none stays so."""
    return Budget(
        one.name,
        one.max_cost and max(one.max_cost, other.max_cost),
        one.max_tokens and max(one.max_tokens, other.max_tokens),
        one.max_time and max(one.max_time, other.max_time),
    )


# -- what was spent -----------------------------------------------------------------------------


def spent(held: Held, tree: Mapping[LogId, Head], now: Micros) -> Spent:
    """What has gone of a budget, by the heads of its tree's logs."""
    portions: dict[str, Portion] = {}
    unpriced = False
    for head in _within(held, tree):
        for share in chain(_shares(held, head), _running(held, head, now)):
            portions[share.agent] = _plus(portions.get(share.agent), share)
            unpriced = unpriced or share.unpriced
    taken = tuple(portions.values())
    cost, seconds = math.fsum(p.cost for p in taken), math.fsum(p.seconds for p in taken)
    return Spent(held.caps, cost, sum(p.tokens for p in taken), seconds, unpriced, taken)


def _within(held: Held, tree: Mapping[LogId, Head]) -> Iterable[Head]:
    """The logs whose work counts."""
    if not held.session:
        return tree.values()
    if not held.tree:
        return [head for head in tree.values() if head.id == held.session]
    return [head for head in tree.values() if _below(head, held.session, tree)]


def _below(head: Head | None, session: SessionId, tree: Mapping[LogId, Head]) -> bool:
    """Whether a session is another one, or lies below it."""
    for _ in range(len(tree)):  # a ring of parents is nobody's tree
        if head is None or head.id == session:
            break
        head = tree.get(LogId(head.parent))
    return head is not None and head.id == session


def _shares(held: Held, head: Head) -> Iterable[Share]:
    """The shares that count.  Time of sub-sessions counts by itself only for agents that carry the budget."""
    yield from (share for share in head.shares if _counts(held, share.source, share.agent))
    if held.session and not held.tree:
        return
    for share in head.shares_below:
        if _counts(held, share.source, share.agent):
            yield share if held.agents is not None else replace(share, seconds=0.0)


def _running(held: Held, head: Head, now: Micros) -> Iterable[Share]:
    """The time of turns that are under way."""
    for one in (head, *head.below_all()) if held.agents is not None else (head,):
        turn = one.turn
        if turn is not None and _counts(held, turn.source, turn.agent):
            yield Share(turn.source, turn.agent, seconds=max(0, now - turn.at) / 1e6)


def _counts(held: Held, source: str, agent: str) -> bool:
    if held.source and held.source != source:
        return False
    return held.agents is None or agent in held.agents


def _plus(portion: Portion | None, share: Share) -> Portion:
    was = portion or Portion(share.agent)
    return Portion(share.agent, was.cost + share.cost, was.tokens + share.tokens, was.seconds + share.seconds)


# -- values that people give --------------------------------------------------------------------


def checked(budget: Budget) -> Budget:
    """A budget that a person asks for.

    Raises:
        BadValue: it has no limit, or one that can't be.
    """
    for name, top in zip(LIMITS.values(), (DEAREST, MOST, LONGEST), strict=True):
        value = getattr(budget, name)
        if not 0 <= value <= top:
            raise BadValue(f"{name} must lie between 0 and {top:.0f}, not {value}")
    if not (budget.max_cost or budget.max_tokens or budget.max_time):
        raise BadValue("a budget needs max_cost (US dollars), max_tokens or max_time (seconds, or as 1h30m)")
    return budget
