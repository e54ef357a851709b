"""How a session begins."""

from typing import Any

from roost.core import events as e
from roost.core.ids import SessionId
from roost.core.orders import Order
from roost.core.session.head import Head


def born(event: e.Event) -> Head:
    """The head after the first event of a log.

    Raises:
        ValueError: it is not a SessionCreated.
    """
    fact = event.fact
    if not isinstance(fact, e.SessionCreated) or fact.sub:
        raise ValueError(f"a log begins with the SessionCreated of its session, not with {e.kind(fact)}")
    return born_as(SessionId(event.log), event, fact)


def born_as(session: SessionId, event: e.Event, fact: e.SessionCreated) -> Head:
    """The head of a session, or of a sub-session, that this fact begins."""
    t = fact.template
    return Head(
        id=session,
        created_at=event.at,
        first_seq=event.seq,
        last_seq=event.seq,
        title=t.title,
        titled_by="user" if t.title else "",
        working_dir=t.working_dir,
        safety=t.safety,
        prior_safety=t.prior_safety,
        permissions=t.permissions,
        hide_tool_results=t.hide_tool_results,
        starred=t.starred,
        thinking=t.thinking,
        send_user_message=t.send_user_message,
        max_iterations=t.max_iterations,
        max_consecutive_tool_calls=t.max_consecutive_tool_calls,
        max_old_tool_call_tokens=t.max_old_tool_call_tokens,
        max_tool_result_tokens=t.max_tool_result_tokens,
        attributes=t.attributes,
        model_overrides=t.model_overrides,
        custom_models=t.custom_models,
        attached_files=t.attached_files,
        owner=t.owner,
        parent=fact.parent,
        root=fact.root or SessionId(event.log),
        forked_from=fact.forked_from,
        active_at=event.at,
        call=fact.call,
        started_by=fact.started_by,
        budget=t.budget,
        tree_budget=t.tree_budget,
        **_ordered(fact.order),
    )


def _ordered(order: Order | None) -> dict[str, Any]:
    if order is None:
        return {}
    return {
        "provider": order.provider,
        "model": order.model,
        "name": order.name,
        "description": order.description,
        "tags": order.tags,
        "depends_on": order.depends_on,
        "retried_from": order.retried_from,
        "interactive": order.interactive,
        "confined": order.confined or order.sandbox is not None,
    }
