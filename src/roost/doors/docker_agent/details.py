"""Facts to events of the wire with all details (`detail=full`): what the first table keeps from older clients."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from roost.core import events as e
from roost.core.messages import Message
from roost.doors.docker_agent import shapes
from roost.doors.docker_agent.events import TABLE, WAITS, Body, Here, Row, question
from roost.doors.docker_agent.frames import framed, left
from roost.doors.docker_agent.memory import Memory
from roost.doors.errors import Refused
from roost.doors.routes import Call
from roost.wire.json import free, moment, number, ordered


def full(call: Call) -> bool:
    """Whether a request is for all details.

    Raises:
        Refused: 400, for a word that says neither yes nor no.
    """
    word = call.query.get("detail", "")
    if word not in ("", "full"):
        raise Refused(400, f'invalid detail: "{word}" is not "full"')
    return bool(word)


def _some(**fields: Any) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value not in ("", None, (), {}, 0) or value is False}


# -- a session ----------------------------------------------------------------------------------


def _created(fact: e.SessionCreated, here: Here) -> Body:
    order = fact.order
    asked = {} if order is None else _some(provider=order.provider, model=order.model, name=order.name)
    places = _some(parent_session_id=fact.parent, tool_call_id=fact.call, started_by=fact.started_by)
    root = here.memory.root or here.session
    template = fact.template
    known = {"session_id": here.session, "root_session_id": root, "title": template.title}
    return (
        known
        | places
        | asked
        | _some(forked_from=fact.forked_from, working_dir=template.working_dir, safety_policy=template.safety)
    )


def _safety(fact: e.PolicySet, here: Here) -> Body:
    return {"session_id": here.session, "safety_policy": fact.safety} | ({"proposed": True} if fact.proposed else {})


def _permissions(fact: e.PermissionsSet, here: Here) -> Body:
    return {"session_id": here.session, "permissions": shapes.permissions_shape(fact.permissions)}


def _thinking(fact: e.ThinkingSet, here: Here) -> Body:
    return {"session_id": here.session, "thinking": fact.thinking}


def _starred(fact: e.StarredSet, here: Here) -> Body:
    return {"session_id": here.session, "starred": fact.starred}


def _tokens(fact: e.TokensSet, here: Here) -> Body:
    counters = {"input_tokens": fact.input, "output_tokens": fact.output, "cost": number(fact.cost)}
    return {"session_id": here.session} | counters


def _budgets(fact: e.BudgetSet, here: Here) -> Body:
    budget, tree = shapes.budget_shape(fact.budget), shapes.budget_shape(fact.tree_budget)
    return {"session_id": here.session, "budget": budget, "tree_budget": tree}


def _raised(fact: e.BudgetRaised, here: Here) -> Body:
    limits = shapes.budget_shape(fact.budget)
    return {"session_id": here.session, "name": fact.budget.name, "budget": limits} | _some(request_id=fact.wait)


def _model(fact: e.ModelChosen, here: Here) -> Body:
    return {"session_id": here.session, "model": fact.ref}


def _labels(fact: e.LabelSet, here: Here) -> Body:
    known = {"name": fact.name, "description": fact.description, "tags": fact.tags}
    return {"session_id": here.session} | known


def _result(fact: e.ResultSet, here: Here) -> Body:
    return {"session_id": here.session, "result": fact.result}


def _deleting(fact: e.DeleteAsked, here: Here) -> Body:
    return {"session_id": here.session} | _some(by=fact.by)


# -- messages -----------------------------------------------------------------------------------


def _written(fact: e.MessageWritten, here: Here) -> Body:
    hidden = {"implicit": True} if fact.message.implicit else {}
    return {"session_id": here.session, "id": here.seq, "message": _message(fact.message, here)} | hidden


def _edited(fact: e.MessageEdited, here: Here) -> Body:
    return {"session_id": here.session, "id": fact.message_id, "message": _message(fact.message, here)}


def _message(message: Message, here: Here) -> shapes.ChatShape:
    return shapes.chat_shape(message, {})


def _queued(fact: e.MessageQueued, here: Here) -> Body:
    messages = [queued_shape(message) for message in fact.messages]
    return {"session_id": here.session, "id": here.seq, "queue": fact.queue, "messages": messages}


def queued_shape(message: Message) -> dict[str, Any]:
    """A message that waits."""
    parts = [shapes.part_shape(part) for part in message.parts]
    return {"role": message.role, "content": message.content} | _some(multi_content=tuple(parts))


def _refused(fact: e.MessageDropped, here: Here) -> Body:
    return {"session_id": here.session, "queued": fact.queued, "index": fact.index, "why": fact.why}


def _context(fact: e.ContextAdded, here: Here) -> Body:
    return {"session_id": here.session, "text": fact.text, "hook_event": fact.event}


def _to_compact(fact: e.CompactionAsked, here: Here) -> Body:
    return {"session_id": here.session} | _some(instruction=fact.instruction, by=fact.by)


# -- a turn -------------------------------------------------------------------------------------


def _opened(fact: e.TurnOpened, here: Here) -> Body:
    known = {"session_id": here.session, "turn_id": fact.turn, "source": fact.source, "detached": fact.detached}
    return known | _some(model=fact.model, provider=fact.driver, command=fact.command, working_dir=fact.working_dir)


def _detached(fact: e.TurnDetached, here: Here) -> Body:
    return {"session_id": here.session, "turn_id": fact.turn}


def _resumed(fact: e.TurnResumed, here: Here) -> Body:
    return {"session_id": here.session, "turn_id": fact.turn, "n": fact.n}


def _cancel(fact: e.CancelAsked, here: Here) -> Body:
    return {"session_id": here.session, "turn_id": fact.turn} | _some(why=fact.why, by=fact.by)


def _asked(fact: e.ModelAsked, here: Here) -> Body:
    here.memory.answers[fact.answer] = {}
    return {"session_id": here.session, "answer": fact.answer, "model": fact.model, "attempt": fact.attempt}


def _charged(fact: e.UsageAdded, here: Here) -> Body:
    """Of a request that leaves what the conversation holds as it was: a title, a tool's, one in vain."""
    used = shapes.usage_shape(fact.usage)
    known = {"session_id": here.session, "why": fact.why, "model": fact.model, "usage": used}
    return known | {"cost": number(fact.cost), "total_cost": number(fact.total_cost)}


