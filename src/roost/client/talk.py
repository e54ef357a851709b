"""Requests of `/api`: conversations with agents, what waits in them for a person, and the server they are on.

What is None is not sent, and stays as it is.  Requests of `/api/v1` are in `requests`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from roost.client import shapes as c
from roost.client.fleet import Told
from roost.client.request import Answer, Request, Stream, Table, given, path, query_of
from roost.client.shapes import Posted

BASE = "/api"
FULL = "full"

Said = str | Posted | Sequence[str | Posted]
"""What goes to an agent: a text, or messages."""

Confirmation = Literal["approve", "approve-session", "approve-balanced", "approve-tool", "reject"]
"""What a person says to a call; to a limit and a budget it is approve or reject."""

Action = Literal["accept", "decline", "cancel"]
"""What a person says to a question."""


# -- the server, its agents ---------------------------------------------------------------------


def ping() -> Request[Told]:
    """Whether the server answers, and takes this token."""
    return Request("GET", path(BASE, "ping"), Told)


def alive() -> Request[Told]:
    """Whether the server's process is up."""
    return Request("GET", "/health", Told, public=True)


def ready() -> Request[c.Ready]:
    """Whether the server can do its work."""
    return Request("GET", "/ready", c.Ready, public=True)


def first(*, timeout: str | None = None) -> Request[Told]:
    """Wait until a session has run in this server."""
    return Request("GET", path(BASE, "ready"), Told, query=query_of({"timeout": timeout}), patient=True)


def jobs() -> Request[list[c.Job]]:
    """What takes long, and how far it is."""
    return Request("GET", path(BASE, "jobs"), list[c.Job])


def agents() -> Request[list[c.AgentRow]]:
    """List the agent files that are served."""
    return Request("GET", path(BASE, "agents"), list[c.AgentRow])


def agent(agent: str) -> Request[Table]:
    """Show an agent file as it was loaded."""
    return Request("GET", path(BASE, "agents", agent), Table, patient=True)


def tools(agent: str, agent_name: str) -> Request[c.Count]:
    """Count the tools of an agent of a file."""
    return Request("GET", path(BASE, "agents", agent, agent_name, "tools", "count"), c.Count, patient=True)


def logged_in(
    state: str, *, code: str | None = None, error: str | None = None, error_description: str | None = None
) -> Request[None]:
    """Deliver the end of a login that a tool server asked for."""
    query = {"state": state, "code": code, "error": error, "error_description": error_description}
    return Request("POST", path(BASE, "mcp-oauth", "callback"), type(None), query=query_of(query))


# -- sessions -----------------------------------------------------------------------------------


def list_sessions(*, limit: int | None = None, offset: int | None = None) -> Request[list[c.Row]]:
    """List the sessions, the newest first."""
    query = {"detail": FULL, "limit": limit, "offset": offset}
    return Request("GET", path(BASE, "sessions"), list[c.Row], query=query_of(query))


def create(
    *,
    title: str | None = None,
    working_dir: str | None = None,
    tools_approved: bool | None = None,
    safety_policy: str | None = None,
    permissions: c.Permissions | None = None,
    max_iterations: int | None = None,
    attributes: Mapping[str, str] | None = None,
    agent_model_overrides: Mapping[str, str] | None = None,
    budget: c.Budget | None = None,
    tree_budget: c.Budget | None = None,
    more: Mapping[str, Any] | None = None,
) -> Request[c.Made]:
    """Make a session; `more` are the fields that have no parameter here."""
    body: Table = {
        "title": title,
        "working_dir": working_dir,
        "tools_approved": tools_approved,
        "safety_policy": safety_policy,
        "permissions": permissions,
        "max_iterations": max_iterations,
        "attributes": attributes,
        "agent_model_overrides": agent_model_overrides,
        "budget": budget,
        "tree_budget": tree_budget,
        **(more or {}),
    }
    return Request("POST", path(BASE, "sessions"), c.Made, body=given(body))


def show(session: str) -> Request[c.Shown]:
    """Show a session with its messages."""
    return Request("GET", _session(session), c.Shown)


def snapshot(session: str, *, last: int | None = None, before: int | None = None) -> Request[c.Snapshot]:
    """Show a session whole, and its place in its log; of its messages the `last`, or those `before` one."""
    query = {"detail": FULL, "last": last, "before": before}
    return Request("GET", _session(session, "snapshot"), c.Snapshot, query=query_of(query))


