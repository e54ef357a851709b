"""What a session is set to, and what it is called."""

from msgspec.structs import replace

from roost.core import events as e
from roost.core.session.changes import Changes
from roost.core.session.head import Head

OWN_BUDGETS = ("session:", "tree:")  # how the names of budgets begin that a session has of its own

CHANGES = Changes[Head]()


@CHANGES.by(e.TitleSet)
def _title(head: Head, event: e.Event, fact: e.TitleSet) -> Head:
    return replace(head, title=fact.title, titled_by=fact.by if fact.title else "")


@CHANGES.by(e.PolicySet)
def _policy(head: Head, event: e.Event, fact: e.PolicySet) -> Head:
    return replace(head, safety=fact.safety, prior_safety=fact.prior, safety_proposed=fact.proposed)


@CHANGES.by(e.PermissionsSet)
def _permissions(head: Head, event: e.Event, fact: e.PermissionsSet) -> Head:
    return replace(head, permissions=fact.permissions)


@CHANGES.by(e.ThinkingSet)
def _thinking(head: Head, event: e.Event, fact: e.ThinkingSet) -> Head:
    return replace(head, thinking=fact.thinking)


@CHANGES.by(e.StarredSet)
def _star(head: Head, event: e.Event, fact: e.StarredSet) -> Head:
    return replace(head, starred=fact.starred)


@CHANGES.by(e.TokensSet)
def _tokens(head: Head, event: e.Event, fact: e.TokensSet) -> Head:
    return replace(head, input_tokens=fact.input, output_tokens=fact.output, cost=fact.cost)


@CHANGES.by(e.ModelChosen)
def _model(head: Head, event: e.Event, fact: e.ModelChosen) -> Head:
    overrides = {name: model for name, model in head.model_overrides.items() if name != fact.agent}
    if fact.ref:
        overrides[fact.agent] = fact.ref
    custom = head.custom_models
    if "/" in fact.ref and fact.ref not in custom:
        custom = (*custom, fact.ref)
    return replace(head, model_overrides=overrides, custom_models=custom)


@CHANGES.by(e.BudgetSet)
def _budget(head: Head, event: e.Event, fact: e.BudgetSet) -> Head:
    raised = tuple(b for b in head.raised if not b.name.startswith(OWN_BUDGETS))
    return replace(head, budget=fact.budget, tree_budget=fact.tree_budget, raised=raised)


@CHANGES.by(e.BudgetRaised)
def _raised(head: Head, event: e.Event, fact: e.BudgetRaised) -> Head:
    return replace(head, raised=(*(b for b in head.raised if b.name != fact.budget.name), fact.budget))


@CHANGES.by(e.LabelSet)
def _label(head: Head, event: e.Event, fact: e.LabelSet) -> Head:
    return replace(head, name=fact.name, description=fact.description, tags=fact.tags)


@CHANGES.by(e.ResultSet)
def _result(head: Head, event: e.Event, fact: e.ResultSet) -> Head:
    return replace(head, result=event.seq)


@CHANGES.by(e.WorktreeMade)
def _worktree(head: Head, event: e.Event, fact: e.WorktreeMade) -> Head:
    return replace(head, worktree=fact.name, worktree_path=fact.path)


@CHANGES.by(e.WorktreeLeft)
def _left(head: Head, event: e.Event, fact: e.WorktreeLeft) -> Head:
    return replace(head, worktree_path="") if fact.removed else head
