"""Everything under `/api/v1`: one page."""

from typing import Any

import anyio
from msgspec import Struct

from roost.core.errors import BadModel, Unfinished
from roost.doors.routes import Answer, Call, Route, asks, streams, tells
from roost.doors.zag import bodies as b
from roost.doors.zag import shapes
from roost.doors.zag.accounts import Accounts
from roost.doors.zag.catalogue import Catalogue
from roost.doors.zag.fleet import Fleet
from roost.doors.zag.logs import Logs
from roost.doors.zag.manners import said
from roost.doors.zag.processes import Processes
from roost.doors.zag.sessions import Sessions
from roost.doors.zag.shelf import Shelf
from roost.service.service import Service

PREFIX = "/api/v1"
SESSION = f"{PREFIX}/sessions/:id"

UNKNOWN: Any = {BadModel: 400}
NO_OUTPUT: Any = {Unfinished: 404}


class Alive(Struct):
    """The server answers."""

    status: str
    version: str


def routes(service: Service, *, closing: anyio.Event, version: str) -> list[Route]:
    """The routes, over a service."""
    return [
        *_server(service, version),
        *_session(service, closing),
        *_sessions(service),
        *_rest(service),
    ]


class Health:
    """Answers at once, whatever the rest of the server is at: clients disconnect for good where it does not."""

    def __init__(self, version: str) -> None:
        self._version = version

    async def alive(self, call: Call) -> Answer:
        """GET /health."""
        return said(Alive("ok", self._version))


def _server(service: Service, version: str) -> list[Route]:
    """The server, and who may use it."""
    health, accounts = Health(version), Accounts(service)
    # fmt: off
    return [
        asks("GET", f"{PREFIX}/health", health.alive, "The process is up", answer=Alive, open=True),
        tells("POST", f"{PREFIX}/login", b.Login, accounts.login, "A token for an account",
              answer=shapes.LoggedIn, refusals=(401, 404, 429), open=True),
        asks("POST", f"{PREFIX}/logout", accounts.logout, "End a login", answer=shapes.Message),
        asks("GET", f"{PREFIX}/users", accounts.listing, "The accounts", answer=list[shapes.User], refusals=(403,)),
        tells("POST", f"{PREFIX}/users/add", b.NewUser, accounts.add, "A new account",
              answer=shapes.Message, status=201, refusals=(400, 403, 409)),
        tells("POST", f"{PREFIX}/users/remove", b.OldUser, accounts.remove, "Remove an account",
              answer=shapes.Message, refusals=(403, 404)),
        tells("POST", f"{PREFIX}/users/passwd", b.Passwd, accounts.passwd, "Give an account another password",
              answer=shapes.Message, refusals=(400, 403, 404)),
    ]
    # fmt: on


def _session(service: Service, closing: anyio.Event) -> list[Route]:
    """One session, and its log."""
    sessions, logs = Sessions(service), Logs(service, closing)
    # fmt: off
    return [
        asks("GET", f"{PREFIX}/sessions", sessions.listing, "All sessions, newest first",
             answer=list[shapes.SessionEntry], query=("tag", "provider", "limit", "global"), refusals=(400,)),
        tells("POST", f"{PREFIX}/sessions/spawn", b.Spawn, sessions.spawn, "Start a session",
              answer=shapes.Spawned, status=201, statuses=UNKNOWN, refusals=(400, 403, 429)),
        asks("GET", SESSION, sessions.show, "A session", answer=shapes.SessionEntry, refusals=(404,)),
        asks("DELETE", SESSION, sessions.delete, "Forget a session", answer=dict, refusals=(404, 409)),
        tells("PATCH", SESSION, b.Patch, sessions.update, "Change its name, description and tags",
              answer=shapes.SessionEntry, refusals=(400, 404)),
        asks("GET", f"{SESSION}/status", sessions.status, "How it is doing", answer=shapes.Status, refusals=(404,)),
        asks("GET", f"{SESSION}/events", logs.events, "Its log events", answer=list[dict[str, Any]],
             query=("type", "last", "after_seq", "before_seq", "limit", "schema"), refusals=(400, 404)),
        asks("GET", f"{SESSION}/output", sessions.output, "Its result", answer=shapes.Output,
             statuses=NO_OUTPUT, refusals=(404,)),
        tells("POST", f"{SESSION}/input", b.Input, sessions.input, "Give it a message",
              answer=dict, statuses=UNKNOWN, refusals=(404, 429)),
        tells("POST", f"{SESSION}/cancel", b.Cancel, sessions.cancel, "End what it is at",
              answer=shapes.Done, optional=True, refusals=(404,)),
        tells("POST", f"{SESSION}/log", b.Log, sessions.log, "Put a note into its log",
              answer=shapes.Done, refusals=(400, 404)),
        asks("GET", f"{SESSION}/env", sessions.env, "The environment of its agent", answer=dict,
             query=("shell",), refusals=(404,)),
        streams(f"{SESSION}/stream", logs.stream, "Its log events, from the first to the last",
                query=("filter", "type", "after_seq", "schema"), refusals=(400, 404)),
        streams(f"{PREFIX}/subscribe", logs.subscribe, "What happens in all sessions from now on",
                query=("tag", "type", "schema"), refusals=(400,)),
    ]
    # fmt: on


