"""The models that an agent may use, in order: its own, and those that stand in for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from roost.core.agents import Agent, Team
from roost.core.errors import BadModel
from roost.ports import Models, Provider


@dataclass(slots=True)
class Sticky:
    """Which stand-in has helped an agent last, and until when it stays (seconds of the clock that never runs back)."""

    _until: dict[str, tuple[str, float]] = field(default_factory=dict)

    def stay(self, agent: str, ref: str, until: float) -> None:
        """From now on this stand-in comes first."""
        self._until[agent] = (ref, until)

    def now(self, agent: str, now: float) -> str:
        """The stand-in that comes first; "" is the agent's own model."""
        ref, until = self._until.get(agent, ("", 0.0))
        return ref if now < until else ""


def chain(
    models: Models, team: Team, agent: Agent, own: Provider, sticky: Sticky, now: float
) -> tuple[Sequence[Provider], Sequence[str]]:
    """The models to try, the first one first, and warnings about those that can't be used."""
    links: list[Provider] = [own]
    warnings: list[str] = []
    first = sticky.now(agent.name, now)
    for ref in agent.fallback.models:
        try:
            provider = models.provider(team, ref)
        except BadModel as error:
            warnings.append(f"the fallback model {ref!r} can't be used: {error}")
            continue
        if ref == first:
            links.insert(0, provider)
        else:
            links.append(provider)
    return links, warnings
