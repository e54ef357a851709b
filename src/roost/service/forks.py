"""A fork: the facts of a new session that begins like another one."""

import re
from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from roost.core import events as e
from roost.core.errors import BadValue
from roost.core.history import History, Item
from roost.core.ids import SessionId, fresh
from roost.core.messages import Definition
from roost.core.session import Head

_FORK = re.compile(r" ?\(fork \d+\)$")


def fork_facts(
    new: SessionId,
    head: Head,
    history: History,
    ordinal: int,
    titles: Collection[str],
    definitions: Mapping[str, Definition],
) -> Sequence[e.Fact]:
    """All facts of `new`, the fork before user message `ordinal`, counted over the flattened history.

    `definitions` are those of the tools that the history's messages call.

    Raises:
        BadValue: out of range, or inside a sub-session.
    """
    kept = history.items[: _cut(history, ordinal)]
    template = e.Template(
        title=fork_title(head.title, titles),
        working_dir=head.working_dir,
        safety="" if head.safety_proposed else head.safety,
        prior_safety=head.prior_safety,
        permissions=head.permissions,
        hide_tool_results=head.hide_tool_results,
        starred=head.starred,
        thinking=head.thinking,
        send_user_message=head.send_user_message,
        max_iterations=head.max_iterations,
        max_consecutive_tool_calls=head.max_consecutive_tool_calls,
        max_old_tool_call_tokens=head.max_old_tool_call_tokens,
        max_tool_result_tokens=head.max_tool_result_tokens,
        attributes=head.attributes,
        model_overrides=head.model_overrides,
        custom_models=head.custom_models,
        attached_files=head.attached_files,
        owner=head.owner,
        budget=head.budget,
        tree_budget=head.tree_budget,
    )
    copied = [fact for item in kept for fact in _copied(item, SessionId(""), new)]
    messages = [fact.message for fact in copied if isinstance(fact, e.MessageWritten)]
    called = {d: definitions[d] for message in messages for d in message.definitions if d in definitions}
    created = e.SessionCreated(template, forked_from=head.id, definitions=called)
    return [created, *copied, _totals(kept)]


def fork_title(title: str, taken: Collection[str]) -> str:
    """`<title> (fork K)` with the first free K; a fork of a fork counts on from the same title."""
    stem = _FORK.sub("", title)
    number = 1
    while (name := f"{stem} (fork {number})".strip()) in taken:
        number += 1
    return name


def _cut(history: History, ordinal: int) -> int:
    """The index of the item that the fork stops before."""
    count = 0
    for index, item in enumerate(history.items):
        if item.session is not None:
            inside = sum(1 for _, message in item.session.messages() if message.role == "user")
            if count <= ordinal < count + inside:
                raise BadValue(f"fork user-message index falls inside a sub-session at ordinal {ordinal}")
            count += inside
        elif item.message is not None and item.message.role == "user":
            if count == ordinal:
                return index
            count += 1
    raise BadValue(f"fork user-message index out of range: {ordinal}")


def _copied(item: Item, sub: SessionId, parent: SessionId) -> list[e.Fact]:
    if item.message is not None:
        return [e.MessageWritten(item.message, sub=sub)]
    if item.summary is not None:
        return [replace(item.summary, sub=sub)]
    if item.error is not None:
        return [replace(item.error, sub=sub)]
    assert item.session is not None
    new = SessionId(fresh())
    created = item.session.created
    facts: list[e.Fact] = [e.SessionCreated(created.template if created else e.Template(), sub or parent, sub=new)]
    for inner in item.session.items:
        facts += _copied(inner, new, parent)
    return facts


def _totals(items: Sequence[Item]) -> e.TokensSet:
    """Sums over what was copied: here the counters are no sizes of a context."""
    usages = [i.message.usage for i in items if i.message is not None and i.message.usage is not None]
    costs = [i.message.cost for i in items if i.message is not None]
    costs += [i.summary.cost for i in items if i.summary is not None]
    return e.TokensSet(sum(u.context for u in usages), sum(u.output for u in usages), sum(costs))
