"""Facts to events of the wire: one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from roost.core import events as e
from roost.core.ids import CallId, Micros
from roost.core.messages import ToolCall
from roost.doors.docker_agent import shapes
from roost.doors.docker_agent.memory import Memory
from roost.doors.docker_agent.payloads import (
    Confirmation,
    Elicited,
    Info,
    LastMessage,
    Output,
    Partial,
    Response,
    Said,
    Summarized,
    Teammate,
    Usage,
)
from roost.doors.docker_agent.shapes import DefinitionShape, Wire
from roost.wire.json import free, moment, number

LINE = 60_000  # characters of a frame past which what can be left out is

Body = Wire | dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Here:
    """Where a fact stands."""

    session: str  # the (sub-)session it belongs to
    at: Micros
    seq: int
    memory: Memory


def _title(fact: e.TitleSet | e.TitleShown, here: Here) -> Body:
    return {"session_id": here.session, "title": fact.title}


def _summarized(fact: e.SummaryAdded, here: Here) -> Body:
    return Summarized(
        session_id=here.session,
        summary=fact.summary,
        first_kept_entry=fact.first_kept,
        cost=shapes.cost_shape(fact.cost),
        model=fact.model,
        usage=shapes.usage_shape(fact.usage),
    )


def _said(fact: e.UserSaid, here: Here) -> Body:
    parts = tuple(shapes.part_shape(part) for part in fact.parts)
    return Said(message=fact.text, multi_content=parts, session_id=here.session, session_position=fact.position)


def _taken(fact: e.MessageTaken, here: Here) -> Body:
    return _said(e.UserSaid(fact.message.content, fact.position, fact.message.parts), here)


def _info(fact: e.AgentShown, here: Here) -> Body:
    return Info(
        model=fact.model,
        description=fact.description,
        welcome_message=fact.welcome,
        context_limit=fact.context_limit,
    )


def _team(fact: e.TeamShown, here: Here) -> Body:
    return {"available_agents": [team_shape(mate) for mate in fact.agents], "current_agent": fact.current}


def team_shape(mate: e.Teammate) -> Teammate:
    """An agent of the team."""
    return Teammate(
        name=mate.name,
        description=mate.description,
        provider=mate.provider,
        model=mate.model,
        commands=shapes.commands_shape(mate.commands),
    )


def _tools(fact: e.ToolsShown, here: Here) -> Body:
    here.memory.learn(fact.definitions)
    return {"available_tools": fact.count, "loading": fact.loading}


def _nothing(fact: e.Fact, here: Here) -> Body:
    return {}


def _started(fact: e.TurnStarted, here: Here) -> Body:
    return {"session_id": here.session}


def _warned(fact: e.Warned, here: Here) -> Body:
    return {"message": fact.message}


def _limited(fact: e.LimitHit, here: Here) -> Body:
    then = f"; the work goes on at {moment(fact.resume_at)}" if fact.resume_at is not None else ""
    return {"message": f"a usage limit of {fact.provider} is reached{then}"}


def _not_resumed(fact: e.LimitResumeFailed, here: Here) -> Body:
    return {"message": f"the work could not go on after a usage limit: {fact.error}"}


def _asked(fact: e.ModelAsked, here: Here) -> Body:
    here.memory.answers[fact.answer] = {}
    return None


def _text(fact: e.TextAdded | e.ReasoningAdded, here: Here) -> Body:
    return {"content": fact.text, "session_id": here.session}


def _drafted(fact: e.CallDrafted, here: Here) -> Body:
    draft = here.memory.drafted(fact, here.at)
    if draft is None:
        return None
    known = here.memory.definition(draft.definition, draft.name)
    return _call(ToolCall(fact.call, draft.name, draft.text), known)


def _call(call: ToolCall, known: DefinitionShape) -> Partial:
    return Partial(tool_call=shapes.call_shape(call), tool_definition=known)


def _dropped(fact: e.AnswerDropped, here: Here) -> Body:
    here.memory.answers.pop(fact.answer, None)
    return {"message": fact.why, "discard_since": fact.first_seq}


def _added(fact: e.MessageAdded, here: Here) -> Body:
    here.memory.answers.pop(fact.answer, None)
    return {"session_id": here.session}


def _usage(fact: e.UsageAdded, here: Here) -> Body:
    if fact.why in ("title", "vain", "tool"):
        return None
    used = fact.usage
    last = LastMessage(
        input_tokens=used.input,
        output_tokens=used.output,
        cached_input_tokens=used.cached_input,
        cached_write_tokens=used.cached_write,
        reasoning_tokens=used.reasoning,
        Cost=None if fact.unpriced else number(fact.cost),
        Model=fact.model,
        finish_reason=fact.finish,
    )
    usage = Usage(
        input_tokens=fact.input_tokens,
        output_tokens=fact.output_tokens,
        context_length=fact.input_tokens + fact.output_tokens,
        context_limit=fact.context_limit,
        cost=number(fact.total_cost),
        last_message=last if fact.why == "answer" else None,
        compaction_threshold=number(fact.threshold),
    )
    return {"session_id": here.session, "usage": usage}


def _hook_started(fact: e.HookStarted, here: Here) -> Body:
    return {"session_id": here.session, "hook_event": fact.event}


def _hook_ended(fact: e.HookEnded, here: Here) -> Body:
    body = {"session_id": here.session, "hook_event": fact.event, "duration_ms": round(fact.duration * 1000)}
    said = {"error": fact.error, "message": fact.message}
    return {**body, "allowed": fact.allowed} | {key: text for key, text in said.items() if text}


def _hook_blocked(fact: e.HookBlocked, here: Here) -> Body:
    known = here.memory.definition(fact.definition, fact.call.name)
    return {"tool_call": shapes.call_shape(fact.call), "tool_definition": known, "message": fact.message}


def _planned(fact: e.PlanSet, here: Here) -> Body:
    return {"session_id": here.session, "content": fact.content} | ({"path": fact.path} if fact.path else {})


def _indexing(fact: e.IndexingShown, here: Here) -> Body:
    body: dict[str, Any] = {"rag_name": fact.source, "strategy_name": fact.strategy}
    return body | ({"current": fact.current, "total": fact.total} if fact.stage == "progress" else {})


def _budgets(fact: e.BudgetShown, here: Here) -> Body:
    return {"session_id": here.session, "budgets": [_spent(spent) for spent in fact.budgets]}


def _spent(spent: e.Spent) -> dict[str, Any]:
    budget = spent.budget
    caps = {"max_cost": budget.max_cost, "max_tokens": budget.max_tokens, "max_time_seconds": budget.max_time}
    used = {"cost": number(spent.cost), "tokens": spent.tokens, "elapsed_seconds": number(spent.seconds)}
    known = {key: number(cap) for key, cap in caps.items() if cap}
    more = {"unpriced": True} if spent.unpriced else {}
    agents = [_portion(portion) for portion in spent.portions]
    return {"name": budget.name, **used, **known, **more} | ({"per_agent": agents} if agents else {})


def _portion(portion: e.Portion) -> dict[str, Any]:
    used = {"cost": number(portion.cost), "tokens": portion.tokens, "active_seconds": number(portion.seconds)}
    return {"agent_name": portion.agent, **used}


def _fell_back(fact: e.FellBack, here: Here) -> Body:
    return {
        "failed_model": fact.failed_model,
        "fallback_model": fact.fallback_model,
        "reason": fact.reason,
        "attempt": fact.attempt,
        "max_attempts": fact.max_attempts,
    }


def _called(fact: e.ToolCalled, here: Here) -> Body:
    return _call(fact.call, here.memory.definition(fact.definition, fact.call.name))


def _output(fact: e.OutputAdded, here: Here) -> Body:
    known = here.memory.definition(fact.definition, "")
    return Output(tool_call_id=fact.call, tool_definition=known, output=fact.text)


def _returned(fact: e.ToolReturned, here: Here) -> Body:
    """With the call, for clients of two ages; where that is too long for the older ones, what they have already
    is left out.
    """
    call, known = fact.call, here.memory.definition(fact.definition, fact.call.name)
    short = len(call.arguments) + len(fact.result.output) * 2 > LINE
    return Response(
        tool_call_id=call.id,
        tool_call=shapes.call_shape(ToolCall(call.id, call.name) if short else call),
        tool_definition=shapes.slim(known) if short else known,
        response=fact.result.output,
        result=shapes.result_shape(fact.result),
    )


def _approval(fact: e.WaitOpened, here: Here) -> Body:
    call = fact.call or ToolCall(CallId(""), "")
    return Confirmation(
        tool_call=shapes.call_shape(call),
        tool_definition=here.memory.definition(fact.definition, call.name),
        metadata=fact.metadata,
        session_id=here.session,
        request_id=fact.wait,
    )


def question(fact: e.WaitOpened, here: Here) -> Elicited:
    """Somebody is asked something."""
    return Elicited(
        message=fact.message,
        mode=fact.mode,
        schema=free(fact.schema),
        url=fact.url,
        elicitation_id=fact.wait,
        server_elicitation_id=fact.server_id,
        session_id=here.session,
        meta=free(fact.meta) or None,
    )


def _limit(fact: e.WaitOpened, here: Here) -> Body:
    return {"max_iterations": fact.max_iterations, "session_id": here.session, "request_id": fact.wait}


def _budget(fact: e.WaitOpened, here: Here) -> Body:
    shown = {key: number(float(text)) if key in ("used", "max") else text for key, text in fact.metadata.items()}
    return {"session_id": here.session, **shown, "message": fact.message, "request_id": fact.wait}


def _voided(fact: e.WaitVoided, here: Here) -> Body:
    return None if fact.why == e.TURN_ENDED else {"message": f"a request was withdrawn: {fact.why}"}


def _authorized(fact: e.Authorized, here: Here) -> Body:
    return {"confirmation": fact.confirmation}


def _switched(fact: e.AgentSwitched, here: Here) -> Body:
    agents = {"from_agent": fact.from_agent, "to_agent": fact.to_agent}
    return {"switching": fact.switching} | {key: name for key, name in agents.items() if name}


def _sub_ended(fact: e.SubSessionEnded, here: Here) -> Body:
    return {"parent_session_id": here.session, "sub_session": here.memory.ended.pop(fact.session, None)}


def _compacting(fact: e.CompactionStarted, here: Here) -> Body:
    return {"session_id": here.session, "status": "started"}


def _compacted(fact: e.CompactionEnded, here: Here) -> Body:
    return {"session_id": here.session, "status": "completed", "outcome": fact.outcome}


def _failed(fact: e.ErrorMet, here: Here) -> Body:
    return {"session_id": here.session, "error": fact.message} | ({"code": fact.code} if fact.code else {})


def _stopped(fact: e.TurnEnded, here: Here) -> Body:
    if not fact.sub:
        here.memory.answers.clear()
    return {"session_id": here.session, "reason": fact.outcome}


# -- the table ----------------------------------------------------------------------------------

Row = tuple[str, Callable[[Any, Here], Body]]

TABLE: Mapping[type, Row] = {
    e.TitleSet: ("session_title", _title),
    e.TitleShown: ("session_title", _title),
    e.SummaryAdded: ("session_summary", _summarized),
    e.MessageTaken: ("user_message", _taken),
    e.UserSaid: ("user_message", _said),
    e.AgentShown: ("agent_info", _info),
    e.TeamShown: ("team_info", _team),
    e.ToolsShown: ("toolset_info", _tools),
    e.McpStarting: ("mcp_init_started", _nothing),
    e.McpReady: ("mcp_init_finished", _nothing),
    e.TurnStarted: ("stream_started", _started),
    e.Warned: ("warning", _warned),
    e.LimitHit: ("warning", _limited),
    e.LimitResumeFailed: ("warning", _not_resumed),
    e.ModelAsked: ("", _asked),
    e.TextAdded: ("agent_choice", _text),
    e.ReasoningAdded: ("agent_choice_reasoning", _text),
    e.CallDrafted: ("partial_tool_call", _drafted),
    e.AnswerDropped: ("warning", _dropped),
    e.MessageAdded: ("message_added", _added),
    e.UsageAdded: ("token_usage", _usage),
    e.FellBack: ("model_fallback", _fell_back),
    e.HookStarted: ("hook_started", _hook_started),
    e.HookEnded: ("hook_finished", _hook_ended),
    e.HookBlocked: ("hook_blocked", _hook_blocked),
    e.PlanSet: ("plan_updated", _planned),
    e.IndexingShown: ("rag_indexing", _indexing),
    e.BudgetShown: ("budget_usage", _budgets),
    e.ToolCalled: ("tool_call", _called),
    e.OutputAdded: ("tool_call_output", _output),
    e.ToolReturned: ("tool_call_response", _returned),
    e.WaitVoided: ("warning", _voided),
    e.Authorized: ("authorization_event", _authorized),
    e.AgentSwitched: ("agent_switching", _switched),
    e.SubSessionEnded: ("sub_session_completed", _sub_ended),
    e.CompactionStarted: ("session_compaction", _compacting),
    e.CompactionEnded: ("session_compaction", _compacted),
    e.ErrorMet: ("error", _failed),
    e.TurnEnded: ("stream_stopped", _stopped),
}

WAITS: Mapping[e.Kind, Row] = {
    "approval": ("tool_call_confirmation", _approval),
    "question": ("elicitation_request", question),
    "limit": ("max_iterations_reached", _limit),
    "budget": ("budget_exceeded", _budget),
}

SILENT = frozenset(
    {
        e.SessionCreated,
        e.PolicySet,
        e.PermissionsSet,
        e.ThinkingSet,
        e.StarredSet,
        e.TokensSet,
        e.ModelChosen,
        e.MessageWritten,
        e.MessageEdited,
        e.DeleteAsked,
        e.CompactionAsked,
        e.MessageQueued,
        e.MessageDropped,
        e.TurnOpened,
        e.TurnDetached,
        e.TurnResumed,
        e.CallLost,
        e.CallChanged,
        e.ContextAdded,
        e.HandedOver,
        e.BudgetSet,
        e.BudgetRaised,
        e.LimitRaised,
        e.CancelAsked,
        e.LabelSet,
        e.ResultSet,
        e.UserNoted,
        e.WorktreeMade,
        e.WorktreeLeft,
        e.RunStarted,
        e.RunRead,
        e.RunEnded,
        e.Introduced,
        e.StatusShown,
        e.StderrAdded,
        e.LineSkipped,
        e.RoundEnded,
        e.RoundResult,
        e.LimitResumed,
        e.Unknown,
    }
)
"""Facts that clients are shown nothing of."""
