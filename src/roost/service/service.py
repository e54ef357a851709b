"""The counter: everything that can be asked of Roost, by subject."""

from dataclasses import dataclass

from roost.service.accounts import Accounts
from roost.service.agents import AgentFiles
from roost.service.archive import Archive
from roost.service.desk import Desk
from roost.service.health import Health
from roost.service.sessions import Sessions
from roost.service.turns import Turns
from roost.service.waits import Waits


@dataclass(frozen=True, slots=True)
class Service:
    """One object for each subject; doors ask it and nothing else."""

    sessions: Sessions
    turns: Turns
    waits: Waits
    agents: AgentFiles
    health: Health
    archive: Archive
    accounts: Accounts
    desk: Desk


def make_service(desk: Desk, accounts: Accounts, *, grace: float) -> Service:
    """The service over an engine.  `grace` is how many seconds a turn outlives the client of its run."""
    return Service(
        Sessions(desk),
        Turns(desk, grace=grace),
        Waits(desk),
        AgentFiles(desk),
        Health(desk),
        Archive(desk),
        accounts,
        desk,
    )
