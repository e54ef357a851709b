"""Messages of a snapshot as rows."""

from collections.abc import Iterable
from typing import Any

from roost.tui import pictures
from roost.tui.board import Board
from roost.tui.rows import Answer, Call, Reasoning, User
from roost.tui.stack import Level

NO_OUTPUT = "(no output)"  # what a model reads where a tool printed nothing


def lay(board: Board, messages: Iterable[Any], places: dict[str, Any]) -> None:
    """Put messages below what is there; `places` are the sub-sessions that are known, by id."""
    for message in messages:
        if message.role == "user" and message.ordinal is not None:
            board.users = message.ordinal + 1
        if message.id and message.id in board.messages:
            continue
        level = _level(board, message, places)
        if message.role == "user":
            _user(board, message, level)
        elif message.role == "assistant":
            _answer(board, message, level)
        elif message.role == "tool":
            _result(board, message, level)


def _level(board: Board, message: Any, places: dict[str, Any]) -> Level:
    session = getattr(message, "session_id", "")
    if not session or session == board.session:
        return board.stack.root
    level = board.stack.levels.get(session)
    if level is None:
        place = places.get(session)
        parent = place.parent_session_id if place else getattr(message, "parent_session_id", "")
        call = place.tool_call_id if place else ""
        if place is not None and parent in places and parent not in board.stack.levels:
            above = places[parent]
            board.born(parent, above.parent_session_id, call=above.tool_call_id, title=above.title, seq=message.id)
        level = board.born(session, parent, call=call, title=place.title if place else "", seq=message.id)
        if place is None:
            board.turned(session, "idle")
    if message.agent_name and level.head is not None and not level.head.agent:
        board.named(session, message.agent_name)
    return level


def _user(board: Board, message: Any, level: Level) -> None:
    if message.implicit:
        return
    chat = message.message
    row = User(f"m{message.id}", words=message.content, pictures=pictures.of_parts(chat.multi_content), id=message.id)
    row.ordinal = message.ordinal
    row.seq, row.at = message.id, chat.created_at
    board.messages[message.id] = row
    board.stack.place(row, level)


def _answer(board: Board, message: Any, level: Level) -> None:
    chat, about = message.message, {"agent": message.agent_name, "seq": message.id, "at": message.message.created_at}
    if chat.reasoning_content:
        thought = Reasoning(f"r{message.id}", words=chat.reasoning_content, id=message.id, **about)
        board.stack.place(thought, level)
    if chat.content:
        row = Answer(f"m{message.id}", words=chat.content, model=chat.model, id=message.id, **about)
        board.messages[message.id] = row
        board.stack.place(row, level)
    known = {definition.name: definition for definition in chat.tool_definitions}
    for call in chat.tool_calls:
        called = Call("", call=call.id, name=call.name, arguments=call.arguments, state="called", **about)
        define(called, known.get(call.name))
        board.add_call(called, level)
        board.messages.setdefault(message.id, called)


def _result(board: Board, message: Any, level: Level) -> None:
    chat = message.message
    row = board.call(level, chat.tool_call_id)
    if row is None:
        row = Call("", call=chat.tool_call_id, agent=message.agent_name, seq=message.id, at=chat.created_at)
        board.add_call(row, level)
    row.result = "" if chat.content == NO_OUTPUT else chat.content
    row.state = "failed" if chat.is_error else "done"
    row.pictures = pictures.of_parts(chat.multi_content)
    board.messages[message.id] = row
    board.stack.touch(row)


def define(row: Call, definition: Any) -> None:
    """What a tool's definition says of a call."""
    if definition is not None:
        row.title = definition.annotations.title or row.title
        row.category = definition.category or row.category
