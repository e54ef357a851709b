"""Requests of `/api/v1`: spawned sessions and what becomes of them, processes, accounts.

The table knows no transport: a client sends a `Request` and decodes its answer, blocking or not.  What is None is
not sent.  Requests of `/api` are in `talk`.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from roost.client import fleet
from roost.client.fleet import Session
from roost.client.request import Answer, Request, Stream, Table, given, path, query_of

BASE = "/api/v1"


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to start: a prompt, who is to work on it, and where."""

    prompt: str | None = None
    provider: str | None = None  # claude, codex … or the id of an agent; else the server's default
    model: str | None = None  # a model of the provider's, or small, medium or large
    root: str | None = None  # the folder it works in
    auto_approve: bool = False  # run every tool unasked
    system_prompt: str | None = None  # instructions beside its own
    add_dirs: Sequence[str] | None = None  # further folders that it may use
    size: str | None = None  # of an Ollama model, as in 9b
    max_turns: int | None = None  # after that many it stops
    timeout: str | None = None  # after that long it is ended, as in 90s or 1h30m
    name: str | None = None
    description: str | None = None
    tags: Sequence[str] | None = None
    depends_on: Sequence[str] | None = None  # sessions that it waits for before it begins
    inject_context: bool = False  # their results are put before the prompt
    interactive: bool = False  # it stays, and takes messages by `send`
    env_vars: Sequence[str] | None = None  # "K=V"
    mcp_config: Any = None  # tool servers for it
    worktree: str | bool | None = None  # a git worktree of its own: its name, or True for one that is made up
    sandbox: str | bool | None = None  # a sandbox, likewise
    json_schema: Any = None  # the form of its answer
    parent_session_id: str | None = None
    roost_tools: bool = False  # it may start agents of its own


class Target(Struct, frozen=True):
    """Which sessions: those named, and those with a tag."""

    ids: Sequence[str] = ()
    tag: str | None = None

    def fields(self) -> Table:
        """As the bodies have it."""
        return {"session_ids": list(self.ids), "tag": self.tag}


Targets = Target | Sequence[str]
"""Which sessions: a target, or their ids."""


# -- the server, accounts ------------------------------------------------------------------------


def health(*, public: bool = True) -> Request[fleet.Health]:
    """Whether a server is there."""
    return Request("GET", f"{BASE}/health", fleet.Health, public=public)


def login(username: str, password: str) -> Request[fleet.Login]:
    """Get a token for a name and a password."""
    body = {"username": username, "password": password}
    return Request("POST", f"{BASE}/login", fleet.Login, body=body, public=True)


def logout() -> Request[fleet.Told]:
    """End the token that is sent with it."""
    return _post(fleet.Told, "logout")


def users() -> Request[list[fleet.User]]:
    """List the accounts."""
    return _get(list[fleet.User], "users")


def add_user(username: str, password: str, home_dir: str, *, force_sandbox: bool | None = None) -> Request[fleet.Told]:
    """Add an account."""
    body: Table = {"username": username, "password": password, "home_dir": home_dir, "force_sandbox": force_sandbox}
    return _post(fleet.Told, "users", "add", **body)


def remove_user(username: str) -> Request[fleet.Told]:
    """Remove an account; its files stay."""
    return _post(fleet.Told, "users", "remove", username=username)


def set_password(username: str, password: str) -> Request[fleet.Told]:
    """Give an account another password."""
    return _post(fleet.Told, "users", "passwd", username=username, password=password)


# -- sessions -----------------------------------------------------------------------------------


def sessions(
    *, tag: str | None = None, provider: str | None = None, limit: int | None = None, everywhere: bool | None = None
) -> Request[list[Session]]:
    """List the sessions as `/api/v1` shows them, the newest first."""
    return _get(list[Session], "sessions", tag=tag, provider=provider, limit=limit, **{"global": everywhere})


def session(session: str) -> Request[Session]:
    """Show a session as `/api/v1` does."""
    return _get(Session, "sessions", session)


def update(
    session: str,
    *,
    name: str | None = None,
    description: str | None = None,
    tags: Sequence[str] = (),
    clear_tags: bool = False,
) -> Request[Session]:
    """Give a session another name, description or tags."""
    body = {"name": name, "description": description, "tags": list(tags) or None, "clear_tags": clear_tags}
    return Request("PATCH", path(BASE, "sessions", session), Session, body=given(body))


def delete(session: str) -> Request[fleet.Deleted]:
    """Delete a spawned session."""
    return Request("DELETE", path(BASE, "sessions", session), fleet.Deleted)


