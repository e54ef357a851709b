"""What people set."""

from roost.client.happenings.base import Base
from roost.client.shapes import Budget, Permissions


class ModelChosen(Base, frozen=True, tag="model_chosen"):
    """Another model for an agent, from now on; "" is the file's."""

    agent: str = ""
    model: str = ""


class SafetySet(Base, frozen=True, tag="safety_set"):
    """Another safety policy; one that is `proposed` is the agent file's, which nobody has chosen."""

    safety_policy: str = ""
    proposed: bool = False


class PermissionsSet(Base, frozen=True, tag="permissions_set"):
    """Other permissions, whole."""

    permissions: Permissions | None = None


class ThinkingSet(Base, frozen=True, tag="thinking_set"):
    """An old switch."""

    thinking: bool = False


class LabelsSet(Base, frozen=True, tag="labels_set"):
    """Another name, description and tags, whole."""

    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()


class ResultSet(Base, frozen=True, tag="result_set"):
    """What the session has come to, said outright."""

    result: str = ""


class StarredSet(Base, frozen=True, tag="starred_set"):
    """A mark, or none."""

    starred: bool = False


class BudgetSet(Base, frozen=True, tag="budget_set"):
    """Other budgets."""

    budget: Budget | None = None
    tree_budget: Budget | None = None


class BudgetRaised(Base, frozen=True, tag="budget_raised"):
    """A budget that was used up goes on, to these limits."""

    name: str = ""
    request_id: str = ""
    budget: Budget | None = None


class LimitRaised(Base, frozen=True, tag="limit_raised"):
    """The turn may take more rounds."""

    max_iterations: int = 0


Settings = (
    ModelChosen
    | SafetySet
    | PermissionsSet
    | ThinkingSet
    | LabelsSet
    | ResultSet
    | StarredSet
    | BudgetSet
    | BudgetRaised
    | LimitRaised
)