def state(session: str, *, wait: str | None = None) -> Request[c.State]:
    """Tell what a session is doing; with `wait`, as soon as it has run."""
    return Request("GET", _session(session, "status"), c.State, query=query_of({"wait": wait}), patient=bool(wait))


def delete(session: str, *, wait: bool | None = None, timeout: str | None = None) -> Request[Told]:
    """Delete a session; with `wait`, the answer comes when its turn has ended."""
    return Request("DELETE", _session(session), Told, query=query_of({"wait": wait, "timeout": timeout}))


def fork(session: str, user_message_index: int) -> Request[c.Shown]:
    """Make a session that begins like this one, up to that message of the user (counted from 0) and without it."""
    return _post(c.Shown, session, "fork", user_message_index=user_message_index)


def recovery(session: str) -> Request[c.Recovery]:
    """Read a session, to keep it elsewhere."""
    return Request("GET", _session(session, "recovery"), c.Recovery)


def delete_all(sessions: Iterable[str]) -> Request[c.Removed]:
    """Delete several sessions."""
    body = {"session_ids": list(sessions)}
    return Request("POST", path(BASE, "sessions", "batch", "delete"), c.Removed, body=body)


def export(sessions: Iterable[str]) -> Request[c.Exported]:
    """Read several sessions, to keep them elsewhere."""
    body = {"session_ids": list(sessions)}
    return Request("POST", path(BASE, "sessions", "batch", "export"), c.Exported, body=body)


# -- small changes ------------------------------------------------------------------------------


def title(session: str, title: str) -> Request[c.Titled]:
    """Give a session another title."""
    return _patch(c.Titled, session, "title", title=title)


def safety(session: str, safety_policy: str) -> Request[Told]:
    """Give a session another safety policy: strict, balanced, restricted or autonomous."""
    return _patch(Told, session, "safety-policy", safety_policy=safety_policy)


def permit(session: str, permissions: c.Permissions | None) -> Request[Told]:
    """Give a session other permissions, whole; None takes them away."""
    return _patch(Told, session, "permissions", permissions=permissions)


def budget(session: str, limits: c.Budget | Mapping[str, Any] | None, *, tree: bool = False) -> Request[None]:
    """Limit what a session, or with `tree` all below it too, may spend; None takes the budget away."""
    return _patch(type(None), session, "budget", **{"tree_budget" if tree else "budget": limits})


def tokens(session: str, *, input: int, output: int, cost: float = 0.0) -> Request[Told]:
    """Overwrite a session's counters."""
    return _patch(Told, session, "tokens", input_tokens=input, output_tokens=output, cost=cost)


def star(session: str, starred: bool = True) -> Request[Told]:
    """Mark a session, or take the mark away."""
    return _patch(Told, session, "starred", starred=starred)


def toggle_tools(session: str) -> Request[None]:
    """Let a session run every tool unasked, or no longer."""
    return Request("POST", _session(session, "tools", "toggle"), type(None))


def toggle_thinking(session: str) -> Request[None]:
    """Turn a stored flag of a session, which nothing depends on."""
    return Request("POST", _session(session, "thinking", "toggle"), type(None))


def add_message(session: str, message: c.Message) -> Request[Told]:
    """Put a message into a session's history, as it is."""
    return _post(Told, session, "messages", message=message)


def edit_message(session: str, message_id: int, message: c.Message) -> Request[Told]:
    """Put another message in the place of one."""
    return _patch(Told, session, f"messages/{message_id}", message=message)


def add_summary(session: str, summary: str, *, first_kept_entry: int = 0, model: str | None = None) -> Request[Told]:
    """Put a summary into a session's history, which stands for what went before it."""
    return _post(Told, session, "summaries", summary=summary, first_kept_entry=first_kept_entry, model=model)


def compact(session: str, instruction: str | None = None) -> Request[Told]:
    """Have a session's history summed up before it goes on."""
    return _post(Told, session, "compaction", instruction=instruction)


# -- turns --------------------------------------------------------------------------------------


def turn(session: str, agent: str, messages: Said, *, agent_name: str = "", model: str = "") -> Request[Any]:
    """A turn, which no client's leaving ends; its answer is a stream, of which `start` and `run` know more."""
    body = {"messages": posted(messages), "model": model or None}
    where = _session(session, "agent", agent, *([agent_name] if agent_name else []))
    return Request("POST", where, _anything(), query=(("detach", "true"),), body=given(body), patient=True)


