"""All requests of both doors, each a method of both faces: it blocks on `Blocking`, and is awaited on `Client`."""

import inspect
import typing
from collections.abc import Callable, Coroutine
from functools import cached_property, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from roost.client import requests, talk
from roost.client.request import Request
from roost.client.server import Server

if TYPE_CHECKING:
    from roost.client.blocking import Blocking
    from roost.client.client import Client

P = ParamSpec("P")
T = TypeVar("T")


class Row(Generic[P, T]):
    """A function that makes a request, as the method that asks it."""

    def __init__(self, make: Callable[P, Request[T]]) -> None:
        self.make = make
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, face: None, owner: type) -> Callable[P, Request[T]]: ...
    @overload
    def __get__(self, face: "Client", owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, face: "Blocking", owner: type) -> Callable[P, T]: ...

    def __get__(self, face: "Client | Blocking | None", owner: type) -> Any:
        """What makes the request, or what asks it."""
        if face is None:
            return self.make
        ask: Callable[[Request[T]], Any] = face.ask

        def asked(*args: P.args, **kwargs: P.kwargs) -> Any:
            return ask(self.make(*args, **kwargs))

        update_wrapper(asked, self.make)
        asked.__signature__ = self.signature  # type: ignore[attr-defined]
        return asked

    @cached_property
    def signature(self) -> inspect.Signature:
        """That of the methods: of the request that is made, its answer comes back."""
        made = inspect.signature(self.make)
        answer = typing.get_args(made.return_annotation)
        return made.replace(return_annotation=answer[0] if answer else made.empty)


class Table:
    """The rows.  What the two doors call the same has the name of `/api`; the other's stands beside it."""

    server: Server

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.server.url!r})"

    # -- the server, its agents, accounts

    ping = Row(talk.ping)
    alive = Row(talk.alive)
    ready = Row(talk.ready)
    first = Row(talk.first)
    health = Row(requests.health)
    jobs = Row(talk.jobs)
    agents = Row(talk.agents)
    agent = Row(talk.agent)
    tools = Row(talk.tools)
    logged_in = Row(talk.logged_in)
    login = Row(requests.login)
    logout = Row(requests.logout)
    users = Row(requests.users)
    add_user = Row(requests.add_user)
    remove_user = Row(requests.remove_user)
    set_password = Row(requests.set_password)

    # -- conversations

    list_sessions = Row(talk.list_sessions)
    create = Row(talk.create)
    show = Row(talk.show)
    snapshot = Row(talk.snapshot)
    state = Row(talk.state)
    delete = Row(talk.delete)
    fork = Row(talk.fork)
    recovery = Row(talk.recovery)
    delete_all = Row(talk.delete_all)
    export = Row(talk.export)
    title = Row(talk.title)
    safety = Row(talk.safety)
    permit = Row(talk.permit)
    budget = Row(talk.budget)
    tokens = Row(talk.tokens)
    star = Row(talk.star)
    toggle_tools = Row(talk.toggle_tools)
    toggle_thinking = Row(talk.toggle_thinking)
    add_message = Row(talk.add_message)
    edit_message = Row(talk.edit_message)
    add_summary = Row(talk.add_summary)
    compact = Row(talk.compact)
    steer = Row(talk.steer)
    followup = Row(talk.followup)
    queue = Row(talk.queue)
    withdraw = Row(talk.withdraw)
    cancel = Row(talk.cancel)
    models = Row(talk.models)

    # -- what waits for a person

    waits = Row(talk.waits)
    answer = Row(talk.answer)
    resume = Row(talk.resume)
    elicit = Row(talk.elicit)

    # -- spawned sessions, processes

    sessions = Row(requests.sessions)
    session = Row(requests.session)
    update = Row(requests.update)
    remove = Row(requests.delete)  # as `delete`
    status = Row(requests.status)
    log = Row(requests.events)
    output = Row(requests.output)
    send = Row(requests.send)
    end = Row(requests.cancel)  # as `cancel`, with a reason
    note = Row(requests.note)
    variables = Row(requests.variables)
    import_histories = Row(requests.import_histories)
    spawn = Row(requests.spawn)
    wait = Row(requests.wait)
    collect = Row(requests.collect)
    summary = Row(requests.summary)
    retry = Row(requests.retry)
    pipe = Row(requests.pipe)
    broadcast = Row(requests.broadcast)
    processes = Row(requests.processes)
    process = Row(requests.process)
    stop = Row(requests.stop)
    kill = Row(requests.kill)

    # -- everything else

    search = Row(requests.search)
    sweep = Row(requests.sweep)
    review = Row(requests.review)
    config = Row(requests.config)
    capability = Row(requests.capability)
    discover = Row(requests.discover)
    skills = Row(requests.skills)
    mcp = Row(requests.mcp)


ROWS = tuple(name for name, value in vars(Table).items() if isinstance(value, Row))
