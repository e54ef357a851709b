"""Every request of the API, as a value: which method, path, query and body, and what comes back.

The table knows no transport: a client sends a `Request` and decodes its answer, blocking or not.  What is None is
not sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from msgspec import Struct

from roost.client import shapes
from roost.client.shapes import Session

Answer = TypeVar("Answer")
Table = dict[str, Any]

BASE = "/api/v1"


class Request(Struct, Generic[Answer], frozen=True):
    """What to send, and the type of the answer; a patient one may take hours."""

    method: str
    path: str
    answer: type[Answer]
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = None
    patient: bool = False
    public: bool = False  # goes without a token


class Stream(Struct, frozen=True):
    """A WebSocket to open: one frame an event."""

    path: str
    query: tuple[tuple[str, str], ...] = ()


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to start: a prompt, who is to work on it, and where."""

    prompt: str | None = None
    provider: str | None = None
    model: str | None = None
    root: str | None = None
    auto_approve: bool = False
    system_prompt: str | None = None
    add_dirs: Sequence[str] | None = None
    size: str | None = None
    max_turns: int | None = None
    timeout: str | None = None
    name: str | None = None
    description: str | None = None
    tags: Sequence[str] | None = None
    depends_on: Sequence[str] | None = None
    inject_context: bool = False
    interactive: bool = False
    env_vars: Sequence[str] | None = None  # "K=V"
    mcp_config: Any = None
    worktree: str | bool | None = None  # a name, or True for one that is made up
    sandbox: str | bool | None = None
    json_schema: Any = None
    parent_session_id: str | None = None
    roost_tools: bool = False


class Target(Struct, frozen=True):
    """Which sessions: those named, and those with a tag."""

    ids: Sequence[str] = ()
    tag: str | None = None

    def fields(self) -> Table:
        """As the bodies have it."""
        return {"session_ids": list(self.ids), "tag": self.tag}


# -- the server, accounts ------------------------------------------------------------------------


def health(*, public: bool = True) -> Request[shapes.Health]:
    """Whether a server is there."""
    return Request("GET", f"{BASE}/health", shapes.Health, public=public)


def login(username: str, password: str) -> Request[shapes.Login]:
    """A token for a name and a password."""
    body = {"username": username, "password": password}
    return Request("POST", f"{BASE}/login", shapes.Login, body=body, public=True)


def logout() -> Request[shapes.Told]:
    """End the token that is sent with it."""
    return _post(shapes.Told, "logout")


def users() -> Request[list[shapes.User]]:
    """All accounts."""
    return _get(list[shapes.User], "users")


def add_user(username: str, password: str, home_dir: str, *, force_sandbox: bool | None = None) -> Request[shapes.Told]:
    """A new account."""
    body: Table = {"username": username, "password": password, "home_dir": home_dir, "force_sandbox": force_sandbox}
    return _post(shapes.Told, "users", "add", **body)


def remove_user(username: str) -> Request[shapes.Told]:
    """An account's end; its files stay."""
    return _post(shapes.Told, "users", "remove", username=username)


def set_password(username: str, password: str) -> Request[shapes.Told]:
    """Another password."""
    return _post(shapes.Told, "users", "passwd", username=username, password=password)


# -- sessions -----------------------------------------------------------------------------------


def sessions(
    *, tag: str | None = None, provider: str | None = None, limit: int | None = None, everywhere: bool | None = None
) -> Request[list[Session]]:
    """The sessions, the newest first."""
    return _get(list[Session], "sessions", tag=tag, provider=provider, limit=limit, **{"global": everywhere})


def session(session: str) -> Request[Session]:
    """One session."""
    return _get(Session, "sessions", session)


def update(
    session: str,
    *,
    name: str | None = None,
    description: str | None = None,
    tags: Sequence[str] = (),
    clear_tags: bool = False,
) -> Request[Session]:
    """Another name, description or tags."""
    body = {"name": name, "description": description, "tags": list(tags) or None, "clear_tags": clear_tags}
    return Request("PATCH", _path("sessions", session), Session, body=_given(body))


def delete(session: str) -> Request[shapes.Deleted]:
    """A session's end."""
    return Request("DELETE", _path("sessions", session), shapes.Deleted)


def import_histories() -> Request[shapes.Imported]:
    """Take over what the providers' own programs have kept."""
    return _post(shapes.Imported, "sessions", "import", patient=True)