def steer(session: str, messages: Said, *, framing: str | None = None) -> Request[Told]:
    """Say something in the middle of a session's turn."""
    return _post(Told, session, "steer", messages=posted(messages), framing=framing)


def followup(session: str, messages: Said, *, key: str = "") -> Request[c.Followed]:
    """Say something for after a session's turn; of two with one `key`, the second counts for nothing."""
    body = {"messages": posted(messages)}
    return Request("POST", _session(session, "followup"), c.Followed, body=body, key=key)


def queue(session: str) -> Request[c.Queues]:
    """Count the messages that wait in a session."""
    return Request("GET", _session(session, "queue"), c.Queues)


def withdraw(session: str, queued: int) -> Request[c.Queued]:
    """Take back messages that wait; `queued` is the `id` that a `message_queued` or a snapshot's `queue` tells."""
    return Request("DELETE", _session(session, "queue", str(queued)), c.Queued)


def cancel(session: str) -> Request[Told]:
    """End a session's turn."""
    return Request("POST", _session(session, "cancel"), Told)


def models(session: str) -> Request[c.Models]:
    """List the models that a session's agent can use."""
    return Request("GET", _session(session, "models"), c.Models)


def events(session: str) -> Stream:
    """Every event past a cursor, then every new one."""
    return Stream(_session(session, "events"), (("detail", FULL),))


def live() -> Stream:
    """Lines of the list and what waits, as they change."""
    return Stream(path(BASE, "live"))


# -- what waits for a person --------------------------------------------------------------------


def waits() -> Request[list[c.Waiting]]:
    """List what waits for a person, the oldest first."""
    return Request("GET", path(BASE, "waits"), list[c.Waiting], query=(("detail", FULL),))


def answer(
    wait: str,
    *,
    confirmation: Confirmation | None = None,
    reason: str | None = None,
    tool_name: str | None = None,
    action: Action | None = None,
    content: Any = None,
    budget: c.Budget | None = None,
) -> Request[Told]:
    """Answer what waits, by its id.

    To a call `confirmation` is approve, approve-session, approve-tool or reject; to a limit and a budget, approve or
    reject; to a question `action` is accept (with `content`), decline or cancel.
    """
    body = {"confirmation": confirmation, "reason": reason, "tool_name": tool_name, "action": action}
    return Request("POST", path(BASE, "waits", wait), Told, body=given({**body, "content": content, "budget": budget}))


def resume(
    session: str,
    confirmation: Confirmation,
    *,
    reason: str | None = None,
    tool_name: str | None = None,
    tool_call_id: str | None = None,
    budget: c.Budget | None = None,
) -> Request[Told]:
    """Answer whatever of a session waits first; the words are those of `answer`."""
    more = {"reason": reason, "tool_name": tool_name, "tool_call_id": tool_call_id, "budget": budget}
    return _post(Told, session, "resume", confirmation=confirmation, **more)


def elicit(
    session: str, action: Action, content: Mapping[str, Any] | None = None, *, elicitation_id: str | None = None
) -> Request[None]:
    """Answer a session's question: accept (with `content`), decline or cancel."""
    return _post(type(None), session, "elicitation", action=action, content=content, elicitation_id=elicitation_id)


# -- how they are put together --------------------------------------------------------------------


def posted(messages: Said) -> list[Table]:
    """Messages as bodies have them."""
    several = [messages] if isinstance(messages, str | Posted) else messages
    return [_message(Posted(content=one) if isinstance(one, str) else one) for one in several]


def _message(one: Posted) -> Table:
    parts = {"multi_content": msgspec.to_builtins(one.multi_content)} if one.multi_content else {}
    return {"role": one.role, "content": one.content, **parts}


def _session(session: str, *segments: str) -> str:
    return path(BASE, "sessions", session, *segments)


def _post(answer: type[Answer], session: str, segment: str, **body: Any) -> Request[Answer]:
    return Request("POST", _session(session, segment), answer, body=given(body))


def _patch(answer: type[Answer], session: str, segment: str, **body: Any) -> Request[Answer]:
    return Request("PATCH", "/".join([_session(session), segment]), answer, body=body)


def _anything() -> Any:
    return Any
