"""Messages of a snapshot as rows."""

from collections.abc import Callable, Mapping

from roost.client.happenings import Happening, ToolCallConfirmation, decode
from roost.client.shapes import Definition, Mark, Message, Remark, Snapshot, SubSession
from roost.tui import pictures
from roost.tui.board import Board
from roost.tui.rows import Answer, Call, Failure, Note, Reasoning, Row, Summary, User
from roost.tui.stack import Level

Places = Mapping[str, SubSession]
DELEGATING = frozenset({"transfer_task", "run_skill", "handoff"})
SILENT = frozenset({"(no output)", "<no output>"})  # what a model reads where a tool printed nothing
WAITS = frozenset(
    {
        "tool_call_confirmation",
        "elicitation_request",
        "max_iterations_reached",
        "budget_exceeded",
        "wait_answered",
    }
)
"""What the stream's replay leaves out, wherever it begins."""
REJECTED = "The user rejected the tool call."
CANCELED = "The tool call was canceled by the user."
LOST = ("The server stopped while this tool was running. It was not run again", "The tool call was interrupted;")
"""What a model reads of a call that a crash cut off and that was not tried again begins so."""


def lay(board: Board, snapshot: Snapshot, remark: Callable[[Happening], None]) -> None:
    """Put a snapshot's messages, and what stands between them, below what is there; `remark` takes in what happened."""
    places = {sub.id: sub for sub in (*snapshot.nested, *snapshot.sub_sessions)}
    things: list[Message | Mark | Remark] = [*snapshot.messages, *snapshot.marks, *snapshot.notes]
    for thing in sorted(things, key=lambda thing: thing.id):
        if isinstance(thing, Mark):
            _mark(board, thing)
        elif isinstance(thing, Remark):
            happening = decode(bytes(thing.event), thing.id)
            if happening.seq <= snapshot.tail_from or happening.type in WAITS:
                level = _place(board, happening.session_id, thing.id, places)
                if not _strange(board, happening, level):
                    remark(happening)
        elif not thing.id or thing.id not in board.messages:
            _count(board, thing)
            _message(board, thing, places)


def same(level: Level, words: str, code: str, board: Board) -> bool:
    """Whether the round of a CLI has just said so already; the row learns the error's code then."""
    last = next((row for row in reversed(level.rows) if not isinstance(row, Note)), None)
    if not isinstance(last, Failure) or last.words != words:
        return False
    last.code = code
    board.stack.touch(last)
    return True


def _strange(board: Board, happening: Happening, level: Level) -> bool:
    """Whether it asks about a call that stands on an older page."""
    return isinstance(happening, ToolCallConfirmation) and board.call(level, happening.tool_call.id) is None


def _count(board: Board, message: Message) -> None:
    if message.role != "user":
        return
    if message.ordinal is not None:
        board.users = message.ordinal + 1
    elif board.users is not None:
        board.users += 1


def _message(board: Board, message: Message, places: Places) -> None:
    level = _level(board, message, places)
    if message.role == "user":
        _user(board, message, level)
    elif message.role == "assistant":
        _answer(board, message, level)
    elif message.role == "tool":
        _result(board, message, level)


def _mark(board: Board, mark: Mark) -> None:
    level = board.stack.level(mark.session_id)
    if mark.type == "summary":
        board.stack.place(Summary(f"m{mark.id}", words=mark.summary, seq=mark.id, at=mark.created_at), level)
    elif mark.type == "error" and not same(level, mark.message, mark.code, board):
        row = Failure(f"e{mark.id}", words=mark.message, code=mark.code, seq=mark.id, at=mark.created_at)
        row.agent = mark.agent_name
        board.stack.place(row, level)


def _place(board: Board, session: str, number: int, places: Places) -> Level:
    if not session or session == board.session:
        return board.stack.root
    return board.stack.levels.get(session) or _nested(board, session, number, places)


def _level(board: Board, message: Message, places: Places) -> Level:
    level = _place(board, message.session_id, message.id, places)
    if message.agent_name and level.head is not None and not level.head.agent:
        board.named(message.session_id, message.agent_name)
    return level


def _nested(board: Board, session: str, number: int, places: Places) -> Level:
    """The level of a sub-session that is met for the first time."""
    place = places.get(session) or SubSession(session)
    above = place.parent_session_id
    if above in places and above not in board.stack.levels:
        _nested(board, above, number, places)
    level = board.born(session, above, call=place.tool_call_id, title=place.title, seq=number)
    board.turned(session, "idle")
    return level


def _of(row: Row, message: Message) -> Row:
    """A row with what its message says of where it comes from."""
    row.seq, row.at, row.agent = message.id, message.message.created_at, message.agent_name
    return row


def _user(board: Board, message: Message, level: Level) -> None:
    if message.implicit:
        return
    chat = message.message
    row = User(f"m{message.id}", id=message.id)
    row.words, row.pictures = pictures.said(message.content, chat.multi_content)
    row.ordinal = message.ordinal
    board.messages[message.id] = row
    board.stack.place(_of(row, message), level)


def _answer(board: Board, message: Message, level: Level) -> None:
    chat = message.message
    if chat.reasoning_content:
        thought = Reasoning(f"r{message.id}", words=chat.reasoning_content, id=message.id)
        board.stack.place(_of(thought, message), level)
    if chat.content:
        row = Answer(f"m{message.id}", words=chat.content, model=chat.model, id=message.id)
        board.messages[message.id] = row
        board.stack.place(_of(row, message), level)
    known = {definition.name: definition for definition in chat.tool_definitions}
    for call in chat.tool_calls:
        called = Call("", call=call.id, name=call.name, arguments=call.arguments, state="called")
        define(called, known.get(call.name))
        _of(called, message)
        board.add_call(called, level)
        board.messages.setdefault(message.id, called)


def _result(board: Board, message: Message, level: Level) -> None:
    chat = message.message
    row = board.call(level, chat.tool_call_id)
    if row is None:
        row = Call("", call=chat.tool_call_id)
        _of(row, message)
        board.add_call(row, level)
    end(row, chat.content, failed=chat.is_error)
    row.pictures = pictures.of_parts(chat.multi_content)
    board.messages[message.id] = row
    board.stack.touch(row)


def end(row: Call, result: str, *, failed: bool) -> None:
    """What came of a call."""
    row.result, row.ended = "" if result in SILENT else result, True
    if row.state == "denied" or result.startswith(REJECTED):
        row.state = "denied"
        why = result.removeprefix(REJECTED).strip().removeprefix("Reason: ")
        row.verdict = row.verdict or "rejected" + (f": {why}" if why else "")
    elif result == CANCELED:
        row.state = "canceled"
    elif failed and result.startswith(LOST):
        row.state, row.lost = "lost", True
    else:
        row.state = "failed" if failed else "done"


def define(row: Call, definition: Definition | None) -> None:
    """What a tool's definition says of a call."""
    if definition is not None:
        row.title = definition.annotations.title or row.title
        row.category = definition.category or row.category
