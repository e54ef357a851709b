"""Everything under `/api` that clients of the `serve api` protocol know: one page."""

from collections.abc import Callable
from socket import gethostname

import anyio

from roost.core.errors import BadModel, SessionNotRunning
from roost.core.ids import LogId
from roost.doors.docker_agent import batch as b
from roost.doors.docker_agent import bodies, jobs, shapes
from roost.doors.docker_agent import health as h
from roost.doors.docker_agent import sessions as s
from roost.doors.docker_agent import turns as t
from roost.doors.docker_agent import waits as w
from roost.doors.docker_agent.agents import Agents, Count
from roost.doors.docker_agent.live import Live
from roost.doors.docker_agent.renderer import Detailed, Renderer
from roost.doors.docker_agent.rows import ListedShape, RowShape
from roost.doors.docker_agent.snapshots import QueuedShape, ScreenShape, SnapshotShape
from roost.doors.routes import Route, asks, tells
from roost.doors.routes import streams as streaming
from roost.doors.streams import Frames, Streams
from roost.service.archive import Archive
from roost.service.service import Service

NEVER = frozenset(f"/api/agents/{word}" for word in ("config", "import", "export", "pull", "push"))
"""What some clients post to and no server of this API has: it must look absent, though agents may be called so."""

S = "/api/sessions/:id"
SSE = "text/event-stream"


def routes(
    service: Service, *, closing: anyio.Event, version: str, quiet: float, private: h.Private = h.nothing
) -> list[Route]:
    """The routes, over a service; `private` says whether some callers have no token, and are told less."""
    host = gethostname()
    streams, detailed = (_streams(service, kind, closing, quiet) for kind in (Renderer, Detailed))
    live = Live(service, detailed.rings, closing, version=version, host=host)
    return [
        *_server(service, version, private),
        *_sessions(service, host),
        *_turns(service, t.Turns(service, streams, detailed)),
        streaming("/api/live", live.open, "Sessions, their list and what waits, as they change", shown=False),
    ]


def _streams(service: Service, kind: Callable[[Archive, LogId], Frames], closing: anyio.Event, quiet: float) -> Streams:
    return Streams(lambda log: kind(service.archive, log), closing, quiet=quiet)


def _server(service: Service, version: str, private: h.Private) -> list[Route]:
    """The server, and the agent files that it serves."""
    health, agents = h.Health(service, version, private), Agents(service)
    # fmt: off
    return [
        asks("GET", "/health", health.alive, "The process is up", answer=h.Alive, open=True),
        asks("GET", "/ready", health.ready, "The store can be reached", answer=h.Ready, open=True, refusals=(503,)),
        asks("GET", "/api/ping", health.ping, "Answers", answer=h.Status),
        asks("GET", "/api/ready", health.first, "Wait for the first session that runs", answer=h.Status,
             query=("timeout",), refusals=(400, 503)),
        asks("GET", "/api/agents", agents.listing, "All agent files", answer=list[shapes.AgentShape]),
        asks("GET", "/api/agents/:id", agents.show, "An agent file, as it was loaded", answer=dict,
             refusals=(404, 500, 502)),
        asks("GET", "/api/agents/:id/:agent_name/tools/count", agents.count, "How many tools an agent has",
             answer=Count, failed="failed to get agent tool count: ", refusals=(404, 500, 502)),
        asks("GET", "/api/jobs", jobs.Jobs(service).listing, "What takes long, and how far it is",
             answer=list[jobs.JobShape]),
        asks("POST", "/api/mcp-oauth/callback", health.oauth, "Deliver the end of a login", answer=None,
             query=("state", "code", "error", "error_description"), refusals=(400, 404)),
    ]
    # fmt: on


