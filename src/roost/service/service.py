"""The counter: everything that can be asked of Roost, by subject."""

from dataclasses import dataclass

from roost.ports import Logins
from roost.service.accounts import Accounts
from roost.service.agents import AgentFiles
from roost.service.archive import Archive
from roost.service.browsers import Browsers
from roost.service.catalogue import Catalogue
from roost.service.children import Children
from roost.service.desk import Desk
from roost.service.feeds import Feeds
from roost.service.fifos import Fifos
from roost.service.fleet import Fleet
from roost.service.graces import Graces
from roost.service.health import Health
from roost.service.imports import Imports
from roost.service.inputs import Inputs
from roost.service.notices import Notices
from roost.service.openings import Openings
from roost.service.processes import Processes
from roost.service.progress import Jobs
from roost.service.pulse import Pulse
from roost.service.queues import Queues
from roost.service.results import Results
from roost.service.reviews import Reviews
from roost.service.search import Search
from roost.service.seats import Seats
from roost.service.sessions import Sessions
from roost.service.shelf import Shelf
from roost.service.skills import Skills
from roost.service.spawns import Spawns
from roost.service.toolservers import ToolServers
from roost.service.turns import Turns
from roost.service.upkeep import Upkeep
from roost.service.vitals import Ground, Vitals
from roost.service.waits import Waits
from roost.service.windows import Windows


@dataclass(frozen=True, slots=True)
class Service:
    """One object for each subject; doors ask it and nothing else."""

    sessions: Sessions
    windows: Windows
    turns: Turns
    queues: Queues
    seats: Seats
    waits: Waits
    agents: AgentFiles
    health: Health
    archive: Archive
    accounts: Accounts
    browsers: Browsers
    notices: Notices
    vitals: Vitals
    fleet: Fleet
    spawns: Spawns
    results: Results
    inputs: Inputs
    fifos: Fifos
    feeds: Feeds
    pulse: Pulse
    processes: Processes
    search: Search
    reviews: Reviews
    imports: Imports
    upkeep: Upkeep
    shelf: Shelf
    skills: Skills
    toolservers: ToolServers
    catalogue: Catalogue
    children: Children
    desk: Desk
    jobs: Jobs
    logins: Logins | None = None  # at tool servers; None where nothing can log in


def make_service(
    desk: Desk,
    accounts: Accounts,
    browsers: Browsers,
    notices: Notices | None = None,
    *,
    grace: float,
    logins: Logins | None = None,
    ground: Ground | None = None,
    jobs: Jobs | None = None,
) -> Service:
    """The service over an engine.

    `grace` is how many seconds a turn outlives the client of its run; `jobs` is what the makers tell of long work.
    """
    openings, fleet, shelf = Openings(desk), Fleet(desk), Shelf(desk)
    seats = Seats(desk, openings)
    turns = Turns(desk, openings, Graces(desk, grace=grace), seats)
    results = Results(desk, fleet)
    inputs = Inputs(desk, fleet, turns, results)
    fifos = Fifos(desk, inputs)
    spawns = Spawns(desk, fleet, turns, results, fifos, shelf.defaults)
    return Service(
        sessions=Sessions(desk),
        windows=Windows(desk),
        turns=turns,
        queues=Queues(desk, openings, seats),
        seats=seats,
        waits=Waits(desk),
        agents=AgentFiles(desk),
        health=Health(desk),
        archive=Archive(desk),
        accounts=accounts,
        browsers=browsers,
        notices=notices or Notices(desk, browsers),
        vitals=Vitals(desk, ground or Ground()),
        fleet=fleet,
        spawns=spawns,
        results=results,
        inputs=inputs,
        fifos=fifos,
        feeds=Feeds(desk, fleet),
        pulse=Pulse(desk),
        processes=Processes(desk),
        search=Search(desk, fleet),
        reviews=Reviews(desk, spawns),
        imports=Imports(desk),
        upkeep=Upkeep(desk, fleet),
        shelf=shelf,
        skills=Skills(desk),
        toolservers=ToolServers(desk),
        catalogue=Catalogue(desk),
        children=Children(desk, fleet, spawns, results, inputs),
        desk=desk,
        jobs=jobs or Jobs(desk.makers.clock),
        logins=logins,
    )