def _sessions(service: Service) -> list[Route]:
    """Several sessions at once."""
    fleet = Fleet(service)
    many = f"{PREFIX}/sessions"
    # fmt: off
    return [
        tells("POST", f"{many}/collect", b.Some, fleet.collect, "What sessions have come to so far",
              answer=list[shapes.Collected], optional=True, refusals=(400, 404)),
        tells("POST", f"{many}/wait", b.Wait, fleet.wait, "Wait until sessions have ended",
              answer=list[shapes.Waited], optional=True, refusals=(400, 404)),
        tells("POST", f"{many}/summary", b.Some, fleet.summary, "Sessions in numbers",
              answer=list[dict[str, Any]], optional=True, refusals=(400, 404)),
        tells("POST", f"{many}/retry", b.Retry, fleet.retry, "Ask the same again, in new sessions",
              answer=list[dict[str, Any]], optional=True, refusals=(400, 404)),
        tells("POST", f"{many}/pipe", b.Pipe, fleet.pipe, "Give the results of sessions to a new one",
              answer=dict, statuses=UNKNOWN, refusals=(400, 403, 404, 409, 429)),
        tells("POST", f"{many}/broadcast", b.Broadcast, fleet.broadcast, "Give many sessions one message",
              answer=list[dict[str, Any]], refusals=(404,)),
        asks("POST", f"{many}/import", fleet.load, "Import what agent CLIs have kept themselves",
             answer=dict, refusals=(403,)),
    ]
    # fmt: on


def _rest(service: Service) -> list[Route]:
    """Processes, searching, cleaning up, settings."""
    processes, fleet, shelf, catalogue = Processes(service), Fleet(service), Shelf(service), Catalogue(service)
    # fmt: off
    return [
        asks("GET", f"{PREFIX}/processes", processes.listing, "The processes of agent CLIs",
             answer=list[shapes.ProcessEntry], query=("running", "limit", "provider"), refusals=(400,)),
        asks("GET", f"{PREFIX}/processes/:id", processes.show, "A process", answer=shapes.ProcessEntry,
             refusals=(400, 404)),
        asks("POST", f"{PREFIX}/processes/:id/stop", processes.stop, "Ask a process to end", answer=shapes.Done,
             refusals=(400, 404, 409)),
        tells("POST", f"{PREFIX}/processes/:id/kill", b.Kill, processes.kill, "End a process, maybe with a result",
              answer=shapes.Done, optional=True, refusals=(400, 404, 409)),
        tells("POST", f"{PREFIX}/search", b.Search, fleet.search, "Look for text in the logs",
              answer=dict, optional=True, refusals=(400,)),
        tells("POST", f"{PREFIX}/gc", b.Gc, fleet.gc, "Remove what is old and over",
              answer=dict, optional=True, refusals=(400, 403)),
        tells("POST", f"{PREFIX}/review", b.Review, fleet.review, "Let an agent review changes",
              answer=dict, statuses=UNKNOWN, refusals=(400, 403)),
        asks("GET", f"{PREFIX}/capability", catalogue.capability, "What a provider can do",
             answer=dict, query=("provider", "format", "pretty"), refusals=(400,)),
        asks("GET", f"{PREFIX}/discover", catalogue.discover, "Providers and their models", answer=dict,
             query=("provider", "models", "resolve", "json", "format", "pretty"), statuses=UNKNOWN, refusals=(400,)),
        tells("POST", f"{PREFIX}/config", b.Config, shelf.config, "Read and change the defaults",
              answer=dict, refusals=(400, 403)),
        tells("POST", f"{PREFIX}/skills", b.Skills, shelf.skills, "Look after skills",
              answer=dict, refusals=(400, 403, 404)),
        tells("POST", f"{PREFIX}/mcp", b.Mcp, shelf.mcp, "Look after tool servers",
              answer=dict, refusals=(400, 403, 404)),
    ]
    # fmt: on
