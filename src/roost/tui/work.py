"""What is done, as it comes: calls of tools, tasks of sub-agents, and what waits for a person."""

import json
from typing import Any

from roost.client import happenings as h
from roost.tui import pictures
from roost.tui.board import Board
from roost.tui.parts import Answered, Wait
from roost.tui.past import define, end
from roost.tui.rows import Call
from roost.tui.speech import Handler, close
from roost.tui.stack import Level

# -- calls --------------------------------------------------------------------------------------


def _call(board: Board, happening: Any, call: Any) -> Call:
    """The row of a call; a new one where there is none, or where the one of that id is over."""
    level = board.level(happening)
    row = board.call(level, call.id)
    if row is None or (row.ended and not board.old(happening)):
        row = Call("", call=call.id, name=call.name, agent=happening.agent_name, at=happening.timestamp)
        row.seq = happening.seq
        board.add_call(row, level)
    row.name = call.name or row.name
    row.arguments = row.arguments if row.changed else call.arguments or row.arguments
    return row


def _stale(board: Board, happening: Any, call: str) -> bool:
    """Whether the snapshot has what became of a call."""
    row = board.call(board.level(happening), call)
    return board.old(happening) and row is not None and row.ended


def called(board: Board, happening: h.ToolCall) -> None:
    """A tool runs now."""
    if _stale(board, happening, happening.tool_call.id):
        return
    row = _call(board, happening, happening.tool_call)
    row.state = "running"
    define(row, happening.tool_definition)
    board.stack.touch(row)


def printed(board: Board, happening: h.ToolCallOutput) -> None:
    """What it has printed since."""
    row = board.call(board.level(happening), happening.tool_call_id)
    if row is not None and not row.ended:
        row.output += happening.output
        board.stack.touch(row)


def returned(board: Board, happening: h.ToolCallResponse) -> None:
    """What it returned."""
    if _stale(board, happening, happening.tool_call_id):
        return
    row = _call(board, happening, happening.tool_call)
    define(row, happening.tool_definition)
    row.output = ""
    end(row, happening.response, failed=happening.failed)
    if happening.result is not None:
        row.pictures = pictures.of_media(happening.result.images)
        row.structured, row.meta = happening.result.structured, happening.result.meta
    board.stack.touch(row)


def lost(board: Board, happening: h.CallLost) -> None:
    """Nobody knows how it ended; the same call may be tried once more."""
    row = board.call(board.level(happening), happening.tool_call_id)
    if row is not None and not row.ended:
        row.state, row.lost = "lost", True
        board.stack.touch(row)


def changed(board: Board, happening: h.CallChanged) -> None:
    """A hook gave it other arguments."""
    row = board.call(board.level(happening), happening.tool_call_id)
    if row is not None:
        row.arguments, row.changed = happening.arguments, True
        board.stack.touch(row)


def blocked(board: Board, happening: h.HookBlocked) -> None:
    """A hook refuses it."""
    if _stale(board, happening, happening.tool_call.id):
        return
    row = _call(board, happening, happening.tool_call)
    row.state, row.verdict = "denied", f"refused by a hook: {happening.message}"
    board.stack.touch(row)


# -- sub-sessions -------------------------------------------------------------------------------


def created(board: Board, happening: h.SessionCreated) -> None:
    """A session is there: this one, or one below it."""
    session, parent = happening.session_id, happening.parent_session_id
    if session == board.session:
        board.title, board.safety = board.title or happening.title, board.safety or happening.safety_policy
        board.part("title", "safety")
    elif parent and session not in board.stack.levels:
        call, title = happening.tool_call_id, happening.title
        board.born(session, parent, call=call, title=title, at=happening.timestamp, seq=happening.seq)
        if happening.agent:
            board.named(session, happening.agent)
    elif parent and (head := board.stack.levels[session].head) is not None and not head.title:
        head.title = board.branches[session].title = happening.title
        board.stack.touch(head)


def started(board: Board, happening: h.StreamStarted) -> None:
    """A turn begins, here or below."""
    level = board.level(happening)
    if level is board.stack.root:
        if not board.old(happening):
            board.base = "running"
            board.part("state")
    else:
        board.turned(level.id, "running")


ENDS = {"normal": "idle", "error": "failed", "canceled": "canceled"}