def _handed(fact: e.HandedOver, here: Here) -> Body:
    return {"session_id": here.session, "from_agent": fact.agent, "to_agent": fact.to_agent, "why": fact.why}


def _below_ended(fact: e.SubSessionEnded, here: Here) -> Body:
    return {"parent_session_id": here.session, "sub_session": {"id": fact.session}}


# -- tools, and what waits ----------------------------------------------------------------------


def _lost(fact: e.CallLost, here: Here) -> Body:
    return {"session_id": here.session, "tool_call_id": fact.call, "attempt": fact.attempt}


def _changed(fact: e.CallChanged, here: Here) -> Body:
    return {"session_id": here.session, "tool_call_id": fact.call, "arguments": fact.arguments}


def _answered(fact: e.WaitAnswered, here: Here) -> Body:
    answer = fact.answer
    known = {"session_id": here.session, "request_id": fact.wait, "action": answer.action}
    said = _some(confirmation=answer.word, reason=answer.reason, tool_name=answer.tool_name, by=fact.by)
    return known | said | ({} if answer.content is None else {"content": free(answer.content)})


def _voided(fact: e.WaitVoided, here: Here) -> Body:
    return {"session_id": here.session, "request_id": fact.wait, "why": fact.why}


def _iterations(fact: e.LimitRaised, here: Here) -> Body:
    return {"session_id": here.session, "max_iterations": fact.max_iterations}


# -- agent CLIs ---------------------------------------------------------------------------------


def _run(fact: e.RunStarted, here: Here) -> Body:
    known = {"session_id": here.session, "run_id": fact.run, "provider": fact.provider, "pid": fact.pid}
    how = _some(model=fact.model, command=fact.command, version=fact.version, sandbox=fact.sandbox)
    return known | how | _some(prompt=fact.prompt, working_dir=fact.working_dir, resumed=fact.resumed)


def _ran(fact: e.RunEnded, here: Here) -> Body:
    known = {"session_id": here.session, "run_id": fact.run, "exit_code": fact.code}
    return known | _some(signal=fact.signal) | ({"killed": True} if fact.killed else {})


