"""Sessions that are open at a terminal: what is sent there is as good as typed."""

from msgspec import Struct

from roost.core.ids import LogId
from roost.core.principals import Principal
from roost.service.desk import Desk
from roost.service.openings import Openings


class Seat(Struct, frozen=True):
    """Who somebody at a terminal talks to in a session: what is sent there is as good as typed."""

    principal: Principal
    source: str
    agent: str = ""  # of the source's team; "" is the one that the session is with, or begins with
    first: str = ""  # with whom a session begins
    turns: int = 0  # that the session had when somebody sat down


class Seats:
    """Who sits where; kept in memory alone, as long as the terminal is."""

    def __init__(self, desk: Desk, openings: Openings) -> None:
        self._desk = desk
        self._openings = openings
        self._seats: dict[LogId, Seat] = {}

    async def attach(self, principal: Principal, session: str, source: str, *, agent: str = "") -> None:
        """From now on the session has a runtime: what follows up on it starts a turn, also where none runs.

        Raises:
            SessionNotFound: there is none that this caller may see.
            AgentNotFound, AgentBroken, AgentUnreachable: what is named is not there.
        """
        head = await self._desk.head(principal, session)
        first = agent
        if source not in self._desk.makers.drivers:
            team = await self._desk.makers.agents.team(source)
            first = self._openings.agent(team, agent or source, bool(agent), ())[0].name
        self._seats[LogId(session)] = Seat(principal, source, agent, first, head.turns)
        self._desk.supervisor.first.set()
        self._desk.hub.grown(LogId(session), ())  # those who wait for it look again

    def detach(self, session: str) -> None:
        """Nobody sits there any more."""
        self._seats.pop(LogId(session), None)

    def seat(self, session: str) -> Seat | None:
        """Who sits there."""
        return self._seats.get(LogId(session))
