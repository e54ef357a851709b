"""A client follows a session through kill after kill, and misses nothing."""

import os
from pathlib import Path

import pytest

from acceptance import front, purity
from acceptance.chaos import KINDS, Chaos
from acceptance.havoc import Havoc
from acceptance.house import House

KILLS = int(os.environ.get("ROOST_KILLS", "6"))  # one of each kind; `make chaos` goes deep
EACH = max(1, KILLS // 10)


@pytest.mark.chaos
@pytest.mark.timeout(60 + 10 * KILLS)
def test_a_client_follows_a_session_through_kills_and_misses_nothing(house: House) -> None:
    chaos = Chaos(house, seed=int(os.environ.get("ROOST_SEED", "7")))
    while chaos.kills.total() < KILLS or min(chaos.kills[kind] for kind in KINDS) < EACH:
        chaos.round(min(KINDS, key=lambda kind: (chaos.kills[kind], KINDS.index(kind))))
    kills = chaos.check()
    assert all(kills[kind] >= EACH for kind in KINDS), kills
    neighbour = house.serve()
    for session in (chaos.session, chaos.other):
        purity.check(house, session, chaos.server, neighbour)


@pytest.mark.chaos
@pytest.mark.timeout(120 + 10 * KILLS)
def test_a_team_is_killed_at_every_depth_and_asks_nobody_twice(house: House) -> None:
    chaos = Chaos(house, seed=int(os.environ.get("ROOST_SEED", "7")))
    while chaos.kills["team"] < int(os.environ.get("ROOST_KILLS", "3")):
        chaos.round("team")
    chaos.check()
    neighbour = house.serve()
    purity.check(house, chaos.session, chaos.server, neighbour)


@pytest.mark.chaos
@pytest.mark.timeout(60 + 10 * KILLS)
def test_the_same_for_polite_stops(house: House) -> None:
    chaos = Chaos(house, seed=int(os.environ.get("ROOST_SEED", "7")))
    for _ in range(max(3, KILLS // 5)):
        chaos.round("stop")
    chaos.check()


@pytest.mark.chaos
@pytest.mark.timeout(120 + 10 * KILLS)
def test_agent_clis_go_on_through_kills_and_nothing_of_them_is_lost_or_left(tmp_path: Path) -> None:
    with front.opened(tmp_path) as yard:
        havoc = Havoc(yard, seed=int(os.environ.get("ROOST_SEED", "7")))
        kills = int(os.environ.get("ROOST_KILLS", "4"))
        while havoc.kills.total() < kills:
            havoc.play(min(5, kills))
        havoc.check_purity()
