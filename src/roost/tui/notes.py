"""What there is to know besides, as it comes: errors, summaries, and what programs say of themselves."""

from collections.abc import Callable
from typing import Any

from roost.client import happenings as h
from roost.tui import past
from roost.tui.board import Board
from roost.tui.rows import Failure, Note, Row, Summary
from roost.tui.speech import Handler


def failed(board: Board, happening: h.Failed) -> None:
    """The turn ends with this."""
    key = f"e{happening.seq}"
    if not _here(board, key) and not past.same(board.level(happening), happening.error, happening.code, board):
        board.put(Failure(key, words=happening.error, code=happening.code), happening)


def fell_short(board: Board, happening: h.RoundResult) -> None:
    """A CLI could do nothing with a message, and waits for the next one."""
    if not happening.success and happening.message and not _here(board, f"e{happening.seq}"):
        board.put(Failure(f"e{happening.seq}", words=happening.message), happening)


def summed(board: Board, happening: h.SessionSummary) -> None:
    """What stands for the history before it."""
    if not _here(board, f"m{happening.seq}"):
        row = Summary(f"m{happening.seq}", words=happening.summary, model=happening.model)
        row.cost = happening.cost or 0.0
        board.put(row, happening)


def _here(board: Board, key: str) -> bool:
    """Whether the snapshot had it."""
    return key in board.stack.keys


def _noted(kind: str, words: Callable[[Any], str], level: str = "info") -> Handler:
    """A handler that notes something, where there is something to note."""

    def note(board: Board, happening: Any) -> None:
        if text := words(happening):
            board.note(happening, text, kind=kind, level=level)

    return note


def _fell_back(happening: h.ModelFallback) -> str:
    why = f": {happening.reason}" if happening.reason else ""
    return f"{happening.failed_model} failed{why}; going on with {happening.fallback_model}"


def _hooked(happening: h.HookFinished) -> str:
    said = happening.error or happening.message
    return f"{happening.hook_event}: {said}" if said else ""


def _ran(happening: h.RunStarted) -> str:
    what = " ".join(part for part in (happening.provider, happening.version, happening.model) if part)
    return f"{what} started" + (f" in {happening.sandbox.partition(':')[0]}" if happening.sandbox else "")


def _ended(happening: h.RunEnded) -> str:
    if happening.signal:
        return f"It was ended by signal {happening.signal}"
    return f"It ended with exit code {happening.exit_code}" if happening.exit_code else ""


def _raised(happening: h.BudgetRaised) -> str:
    if happening.budget is None:
        return "A budget was raised"
    caps = (("$", happening.budget.max_cost), ("", happening.budget.max_tokens))
    said = [f"{unit}{cap:g}" for unit, cap in caps if cap]
    return "A budget was raised" + (f" to {', '.join(said)}" if said else "")


def _last(board: Board, happening: Any, kind: str) -> Note | None:
    """The newest row of a session, if it is such a note."""
    rows: list[Row] = board.level(happening).rows
    last = rows[-1] if rows else None
    return last if isinstance(last, Note) and last.kind == kind else None


def _reported(board: Board, happening: h.StatusShown) -> None:
    last = _last(board, happening, "status")
    if last is None:
        board.note(happening, happening.message, kind="status")
    else:
        last.words = happening.message
        board.stack.touch(last)


def _complained(board: Board, happening: h.StderrAdded) -> None:
    last = _last(board, happening, "stderr")
    if last is None:
        board.note(happening, happening.text.rstrip("\n"), kind="stderr")
    else:
        last.words += "\n" + happening.text.rstrip("\n")
        board.stack.touch(last)


def _indexed(board: Board, happening: Any) -> None:
    last, name = _last(board, happening, "index"), happening.rag_name
    done = getattr(happening, "current", None)
    words = f"Indexing {name}" + (f": {done} of {happening.total}" if done is not None else " …")
    if happening.type == "rag_indexing_completed":
        words = f"Indexed {name}"
    if last is None or not last.words.startswith(f"Indexing {name}"):
        board.note(happening, words, kind="index")
    else:
        last.words = words
        board.stack.touch(last)


def _told(board: Board, happening: h.Note) -> None:
    level = happening.level if happening.level in ("debug", "info", "warn", "error") else "info"
    board.note(happening, happening.message, kind="note", level=level)


TABLE: dict[str, Handler] = {
    "error": failed,
    "round_result": fell_short,
    "session_summary": summed,
    "status_shown": _reported,
    "stderr_added": _complained,
    "rag_indexing_started": _indexed,
    "rag_indexing_progress": _indexed,
    "rag_indexing_completed": _indexed,
    "model_fallback": _noted("model", _fell_back, "warn"),
    "hook_finished": _noted("hook", _hooked),
    "run_started": _noted("run", _ran),
    "run_ended": _noted("run", _ended, "warn"),
    "budget_raised": _noted("budget", _raised),
    "limit_raised": _noted("limit", lambda happening: f"Up to {happening.max_iterations} rounds now"),
    "authorization_event": _noted("login", lambda happening: f"Login: {happening.confirmation}"),
    "limit_resumed": _noted("limit", lambda happening: "The usage limit has passed; the work goes on"),
    "note": _told,
}
