"""Which providers there are, what they can do, and which models they mean."""

from collections.abc import Sequence

from roost.core.capabilities import Capability, Feature
from roost.core.errors import BadValue
from roost.service.desk import Desk

_PLAYED = {"non_interactive", "resume", "resume_with_prompt", "session_logs", "system_prompt", "auto_approve"}


class Catalogue:
    """Agent CLIs and agent files alike."""

    def __init__(self, desk: Desk) -> None:
        self._makers = desk.makers

    async def all(self) -> Sequence[Capability]:
        """The CLIs, then the agent files."""
        drivers = [driver.capability for driver in self._makers.drivers.values()]
        sources = await self._makers.agents.sources()
        return [*drivers, *(_of_file(source.id) for source in sources if source.team is not None)]

    async def one(self, provider: str) -> Capability:
        """One of them.

        Raises:
            BadValue: nobody is called so.
        """
        known = await self.all()
        found = next((capability for capability in known if capability.provider == provider), None)
        if found is None:
            names = ", ".join(capability.provider for capability in known)
            raise BadValue(f"unknown provider {provider[:80]!r} (known: {names})")
        return found

    async def resolved(self, provider: str, model: str) -> str:
        """The model that a name or an alias means.

        Raises:
            BadValue: nobody is called `provider`.
            BadModel: it knows no such model.
        """
        if (driver := self._makers.drivers.get(provider)) is not None:
            return driver.model(model)
        await self.one(provider)
        return model


def _of_file(source: str) -> Capability:
    features = {name: Feature(True, True) for name in sorted(_PLAYED)}
    return Capability(source, "", (), {}, features, open_models=True)