def stopped(board: Board, happening: h.StreamStopped) -> None:
    """A turn is over, here or below."""
    level = board.level(happening)
    close(board, level)
    state = ENDS.get(happening.reason, "idle")
    if level is not board.stack.root:
        board.turned(level.id, state)
        return
    if happening.reason == "canceled":
        board.note(happening, "Interrupted", kind="turn", level="warn")
    if not board.old(happening):
        board.base, board.turn, board.canceling, board.starting = state, "", False, False
        board.part("state")


def finished(board: Board, happening: h.SubSessionCompleted) -> None:
    """A task that another agent had is done."""
    session = (happening.sub_session or {}).get("id", "")
    branch = board.branches.get(session)
    if branch is not None and branch.state in ("running", "waiting"):
        board.turned(session, "idle")


# -- what waits ---------------------------------------------------------------------------------


def _about(board: Board, happening: Any, kind: str) -> Wait:
    level: Level = board.level(happening)
    wait = Wait(happening.request_id, kind, level.id, happening.agent_name, happening.timestamp)
    wait.message = getattr(happening, "message", "")
    return wait


def confirm(board: Board, happening: h.ToolCallConfirmation) -> None:
    """May this run?"""
    if board.old(happening):
        return
    wait, call = _about(board, happening, "approval"), happening.tool_call
    row = _call(board, happening, call)
    row.lost = row.lost or bool(happening.metadata.get("lost"))
    define(row, happening.tool_definition)
    wait.call_id, wait.tool, wait.arguments = call.id, call.name, call.arguments
    wait.definition, wait.metadata = happening.tool_definition, dict(happening.metadata)
    board.wait(wait)


def elicit(board: Board, happening: h.ElicitationRequest) -> None:
    """A form to fill, or an address to open."""
    if board.old(happening):
        return
    wait = _about(board, happening, "question")
    wait.mode, wait.schema, wait.url = happening.mode, happening.schema, happening.url
    wait.metadata = dict(happening.meta or {})
    board.wait(wait)


def limited(board: Board, happening: h.MaxIterationsReached) -> None:
    """So many rounds are done; go on?"""
    if board.old(happening):
        return
    wait = _about(board, happening, "limit")
    wait.max_iterations = happening.max_iterations
    board.wait(wait)


def spent(board: Board, happening: h.BudgetExceeded) -> None:
    """A budget is used up; go on?"""
    if board.old(happening):
        return
    wait = _about(board, happening, "budget")
    names = ("budget", "limit", "used", "max", "config_path")
    wait.metadata = {name: getattr(happening, name) for name in names if getattr(happening, name)}
    board.wait(wait)


def answered(board: Board, happening: h.WaitAnswered) -> None:
    """Somebody answered."""
    if board.old(happening):
        return
    wait, row = board.settle(happening.request_id)
    if wait is None:
        return
    board.remember(Answered(wait, happening.action, happening.by, happening.reason))
    if row is not None:
        refused = happening.action == "reject"
        row.state = "denied" if refused else row.state
        row.verdict = _verdict(happening)
        board.stack.touch(row)
    elif wait.kind == "question":
        board.note(happening, _reply(wait, happening), kind="answer")


_WORDS = {
    "approve": "approved",
    "reject": "rejected",
    "accept": "answered",
    "decline": "declined",
    "cancel": "canceled",
}


def _verdict(happening: h.WaitAnswered) -> str:
    words = _WORDS.get(happening.action, happening.action)
    who = f" by {happening.by}" if happening.by else ""
    return f"{words}{who}" + (f": {happening.reason}" if happening.reason else "")


def _reply(wait: Wait, happening: h.WaitAnswered) -> str:
    """What was asked, and what was answered, in two lines."""
    given = ", ".join(f"{key}: {_plain(value)}" for key, value in (happening.content or {}).items())
    return f"{wait.message.strip()}\n{_verdict(happening)}" + (f" with {given}" if given else "")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def voided(board: Board, happening: h.WaitVoided) -> None:
    """Nobody needs an answer any more."""
    if board.old(happening):
        return
    wait, _ = board.settle(happening.request_id)
    if wait is not None:
        board.remember(Answered(wait, why=happening.why))


TABLE: dict[str, Handler] = {
    "tool_call": called,
    "tool_call_output": printed,
    "tool_call_response": returned,
    "call_lost": lost,
    "call_changed": changed,
    "hook_blocked": blocked,
    "session_created": created,
    "stream_started": started,
    "stream_stopped": stopped,
    "sub_session_completed": finished,
    "tool_call_confirmation": confirm,
    "elicitation_request": elicit,
    "max_iterations_reached": limited,
    "budget_exceeded": spent,
    "wait_answered": answered,
    "wait_voided": voided,
}