def import_histories() -> Request[fleet.Imported]:
    """Take over what the providers' own programs have kept."""
    return _post(fleet.Imported, "sessions", "import", patient=True)


def spawn(order: Order) -> Request[fleet.Spawned]:
    """Start a session: an agent CLI, or an agent of the server, at a prompt."""
    return _post(fleet.Spawned, "sessions", "spawn", **_order(order))


def status(session: str) -> Request[fleet.Status]:
    """Tell how a spawned session is doing."""
    return _get(fleet.Status, "sessions", session, "status")


def events(
    session: str,
    *,
    type: str | None = None,
    last: int | None = None,
    after_seq: int | None = None,
    before_seq: int | None = None,
    schema: str | None = None,
) -> Request[list[fleet.Event]]:
    """Read a session's log events of `/api/v1`."""
    query = {"type": type, "last": last, "after_seq": after_seq, "before_seq": before_seq, "schema": schema}
    return _get(list[fleet.Event], "sessions", session, "events", **query)


def output(session: str) -> Request[fleet.Output]:
    """Read the text that a session ended with."""
    return _get(fleet.Output, "sessions", session, "output")


def send(session: str, message: str) -> Request[fleet.AgentOutput]:
    """Send a session a message; the answer of one that had ended comes when it has ended again."""
    return _post(fleet.AgentOutput, "sessions", session, "input", patient=True, message=message)


def cancel(session: str, reason: str | None = None) -> Request[fleet.Told]:
    """End what a spawned session does."""
    return _post(fleet.Told, "sessions", session, "cancel", reason=reason)


def note(session: str, message: str, *, level: str | None = None, data: str | None = None) -> Request[fleet.Told]:
    """Put a note into a session's log."""
    return _post(fleet.Told, "sessions", session, "log", message=message, level=level, data=data)


def variables(session: str) -> Request[dict[str, str]]:
    """Show the variables that a session's agent is given."""
    return _get(dict[str, str], "sessions", session, "env")


# -- several sessions -----------------------------------------------------------------------------


def wait(target: Targets, *, timeout: str | None = None, any: bool = False) -> Request[list[fleet.WaitResult]]:
    """Wait until sessions have ended; with `any`, until one has."""
    more = {"timeout": timeout, "any": any or None}
    return _post(list[fleet.WaitResult], "sessions", "wait", patient=True, **_fields(target), **more)


def collect(target: Targets) -> Request[list[fleet.Collected]]:
    """Collect what has come of sessions so far."""
    return _post(list[fleet.Collected], "sessions", "collect", **_fields(target))


def summary(target: Targets, *, stats: bool = False) -> Request[list[fleet.Summary]]:
    """Sum sessions up in figures."""
    return _post(list[fleet.Summary], "sessions", "summary", **_fields(target), stats=stats or None)


def retry(target: Targets, *, failed: bool = False, model: str | None = None) -> Request[list[fleet.Retried]]:
    """Start the same again, in new sessions; with `failed`, of those alone that failed."""
    return _post(
        list[fleet.Retried], "sessions", "retry", **_fields(target), failed=failed or None, model=model, patient=True
    )


def pipe(target: Targets, order: Order, *, context: str | None = None) -> Request[fleet.AgentOutput]:
    """Start a session that is given the results of others."""
    return _post(
        fleet.AgentOutput, "sessions", "pipe", patient=True, **_fields(target), **_order(order), context=context
    )


def broadcast(
    message: str, *, tag: str | None = None, everywhere: bool = False, raw: bool = False
) -> Request[list[fleet.Sent]]:
    """Send one message to all sessions, or those with a tag."""
    more = {"global": everywhere or None, "raw": raw or None}
    return _post(list[fleet.Sent], "sessions", "broadcast", patient=True, message=message, tag=tag, **more)


# -- processes -----------------------------------------------------------------------------------


def processes(
    *, running: bool | None = None, limit: int | None = None, provider: str | None = None
) -> Request[list[fleet.Process]]:
    """List the programs that run, or ran, the newest first."""
    return _get(list[fleet.Process], "processes", running=running, limit=limit, provider=provider)


def process(process: str) -> Request[fleet.Process]:
    """Show a program that runs, or ran."""
    return _get(fleet.Process, "processes", process)


def stop(process: str) -> Request[fleet.Told]:
    """Ask a program to end."""
    return _post(fleet.Told, "processes", process, "stop")


