"""Budgets as plain rules: which hold, what was spent, what a request may cost, and whether it may go."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from roost.core import budgets
from roost.core import events as e
from roost.core.agents import Agent, Team
from roost.core.budgets import Held
from roost.core.errors import BadValue
from roost.core.ids import LogId, Micros, SessionId, TurnId, WaitId
from roost.core.messages import Definition, File, Image, Message, Text, ToolCall
from roost.core.purse import Amount, Breach, Go, Later, Purse, Ticket, most, raised
from roost.core.session import Head, fold
from roost.core.usage import Price, Usage

LOG = LogId("log")
PRICE = Price(2.0, 10.0, 1.0, 3.0)
AGENTS = 64


def head_of(*facts: e.Fact, log: str = LOG, seconds: float = 1.0, **template: Any) -> Head:
    """A session whose facts are so many seconds apart."""
    born = e.SessionCreated(e.Template(**template))
    step = round(seconds * 1e6)
    return fold(e.Event(LogId(log), n, Micros(n * step), fact) for n, fact in enumerate((born, *facts), 1))


def opened(agent: str = "root", turn: str = "t1", sub: str = "", source: str = "crew") -> e.TurnOpened:
    return e.TurnOpened(TurnId(turn), source=source, agent=agent, working_dir="/", sub=SessionId(sub))


def used(cost: float, tokens: int = 0, *, agent: str = "root", sub: str = "", **more: Any) -> e.UsageAdded:
    return e.UsageAdded(Usage(tokens), "m", agent, cost, 0, 0, 0, sub=SessionId(sub), **more)


def ended(agent: str = "root", turn: str = "t1", sub: str = "") -> e.TurnEnded:
    return e.TurnEnded(TurnId(turn), "normal", agent, sub=SessionId(sub))


def tree(*heads: Head) -> dict[LogId, Head]:
    return {LogId(head.id): head for head in heads}


def session_budget(head: Head) -> Held:
    (held,) = budgets.of_session(head)
    return held


# -- the promise --------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_crowd_passes_a_budget_by_one_request_at_most(data: st.DataObject) -> None:
    """64 sub-agents, one budget of 1 USD: any costs, any order of starts, answers and writes."""
    calls = st.tuples(st.floats(0.001, 0.3), st.floats(0, 1))  # what is reserved, and the share of it that it costs
    plans = data.draw(st.lists(st.lists(calls, max_size=3), min_size=AGENTS, max_size=AGENTS))
    order = data.draw(st.randoms(use_true_random=False))
    dearest = max((reserved for plan in plans for reserved, _ in plan), default=0.0)
    crowd = _Crowd(plans)
    while crowd.steps():
        order.choice(crowd.steps())()
        assert crowd.taken() <= 1.0 + dearest + 1e-9
    assert crowd.paid <= 1.0 + dearest + 1e-9
    left = sum(map(len, crowd.plans))
    assert left == 0 or crowd.paid >= 1.0 - 1e-9  # nobody is kept waiting but by the budget


class _Crowd:
    """Agents that want to ask a model, and a log that says what they have paid."""

    def __init__(self, plans: list[list[tuple[float, float]]]) -> None:
        self.plans = plans
        self.paid = 0.0
        self._head = head_of(opened(), budget=e.Budget(max_cost=1.0))
        self._purse = Purse()
        self._asking: dict[int, Ticket] = {}
        self._answered: dict[int, float] = {}

    def steps(self) -> Sequence[Any]:
        """What may happen next."""
        held, was = self._spent()
        go = isinstance(self._purse.weigh([(held, was)]), Go)
        idle = [n for n, plan in enumerate(self.plans) if plan and n not in self._asking and n not in self._answered]
        return [
            *([lambda n=n: self._start(n) for n in idle] if go else []),
            *[lambda n=n: self._answer(n) for n in self._asking],
            *[lambda n=n: self._write(n) for n in self._answered],
        ]

    def taken(self) -> float:
        """What is spent and reserved, whoever knows it."""
        return self.paid + sum(ticket.amount.cost for ticket in self._asking.values())

    def _spent(self) -> tuple[Held, e.Spent]:
        held = session_budget(self._head)
        return held, budgets.spent(held, tree(self._head), Micros(0))

    def _start(self, n: int) -> None:
        agent = f"agent-{n % 5}"
        self._purse.watch(LOG, self._head, agent)
        reserved, _ = self.plans[n][0]
        self._asking[n] = self._purse.take([session_budget(self._head).key], (LOG, agent), Amount(reserved, 100))

    def _answer(self, n: int) -> None:
        reserved, share = self.plans[n].pop(0)
        ticket = self._asking.pop(n)
        self._purse.settle(ticket, Amount(reserved * share, 50))
        self._purse.drop(ticket)
        self.paid += reserved * share
        self._answered[n] = reserved * share

    def _write(self, n: int) -> None:
        fact = used(self._answered.pop(n), 50, agent=f"agent-{n % 5}")
        self._head = fold([e.Event(LOG, self._head.last_seq + 1, Micros(0), fact)], self._head)
        self._purse.saw(LOG, self._head)


def test_what_was_paid_and_not_written_counts_once() -> None:
    head, purse = head_of(opened(), budget=e.Budget(max_cost=1.0)), Purse()
    held = session_budget(head)
    purse.watch(LOG, head, "root")
    ticket = purse.take([held.key], (LOG, "root"), Amount(0.9, 10))
    purse.settle(ticket, Amount(0.6, 10))
    assert _left(purse, held, head) == pytest.approx(0.4)
    head = fold([e.Event(LOG, 3, Micros(3), used(0.6, 10))], head)
    purse.saw(LOG, head)
    assert _left(purse, held, head) == pytest.approx(0.4)


def _left(purse: Purse, held: Held, head: Head) -> float:
    """How much more may be reserved until others have to wait."""
    was = budgets.spent(held, tree(head), Micros(0))
    for hundredth in range(1, 200):
        ticket = purse.take([held.key], (LOG, "probe"), Amount(hundredth / 100, 0))
        verdict = purse.weigh([(held, was)])
        purse.drop(ticket)
        if isinstance(verdict, Later):
            return hundredth / 100
    return 2.0


def test_what_is_given_back_lets_others_go() -> None:
    head, purse = head_of(opened(), budget=e.Budget(max_tokens=100)), Purse()
    held = session_budget(head)
    spent = [(held, budgets.spent(held, tree(head), Micros(0)))]
    ticket = purse.take([held.key], (LOG, "root"), Amount(0.0, 100))
    assert purse.weigh(spent) == Later()
    purse.drop(ticket)
    assert purse.weigh(spent) == Go()


def test_a_log_that_says_nothing_more_owes_nothing() -> None:
    head, purse = head_of(opened(), budget=e.Budget(max_tokens=100)), Purse()
    held = session_budget(head)
    purse.settle(purse.take([held.key], (LOG, "root"), Amount(tokens=1)), Amount(tokens=100))
    spent = [(held, budgets.spent(held, tree(head), Micros(0)))]
    assert isinstance(purse.weigh(spent), Breach)
    purse.forget(LOG)
    assert purse.weigh(spent) == Go()


# -- which hold ---------------------------------------------------------------------------------


def test_a_sessions_own_budgets() -> None:
    head = head_of(budget=e.Budget(max_cost=1.0), tree_budget=e.Budget(max_tokens=5))
    alone, below = budgets.of_session(head)
    assert (alone.key, alone.path, alone.caps.name, alone.tree) == ("session:log", "session.budget", "session", False)
    assert (below.key, below.path, below.caps.name, below.tree) == ("tree:log", "session.tree_budget", "tree", True)
    assert budgets.of_session(head, alone=False) == [below]
    assert budgets.of_session(head_of()) == []


def test_a_files_budgets_are_for_those_who_carry_them() -> None:
    agents = (Agent("root", budgets=("big", "big", "gone")), Agent("worker", budgets=("small",)), Agent("other"))
    known = {"": e.Budget("", max_cost=9), "big": e.Budget("big", max_cost=5), "small": e.Budget("small", max_tokens=7)}
    team = Team("crew", "h", agents, budgets=known)

    def of(agent: str) -> list[tuple[str, str]]:
        return [(held.caps.name, held.path) for held in budgets.of_file(team, "crew", agent, [])]

    assert of("root") == [("budget", "budget"), ("big", "budgets.big")]
    assert of("worker") == [("budget", "budget"), ("small", "budgets.small")]
    assert of("other") == of("nobody") == [("budget", "budget")]
    (_, small) = budgets.of_file(team, "crew", "worker", [])
    assert small.agents == {"worker"}


def test_a_raise_holds_in_the_tree_and_never_lowers() -> None:
    team = Team("crew", "h", (Agent("root"),), budgets={"": e.Budget("", max_cost=3.0)})
    (held,) = budgets.of_file(team, "crew", "root", [])
    higher = head_of(opened(), e.BudgetRaised(e.Budget(held.key, max_cost=5.0, max_tokens=9)), log="other")
    lower = head_of(opened(), e.BudgetRaised(e.Budget(held.key, max_cost=2.0)), log="third")
    (now,) = budgets.of_file(team, "crew", "root", [lower, higher])
    assert (now.caps.max_cost, now.caps.max_tokens, now.own.max_cost) == (5.0, 0, 3.0)
    (elsewhere,) = budgets.of_file(replace(team), "another", "root", [higher])
    assert elsewhere.caps.max_cost == 3.0


def test_another_budget_forgets_what_was_raised() -> None:
    higher = e.BudgetRaised(e.Budget("session:log", max_cost=2.0))
    head = head_of(higher, budget=e.Budget(max_cost=1.0))
    assert session_budget(head).caps.max_cost == 2.0
    head = head_of(higher, e.BudgetSet(e.Budget(max_cost=1.5)), budget=e.Budget(max_cost=1.0))
    assert session_budget(head).caps.max_cost == 1.5


def test_an_answer_is_done_with_when_the_budget_is_raised() -> None:
    wait = WaitId("w1")
    asked = e.WaitOpened(wait, "budget", "root", meta={"roost/type": "session:log cost 1"})
    facts = (opened(), asked, e.WaitAnswered(wait, e.Answer("approve")))
    turn = head_of(*facts).turn
    assert turn is not None
    assert [answered.about for answered in turn.answers] == ["session:log cost 1"]
    turn = head_of(*facts, e.BudgetRaised(e.Budget("session:log", 2.0), wait)).turn
    assert turn is not None
    assert turn.answers == ()


# -- what was spent -----------------------------------------------------------------------------


def nested() -> Head:
    """A root that has worked for 8 seconds, and a worker below it for 2 of them."""
    return head_of(
        opened(),
        used(0.5, 10),
        e.SessionCreated(e.Template(), parent=SessionId("log"), sub=SessionId("sub")),
        opened("worker", "t2", "sub"),
        used(0.25, 5, agent="worker", sub="sub", unpriced=True),
        ended("worker", "t2", "sub"),
        used(0.125, 1, why="compaction"),
        e.TokensSet(0, 0, 0.0),
        ended(),
        budget=e.Budget(max_cost=1.0),
        tree_budget=e.Budget(max_cost=1.0),
    )


def test_a_session_counts_its_own_and_its_tree_all() -> None:
    head = nested()
    alone, below = (budgets.spent(held, tree(head), Micros(0)) for held in budgets.of_session(head))
    assert (alone.cost, alone.tokens, alone.seconds, alone.unpriced) == (0.625, 11, 8.0, False)
    assert (below.cost, below.tokens, below.seconds, below.unpriced) == (0.875, 16, 8.0, True)
    assert below.portions == (e.Portion("root", 0.625, 11, 8.0), e.Portion("worker", 0.25, 5))


def test_a_tree_is_what_lies_below_a_session() -> None:
    root = replace(nested(), id=SessionId("root"))
    mine = replace(nested(), parent=SessionId("root"))
    child = replace(head_of(opened(), used(1.0), log="child"), parent=SessionId("log"))
    ring = replace(head_of(opened(), used(1.0), log="ring"), parent=SessionId("ring"))
    heads = tree(root, mine, child, ring)
    (_, of_mine), (_, of_root) = budgets.of_session(mine), budgets.of_session(root)
    assert budgets.spent(of_mine, heads, Micros(0)).cost == pytest.approx(1.875)
    assert budgets.spent(of_root, heads, Micros(0)).cost == pytest.approx(2.75)


def test_a_files_budget_counts_its_agents_alone() -> None:
    team = Team("crew", "h", (Agent("root"), Agent("worker", budgets=("small",))), budgets={"small": e.Budget("small")})
    (held,) = budgets.of_file(team, "crew", "worker", [])
    other = head_of(opened("worker", source="else"), used(9.0, agent="worker"), ended("worker"), log="other")
    was = budgets.spent(held, tree(nested(), other), Micros(0))
    assert (was.cost, was.tokens, was.seconds) == (0.25, 5, 2.0)


def test_time_goes_on_while_a_turn_is_under_way() -> None:
    head = head_of(opened(), used(0.1), budget=e.Budget(max_time=60.0))  # opened at 2 s
    held = session_budget(head)
    assert budgets.spent(held, tree(head), Micros(62_000_000)).seconds == 60.0
    breach = Purse().weigh([(held, budgets.spent(held, tree(head), Micros(62_000_000)))])
    assert isinstance(breach, Breach)
    assert (breach.limit, breach.about) == ("time", "session:log time 60")


# -- what a request may cost --------------------------------------------------------------------


def test_a_request_reserves_more_than_it_should_take() -> None:
    amount = most([Message("user", "x" * 4000)], [], 1000, PRICE)
    assert 1300 <= amount.tokens - 1000 <= 1400
    assert amount.cost == pytest.approx(((amount.tokens - 1000) * 3.0 + 1000 * 10.0) / 1e6)  # the dearest way to read
    assert most([Message("user", "x")], [], 1000, None).cost == 0


@pytest.mark.parametrize(
    ("message", "least"),
    [
        (Message("user", "猫" * 1000), 1000),
        (Message("user", parts=(Text("猫" * 900), Image("data:")), content="ignored"), 900 + 1500),
        (Message("user", parts=(File("a.pdf"),)), 3000),
        (Message("assistant", reasoning="hm" * 2000), 1000),
        (Message("assistant", calls=(ToolCall(WaitId("c"), "t", "x" * 4000),)), 1000),  # type: ignore[arg-type]
        (Message("user", "\ud800"), 1),
    ],
)
def test_whatever_is_sent_is_reserved(message: Message, least: int) -> None:
    assert most([message], [], 0, PRICE).tokens >= least


def test_tools_are_sent_along() -> None:
    tool = Definition("t", description="x" * 4000, parameters={"type": "object"})
    assert most([], [tool], 0, PRICE).tokens > 1000


# -- raising ------------------------------------------------------------------------------------


def breach_of(budget: e.Budget, *facts: e.Fact, now: int = 0) -> Breach:
    head = head_of(opened(), *facts, budget=budget)
    held = session_budget(head)
    verdict = Purse().weigh([(held, budgets.spent(held, tree(head), Micros(now)))])
    assert isinstance(verdict, Breach)
    return verdict


@pytest.mark.parametrize(("spent", "cap"), [(1.0, 2.0), (1.3, 2.0), (2.0, 3.0), (5.5, 6.0)])
def test_it_goes_on_with_its_own_size_again(spent: float, cap: float) -> None:
    higher = raised(breach_of(e.Budget(max_cost=1.0, max_tokens=100), used(spent, 10)))
    assert (higher.name, higher.max_cost, higher.max_tokens) == ("session:log", cap, 100)


def test_all_that_is_reached_is_raised_at_once() -> None:
    higher = raised(breach_of(e.Budget(max_cost=1.0, max_tokens=10, max_time=5.0), used(1.0, 35), now=9_000_000))
    assert (higher.max_cost, higher.max_tokens, higher.max_time) == (2.0, 40, 10.0)


def test_a_person_may_name_the_limits() -> None:
    breach = breach_of(e.Budget(max_cost=1.0, max_time=500.0), used(1.0))
    higher = raised(breach, e.Budget(max_cost=7.5, max_tokens=3))
    assert (higher.max_cost, higher.max_tokens, higher.max_time) == (7.5, 0, 500.0)


@given(own=st.floats(0.001, 1000), spent=st.floats(0.001, 100_000))
@example(own=0.0078125, spent=math.nextafter(2.0, 0.0))  # so near to a multiple that it counts as reached
def test_after_a_raise_it_is_used_up_no_more(own: float, spent: float) -> None:
    if spent < own:
        spent += own
    breach = breach_of(e.Budget(max_cost=own), used(spent))
    caps = replace(breach.held.caps, max_cost=raised(breach).max_cost)
    assert Purse().weigh([(replace(breach.held, caps=caps), breach.spent)]) == Go()
    assert caps.max_cost <= spent + own * (1 + 2e-6)


@pytest.mark.parametrize(
    "budget",
    [
        e.Budget(),
        e.Budget(max_cost=-1.0),
        e.Budget(max_cost=float("nan")),
        e.Budget(max_cost=float("inf")),
        e.Budget(max_tokens=10**18),
        e.Budget(max_time=-5.0),
    ],
)
def test_a_budget_that_cannot_be_is_refused(budget: e.Budget) -> None:
    with pytest.raises(BadValue):
        budgets.checked(budget)


def test_the_words_for_people() -> None:
    text = breach_of(e.Budget(max_cost=1.0), used(1.25)).message
    assert text == "the session's budget is used up: 1.25 US dollars of 1 US dollars are spent"


def test_very_little_money_is_written_as_people_write_it() -> None:
    text = breach_of(e.Budget(max_cost=0.00001), used(0.00018)).message
    assert text == "the session's budget is used up: 0.00018 US dollars of 0.00001 US dollars are spent"
