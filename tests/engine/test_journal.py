"""The pen: heads that others may change, and a turn that may be another's."""

import pytest

from engine.fakes import ME, Floor, open_world
from roost.core import events as e
from roost.core.errors import NotOwner
from roost.core.ids import LogId, TurnId
from roost.engine.journal import Journal

pytestmark = pytest.mark.anyio


async def test_what_is_composed_counts_from_what_is_committed(each_floor: Floor) -> None:
    log = await each_floor.lay([e.SessionCreated(e.Template())])
    async with open_world(each_floor) as world:
        journal = Journal(world.store, log, await world.store.take(log))
        await world.service.sessions.set_tokens(ME, log, input=1, output=2, cost=3.0)
        assert journal.head.cost == 0
        committed = await journal.compose(lambda head: [e.TokensSet(head.input_tokens + 1, 0, head.cost + 1)])
        assert (committed.head.input_tokens, committed.head.cost) == (2, 4.0)


async def test_a_pen_knows_its_own_turn_alone(each_floor: Floor) -> None:
    first, second = (e.TurnOpened(TurnId(name), "crew", "root", "/") for name in ("one", "two"))
    log = await each_floor.lay([e.SessionCreated(e.Template()), first])
    async with open_world(each_floor) as world:
        journal = Journal(world.store, LogId(log), await world.store.take(log))
        assert journal.turn.id == "one"
        await journal.write(e.TurnEnded(first.turn, "normal"))
        await world.store.take(log, [second])
        await journal.refresh()
        assert journal.open is None
        with pytest.raises(NotOwner):
            _ = journal.turn
        with pytest.raises(NotOwner):
            await journal.write(e.Warned("late"))