def _introduced(fact: e.Introduced, here: Here) -> Body:
    known = _some(provider_session=fact.provider_session, model=fact.model, working_dir=fact.working_dir)
    return {"session_id": here.session} | known | _some(tools=fact.tools)


def _status(fact: e.StatusShown, here: Here) -> Body:
    return {"session_id": here.session, "message": fact.message} | _some(data=free(fact.data))


def _stderr(fact: e.StderrAdded, here: Here) -> Body:
    return {"session_id": here.session, "text": fact.text}


def _skipped(fact: e.LineSkipped, here: Here) -> Body:
    return {"session_id": here.session, "message": fact.message}


def _round(fact: e.RoundEnded, here: Here) -> Body:
    used = shapes.usage_shape(fact.usage)
    return {"session_id": here.session, "index": fact.index} | _some(reason=fact.reason, usage=used)


def _round_result(fact: e.RoundResult, here: Here) -> Body:
    known = {"session_id": here.session, "success": fact.success}
    return known | _some(message=fact.message, duration_ms=fact.duration_ms, turns=fact.turns)


def _noted(fact: e.UserNoted, here: Here) -> Body:
    return {"session_id": here.session, "level": fact.level, "message": fact.message} | _some(data=free(fact.data))


def _worktree(fact: e.WorktreeMade, here: Here) -> Body:
    return {"session_id": here.session, "name": fact.name, "path": fact.path, "repository": fact.repository}


def _left_worktree(fact: e.WorktreeLeft, here: Here) -> Body:
    return {"session_id": here.session, "path": fact.path, "removed": fact.removed}


def _on_again(fact: e.LimitResumed, here: Here) -> Body:
    return {"session_id": here.session, "message": fact.message, "attempt": fact.attempt}


# -- the tables ---------------------------------------------------------------------------------

DETAILS: Mapping[type, Row] = {
    e.SessionCreated: ("session_created", _created),
    e.PolicySet: ("safety_set", _safety),
    e.PermissionsSet: ("permissions_set", _permissions),
    e.ThinkingSet: ("thinking_set", _thinking),
    e.StarredSet: ("starred_set", _starred),
    e.TokensSet: ("tokens_set", _tokens),
    e.BudgetSet: ("budget_set", _budgets),
    e.BudgetRaised: ("budget_raised", _raised),
    e.ModelChosen: ("model_chosen", _model),
    e.LabelSet: ("labels_set", _labels),
    e.ResultSet: ("result_set", _result),
    e.DeleteAsked: ("delete_asked", _deleting),
    e.MessageWritten: ("message_written", _written),
    e.MessageEdited: ("message_edited", _edited),
    e.MessageQueued: ("message_queued", _queued),
    e.MessageDropped: ("message_dropped", _refused),
    e.ContextAdded: ("context_added", _context),
    e.CompactionAsked: ("compaction_asked", _to_compact),
    e.TurnOpened: ("turn_opened", _opened),
    e.TurnDetached: ("turn_detached", _detached),
    e.TurnResumed: ("turn_resumed", _resumed),
    e.CancelAsked: ("cancel_asked", _cancel),
    e.ModelAsked: ("answer_started", _asked),
    e.HandedOver: ("handed_over", _handed),
    e.SubSessionEnded: ("sub_session_completed", _below_ended),
    e.CallLost: ("call_lost", _lost),
    e.CallChanged: ("call_changed", _changed),
    e.WaitAnswered: ("wait_answered", _answered),
    e.WaitVoided: ("wait_voided", _voided),
    e.LimitRaised: ("limit_raised", _iterations),
    e.RunStarted: ("run_started", _run),
    e.RunEnded: ("run_ended", _ran),
    e.Introduced: ("introduced", _introduced),
    e.StatusShown: ("status_shown", _status),
    e.StderrAdded: ("stderr_added", _stderr),
    e.LineSkipped: ("line_skipped", _skipped),
    e.RoundEnded: ("round_ended", _round),
    e.RoundResult: ("round_result", _round_result),
    e.UserNoted: ("note", _noted),
    e.WorktreeMade: ("worktree_made", _worktree),
    e.WorktreeLeft: ("worktree_left", _left_worktree),
    e.LimitResumed: ("limit_resumed", _on_again),
}
"""Facts of which other clients are shown nothing, or something else."""