def kill(process: str, *, result: str | None = None) -> Request[fleet.Told]:
    """End a program; `result` is what its session is to have come to."""
    return _post(fleet.Told, "processes", process, "kill", result=result)


# -- everything else ------------------------------------------------------------------------------


class Query(Struct, frozen=True, kw_only=True):
    """What to look for."""

    query: str | None = None
    regex: bool | None = None  # `query` is a regular expression
    case_sensitive: bool | None = None
    provider: str | None = None
    role: str | None = None  # only messages of this role
    tool: str | None = None  # only calls of tools with this in their name
    tool_kind: str | None = None  # only calls of this kind: shell, file_read, file_edit …
    since: str | None = None  # a date, or 3d, 2w for so long ago
    until: str | None = None
    session: str | None = None
    tag: str | None = None
    everywhere: bool | None = None  # in sessions of all folders
    count: bool | None = None  # only how many there are
    limit: int | None = None


_SPELLED = {"since": "from", "until": "to", "everywhere": "global"}


def search(query: Query) -> Request[fleet.Found]:
    """Find the places in all logs where a text occurs."""
    fields = {_SPELLED.get(name, name): getattr(query, name) for name in query.__struct_fields__}
    return _post(fleet.Found, "search", patient=True, **fields)


def sweep(*, force: bool = False, older_than: str = "7d", keep_logs: bool = False) -> Request[fleet.Swept]:
    """Clear away what is old; without `force` only count it."""
    return _post(fleet.Swept, "gc", patient=True, force=force, older_than=older_than, keep_logs=keep_logs)


def review(
    order: Order,
    *,
    uncommitted: bool = False,
    base: str | None = None,
    commit: str | None = None,
    title: str | None = None,
) -> Request[fleet.Reviewed]:
    """Have changes in a repository reviewed."""
    what = {"uncommitted": uncommitted or None, "base": base, "commit": commit, "title": title}
    return _post(fleet.Reviewed, "review", patient=True, **what, **_order(order))


def config(args: Sequence[str], root: str | None = None) -> Request[dict[str, Any]]:
    """Read and set the defaults of new sessions."""
    return _post(Table, "config", args=list(args), root=root)


def capability(
    provider: str | None = None, *, form: str = "json", pretty: bool | None = None
) -> Request[fleet.Capability]:
    """Tell what a provider can do; in another form than JSON, read it with `raw`."""
    return _get(fleet.Capability, "capability", provider=provider, format=form, pretty=pretty)


def discover(
    *,
    provider: str | None = None,
    models: bool | None = None,
    resolve: str | None = None,
    form: str | None = None,
    pretty: bool | None = None,
) -> Request[Any]:
    """Which providers and models there are, or what a model's name stands for."""
    as_json = None if form else True
    query = {
        "provider": provider,
        "models": models,
        "resolve": resolve,
        "json": as_json,
        "format": form,
        "pretty": pretty,
    }
    return _get(_anything(), "discover", **query)


def skills(command: str, **fields: Any) -> Request[Any]:
    """List, show, add, remove, sync or import skills."""
    return _post(_anything(), "skills", command=command, **fields)


def mcp(command: str, **fields: Any) -> Request[Any]:
    """List, show, add, remove, sync or import tool servers."""
    return _post(_anything(), "mcp", command=command, **fields)


# -- streams -------------------------------------------------------------------------------------


def stream(session: str, *, types: Sequence[str] = (), schema: str | None = None) -> Stream:
    """A session's events from its first on, until it ends."""
    return Stream(
        path(BASE, "sessions", session, "stream"), query_of({"filter": ",".join(types) or None, "schema": schema})
    )


def subscribe(*, tag: str | None = None, types: Sequence[str] = ()) -> Stream:
    """Every session's events from now on."""
    return Stream(path(BASE, "subscribe"), query_of({"tag": tag, "type": ",".join(types) or None}))


# -- how they are put together --------------------------------------------------------------------


def _get(answer: type[Answer], *segments: str, **query: Any) -> Request[Answer]:
    return Request("GET", path(BASE, *segments), answer, query=query_of(query))


def _post(answer: type[Answer], *segments: str, patient: bool = False, **body: Any) -> Request[Answer]:
    return Request("POST", path(BASE, *segments), answer, body=given(body), patient=patient)


def _fields(target: Targets) -> Table:
    if isinstance(target, Target):
        return target.fields()
    return Target([target] if isinstance(target, str) else target).fields()


def _order(order: Order) -> Table:
    return {name: value for name in order.__struct_fields__ if (value := getattr(order, name))}


def _anything() -> Any:
    return Any