def _sessions(service: Service, host: str) -> list[Route]:
    """Sessions: what they are, and small changes to them."""
    sessions, batch = s.Sessions(service, host), b.Batch(service)
    # fmt: off
    return [
        asks("GET", "/api/sessions", sessions.listing, "All sessions, newest first",
             answer=list[ListedShape], full=list[RowShape],
             query=("limit", "offset", "detail"), failed="failed to get sessions: ", refusals=(400,)),
        tells("POST", "/api/sessions", bodies.NewSession, sessions.create, "A new session",
              answer=shapes.SessionShape, failed="failed to create session: ", refusals=(422, 507)),
        asks("GET", S, sessions.show, "A session with its messages", answer=s.ShownShape,
             failed="session not found: ", refusals=(404,)),
        asks("DELETE", S, sessions.delete, "Delete a session", answer=h.Said, query=("wait", "timeout"),
             failed="failed to delete session: ", refusals=(400, 404, 507)),
        asks("GET", f"{S}/status", sessions.status, "What a session is doing", answer=s.StatusShape,
             query=("wait",), refusals=(400, 404, 503)),
        asks("GET", f"{S}/snapshot", sessions.snapshot, "A session whole, with its place in the event stream",
             answer=SnapshotShape, full=ScreenShape, query=("detail", "last", "before"), refusals=(400, 404)),
        asks("POST", f"{S}/tools/toggle", sessions.toggle_tools, "Run every tool unasked, or no longer",
             failed="failed to toggle session tool approval mode: ", refusals=(404,)),
        asks("POST", f"{S}/thinking/toggle", sessions.toggle_thinking, "An old switch, kept for old clients",
             failed="failed to toggle session thinking mode: ", refusals=(404,)),
        tells("PATCH", f"{S}/safety-policy", bodies.Safety, sessions.safety, "Another safety policy",
              answer=h.Said, refusals=(404,)),
        tells("PATCH", f"{S}/permissions", bodies.PermissionsChange, sessions.permissions, "Other permissions",
              answer=h.Said, failed="failed to update session permissions: ", refusals=(404,)),
        asks("PATCH", f"{S}/budget", sessions.budget, "Other budgets", body=bodies.BudgetsChange,
             failed="failed to update session budget: ", refusals=(404,)),
        tells("PATCH", f"{S}/title", bodies.Title, sessions.title, "Another title", answer=s.TitleShape,
              failed="failed to update session title: ", refusals=(404,)),
        tells("PATCH", f"{S}/tokens", bodies.Tokens, sessions.tokens, "Other counters", answer=h.Status,
              failed="failed to update tokens: ", refusals=(404,)),
        tells("PATCH", f"{S}/starred", bodies.Starred, sessions.starred, "Mark a session", answer=h.Status,
              failed="failed to set starred: ", refusals=(404,)),
        tells("POST", f"{S}/fork", bodies.Fork, sessions.fork, "A new session that begins like this one",
              answer=s.ShownShape, failed="failed to fork session: ", refusals=(404,)),
        tells("POST", f"{S}/messages", bodies.MessageBody, sessions.add_message, "Put a message into the history",
              answer=h.Status, status=201, failed="failed to add message: ", refusals=(404, 409)),
        tells("PATCH", f"{S}/messages/:msg_id", bodies.MessageBody, sessions.edit_message, "Replace a message",
              answer=h.Status, failed="failed to update message: ", refusals=(404, 409)),
        tells("POST", f"{S}/summaries", bodies.Summary, sessions.add_summary, "A summary of what went before",
              answer=h.Status, status=201, failed="failed to add summary: ", refusals=(404,)),
        tells("POST", f"{S}/compaction", bodies.Compaction, sessions.compact, "Sum the history up before it goes on",
              optional=True, answer=h.Status, status=202, refusals=(404, 501)),
        asks("GET", f"{S}/recovery", batch.recovery, "A session, to be kept elsewhere", answer=b.RecoveryShape,
             failed="failed to export session: ", refusals=(404,)),
        tells("POST", "/api/sessions/batch/delete", bodies.Sessions, batch.delete, "Delete several sessions",
              answer=b.Deleted),
        tells("POST", "/api/sessions/batch/export", bodies.Sessions, batch.export, "Several sessions at once",
              answer=b.Exported, failed="failed to export sessions: "),
    ]
    # fmt: on


def _turns(service: Service, turns: t.Turns) -> list[Route]:
    """Turns, and what waits in them."""
    waits = w.Waits(service)
    unready = {SessionNotRunning: 404}
    # fmt: off
    return [
        asks("POST", f"{S}/agent/:agent", turns.run, "Run a turn of the default agent, and follow it",
             body=bodies.Run, answer=SSE, query=("detach",), failed="failed to run session: ",
             refusals=(400, 404, 409, 422, 500, 502, 507)),
        asks("POST", f"{S}/agent/:agent/:agent_name", turns.run, "Run a turn of an agent, and follow it",
             body=bodies.Run, answer=SSE, query=("detach",), failed="failed to run session: ",
             refusals=(400, 404, 409, 422, 500, 502, 507)),
        asks("GET", f"{S}/events", turns.events, "Every event past a cursor, then every new one", answer=SSE,
             query=("since", "detail"), refusals=(400, 404)),
        tells("POST", f"{S}/resume", bodies.Resume, waits.resume, "Answer a confirmation or an iteration limit",
              answer=h.Said, failed="failed to resume session: ", refusals=(404, 409)),
        tells("POST", f"{S}/elicitation", bodies.Elicitation, waits.elicit, "Answer a question", answer=None,
              failed="failed to resume elicitation: ", refusals=(404, 409)),
        tells("POST", f"{S}/steer", bodies.Queue, turns.steer, "Messages for the middle of the turn",
              answer=h.Status, status=202, refusals=(409, 429)),
        tells("POST", f"{S}/followup", bodies.Queue, turns.followup, "Messages for after the turn",
              answer=t.Queued, status=202, refusals=(409, 429)),
        asks("GET", f"{S}/queue", turns.queue, "How many messages wait", answer=t.Queues, statuses=unready,
             refusals=(404,)),
        asks("DELETE", f"{S}/queue/:seq", turns.withdraw, "Take back messages that wait", answer=QueuedShape,
             failed="failed to withdraw message: ", refusals=(400, 404, 409)),
        asks("POST", f"{S}/cancel", turns.cancel, "End the turn that runs", answer=h.Said, refusals=(404, 409)),
        asks("GET", f"{S}/models", turns.models, "The models of a session's agent", answer=t.Models,
             statuses={**unready, BadModel: 500}, refusals=(404, 500)),
        asks("GET", "/api/waits", waits.listing, "What waits for a person", query=("detail",),
             answer=list[w.WaitShape], full=list[w.OpenWaitShape], refusals=(400,)),
        tells("POST", "/api/waits/:id", bodies.WaitAnswer, waits.answer, "Answer by the id of the wait",
              answer=h.Said, refusals=(404, 409)),
    ]
    # fmt: on