SILENT = frozenset({e.RunRead, e.Unknown})
"""Facts that nobody is shown anything of: how far the output of a CLI has been read, and what a newer version wrote."""

VAIN: Row = ("cost_added", _charged)

More = Callable[[Any, Here], Mapping[str, Any]]


def _of_answer(fact: e.TextAdded | e.ReasoningAdded | e.CallDrafted | e.AnswerDropped, here: Here) -> Mapping[str, Any]:
    return {"answer": fact.answer}


def _whole(fact: e.MessageAdded, here: Here) -> Mapping[str, Any]:
    partial = {"partial": True} if fact.partial else {}
    known = {"id": here.seq} | _some(answer=fact.answer, tool_call_id=fact.call) | partial
    if fact.message is None:
        return known
    if not fact.answer:  # no pieces of it came before
        return known | {"message": _message(fact.message, here)}
    return known | _some(tool_calls=tuple(shapes.call_shape(call) for call in fact.message.calls))


def _said(fact: e.UserSaid, here: Here) -> Mapping[str, Any]:
    return _some(id=here.memory.said.get(here.session, 0))


def _taken(fact: e.MessageTaken, here: Here) -> Mapping[str, Any]:
    return {"id": here.seq, "queued": fact.queued, "index": fact.index, "queue": fact.queue}


def _begun(fact: e.ToolCalled, here: Here) -> Mapping[str, Any]:
    again = {"attempt": fact.attempt} if fact.attempt > 1 else {}
    return again | _some(leave=fact.leave)


def _inquired(fact: e.WaitOpened, here: Here) -> Body:
    """A question whose form has its fields in the order in which they were asked."""
    return replace(question(fact, here), schema=ordered(fact.schema))


def _request(fact: e.WaitOpened, here: Here) -> Mapping[str, Any]:
    return {"request_id": fact.wait}


def _limited(fact: e.LimitHit, here: Here) -> Mapping[str, Any]:
    times = {name: moment(at) for name, at in (("reset_at", fact.reset_at), ("resume_at", fact.resume_at)) if at}
    return {"provider": fact.provider, "scope": fact.scope} | times


def _ended(fact: e.TurnEnded, here: Here) -> Mapping[str, Any]:
    return {"turn_id": fact.turn}


MORE: Mapping[type, More] = {
    e.TextAdded: _of_answer,
    e.ReasoningAdded: _of_answer,
    e.CallDrafted: _of_answer,
    e.AnswerDropped: _of_answer,
    e.MessageAdded: _whole,
    e.UserSaid: _said,
    e.MessageTaken: _taken,
    e.ToolCalled: _begun,
    e.WaitOpened: _request,
    e.LimitHit: _limited,
    e.TurnEnded: _ended,
}
"""What the events of the first table have besides, and besides the session that they are about."""


def _more(fact: e.Known, here: Here) -> Mapping[str, Any]:
    if isinstance(fact, e.SubSessionEnded):  # that is about a session below it, whose parent it is
        return {}
    known = {"session_id": here.session}
    make = MORE.get(type(fact))
    return known if make is None else {**known, **make(fact, here)}


def row(fact: e.Known) -> Row | None:
    """The event of a fact; None for one that nobody is shown anything of."""
    if isinstance(fact, e.WaitOpened):
        kind, make = WAITS[fact.kind]
        return kind, _inquired if fact.kind == "question" else make
    if isinstance(fact, e.UsageAdded) and fact.why in ("title", "vain", "tool"):
        return VAIN
    return DETAILS.get(type(fact)) or TABLE.get(type(fact))


def render(event: e.Event, memory: Memory) -> bytes | None:
    """The data of an event's frame; None for a fact that nobody is shown anything of.

    The event, and what `memory` has of earlier ones, are all that counts.
    """
    fact = event.fact
    if isinstance(fact, e.SessionExited):
        return left(fact)
    if isinstance(fact, e.Unknown) or (found := row(fact)) is None:
        return None
    if isinstance(fact, e.SessionCreated):
        memory.born(fact, event.log)
    kind, make = found
    return framed(event, fact, kind, make, memory, more=_more, nameless=frozenset())