def spawn(order: Order) -> Request[shapes.Spawned]:
    """Start a session."""
    return _post(shapes.Spawned, "sessions", "spawn", **_order(order))


def status(session: str) -> Request[shapes.Status]:
    """How it is doing."""
    return _get(shapes.Status, "sessions", session, "status")


def events(
    session: str,
    *,
    type: str | None = None,
    last: int | None = None,
    after_seq: int | None = None,
    before_seq: int | None = None,
    schema: str | None = None,
) -> Request[list[shapes.Event]]:
    """What happened in it."""
    query = {"type": type, "last": last, "after_seq": after_seq, "before_seq": before_seq, "schema": schema}
    return _get(list[shapes.Event], "sessions", session, "events", **query)


def output(session: str) -> Request[shapes.Output]:
    """The text it ended with."""
    return _get(shapes.Output, "sessions", session, "output")


def send(session: str, message: str) -> Request[shapes.AgentOutput]:
    """A message for it; the answer of one that had ended comes when it has ended again."""
    return _post(shapes.AgentOutput, "sessions", session, "input", patient=True, message=message)


def cancel(session: str, reason: str | None = None) -> Request[shapes.Told]:
    """End what it does."""
    return _post(shapes.Told, "sessions", session, "cancel", reason=reason)


def note(session: str, message: str, *, level: str | None = None, data: str | None = None) -> Request[shapes.Told]:
    """A line of one's own in its log."""
    return _post(shapes.Told, "sessions", session, "log", message=message, level=level, data=data)


def variables(session: str) -> Request[dict[str, str]]:
    """The variables that its agent is given."""
    return _get(dict[str, str], "sessions", session, "env")


def budget(session: str, limits: Mapping[str, Any] | None, *, tree: bool = False) -> Request[None]:
    """What it, or it and all below it, may spend; None takes the budget away."""
    body = {"tree_budget" if tree else "budget": limits}
    return Request("PATCH", f"/api/sessions/{_quoted(session)}/budget", type(None), body=body)


# -- several sessions -----------------------------------------------------------------------------


def wait(target: Target, *, timeout: str | None = None, any: bool = False) -> Request[list[shapes.WaitResult]]:
    """Their ends; with `any`, the first one's."""
    more = {"timeout": timeout, "any": any or None}
    return _post(list[shapes.WaitResult], "sessions", "wait", patient=True, **target.fields(), **more)


def collect(target: Target) -> Request[list[shapes.Collected]]:
    """What came of them so far."""
    return _post(list[shapes.Collected], "sessions", "collect", **target.fields())


def summary(target: Target, *, stats: bool = False) -> Request[list[shapes.Summary]]:
    """Them in figures."""
    return _post(list[shapes.Summary], "sessions", "summary", **target.fields(), stats=stats or None)


def retry(target: Target, *, failed: bool = False, model: str | None = None) -> Request[list[shapes.Retried]]:
    """The same again, in new sessions."""
    return _post(
        list[shapes.Retried], "sessions", "retry", **target.fields(), failed=failed or None, model=model, patient=True
    )


def pipe(target: Target, order: Order, *, context: str | None = None) -> Request[shapes.AgentOutput]:
    """A new session that is given their results."""
    return _post(
        shapes.AgentOutput, "sessions", "pipe", patient=True, **target.fields(), **_order(order), context=context
    )


def broadcast(
    message: str, *, tag: str | None = None, everywhere: bool = False, raw: bool = False
) -> Request[list[shapes.Sent]]:
    """One message for all of them."""
    more = {"global": everywhere or None, "raw": raw or None}
    return _post(list[shapes.Sent], "sessions", "broadcast", patient=True, message=message, tag=tag, **more)


# -- processes -----------------------------------------------------------------------------------


def processes(
    *, running: bool | None = None, limit: int | None = None, provider: str | None = None
) -> Request[list[shapes.Process]]:
    """The programs that run, or ran, the newest first."""
    return _get(list[shapes.Process], "processes", running=running, limit=limit, provider=provider)


def process(process: str) -> Request[shapes.Process]:
    """One of them."""
    return _get(shapes.Process, "processes", process)


def stop(process: str) -> Request[shapes.Told]:
    """Ask it to end."""
    return _post(shapes.Told, "processes", process, "stop")


