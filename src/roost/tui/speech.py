"""What is said, as it comes: messages of people, those that wait, and answers piece by piece."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roost.client import happenings as h
from roost.tui import pictures
from roost.tui.board import Board, Draft
from roost.tui.parts import Queued
from roost.tui.past import define
from roost.tui.rows import Answer, Call, Note, Reasoning, Row, User
from roost.tui.stack import Level

# -- people -------------------------------------------------------------------------------------


def echo(board: Board, words: str, shown: tuple[Any, ...] = ()) -> User:
    """What the person here has just sent, until the log has it."""
    row = User(board.stack.free("echo"), words=words, pictures=shown, state="sent")
    board.stack.queue(row)
    return row


def _echoed(board: Board, words: str) -> None:
    """The log has it: the echo goes."""
    row = next((row for row in board.stack.queued if row.state == "sent" and row.words == words), None)
    if row is not None:
        board.stack.drop(row)


def _ordinal(board: Board) -> int | None:
    ordinal = board.users
    if ordinal is not None:
        board.users = ordinal + 1
    return ordinal


def written(board: Board, happening: h.MessageWritten) -> None:
    """A message is put into the history as it is."""
    said = happening.message
    if board.old(happening) or happening.id in board.messages:
        return
    if said.role == "user":
        ordinal = _ordinal(board)
        if not happening.implicit:
            _user(board, happening, said.content, said.multi_content, ordinal)
    elif said.role == "assistant" and said.content:
        answer = Answer(f"m{happening.id}", words=said.content, model=said.model, id=happening.id)
        board.messages[happening.id] = answer
        board.put(answer, happening)


def edited(board: Board, happening: h.MessageEdited) -> None:
    """A message is another one now."""
    row = board.messages.get(happening.id)
    if row is not None and not isinstance(row, Call):
        row.words = happening.message.content
        board.stack.touch(row)


def said(board: Board, happening: h.UserMessage) -> None:
    """What the user said, shown; or a message that had waited, and is taken now."""
    if board.old(happening):
        return
    number = happening.id
    if happening.queued is not None:
        _taken(board, happening, number or happening.seq)
    elif not number or number not in board.messages:
        _user(board, happening, happening.message, happening.multi_content, _ordinal(board), number)


def _user(
    board: Board, happening: Any, words: str, parts: tuple[Any, ...], ordinal: int | None, number: int = 0
) -> None:
    number = number or getattr(happening, "id", 0)
    row = User(f"m{number}" if number else f"u{happening.seq}")
    row.words, row.pictures = pictures.said(words, parts)
    row.id, row.ordinal = number, None if happening.parent_session_id else ordinal
    if number:
        board.messages[number] = row
    _echoed(board, words)
    board.put(row, happening)


# -- messages that wait -------------------------------------------------------------------------


def queued(board: Board, happening: h.MessageQueued) -> None:
    """Messages wait for their moment."""
    if not board.old(happening):
        line_up(board, happening, happening.timestamp)


def line_up(board: Board, waiting: Any, at: str = "") -> None:
    """Put messages that wait into the queue."""
    places = getattr(waiting, "indexes", ()) or range(len(waiting.messages))
    for place, message in zip(places, waiting.messages, strict=False):
        board.queue.append(Queued(waiting.id, place, waiting.queue, message.content))
        row = User(f"q{waiting.id}.{place}", state="queued", queue=waiting.queue, at=at)
        row.words, row.pictures = pictures.said(message.content, message.multi_content)
        row.seq = waiting.id
        _echoed(board, message.content)
        board.stack.queue(row)
    board.part("queue")


def _taken(board: Board, happening: h.UserMessage, number: int) -> None:
    key = happening.queued or 0, happening.index or 0
    row, ordinal = board.queued(*key), _ordinal(board)
    board.unqueue(*key)
    if row is None:
        _user(board, happening, happening.message, happening.multi_content, ordinal, number)
        return
    row.state, row.id, row.seq, row.at = "taken", number, happening.seq, happening.timestamp
    row.words, row.ordinal = happening.message or row.words, None if happening.parent_session_id else ordinal
    board.messages[number] = row
    board.stack.dequeue(row, board.level(happening))


WITHDRAWN = "withdrawn"
"""Why a message is not taken that somebody has taken back: it never was."""


def refused(board: Board, happening: h.MessageDropped) -> None:
    """One of them is not taken."""
    if board.old(happening):
        return
    row = board.queued(happening.queued, happening.index)
    board.unqueue(happening.queued, happening.index)
    if row is not None and happening.why == WITHDRAWN:
        board.stack.drop(row)
    elif row is not None:
        row.state, row.why = "dropped", happening.why
        board.stack.dequeue(row, board.level(happening))


# -- answers ------------------------------------------------------------------------------------


def asked(board: Board, happening: h.AnswerStarted) -> None:
    """A model is asked."""
    board.drafts[happening.answer] = Draft(board.level(happening), happening.agent_name, happening.model)


def _draft(board: Board, happening: Any) -> Draft:
    draft = board.drafts.get(happening.answer)
    if draft is None:
        draft = board.drafts[happening.answer] = Draft(board.level(happening), happening.agent_name)
    return draft


def chosen(board: Board, happening: h.AgentChoice) -> None:
    """A piece of an answer."""
    draft = _draft(board, happening)
    if draft.answer is None:
        row = draft.answer = Answer("", streaming=True, model=draft.model)
        _begin(board, row, "a", happening, draft.level, draft.calls[0] if draft.calls else None)
    if draft.reasoning is not None and draft.reasoning.streaming:
        draft.reasoning.streaming = False
        board.stack.touch(draft.reasoning)
    _extend(board, draft, draft.answer, happening)


def reasoned(board: Board, happening: h.AgentChoiceReasoning) -> None:
    """A piece of its reasoning."""
    draft = _draft(board, happening)
    if draft.reasoning is None:
        row = draft.reasoning = Reasoning("", streaming=True)
        _begin(board, row, "r", happening, draft.level, draft.answer or (draft.calls[0] if draft.calls else None))
    _extend(board, draft, draft.reasoning, happening)


def _begin(board: Board, row: Row, kind: str, happening: Any, level: Level, before: Row | None) -> None:
    row.key = board.stack.free(f"{kind}{happening.answer or happening.seq}")
    row.seq, row.at, row.agent = happening.seq, happening.timestamp, happening.agent_name
    board.stack.place(row, level, before=before)


def _extend(board: Board, draft: Draft, row: Row, happening: Any) -> None:
    draft.pieces.append((happening.seq, row, len(row.words)))
    row.words += happening.content
    board.stack.touch(row)


def drafted(board: Board, happening: h.PartialToolCall) -> None:
    """A call whose arguments are still coming, from its beginning."""
    draft, call = _draft(board, happening), happening.tool_call
    row = next((row for row in draft.calls if row.call == call.id), None)
    if row is None:
        if board.old(happening) and board.call(draft.level, call.id) is not None:
            return
        row = Call("", call=call.id, name=call.name, agent=happening.agent_name, at=happening.timestamp)
        row.seq = happening.seq
        draft.calls.append(board.add_call(row, draft.level))
    draft.pieces.append((happening.seq, row, len(row.arguments)))
    row.name, row.arguments = call.name or row.name, call.arguments
    define(row, happening.tool_definition)
    board.stack.touch(row)


def whole(board: Board, happening: h.MessageAdded) -> None:
    """An answer is whole; one that the snapshot had goes back to it."""
    draft = board.drafts.pop(happening.answer, None)
    if draft is None:
        _unheard(board, happening)
        return
    if board.old(happening) and happening.seq in board.messages:
        for row in (draft.reasoning, draft.answer, *draft.calls):
            if row is not None:
                _forget(board, row)
        return
    for part in (draft.reasoning, draft.answer):
        if part is not None:
            part.streaming, part.id = False, happening.seq
            board.stack.touch(part)
    if draft.answer is not None:
        draft.answer.partial = happening.partial
    _called(board, draft.calls, happening)
    first = next((row for row in (draft.answer, *draft.calls) if row is not None), None)
    if first is not None:
        board.messages[happening.seq] = first


def _called(board: Board, calls: Sequence[Call], happening: h.MessageAdded) -> None:
    """The calls of an answer are what it says in the end."""
    wanted = {call.id: call for call in happening.tool_calls}
    for call in calls:
        if call.call in wanted and not call.changed:
            call.name, call.arguments = wanted[call.call].name, wanted[call.call].arguments
            board.stack.touch(call)
        if call.state == "draft":
            call.state = "called"
            board.stack.touch(call)


def _unheard(board: Board, happening: h.MessageAdded) -> None:
    """An answer of which no pieces came."""
    said = happening.message
    if said is None or said.role != "assistant" or not said.content or happening.seq in board.messages:
        return
    row = Answer(f"m{happening.seq}", words=said.content, model=said.model, id=happening.seq)
    row.partial = happening.partial
    board.messages[happening.seq] = row
    board.put(row, happening)


def warned(board: Board, happening: h.Warned) -> None:
    """Something is not as it should be; pieces of an answer that do not count are taken back."""
    if happening.discard_since is not None:
        for draft in _meant(board, happening):
            _discard(board, draft, happening.discard_since)
    if happening.message and happening.message not in SILENT:
        board.note(happening, happening.message, kind="warning", level="warn")


SILENT = frozenset({"the turn ended", "the server stopped in the middle of this turn"})
"""Why an answer is dropped when nothing went wrong, or when what becomes of the turn is told apart."""


def _meant(board: Board, happening: h.Warned) -> list[Draft]:
    if happening.answer:
        return [board.drafts[happening.answer]] if happening.answer in board.drafts else []
    level = board.level(happening)
    return [draft for draft in board.drafts.values() if draft.level is level]


def _discard(board: Board, draft: Draft, since: int) -> None:
    while draft.pieces and draft.pieces[-1][0] >= since:
        _, row, length = draft.pieces.pop()
        if isinstance(row, Call):
            row.arguments = row.arguments[:length]
        else:
            row.words = row.words[:length]
        if not any(other is row for _, other, _ in draft.pieces):
            _forget(board, row)
        else:
            board.stack.touch(row)
    left = {id(row) for _, row, _ in draft.pieces}
    draft.calls = [row for row in draft.calls if id(row) in left]
    draft.answer = draft.answer if draft.answer is not None and id(draft.answer) in left else None
    draft.reasoning = draft.reasoning if draft.reasoning is not None and id(draft.reasoning) in left else None


def _forget(board: Board, row: Row) -> None:
    board.stack.drop(row)
    if isinstance(row, Call) and board.calls.get((row.session, row.call)) is row:
        del board.calls[row.session, row.call]


def close(board: Board, level: Level) -> None:
    """A turn is over: nothing streams there any more."""
    for answer, draft in list(board.drafts.items()):
        if draft.level is not level and level is not board.stack.root:
            continue
        del board.drafts[answer]
        for part in (draft.reasoning, draft.answer):
            if part is not None:
                part.streaming = False
                board.stack.touch(part)


# -- summaries ----------------------------------------------------------------------------------


def compacting(board: Board, happening: h.SessionCompaction) -> None:
    """The history is being summed up, or has been."""
    level = board.level(happening)
    last = next((r for r in reversed(level.rows) if isinstance(r, Note) and r.kind == "compaction"), None)
    if happening.status == "started":
        board.note(happening, "Summing up the conversation …", kind="compaction")
        return
    words, tone = OUTCOMES.get(happening.outcome, (f"Summing up: {happening.outcome}", "info"))
    if last is None or not last.words.endswith("…"):
        board.note(happening, words, kind="compaction", level=tone)
        return
    last.words, last.level = words, "warn" if tone == "warn" else "info"
    board.stack.touch(last)


OUTCOMES = {
    "applied": ("The conversation was summed up", "info"),
    "skipped": ("There was nothing to sum up", "info"),
    "failed": ("The conversation could not be summed up", "warn"),
}

Handler = Callable[[Board, Any], None]

TABLE: Mapping[str, Handler] = {
    "message_written": written,
    "message_edited": edited,
    "user_message": said,
    "message_queued": queued,
    "message_dropped": refused,
    "answer_started": asked,
    "agent_choice": chosen,
    "agent_choice_reasoning": reasoned,
    "partial_tool_call": drafted,
    "message_added": whole,
    "warning": warned,
    "session_compaction": compacting,
}