def kill(process: str, *, result: str | None = None) -> Request[shapes.Told]:
    """End it; `result` is what its session is to have come to."""
    return _post(shapes.Told, "processes", process, "kill", result=result)


# -- everything else ------------------------------------------------------------------------------


class Query(Struct, frozen=True, kw_only=True):
    """What to look for."""

    query: str | None = None
    regex: bool | None = None
    case_sensitive: bool | None = None
    provider: str | None = None
    role: str | None = None
    tool: str | None = None
    tool_kind: str | None = None
    since: str | None = None
    until: str | None = None
    session: str | None = None
    tag: str | None = None
    everywhere: bool | None = None
    count: bool | None = None
    limit: int | None = None


_SPELLED = {"since": "from", "until": "to", "everywhere": "global"}


def search(query: Query) -> Request[shapes.Found]:
    """Where a text occurs."""
    fields = {_SPELLED.get(name, name): getattr(query, name) for name in query.__struct_fields__}
    return _post(shapes.Found, "search", patient=True, **fields)


def sweep(*, force: bool = False, older_than: str = "7d", keep_logs: bool = False) -> Request[shapes.Swept]:
    """Clear away what is old; without `force` only count it."""
    return _post(shapes.Swept, "gc", patient=True, force=force, older_than=older_than, keep_logs=keep_logs)


def review(
    order: Order,
    *,
    uncommitted: bool = False,
    base: str | None = None,
    commit: str | None = None,
    title: str | None = None,
) -> Request[shapes.Reviewed]:
    """Have changes looked at."""
    what = {"uncommitted": uncommitted or None, "base": base, "commit": commit, "title": title}
    return _post(shapes.Reviewed, "review", patient=True, **what, **_order(order))


def config(args: Sequence[str], root: str | None = None) -> Request[dict[str, Any]]:
    """Read and set the defaults of new sessions."""
    return _post(Table, "config", args=list(args), root=root)


def capability(
    provider: str | None = None, *, form: str = "json", pretty: bool | None = None
) -> Request[shapes.Capability]:
    """What a provider can do; in another form than JSON it is to be read as it is."""
    return _get(shapes.Capability, "capability", provider=provider, format=form, pretty=pretty)


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


# -- what waits for a person, at the other door ---------------------------------------------------


def waits() -> Request[list[shapes.Waiting]]:
    """What waits for a person, the oldest first."""
    return Request("GET", "/api/waits", list[shapes.Waiting])


def answer(
    wait: str,
    *,
    confirmation: str | None = None,
    reason: str | None = None,
    action: str | None = None,
    content: Any = None,
) -> Request[shapes.Told]:
    """A person's answer."""
    body = {"confirmation": confirmation, "reason": reason, "action": action, "content": content}
    return Request("POST", f"/api/waits/{_quoted(wait)}", shapes.Told, body=_given(body))


# -- streams -------------------------------------------------------------------------------------


def stream(session: str, *, types: Sequence[str] = (), schema: str | None = None) -> Stream:
    """A session's events from its first on, until it ends."""
    return Stream(_path("sessions", session, "stream"), _query({"filter": ",".join(types) or None, "schema": schema}))


def subscribe(*, tag: str | None = None, types: Sequence[str] = ()) -> Stream:
    """Every session's events from now on."""
    return Stream(_path("subscribe"), _query({"tag": tag, "type": ",".join(types) or None}))


# -- how they are put together --------------------------------------------------------------------


def _get(answer: type[Answer], *path: str, **query: Any) -> Request[Answer]:
    return Request("GET", _path(*path), answer, query=_query(query))


def _post(answer: type[Answer], *path: str, patient: bool = False, **body: Any) -> Request[Answer]:
    return Request("POST", _path(*path), answer, body=_given(body), patient=patient)


def _path(*segments: str) -> str:
    return "/".join([BASE, *map(_quoted, segments)])


def _quoted(segment: str) -> str:
    return quote(segment, safe="")


def _query(fields: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, _word(value)) for name, value in fields.items() if value is not None)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _given(fields: Mapping[str, Any]) -> Table:
    return {name: value for name, value in fields.items() if value is not None}


def _order(order: Order) -> Table:
    return {name: value for name in order.__struct_fields__ if (value := getattr(order, name))}


def _anything() -> Any:
    return Any
